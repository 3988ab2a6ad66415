// The head of a page about one thing: the way back to all of them, its name, what is said of it and can be done.
import { html } from "../viewer/preact.js";

export function Head({ back, all, name, children }) {
  return html`<div class="al-session-head"><a class="al-button" href=${back} aria-label=${all}>←</a>
    <h1 title=${name}>${name}</h1>${children}</div>`;
}
