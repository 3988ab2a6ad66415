// Thumbs, drawn: a font may lack them.
import { html } from "../viewer/preact.js";

const UP = "M4.5 7.2 7 2.2c.9 0 1.6.7 1.6 1.6v2.4h3.2c.9 0 1.5.8 1.3 1.6l-1 4.2c-.1.6-.7 1-1.3 1H4.5zM1.5 7.2h3V13h-3z";

const Icon = ({ path, turn, label }) => html`
  <svg class="al-icon" viewBox="0 0 14.6 14.6" role=${label ? "img" : undefined} aria-label=${label} aria-hidden=${label ? undefined : "true"}>
    <path d=${path} transform=${turn ? "rotate(180 7.3 7.3)" : undefined} /></svg>`;

export const Good = ({ label }) => html`<${Icon} path=${UP} label=${label} />`;
export const Bad = ({ label }) => html`<${Icon} path=${UP} turn label=${label} />`;
