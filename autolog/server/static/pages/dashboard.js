// How it goes over time: requests, errors, latency, tokens and cost, in charts that lead to the traces behind them.
import { html, useMemo, useState } from "../viewer/preact.js";
import { get } from "../base/api.js";
import { compact, duration, money, nanoseconds, number, percent } from "../base/formats.js";
import { Missing, useLoaded } from "../base/loaded.js";
import { joined, queryOf, quoted } from "../base/query.js";
import { address, change } from "../base/router.js";
import { Chart, Legend, colour, timesOf } from "../parts/charts.js";
import { FilterBar } from "../parts/filter.js";
import { TimeRange } from "../parts/range.js";
import { Details, Totals } from "./breakdown.js";

const BUCKETS = matchMedia("(max-width: 700px)").matches ? 24 : 48;
const ASKED = ["filter", "experiment", "run", "range", "since", "until"];
const ANEW = { filter: null, range: null, since: null, until: null };

export function Page({ route: { params } }) {
  const by = params.by ?? "none";
  const id = ASKED.map((name) => params[name] ?? "").join("\n");
  const { found, ...state } = useLoaded(async (signal) => {
    const query = { ...asked(params), buckets: BUCKETS };
    return { ...(await get("statistics", { ...query, group_by: by }, signal)), by, query };
  }, `${id}\n${by}`);
  const isEmpty = !found || found.groups.every(({ totals }) => totals.requests === 0);
  return html`
    <div class="al-toolbar">
      <${FilterBar} value=${params.filter ?? ""} error=${state.error} onApply=${(text) => change({ filter: text })} />
      <${GroupBy} value=${by} />
      <${TimeRange} params=${params} onChange=${change} />
    </div>
    ${!isEmpty ? html`<${Charts} found=${found} params=${params} id=${id} isDim=${state.isLoading} />`
      : html`<${Missing} ...${state}><h2>No traces in this time</h2>
          <p><button class="al-button" onClick=${() => change(ANEW)}>Show all time</button></p><//>`}`;
}

// The last hour ends now, whenever its last trace was.
function asked(params) {
  const query = queryOf(params);
  return { ...query, order_by: null, until: query.until ?? (params.range && nanoseconds(Date.now())) };
}

// --- groups ---

const GROUPS = [["none", "Not grouped"], ...["model", "name", "version", "user", "experiment"].map((name) => [name, `By ${name}`])];

function GroupBy({ value }) {
  const { found } = useLoaded((signal) => get("fields", {}, signal), "fields", false);
  const tags = (found?.fields ?? []).map(({ name }) => name).filter((name) => name.startsWith("tags."));
  const others = new Set([...tags, value]);
  for (const [known] of GROUPS) others.delete(known);
  const choose = (event) => change({ by: event.target.value === "none" ? null : event.target.value, hide: null });
  return html`<select class="al-select" aria-label="Group by" value=${value} onChange=${choose}>
    ${[...GROUPS, ...[...others].map((name) => [name, `By ${name}`])].map(([name, title]) => html`
      <option value=${name}>${title}</option>`)}</select>`;
}

// A trace has several calls of models, which are counted where their models are compared.
const ofCalls = (by) => /^(span\.)?(model|provider)$/.test(by);

// What the traces of a group have in common, as a filter.
function conditionOf(by, { key, is_other }) {
  if (by === "none" || is_other) return null;
  const field = ofCalls(by) ? `span.${by.replace("span.", "")}` : by;
  return key === null ? `${field} IS NULL` : `${field} = ${quoted(key)}`;
}

function lineOf(group, index) {
  if (group.is_other) return { key: "*", name: "all others", colour: "var(--al-muted)", group };
  return { key: `=${group.key}`, name: group.key ?? "none", colour: colour(index), group };
}

// The keys of the series that were left out, which the address has as JSON.
function hiddenOf(params) {
  try {
    return new Set(JSON.parse(params.hide ?? "[]"));
  } catch {
    return new Set();
  }
}

// --- charts ---

const PARTS = {
  requests: ["not failed", "var(--al-c0)"], errors: ["failed", "var(--al-error)"], p50_ns: ["p50", "var(--al-c0)"],
  p95_ns: ["p95", "var(--al-c1)"], p99_ns: ["p99", "var(--al-c3)"], input_tokens: ["in", "var(--al-c0)"],
  output_tokens: ["out", "var(--al-c2)"], cost: ["cost", "var(--al-c0)"],
};
const QUANTILES = ["p50_ns", "p95_ns", "p99_ns"];

const rate = ({ requests, errors }) => requests.map((many, index) => (many ? errors[index] / many : null));
const tokens = (group) => group.input_tokens.map((many, index) => plus([many, group.output_tokens[index]]));
// What is not known of any of them stays unknown.
const plus = (values) => values.reduce((all, one) => (one === null ? all : (all ?? 0) + one), null);

// A chart is of one figure of each group; where nothing is grouped, of the parts of that figure. `total` is its headline.
const CHARTS = [
  { title: "Requests", kind: "bars", format: number, isWhole: true, of: (group) => group.requests,
    parts: ({ requests, errors }) => ({ requests: requests.map((many, index) => many - errors[index]), errors }),
    total: (of) => compact(of("requests")) },
  { title: "Latency", kind: "lines", format: duration, isTime: true, isQuantile: true,
    parts: (group) => Object.fromEntries(QUANTILES.map((name) => [name, group[name]])) },
  { title: "Errors", kind: "bars", format: number, isWhole: true, isFailed: true, of: (group) => group.errors,
    parts: ({ errors }) => ({ errors }), total: (of) => compact(of("errors")) },
  { title: "Error rate", kind: "lines", format: percent, most: 1, isFailed: true, of: rate,
    parts: (group) => ({ errors: rate(group) }), total: (of) => percent(of("errors") / (of("requests") || 1)) },
  { title: "Tokens", kind: "bars", format: compact, isWhole: true, of: tokens,
    parts: ({ input_tokens, output_tokens }) => ({ input_tokens, output_tokens }),
    total: (of) => compact(of("input_tokens", "output_tokens")) },
  { title: "Cost", kind: "bars", format: money, of: (group) => group.cost, parts: ({ cost }) => ({ cost }), total: (of) => money(of("cost")) },
];

function Charts({ found, params, id, isDim }) {
  const { by, groups, query } = found;
  const isGrouped = by !== "none";
  const [quantile, setQuantile] = useState("p95_ns");
  const times = useMemo(() => timesOf(found), [found]);
  const step = found.step_ns / 1e6;
  const failed = ofCalls(by) ? "span.status = 'ERROR'" : "status = 'ERROR'";
  const hidden = hiddenOf(params);
  const toggle = (key) => {
    if (!hidden.delete(key)) hidden.add(key);
    change({ hide: hidden.size > 0 ? JSON.stringify([...hidden]) : null }, { replace: true });
  };
  // The address of the traces that meet a condition too, of the whole time or of one bucket.
  const traces = (condition, from, length) => {
    const time = from === undefined ? { range: params.range, since: params.since, until: params.until } : bounds(from, length, query);
    const filter = condition ? joined(params.filter, condition) : params.filter;
    return address("traces", [], { filter, experiment: params.experiment, run: params.run, ...time });
  };
  const lines = groups.map(lineOf);
  const of = (...names) => plus(groups.flatMap(({ totals }) => names.map((name) => totals[name])));
  const quantiles = isGrouped && html`<span class="al-choice" role="group" aria-label="Quantile">${QUANTILES.map((name) => html`
    <button aria-pressed=${name === quantile} onClick=${() => setQuantile(name)}>${PARTS[name][0]}</button>`)}</span>`;

  const chart = ({ title, parts, total, isFailed, isQuantile, ...figure }) => {
    const value = isQuantile ? (group) => group[quantile] : figure.of;
    const all = isGrouped ? lines.map((line) => ({ ...line, values: value(line.group) }))
      : Object.entries(parts(groups[0])).map(([key, values]) => ({ key, name: PARTS[key][0], colour: PARTS[key][1], values }));
    const link = (index, series) => {
      const shared = series?.group && conditionOf(by, series.group);
      const isNot = !isGrouped && title === "Requests" && series?.key === "requests";
      const state = isFailed || series?.key === "errors" ? failed : isNot ? `NOT ${failed}` : null;
      return traces([shared, state].filter(Boolean).join(" AND "), times[index], step);
    };
    const legend = !isGrouped && all.length > 1 && html`<${Legend} series=${all} hidden=${hidden} onToggle=${toggle} />`;
    const headline = total ? total(of) : isGrouped ? "" : `p95 ${duration(groups[0].totals.p95_ns)}`;
    return html`<${Chart} key=${title} title=${title === "Requests" && ofCalls(by) ? "Calls" : title} headline=${headline}
      note=${isQuantile && isGrouped ? quantiles : legend} times=${times} step=${step} link=${link} ...${figure}
      series=${all.filter(({ key }) => !hidden.has(key))} />`;
  };
  return html`<div class=${`al-dashboard ${isDim ? "al-dim" : ""}`}>
    ${isGrouped && html`<${Legend} series=${lines} hidden=${hidden} onToggle=${toggle} />`}
    <div class="al-charts">${CHARTS.map(chart)}</div>
    <${Totals} title=${isGrouped ? by : "All"} counted=${ofCalls(by) ? "Calls" : "Requests"} lines=${lines} isGrouped=${isGrouped}
      hrefOf=${(group) => traces(conditionOf(by, group))} />
    ${found.is_sampled && html`<p class="al-muted">Estimates: one trace in ${number(found.share)} was looked at.</p>`}
    <${Details} ask=${() => ({ ...asked(params), buckets: BUCKETS })} id=${id} traces=${traces} />
  </div>`;
}

// From when to when the traces of a bucket started, no longer than what was asked for.
function bounds(from, step, { since, until }) {
  // Shorter buckets than JavaScript's numbers can tell at this size are made a little wider.
  const [start, end] = step >= 1 ? [nanoseconds(from), nanoseconds(from + step)]
    : [`${Math.floor(from * 1000) - 1}000`, `${Math.ceil((from + step) * 1000) + 1}000`];
  return {
    since: since && BigInt(since) > BigInt(start) ? since : start,
    until: until && BigInt(until) < BigInt(end) ? until : end,
  };
}
