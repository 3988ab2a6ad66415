// Which traces an address asks for: its filter, its time, its order, as the server takes them.
import { nanoseconds } from "./formats.js";

// Something compared: all else that somebody types is words to search for.
const CONDITION = /[=<>]|\b(I?LIKE|RLIKE|CONTAINS)\s*['"]|\bIN\s*\(|\bBETWEEN\b|\bIS\s+(NOT\s+)?NULL\b/i;
const ID = /^[0-9a-f]{32}$/i;
const SQUARE = { '"': '"', "'": "'", "“": "”", "«": "»" };

// A text as the language has it.
export function quoted(text) {
  return `'${String(text).replaceAll("'", "''")}'`;
}

// A field with a key, such as tags.channel or tags.`my key`.
export function keyed(scope, key) {
  return /^[\w\-/@$]+(\.[\w\-/@$]+)*$/.test(key) ? `${scope}.${key}` : `${scope}.${key.includes("`") ? `"${key}"` : `\`${key}\``}`;
}

// Whether what somebody typed is words to search for, not a condition.
export function isPlain(text) {
  const trimmed = text.trim();
  return trimmed !== "" && (phraseIn(trimmed) !== null || !CONDITION.test(trimmed.replace(/\b(AND|OR|NOT)\s*$/i, "")));
}

// What stands in quotes, where all of it does.
function phraseIn(text) {
  const inside = text.slice(1, -1);
  return text.length > 2 && SQUARE[text[0]] === text.at(-1) && !inside.includes(text.at(-1)) ? inside : null;
}

// The condition that somebody means who types `text`: itself, or a search for its words, of which the last may go on.
export function meant(text) {
  const trimmed = text.trim();
  if (trimmed === "" || !isPlain(trimmed)) return trimmed;
  if (ID.test(trimmed)) return `trace_id = ${quoted(trimmed.toLowerCase())}`;
  const phrase = phraseIn(trimmed);
  if (phrase !== null) return `text CONTAINS ${quoted(phrase)}`;
  return `text CONTAINS ${quoted(/[\p{L}\p{N}]$/u.test(trimmed) ? `${trimmed}*` : trimmed)}`;
}

// A search for each of several words wherever it is, where words were typed; else null.
export function eachWord(text) {
  const words = isPlain(text) ? text.trim().split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)) : [];
  return words.length > 1 ? words.map((word) => `text CONTAINS ${quoted(word.replace(/^["'“«]+|["'”»]+$/gu, ""))}`).join(" AND ") : null;
}

// Both conditions, in one filter. A condition that is there already is not added again.
export function joined(filter, condition) {
  const one = meant(filter ?? "");
  if (one === "") return condition;
  if (one === condition || one.endsWith(` AND ${condition}`) || one.startsWith(`${condition} AND `)) return one;
  const enclosed = (text) => (/\bOR\b/i.test(text.replace(/'[^']*'|"[^"]*"/g, "")) ? `(${text})` : text);
  return `${enclosed(one)} AND ${enclosed(condition)}`;
}

export const RANGES = [
  ["15m", "Last 15 minutes", 15 * 60],
  ["1h", "Last hour", 3600],
  ["24h", "Last 24 hours", 86_400],
  ["7d", "Last 7 days", 7 * 86_400],
  ["30d", "Last 30 days", 30 * 86_400],
];

// {since, until} of an address: nanoseconds since the epoch as text, or nothing. `range` is counted from `now`.
function period(params, now = Date.now()) {
  const range = RANGES.find(([name]) => name === params.range);
  return range ? { since: nanoseconds(now - range[2] * 1000) } : { since: params.since, until: params.until };
}

// What api/traces is asked for by an address.
export function queryOf(params, now = Date.now()) {
  const { filter = "", order: order_by, experiment, run } = params;
  const condition = run ? joined(filter, `run = ${quoted(run)}`) : meant(filter);
  return { filter: condition, order_by, experiment, ...period(params, now) };
}

// One filter that says all that a query does, for what takes only a filter; it is never empty.
export function wholeFilter({ filter, experiment, since, until }) {
  const parts = [
    filter, experiment && `experiment = ${quoted(experiment)}`, since && `timestamp >= ${since}`, until && `timestamp < ${until}`,
  ];
  return parts.filter(Boolean).reduce(joined, "") || "timestamp >= 0";
}
