// What people and programs say of a trace, and saying it: by a key, or in a form.
import { html, useEffect, useState } from "../viewer/preact.js";
import { get, part, patch, post, remove } from "../base/api.js";
import { absolute, relative } from "../base/formats.js";
import { tried } from "../base/notice.js";
import { Dialog } from "./dialog.js";
import { verdict } from "./verdict.js";

const THUMB = "helpful";
const SOURCES = { HUMAN: "a person", LLM_JUDGE: "a judging model", CODE: "code" };

const SPOKEN = { true: "yes", false: "no", null: "failed" };

// The last name that was judged by thumbs here.
let thumbName = THUMB;

const pathOf = (traceId, id) => `traces/${part(traceId)}/assessments${id ? `/${part(id)}` : ""}`;

// Say that a trace, or a span of it, is good or is not. Saying the same again takes it back.
export async function thumb(info, value, spanId = null) {
  const mine = info.assessments.find((one) => one.valid && one.kind === "feedback" && one.name === thumbName
    && one.span_id === spanId && one.source.source_type === "HUMAN" && typeof one.value === "boolean");
  if (mine?.value === value) return tried(() => remove(pathOf(info.trace_id, mine.assessment_id)), "Taken back.");
  if (mine) return tried(() => patch(pathOf(info.trace_id, mine.assessment_id), { value }));
  const said = { kind: "feedback", name: thumbName, value, ...(spanId && { span_id: spanId }) };
  return tried(() => post(pathOf(info.trace_id), said));
}

function titleOf(one, spanName) {
  const who = SOURCES[one.source.source_type] ?? one.source.source_type;
  const lines = [
    one.kind === "expectation" ? `expected: ${text(one.value)}` : text(one.value), one.rationale, one.error,
    `${one.source.source_id} (${who}), ${relative(one.last_update_time_ns)}`, absolute(one.last_update_time_ns),
    one.span_id && `of the span ${spanName ?? one.span_id}`, !one.valid && "It was overridden.",
  ];
  return lines.filter(Boolean).join("\n");
}

const text = (value) => (typeof value === "string" ? value : value === null ? "" : JSON.stringify(value));

// All that is said, each a button that opens it; with `spanName(id)`, of which span.
export function Assessments({ info, spanName, onOpen, onSpan }) {
  return info.assessments.map((one) => {
    const name = one.span_id && spanName ? spanName(one.span_id) : null;
    const value = one.value === null ? html`<span class="al-error">failed</span>` : verdict(one.value);
    const label = `${one.kind === "expectation" && !/^expected/i.test(one.name) ? "expected " : ""}${one.name}`;
    const spoken = `${label} ${SPOKEN[String(one.value)] ?? text(one.value)}${name ? ` on ${name}` : ""}, ${one.source.source_id}`;
    return html`<button key=${one.assessment_id} class=${`al-chip al-said al-said-${one.kind} ${one.valid ? "" : "al-gone"}`} aria-label=${spoken}
      title=${titleOf(one, name)} onClick=${() => { if (one.span_id) onSpan?.(one.span_id); onOpen(one); }}>
      <span class="al-muted">${label}</span>${" "}${value}<span class="al-muted al-by">${name && `on ${name} · `}${one.source.source_id}</span></button>`;
  });
}

// What somebody types as a value: true, false and numbers are these, all else is text.
function valueIn(typed) {
  const trimmed = typed.trim();
  if (/^(true|yes)$/i.test(trimmed)) return true;
  if (/^(false|no)$/i.test(trimmed)) return false;
  return /^-?(\d+\.?\d*|\.\d+)(e-?\d+)?$/i.test(trimmed) ? Number(trimmed) : typed;
}

const kindOf = (value) => ({ boolean: "yes or no", number: "a number" })[typeof value] ?? "text";

// `one` is what is edited, or {kind, span_id} of something new. `spanName` is that of the span, `onDone` is called after.
export function AssessmentDialog({ info, one, spanName, onClose, onDone }) {
  const isNew = !one.assessment_id;
  const [kind, setKind] = useState(one.kind);
  const [name, setName] = useState(one.name ?? "");
  const [typed, setTyped] = useState(isNew ? "" : text(one.value));
  const [rationale, setRationale] = useState(one.rationale ?? "");
  const [isOfSpan, setOfSpan] = useState(false);
  const [known, setKnown] = useState([]);
  useEffect(() => {
    get("fields").then((found) => {
      const names = found.fields.map((field) => field.name).filter((field) => field.startsWith(`${kind}.`));
      setKnown(names.map((field) => field.slice(kind.length + 1)));
    }, () => {});
  }, [kind]);
  const value = typeof one.value === "object" && one.value !== null && typed === text(one.value) ? one.value : valueIn(typed);
  const save = async (event) => {
    event.preventDefault();
    const said = { value, rationale: rationale.trim() || null };
    const span = isOfSpan ? { span_id: one.span_id } : {};
    const send = () => (isNew ? post(pathOf(info.trace_id), { kind, name: name.trim(), ...said, ...span })
      : patch(pathOf(info.trace_id, one.assessment_id), said));
    if (await tried(send)) {
      if (typeof value === "boolean" && kind === "feedback") thumbName = name.trim();
      onDone();
    }
  };
  const gone = async () => { if (await tried(() => remove(pathOf(info.trace_id, one.assessment_id)), "Deleted.")) onDone(); };
  return html`<${Dialog} title=${isNew ? "What do you say of it?" : one.name} onClose=${onClose}>
    <form class="al-form" onSubmit=${save}>
      ${isNew && html`<p role="radiogroup" aria-label="Kind">
        ${[["feedback", "How good it is"], ["expectation", "What was expected"]].map(([id, title]) => html`
          <label><input type="radio" name="kind" checked=${kind === id} onChange=${() => setKind(id)} /> ${title}</label> `)}</p>
        <label>Name <input class="al-input" required autofocus list="al-names" value=${name} placeholder=${kind === "feedback" ? THUMB : "expected_answer"} onInput=${(event) => setName(event.target.value)} /></label>
        <datalist id="al-names">${known.map((one) => html`<option value=${one} />`)}</datalist>`}
      <label><span>Value <span class="al-muted">${typed && kindOf(value)}</span></span>
        <textarea class="al-input" required rows=${kind === "expectation" ? 4 : 1} autofocus=${!isNew} value=${typed} placeholder=${kind === "feedback" ? "yes, no, a number or a word" : ""} onInput=${(event) => setTyped(event.target.value)}
          onKeyDown=${(event) => { if (event.key === "Enter" && !event.shiftKey && kind === "feedback") { event.preventDefault(); event.target.form.requestSubmit(); } }} /></label>
      <label>Why <textarea class="al-input" rows="3" value=${rationale} onInput=${(event) => setRationale(event.target.value)} /></label>
      ${isNew && one.span_id && html`<label class="al-check"><input type="checkbox" checked=${isOfSpan} onChange=${(event) => setOfSpan(event.target.checked)} /> of the span ${spanName} only</label>`}
      ${!isNew && html`<p class="al-muted">${one.source.source_id} · ${absolute(one.last_update_time_ns)}</p>`}
      <p class="al-actions">${!isNew && html`<button type="button" class="al-button al-danger" onClick=${gone}>Delete</button>`}
        <button class="al-button al-main">${isNew ? "Say it" : "Save"}</button></p>
    </form><//>`;
}
