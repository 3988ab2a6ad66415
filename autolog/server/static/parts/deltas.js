// What became of figures: by how much they are more or less than others.
import { html } from "../viewer/preact.js";

const isKnown = (value) => value !== null && value !== undefined;

// "+1.2 s +40 %". `isMoreBetter` says which way is green, and null that neither is.
export function Delta({ left, right, format, isMoreBetter = null }) {
  if (!isKnown(left) || !isKnown(right)) return html`<span class="al-muted">–</span>`;
  const by = right - left;
  if (by === 0) return html`<span class="al-muted">=</span>`;
  const state = isMoreBetter === null ? "" : by > 0 === isMoreBetter ? "al-ok" : "al-error";
  const sign = by > 0 ? "+" : "−";
  return html`<span class=${state}>${sign}${format(Math.abs(by))}${left !== 0 && html` <small>${shareOf(Math.abs(by / left), sign)}</small>`}</span>`;
}

function shareOf(share, sign) {
  if (share >= 10) return `${sign}${Math.round(share)}×`;
  return share < 0.005 ? "<1 %" : `${sign}${Math.round(100 * share)} %`;
}

// Figures of two sides, {title, left, right, format, isMoreBetter} or {title, shown}; those that neither has are left out.
export function Figures({ figures }) {
  return html`<dl class="al-figures">${figures.filter((one) => one.shown || isKnown(one.left) || isKnown(one.right)).map((one) => html`
    <div><dt>${one.title}</dt><dd>${one.shown ?? html`${one.format(one.left) || "–"} → ${one.format(one.right) || "–"} <${Delta} ...${one} />`}</dd></div>`)}</dl>`;
}
