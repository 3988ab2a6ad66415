// One trace, over the list that it was opened from: the viewer, and what can be done with the trace.
import { html, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../viewer/preact.js";
import { download, get, getText, part, post } from "../base/api.js";
import { number } from "../base/formats.js";
import { tellKeys, useKeys } from "../base/keys.js";
import { useChanges } from "../base/live.js";
import { notify, tried } from "../base/notice.js";
import { address, change, go, permanent } from "../base/router.js";
import { DatasetDialog } from "../parts/datasets-dialog.js";
import { DeleteDialog } from "../parts/dialog.js";
import { Assessments, AssessmentDialog, thumb } from "../parts/feedback.js";
import { Bad, Good } from "../parts/thumbs.js";
import { Item, Menu } from "../parts/menu.js";
import { KEYS, mount, unmount } from "../viewer/viewer.js";

const SPAN_ID = 0;
const SPAN_NAME = 2;

// `place` is where it is in the list, or -1; onStep(by) goes to the next; onChange(info) tells the list, onGone() that it is deleted.
export function Trace({ traceId, route, place, count, hasNext, hasPrevious, onStep, onClose, onChange, onGone }) {
  const [found, setFound] = useState(null);
  const [error, setError] = useState(null);
  const [open, setOpen] = useState(null);
  const spanId = route.params.span ?? null;
  const current = useRef(traceId);
  current.current = traceId;
  const load = useCallback(async () => {
    try {
      const trace = await get(`traces/${part(traceId)}`);
      if (current.current !== traceId) return;
      setFound(trace);
      setError(null);
      onChange(trace.info);
    } catch (problem) {
      if (current.current === traceId) setError(problem);
    }
  }, [traceId]);
  useEffect(() => { setOpen(null); load(); }, [load]);
  const isRunning = found?.info.state === "IN_PROGRESS";
  useChanges(load, isRunning || found === null);

  const isFull = route.params.full === "1";
  const here = () => permanent(address("traces", [traceId], { span: spanId }));
  const copy = (what, text) => navigator.clipboard.writeText(text).then(
    () => notify(`Copied ${what}.`), () => notify(`The browser lets nothing be copied here: ${text}`, { isError: true }));
  const info = found?.info.trace_id === traceId ? found.info : null;
  useEffect(() => tellKeys(KEYS), []);
  const nameOf = (id) => found?.spans.find((row) => row[SPAN_ID] === id)?.[SPAN_NAME] ?? id;
  const say = async (value, span = null) => { if (info && (await thumb(info, value, span))) await load(); };
  const dialog = (name, more) => setOpen({ name, ...more });
  const shut = () => setOpen(null);
  useKeys({
    "Escape": onClose, "j": () => onStep(1), "k": () => onStep(-1), "J": () => onStep(1), "K": () => onStep(-1),
    "+": () => { say(true); }, "-": () => { say(false); },
    "f": () => { if (info) dialog("say", { one: { kind: "feedback", span_id: spanId } }); },
    "y": () => { copy("the link", here()); },
    "w": () => change({ full: isFull ? null : "1" }, { replace: true }),
  }, open === null);

  const ids = () => Promise.resolve([traceId]);
  const dialogs = {
    say: () => html`<${AssessmentDialog} info=${info} one=${open.one} spanName=${open.one.span_id && nameOf(open.one.span_id)} onClose=${shut}
      onDone=${() => { shut(); load(); }} />`,
    delete: () => html`<${DeleteDialog} label="this trace" onClose=${shut} onDelete=${async () => {
      if (await tried(() => post("traces/delete", { trace_ids: [traceId] }), "Deleted the trace.")) { shut(); onGone(); }
    }} />`,
    dataset: () => html`<${DatasetDialog} label="this trace" onClose=${shut} ids=${ids} />`,
  };
  return html`
    <div class="al-shade" onClick=${onClose} />
    <section class=${`al-drawer ${isFull ? "al-full" : ""}`} role="dialog" aria-label="Trace">
      <header class="al-drawer-bar">
        <button class="al-quiet" title="Close (Escape)" aria-label="Close" onClick=${onClose}>✕</button>
        <button class="al-quiet" title="Previous trace (K)" aria-label="Previous trace" disabled=${!hasPrevious} onClick=${() => onStep(-1)}>↑</button>
        <button class="al-quiet" title="Next trace (J)" aria-label="Next trace" disabled=${!hasNext} onClick=${() => onStep(1)}>↓</button>
        ${place >= 0 && html`<span class="al-muted al-place">${number(place + 1)}${count && ` of ${number(count.count)}${count.is_exact ? "" : "+"}`}</span>`}
        <button class="al-quiet al-mono al-id" title="Copy the id" onClick=${() => copy("the id", traceId)}>${traceId}</button>
        <span class="al-space" />
        <button class="al-quiet al-writes" title="Good (+)" aria-label="Good" onClick=${() => say(true)}><${Good} /></button>
        <button class="al-quiet al-writes" title="Bad (-)" aria-label="Bad" onClick=${() => say(false)}><${Bad} /></button>
        <button class="al-button al-writes" title="Feedback, or what was expected (f)" disabled=${!info} onClick=${() => dialog("say", { one: { kind: "feedback", span_id: spanId } })}>Feedback…</button>
        <button class="al-button al-roomy" title="Copy the link (y)" onClick=${() => copy("the link", here())}>Copy link</button>
        <${Menu} label="More ▾" side="right">${(close) => {
          const item = (title, action, more) => html`<${Item} ...${more} onClick=${() => { close(); action(); }}>${title}<//>`;
          return html`
            ${item("Save as a page (HTML)", () => download(`traces/${part(traceId)}/html`, {}, `trace-${traceId}.html`))}
            ${item("Save as JSON", () => download(`traces/${part(traceId)}/data`, {}, `trace-${traceId}.json`))}
            ${item("Copy the link", () => copy("the link", here()))}
            ${item("Copy the id", () => copy("the id", traceId))}
            ${item("Add to a dataset…", () => dialog("dataset"), { className: "al-writes" })}
            ${info?.session && item("Other traces of the session", () => go(address("traces", [], { filter: `session = '${info.session.replaceAll("'", "''")}'` })))}
            ${item("Compare with the previous", () => compare(traceId, info), { disabled: !info })}
            ${item("Delete…", () => dialog("delete"), { className: "al-danger al-writes" })}`;
        }}<//>
        <button class="al-quiet al-wide" title=${isFull ? "Beside the list (w)" : "The whole page (w)"} aria-label="Whole page" aria-pressed=${isFull}
          onClick=${() => change({ full: isFull ? null : "1" }, { replace: true })}>⤢</button>
      </header>
      ${info && html`<div class="al-strip">
        <${Tags} info=${info} onDone=${load} />
        <${Assessments} info=${info} spanName=${nameOf} onOpen=${(one) => dialog("say", { one })} onSpan=${(span) => change({ span }, { replace: true })} />
      </div>`}
      ${error && html`<div class="al-alert" role="alert">${error.message}</div>`}
      <${Viewer} found=${found} traceId=${traceId} spanId=${spanId} isFailed=${error !== null} act=${{
        spanActions: (span) => span.parent !== -1 && html`<span class="al-thumbs al-writes">
          <button class="al-quiet" title="This span is good" aria-label=${`${span.name} is good`} onClick=${() => say(true, span.id)}><${Good} /></button>
          <button class="al-quiet" title="This span is bad" aria-label=${`${span.name} is bad`} onClick=${() => say(false, span.id)}><${Bad} /></button></span>`,
        annotations: (span) => info?.assessments.some((one) => one.span_id === span.id) && html`<div class="al-said-here">
          <${Assessments} info=${{ ...info, assessments: info.assessments.filter((one) => one.span_id === span.id) }} onOpen=${(one) => dialog("say", { one })} /></div>`,
      }} />
      ${open && dialogs[open.name]()}
    </section>`;
}

// The trace of the same name that was before this one.
async function compare(traceId, info) {
  const filter = `name = '${info.name.replaceAll("'", "''")}'`;
  await tried(async () => {
    const before = await get("traces", { filter, until: String(BigInt(info.start_time_ns)), limit: 2 });
    const other = before.traces.find((one) => one.trace_id !== traceId);
    if (!other) throw new Error(`There is no ${info.name} before this one.`);
    go(address("compare", [], { left: other.trace_id, right: traceId }));
  });
}

function Viewer({ found, traceId, spanId, isFailed, act }) {
  const place = useRef(null);
  const held = useRef(act);
  held.current = act;
  const isHere = found?.info.trace_id === traceId;
  const host = useMemo(() => {
    const path = `traces/${part(traceId)}/spans`;
    return {
      detail: (span) => get(`${path}/${part(span)}`),
      text: (span, pointer) => getText(`${path}/${part(span)}/text`, { pointer }),
      onSelect: (span) => change({ span }, { replace: true }),
      addressOf: (trace, span) => address("traces", [trace], { span }),
      spanActions: (span) => held.current.spanActions(span),
      annotations: (span) => held.current.annotations(span),
      hasHelp: true,
      selected: spanId,
    };
    // A new host is a new span, or what is said of the spans has changed.
  }, [traceId, spanId, found]);
  useLayoutEffect(() => { if (isHere) mount(place.current, found, host); }, [isHere, found, host]);
  useEffect(() => { const element = place.current; return () => unmount(element); }, []);
  return html`<div class="al-viewer" aria-busy=${!isHere && !isFailed} ref=${place} />`;
}

function Tags({ info, onDone }) {
  const [edited, setEdited] = useState(null);
  const send = async (set, remove) => {
    if (await tried(() => post("traces/tags", { trace_ids: [info.trace_id], set, remove }))) { setEdited(null); onDone(); }
  };
  const submit = (event) => {
    event.preventDefault();
    const { key, value } = Object.fromEntries(new FormData(event.target));
    const renamed = edited.key && edited.key !== key ? [edited.key] : [];
    send({ [key.trim()]: value }, renamed);
  };
  return html`
    ${Object.entries(info.tags).map(([key, value]) => html`
      <span class="al-chip al-tag" key=${key}><button class="al-link-plain" title="Change the tag" onClick=${() => setEdited({ key, value })}><span class="al-muted">${key}</span> ${value}</button>
        <button class="al-x al-writes" aria-label=${`Take ${key} away`} title="Take away" onClick=${() => send({}, [key])}>✕</button></span>`)}
    ${edited ? html`<form class="al-tag-form" onSubmit=${submit} onKeyDown=${(event) => { if (event.key === "Escape") { event.stopPropagation(); setEdited(null); } }}>
        <input class="al-input" name="key" aria-label="Tag" placeholder="tag" required autofocus=${!edited.key} ref=${(box) => box && !edited.key && !edited.isSeen && (edited.isSeen = true) && box.focus()} defaultValue=${edited.key ?? ""} />
        <input class="al-input" name="value" aria-label="Value" placeholder="value" defaultValue=${edited.value ?? ""} ref=${(box) => box && edited.key && !edited.isSeen && (edited.isSeen = true) && box.select()} />
        <button class="al-button">Set</button></form>`
      : html`<button class="al-chip al-add al-writes" title="Add a tag" onClick=${() => setEdited({})}>+ tag</button>`}`;
}
