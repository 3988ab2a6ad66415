// Text as it is shown: what a search found is marked, and characters that can't be seen are.
import { html } from "./preact.js";

// Controls, what turns the direction of text around, and the tags that hide words from people but not from models.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\ud800-\udfff]/gu;

export function shownText(text) {
  const plain = String(text).replace(/\r\n?/g, "\n");
  return plain.replace(UNSEEN, (one) => `⟨U+${one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

const MOST_MARKS = 200;

// The parts of a text, those that `query` is in as <mark>. `query` is in lower case.
export function markedParts(text, query) {
  const shown = shownText(text);
  if (!query) return shown;
  const lower = shown.toLowerCase();
  if (lower.length !== shown.length || !lower.includes(query)) return shown;
  const parts = [];
  let from = 0;
  for (let at = lower.indexOf(query); at !== -1 && parts.length < 2 * MOST_MARKS; at = lower.indexOf(query, from)) {
    parts.push(shown.slice(from, at), html`<mark>${shown.slice(at, at + query.length)}</mark>`);
    from = at + query.length;
  }
  return [...parts, shown.slice(from)];
}

export function Marked({ text, query }) {
  return html`<bdi>${markedParts(text, query)}</bdi>`;
}

// Where to cut a text so that no character is cut in two.
export function cutAt(text, length) {
  const last = text.charCodeAt(length - 1);
  return last >= 0xd800 && last <= 0xdbff && length < text.length ? length - 1 : length;
}
