// The traces of a notebook's cell in one frame: a list where there are several, and the viewer of the one chosen.
import { html, render, useEffect, useRef, useState } from "./preact.js";
import { mount } from "./viewer.js";

const CELL_DURATIONS = [
  [1e3, 1, "ns"],
  [1e6, 1e3, "µs"],
  [1e9, 1e6, "ms"],
  [60e9, 1e9, "s"],
  [Infinity, 60e9, "min"],
];

function cellDuration(nanoseconds) {
  if (nanoseconds === null) return "running";
  const [, unit, name] = CELL_DURATIONS.find(([below]) => nanoseconds < below);
  const amount = nanoseconds / unit;
  return `${amount < 10 && unit > 1e6 ? amount.toFixed(2) : Math.round(amount)} ${name}`;
}

function cellTokens(usage) {
  if (!usage) return "";
  const total = usage.total_tokens ?? (usage.input_tokens ?? 0) + (usage.output_tokens ?? 0);
  return total ? `${total.toLocaleString("en")} tokens` : "";
}

// `carried` is {traces: [{document, left_out: {spans, details, characters}}], more}, the newest trace last.
function NotebookCell({ carried }) {
  const { traces, more } = carried;
  const [chosen, choose] = useState(Math.max(traces.findIndex(({ document: { info } }) => info.error_count > 0), 0));
  const move = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const next = chosen + step;
    if (!step || next < 0 || next >= traces.length) return;
    event.preventDefault();
    choose(next);
    event.currentTarget.children[next].focus();
  };
  return html`
    ${(traces.length > 1 || more > 0) &&
    html`<div class="cell-traces" role="listbox" aria-label="Traces of this cell" onKeyDown=${move}>
      ${traces.map(
        ({ document: { info } }, number) => html`<${TraceLine} key=${info.trace_id} info=${info}
          chosen=${number === chosen} choose=${() => choose(number)} />`,
      )}
      ${more > 0 && html`<div class="cell-note">and ${more.toLocaleString("en")} more: search_traces() finds them</div>`}
    </div>`}
    ${traces.length > 0 && html`<${ChosenTrace} key=${chosen} entry=${traces[chosen]} />`}
  `;
}

function TraceLine({ info, chosen, choose }) {
  const took = info.end_time_ns === null ? null : info.end_time_ns - info.start_time_ns;
  return html`<div class="cell-trace" role="option" data-state=${info.error_count > 0 ? "ERROR" : info.state}
    aria-selected=${String(chosen)} tabindex=${chosen ? 0 : -1} onClick=${choose}>
    <span class="cell-name">${info.name}</span>
    <span class="cell-text">${info.error ?? info.request_preview ?? ""}</span>
    <span class="cell-figure">${cellDuration(took)}</span>
    <span class="cell-figure">${cellTokens(info.usage)}</span>
  </div>`;
}

function ChosenTrace({ entry }) {
  const place = useRef(null);
  useEffect(() => {
    mount(place.current, entry.document, null);
    return () => render(null, place.current);
  }, []);
  const note = leftOutNote(entry);
  return html`${note && html`<div class="cell-note" role="note">${note}</div>`}<div class="cell-viewer" ref=${place}></div>`;
}

// Say what did not fit into the output, and where it is.
function leftOutNote({ document: { info }, left_out: left }) {
  const parts = [
    left.spans > 0 && `${left.spans.toLocaleString("en")} spans`,
    left.details > 0 && `what is known of ${left.details.toLocaleString("en")} spans`,
    left.characters > 0 && `${left.characters.toLocaleString("en")} characters`,
  ].filter(Boolean);
  if (parts.length === 0) return null;
  return `Not in this output: ${parts.join(", ")}. get_trace("${info.trace_id}").save_html("trace.html") and autolog ui have all.`;
}

render(html`<${NotebookCell} carried=${globalThis.carried} />`, document.getElementById("viewer"));
