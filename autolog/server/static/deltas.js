// What became of a figure: by how much it is more or less than another one.
import { html } from "./viewer/preact.js";

// "+1.2 s, +40 %"; better where it is less, as times and costs are, or where `isMoreBetter` where it is more.
export function Delta({ left, right, format, isMoreBetter = null }) {
  if (left === null || left === undefined || right === null || right === undefined) return html`<span class="al-muted">–</span>`;
  const by = right - left;
  if (by === 0) return html`<span class="al-muted">=</span>`;
  const sign = by > 0 ? "+" : "−";
  const times = Math.abs(by / left);
  const share = left !== 0 && html` <small>${times >= 10 ? `${sign}${Math.round(times)}×` : times < 0.005 ? "<1 %" : `${sign}${Math.round(100 * times)} %`}</small>`;
  return html`<span class=${isMoreBetter === null ? "" : by > 0 === isMoreBetter ? "al-ok" : "al-error"}>${sign}${format(Math.abs(by))}${share}</span>`;
}
