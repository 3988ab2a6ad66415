// Which time: a choice of the usual ones, or two moments.
import { html, useRef } from "../viewer/preact.js";
import { moment, nanoseconds } from "../base/formats.js";
import { RANGES } from "../base/query.js";
import { Item, Menu } from "./menu.js";

function labelOf({ range, since, until }) {
  const usual = RANGES.find(([name]) => name === range);
  if (usual) return usual[1];
  if (!since && !until) return "All time";
  const written = (ns) => moment(Number(ns), NaN);
  return since && until ? `${written(since)} – ${written(until)}` : since ? `Since ${written(since)}` : `Until ${written(until)}`;
}

// As <input type="datetime-local"> has it.
function local(ns) {
  if (!ns) return "";
  const ms = Number(BigInt(ns) / 1_000_000n);
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

const given = (input) => (input.value ? nanoseconds(new Date(input.value).getTime()) : null);

// `params` are those of an address; `onChange` gets those that change: {range, since, until}.
export function TimeRange({ params, onChange }) {
  const since = useRef(null);
  const until = useRef(null);
  return html`<${Menu} label=${html`${labelOf(params)} <span aria-hidden="true">▾</span>`} title="Time" side="right">${(close) => {
    const choose = (changes) => { onChange({ range: null, since: null, until: null, ...changes }); close(); };
    return html`
      <${Item} onClick=${() => choose({})}>All time<//>
      ${RANGES.map(([name, title]) => html`<${Item} aria-pressed=${params.range === name} onClick=${() => choose({ range: name })}>${title}<//>`)}
      <form class="al-custom" onSubmit=${(event) => { event.preventDefault(); choose({ since: given(since.current), until: given(until.current) }); }}>
        <label>From <input class="al-input" type="datetime-local" ref=${since} defaultValue=${local(params.since)} /></label>
        <label>To <input class="al-input" type="datetime-local" ref=${until} defaultValue=${local(params.until)} /></label>
        <button class="al-button">Show</button>
      </form>`;
  }}<//>`;
}
