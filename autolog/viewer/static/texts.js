// Long texts stand in a document once; where a value is such a text, it is a mark and its number.
const MARK = "\ue000";

// A text of which only the beginning is here. `pointer` says where in the span's detail the whole is.
export class Shortened {
  constructor(text, length, pointer) {
    this.text = text;
    this.length = length;
    this.pointer = pointer;
  }
}

// Return `value` with its long texts in their places.
export function decoded(value, texts) {
  if (typeof value === "string") {
    return value.startsWith(MARK) ? textOf(texts[Number(value.slice(MARK.length))]) : value;
  }
  if (Array.isArray(value)) return value.map((one) => decoded(one, texts));
  if (value !== null && typeof value === "object") {
    const found = Object.create(null);
    for (const key of Object.keys(value)) found[key] = decoded(value[key], texts);
    return found;
  }
  return value;
}

function textOf(entry) {
  if (typeof entry === "string") return entry;
  if ("integer" in entry) return BigInt(entry.integer);
  return new Shortened(entry.text, entry.length, entry.pointer);
}

// Whether `query`, in lower case, is in a value or its keys. `hits` remembers it of the texts, by their numbers.
export function mentions(value, texts, query, hits) {
  const waiting = [value];
  while (waiting.length > 0) {
    const one = waiting.pop();
    if (typeof one === "string") {
      if (!one.startsWith(MARK)) {
        if (one.toLowerCase().includes(query)) return true;
        continue;
      }
      const at = Number(one.slice(MARK.length));
      hits[at] ??= entryText(texts[at]).toLowerCase().includes(query);
      if (hits[at]) return true;
    } else if (one !== null && typeof one === "object") {
      for (const key of Object.keys(one)) {
        if (!Array.isArray(one) && key.toLowerCase().includes(query)) return true;
        waiting.push(one[key]);
      }
    } else if (one !== null && String(one).includes(query)) return true;
  }
  return false;
}

const entryText = (entry) => (typeof entry === "string" ? entry : entry.integer ?? entry.text);

// The object or the list that a text spells in JSON, or undefined. Whole numbers stay exact.
export function unpackedJson(text) {
  const first = text.trimStart()[0];
  if (first !== "{" && first !== "[") return undefined;
  try {
    const found = JSON.parse(text, exactly);
    return Object.keys(found).length > 0 ? found : undefined;
  } catch {
    return undefined;
  }
}

function exactly(key, value, context) {
  const isRounded = typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
  return isRounded && context && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
}

// What the clipboard gets of a value: a text as it is, everything else as JSON.
export function plainText(value) {
  if (typeof value === "string") return value;
  if (value instanceof Shortened) return value.text;
  const replaced = (key, one) => {
    if (one instanceof Shortened) return `${one.text}… (${one.length - one.text.length} characters more)`;
    return typeof one === "bigint" ? (JSON.rawJSON ? JSON.rawJSON(String(one)) : String(one)) : one;
  };
  return JSON.stringify(value, replaced, 2) ?? "";
}
