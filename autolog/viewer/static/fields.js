// Named values, each to be read under its name.
import { html, useContext } from "./preact.js";
import { Value, isText } from "./chat.js";
import { JsonTree } from "./json.js";
import { Marked } from "./marks.js";
import { CopyText } from "./prose.js";
import { plainText } from "./texts.js";
import { Viewing } from "./viewing.js";

const MOST_FIELDS = 40;

const isPlainObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value) && !isText(value);
const isShort = (value) => value === null || (isText(value) ? value.length < 80 && !String(value.text ?? value).includes("\n") : typeof value !== "object");

/** `isTable` puts names beside their values, else long values stand below their names. */
export function Fields({ value, isTable = false }) {
  const { query } = useContext(Viewing);
  const names = isPlainObject(value) ? Object.keys(value) : [];
  if (names.length === 0 || names.length > MOST_FIELDS) return html`<${Value} value=${value} />`;
  if (isTable || names.every((name) => isShort(value[name]))) {
    return html`<dl class="tv-table">${names.map((name) => html`<div key=${name}><dt><${Marked} text=${name} query=${query} /></dt>
      <dd>${isShort(value[name]) ? html`<${Marked} text=${plainText(value[name])} query=${query} />` : isText(value[name]) ? html`<${Value} value=${value[name]} fold=${300} />` : html`<${JsonTree} value=${value[name]} />`}</dd></div>`)}</dl>`;
  }
  return html`<div class="tv-fields">${names.map((name) => html`<div key=${name}>
    <h4><${Marked} text=${name} query=${query} />${isText(value[name]) && !isShort(value[name]) && html`<${CopyText} value=${value[name]} />`}</h4><${Value} value=${value[name]} />
  </div>`)}</div>`;
}
