// The viewer of one trace: a pure function of its document and of a host that can get what the document leaves out.
//
// mount(element, trace, host) shows a trace in an element, and shows a newer document of it when it is called again: what is
// chosen, collapsed, searched and scrolled to stays. unmount(element) takes it away. `host` is null, or has any of
//   detail(spanId)           a promise of {detail, texts}, for spans whose details the document leaves out
//   text(spanId, pointer)    a promise of a whole text, of which the detail has only the beginning, or of null
//   selected                 the id of a span to choose: when it changes, that span is chosen
//   onSelect(spanId)         called when somebody has chosen a span
//   addressOf(traceId, spanId)  the address of another trace's page, for links
//   traceActions()           elements at the right of the trace's line
//   spanActions(span)        elements at the right of the span's name
//   annotations(span)        what stands above a span's contents, in place of the feedback that the document has
//   hidesHead                true where the page itself says what trace this is
//   hasHelp                  true where the page has a list of keys: it shows KEYS, and "?" is left to it
import { html, render, useCallback, useEffect, useMemo, useRef, useState } from "./preact.js";
import { Panel, StatusBadge, useDetail } from "./detail.js";
import { compact, counted, duration, localTime, money, number } from "./formats.js";
import { Chip, Drawing, IconButton, TextButton, TypeIcon, typeTitle } from "./icons.js";
import { shownText } from "./marks.js";
import { SearchField, nextFound, useFound } from "./search.js";
import { Spans } from "./spans.js";
import { byCost, bySlowness, collapsedTo, idsAbove, linesOf, treeOf, withAbove } from "./tree.js";
import { useSize } from "./window.js";

export function mount(element, trace, host) {
  render(html`<${TraceView} key=${trace.info.trace_id} trace=${trace} host=${host} />`, element);
}

export function unmount(element) {
  render(null, element);
}

// What the keys do, for a page's list of them.
export const KEYS = [
  ["↑ ↓ ← →", "move, close, open"], ["Home End PgUp PgDn", "move far"], ["Enter", "look at the span"], ["/", "find in trace"],
  ["n N", "next, previous match"], ["e", "next error"], ["s d", "slowest, dearest span; again: the next one"], ["z", "look closer at its time, and back"],
  ["c x", "collapse all, expand all"], ["1 … 9", "show so many levels"], ["m", "texts formatted or plain"], ["Esc", "back"], ["?", "this list"],
];

const NARROW = 720;
const MOST_KEPT = 200;
const NOBODY_TYPES = "input, textarea, select, [contenteditable]";

function TraceView({ trace, host }) {
  const [ref, size] = useSize();
  const isNarrow = size.width > 0 && size.width < NARROW;
  const tree = useMemo(() => treeOf(trace.spans), [trace.spans]);
  const [selectedId, setSelectedId] = useState(() => host?.selected ?? firstOf(tree));
  const [shownAt, setShownAt] = useState(0);
  const [isOpen, setOpen] = useState(Boolean(host?.selected));
  const [collapsed, setCollapsed] = useState(() => new Set());
  const [query, setQuery] = useState("");
  const [isFiltered, setFiltered] = useState(false);
  const [types, setTypes] = useState(() => new Set());
  const [onlyErrors, setOnlyErrors] = useState(false);
  const [hidesPlumbing, setHidesPlumbing] = useState(false);
  const [zoom, setZoom] = useState(null);
  const [share, setShare] = useState(0.56);
  const [tab, setTab] = useState("main");
  const [isPlain, setPlain] = useState(false);
  const [hasHelp, setHelp] = useState(false);
  const [told, setTold] = useState("");
  const kept = useRef(new Map()).current;
  const [keptCount, setKeptCount] = useState(0);
  const move = useRef(null);
  const input = useRef(null);
  const telling = useRef(null);
  const ranks = useRef({ name: "", at: 0 });

  const span = tree.places.get(selectedId) ?? tree.spans[0];
  const knownOf = useCallback((id) => kept.get(id) ?? inDocument(trace, id), [trace]);
  const keep = useCallback((id, found) => {
    kept.delete(id);
    kept.set(id, found);
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
    setKeptCount((count) => count + 1);
  }, []);
  const known = useMemo(() => (span ? knownOf(span.id) : null), [span?.id, knownOf, keptCount]);
  const found = useFound(tree, query, knownOf, keptCount);

  const only = useMemo(() => {
    const isFound = isFiltered && found;
    if (!onlyErrors && types.size === 0 && !isFound) return null;
    return withAbove(tree, (one) => wanted(one, types, onlyErrors) && (!isFound || found.marks[one.at]));
  }, [tree, types, onlyErrors, isFiltered && found]);
  const isMatch = useMemo(() => {
    if (types.size === 0 && !onlyErrors && !found) return null;
    return (one) => wanted(one, types, onlyErrors) && (!found || found.marks[one.at] === 1);
  }, [types, onlyErrors, found]);
  const lines = useMemo(() => linesOf(tree, { collapsed, only, hidesPlumbing }), [tree, collapsed, only, hidesPlumbing]);

  const select = useCallback((id, opens = false) => {
    setSelectedId(id);
    setShownAt((count) => count + 1);
    if (opens) setOpen(true);
    // A key that is held down passes many: a page's address has only the last.
    clearTimeout(telling.current);
    telling.current = setTimeout(() => host?.onSelect?.(id), 100);
  }, [host]);
  useEffect(() => {
    if (host?.selected && host.selected !== selectedId) {
      setSelectedId(host.selected);
      setShownAt((count) => count + 1);
    }
  }, [host?.selected]);

  const unfilter = () => {
    setTypes(new Set());
    setOnlyErrors(false);
    setFiltered(false);
  };
  // Choose a span wherever it is: what hides it is opened.
  const reveal = useCallback((one) => {
    const above = new Set(idsAbove(tree, one));
    setCollapsed((before) => ([...above].some((id) => before.has(id)) ? new Set([...before].filter((id) => !above.has(id))) : before));
    if (only && !only[one.at]) unfilter();
    if (one.isPlumbing) setHidesPlumbing(false);
    select(one.id);
  }, [tree, only, select]);
  const toggle = useCallback((id) => {
    setCollapsed((before) => {
      const next = new Set(before);
      if (!next.delete(id)) next.add(id);
      return next;
    });
    const one = tree.places.get(id);
    // What is chosen is never out of sight.
    if (span && one && span.at > one.at && span.at < one.end) select(id);
  }, [tree, span, select]);
  const collapseTo = (level) => {
    const next = collapsedTo(tree, level - 1);
    setCollapsed(next);
    const above = span ? idsAbove(tree, span).filter((id) => next.has(id)).at(-1) : undefined;
    if (above) select(above);
  };

  const goFound = (step) => {
    const at = found && nextFound(found.places, span.at, step);
    if (at !== undefined && at !== null) reveal(tree.spans[at]);
  };
  const goError = () => {
    const failed = tree.spans.filter(({ isFailed }) => isFailed);
    const next = failed.find(({ at }) => at > span.at) ?? failed[0];
    if (next) reveal(next);
    setTold(next ? `Error ${number(failed.indexOf(next) + 1)} of ${number(failed.length)}` : "Nothing failed");
  };
  const goRanked = (name) => {
    const ranked = (name === "slowest" ? bySlowness : byCost)(tree);
    const is = ranks.current;
    // Pressed again, it goes on to the next one.
    is.at = is.name === name && ranked[is.at]?.id === span.id ? (is.at + 1) % ranked.length : 0;
    is.name = name;
    const one = ranked[is.at];
    if (one) reveal(one);
    const what = name === "slowest" ? `${duration(one?.own)} without the spans below` : money(one?.cost);
    setTold(one ? `${is.at === 0 ? "" : `No. ${is.at + 1} `}${name}: ${what}` : "No span has a cost");
  };
  const zoomOn = () => setZoom(zoom || !span ? null : { from: span.start, to: span.start + (span.took || Math.max(tree.to - span.start, 1)) });

  const keys = {
    "/": () => { input.current?.focus(); input.current?.select(); }, n: () => goFound(1), N: () => goFound(-1), e: goError,
    s: () => goRanked("slowest"), d: () => goRanked("dearest"), z: zoomOn, c: () => collapseTo(1), x: () => setCollapsed(new Set()),
    m: () => setPlain(!isPlain), Enter: () => { setOpen(true); ref.current.querySelector(".tv-body")?.focus(); },
    // Where there is nothing to go back from, the key is the page's.
    Escape: () => { if (hasHelp) setHelp(false); else if (isNarrow && isOpen) setOpen(false); else return false; },
  };
  if (!host?.hasHelp) keys["?"] = () => setHelp(!hasHelp);
  for (let level = 1; level <= 9; level += 1) keys[level] = () => collapseTo(level);
  useViewerKeys(ref, keys, move);

  if (!span) return html`<div class="tv" ref=${ref}><p class="tv-muted">No spans yet.</p></div>`;
  const detail = html`<${DetailOf} key=${span.id} ...${{ tree, span, trace, host, known, keep, query, tab, setTab, isPlain, setPlain }}
    choose=${(id) => reveal(tree.places.get(id))} close=${isNarrow ? () => setOpen(false) : null} />`;
  return html`<div class=${`tv${isNarrow ? " tv-narrow" : ""}`} ref=${ref} data-spans=${tree.spans.length}>
    ${!host?.hidesHead && html`<${TraceHead} trace=${trace} tree=${tree} host=${host} />`}
    <div class="tv-toolbar" role="toolbar" aria-label="Search and filter">
      <${SearchField} ...${{ query, setQuery, found, isFiltered, setFiltered }} at=${span.at} go=${goFound} isPartial=${Boolean(host?.detail)} inputRef=${input} leave=${() => ref.current.querySelector(".tv-list")?.focus()} />
      <${TypeChips} tree=${tree} types=${types} setTypes=${setTypes} onlyErrors=${onlyErrors} setOnlyErrors=${setOnlyErrors} />
      <span class="tv-grow" />
      <span class="tv-told" role="status">${told}</span>
      ${tree.plumbing > 0 && html`<${Chip} isOn=${hidesPlumbing} title="Steps that only pass on what they were given" act=${() => setHidesPlumbing(!hidesPlumbing)}>${hidesPlumbing ? `${number(tree.plumbing)} hidden – show` : `Hide ${number(tree.plumbing)} steps`}<//>`}
      <span class="tv-jumps">
        ${tree.failed > 0 && html`<${Chip} kind="tv-bad" title="Next error (e)" act=${goError}><${Drawing} name="error" />Next<//>`}
        <${Chip} title="The span that took longest itself, without those below (s); again: the next one" act=${() => goRanked("slowest")}>Slowest<//>
        <${Chip} title="The span that cost most (d); again: the next one" act=${() => goRanked("dearest")}>Dearest<//>
        <${IconButton} name="fold" label="Collapse all" title="Collapse all (c); 1 to 9 show so many levels" act=${() => collapseTo(1)} />
        <${IconButton} name="unfold" label="Expand all" title="Expand all (x)" act=${() => setCollapsed(new Set())} />
        ${!host?.hasHelp && html`<${IconButton} name="keys" label="Keys" title="Keys (?)" act=${() => setHelp(true)} />`}
      </span>
    </div>
    <div class="tv-main">
      <div class="tv-left" style=${isNarrow ? {} : { width: `${share * 100}%` }}>
        <${Spans} ...${{ tree, lines, collapsed, select, toggle, move, isMatch, shownAt }} selectedId=${span.id} query=${query.trim().toLowerCase()}
          range=${zoom ?? tree} isZoomed=${zoom !== null} onZoom=${setZoom} />
        ${lines.places.length === 0 && html`<p class="tv-muted tv-none">No span is like that. <${TextButton} act=${unfilter}>Show all<//></p>`}
      </div>
      ${!isNarrow && html`<${Divider} share=${share} setShare=${setShare} of=${ref} />`}
      ${(!isNarrow || isOpen) && html`<section class="tv-right" aria-label="Span">${detail}</section>`}
    </div>
    ${hasHelp && html`<${KeyList} close=${() => setHelp(false)} />`}
  </div>`;
}

const firstOf = (tree) => tree.spans[0]?.id;

function inDocument(trace, id) {
  const detail = trace.details && Object.hasOwn(trace.details, id) ? trace.details[id] : null;
  return detail && { detail, texts: trace.texts ?? [] };
}

const wanted = (span, types, onlyErrors) => (types.size === 0 || types.has(span.type)) && (!onlyErrors || span.isFailed);

function DetailOf({ known, keep, ...props }) {
  const found = useDetail(props.span, known, keep, props.host);
  return html`<${Panel} ...${props} found=${found} />`;
}

// Keys anywhere on the page, unless somebody types, or goes to another page by "g" and a letter.
function useViewerKeys(ref, keys, move) {
  const held = useRef(keys);
  held.current = keys;
  useEffect(() => {
    let wentAt = -Infinity;
    const pressed = (event) => {
      const { target, key } = event;
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !(target instanceof Element)) return;
      const isInside = ref.current.contains(target);
      if (target.matches(NOBODY_TYPES) || (!isInside && target !== document.body) || ref.current.offsetParent === null) return;
      const goes = performance.now() - wentAt < 1000;
      if (key === "g") wentAt = performance.now();
      if (goes || key === "g") return;
      const isOnTree = target === document.body || target.closest(".tv-list") || target === ref.current;
      if (key === "Enter" && !isOnTree) return;
      const isDone = (isOnTree && move.current?.(key)) || (Object.hasOwn(held.current, key) && held.current[key]() !== false);
      if (isDone) event.preventDefault();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);
}

function TraceHead({ trace: { info }, tree, host }) {
  const tokens = info.usage && (info.usage.total_tokens ?? (info.usage.input_tokens ?? 0) + (info.usage.output_tokens ?? 0));
  const figures = [
    info.end_time_ns === null ? "" : duration(info.end_time_ns - info.start_time_ns), counted(tree.spans.length, "span"),
    tokens ? `${compact(tokens)} tokens` : "", money(info.cost?.total),
  ];
  return html`<header class="tv-trace"><${StatusBadge} status=${info.state} /><h1 title=${shownText(info.name)}><bdi>${shownText(info.name)}</bdi></h1>
    ${figures.filter(Boolean).map((text) => html`<span class="tv-figure" key=${text}>${text}</span>`)}
    ${tree.failed > 0 && html`<span class="tv-figure tv-bad">${counted(tree.failed, "error")}</span>`}
    <span class="tv-grow" /><time class="tv-figure tv-muted">${localTime(info.start_time_ns).slice(0, -4)}</time>${host?.traceActions?.()}</header>`;
}

function TypeChips({ tree, types, setTypes, onlyErrors, setOnlyErrors }) {
  const change = (type) => {
    const next = new Set(types);
    if (!next.delete(type)) next.add(type);
    setTypes(next);
  };
  return html`<span class="tv-chips" role="group" aria-label="Only spans of these types">
    ${tree.failed > 0 && html`<${Chip} kind="tv-bad" isOn=${onlyErrors} title="Only what failed" act=${() => setOnlyErrors(!onlyErrors)}>Errors <small>${number(tree.failed)}</small><//>`}
    ${tree.types.size > 1 && [...tree.types].map(([type, count]) => html`<${Chip} key=${type} isOn=${types.has(type)} title=${`Only ${typeTitle(type).toLowerCase()}`} label=${`${typeTitle(type)}: ${count}`} act=${() => change(type)}><${TypeIcon} type=${type} /><small>${number(count)}</small><//>`)}
  </span>`;
}

function Divider({ share, setShare, of }) {
  const set = (value) => setShare(Math.min(Math.max(value, 0.2), 0.85));
  const move = (event) => {
    if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
    const box = of.current.getBoundingClientRect();
    set((event.clientX - box.left) / box.width);
  };
  const keys = { ArrowLeft: -0.03, ArrowRight: 0.03 };
  const pressed = (event) => {
    if (!(event.key in keys)) return;
    set(share + keys[event.key]);
    event.preventDefault();
  };
  return html`<div class="tv-divider" role="separator" aria-orientation="vertical" aria-label="Width of the tree" tabindex="0" aria-valuenow=${Math.round(share * 100)}
    onPointerDown=${(event) => event.currentTarget.setPointerCapture(event.pointerId)} onPointerMove=${move} onDblClick=${() => setShare(0.56)} onKeyDown=${pressed} />`;
}

function KeyList({ close }) {
  const ref = useRef(null);
  useEffect(() => ref.current.focus(), []);
  return html`<div class="tv-over" onClick=${close}><div class="tv-keys" role="dialog" aria-label="Keys" aria-modal="true" tabindex="-1" ref=${ref} onClick=${(event) => event.stopPropagation()}>
    <header><b>Keys</b><${IconButton} name="close" title="Close" act=${close} /></header>
    <dl>${KEYS.map(([key, what]) => html`<div key=${key}><dt>${key.split(" ").map((one) => (one === "…" ? " … " : html`<kbd>${one}</kbd>`))}</dt><dd>${what}</dd></div>`)}</dl>
  </div></div>`;
}
