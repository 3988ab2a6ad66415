// How it goes over time: requests, errors, latency, tokens and cost, in charts that lead to the traces behind them.
import { html, useMemo, useState } from "./viewer/preact.js";
import { get } from "./api.js";
import { Chart, Legend, colour } from "./charts.js";
import { FilterBar } from "./filter.js";
import { absolute, compact, duration, money, nanoseconds, number, percent, relative } from "./formats.js";
import { Missing, useLoaded } from "./loaded.js";
import { joined, keyed, queryOf, quoted } from "./query.js";
import { TimeRange } from "./range.js";
import { address, change } from "./router.js";

const QUANTILES = ["p50", "p95", "p99"];
const SERIES = {
  ok: ["OK", "var(--al-c0)"], errors: ["failed", "var(--al-error)"], p50: ["p50", "var(--al-c0)"], p95: ["p95", "var(--al-c1)"],
  p99: ["p99", "var(--al-c3)"], input: ["in", "var(--al-c0)"], output: ["out", "var(--al-c2)"],
};
const BUCKETS = matchMedia("(max-width: 700px)").matches ? 24 : 48;
const MS = 1e6;

// The last hour ends now, whenever its last trace was.
function asked(params) {
  const query = queryOf(params);
  return { ...query, order_by: null, until: query.until ?? (params.range && nanoseconds(Date.now())) };
}

// What is not known of any of them stays unknown.
const sum = (values) => values.reduce((all, one) => (one === null ? all : (all ?? 0) + one), null);

export function Page({ route: { params } }) {
  const id = ["filter", "experiment", "run", "range", "since", "until"].map((name) => params[name] ?? "").join("\n");
  const by = params.by ?? "none";
  const { found, ...state } = useLoaded(async (signal) => {
    const query = asked(params);
    return { ...(await get("statistics", { ...query, group_by: by, buckets: BUCKETS }, signal)), by, query };
  }, `${id}\n${by}`);
  const bar = html`
    <div class="al-toolbar"><${FilterBar} value=${params.filter ?? ""} error=${state.error} onApply=${(text) => change({ filter: text })} />
      <${GroupBy} value=${by} /><${TimeRange} params=${params} onChange=${change} /></div>`;
  const isEmpty = !found || found.groups.every(({ totals }) => totals.requests === 0);
  return html`${bar}${isEmpty ? html`<${Missing} ...${state}><h2>No traces in this time</h2><p><button class="al-button" onClick=${() => change({ filter: null, range: null, since: null, until: null })}>Show all time</button></p><//>`
    : html`<${Charts} found=${found} params=${params} id=${id} isDim=${state.isLoading} />`}`;
}

const CHOICES = [["none", "Not grouped"], ["model", "By model"], ["name", "By name"], ["version", "By version"], ["user", "By user"], ["experiment", "By experiment"]];

function GroupBy({ value }) {
  const { found } = useLoaded((signal) => get("fields", {}, signal), "fields", false);
  const tags = (found ?? []).map(({ name }) => name).filter((name) => name.startsWith("tags."));
  const all = [...CHOICES, ...[...new Set([...tags, value])].filter((name) => !CHOICES.some(([known]) => known === name)).map((name) => [name, `By ${name}`])];
  return html`<select class="al-select" aria-label="Group by" value=${value} onChange=${(event) => change({ by: event.target.value === "none" ? null : event.target.value, hide: null })}>
    ${all.map(([name, title]) => html`<option value=${name}>${title}</option>`)}</select>`;
}

function hiddenOf(params) {
  try {
    return new Set(JSON.parse(params.hide ?? "[]"));
  } catch {
    return new Set();
  }
}

// A trace has several calls of models, which are counted where their models are compared.
const ofCalls = (by) => /^(span\.)?(model|provider)$/.test(by);

// What a group's traces have in common, as a filter.
function conditionOf(by, { key }) {
  if (by === "none") return null;
  const field = ofCalls(by) ? `span.${by.replace("span.", "")}` : by;
  return key === null ? `${field} IS NULL` : `${field} = ${quoted(key)}`;
}

function Charts({ found, params, id, isDim }) {
  const { by, groups, query } = found;
  const [quantile, setQuantile] = useState("p95");
  const hidden = hiddenOf(params);
  const toggle = (key) => {
    hidden.has(key) ? hidden.delete(key) : hidden.add(key);
    change({ hide: hidden.size > 0 ? JSON.stringify([...hidden]) : null }, { replace: true });
  };
  const times = useMemo(() => found.buckets.map((ns) => Math.round(ns / 1000) / 1000), [found]);
  const step = found.step_ns / MS;
  const failed = ofCalls(by) ? "span.status = 'ERROR'" : "status = 'ERROR'";
  const kept = { experiment: params.experiment, run: params.run };
  const traces = (condition, from, length) => address("traces", [], {
    ...kept, filter: condition ? joined(params.filter, condition) : params.filter,
    ...(from === undefined ? { range: params.range, since: params.since, until: params.until } : bounds(from, length, query)),
  });
  const isGrouped = by !== "none";
  const groupSeries = groups.map((group, index) => ({ key: `=${group.is_other ? "" : group.key}`, name: group.is_other ? "all others" : group.key ?? "none", colour: group.is_other ? "var(--al-muted)" : colour(index), group }));
  const seen = groupSeries.filter(({ key }) => !hidden.has(key));
  const one = groups[0];
  const own = (key, values) => ({ key, name: SERIES[key][0], colour: SERIES[key][1], values });
  const open = (list) => list.filter(({ key }) => !hidden.has(key));
  const all = sumOf(groups);
  // A grouped chart shows a figure of each group, another one its parts.
  const chart = (title, headline, figure, parts, options) => {
    const every = isGrouped ? seen.map((each) => ({ ...each, values: figure(each.group) })) : parts;
    const legend = !isGrouped && parts.length > 1 ? html`<${Legend} series=${parts} hidden=${hidden} onToggle=${toggle} />` : options.note;
    const link = (index, series) => {
      const condition = series?.group && !series.group.is_other ? conditionOf(by, series.group) : null;
      const only = options.condition ?? (series?.key === "errors" ? failed : series?.key === "ok" ? `NOT ${failed}` : null);
      return traces(condition && only ? `${condition} AND ${only}` : condition ?? only, times[index], step);
    };
    return html`<${Chart} key=${title} title=${title} headline=${headline} times=${times} step=${step} series=${isGrouped ? every : open(every)} link=${link} ...${options} note=${legend} />`;
  };
  const rate = (group) => group.requests.map((many, index) => (many ? group.errors[index] / many : null));
  const tokens = (group) => group.input_tokens.map((many, index) => (many ?? 0) + (group.output_tokens[index] ?? 0));
  const choose = isGrouped && html`<span class="al-choice" role="group" aria-label="Quantile">${QUANTILES.map((name) => html`<button aria-pressed=${name === quantile} onClick=${() => setQuantile(name)}>${name}</button>`)}</span>`;
  return html`<div class=${`al-dashboard ${isDim ? "al-dim" : ""}`}>
    ${isGrouped && html`<${Legend} series=${groupSeries} hidden=${hidden} onToggle=${toggle} />`}
    <div class="al-charts">
      ${chart(ofCalls(by) ? "Calls" : "Requests", compact(all.requests), (group) => group.requests, isGrouped ? [] : [own("ok", one.requests.map((many, index) => many - one.errors[index])), own("errors", one.errors)], { kind: "bars", format: number, isWhole: true })}
      ${chart("Latency", isGrouped ? "" : `p95 ${duration(one.totals.p95_ns)}`, (group) => group[`${quantile}_ns`], isGrouped ? [] : QUANTILES.map((name) => own(name, one[`${name}_ns`])), { kind: "lines", format: duration, isTime: true, note: choose })}
      ${chart("Errors", compact(all.errors), (group) => group.errors, isGrouped ? [] : [own("errors", one.errors)], { kind: "bars", format: number, isWhole: true, condition: failed })}
      ${chart("Error rate", percent(all.requests ? all.errors / all.requests : 0), rate, isGrouped ? [] : [own("errors", rate(one))], { kind: "lines", format: percent, condition: failed, most: 1 })}
      ${chart("Tokens", compact(all.tokens), tokens, isGrouped ? [] : [own("input", one.input_tokens), own("output", one.output_tokens)], { kind: "bars", format: compact, isWhole: true })}
      ${chart("Cost", money(all.cost), (group) => group.cost, isGrouped ? [] : [{ ...own("ok", one.cost), name: "cost" }], { kind: "bars", format: money })}
    </div>
    <${Totals} by=${by} groups=${groupSeries} traces=${traces} />
    ${found.is_sampled && html`<p class="al-muted">Estimates: one trace in ${found.share} was looked at.</p>`}
    <${Details} params=${params} id=${id} traces=${traces} />
  </div>`;
}

// From when to when the traces of a bucket started, no longer than what was asked for.
function bounds(from, step, query) {
  // Shorter ones than JavaScript's numbers can tell at this size are made a little wider.
  const [start, end] = step >= 1 ? [nanoseconds(from), nanoseconds(from + step)] : [`${Math.floor(from * 1000) - 1}000`, `${Math.ceil((from + step) * 1000) + 1}000`];
  return { since: query.since && BigInt(query.since) > BigInt(start) ? query.since : start, until: query.until && BigInt(query.until) < BigInt(end) ? query.until : end };
}

function sumOf(groups) {
  const of = (...names) => sum(groups.flatMap(({ totals }) => names.map((name) => totals[name])));
  return { requests: of("requests"), errors: of("errors"), cost: of("cost"), tokens: of("input_tokens", "output_tokens") };
}

// The same in figures, for whoever can't see charts or wants to copy them.
function Totals({ by, groups, traces }) {
  const cells = ({ requests, errors, p50_ns, p95_ns, p99_ns, input_tokens, output_tokens, cost }) => [number(requests), number(errors), percent(requests ? errors / requests : 0),
    duration(p50_ns), duration(p95_ns), duration(p99_ns), number(input_tokens), number(output_tokens), money(cost)];
  return html`<div class="al-card"><table><thead><tr><th scope="col">${by === "none" ? "All" : CHOICES.find(([name]) => name === by)?.[1].slice(3) ?? by}</th>
    ${[ofCalls(by) ? "Calls" : "Requests", "Errors", "Rate", "p50", "p95", "p99", "Tokens in", "Tokens out", "Cost"].map((title) => html`<th scope="col" class="al-number">${title}</th>`)}</tr></thead>
    <tbody>${groups.map(({ name, group, colour: mark }) => html`<tr><th scope="row">${by !== "none" && html`<i style=${{ background: mark }} />`}${group.is_other ? name : html`<a href=${traces(conditionOf(by, group))}>${by === "none" ? "all traces" : name}</a>`}</th>
      ${cells(group.totals).map((text) => html`<td class="al-number">${text}</td>`)}</tr>`)}</tbody></table></div>`;
}

// What is behind the curves: the errors that came most often, the steps that took most time, what was said of the answers.
function Details({ params, id, traces }) {
  const { found, ...state } = useLoaded((signal) => get("statistics/details", { ...asked(params), buckets: BUCKETS }, signal), id);
  if (!found) return html`<${Missing} ...${state} />`;
  const rated = found.feedback.filter(({ mean }) => mean !== null).map(({ name, means }, index) => ({ key: name, name, colour: colour(index), values: means }));
  const step = found.step_ns / MS;
  const times = found.buckets.map((ns) => Math.round(ns / 1000) / 1000);
  return html`<div class="al-cards">
    <${List} title="Errors" titles=${["Type", "Traces", "Last"]} none="No errors in this time." rows=${found.errors.map((one) => [
      html`<a class="al-error" href=${traces(`span.error = ${quoted(one.type)}`)}>${one.type}</a>`, number(one.traces), html`<a href=${address("traces", [one.trace_id])} title=${absolute(one.last_ns)}>${relative(one.last_ns)}</a>`])} />
    <${List} title="Where time goes" titles=${["Step", "p50", "p95", "Times", "Together"]} none="Nothing ended in this time." rows=${found.steps.map((one) => [
      html`<a href=${traces(`span.name = ${quoted(one.name)}`)} title=${one.type}>${one.name}</a>`, duration(one.p50_ns), duration(one.p95_ns), compact(one.spans), duration(one.total_ns)])} />
    <${List} title="Feedback" titles=${["Name", "Mean", "Given"]} none="No feedback in this time." rows=${found.feedback.map((one) => [
      html`<a href=${traces(`${keyed("feedback", one.name)} IS NOT NULL`)}>${one.name}</a>`,
      one.mean === null ? Object.entries(one.values).slice(0, 3).map(([value, many]) => html`${value} <span class="al-muted">${number(many)}</span> `) : one.mean.toFixed(2), number(one.count)])}>
      ${rated.length > 0 && html`<${Chart} title="Mean" headline="" note=${html`<${Legend} series=${rated} />`} times=${times} step=${step} series=${rated} kind="lines" format=${(value) => value.toFixed(2)}
        link=${(index, series) => traces(series && `${keyed("feedback", series.name)} IS NOT NULL`, times[index], step)} />`}<//>
  </div>`;
}

function List({ title, titles, rows, none, children }) {
  return html`<section class="al-card"><h2>${title}</h2>${rows.length === 0 ? html`<p class="al-muted">${none}</p>` : html`<table>
    <thead><tr>${titles.map((one, index) => html`<th scope="col" class=${index > 0 ? "al-number" : ""}>${one}</th>`)}</tr></thead>
    <tbody>${rows.map(([name, ...figures]) => html`<tr><th scope="row">${name}</th>${figures.map((figure) => html`<td class="al-number">${figure}</td>`)}</tr>`)}</tbody></table>`}${children}</section>`;
}
