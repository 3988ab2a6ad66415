// How somebody judged: a thumb, or the value.
import { html } from "../viewer/preact.js";
import { Bad, Good } from "./thumbs.js";

// A thumb for true and false, else the value itself, briefly.
export function verdict(value) {
  if (value === true || value === "yes") return html`<span class="al-ok"><${Good} label="yes" /></span>`;
  if (value === false || value === "no") return html`<span class="al-error"><${Bad} label="no" /></span>`;
  const text = typeof value === "string" ? value : typeof value === "number" ? String(Number(value.toPrecision(3))) : JSON.stringify(value);
  return text.length > 24 ? `${text.slice(0, 23)}…` : text;
}
