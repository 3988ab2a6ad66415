// The lines of a trace: its tree and its waterfall in one, of which only those in sight are in the page.
import { html, useLayoutEffect, useMemo, useRef } from "./preact.js";
import { compact, duration, money, number } from "./formats.js";
import { Chip, Drawing, TypeIcon, typeTitle } from "./icons.js";
import { Marked, shownText } from "./marks.js";
import { Axis, Bar, grid } from "./timeline.js";
import { DEEPEST_GUIDE } from "./tree.js";
import { useSize, useWindow } from "./window.js";

export const ROW_HEIGHT = 26;
const INDENT = 14;
const MOST_INDENT = 16;
const LINE = "var(--tv-guide)";
const RED = "var(--al-error)";

/**
 * The tree. `lines` are those of `tree.js`; `move` is given what a key asks for; `query` is marked in names.
 * `isMatch` says which spans the search found; others are dimmed where `only` keeps them for their place.
 */
export function Spans({ tree, lines, selectedId, collapsed, range, isZoomed, onZoom, select, toggle, move, query, isMatch, shownAt }) {
  const view = useWindow(lines.places.length, ROW_HEIGHT);
  const [axisRef, axis] = useSize();
  const selected = tree.places.get(selectedId);
  const line = useMemo(() => (selected ? lines.places.indexOf(selected.at) : -1), [lines, selected]);
  const before = useRef(null);
  useLayoutEffect(() => {
    // A newer document of a running trace leaves the place where it is.
    if (line !== -1 && before.current !== shownAt) view.show(line);
    before.current = shownAt;
  }, [shownAt, line]);
  move.current = (key) => moved(key, { tree, lines, line, collapsed, page: view.page, select, toggle });
  const background = useMemo(() => grid(range, axis.width), [range, axis.width]);
  const rows = [];
  for (let at = view.first; at < view.last; at += 1) {
    const span = tree.spans[lines.places[at]];
    rows.push(html`<${Row} key=${span.id} span=${span} line=${at} depth=${lines.depths[at]} guides=${lines.guides[at]} reds=${lines.reds[at]}
      isSelected=${span.id === selectedId} isCollapsed=${collapsed.has(span.id)} range=${range} background=${background} query=${query}
      isDimmed=${isMatch !== null && !isMatch(span)} select=${select} toggle=${toggle} />`);
  }
  const isInSight = line >= view.first && line < view.last;
  return html`<div class="tv-spans">
    <div class="tv-row tv-columns" style=${view.width ? { width: `${view.width}px` } : {}}>
      <div class="tv-name">Span${isZoomed && html`<${Chip} isOn act=${() => onZoom(null)}>all of the time <${Drawing} name="close" /><//>`}</div>
      <div class="tv-time" ref=${axisRef}><${Axis} range=${range} width=${axis.width} onZoom=${onZoom} /></div>
      <div class="tv-took">Time</div><div class="tv-tokens">Tokens</div><div class="tv-cost">Cost</div>
    </div>
    <div class="tv-list" role="tree" aria-label="Spans" tabindex="0" ref=${view.ref} onScroll=${view.onScroll}
      aria-activedescendant=${isInSight ? rowId(selected) : undefined}>
      <div class="tv-all" style=${{ height: `${lines.places.length * ROW_HEIGHT}px` }} role="none">
        <div style=${{ transform: `translateY(${view.first * ROW_HEIGHT}px)` }} role="none">${rows}</div>
      </div>
    </div>
  </div>`;
}

const rowId = (span) => `tv-span-${span.id}`;

function Row({ span, depth, guides, reds, isSelected, isCollapsed, isDimmed, range, background, query, select, toggle }) {
  const hasChildren = span.end > span.at + 1;
  const hidden = isCollapsed ? span.failedBelow : 0;
  const sum = span.isSum ? " tv-sum" : "";
  const classes = ["tv-row"];
  if (isSelected) classes.push("tv-selected");
  if (span.isFailed) classes.push("tv-failed");
  if (span.isDuplicate || isDimmed) classes.push("tv-dim");
  return html`<div id=${rowId(span)} class=${classes.join(" ")} role="treeitem" aria-level=${depth + 1}
    aria-selected=${isSelected} aria-expanded=${hasChildren ? !isCollapsed : undefined}
    onClick=${() => select(span.id, true)} onDblClick=${() => hasChildren && toggle(span.id)}>
    <div class="tv-name" style=${indented(depth, guides, reds, span)}>
      ${hasChildren
        ? html`<span class="tv-expander" onClick=${(event) => { event.stopPropagation(); toggle(span.id); }} onDblClick=${(event) => event.stopPropagation()}><${Drawing} name=${isCollapsed ? "right" : "down"} /></span>`
        : html`<span class="tv-leaf" />`}
      <${TypeIcon} type=${span.type} />
      <span class="tv-label" title=${tooltip(span, depth)}><${Marked} text=${span.name} query=${query} /></span>
      ${depth > MOST_INDENT && html`<span class="tv-depth">${number(depth)} deep</span>`}
      ${isCollapsed && html`<span class="tv-more">+${number(span.end - span.at - 1)}</span>`}
      ${span.model && span.model !== span.name && !span.name.endsWith(` ${span.model}`) && html`<span class="tv-model"><${Marked} text=${span.model} query=${query} /></span>`}
      ${span.isDuplicate && html`<span class="tv-model" title="The same call as that of the span above, as the library below saw it. It counts once.">same call</span>`}
      ${(span.isFailed || hidden > 0) && html`<span class="tv-error" title=${span.isFailed ? span.errorType ?? "failed" : `${number(hidden)} failed below`}><${Drawing} name="error" />${hidden > 0 && number(hidden + (span.isFailed ? 1 : 0))}</span>`}
    </div>
    <div class="tv-time" style=${background}><div class="tv-track"><${Bar} span=${span} range=${range} /></div></div>
    <div class="tv-took">${span.isRunning ? "running" : duration(span.took)}</div>
    <div class=${`tv-tokens${sum}`} title=${tokensTold(span)}>${compact(span.tokens)}</div>
    <div class=${`tv-cost${sum}`}>${money(span.spent)}</div>
  </div>`;
}

const tokensTold = ({ inputTokens, outputTokens, isSum }) => (isSum ? "of the spans below" : `${number(inputTokens ?? 0)} in, ${number(outputTokens ?? 0)} out`);

function tooltip(span, depth) {
  const parts = [shownText(span.name), typeTitle(span.type)];
  if (span.took !== null && span.end > span.at + 1) parts.push(`${duration(span.own)} without the spans below`);
  if (depth > MOST_INDENT) parts.push(`level ${number(depth)}`);
  if (span.isOrphan) parts.push("the span above it is not in this trace");
  return parts.join(" · ");
}

// The indentation of a line, and the lines that lead to it: of its level, and of those above that go on below it.
function indented(depth, guides, reds, span) {
  const indent = Math.min(depth, MOST_INDENT);
  const [images, sizes, places] = [[], [], []];
  const put = (colour, size, place) => {
    images.push(`linear-gradient(${colour},${colour})`);
    sizes.push(size);
    places.push(place);
  };
  const own = Math.min(depth, DEEPEST_GUIDE);
  if (indent > 0) {
    const x = (indent - 1) * INDENT + 12;
    const leadsToRed = span.isFailed || span.failedBelow > 0;
    const isRedBelow = Boolean(reds & (1 << own));
    put(leadsToRed ? RED : LINE, "8px 1px", `${x}px 50%`);
    put(leadsToRed || isRedBelow ? RED : LINE, "1px 50%", `${x}px 0`);
    if (guides & (1 << own)) put(isRedBelow ? RED : LINE, "1px 50%", `${x}px 100%`);
  }
  if (depth <= MOST_INDENT) {
    for (let level = 1; level < depth; level += 1) {
      if (guides & (1 << level)) put(reds & (1 << level) ? RED : LINE, "1px 100%", `${(level - 1) * INDENT + 12}px 0`);
    }
  }
  return {
    paddingLeft: `${indent * INDENT + 5}px`, backgroundImage: images.join(","), backgroundSize: sizes.join(","),
    backgroundPosition: places.join(","), backgroundRepeat: "no-repeat",
  };
}

// What a key does: another span chosen, or this one opened or closed. Returns whether the key was one of those.
function moved(key, { tree, lines, line, collapsed, page, select, toggle }) {
  const last = lines.places.length - 1;
  const to = { ArrowDown: line + 1, ArrowUp: line - 1, Home: 0, End: last, PageDown: line + page, PageUp: line - page }[key];
  if (to !== undefined) {
    if (last >= 0) select(tree.spans[lines.places[Math.min(Math.max(to, 0), last)]].id);
    return true;
  }
  if (line === -1) return false;
  const span = tree.spans[lines.places[line]];
  const hasChildren = span.end > span.at + 1;
  if (key === "ArrowLeft") {
    if (hasChildren && !collapsed.has(span.id)) toggle(span.id);
    else if (lines.depths[line] > 0) {
      let above = line - 1;
      while (lines.depths[above] >= lines.depths[line]) above -= 1;
      select(tree.spans[lines.places[above]].id);
    }
    return true;
  }
  if (key === "ArrowRight") {
    if (hasChildren && collapsed.has(span.id)) toggle(span.id);
    else if (hasChildren && line < last && lines.depths[line + 1] > lines.depths[line]) select(tree.spans[lines.places[line + 1]].id);
    return true;
  }
  return false;
}
