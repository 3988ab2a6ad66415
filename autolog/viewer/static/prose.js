// A text, however long: folded at first, then a piece at a time, with the rest asked for where it is not here.
import { html, useContext, useMemo, useState } from "./preact.js";
import { CopyButton } from "./copy.js";
import { compact, number } from "./formats.js";
import { JsonTree } from "./json.js";
import { Markdown } from "./markdown.js";
import { cutAt, markedParts } from "./marks.js";
import { Shortened, unpackedJson } from "./texts.js";
import { Viewing } from "./viewing.js";

const PIECE = 50_000;
const LONGEST_MARKDOWN = 50_000;
const LONGEST_JSON = 2_000_000;

// The whole of a text that may be shortened, how to get it, and what came of that: {text, rest, ask, told}.
export function useWhole(value) {
  const { host, traceId, spanId } = useContext(Viewing);
  const [state, setState] = useState({ of: null, text: null, told: "" });
  const is = state.of === value ? state : { text: null, told: "" };
  if (!(value instanceof Shortened)) return { text: value, rest: 0, ask: null, told: "" };
  if (is.text !== null) return { text: is.text, rest: 0, ask: null, told: "" };
  const rest = value.length - value.text.length;
  if (!host?.text) return { text: value.text, rest, ask: null, told: `not here: al.get_trace("${traceId}") has all` };
  const ask = async () => {
    setState({ of: value, text: null, told: "…" });
    const failed = (why) => setState({ of: value, text: null, told: why });
    try {
      const text = await host.text(spanId, value.pointer);
      if (text === null) failed("it can't be got from here");
      else setState({ of: value, text, told: "" });
    } catch (error) {
      failed(error.message);
    }
  };
  return { text: value.text, rest, ask, told: is.told };
}

// Where a text is folded: after so many characters or lines; all of it if little more is left.
function foldOf(text, characters, lines) {
  let at = -1;
  for (let line = 0; line < lines; line += 1) {
    at = text.indexOf("\n", at + 1);
    if (at === -1 || at > characters) break;
  }
  const cut = at === -1 ? characters : Math.min(at, characters);
  return text.length < cut * 1.4 + 80 ? text.length : cutAt(text, cut);
}

/** A text. `fold` is how many characters are shown at first, `form` is "text", or "code" where it is in lines of its own. */
export function Prose({ value, fold = 1_500, lines = 24, form = "text" }) {
  const { query, isPlain } = useContext(Viewing);
  const { text, rest, ask, told } = useWhole(value);
  const [pieces, setPieces] = useState(0);
  const json = useMemo(() => (form === "text" && text.length < LONGEST_JSON && !rest ? unpackedJson(text) : undefined), [text, rest]);
  if (json !== undefined && !isPlain) return html`<${JsonTree} value=${json} />`;
  const folded = foldOf(text, fold, lines);
  const isHitBeyond = query && text.length > folded && text.slice(folded, PIECE).toLowerCase().includes(query);
  const shownPieces = isHitBeyond ? Math.max(pieces, 1) : pieces;
  const end = shownPieces === 0 ? folded : Math.min(text.length, cutAt(text, shownPieces * PIECE));
  const isMarkdown = form === "text" && !isPlain && end <= LONGEST_MARKDOWN;
  const left = text.length - end;
  return html`<div class=${`tv-prose${form === "code" ? " tv-mono" : ""}`}>
    ${isMarkdown ? html`<${Markdown} text=${text.slice(0, end)} query=${query} />` : piecesOf(text, end, query)}
    ${(left > 0 || rest > 0 || shownPieces > 0) && html`<div class="tv-rest">
      ${left > 0 && html`<button class="tv-link" onClick=${() => setPieces(shownPieces + 1)}>${left > PIECE ? `… ${compact(left)} characters more – show ${compact(PIECE)}` : `Show all ${number(text.length)} characters`}</button>`}
      ${left === 0 && pieces > 0 && text.length > folded && html`<button class="tv-link" onClick=${() => setPieces(0)}>Show less</button>`}
      ${rest > 0 && (ask && told !== "…"
        ? html`<button class="tv-link" onClick=${async () => { await ask(); setPieces(Math.max(pieces, 1)); }}>… ${compact(rest)} characters more – show all</button>${told && html`<span class="tv-bad">${told}</span>`}`
        : html`<span class="tv-muted">… ${compact(rest)} characters more${told === "…" ? " are on their way" : `, ${told}`}</span>`)}
    </div>`}
  </div>`;
}

// The pieces are elements of their own: what is shown already is not laid out again.
function piecesOf(text, end, query) {
  const pieces = [];
  for (let from = 0; from < end; from = cutAt(text, Math.min(from + PIECE, end)) || end) {
    pieces.push(html`<span key=${from}>${markedParts(text.slice(from, cutAt(text, Math.min(from + PIECE, end))), query)}</span>`);
  }
  return html`<div class="tv-plain">${pieces}</div>`;
}

// Copies the whole of a text, asked for where only its beginning is here.
export function CopyText({ value, label = "" }) {
  const { host, spanId } = useContext(Viewing);
  const get = async () => {
    if (!(value instanceof Shortened)) return value;
    return (host?.text && (await host.text(spanId, value.pointer))) || value.text;
  };
  return html`<${CopyButton} get=${get} label=${label} />`;
}
