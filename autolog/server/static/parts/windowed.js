// Long lists of rows of any height, of which only those in sight are in the document; and tables made of them.
import { html, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../viewer/preact.js";

const BEYOND = 500;

// `keyOf(item)` names a row, `draw(item, index)` draws it, `estimate(item)` guesses its height in pixels until it was seen.
// `onMore()` is called near the end. `scrollTo` is {index}, a new object each time it is meant.
export function Windowed({ items, keyOf, draw, estimate, onMore, scrollTo, header, ...attributes }) {
  const scroller = useRef(null);
  const top = useRef(null);
  const heights = useRef(new Map());
  const [version, setVersion] = useState(0);
  const [view, setView] = useState({ from: 0, to: 1500 });
  const offsets = useMemo(() => {
    const found = new Float64Array(items.length + 1);
    items.forEach((item, index) => { found[index + 1] = found[index] + (heights.current.get(keyOf(item)) ?? estimate(item)); });
    return found;
  }, [items, version]);
  const latest = useRef(null);
  latest.current = { items, offsets };

  const look = useCallback(() => {
    const { scrollTop, clientHeight } = scroller.current;
    // Steps, so that not every pixel draws anew.
    const from = Math.floor((scrollTop - BEYOND) / 100) * 100;
    const to = from + clientHeight + 2 * BEYOND + 100;
    setView((was) => (was.from === from && was.to === to ? was : { from, to }));
  }, []);
  const watcher = useMemo(() => new ResizeObserver((entries) => {
    let above = 0;
    let isChanged = false;
    for (const { target, borderBoxSize: [{ blockSize }] } of entries) {
      const index = Number(target.dataset.index);
      const item = latest.current.items[index];
      if (!item || blockSize === 0) continue;
      const before = heights.current.get(keyOf(item)) ?? estimate(item);
      if (before === blockSize) continue;
      heights.current.set(keyOf(item), blockSize);
      isChanged = true;
      if (latest.current.offsets[index + 1] <= scroller.current.scrollTop) above += blockSize - before;
    }
    if (!isChanged) return;
    setVersion((count) => count + 1);
    // What is being read stays where it is, whatever grows above it.
    if (above) requestAnimationFrame(() => { if (scroller.current) scroller.current.scrollTop += above; });
  }), []);
  useLayoutEffect(() => {
    const sizes = new ResizeObserver(look);
    sizes.observe(scroller.current);
    return () => { sizes.disconnect(); watcher.disconnect(); };
  }, []);
  useLayoutEffect(() => {
    if (!scrollTo) return;
    const element = scroller.current;
    const [start, end] = [latest.current.offsets[scrollTo.index], latest.current.offsets[scrollTo.index + 1]];
    const head = top.current.offsetTop;
    if (start < element.scrollTop) element.scrollTop = start;
    else if (end + head > element.scrollTop + element.clientHeight) element.scrollTop = end + head - element.clientHeight;
  }, [scrollTo]);

  const first = Math.max(0, below(offsets, view.from) - 1);
  const last = Math.min(items.length, below(offsets, view.to));
  useEffect(() => { if (onMore && last >= items.length - 10) onMore(); }, [last, items.length, onMore]);
  return html`<div ...${attributes} ref=${scroller} onScroll=${look}>
    ${header}
    <div role="rowgroup" class="al-windowed" ref=${top} style=${{ height: `${offsets[items.length]}px` }}>
      <div style=${{ transform: `translateY(${offsets[first]}px)` }}>
        ${items.slice(first, last).map((item, index) => html`
          <${Row} key=${keyOf(item)} index=${first + index} watcher=${watcher}>${draw(item, first + index)}<//>`)}
      </div>
    </div></div>`;
}

function Row({ index, watcher, children }) {
  const element = useRef(null);
  useLayoutEffect(() => {
    const mine = element.current;
    watcher.observe(mine);
    return () => watcher.unobserve(mine);
  }, []);
  return html`<div ref=${element} data-index=${index} role="presentation">${children}</div>`;
}

// How many of the ascending `offsets` are below `place`.
function below(offsets, place) {
  let [low, high] = [0, offsets.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (offsets[middle] < place) low = middle + 1;
    else high = middle;
  }
  return low;
}

// A table. A column is {title, width in pixels or `grow`, show(row), isNumber}; the first one names the row and leads to
// `hrefOf(row)`, unless it `isPlain`. On narrow screens rows become cards, whose cells have their titles with them.
export function Grid({ label, columns, rows, keyOf, hrefOf, onMore, atOf }) {
  const template = columns.map(({ width, grow }) => (width ? `${width}px` : `minmax(80px, ${grow}fr)`)).join(" ");
  const titles = columns.map(({ title, isNumber }) => html`<span role="columnheader" class=${isNumber ? "al-number" : ""}>${title}</span>`);
  const header = html`<div role="rowgroup" class="al-grid-head"><div role="row" class="al-grid-row">${titles}</div></div>`;
  const draw = (row) => html`
    <div role="row" class=${`al-grid-row ${atOf?.(row) ? "al-at" : ""}`} onClick=${(event) => hrefOf && followed(event)}>
      ${columns.map((column, index) => html`<${Cell} column=${column} row=${row} href=${index === 0 && hrefOf ? hrefOf(row) : null} />`)}</div>`;
  return html`<${Windowed} role="table" aria-label=${label} aria-rowcount=${rows.length} class="al-grid" tabindex="-1" header=${header}
    items=${rows} keyOf=${keyOf} draw=${draw} estimate=${estimate} onMore=${onMore} style=${{ "--al-columns": template }} />`;
}

function Cell({ column: { title, grow, show, isNumber, isPlain }, row, href }) {
  const shown = show(row);
  const isEmpty = shown === null || shown === "" || shown === undefined || shown === false;
  const classes = [isNumber && "al-number", isEmpty && "al-is-empty", grow && "al-grown", isPlain && "al-plain"];
  return html`<span role="cell" data-title=${title} class=${classes.filter(Boolean).join(" ")}>
    ${href && !isPlain ? html`<a href=${href}>${shown}</a>` : shown}</span>`;
}

const estimate = () => (innerWidth <= 700 ? 76 : 31);

// A click anywhere in a row follows its link, but not one that selects text or does something else.
function followed(event) {
  if (event.target.closest("a, button, input, label") || String(getSelection()) !== "") return;
  const link = event.currentTarget.querySelector("a");
  if (link) event.ctrlKey || event.metaKey ? open(link.href) : link.click();
}
