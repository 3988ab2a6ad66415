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
