// What may come next in a filter: its fields, operators and values, from what stands before the caret.
import { quoted } from "../base/query.js";

const TOKEN = new RegExp(
  [
    /(?<space>\s+)/,
    /(?<moment>now\(\)(?:\s*[-+]\s*\d+\w*)*)/,
    /(?<text>'(?:[^']|'')*'?|"(?:[^"]|"")*"?)/,
    /(?<literal>\d[\d.]*\w*|(?:true|false|null)\b)/,
    /(?<keyword>(?:AND|OR|NOT)\b)/,
    /(?<operator><=|>=|<>|!=|[=<>]|(?:IN|I?LIKE|RLIKE|CONTAINS|BETWEEN|IS)\b)/,
    /(?<sign>[(),])/,
    /(?<field>[\p{L}_](?:[\w\-/@$]|\.|`[^`]*`?|\p{L})*)/,
    /(?<other>.)/,
  ].map((part) => part.source).join("|"),
  "giu",
);

// [{kind, text, start, end}] of a filter; together they are all of it.
export function tokens(filter) {
  return Array.from(filter.matchAll(TOKEN), (match) => {
    const [kind, text] = Object.entries(match.groups).find(([, found]) => found !== undefined);
    return { kind, text, start: match.index, end: match.index + text.length };
  });
}

const isOpen = ({ kind, text }) => kind === "text" && (text.length === 1 || text.at(-1) !== text[0]);

// {what: "field" | "operator" | "value" | "null" | "join", field, operator, word, start}: what is expected where `before`
// ends, of which `word`, from `start` on, is written already.
export function expected(before) {
  const all = tokens(before);
  const last = all.at(-1);
  const isPart = last && (isOpen(last) || ["field", "literal", "keyword", "other"].includes(last.kind) || /^[a-z]+$/i.test(last.text));
  const done = (isPart ? all.slice(0, -1) : all).filter(({ kind }) => kind !== "space");
  let state = { what: "field", field: null, operator: null, isList: false, values: 0 };
  for (const token of done) state = { ...state, ...after(state, token) };
  const word = isPart ? last.text.replace(/^['"]/, "") : "";
  return { what: state.what, field: state.field, operator: state.operator, word, start: isPart ? last.start : before.length };
}

function after(state, { kind, text }) {
  const upper = text.toUpperCase();
  if (kind === "keyword" && upper === "NOT") return {};
  if (kind === "keyword") return { what: state.operator === "BETWEEN" && state.values === 1 ? "value" : "field" };
  if (text === "(") return state.what === "value" ? { isList: true } : { what: "field" };
  if (text === ")") return { what: "join", isList: false };
  if (text === ",") return { what: "value" };
  if (kind === "operator") return { what: upper === "IS" ? "null" : "value", operator: upper, values: 0 };
  if (state.what === "field" && kind === "field") return { what: "operator", field: text };
  return { what: state.isList ? "value" : "join", values: state.values + 1 };
}

const COMPARED = [["=", "is"], ["!=", "is there and differs"], ["IN (", "is one of"]];
const ORDERED = [[">", "more"], [">=", "at least"], ["<", "less"], ["<=", "at most"], ["=", "is"], ["BETWEEN", "from … to"]];
const WORDS = [
  ["CONTAINS", "has these words"], ["LIKE", "with % for any text"], ["ILIKE", "LIKE without case"], ["RLIKE", "a regular expression"],
];
const THERE = [["IS NULL", "is not there"], ["IS NOT NULL", "is there"]];
const OPERATORS = {
  text: [...COMPARED, ...WORDS, ...THERE],
  choice: COMPARED,
  number: [...ORDERED, ...THERE],
  duration: [...ORDERED, ...THERE],
  moment: ORDERED,
  payload: [...WORDS, ...COMPARED],
  any: [...COMPARED, ...ORDERED.slice(0, 4), ...WORDS, ...THERE],
};
const VALUES = {
  duration: ["100ms", "500ms", "1s", "2s", "5s", "10s", "30s", "1m"],
  moment: ["now() - 15m", "now() - 1h", "now() - 1d", "now() - 7d"],
  any: ["true", "false"],
};
const MOST = 40;

// The field's description, by any of its names; that of `tags.` for one with a key, under its own name.
export function fieldOf(fields, name) {
  if (!name) return undefined;
  const plain = name.toLowerCase().replace(/^trace\./, "");
  const known = fields.find((field) => field.name.toLowerCase() === plain) ?? fields.find((field) => field.aliases?.includes(plain));
  const keyed = () => fields.find((field) => field.name.endsWith(".") && plain.startsWith(field.name));
  return known ?? (keyed() && { ...keyed(), name });
}

// [{text, label, detail, start}] to put in place of what is written from `start` on. `values` are those in the store.
export function suggestions({ what, field, word, start }, fields, values = []) {
  const known = fieldOf(fields, field);
  const kind = known?.kind ?? "any";
  const found = {
    field: () => ranked(fields.map((one) => [one.name, one.title ?? LABELS[one.kind] ?? one.kind]), word),
    operator: () => ranked(OPERATORS[kind] ?? OPERATORS.any, word),
    value: () => ranked(valuesOf(known, kind, values).map((text) => [text, ""]), word, { isValue: true }),
    null: () => ranked([["NULL", "not there"], ["NOT NULL", "there"]], word),
    join: () => ranked([["AND", "both"], ["OR", "either"]], word),
  }[what]();
  return found.slice(0, MOST).map(([text, detail]) => ({ text: `${text}${/[(.]$/.test(text) ? "" : " "}`, label: text, detail, start }));
}

const LABELS = {
  text: "text", number: "number", duration: "duration", moment: "time", choice: "one of a few", payload: "what went in or came out", any: "any value",
};

function valuesOf(field, kind, values) {
  const fixed = field?.values?.map(quoted) ?? VALUES[kind] ?? [];
  const found = values.map((value) => (typeof value === "string" && !(kind === "any" && VALUES.any.includes(value)) ? quoted(value) : String(value)));
  return [...new Set([...fixed, ...found])];
}

// What begins with the word first, then where a part does, then what has it anywhere.
function ranked(candidates, word, { isValue = false } = {}) {
  const wanted = word.toLowerCase();
  const place = ([text]) => {
    const lower = (isValue ? text.replace(/^'/, "") : text).toLowerCase();
    const at = lower.indexOf(wanted);
    return at <= 0 ? at : /[._\s]/.test(lower[at - 1]) ? 1 : 2;
  };
  return candidates.map((one) => [place(one), one]).filter(([at]) => at >= 0).sort(([a], [b]) => a - b).map(([, one]) => one);
}
