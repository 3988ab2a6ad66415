// How durations, times, tokens, money and other numbers are written, everywhere on the page.
export { compact, counted, duration, money, number } from "../viewer/formats.js";

// 12.5 %, from 0.125
export function percent(share) {
  if (share === null || share === undefined) return "";
  const value = share * 100;
  return `${value !== 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} %`;
}

const two = (value) => String(value).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const dateOf = (ns) => new Date(ns / 1e6);
const isSameDay = (a, b) => a.toDateString() === b.toDateString();

// The time of day today, and else the day before it: 14:03:22, Nov 24 14:03, 2025-11-24 14:03; local.
export function moment(ns, now = Date.now()) {
  if (ns === null || ns === undefined) return "";
  const date = dateOf(ns);
  const today = new Date(now);
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (isSameDay(date, today)) return `${clock}:${two(date.getSeconds())}`;
  if (today - date < 300 * 86_400_000 && date <= today) return `${MONTHS[date.getMonth()]} ${date.getDate()} ${clock}`;
  return `${day(ns)} ${clock}`;
}

// 2026-11-24
function day(ns) {
  const date = dateOf(ns);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

// 2026-11-24 14:03:22.123 +01:00
export function absolute(ns) {
  if (ns === null || ns === undefined) return "";
  const date = dateOf(ns);
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const away = -date.getTimezoneOffset();
  const zone = `${away < 0 ? "-" : "+"}${two(Math.floor(Math.abs(away) / 60))}:${two(Math.abs(away) % 60)}`;
  return `${day(ns)} ${clock}.${String(date.getMilliseconds()).padStart(3, "0")} ${zone}`;
}

const AGES = [[60, 1, "s"], [3600, 60, "min"], [86_400, 3600, "h"], [86_400 * 60, 86_400, "d"], [Infinity, 86_400 * 30, "mo"]];

// now, 12 s ago, 3 min ago, 5 h ago, 2 d ago
export function relative(ns, now = Date.now()) {
  if (ns === null || ns === undefined) return "";
  const seconds = Math.max(0, Math.round((now - ns / 1e6) / 1000));
  if (seconds < 5) return "now";
  const [, unit, name] = AGES.find(([until]) => seconds < until);
  return `${Math.floor(seconds / unit)} ${name} ago`;
}

// Nanoseconds since the epoch of a moment in milliseconds, as the server takes them: exact, as text.
export function nanoseconds(ms) {
  return `${Math.round(ms)}000000`;
}
