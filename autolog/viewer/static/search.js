// Search within a trace: names, types, models and errors at once, then what is known of each span, a slice at a time.
import { html, useEffect, useMemo, useRef, useState } from "./preact.js";
import { number } from "./formats.js";
import { Drawing, IconButton, typeTitle } from "./icons.js";
import { mentions } from "./texts.js";

const SLICE_MS = 12;

/**
 * Find the spans that mention `query`: {marks, places, isDone}, or null where nothing is searched.
 *
 * `marks` has a 1 at the places of those found. `knownOf(id)` returns what is at hand of a span, {detail, texts}, or null.
 */
export function useFound(tree, query, knownOf, knownCount) {
  const wanted = query.trim().toLowerCase();
  const [found, setFound] = useState(null);
  useEffect(() => {
    if (!wanted) {
      setFound(null);
      return undefined;
    }
    const marks = new Uint8Array(tree.spans.length);
    const tell = (isDone) => {
      const places = [];
      for (let at = 0; at < marks.length; at += 1) if (marks[at]) places.push(at);
      setFound({ marks, places, isDone });
    };
    for (const span of tree.spans) if (isNamed(span, wanted)) marks[span.at] = 1;
    tell(false);
    const hits = new Map();
    let [at, timer] = [0, null];
    const slice = () => {
      const until = performance.now() + SLICE_MS;
      for (; at < tree.spans.length && performance.now() < until; at += 1) {
        if (marks[at]) continue;
        const known = knownOf(tree.spans[at].id);
        if (!known) continue;
        if (!hits.has(known.texts)) hits.set(known.texts, []);
        if (mentions(known.detail, known.texts, wanted, hits.get(known.texts))) marks[at] = 1;
      }
      if (at < tree.spans.length) timer = setTimeout(slice);
      else tell(true);
    };
    timer = setTimeout(slice, 60);
    return () => clearTimeout(timer);
  }, [tree, wanted, knownCount]);
  return wanted ? found : null;
}

function isNamed({ id, name, type, model, errorType, status }, wanted) {
  return [name, model, errorType, type, typeTitle(type), id].some((text) => text && text.toLowerCase().includes(wanted)) ||
    (status === "ERROR" && wanted === "error");
}

// The place of the match that is chosen among those found, or of the next one in a direction.
export function nextFound(places, at, step) {
  if (places.length === 0) return undefined;
  if (step > 0) return places.find((place) => place > at) ?? places[0];
  return places.findLast((place) => place < at) ?? places.at(-1);
}

export function SearchField({ query, setQuery, found, at, go, isFiltered, setFiltered, isPartial, inputRef, leave }) {
  const [text, setText] = useState(query);
  const timer = useRef(null);
  useEffect(() => setText(query), [query]);
  const place = useMemo(() => (found ? found.places.indexOf(at) : -1), [found, at]);
  const typed = (event) => {
    const { value } = event.currentTarget;
    setText(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setQuery(value), 120);
  };
  const pressed = (event) => {
    if (event.key === "Enter") {
      clearTimeout(timer.current);
      setQuery(text);
      go(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape") {
      setQuery("");
      leave();
    } else if (event.key === "ArrowDown") leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const where = isPartial ? "names, and spans that were opened" : "names and all that is known";
  return html`<div class="tv-search" role="search">
    <${Drawing} name="search" />
    <input type="search" placeholder="Find in trace" aria-label="Find in trace" title=${`Searches ${where} ( / )`} value=${text} ref=${inputRef}
      onInput=${typed} onKeyDown=${pressed} spellcheck=${false} />
    ${found && html`<span class="tv-found" role="status">${place === -1 ? "" : `${number(place + 1)} / `}${number(found.places.length)}${found.isDone ? "" : "…"}</span>
      <${IconButton} name="up" title="Previous match (Shift-Enter)" act=${() => go(-1)} />
      <${IconButton} name="down" title="Next match (Enter)" act=${() => go(1)} />
      <${IconButton} name="filter" title="Show only what is found" isOn=${isFiltered} act=${() => setFiltered(!isFiltered)} />`}
  </div>`;
}
