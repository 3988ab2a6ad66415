// Charts over time: bars and lines in SVG. Each moment is a link to what it was made of, by hand and by keys.
import { html, useLayoutEffect, useMemo, useRef, useState } from "../viewer/preact.js";
import { absolute } from "../base/formats.js";

const HEIGHT = 132;
const TOP = 8;
const BELOW = 20;
const SECOND = 1000;
const DAY = 86_400 * SECOND;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200].map((one) => one * SECOND);
const DAYS = [1, 2, 7, 14, 28, 91, 182, 365].map((one) => one * DAY);
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (value) => String(value).padStart(2, "0");

// Round numbers from 0 to `most` or just above it, about `count` of them. `base` is 1e9 for durations, which are round in
// seconds and, above ten of them, in minutes and hours.
function roundSteps(most, count = 3, isWhole = false, isTime = false) {
  const rough = most / count;
  if (isTime && rough > 10e9) {
    const step = [...STEPS, ...DAYS].find((one) => one * 1e6 >= rough) ?? DAYS.at(-1);
    return multiples(step * 1e6, most);
  }
  const ten = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * ten).find((one) => one >= rough * 0.999);
  return multiples(isWhole ? Math.max(1, Math.round(step)) : step, most);
}

function multiples(step, most) {
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

// [[ms, label]] between two moments: whole minutes, hours and days as clocks here show them.
function roundMoments(from, to, most) {
  const rough = (to - from) / Math.max(most, 1);
  const step = [...STEPS, ...DAYS].find((one) => one >= rough) ?? DAYS.at(-1);
  const away = new Date(from).getTimezoneOffset() * 60 * SECOND;
  const first = Math.ceil((from - away) / step) * step + away;
  const found = [];
  for (let at = first; at <= to; at += step) found.push([at, momentLabel(new Date(at), step)]);
  return found;
}

function momentLabel(date, step) {
  const [hours, minutes] = [date.getHours(), date.getMinutes()];
  if (step >= DAY || (hours === 0 && minutes === 0 && step >= 60 * SECOND)) return `${MONTHS[date.getMonth()]} ${date.getDate()}`;
  return `${two(hours)}:${two(minutes)}${step < 60 * SECOND ? `:${two(date.getSeconds())}` : ""}`;
}

// "Nov 25 14:00 – 14:30" of a bucket, local.
function span(from, length) {
  const [start, end] = [absolute(from * 1e6), absolute((from + length) * 1e6)];
  const digits = length >= 60 * SECOND ? 16 : length >= SECOND ? 19 : 23;
  return `${start.slice(0, digits)} – ${end.slice(start.slice(0, 10) === end.slice(0, 10) ? 11 : 0, digits)}`;
}

// What labels of an axis leave out: zeros behind the point.
const short = (text) => text.replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "");

function useWidth() {
  const element = useRef(null);
  const [width, set] = useState(0);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) => set(Math.floor(entry.contentRect.width)));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return [element, width];
}

// `times` are the starts of the buckets in ms, each `step` ms long; `series` is [{key, name, colour, values}], a number or
// null for each bucket. `kind` is "bars", which stand on each other, or "lines". `format` writes a value;
// `link(index, series|null)` is where a bucket leads, or one series of it.
export function Chart({ title, headline, note, times, step, series, kind, format, link, isWhole = false, isTime = false, most }) {
  const [element, width] = useWidth();
  const [at, setAt] = useState(null); // {index, row}: the bucket, and of its series the one that is chosen
  const isStacked = kind === "bars";
  const plot = useMemo(
    () => laidOut({ times, step, series, isStacked, format, isWhole, isTime, most, width }), [times, series, width, kind]);
  const shown = at && at.index < times.length ? at : null;
  const last = Math.max(times.findLastIndex((_, index) => series.some(({ values }) => values[index])), 0);
  const move = (event, index) => {
    const to = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: times.length - 1 }[event.key];
    const turn = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (to === undefined && !turn) return;
    event.preventDefault();
    event.stopPropagation();
    if (turn) return setAt({ index, row: turned(shown?.row ?? null, turn, series.length) });
    const next = Math.min(Math.max(to, 0), times.length - 1);
    setAt({ index: next, row: shown?.row ?? null });
    return event.currentTarget.parentNode.children[next].focus();
  };
  return html`
    <figure class="al-chart" onMouseLeave=${() => setAt(null)}>
      <figcaption><span>${title}</span><strong>${headline}</strong>${note && html`<span class="al-muted">${note}</span>`}</figcaption>
      <div class="al-plot" ref=${element}>
        ${plot && html`<svg width=${width} height=${HEIGHT} role="group" aria-label=${`${title} over time`}>
          <${Axes} plot=${plot} width=${width} />
          ${isStacked ? plot.bars.map(({ colour, d }) => html`<path d=${d} fill=${colour} />`)
            : plot.lines.map(({ colour, dash, d, points }) => html`<path d=${d} fill="none" stroke=${colour} stroke-width="1.6"
                stroke-linejoin="round" stroke-dasharray=${dash} />${points.map(([x, y]) => html`<circle cx=${x} cy=${y} r="2.6" fill=${colour} />`)}`)}
          <g>${times.map((from, index) => {
            const row = shown?.index === index ? shown.row : null;
            return html`<a class=${`al-hit ${shown?.index === index ? "al-at" : ""}`} href=${link(index, row === null ? null : series[row])}
              tabindex=${index === (shown?.index ?? last) ? 0 : -1} aria-label=${said(title, from, step, series, index, format, row)}
              onMouseEnter=${() => setAt({ index, row: null })} onFocus=${() => shown?.index === index || setAt({ index, row: null })}
              onBlur=${() => setAt(null)} onKeyDown=${(event) => move(event, index)}>
              <rect x=${plot.left + index * plot.each} y=${TOP} width=${plot.each} height=${HEIGHT - TOP - BELOW} /></a>`;
          })}</g>
          ${shown && html`<${Marks} plot=${plot} at=${shown} series=${series} isStacked=${isStacked} link=${link}
            onRow=${(row) => setAt({ ...shown, row })} />`}
        </svg>
        ${plot.isEmpty && html`<span class="al-none al-muted">none</span>`}
        ${shown && html`<${Tooltip} plot=${plot} at=${shown} times=${times} step=${step} series=${series} format=${format}
          width=${width} isStacked=${isStacked} />`}`}
      </div>
    </figure>`;
}

// From one row of a tooltip to the next; null, which is all of them, comes between the last and the first.
function turned(row, turn, count) {
  const next = (row === null ? (turn > 0 ? -1 : count) : row) + turn;
  return next < 0 || next >= count ? null : next;
}

function said(title, from, step, series, index, format, row) {
  const chosen = row === null ? series : [series[row]];
  const values = chosen.map(({ name, values: { [index]: value } }) => `${name} ${value === null ? "none" : format(value)}`);
  return `${title}, ${span(from, step)}: ${values.join(", ")}`;
}

function laidOut({ times, step, series, isStacked, format, isWhole, isTime, most, width }) {
  if (width < 40 || times.length === 0) return null;
  const sums = times.map((_, index) => series.reduce((sum, { values }) => sum + (values[index] ?? 0), 0));
  const highest = isStacked ? Math.max(0, ...sums) : Math.max(0, ...series.flatMap(({ values }) => values.filter((one) => one !== null)));
  const isEmpty = isStacked ? highest === 0 : series.every(({ values }) => values.every((one) => one === null));
  const top = Math.min(highest || (isEmpty ? 0 : most ?? 0), most ?? Infinity);
  const levels = top > 0 ? roundSteps(top, 3, isWhole, isTime) : [0];
  const labels = levels.map((level) => (level === 0 ? "0" : short(format(level))));
  const left = Math.ceil(Math.max(...labels.map((label) => label.length)) * 5.8) + 8;
  const each = (width - left - 8) / times.length;
  const y = (value) => TOP + (HEIGHT - TOP - BELOW) * (1 - value / (levels.at(-1) || 1));
  const x = (index) => left + (index + 0.5) * each;
  const gap = each > 7 ? 2 : each > 3 ? 1 : 0;
  const barWidth = Math.min(each - gap, 36);
  const moments = roundMoments(times[0], times.at(-1) + step, (width - left) / 76)
    .map(([at, label]) => [left + ((at - times[0]) / step) * each, label]).filter(([place]) => place > left + 8 && place < width - 22);
  if (moments.length === 0) moments.push([(left + width) / 2, absolute(times[0] * 1e6).slice(5, 19)]);
  const plot = { left, each, x, y, levels, labels, moments, isEmpty, barWidth };
  return isStacked ? { ...plot, bars: series.map(({ colour }, row) => ({ colour, d: barsOf(plot, series, row) })) }
    : { ...plot, lines: series.map((one) => ({ ...one, ...lineOf(plot, one.values) })) };
}

// The foot and the head of a bar that stands on those before it.
function standing(series, row, index) {
  let foot = 0;
  for (let below = 0; below < row; below += 1) foot += series[below].values[index] ?? 0;
  return [foot, foot + (series[row].values[index] ?? 0)];
}

function barsOf({ x, y, barWidth }, series, row) {
  return series[row].values.map((value, index) => {
    if (!value) return "";
    const [foot, head] = standing(series, row, index).map(y);
    // What is there is seen, however small it is beside the rest.
    return `M${(x(index) - barWidth / 2).toFixed(1)} ${foot.toFixed(1)}h${barWidth.toFixed(1)}V${Math.min(head, foot - 1).toFixed(1)}h${(-barWidth).toFixed(1)}z`;
  }).join("");
}

// A line is broken where nothing is known; what stands alone is a point.
function lineOf({ x, y }, values) {
  const is = (index) => values[index] !== null && values[index] !== undefined;
  const points = [];
  const d = values.map((value, index) => {
    if (!is(index)) return "";
    if (!is(index - 1) && !is(index + 1)) points.push([x(index), y(value)]);
    return `${is(index - 1) ? "L" : "M"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
  }).join("");
  return { d, points };
}

function Axes({ plot, width }) {
  const { left, y, levels, labels, moments } = plot;
  return html`<g class="al-axes" aria-hidden="true">
    ${levels.map((level, index) => html`<line x1=${left} x2=${width - 8} y1=${Math.round(y(level)) + 0.5} y2=${Math.round(y(level)) + 0.5} />
      <text x=${left - 6} y=${y(level) + 3.5} text-anchor="end">${labels[index]}</text>`)}
    ${moments.map(([x, label]) => html`<line class="al-tick" x1=${x} x2=${x} y1=${HEIGHT - BELOW} y2=${HEIGHT - BELOW + 4} />
      <text x=${x} y=${HEIGHT - 5} text-anchor="middle">${label}</text>`)}
  </g>`;
}

// What can be clicked of the bucket that is looked at: its bars, or the points of its lines.
function Marks({ plot, at, series, isStacked, link, onRow }) {
  const { x, y, barWidth } = plot;
  return series.map((one, row) => {
    const value = one.values[at.index];
    if (value === null || value === undefined || (isStacked && !value)) return null;
    const [foot, head] = isStacked ? standing(series, row, at.index).map(y) : [0, y(value)];
    const isChosen = at.row === row;
    const left = x(at.index) - barWidth / 2;
    const bar = () => html`<rect x=${left} y=${head} width=${barWidth} height=${Math.max(foot - head, 1)} fill=${one.colour}
      class=${isChosen ? "al-chosen" : ""} />`;
    const point = () => html`<circle cx=${x(at.index)} cy=${head} r="9" fill="transparent" />
      <circle cx=${x(at.index)} cy=${head} r=${isChosen ? 5 : 3.5} fill=${one.colour} />`;
    return html`<a class="al-mark" href=${link(at.index, one)} tabindex="-1" aria-hidden="true"
      onMouseEnter=${() => onRow(row)} onMouseLeave=${() => onRow(null)}>${isStacked ? bar() : point()}</a>`;
  });
}

function Tooltip({ plot, at, times, step, series, format, width, isStacked }) {
  const x = plot.x(at.index);
  const rows = series.map((one, row) => ({ ...one, row, value: one.values[at.index] }));
  const listed = rows.length > 4 ? rows.filter(({ value, row }) => value || row === at.row) : rows;
  const place = x > width / 2 ? { right: `${width - x + 10}px` } : { left: `${x + 10}px` };
  const ordered = isStacked ? listed.slice().reverse() : listed;
  return html`<div class="al-tip" style=${place} aria-hidden="true">
    <div class="al-muted">${span(times[at.index], step)}</div>
    ${ordered.length === 0 && html`<div>none</div>`}
    ${ordered.map(({ name, colour, value, row }) => html`<div class=${row === at.row ? "al-chosen" : ""}>
      <i style=${{ background: colour }} /><span>${name}</span><b>${value === null || value === undefined ? "–" : format(value)}</b></div>`)}
    ${isStacked && rows.length > 1 && html`<div><i /><span>all</span><b>${format(rows.reduce((sum, { value }) => sum + (value ?? 0), 0))}</b></div>`}
  </div>`;
}

// What the colours mean; a click leaves a series out or takes it in again, where that is offered.
export function Legend({ series, hidden, onToggle }) {
  const mark = ({ name, colour }) => html`<i style=${{ background: colour }} /> ${name}`;
  const button = (one) => html`<button aria-pressed=${!hidden.has(one.key)} title=${hidden.has(one.key) ? "Show" : "Leave out"}
    onClick=${() => onToggle(one.key)}>${mark(one)}</button>`;
  return html`<div class="al-legend" role="group" aria-label="Legend">
    ${series.map((one) => (onToggle ? button(one) : html`<span>${mark(one)}</span>`))}</div>`;
}

export const colour = (index) => `var(--al-c${index % 12})`;

// When the buckets of statistics begin, in ms.
export const timesOf = ({ buckets }) => buckets.map((ns) => Math.round(ns / 1000) / 1000);
