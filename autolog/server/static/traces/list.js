// The list of traces: its filter, its time, its columns, and the trace that is open over it.
import { html, useCallback, useEffect, useMemo, useRef, useState } from "../viewer/preact.js";
import { get } from "../base/api.js";
import { counted, number } from "../base/formats.js";
import { useKeys } from "../base/keys.js";
import { everySeconds, useChanges } from "../base/live.js";
import { eachWord, joined, meant, queryOf } from "../base/query.js";
import { address, change, go } from "../base/router.js";
import { forgetView, saveView, savedViews } from "../base/storage.js";
import { Dialog } from "../parts/dialog.js";
import { FilterBar } from "../parts/filter.js";
import { Item, Menu } from "../parts/menu.js";
import { TimeRange } from "../parts/range.js";
import { COLUMNS, DEFAULT, chosen, shown, written } from "./columns.js";
import { useRows } from "./rows.js";
import { BulkBar, useSelection } from "./selection.js";
import { Table } from "./table.js";

const ASKED = ["filter", "order", "experiment", "run", "range", "since", "until"];
const HIGH = 0.95;

// The viewer is as large as all else: it is loaded when a trace is opened, or about to be.
let Trace = null;
const loadTrace = () => import("./trace.js").then((module) => { Trace = module.Trace; });

export function Page({ route, health }) {
  const { params, parts } = route;
  const key = ASKED.map((name) => params[name] ?? "").join("\n");
  const traces = useRows(() => queryOf(params), key);
  const { rows, isLoading, error, query } = traces;
  const selection = useSelection();
  const count = useCount(query, traces.version);
  const [cursor, setCursor] = useState(null);
  const [scrollTo, setScrollTo] = useState(null);
  const [isPaused, setPaused] = useState(false);
  const [isAtTop, setAtTop] = useState(true);
  const [now, setNow] = useState(Date.now);
  const input = useRef(null);
  const openId = parts[0] ?? null;
  const [, setLoaded] = useState(Trace !== null);
  useEffect(() => { if (openId && !Trace) loadTrace().then(() => setLoaded(true)); }, [openId]);
  const at = openId ?? cursor;
  const index = useMemo(() => rows.findIndex((row) => row.trace_id === at), [rows, at]);

  const listParams = { ...params, span: null, full: null };
  const hrefOf = useCallback((info) => address("traces", [info.trace_id], listParams), [key, params.columns]);
  const open = (info) => { setCursor(info.trace_id); go(hrefOf(info), { replace: openId !== null }); };
  const close = () => { setCursor(openId); go(address("traces", [], listParams)); };

  // A server that was away and is back tells of a change first.
  const wasAway = error && (error.status === 0 || error.status >= 500);
  const isAway = useChanges(() => (wasAway ? traces.load() : traces.refresh(isAtTop)), !isPaused);
  const isRunning = rows.some((row) => row.state === "IN_PROGRESS");
  useEffect(() => everySeconds(isRunning ? 1 : 30, setNow), [isRunning]);
  useEffect(() => { setNow(Date.now()); if (query) setScrollTo({ top: true }); selection.clear(); }, [query]);

  const filter = (condition, isExcluded) => change({ filter: joined(params.filter, isExcluded ? `NOT ${condition}` : condition) });
  const order = (column) => {
    const [field, direction] = (params.order ?? "timestamp DESC").split(" ");
    const next = column.order !== field ? "DESC" : direction === "DESC" ? "ASC" : null;
    const text = next && `${column.order} ${next}`;
    change({ order: text === "timestamp DESC" ? null : text });
  };
  const step = (by) => {
    const to = Math.min(Math.max(index + by, 0), rows.length - 1);
    if (!rows[to] || to === index) return;
    if (openId) open(rows[to]);
    else setCursor(rows[to].trace_id);
    setScrollTo({ index: to });
  };
  useKeys({
    "j": () => step(1), "k": () => step(-1), "ArrowDown": () => step(1), "ArrowUp": () => step(-1),
    "Enter": (event) => (event.target.closest("button, a, input") ? false : rows[index] && open(rows[index])),
    "o": () => rows[index] && open(rows[index]),
    "x": () => rows[index] && selection.toggle(rows, index, false),
    "X": () => rows[index] && selection.toggle(rows, index, true),
    "/": () => { input.current.focus(); input.current.select(); },
    "c": () => { if (selection.ids.size === 2) { const [left, right] = selection.ids; go(address("compare", [], { left, right })); } },
    "p": () => setPaused((is) => !is),
    "Escape": () => (selection.ids.size > 0 || selection.isAll ? selection.clear() : false),
  }, openId === null);

  // Widths that are being dragged are not in the address yet.
  const [dragged, setDragged] = useState(null);
  const choice = useMemo(() => dragged ?? chosen(params.columns), [dragged, params.columns]);
  const choose = (next) => { setDragged(null); change({ columns: written(next) }, { replace: true }); };
  const setWidth = (id, width, isDone) => {
    const widths = { ...choice.widths };
    if (width === null) delete widths[id];
    else widths[id] = width;
    if (isDone) choose({ ...choice, widths });
    else setDragged({ ...choice, widths });
  };
  const isUsual = choice.ids === DEFAULT || choice.ids.join() === DEFAULT.join();
  const columns = useMemo(() => shown(choice, rows, !isUsual), [choice, rows, isUsual]);
  const slowest = useMemo(() => usuallySlowest(rows), [rows]);

  const isWrong = error?.kind === "InvalidQuery";
  const isNarrowed = ASKED.some((name) => name !== "order" && params[name]);
  const isEmpty = !isLoading && !error && rows.length === 0;
  return html`<div class="al-list" inert=${openId !== null}>
    <div class="al-toolbar">
      <${Views} params=${params} />
      <${FilterBar} value=${params.filter ?? ""} inputRef=${input} error=${isWrong ? error : null} onApply=${(text) => (text === (params.filter ?? "") ? traces.load() : change({ filter: text }))} />
      ${params.run && html`<button class="al-button" title="All runs" onClick=${() => change({ run: null })}>run ${params.run.slice(0, 12)} ✕</button>`}
      <${Experiments} value=${params.experiment ?? ""} />
      <${TimeRange} params=${params} onChange=${change} />
      <${ColumnMenu} choice=${choice} onChange=${choose} />
      <button class=${`al-button al-live ${isPaused ? "al-paused" : isAway ? "al-away" : ""}`} aria-pressed=${!isPaused} title=${isPaused ? "Show new traces as they arrive (p)" : isAway ? "The server does not answer; the page tries again by itself. Pause (p)" : "New traces show as they arrive. Pause (p)"}
        onClick=${() => { if (isPaused) traces.load(); setPaused(!isPaused); }}><span class="al-live-dot" aria-hidden="true" />${isPaused ? "Paused" : isAway ? "Server away" : "Live"}</button>
    </div>
    ${selection.isAll || selection.ids.size > 0
      ? html`<${BulkBar} selection=${selection} query=${query} count=${count} rows=${rows}
          onGone=${(ids) => (ids === null ? traces.load() : traces.edit((row) => !ids.has(row.trace_id) && row))}
          onTagged=${(ids, set, removed) => traces.edit((row) => (ids === null || ids.has(row.trace_id) ? { ...row, tags: retagged(row.tags, set, removed) } : row))} />`
      : html`<div class="al-summary"><span aria-live="polite">${isWrong ? "" : summary(count, rows, isLoading)}</span>
          ${traces.fresh > 0 && html`<button class="al-fresh" onClick=${() => (params.order ? change({ order: null }) : traces.load())}>${traces.fresh >= 100 ? "100+" : traces.fresh} new – show</button>`}</div>`}
    ${error && !isWrong && html`<div class="al-alert" role="alert">${error.message} <button class="al-link" onClick=${traces.load}>Try again</button></div>`}
    <${Table} rows=${rows} columns=${columns} selected=${selection.ids} isAllSelected=${selection.isAll} cursor=${at} order=${params.order} now=${now}
      slowest=${slowest} empty=${isEmpty && (isNarrowed ? html`<${NoMatch} params=${params} />` : html`<${NoTraces} health=${health} />`)}
      isDim=${(isLoading && query === null) || (isLoading && rows.length > 0 && traces.token === null)} scrollTo=${scrollTo} hrefOf=${hrefOf} onOpen=${open} onFilter=${filter}
      onOrder=${order} onWidth=${setWidth} onMore=${traces.more} onTop=${setAtTop}
      onSelect=${(info, place, isRange) => { setCursor(info.trace_id); selection.toggle(rows, place, isRange); }}
      onSelectLoaded=${(isOn) => selection.loaded(rows, isOn)} onTouch=${loadTrace} />
    </div>
    ${openId && Trace && html`<${Trace} traceId=${openId} route=${route} info=${rows[index] ?? null} place=${index} count=${count}
      onStep=${step} hasNext=${index >= 0 && index < rows.length - 1} hasPrevious=${index > 0} onClose=${close}
      onChange=${(info) => traces.edit((row) => (row.trace_id === info.trace_id ? { ...row, ...info } : row))}
      onGone=${() => { traces.edit((row) => row.trace_id !== openId && row); close(); }} />`}`;
}

// Bars are drawn against the slowest but for a few: one that took hours would make all others invisible.
function usuallySlowest(rows) {
  const took = rows.filter((row) => row.end_time_ns !== null).map((row) => row.end_time_ns - row.start_time_ns).sort((a, b) => a - b);
  return Math.max(took[Math.floor((took.length - 1) * HIGH)] ?? 1, 1);
}

function retagged(tags, set, removed) {
  const next = { ...tags, ...set };
  for (const key of removed) delete next[key];
  return next;
}

// {count, is_exact} of a query; counted after its first page is shown, and when something changed.
function useCount(query, version) {
  const [count, set] = useState(null);
  useEffect(() => { set(null); }, [query]);
  useEffect(() => {
    if (!query) return undefined;
    const aborter = new AbortController();
    const { order_by, ...asked } = query;
    get("count", asked, aborter.signal).then(set, () => {});
    return () => aborter.abort();
  }, [query, version]);
  return count;
}

function summary(count, rows, isLoading) {
  if (count) return count.is_exact ? counted(count.count, "trace") : `${number(count.count)}+ traces`;
  return isLoading && rows.length === 0 ? "Loading…" : "";
}

function Experiments({ value }) {
  const [known, set] = useState([]);
  useEffect(() => { get("values", { field: "experiment", limit: 200 }).then((found) => set(found.values), () => {}); }, []);
  if (known.length < 2 && !value) return null;
  return html`<select class="al-select" aria-label="Experiment" value=${value} onChange=${(event) => change({ experiment: event.target.value })}>
    <option value="">All experiments</option>
    ${[...new Set([...known, value].filter(Boolean))].map((name) => html`<option value=${name}>${name}</option>`)}
  </select>`;
}

function ColumnMenu({ choice, onChange }) {
  const toggle = (id, isOn) => {
    const ids = isOn ? [...choice.ids, id] : choice.ids.filter((one) => one !== id);
    if (ids.length > 0) onChange({ ...choice, ids: COLUMNS.map((column) => column.id).filter((one) => ids.includes(one)) });
  };
  return html`<${Menu} label="Columns ▾" title="Which columns are shown" side="right">${(close) => html`
    ${COLUMNS.map(({ id, title }) => html`
      <label class="al-item"><input type="checkbox" checked=${choice.ids.includes(id)} onChange=${(event) => toggle(id, event.target.checked)} /> ${title}</label>`)}
    <${Item} className="al-muted" onClick=${() => { onChange({ ids: DEFAULT, widths: {} }); close(); }}>The usual ones<//>`}<//>`;
}

function Views({ params }) {
  const [isSaving, setSaving] = useState(false);
  const [, update] = useState(0);
  const kept = Object.fromEntries([...ASKED, "columns"].map((name) => [name, params[name] ?? null]));
  return html`<${Menu} label=${html`<span aria-hidden="true">☆</span> Views`} title="Saved views">${(close) => html`
      <${Item} onClick=${() => { go(address("traces")); close(); }}>All traces<//>
      <${Item} onClick=${() => { go(address("traces", [], { filter: "errors > 0" })); close(); }}>With errors<//>
      <${Item} onClick=${() => { go(address("traces", [], { order: "duration DESC" })); close(); }}>Slowest<//>
      <${Item} onClick=${() => { go(address("traces", [], { order: "cost DESC" })); close(); }}>Dearest<//>
      ${savedViews().map((view) => html`<span class="al-item-pair" key=${view.name}>
        <${Item} onClick=${() => { go(address("traces", [], view.params)); close(); }}>${view.name}<//>
        <button class="al-quiet" aria-label=${`Forget ${view.name}`} title="Forget" onClick=${() => { forgetView(view.name); update((n) => n + 1); }}>✕</button></span>`)}
      <${Item} className="al-muted" onClick=${() => { setSaving(true); close(); }}>Save this view…<//>`}<//>
    ${isSaving && html`<${Dialog} title="Save this view" onClose=${() => setSaving(false)}>
      <form onSubmit=${(event) => { event.preventDefault(); saveView(event.target.elements.name.value.trim(), kept); setSaving(false); }}>
        <p class="al-muted al-mono">${meant(params.filter ?? "") || "all traces"}</p>
        <p class="al-fields"><input class="al-input" name="name" aria-label="Name" placeholder="name" required autofocus /><button class="al-button al-main">Save</button></p>
      </form><//>`}`;
}

function NoMatch({ params }) {
  const isTimed = params.range || params.since || params.until;
  const words = eachWord(params.filter ?? "");
  return html`<div class="al-empty"><h2>No trace meets this.</h2>
    ${params.filter && html`<p class="al-mono">${meant(params.filter)}</p>`}
    <p>${params.filter && html`<button class="al-button" onClick=${() => change({ filter: null })}>Clear the filter</button>`}
      ${words && html` <button class="al-button" onClick=${() => change({ filter: words })}>Search for each word by itself</button>`}
      ${isTimed && html` <button class="al-button" onClick=${() => change({ range: null, since: null, until: null })}>Search all time</button>`}
      ${(params.experiment || params.run) && html` <button class="al-button" onClick=${() => change({ experiment: null, run: null })}>All experiments</button>`}</p></div>`;
}

function NoTraces({ health }) {
  return html`<div class="al-empty"><h2>No traces yet</h2>
    <p>Run a program with these two lines, and its calls show here as they are made:</p>
    <pre class="al-code">from autolog import autolog${"\n"}autolog()</pre>
    ${health && html`<p>They are read from <span class="al-mono">${health.store}</span>.</p>`}
    <p>To look around first: <span class="al-mono">autolog demo</span></p></div>`;
}
