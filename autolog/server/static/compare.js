// Two traces beside each other: their figures, their spans aligned, and what changed in a pair of them.
import { html, useCallback, useEffect, useMemo, useState } from "./viewer/preact.js";
import { get } from "./api.js";
import { Dot, tokensOf } from "./columns.js";
import { Delta } from "./deltas.js";
import { absolute, duration, money, moment, number } from "./formats.js";
import { useKeys } from "./keys.js";
import { Missing, useLoaded } from "./loaded.js";
import { notify } from "./notice.js";
import { address, change, permanent } from "./router.js";
import { TypeIcon, typeTitle } from "./viewer/icons.js";
import { Windowed } from "./windowed.js";

const [ID, , NAME, TYPE, STATUS, , DURATION, , MODEL, INPUT, OUTPUT, COST, ERROR] = Array(13).keys();
const SIGNS = { same: ["", ""], changed: ["~", "changed"], added: ["+", "only right"], removed: ["−", "only left"] };
const HEIGHT = 26;
const keyOf = ({ left, right }) => `${left?.[ID] ?? ""}:${right?.[ID] ?? ""}`;

export function Page({ route: { params } }) {
  const { left, right } = params;
  const { found, ...state } = useLoaded((signal) => (left && right ? get("compare", { left, right }, signal) : Promise.reject(new Error("Select two traces in the list, then Compare."))), `${left} ${right}`, false);
  return found ? html`<${Compared} found=${found} params=${params} />` : html`<${Missing} ...${state} />`;
}

function Compared({ found, params }) {
  const { left, right, rows } = found;
  const isOnly = params.only === "changes";
  const shown = useMemo(() => (isOnly ? rows.filter((row) => row.change !== "same") : rows), [rows, isOnly]);
  const index = Math.max(0, shown.findIndex((row) => keyOf(row) === params.pair));
  const pair = shown[index];
  const [scrollTo, setScrollTo] = useState(null);
  const choose = (to) => {
    if (!shown[to]) return;
    change({ pair: keyOf(shown[to]) }, { replace: true });
    setScrollTo({ index: to });
  };
  const next = (by) => {
    for (let to = index + by; shown[to]; to += by) if (shown[to].change !== "same") return choose(to);
    return notify("No more changes.");
  };
  const swap = () => change({ left: right.trace_id, right: left.trace_id, pair: params.pair?.split(":").reverse().join(":") });
  const copy = () => navigator.clipboard.writeText(permanent(location.hash)).then(() => notify("Copied the link."), () => notify("The browser does not let the page copy.", { isError: true }));
  useKeys({ "j": () => choose(index + 1), "k": () => choose(index - 1), "ArrowDown": () => choose(index + 1), "ArrowUp": () => choose(index - 1),
    "n": () => next(1), "p": () => next(-1), "s": swap, "y": copy });
  useEffect(() => setScrollTo({ index }), [found]);
  const draw = useCallback((row, place) => html`<${Pair} row=${row} isAt=${place === index} onClick=${() => choose(place)} />`, [shown, index]);
  return html`
    <div class="al-compared">
      <${Side} info=${left} letter="A" />
      <button class="al-button" onClick=${swap} title="Swap sides (s)" aria-label="Swap sides">⇄</button>
      <${Side} info=${right} letter="B" />
    </div>
    <${Figures} left=${left} right=${right} />
    <div class="al-toolbar">
      ${["changed", "added", "removed", "same"].map((kind) => html`<span class=${`al-change-${kind}`}><b>${SIGNS[kind][0] || "="}</b> ${number(found.counts[kind])} ${kind}</span>`)}
      ${found.is_shallow && html`<span class="al-muted">Too large to look at all inputs and outputs at once; those of a pair are compared when it is chosen.</span>`}
      <label><input type="checkbox" checked=${isOnly} onChange=${() => change({ only: isOnly ? null : "changes" }, { replace: true })} /> only changes</label>
      <button class="al-button" onClick=${() => next(-1)} title="Previous change (p)" aria-label="Previous change">↑</button>
      <button class="al-button" onClick=${() => next(1)} title="Next change (n)" aria-label="Next change">↓</button>
      <button class="al-button" onClick=${copy} title="Copy the link (y)">Copy link</button>
    </div>
    <div class="al-panes">
      <${Windowed} class="al-pairs" role="grid" aria-label="Spans of both" aria-rowcount=${shown.length} tabindex="0" items=${shown} keyOf=${keyOf} draw=${draw}
        estimate=${() => HEIGHT} scrollTo=${scrollTo} header=${html`<div class="al-pair al-grid-head" role="row">
          ${["", "A", "", "B", "", "Δ"].map((title, place) => html`<span role="columnheader" class=${place > 1 && place !== 3 ? "al-number" : ""}>${title}</span>`)}</div>`} />
      ${pair ? html`<${Changes} key=${keyOf(pair)} pair=${pair} left=${left} right=${right} />` : html`<p class="al-empty">The two have the same spans with the same figures.</p>`}
    </div>`;
}

function Side({ info, letter }) {
  return html`<div class="al-side"><b>${letter}</b><${Dot} info=${info} /><div><a href=${address("traces", [info.trace_id])}>${info.name}</a> ${" "}<span class="al-muted" title=${absolute(info.start_time_ns)}>${moment(info.start_time_ns)}</span><p title=${info.request_preview}>${info.request_preview}</p></div></div>`;
}

function Figures({ left, right }) {
  const took = (info) => (info.end_time_ns === null ? null : info.end_time_ns - info.start_time_ns);
  const figures = [
    ["Latency", took, duration, false], ["Tokens", tokensOf, number, false], ["Cost", (info) => info.cost?.total, money, false],
    ["Spans", (info) => info.span_count, number, null], ["Errors", (info) => info.error_count, number, false],
  ];
  const is = left.state === right.state;
  return html`<dl class="al-figures">
    <div><dt>Status</dt><dd>${is ? left.state : html`${left.state} → <b class=${right.state === "ERROR" ? "al-error" : "al-ok"}>${right.state}</b>`}</dd></div>
    ${figures.filter(([, of]) => (of(left) ?? of(right) ?? null) !== null).map(([title, of, format, isMoreBetter]) => html`<div><dt>${title}</dt><dd>${format(of(left)) || "–"} → ${format(of(right)) || "–"} <${Delta} left=${of(left)} right=${of(right)} format=${format} isMoreBetter=${isMoreBetter} /></dd></div>`)}
  </dl>`;
}

function Pair({ row, isAt, onClick }) {
  const { depth, left, right, change: kind, differs } = row;
  const [sign, said] = SIGNS[kind];
  const title = differs.length > 0 ? `${said}: ${differs.join(", ")}` : said;
  const name = (side, more) => html`<span role="gridcell" class=${`al-span ${side?.[STATUS] === "ERROR" ? "al-error" : ""}`} style=${{ paddingLeft: `${Math.min(depth, 24) * 12}px` }} title=${side && [side[NAME], typeTitle(side[TYPE]), side[ERROR]].filter(Boolean).join(" · ")}>${side && html`<${TypeIcon} type=${side[TYPE]} />`} <bdi>${side?.[NAME]}</bdi>${more && html` <small class="al-muted">${more}</small>`}</span>
    <span role="gridcell" class="al-number al-muted">${side && duration(side[DURATION])}</span>`;
  return html`<div class=${`al-pair al-change-${kind} ${isAt ? "al-at" : ""}`} role="row" aria-selected=${isAt} onClick=${onClick}>
    <span role="gridcell" title=${title} aria-label=${title}>${sign}</span>${name(left)}${name(right, differs.join(", "))}
    <span role="gridcell" class="al-number">${left && right && html`<${Delta} left=${left[DURATION]} right=${right[DURATION]} format=${duration} isMoreBetter=${false} />`}</span></div>`;
}

function Changes({ pair, left, right }) {
  const of = (info, side) => side && `${info.trace_id}:${side[ID]}`;
  const { found, ...state } = useLoaded((signal) => get("compare/span", { left: of(left, pair.left), right: of(right, pair.right) }, signal), keyOf(pair), false);
  const [isAll, setAll] = useState(false);
  const one = pair.right ?? pair.left;
  const fields = found?.fields ?? [];
  const isSame = (field) => field.same;
  const same = fields.filter(isSame);
  const figures = [["Latency", DURATION, duration], ["Tokens in", INPUT, number], ["Tokens out", OUTPUT, number], ["Cost", COST, money]]
    .filter(([, at]) => (pair.left?.[at] ?? pair.right?.[at] ?? null) !== null);
  return html`<section class="al-changes" aria-label="Changes" tabindex="-1">
    <h2><bdi>${one[NAME]}</bdi> <small class="al-muted">${typeTitle(one[TYPE])}${one[MODEL] && ` · ${one[MODEL]}`}</small></h2>
    ${!pair.left && html`<p class="al-change-added"><b>+</b> Only B has this span.</p>`}${!pair.right && html`<p class="al-change-removed"><b>−</b> Only A has this span.</p>`}
    <dl class="al-figures">${figures.map(([title, at, format]) => html`<div><dt>${title}</dt><dd>${format(pair.left?.[at]) || "–"} → ${format(pair.right?.[at]) || "–"} <${Delta} left=${pair.left?.[at]} right=${pair.right?.[at]} format=${format} isMoreBetter=${false} /></dd></div>`)}</dl>
    ${!found && html`<${Missing} ...${state} />`}
    ${fields.filter((field) => isAll || !isSame(field)).map((field) => html`<${Field} key=${field.path} field=${field} />`)}
    ${found && same.length === fields.length && html`<p class="al-muted">What went in and came out is the same.</p>`}
    ${same.length > 0 && html`<button class="al-link" aria-expanded=${isAll} onClick=${() => setAll(!isAll)}>${isAll ? "Hide what is the same" : `Show ${number(same.length)} that ${same.length === 1 ? "is" : "are"} the same`}</button>`}
  </section>`;
}

const WORDS = { "+": ["ins", "inserted"], "-": ["del", "deleted"] };

function Field({ field: { path, left, right, diff, note } }) {
  const isNumber = typeof left === "number" && typeof right === "number";
  return html`<div class="al-field"><h3 class="al-mono">${path.replace(/^\//, "").replaceAll("/", " › ").replaceAll("~1", "/").replaceAll("~0", "~")}</h3>${note && html`<p class="al-muted">${note}</p>`}
    ${isNumber ? html`<p class="al-mono"><del aria-label="deleted">${left}</del> → <ins aria-label="inserted">${right}</ins> <${Delta} left=${left} right=${right} format=${(by) => String(Number(by.toPrecision(6)))} /></p>`
      : html`<p class="al-words">${diff.map(([op, text]) => (op in WORDS ? html`<${WORDS[op][0]} aria-label=${`${WORDS[op][1]}: ${text}`}>${text}<//>` : op === "…" ? html`<span class="al-muted">…</span>` : text))}</p>`}</div>`;
}
