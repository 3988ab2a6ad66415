// The panel of the chosen span: its figures, what failed, and all that is known of it.
import { html, useEffect, useMemo, useRef, useState } from "./preact.js";
import { Chat, Value, isText } from "./chat.js";
import { CopyButton } from "./copy.js";
import { Documents } from "./documents.js";
import { Fields } from "./fields.js";
import { counted, duration, localTime, money, number } from "./formats.js";
import { Drawing, IconButton, TextButton, TypeIcon, typeTitle } from "./icons.js";
import { JsonTree } from "./json.js";
import { Marked, shownText } from "./marks.js";
import { Paged } from "./more.js";
import { Prose } from "./prose.js";
import { Stack } from "./stack.js";
import { decoded } from "./texts.js";
import { Viewing } from "./viewing.js";

const PATIENCE_MS = 60;

// What is known of a span: {detail, isLoading, error, retry}. `known` is what the document has, or what was got before.
export function useDetail(span, known, keep, host) {
  const [state, setState] = useState({ id: null });
  const [attempt, setAttempt] = useState(0);
  // A running span's is asked for again when something of its line has changed.
  const version = `${span.id} ${span.status} ${span.took} ${span.inputTokens}`;
  const isKnown = known !== null && (known.version === undefined || known.version === version);
  useEffect(() => {
    if (isKnown || !host?.detail) return undefined;
    let isWanted = true;
    const timer = setTimeout(async () => {
      try {
        const found = await host.detail(span.id);
        keep(span.id, { ...found, version });
        if (isWanted) setState({ id: span.id });
      } catch (error) {
        if (isWanted) setState({ id: span.id, error: error.message });
      }
    }, PATIENCE_MS);
    return () => {
      isWanted = false;
      clearTimeout(timer);
    };
  }, [version, isKnown, attempt]);
  const detail = useMemo(() => (known ? decoded(known.detail, known.texts) : null), [known]);
  const error = state.id === span.id && !isKnown ? state.error : undefined;
  return { detail, isLoading: !isKnown && Boolean(host?.detail) && !error, error, retry: () => { setState({ id: null }); setAttempt(attempt + 1); } };
}

/** `choose(id)` chooses another span; `tab` and `isPlain` are kept by the viewer, for they outlive the span. */
export function Panel({ tree, span, trace, found, host, query, tab, setTab, isPlain, setPlain, choose, close }) {
  const { detail, isLoading, error, retry } = found;
  const body = useRef(null);
  const assessments = (trace.info.assessments ?? []).filter((one) => one.valid && (one.span_id === span.id || (one.span_id === null && span.parent === -1)));
  const tabs = tabsOf(detail, span, trace);
  const current = tabs.find(({ name }) => name === tab) ?? tabs[0];
  useEffect(() => { if (body.current) body.current.scrollTop = 0; }, [span.id, current.name]);
  const viewing = useMemo(() => ({ host, traceId: trace.info.trace_id, spanId: span.id, query: query.trim().toLowerCase(), isPlain }), [host, trace.info.trace_id, span.id, query, isPlain]);
  return html`<${Viewing.Provider} value=${viewing}>
    <header class="tv-head">
      <div class="tv-title">${close && html`<${IconButton} name="back" title="Back to the tree (Esc)" act=${close} />`}
        <${TypeIcon} type=${span.type} /><h2 title=${shownText(span.name)}><${Marked} text=${span.name} query=${viewing.query} /></h2>
        <${StatusBadge} status=${span.isRunning ? "IN_PROGRESS" : span.status} />
        ${host?.spanActions?.(span)}</div>
      <${Figures} span=${span} />
    </header>
    <div class="tv-tabs" role="tablist" aria-label="What to show">
      ${tabs.map(({ name, title, count }) => html`<button key=${name} role="tab" aria-selected=${name === current.name} onClick=${() => setTab(name)}>${title}${count > 0 && html`<small>${number(count)}</small>`}</button>`)}
      <span class="tv-grow" />
      <button class="tv-quiet tv-form" title=${isPlain ? "Texts are shown as they are" : "Markdown is shown formatted, JSON unpacked"} aria-pressed=${!isPlain} onClick=${() => setPlain(!isPlain)}>${isPlain ? "Plain" : "Formatted"}</button>
    </div>
    <div class="tv-body" ref=${body} tabindex="0" role="tabpanel" aria-busy=${isLoading}>
      <${Failure} ...${{ tree, span, trace, detail, choose }} />
      ${host?.annotations?.(span)}
      ${!host?.annotations && assessments.length > 0 && html`<${Assessments} assessments=${assessments} />`}
      ${error && html`<div class="tv-failure"><b>What is known of this span could not be got: ${error}</b> <${TextButton} act=${retry}>Try again<//></div>`}
      ${detail === null && !error && html`<p class="tv-muted">${isLoading ? "…" : `What went in and came out is not here: al.get_trace("${trace.info.trace_id}") has all.`}</p>`}
      ${(detail !== null || current.isTrace) && html`<div key=${`${span.id} ${current.name}`}>${current.draw(viewing)}</div>`}
    </div>
  <//>`;
}

const STATES = { OK: "OK", ERROR: "Error", CANCELLED: "Cancelled", IN_PROGRESS: "Running", UNSET: "Unset" };

export function StatusBadge({ status }) {
  return html`<span class=${`tv-status tv-s-${STATES[status] ?? "Unset"}`}>${STATES[status] ?? shownText(status)}</span>`;
}

function Figures({ span }) {
  const { inputTokens, outputTokens, took, firstToken } = span;
  const rate = outputTokens > 0 && took - (firstToken ?? 0) > 0 ? (outputTokens * 1e9) / (took - (firstToken ?? 0)) : null;
  const figures = [
    ["Time", span.isRunning ? "running" : duration(took), span.end > span.at + 1 && took ? `${duration(span.own)} without the spans below` : undefined],
    ["Began", `+${duration(span.start)}`, "Since the start of the trace"],
    ["First token", duration(firstToken), "From the start to the first piece of the answer"],
    ["Tokens", span.isSum ? number(span.tokens) : `${number(inputTokens ?? 0)} → ${number(outputTokens ?? 0)}`, span.isSum ? "Of the spans below" : rate === null ? "In and out" : `In and out; ${rate.toFixed(rate < 10 ? 1 : 0)} a second`],
    ["Cost", money(span.spent)],
    ["Model", span.model && shownText(span.model)],
  ];
  return html`<dl class="tv-figures">${figures.filter(([, text]) => text).map(([name, text, title]) => html`<div key=${name} title=${title}><dt>${name}</dt><dd>${text}</dd></div>`)}</dl>`;
}

// What failed: here, with the stack, or in a span below, which the way leads to.
function Failure({ tree, span, trace, detail, choose }) {
  if (!span.isFailed && span.failedBelow === 0) return null;
  const below = span.failedBelow > 0 ? deepestFailure(tree, span) : null;
  const link = below && html`<${TextButton} act=${() => choose(below.id)}>${shownText(below.name)} →<//>`;
  if (!span.isFailed) return html`<div class="tv-failure tv-mild">${counted(span.failedBelow, "span")} below failed: ${link}</div>`;
  const error = detail?.error;
  const message = detail?.description ?? (span.parent === -1 ? trace.info.error : null) ?? span.errorType ?? "It failed.";
  const isSaid = typeof message === "string" && error?.type && message.includes(error.type.split(".").at(-1));
  return html`<div class="tv-failure" role="alert">
    <div class="tv-message"><${Drawing} name="error" /><div>${error?.type && !isSaid && html`<b>${shownText(error.type)} </b>`}<${Prose} value=${message} form="code" fold=${800} lines=${10} /></div>
      <${CopyButton} get=${() => [message.text ?? message, error?.stack?.text ?? error?.stack].filter(Boolean).join("\n\n")} label="" title="Copy" /></div>
    ${link && html`<div>It came from ${link}</div>`}
    ${hasFrames(error?.stack) && html`<${Stack} stack=${String(error.stack.text ?? error.stack)} />`}
  </div>`;
}

const hasFrames = (stack) => /^ {2}File "/m.test(stack?.text ?? stack ?? "");

function deepestFailure(tree, span) {
  let found = null;
  for (let at = span.at + 1; at < span.end; at += 1) {
    const one = tree.spans[at];
    if (one.isFailed && (!found || (one.depth > found.depth && one.at < found.end))) found = one;
  }
  return found;
}

function Assessments({ assessments }) {
  return html`<div class="tv-assessments">${assessments.slice(0, 100).map((one) => html`<div key=${one.assessment_id} title=${shownText(`${one.source?.source_type ?? ""} ${one.source?.source_id ?? ""}`)}>
    <b>${shownText(one.name)}</b> <span class=${`tv-badge${one.value === false ? " tv-warn" : ""}`}>${one.kind === "expectation" && "expected: "}${shownText(assessed(one))}</span>
    ${one.rationale && html` <span class="tv-muted">${shownText(one.rationale)}</span>`}</div>`)}</div>`;
}

const assessed = ({ value, error }) => (error ? `error: ${error}` : value === true ? "yes" : value === false ? "no" : typeof value === "object" ? JSON.stringify(value) : String(value));

// --- tabs ---

function tabsOf(detail, span, trace) {
  const has = detail ?? {};
  const tabs = [];
  if (has.chat) tabs.push({ name: "main", title: "Chat", draw: () => html`<${Chat} chat=${has.chat} />` });
  else if (has.documents) tabs.push({ name: "main", title: "Documents", count: has.documents.length, draw: ({ query }) => html`<${InputsOf} value=${has.inputs} title="Query" /><${Documents} documents=${has.documents} query=${query} />` });
  else if (has.embeddings) tabs.push({ name: "main", title: "Embeddings", draw: () => html`<${Embeddings} found=${has.embeddings} />` });
  else tabs.push({ name: "main", title: has.tool ? "Tool" : "Inputs & outputs", draw: () => html`<${InAndOut} detail=${has} span=${span} />` });
  tabs.push({ name: "figures", title: "Details", draw: () => html`<${Details} detail=${has} span=${span} />` });
  if (has.events) tabs.push({ name: "events", title: "Events", count: has.events.length, draw: () => html`<${Events} events=${has.events} />` });
  tabs.push({ name: "json", title: "JSON", draw: () => html`<${JsonTree} value=${{ inputs: has.inputs ?? null, outputs: has.outputs ?? null, attributes: has.attributes ?? {}, ...(has.events && { events: has.events }) }} isTall />` });
  if (span.parent === -1) tabs.push({ name: "trace", title: "Trace", isTrace: true, draw: () => html`<${TraceLabels} info=${trace.info} />` });
  return tabs;
}

function Section({ title, children }) {
  return html`<section class="tv-section"><h3>${title}</h3>${children}</section>`;
}

// Names beside their values; where there are none, nothing.
function Table({ title, value }) {
  if (Object.keys(value ?? {}).length === 0) return null;
  const fields = html`<${Fields} value=${value} isTable />`;
  return title ? html`<${Section} title=${title}>${fields}<//>` : fields;
}

function InputsOf({ value, title }) {
  if (value === undefined) return null;
  const only = soleText(value);
  return only ? html`<${Section} title=${only.toLowerCase() === title.toLowerCase() ? title : `${title} · ${shownText(only)}`}><${Value} value=${value[only]} /><//>` : html`<${Section} title=${title}><${Fields} value=${value} /><//>`;
}

// The name of the one text that is all there is.
function soleText(value) {
  const names = value !== null && typeof value === "object" && !Array.isArray(value) && !isText(value) ? Object.keys(value) : [];
  return names.length === 1 && names[0].length < 40 && isText(value[names[0]]) ? names[0] : null;
}

function InAndOut({ detail, span }) {
  const { tool } = detail;
  const isEmpty = detail.inputs === undefined && detail.outputs === undefined;
  return html`${tool && (tool.description || tool.name !== span.name) && html`<p class="tv-told"><b><${Marked} text=${tool.name} /></b> ${tool.description && html`<${Prose} value=${tool.description} fold=${300} />`}</p>`}
    <${InputsOf} value=${detail.inputs} title=${tool ? "Arguments" : "Inputs"} />
    <${InputsOf} value=${detail.outputs} title=${tool ? "Result" : "Outputs"} />
    ${isEmpty && html`<p class="tv-muted">${span.isRunning ? "It is still running." : "Nothing was recorded of what went in and came out."}</p>`}`;
}

function Embeddings({ found }) {
  const { texts = [], count, dimension, first } = found;
  return html`<p class="tv-told">${[count !== undefined && counted(count, "vector"), dimension && `${number(dimension)} dimensions`].filter(Boolean).join(" of ") || "No vectors were kept."}</p>
    ${first && html`<p class="tv-mono tv-muted">[${first.map((one) => (typeof one === "number" ? one.toPrecision(4) : "")).join(", ")}, …]</p>`}
    ${texts.length > 0 && html`<${Section} title=${counted(texts.length, "text")}><${Paged} items=${texts} page=${10} noun="text" draw=${(text) => html`<article class="tv-document"><${Value} value=${text} fold=${400} lines=${5} /></article>`} /><//>`}`;
}

// In the order in which they are parts of each other.
const USAGE = `input cache_read cache_write input_text input_audio input_image output reasoning output_text output_audio output_image
  accepted_prediction rejected_prediction total`.split(/\s+/);
const WHOLE_COUNTS = new Map([["input", "Input"], ["output", "Output"], ["total", "Total"]]);

function Usage({ usage = {}, cost }) {
  const counts = USAGE.map((name) => [name, usage[`${name}_tokens`], WHOLE_COUNTS.has(name) ? cost?.[name] : undefined]);
  const most = Math.max(...counts.map(([, count]) => Number(count ?? 0)), 1);
  return html`<table class="tv-usage"><tbody>${counts.filter(([, count, spent]) => count !== undefined || spent !== undefined).map(([name, count, spent]) => html`<tr key=${name} class=${WHOLE_COUNTS.has(name) ? "" : "tv-part"}>
    <th>${WHOLE_COUNTS.get(name) ?? name.replaceAll("_", " ")}</th><td class="tv-meter"><i style=${{ width: `${(Number(count ?? 0) / most) * 100}%` }} /></td><td>${number(count)}</td><td>${money(spent)}</td></tr>`)}
    ${usage.seconds !== undefined && html`<tr><th>Audio</th><td /><td>${usage.seconds} s</td><td /></tr>`}</tbody></table>`;
}

function Details({ detail, span }) {
  const { parameters, usage, cost, attributes, links } = detail;
  return html`
    ${(usage || cost) && html`<${Section} title="Tokens and cost"><${Usage} usage=${usage} cost=${cost} />${usage?.raw && html`<details><summary>As the provider said it</summary><${JsonTree} value=${usage.raw} /></details>`}<//>`}
    <${Table} title="Parameters" value=${parameters} />
    <${Table} title="Attributes" value=${attributes} />
    ${links && html`<${Section} title="Links"><${Paged} items=${links} page=${20} noun="link" draw=${(link) => html`<${LinkTo} link=${link} />`} /><//>`}
    <${Section} title="Span"><${Ids} ids=${{ "Span id": span.id, Type: typeTitle(span.type) === "Step" ? span.type : `${typeTitle(span.type)} (${span.type})` }} /><//>`;
}

function LinkTo({ link }) {
  const { trace_id: traceId, span_id: spanId, attributes } = link;
  return html`<div class="tv-linked"><${Viewing.Consumer}>${({ host }) => {
    const address = host?.addressOf?.(traceId, spanId);
    const text = html`<code>${shownText(traceId)} · ${shownText(spanId)}</code>`;
    return address ? html`<a href=${address}>${text}</a>` : text;
  }}<//> <${CopyButton} get=${() => traceId} label="" title="Copy the trace's id" />
    <${Table} value=${attributes} /></div>`;
}

function Ids({ ids }) {
  return html`<dl class="tv-table">${Object.entries(ids).filter(([, text]) => text).map(([name, text]) => html`<div key=${name}><dt>${name}</dt><dd><bdi>${shownText(text)}</bdi>${/ id$/.test(name) && html`<${CopyButton} get=${() => text} label="" />`}</dd></div>`)}</dl>`;
}

function Events({ events }) {
  return html`<${Paged} items=${events} page=${30} noun="event" draw=${(event) => html`<article class="tv-event"><header><code>+${duration(event.offset_ns === undefined ? 0 : Number(event.offset_ns))}</code> <b><${Marked} text=${event.name} /></b></header>
    <${Table} value=${event.attributes} /></article>`} />`;
}

function TraceLabels({ info }) {
  const took = info.end_time_ns === null ? "" : duration(info.end_time_ns - info.start_time_ns);
  return html`<${Section} title="Trace"><${Ids} ids=${{
    "Trace id": info.trace_id, Began: localTime(info.start_time_ns), Time: took, Experiment: info.experiment, Run: info.run, Session: info.session,
    User: info.user, Version: info.version, "Request id": info.client_request_id,
  }} /><//>
    <${Table} title="Tags" value=${info.tags} />
    <${Table} title="Metadata" value=${info.metadata} />
    ${info.usage && html`<${Section} title="Tokens and cost"><${Usage} usage=${info.usage} cost=${info.cost} /><//>`}`;
}
