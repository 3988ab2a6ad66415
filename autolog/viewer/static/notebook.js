// The traces of a notebook's cell in one frame: a list where there are several, and the viewer of the one chosen.
import { compact, counted, duration, number } from "./formats.js";
import { shownText } from "./marks.js";
import { html, render, useEffect, useRef, useState } from "./preact.js";
import { mount, unmount } from "./viewer.js";

const tokensOf = (usage) => usage && (usage.total_tokens ?? (usage.input_tokens ?? 0) + (usage.output_tokens ?? 0));

// `carried` is {traces: [{document, left_out: {spans, details, characters}}], more}, the newest trace last.
function NotebookCell({ carried }) {
  const { traces, more } = carried;
  const [chosen, choose] = useState(() => Math.max(traces.findIndex(({ document: { info } }) => info.error_count > 0), 0));
  const list = useRef(null);
  useEffect(() => list.current?.children[chosen]?.scrollIntoView({ block: "nearest" }), [chosen]);
  const move = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const next = Math.min(Math.max(chosen + step, 0), traces.length - 1);
    if (!step) return;
    event.preventDefault();
    choose(next);
    list.current.children[next].focus();
  };
  return html`
    ${traces.length > 1 && html`<div class="cell-traces" role="listbox" aria-label="Traces of this cell" ref=${list} onKeyDown=${move}>
      ${traces.map(({ document: { info } }, at) => html`<${TraceLine} key=${at} info=${info} isChosen=${at === chosen} choose=${() => choose(at)} />`)}
    </div>`}
    ${more > 0 && html`<div class="cell-note" role="note">and ${counted(more, "trace")} more: search_traces() finds them</div>`}
    ${traces.length > 0 && html`<${ChosenTrace} key=${chosen} entry=${traces[chosen]} />`}
  `;
}

function TraceLine({ info, isChosen, choose }) {
  const took = info.end_time_ns === null ? "running" : duration(info.end_time_ns - info.start_time_ns);
  const tokens = tokensOf(info.usage);
  return html`<div class="cell-trace" role="option" data-state=${info.error_count > 0 ? "ERROR" : info.state}
    aria-selected=${String(isChosen)} tabindex=${isChosen ? 0 : -1} onClick=${choose}>
    <span class="cell-name">${shownText(info.name)}</span>
    <span class="cell-text">${shownText(info.error ?? info.request_preview ?? "")}</span>
    <span class="cell-figure">${took}</span>
    <span class="cell-figure">${tokens ? `${compact(tokens)} tokens` : ""}</span>
  </div>`;
}

function ChosenTrace({ entry }) {
  const place = useRef(null);
  useEffect(() => {
    const { document: trace, left_out: left } = entry;
    const elsewhere = `It did not fit into this output. ${allOf(trace.info)}`;
    const host = { detail: () => Promise.reject(new Error(elsewhere)) };
    mount(place.current, trace, left.details > 0 ? host : null);
    return () => unmount(place.current);
  }, []);
  const note = leftOutNote(entry);
  return html`${note && html`<div class="cell-note" role="note">${note}</div>`}<div class="cell-viewer" ref=${place}></div>`;
}

const allOf = (info) => `get_trace("${info.trace_id}").save_html("trace.html") and the page of \`autolog ui\` have all.`;

// Say what did not fit into the output, and where it is.
function leftOutNote({ document: { info }, left_out: left }) {
  const parts = [
    left.spans > 0 && counted(left.spans, "span"),
    left.details > 0 && `what went in and out of ${counted(left.details, "span")}`,
    left.characters > 0 && `${number(left.characters)} characters of long texts`,
  ].filter(Boolean);
  return parts.length > 0 ? `Not in this output: ${parts.join(", ")}. ${allOf(info)}` : null;
}

render(html`<${NotebookCell} carried=${globalThis.carried} />`, document.getElementById("viewer"));
