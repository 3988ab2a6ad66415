// What changed in a pair of spans: figures, and texts word by word.
import { html, useState } from "../viewer/preact.js";
import { get } from "../base/api.js";
import { duration, money, number } from "../base/formats.js";
import { Missing, useLoaded } from "../base/loaded.js";
import { Delta, Figures } from "../parts/deltas.js";
import { typeTitle } from "../viewer/icons.js";

const [ID, , NAME, TYPE, , , DURATION, , MODEL, INPUT, OUTPUT, COST] = Array(12).keys();
const FIGURES = [["Latency", DURATION, duration], ["Tokens in", INPUT, number], ["Tokens out", OUTPUT, number], ["Cost", COST, money]];

// `pair` is a row of the comparison; `left` and `right` are the traces.
export function Changes({ pair, left, right }) {
  const place = (info, span) => span && `${info.trace_id}:${span[ID]}`;
  const ask = { left: place(left, pair.left), right: place(right, pair.right) };
  const { found, ...state } = useLoaded((signal) => get("compare/span", ask, signal), JSON.stringify(ask), false);
  const [isAll, setAll] = useState(false);
  const one = pair.right ?? pair.left;
  const fields = found?.fields ?? [];
  const same = fields.filter((field) => field.same).length;
  const figures = FIGURES.map(([title, at, format]) => ({ title, left: pair.left?.[at], right: pair.right?.[at], format, isMoreBetter: false }));
  const those = `${number(same)} that ${same === 1 ? "is" : "are"} the same`;
  return html`<section class="al-changes" aria-label="Changes">
    <h2><bdi>${one[NAME]}</bdi> <small class="al-muted">${typeTitle(one[TYPE])}${one[MODEL] && html` · <bdi>${one[MODEL]}</bdi>`}</small></h2>
    ${!pair.left && html`<p class="al-change-added"><b>+</b> Only B has this span.</p>`}
    ${!pair.right && html`<p class="al-change-removed"><b>−</b> Only A has this span.</p>`}
    <${Figures} figures=${figures} />
    ${!found && html`<${Missing} ...${state} />`}
    ${fields.filter((field) => isAll || !field.same).map((field) => html`<${Field} key=${field.path} field=${field} />`)}
    ${found && same === fields.length && html`<p class="al-muted">What went in and came out is the same.</p>`}
    ${same > 0 && html`<button class="al-link" aria-expanded=${isAll} onClick=${() => setAll(!isAll)}>${isAll ? "Hide" : "Show"} ${those}</button>`}
  </section>`;
}

// "/inputs/messages/0" by RFC 6901 is inputs › messages › 0.
const readable = (path) => path.slice(1).split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~")).join(" › ");

const exact = (value) => String(Number(value.toPrecision(6)));

function Field({ field: { path, left, right, diff, note } }) {
  const isNumber = typeof left === "number" && typeof right === "number";
  return html`<div class="al-field"><h3 class="al-mono">${readable(path)}</h3>
    ${note && html`<small class="al-muted">${note}</small>`}
    ${isNumber ? html`<p class="al-mono"><del>${left}</del> → <ins>${right}</ins> <${Delta} left=${left} right=${right} format=${exact} /></p>`
      : html`<p class="al-words">${diff.map(piece)}</p>`}</div>`;
}

// What is inserted or deleted says so, for those who do not see it.
function piece([sign, text]) {
  if (sign === "+") return html`<ins aria-label=${`inserted: ${text}`}>${text}</ins>`;
  if (sign === "-") return html`<del aria-label=${`deleted: ${text}`}>${text}</del>`;
  return sign === "…" ? html`<span class="al-muted">…</span>` : text;
}
