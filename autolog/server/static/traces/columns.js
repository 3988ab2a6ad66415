// The columns of the list: what each shows of a trace, what it is sorted by, and which filter its values are.
import { html } from "../viewer/preact.js";
import { absolute, compact, counted, duration, moment, money, number, relative } from "../base/formats.js";
import { keyed, quoted } from "../base/query.js";
import { verdict } from "../parts/verdict.js";

const STATES = {
  OK: ["ok", "OK"],
  ERROR: ["error", "Error"],
  IN_PROGRESS: ["running", "In progress"],
  CANCELLED: ["cancelled", "Cancelled"],
};

// A value that filters by itself when it is clicked: `condition` is said by its title, and done by the list.
function Value({ condition, children, className = "" }) {
  const title = `Click: only ${condition}\nAlt-click: all others`;
  return html`<button class=${`al-value ${className}`} tabindex="-1" data-condition=${condition} title=${title}>${children}</button>`;
}

export function Dot({ info }) {
  const [name, title] = STATES[info.state] ?? ["cancelled", info.state];
  const below = info.error_count > 0 ? `, ${counted(info.error_count, "error")}` : "";
  const isWarned = info.state === "OK" && info.error_count > 0;
  return html`<span class=${`al-dot al-dot-${isWarned ? "warned" : name}`} role="img" aria-label=${`${title}${below}`}
    title=${`${title}${below}`} />`;
}

function Output({ info }) {
  if (info.error !== null || info.state === "ERROR") {
    const many = info.error_count > 1 && html`<span class="al-count" title=${counted(info.error_count, "failed span")}>${info.error_count}×</span>`;
    const answer = info.state !== "ERROR" && info.response_preview;
    return html`<span class="al-error" title=${info.error}>${many}${info.error ?? "failed"}</span>
      ${answer && html`<span class="al-muted"> · ${answer}</span>`}`;
  }
  return html`<span title=${info.response_preview}>${info.response_preview}</span>`;
}

function Duration({ info, now, slowest }) {
  const isRunning = info.end_time_ns === null;
  const ns = isRunning ? Math.max(now * 1e6 - info.start_time_ns, 0) : info.end_time_ns - info.start_time_ns;
  const share = isRunning ? 100 : (100 * ns) / slowest;
  return html`<span class=${`al-duration ${isRunning ? "al-muted" : ""}`} title=${isRunning ? "So far" : `${number(ns / 1e6)} ms`}>
    <span class=${`al-length ${isRunning ? "al-running" : ""}`} style=${{ width: `${Math.min(Math.max(share, 2), 100)}%` }} />
    ${duration(ns)}${isRunning ? "…" : ""}</span>`;
}

function tokensTitle({ usage }) {
  if (!usage) return "";
  const parts = Object.entries(usage).filter(([name, value]) => name !== "raw" && typeof value === "number");
  return parts.map(([name, value]) => `${name.replaceAll("_", " ")}: ${number(value)}`).join("\n");
}

export function tokensOf({ usage }) {
  return usage && (usage.total_tokens ?? (usage.input_tokens ?? 0) + (usage.output_tokens ?? 0));
}

// In a narrow column: $0.0013, $1.24.
const dollars = (usd) => (usd === 0 || usd >= 0.01 ? money(usd) : usd < 0.0001 ? "<$0.0001" : `$${usd.toFixed(4)}`);

function Tags({ info }) {
  return Object.entries(info.tags).map(([key, value]) => html`
    <${Value} condition=${`${keyed("tags", key)} = ${quoted(value)}`} className="al-chip"><span class="al-muted">${key} </span>${value}<//>`);
}

const literal = (value) => (typeof value === "number" || typeof value === "boolean" ? String(value) : quoted(value));

function Feedback({ info }) {
  return info.assessments.filter((one) => one.valid && one.kind === "feedback").map((one) => {
    if (one.value === null) return html`<span class="al-chip al-error" title=${one.error}>${one.name} ✕</span>`;
    const condition = `${keyed("feedback", one.name)} = ${literal(one.value)}`;
    const shown = html`<span class="al-muted">${one.name} </span>${verdict(one.value)}`;
    return typeof one.value === "object" ? html`<span class="al-chip">${shown}</span>`
      : html`<${Value} condition=${condition} className="al-chip">${shown}<//>`;
  });
}

const valueOf = (field, name = field) => ({ info }) =>
  info[name] !== null && html`<${Value} condition=${`${field} = ${quoted(info[name])}`}>${info[name]}<//>`;

// `width` is in pixels, or `grow` a share of what is left. A column that `has` says nothing of is shown where any trace on
// the page has it: one that is empty takes no room.
export const COLUMNS = [
  { id: "time", title: "Time", width: 82, order: "timestamp",
    show: ({ info, now }) => html`<span title=${`${relative(info.start_time_ns, now)}\n${absolute(info.start_time_ns)}`}>${moment(info.start_time_ns, now)}</span>` },
  { id: "name", title: "Name", width: 100, order: "name", filter: (info) => `name = ${quoted(info.name)}` },
  { id: "input", title: "Input", grow: 10, show: ({ info }) => html`<span title=${info.request_preview}>${info.request_preview}</span>` },
  { id: "output", title: "Output", grow: 12, show: Output },
  { id: "duration", title: "Duration", width: 62, order: "duration", isNumber: true, show: Duration },
  { id: "tokens", title: "Tokens", width: 46, order: "tokens", isNumber: true, has: (info) => info.usage,
    show: ({ info }) => html`<span title=${tokensTitle(info)}>${compact(tokensOf(info))}</span>` },
  { id: "cost", title: "Cost", width: 56, order: "cost", isNumber: true, has: (info) => info.cost,
    show: ({ info }) => info.cost && html`<span title=${`${money(info.cost.total)}: input ${money(info.cost.input)}, output ${money(info.cost.output)}`}>${dollars(info.cost.total)}</span>` },
  { id: "session", title: "Session", width: 54, order: "session", has: (info) => info.session, show: valueOf("session") },
  { id: "user", title: "User", width: 44, order: "user", has: (info) => info.user, show: valueOf("user") },
  { id: "tags", title: "Tags", width: 154, has: (info) => Object.keys(info.tags).length, show: Tags },
  { id: "version", title: "Version", width: 46, order: "version", has: (info) => info.version, show: valueOf("version") },
  { id: "feedback", title: "Feedback", width: 84, has: (info) => info.assessments.some((one) => one.kind === "feedback"), show: Feedback },
  { id: "experiment", title: "Experiment", width: 90, order: "experiment", isOptional: true, show: valueOf("experiment") },
  { id: "run", title: "Run", width: 90, order: "run", isOptional: true, show: valueOf("run") },
  { id: "spans", title: "Spans", width: 52, order: "spans", isOptional: true, isNumber: true, show: ({ info }) => number(info.span_count) },
  { id: "errors", title: "Errors", width: 52, order: "errors", isOptional: true, isNumber: true, show: ({ info }) => info.error_count > 0 && html`<span class="al-error">${number(info.error_count)}</span>` },
  { id: "expected", title: "Expected", width: 120, isOptional: true,
    show: ({ info }) => info.assessments.filter((one) => one.kind === "expectation").map((one) => html`<span>${verdict(one.value)} </span>`) },
  { id: "id", title: "Trace id", width: 110, isOptional: true, show: ({ info }) => html`<span class="al-mono" title=${info.trace_id}>${info.trace_id.slice(0, 12)}</span>` },
];

const BY_ID = Object.fromEntries(COLUMNS.map((column) => [column.id, column]));
export const DEFAULT = COLUMNS.filter((column) => !column.isOptional).map((column) => column.id);
const KEPT = "autolog.columns";

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}

// {ids, widths}: what the address says, else what was chosen last, else the usual. Written "time,name:140,input".
export function chosen(written) {
  const found = written ?? kept().written;
  if (!found) return { ids: DEFAULT, widths: {} };
  const parts = found.split(",").map((part) => part.split(":")).filter(([id]) => Object.hasOwn(BY_ID, id));
  const widths = Object.fromEntries(parts.filter(([, width]) => Number(width) > 0).map(([id, width]) => [id, Number(width)]));
  return parts.length > 0 ? { ids: parts.map(([id]) => id), widths } : { ids: DEFAULT, widths: {} };
}

// What the address says of a choice, which is remembered; null where it is the usual one.
export function written({ ids, widths }) {
  const text = ids.map((id) => (widths[id] ? `${id}:${Math.round(widths[id])}` : id)).join(",");
  const isUsual = text === DEFAULT.join(",");
  try {
    if (isUsual) localStorage.removeItem(KEPT);
    else localStorage.setItem(KEPT, JSON.stringify({ written: text }));
  } catch {
    // Where nothing may be remembered, the address does.
  }
  return isUsual ? null : text;
}

// The columns to show of a choice: those that are empty in all of `rows` take no room, unless they were asked for.
export function shown({ ids, widths }, rows, isChosen) {
  return ids.map((id) => BY_ID[id])
    .filter((column) => isChosen || !column.has || rows.length === 0 || rows.some(column.has))
    .map((column) => (widths[column.id] ? { ...column, width: widths[column.id], grow: undefined } : column));
}
