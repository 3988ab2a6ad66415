// Two traces beside each other: their figures, their spans aligned, and what changed in a pair of them.
import { html, useCallback, useEffect, useMemo, useState } from "../viewer/preact.js";
import { get } from "../base/api.js";
import { absolute, duration, money, moment, number } from "../base/formats.js";
import { useKeys } from "../base/keys.js";
import { Missing, useLoaded } from "../base/loaded.js";
import { notify } from "../base/notice.js";
import { address, change, permanent } from "../base/router.js";
import { Delta, Figures } from "../parts/deltas.js";
import { Windowed } from "../parts/windowed.js";
import { Dot, tokensOf } from "../traces/columns.js";
import { Changes } from "./changes.js";
import { TypeIcon, typeTitle } from "../viewer/icons.js";

const [ID, , NAME, TYPE, STATUS, , DURATION, , , , , , ERROR] = Array(13).keys();
const SIGNS = { changed: ["~", "changed"], added: ["+", "only B has it"], removed: ["−", "only A has it"], same: ["", ""] };
const HEIGHT = 26;
const STEP = 12;
const DEEPEST = 24;

const keyOf = ({ left, right }) => `${left?.[ID] ?? ""}:${right?.[ID] ?? ""}`;

export function Page({ route: { params } }) {
  const { left, right } = params;
  const ask = async (signal) => {
    if (!left || !right) throw new Error("Select two traces in the list, then Compare.");
    return get("compare", { left, right }, signal);
  };
  const { found, ...state } = useLoaded(ask, `${left} ${right}`, false);
  return found ? html`<${Compared} found=${found} params=${params} />` : html`<${Missing} ...${state} />`;
}

function Compared({ found, params }) {
  const { left, right, rows, counts } = found;
  const isOnly = params.only === "changes";
  const shown = useMemo(() => (isOnly ? rows.filter((row) => row.change !== "same") : rows), [rows, isOnly]);
  const index = Math.max(0, shown.findIndex((row) => keyOf(row) === params.pair));
  const [scrollTo, setScrollTo] = useState(null);
  useEffect(() => setScrollTo({ index }), [found]);
  const choose = (to) => {
    if (!shown[to]) return;
    change({ pair: keyOf(shown[to]) }, { replace: true });
    setScrollTo({ index: to });
  };
  const next = (by) => {
    let to = index + by;
    while (shown[to]?.change === "same") to += by;
    if (shown[to]) choose(to);
    else notify("No more changes.");
  };
  const swap = () => {
    const pair = params.pair?.split(":").reverse().join(":");
    change({ left: right.trace_id, right: left.trace_id, pair });
  };
  const copy = () => navigator.clipboard.writeText(permanent(location.hash)).then(
    () => notify("Copied the link."), () => notify("The browser does not let the page copy.", { isError: true }));
  useKeys({
    "j": () => choose(index + 1), "k": () => choose(index - 1), "ArrowDown": () => choose(index + 1), "ArrowUp": () => choose(index - 1),
    "n": () => next(1), "p": () => next(-1), "s": swap, "y": copy,
  });
  const draw = useCallback((row, place) => html`<${Pair} row=${row} isAt=${place === index} onClick=${() => choose(place)} />`, [shown, index]);
  const pair = shown[index];
  return html`
    <div class="al-compared">
      <${Side} info=${left} letter="A" />
      <button class="al-button" onClick=${swap} title="Swap sides (s)" aria-label="Swap sides">⇄</button>
      <${Side} info=${right} letter="B" />
    </div>
    <${Figures} figures=${figuresOf(left, right)} />
    <div class="al-toolbar">
      ${Object.entries(SIGNS).map(([kind, [sign]]) => html`
        <span class=${`al-change-${kind}`}><b>${sign || "="}</b> ${number(counts[kind])} ${kind}</span>`)}
      ${found.is_shallow && html`<span class="al-muted">Very large: inputs and outputs are compared when a pair is chosen.</span>`}
      <label><input type="checkbox" checked=${isOnly} onChange=${() => change({ only: isOnly ? null : "changes" }, { replace: true })} /> only changes</label>
      <button class="al-button" onClick=${() => next(-1)} title="Previous change (p)" aria-label="Previous change">↑</button>
      <button class="al-button" onClick=${() => next(1)} title="Next change (n)" aria-label="Next change">↓</button>
      <button class="al-button" onClick=${copy} title="Copy the link (y)">Copy link</button>
    </div>
    <div class="al-panes">
      <${Windowed} class="al-pairs" role="grid" aria-label="Spans of both" aria-rowcount=${shown.length} tabindex="0"
        items=${shown} keyOf=${keyOf} draw=${draw} estimate=${() => HEIGHT} scrollTo=${scrollTo} header=${HEAD} />
      ${pair ? html`<${Changes} key=${keyOf(pair)} pair=${pair} left=${left} right=${right} />`
        : html`<p class="al-empty">The two have the same spans with the same figures.</p>`}
    </div>`;
}

const HEAD = html`<div class="al-pair al-grid-head" role="row">
  ${["", "A", "", "B", "", "Δ"].map((title) => html`<span role="columnheader" class=${title === "Δ" ? "al-number" : ""}>${title}</span>`)}</div>`;

function Side({ info, letter }) {
  return html`<div class="al-side"><b>${letter}</b><${Dot} info=${info} />
    <div><a href=${address("traces", [info.trace_id])}>${info.name}</a> ${" "}
      <span class="al-muted" title=${absolute(info.start_time_ns)}>${moment(info.start_time_ns)}</span>
      <p title=${info.request_preview}>${info.request_preview}</p></div></div>`;
}

function figuresOf(left, right) {
  const took = (info) => (info.end_time_ns === null ? null : info.end_time_ns - info.start_time_ns);
  const both = (title, of, format, isMoreBetter = false) => ({ title, left: of(left), right: of(right), format, isMoreBetter });
  const state = html`<b class=${right.state === "ERROR" ? "al-error" : "al-ok"}>${right.state}</b>`;
  return [
    { title: "Status", shown: left.state === right.state ? left.state : html`${left.state} → ${state}` },
    both("Latency", took, duration), both("Tokens", tokensOf, number), both("Cost", (info) => info.cost?.total, money),
    both("Spans", (info) => info.span_count, number, null), both("Errors", (info) => info.error_count, number),
  ];
}

function Pair({ row: { depth, left, right, change: kind, differs }, isAt, onClick }) {
  const [sign, said] = SIGNS[kind];
  const what = differs.join(", ");
  const title = what ? `${said}: ${what}` : said;
  return html`<div class=${`al-pair al-change-${kind} ${isAt ? "al-at" : ""}`} role="row" aria-selected=${isAt} onClick=${onClick}>
    <span role="gridcell" title=${title} aria-label=${title}>${sign}</span>
    ${cells(left, depth)}${cells(right, depth, what)}
    <span role="gridcell" class="al-number">${left && right && html`
      <${Delta} left=${left[DURATION]} right=${right[DURATION]} format=${duration} isMoreBetter=${false} />`}</span></div>`;
}

// A span's name and duration, as far in as it is deep; `more` stands behind the name.
function cells(span, depth, more) {
  if (!span) return html`<span role="gridcell" /><span role="gridcell" />`;
  const title = [span[NAME], typeTitle(span[TYPE]), span[ERROR]].filter(Boolean).join(" · ");
  return html`
    <span role="gridcell" class=${span[STATUS] === "ERROR" ? "al-error" : ""} style=${{ paddingLeft: `${Math.min(depth, DEEPEST) * STEP}px` }} title=${title}>
      <${TypeIcon} type=${span[TYPE]} /> <bdi>${span[NAME]}</bdi>${more && html` <small class="al-muted">${more}</small>`}</span>
    <span role="gridcell" class="al-number al-muted">${duration(span[DURATION])}</span>`;
}
