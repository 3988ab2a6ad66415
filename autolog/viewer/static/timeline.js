// The waterfall: the axis of time, the bar of a span, and the part of the time that is shown.
import { html, useRef, useState } from "./preact.js";
import { duration } from "./formats.js";
import { typeKind } from "./icons.js";

const LEAST_TICK = 62;
const LEAST_LABEL = 44;

// The ticks of a stretch of time that is `width` pixels wide, at round moments: [{at, share}], in nanoseconds.
export function ticksOf({ from, to }, width) {
  const most = Math.max(Math.floor(width / LEAST_TICK), 1);
  const raw = (to - from) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = Math.max([1, 2, 5, 10].map((one) => one * power).find((one) => one >= raw), 1);
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= to && ticks.length < 30; at += step) {
    const share = (at - from) / (to - from);
    ticks.push({ at, share });
  }
  return ticks;
}

const percentOf = (share) => `${(share * 100).toFixed(3)}%`;

// The axis; dragging over it shows the stretch that was dragged over.
export function Axis({ range, width, onZoom }) {
  const [drag, setDrag] = useState(null);
  const ref = useRef(null);
  const shareAt = (event) => {
    const box = ref.current.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
  };
  const start = (event) => {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    setDrag([shareAt(event), shareAt(event)]);
  };
  const move = (event) => drag && setDrag([drag[0], shareAt(event)]);
  const end = () => {
    if (!drag) return;
    const [low, high] = [Math.min(...drag), Math.max(...drag)];
    setDrag(null);
    if ((high - low) * width < 4) return;
    const whole = range.to - range.from;
    onZoom({ from: range.from + low * whole, to: Math.max(range.from + high * whole, range.from + low * whole + 1) });
  };
  return html`<div class="tv-axis" ref=${ref} title="Drag to look closer" onPointerDown=${start} onPointerMove=${move}
    onPointerUp=${end} onPointerCancel=${() => setDrag(null)}>
    ${ticksOf(range, width).filter(({ share }) => share * width < width - LEAST_LABEL).map(({ at, share }) => html`<span key=${at} style=${{ left: percentOf(share) }}>${duration(at)}</span>`)}
    ${drag && html`<i style=${{ left: percentOf(Math.min(...drag)), width: percentOf(Math.abs(drag[1] - drag[0])) }} />`}
  </div>`;
}

// The lines of the ticks, as the background of the bars.
export function grid(range, width) {
  const ticks = ticksOf(range, width);
  return {
    backgroundImage: ticks.map(() => "linear-gradient(var(--tv-grid), var(--tv-grid))").join(","),
    backgroundSize: "1px 100%",
    backgroundRepeat: "no-repeat",
    backgroundPosition: ticks.map(({ share }) => `${(share * width).toFixed(1)}px 0`).join(","),
  };
}

// The bar of a span; what lies outside of the stretch that is shown is cut off.
export function Bar({ span, range }) {
  const whole = range.to - range.from;
  const end = span.start + (span.took ?? Math.max(range.to - span.start, 0));
  const left = Math.max((span.start - range.from) / whole, 0);
  const right = Math.min((end - range.from) / whole, 1);
  if (left > 1 || right < 0) return html`<span class="tv-gone">${right < 0 ? "‹" : "›"}</span>`;
  const first = span.firstToken === null ? null : (span.start + span.firstToken - range.from) / whole;
  const state = span.isFailed ? " tv-failed" : span.isRunning ? " tv-running" : "";
  return html`<span class=${`tv-bar tv-k-${typeKind(span.type)}${state}`} style=${{ left: percentOf(Math.min(left, 1)), width: percentOf(Math.max(right - left, 0)) }} />
    ${first !== null && first >= 0 && first <= 1 && html`<i class="tv-first" style=${{ left: percentOf(first) }} />`}`;
}
