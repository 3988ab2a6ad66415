// How numbers, durations, money and times are written.

const WHOLE_NUMBER = new Intl.NumberFormat("en-US");
const SHORT_NUMBER = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

// 1,204
export function number(value) {
  return value === null || value === undefined ? "" : WHOLE_NUMBER.format(value);
}

// 999, 12.3K, 4.5M
export function compact(value) {
  return value === null || value === undefined ? "" : value < 10_000 ? number(value) : SHORT_NUMBER.format(value);
}

// "1 span", "1,204 spans"
export function counted(value, noun, plural = `${noun}s`) {
  return `${number(value)} ${value === 1 ? noun : plural}`;
}

const twoDigits = (value) => String(value).padStart(2, "0");

// 12 µs, 340 ms, 1.24 s, 2 m 05 s, 1 h 03 m; from nanoseconds.
export function duration(ns) {
  if (ns === null || ns === undefined) return "";
  if (ns < 0) return `-${duration(-ns)}`;
  const ms = ns / 1e6;
  if (ms < 1) return ns === 0 ? "0 ms" : ms < 0.001 ? `${Math.round(ns)} ns` : `${Math.round(ms * 1000)} µs`;
  if (ms < 999.5) return `${ms < 9.95 ? ms.toFixed(1) : Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 59.95) return `${seconds < 9.995 ? seconds.toFixed(2) : seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${twoDigits(whole % 60)} s`;
  const minutes = Math.round(whole / 60);
  return `${number(Math.floor(minutes / 60))} h ${twoDigits(minutes % 60)} m`;
}

// $0, <$0.00001, $0.00021, $0.012, $1.24, $1,204; US dollars.
export function money(usd) {
  if (usd === null || usd === undefined) return "";
  if (usd === 0) return "$0";
  if (usd < 0) return `-${money(-usd)}`;
  if (usd < 0.00001) return "<$0.00001";
  if (usd < 0.01) return `$${Number(usd.toPrecision(2)).toFixed(6).replace(/0+$/, "")}`;
  return usd < 1 ? `$${usd.toFixed(3)}` : usd < 1000 ? `$${usd.toFixed(2)}` : `$${number(Math.round(usd))}`;
}

// 2026-11-24 14:03:22.123, in the reader's time zone; from nanoseconds since the epoch.
export function localTime(ns) {
  const date = new Date(ns / 1e6);
  const day = `${date.getFullYear()}-${twoDigits(date.getMonth() + 1)}-${twoDigits(date.getDate())}`;
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(":");
  return `${day} ${clock}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
