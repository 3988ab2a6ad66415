// Values as a tree of lines, of which only those in sight are in the page, however large the value is.
import { html, useContext, useMemo, useRef, useState } from "./preact.js";
import { CopyButton } from "./copy.js";
import { compact, number } from "./formats.js";
import { cutAt, markedParts, shownText } from "./marks.js";
import { Shortened, plainText, unpackedJson } from "./texts.js";
import { Viewing } from "./viewing.js";
import { useWindow } from "./window.js";

const JSON_HEIGHT = 20;
const MOST_AT_ONCE = 36;
const OPEN_AT_FIRST = 30;
const SHORT = 90;
const WIDTH = 100;

const isContainer = (value) => value !== null && typeof value === "object" && !(value instanceof Shortened);
const isLong = (value) => value instanceof Shortened || (typeof value === "string" && (value.length > SHORT || value.includes("\n")));

// What opens below a line: [name, value] of each. Long texts are put in lines.
function below(value, whole, path) {
  if (isContainer(value)) return Array.isArray(value) ? value.map((one, at) => [at, one]) : Object.keys(value).map((key) => [key, value[key]]);
  const text = whole.get(path) ?? (value instanceof Shortened ? value.text : value);
  const json = unpackedJson(text);
  if (json !== undefined) return below(json, whole, path);
  const pieces = segments(text).map((piece) => [null, new Segment(piece)]);
  if (value instanceof Shortened && !whole.has(path)) pieces.push([null, new Rest(value)]);
  return pieces;
}

class Segment {
  constructor(text) {
    this.text = text;
  }
}

class Rest {
  constructor(of) {
    this.of = of;
  }
}

function segments(text) {
  const found = [];
  for (const line of text.split("\n")) {
    for (let at = 0; at < line.length || at === 0; ) {
      const end = Math.min(line.length, at + WIDTH);
      const cut = at + Math.max(cutAt(line.slice(at), end - at), 1);
      found.push(line.slice(at, cut));
      at = cut;
      if (line.length === 0) break;
    }
  }
  return found;
}

// What is open at first: from the top, as many lines as are seen at once.
function openAtFirst(value) {
  const open = new Set();
  let room = OPEN_AT_FIRST;
  const waiting = [["", value]];
  for (const [path, one] of waiting) {
    if (!isContainer(one)) continue;
    const entries = below(one, new Map(), path);
    if (path !== "" && entries.length > room) continue;
    open.add(path);
    room -= entries.length;
    for (const [key, inner] of entries.slice(0, OPEN_AT_FIRST)) waiting.push([`${path}/${key}`, inner]);
  }
  return open;
}

function jsonLines(value, open, whole) {
  const lines = [];
  const waiting = isOpenable(value) ? below(value, whole, "").map(([key, one], at) => [key, one, childPath("", key, at), 0]).reverse() : [[null, value, "", 0]];
  while (waiting.length > 0) {
    const [key, one, path, depth] = waiting.pop();
    const isOpen = open.has(path);
    lines.push({ key, value: one, path, depth, isOpen, canOpen: isOpenable(one) });
    if (!isOpen || !isOpenable(one)) continue;
    const inner = below(one, whole, path);
    for (let at = inner.length - 1; at >= 0; at -= 1) waiting.push([inner[at][0], inner[at][1], childPath(path, inner[at][0], at), depth + 1]);
  }
  return lines;
}

const childPath = (path, key, at) => `${path}/${key ?? at}`;
const isOpenable = (value) => (isContainer(value) && !(value instanceof Segment) && !(value instanceof Rest) && sizeOf(value) > 0) || isLong(value);
const sizeOf = (value) => (Array.isArray(value) ? value.length : Object.keys(value).length);

/** A value. `isTall` lets it have the height that it needs, up to the panel's. */
export function JsonTree({ value, isTall = false }) {
  const { host, spanId, query } = useContext(Viewing);
  const [state, setState] = useState({ of: undefined, open: null });
  const open = state.of === value ? state.open : null;
  const first = useMemo(() => openAtFirst(value), [value]);
  const whole = useRef(new Map()).current;
  const [got, setGot] = useState(0);
  const lines = useMemo(() => jsonLines(value, open ?? first, whole), [value, open, first, got]);
  const toggle = (path) => {
    const next = new Set(open ?? first);
    if (!next.delete(path)) next.add(path);
    setState({ of: value, open: next });
  };
  const getRest = async (line) => {
    const text = host?.text && (await host.text(spanId, line.value.of.pointer));
    if (!text) return;
    whole.set(line.path.slice(0, line.path.lastIndexOf("/")), text);
    setGot(got + 1);
  };
  const one = (line, at) => html`<${JsonLine} key=${line.path} line=${line} at=${at} query=${query} toggle=${toggle} getRest=${host?.text && getRest} />`;
  return html`<div class="tv-json">
    <${CopyButton} get=${() => plainText(value)} label="" title="Copy as JSON" />
    ${lines.length <= MOST_AT_ONCE ? html`<div class="tv-lines">${lines.map(one)}</div>` : html`<${WindowedLines} lines=${lines} one=${one} isTall=${isTall} />`}
  </div>`;
}

function WindowedLines({ lines, one, isTall }) {
  const view = useWindow(lines.length, JSON_HEIGHT);
  return html`<div class=${`tv-lines tv-window${isTall ? " tv-tall" : ""}`} tabindex="0" ref=${view.ref} onScroll=${view.onScroll}>
    <div style=${{ height: `${lines.length * JSON_HEIGHT}px` }}>
      <div style=${{ transform: `translateY(${view.first * JSON_HEIGHT}px)` }}>${lines.slice(view.first, view.last).map(one)}</div>
    </div>
  </div>`;
}

function JsonLine({ line, query, toggle, getRest }) {
  const { key, value, depth, isOpen, canOpen, path } = line;
  const name = key === null ? null : html`<span class=${typeof key === "number" ? "tv-index" : "tv-key"}>${typeof key === "number" ? key : markedParts(key, query)}</span>`;
  return html`<div class=${`tv-line${canOpen ? " tv-can" : ""}`} style=${{ paddingLeft: `${Math.min(depth, 40) * 14 + 4}px` }}
    onClick=${canOpen ? (event) => { if (String(getSelection()) === "") toggle(path); event.stopPropagation(); } : undefined}>
    ${canOpen ? html`<button class="tv-twist" aria-expanded=${isOpen} aria-label=${key ?? "text"}>${isOpen ? "▾" : "▸"}</button>` : html`<i class="tv-twist" />`}
    ${name}${shownValue(value, isOpen, query, getRest && (() => getRest(line)))}
  </div>`;
}

function shownValue(value, isOpen, query, getRest) {
  if (value instanceof Segment) return html`<span class="tv-text">${markedParts(value.text, query)}</span>`;
  if (value instanceof Rest) {
    const told = `… ${compact(value.of.length - value.of.text.length)} characters more`;
    return getRest ? html`<button class="tv-link" onClick=${getRest}>${told} – show all</button>` : html`<span class="tv-muted">${told}, not here</span>`;
  }
  if (isLong(value)) {
    const text = value instanceof Shortened ? value.text : value;
    const size = html`<span class="tv-count">${compact(value.length)} characters</span>`;
    return isOpen ? size : html`<span class="tv-string">${markedParts(JSON.stringify(text.slice(0, cutAt(text, 200))).slice(0, -1), query)}…</span>${size}`;
  }
  if (isContainer(value)) return html`<span class="tv-size">${isOpen ? countOf(value) : summaryOf(value)}</span>`;
  if (typeof value === "string") return html`<span class="tv-string">${markedParts(JSON.stringify(value), query)}</span>`;
  return html`<span class=${value === null ? "tv-null" : "tv-literal"}>${markedParts(String(value), query)}</span>`;
}

const countOf = (value) => (Array.isArray(value) ? `[${number(value.length)}]` : sizeOf(value) === 0 ? "{}" : "");

// A closed object or list in a few words.
function summaryOf(value) {
  const count = sizeOf(value);
  if (Array.isArray(value)) return count === 0 ? "[]" : `[${number(count)}]`;
  const keys = Object.keys(value).slice(0, 4).map((key) => {
    const one = value[key];
    const text = typeof one === "string" ? `"${shownText(one.slice(0, 24))}${one.length > 24 ? "…" : ""}"` : isContainer(one) || one instanceof Shortened ? "…" : String(one);
    return `${shownText(key.slice(0, 24))}: ${text}`;
  });
  return `{ ${keys.join(", ")}${count > 4 ? ", …" : ""} }`;
}
