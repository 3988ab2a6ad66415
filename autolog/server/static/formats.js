// How durations, times, tokens, money and other numbers are written, everywhere on the page.

const WHOLE = new Intl.NumberFormat("en-US");
const SHORT = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

// 1,204
export function number(value) {
  return value === null || value === undefined ? "" : WHOLE.format(value);
}

// 999, 12.3K, 4.5M
export function compact(value) {
  return value === null || value === undefined ? "" : value < 10_000 ? WHOLE.format(value) : SHORT.format(value);
}

// "1 trace", "1,204 traces"
export function counted(value, noun, plural = `${noun}s`) {
  return `${number(value)} ${value === 1 ? noun : plural}`;
}

// 12 µs, 340 ms, 1.24 s, 2 m 05 s, 1 h 03 m, 2 d 04 h; from nanoseconds.
export function duration(ns) {
  if (ns === null || ns === undefined) return "";
  const ms = ns / 1e6;
  if (ms < 0) return `-${duration(-ns)}`;
  if (ms < 1) return ms === 0 ? "0 ms" : ms < 0.001 ? `${Math.round(ns)} ns` : `${Math.round(ms * 1000)} µs`;
  if (ms < 999.5) return `${ms < 9.95 ? ms.toFixed(1) : Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 59.95) return `${seconds < 9.995 ? seconds.toFixed(2) : seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${two(whole % 60)} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} m`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}

// $0, $0.00021, $0.0123, $1.24, $1,204; US dollars.
export function money(usd) {
  if (usd === null || usd === undefined) return "";
  if (usd === 0) return "$0";
  if (usd < 0.000001) return "<$0.000001";
  if (usd < 0.01) return `$${Number(usd.toPrecision(2)).toFixed(6).replace(/0+$/, "")}`;
  return usd < 1 ? `$${usd.toFixed(3)}` : usd < 1000 ? `$${usd.toFixed(2)}` : `$${WHOLE.format(Math.round(usd))}`;
}

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
export function day(ns) {
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
