// A table of traces of any length: only the rows in sight are in the document.
import { html, useCallback, useEffect, useLayoutEffect, useRef, useState } from "../viewer/preact.js";
import { duration, moment } from "../base/formats.js";
import { Dot } from "./columns.js";

const HEIGHT = 30;
const NARROW = 56;
const BEYOND = 8;
const NARROWEST = 36;

// What `query` says of the window, followed.
function useMedia(query) {
  const [is, set] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const follow = () => set(media.matches);
    media.addEventListener("change", follow);
    return () => media.removeEventListener("change", follow);
  }, [query]);
  return is;
}

// `rows` are infos; `empty` is shown where there are none; `cursor` the id of the one that keys act on; `hrefOf(info)` its address. Of what is done:
// onOpen(info), onSelect(info, index, isRange), onFilter(condition, isExcluded), onOrder(column), onWidth(id, width | null),
// onMore() near the end, onTop(isAtTop) when the first row comes into sight or leaves it, onTouch() before anything is opened.
export function Table(props) {
  const { rows, columns, selected, isAllSelected, cursor, order, slowest, now, isDim, empty, onMore, onTop, onTouch, scrollTo } = props;
  const isNarrow = useMedia("(max-width: 700px)");
  const height = isNarrow ? NARROW : HEIGHT;
  const scroller = useRef(null);
  const [view, setView] = useState({ first: 0, many: 40 });
  const look = useCallback(() => {
    const { scrollTop, clientHeight } = scroller.current;
    const first = Math.max(0, Math.floor(scrollTop / height) - BEYOND);
    const many = Math.ceil(clientHeight / height) + 2 * BEYOND;
    setView((was) => (was.first === first && was.many === many ? was : { first, many }));
    onTop(scrollTop < height);
  }, [height, onTop]);
  useLayoutEffect(() => {
    const watcher = new ResizeObserver(look);
    watcher.observe(scroller.current);
    return () => watcher.disconnect();
  }, [look]);
  useEffect(() => { if (view.first + view.many + 30 >= rows.length) onMore(); }, [view, rows.length, onMore]);
  // `scrollTo` is {index} or {top: true}, a new object each time it is meant.
  useLayoutEffect(() => {
    if (!scrollTo) return;
    const element = scroller.current;
    if (scrollTo.top) { element.scrollTop = 0; return; }
    const top = scrollTo.index * height;
    const room = element.clientHeight - 2 * height;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top > element.scrollTop + room) element.scrollTop = top - room;
  }, [scrollTo, height]);

  const template = `26px 18px ${columns.map(({ width, grow }) => (grow ? `minmax(90px, ${grow}fr)` : `${width}px`)).join(" ")}`;
  const first = Math.min(view.first, Math.max(0, rows.length - view.many));
  const seen = rows.slice(first, first + view.many);
  const Row = isNarrow ? NarrowRow : WideRow;
  return html`
    <div class=${`al-table ${isNarrow ? "al-narrow" : ""} ${isDim ? "al-dim" : ""}`} ref=${scroller} onScroll=${look} onPointerDown=${onTouch} role="grid"
      aria-label="Traces" aria-rowcount=${rows.length} tabindex="-1">
      <div class="al-table-inside" style=${{ "--al-columns": template }}>
        ${!isNarrow && html`<${Header} ...${props} />`}
        ${empty}
        <div role="rowgroup" style=${{ height: `${rows.length * height}px`, position: "relative" }}>
          <div style=${{ transform: `translateY(${first * height}px)` }}>
            ${seen.map((info, index) => html`
              <${Row} key=${info.trace_id} info=${info} index=${first + index} columns=${columns} now=${now} slowest=${slowest}
                isSelected=${isAllSelected || selected.has(info.trace_id)} isAt=${info.trace_id === cursor} act=${props} />`)}
          </div>
        </div>
      </div>
    </div>`;
}

function Header({ columns, order, rows, selected, isAllSelected, onOrder, onWidth, onSelectLoaded }) {
  const [field, direction] = order ? order.split(" ") : ["timestamp", "DESC"];
  const some = isAllSelected || selected.size > 0;
  return html`
    <div class="al-head" role="row">
      <span role="columnheader"><input type="checkbox" aria-label="Select all that are loaded" checked=${isAllSelected || (rows.length > 0 && selected.size >= rows.length)}
        ref=${(box) => box && (box.indeterminate = some && !isAllSelected && selected.size < rows.length)}
        onChange=${(event) => onSelectLoaded(event.target.checked)} /></span>
      <span role="columnheader" aria-label="State" />
      ${columns.map((column) => {
        const isSorted = column.order === field;
        const sorted = isSorted ? { DESC: "descending", ASC: "ascending" }[direction] : undefined;
        return html`<span key=${column.id} role="columnheader" class=${column.isNumber ? "al-number" : ""} aria-sort=${sorted}>
          ${column.order ? html`<button class="al-sort" title=${`Sort by ${column.title.toLowerCase()}`} onClick=${() => onOrder(column)}>
            ${column.title}${isSorted && html`<span aria-hidden="true">${direction === "DESC" ? " ↓" : " ↑"}</span>`}</button>` : column.title}
          <span class="al-grip" title="Drag: width; double-click: the usual one" onPointerDown=${(event) => drag(event, column, onWidth)} onDblClick=${() => onWidth(column.id, null, true)} />
        </span>`;
      })}
    </div>`;
}

function drag(event, column, onWidth) {
  const grip = event.currentTarget;
  const start = event.clientX;
  const before = grip.parentElement.getBoundingClientRect().width;
  let width = null;
  const move = (moved) => { width = Math.max(NARROWEST, before + moved.clientX - start); onWidth(column.id, width, false); };
  const end = () => {
    grip.removeEventListener("pointermove", move);
    grip.removeEventListener("pointerup", end);
    if (width !== null) onWidth(column.id, width, true);
  };
  grip.setPointerCapture(event.pointerId);
  grip.addEventListener("pointermove", move);
  grip.addEventListener("pointerup", end);
  event.preventDefault();
}

// What a click in a row means, by what was clicked.
function clicked(event, info, { onFilter, onOpen }) {
  const value = event.target.closest("[data-condition]");
  if (value) {
    onFilter(value.dataset.condition, event.altKey);
  } else if (event.target.closest("a")) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    onOpen(info);
  } else if (!event.target.closest("input") && String(getSelection()) === "") {
    onOpen(info);
  }
}

function Box({ info, index, isSelected, act }) {
  return html`<span role="gridcell" class="al-box" onMouseDown=${(event) => event.shiftKey && event.preventDefault()} onClick=${(event) => { event.stopPropagation(); act.onSelect(info, index, event.shiftKey); }}>
    <input type="checkbox" tabindex="-1" aria-label=${`Select ${info.name}`} checked=${isSelected} /></span>`;
}

const rowClass = (isSelected, isAt) => `al-row ${isSelected ? "al-selected" : ""} ${isAt ? "al-at" : ""}`;

function WideRow({ info, index, columns, now, slowest, isSelected, isAt, act }) {
  return html`
    <div class=${rowClass(isSelected, isAt)} role="row" aria-rowindex=${index + 1} aria-selected=${isSelected} onClick=${(event) => clicked(event, info, act)}>
      <${Box} info=${info} index=${index} isSelected=${isSelected} act=${act} />
      <span role="gridcell" data-condition=${`status = '${info.state}'`}><${Dot} info=${info} /></span>
      ${columns.map(({ id, isNumber, show, filter }) => html`
        <span role="gridcell" key=${id} class=${`al-cell al-cell-${id} ${isNumber ? "al-number" : ""}`}>
          ${id === "name" ? html`<a href=${act.hrefOf(info)} title=${info.name} tabindex="-1">${info.name}</a>` : show({ info, now, slowest })}
          ${filter && html`<button class="al-funnel" tabindex="-1" data-condition=${filter(info)} aria-label=${`Only ${filter(info)}`} title=${`Click: only ${filter(info)}\nAlt-click: all others`}>⌕</button>`}
        </span>`)}
    </div>`;
}

function NarrowRow({ info, index, now, isSelected, isAt, act }) {
  const isBad = info.error !== null || info.state === "ERROR";
  const took = info.end_time_ns === null ? "…" : duration(info.end_time_ns - info.start_time_ns);
  return html`
    <div class=${rowClass(isSelected, isAt)} role="row" aria-rowindex=${index + 1} aria-selected=${isSelected} onClick=${(event) => clicked(event, info, act)}>
      <${Box} info=${info} index=${index} isSelected=${isSelected} act=${act} />
      <span role="gridcell" class="al-lines">
        <span class="al-line"><${Dot} info=${info} /> <a href=${act.hrefOf(info)} tabindex="-1">${info.request_preview ?? info.name}</a></span>
        <span class="al-line al-muted"><span>${moment(info.start_time_ns, now)} · ${took} · </span>
          ${isBad ? html`<span class="al-error">${info.error ?? "failed"}</span>` : html`<span>${info.response_preview ?? info.name}</span>`}</span>
      </span>
    </div>`;
}
