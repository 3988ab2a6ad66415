// How it goes over time: requests, errors, latency, tokens and cost, in charts that lead to the traces behind them.
import { html, useMemo, useState } from "./viewer/preact.js";
import { get } from "./api.js";
import { Chart, Legend, colour } from "./charts.js";
import { verdict } from "./columns.js";
import { FilterBar } from "./filter.js";
import { compact, counted, duration, money, nanoseconds, number, percent } from "./formats.js";
import { Missing, useLoaded } from "./loaded.js";
import { joined, keyed, queryOf, quoted } from "./query.js";
import { TimeRange } from "./range.js";
import { address, change } from "./router.js";

const QUANTILES = ["p50", "p95", "p99"];
const SERIES = {
  ok: ["OK", "var(--al-c0)"], errors: ["failed", "var(--al-error)"], p50: ["p50", "var(--al-c0)"], p95: ["p95", "var(--al-c1)"],
  p99: ["p99", "var(--al-c3)"], input: ["in", "var(--al-c0)"], output: ["out", "var(--al-c2)"],
};
const failed = "status = 'ERROR'";
const sum = (values) => values.reduce((all, one) => all + (one ?? 0), 0);

export function Page({ route: { params } }) {
  const key = ["filter", "experiment", "run", "range", "since", "until", "by"].map((name) => params[name] ?? "").join("\n");
  const by = params.by ?? "none";
  const { found, ...state } = useLoaded(async (signal) => {
    const { order_by, ...query } = queryOf(params);
    return { ...(await get("statistics", { ...query, group_by: by, buckets: innerWidth < 700 ? 24 : 48 }, signal)), by, query };
  }, key);
  const bar = html`
    <div class="al-toolbar"><${FilterBar} value=${params.filter ?? ""} error=${state.error} onApply=${(text) => change({ filter: text })} />
      <${GroupBy} value=${by} /><${TimeRange} params=${params} onChange=${change} /></div>`;
  const isEmpty = !found || found.groups.every(({ totals }) => totals.requests === 0);
  return html`${bar}${isEmpty ? html`<${Missing} ...${state}><h2>No traces in this time</h2><p><button class="al-button" onClick=${() => change({ filter: null, range: null, since: null, until: null })}>Show all time</button></p><//>`
    : html`<${Charts} found=${found} params=${params} isDim=${state.isLoading} />`}`;
}

const CHOICES = [["none", "Not grouped"], ["model", "By model"], ["name", "By name"], ["version", "By version"], ["user", "By user"], ["experiment", "By experiment"]];

function GroupBy({ value }) {
  const { found } = useLoaded((signal) => get("fields", {}, signal), "fields", false);
  const tags = (found?.fields ?? found ?? []).map(({ name }) => name).filter((name) => name.startsWith("tags."));
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

// What a group's traces have in common, as a filter.
function conditionOf(by, { key }) {
  if (by === "none") return null;
  const field = by.startsWith("tags.") ? keyed("tags", by.slice(5)) : by;
  return key === null ? `${field} IS NULL` : `${field} = ${quoted(key)}`;
}

function Charts({ found, params, isDim }) {
  const { by, groups, query } = found;
  const [quantile, setQuantile] = useState("p95");
  const hidden = hiddenOf(params);
  const toggle = (key) => {
    hidden.has(key) ? hidden.delete(key) : hidden.add(key);
    change({ hide: hidden.size > 0 ? JSON.stringify([...hidden]) : null }, { replace: true });
  };
  const times = useMemo(() => found.buckets.map((ns) => Math.round(ns / 1e6)), [found]);
  const step = found.step_ns / 1e6;
  const kept = { experiment: params.experiment, run: params.run };
  const traces = (condition, index) => address("traces", [], {
    ...kept, filter: condition ? joined(params.filter, condition) : params.filter,
    ...(index === undefined ? { range: params.range, since: params.since, until: params.until } : { since: nanoseconds(times[index]), until: nanoseconds(times[index] + step) }),
  });
  const isGrouped = by !== "none";
  const groupSeries = groups.map((group, index) => ({ key: `=${group.key}`, name: group.key ?? "none", colour: colour(index), group }));
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
      const condition = series?.group ? conditionOf(by, series.group) : null;
      const only = options.condition ?? (series?.key === "errors" ? failed : series?.key === "ok" ? `NOT ${failed}` : null);
      return traces(condition && only ? `${condition} AND ${only}` : condition ?? only, index);
    };
    return html`<${Chart} key=${title} title=${title} headline=${headline} times=${times} step=${step} series=${isGrouped ? every : open(every)} link=${link} ...${options} note=${legend} />`;
  };
  const rate = (group) => group.requests.map((many, index) => (many ? group.errors[index] / many : null));
  const tokens = (group) => group.input_tokens.map((many, index) => (many ?? 0) + (group.output_tokens[index] ?? 0));
  const choose = isGrouped && html`<span class="al-choice" role="group" aria-label="Quantile">${QUANTILES.map((name) => html`<button aria-pressed=${name === quantile} onClick=${() => setQuantile(name)}>${name}</button>`)}</span>`;
  return html`<div class=${`al-dashboard ${isDim ? "al-dim" : ""}`}>
    ${isGrouped && html`<${Legend} series=${groupSeries} hidden=${hidden} onToggle=${toggle} />`}
    <div class="al-charts">
      ${chart("Requests", compact(all.requests), (group) => group.requests, isGrouped ? [] : [own("ok", one.requests.map((many, index) => many - one.errors[index])), own("errors", one.errors)], { kind: "bars", format: number, isWhole: true })}
      ${chart("Latency", isGrouped ? "" : `p95 ${duration(one.totals.p95_ns)}`, (group) => group[`${quantile}_ns`], isGrouped ? [] : QUANTILES.map((name) => own(name, one[`${name}_ns`])), { kind: "lines", format: duration, isTime: true, note: choose })}
      ${chart("Errors", compact(all.errors), (group) => group.errors, isGrouped ? [] : [own("errors", one.errors)], { kind: "bars", format: number, isWhole: true, condition: failed })}
      ${chart("Error rate", percent(all.requests ? all.errors / all.requests : 0), rate, isGrouped ? [] : [own("errors", rate(one))], { kind: "lines", format: percent, condition: failed, most: 1 })}
      ${chart("Tokens", compact(all.tokens), tokens, isGrouped ? [] : [own("input", one.input_tokens), own("output", one.output_tokens)], { kind: "bars", format: compact, isWhole: true })}
      ${chart("Cost", money(all.cost), (group) => group.cost, isGrouped ? [] : [{ ...own("ok", one.cost), name: "cost" }], { kind: "bars", format: money })}
    </div>
    <${Totals} by=${by} groups=${groupSeries} traces=${traces} />
    <${Details} query=${query} traces=${traces} />
  </div>`;
}

function sumOf(groups) {
  const of = (name) => sum(groups.map(({ totals }) => totals[name]));
  return { requests: of("requests"), errors: of("errors"), cost: of("cost"), tokens: of("input_tokens") + of("output_tokens") };
}

// The same in figures, for whoever can't see charts or wants to copy them.
function Totals({ by, groups, traces }) {
  const cells = ({ requests, errors, p50_ns, p95_ns, p99_ns, input_tokens, output_tokens, cost }) => [number(requests), number(errors), percent(requests ? errors / requests : 0),
    duration(p50_ns), duration(p95_ns), duration(p99_ns), number(input_tokens), number(output_tokens), money(cost)];
  return html`<div class="al-card"><table><thead><tr><th scope="col">${by === "none" ? "All" : CHOICES.find(([name]) => name === by)?.[1].slice(3) ?? by}</th>
    ${["Requests", "Errors", "Rate", "p50", "p95", "p99", "Tokens in", "Tokens out", "Cost"].map((title) => html`<th scope="col" class="al-number">${title}</th>`)}</tr></thead>
    <tbody>${groups.map(({ name, group, colour: mark }) => html`<tr><th scope="row">${by !== "none" && html`<i style=${{ background: mark }} />`}<a href=${traces(conditionOf(by, group))}>${by === "none" ? "all traces" : name}</a></th>
      ${cells(group.totals).map((text) => html`<td class="al-number">${text}</td>`)}</tr>`)}</tbody></table></div>`;
}

const NEWEST = 200;

// What is behind the curves: the errors that came most often, the slowest names, what was said of the answers.
function Details({ query, traces }) {
  const key = JSON.stringify(query);
  const only = (condition) => ({ ...query, filter: query.filter ? joined(query.filter, condition) : condition });
  const errors = useLoaded((signal) => get("traces", { ...only("errors > 0"), limit: NEWEST }, signal), key);
  const names = useLoaded((signal) => get("statistics", { ...query, group_by: "name", buckets: 1 }, signal), key);
  const feedback = useLoaded(async (signal) => {
    const { fields = [] } = await get("fields", {}, signal);
    const said = fields.map(({ name }) => name).filter((name) => name.startsWith("feedback.")).slice(0, 6);
    return Promise.all(said.map(async (name) => [name.slice(9), await get("traces", { ...only(`${keyed("feedback", name.slice(9))} IS NOT NULL`), limit: NEWEST }, signal)]));
  }, key);
  const slow = [...(names.found?.groups ?? [])].filter(({ totals }) => totals.p95_ns !== null).sort((a, b) => b.totals.p95_ns - a.totals.p95_ns).slice(0, 6);
  const most = mostOften(errors.found?.traces ?? []);
  const judged = (feedback.found ?? []).map(([name, found]) => [name, found.traces.flatMap((info) => info.assessments.filter((one) => one.valid && one.kind === "feedback" && one.name === name)), found.next_page_token]);
  const note = (token) => token && html` <small class="al-muted">of the newest ${NEWEST}</small>`;
  return html`<div class="al-cards">
    <${List} title=${html`Errors${note(errors.found?.next_page_token)}`} none="No errors in this time." rows=${most.map(([text, many, type]) => [html`<a class="al-error" title=${text} href=${traces(type ? `span.error = ${quoted(type)}` : "errors > 0")}>${text}</a>`, `${number(many)}×`])} />
    <${List} title="Slowest names, p95" none="Nothing ended in this time." rows=${slow.map(({ key: name, totals }) => [html`<a href=${traces(`name = ${quoted(name)}`)}>${name}</a>`, duration(totals.p95_ns), counted(totals.requests, "request")])} />
    <${List} title="Feedback" none="No feedback in this time." rows=${judged.filter(([, all]) => all.length > 0).map(([name, all, token]) => [html`<a href=${traces(`${keyed("feedback", name)} IS NOT NULL`)}>${name}</a>`, verdicts(all), html`${number(all.length)}${token ? "+" : ""}`])} />
  </div>`;
}

function List({ title, rows, none }) {
  return html`<section class="al-card"><h2>${title}</h2>${rows.length === 0 ? html`<p class="al-muted">${none}</p>` : html`<table><tbody>${rows.map(([name, ...figures]) => html`<tr><th scope="row">${name}</th>${figures.map((figure) => html`<td class="al-number">${figure}</td>`)}</tr>`)}</tbody></table>`}</section>`;
}

// [[text, how often, type]] of the first error of each trace, the commonest first.
function mostOften(infos) {
  const found = new Map();
  for (const { error } of infos) {
    const text = error?.split("\n")[0] ?? "failed";
    found.set(text, (found.get(text) ?? 0) + 1);
  }
  return [...found].sort((a, b) => b[1] - a[1]).slice(0, 6).map(([text, many]) => [text, many, /^[\w.]+(?=: )/.exec(text)?.[0]]);
}

// The mean of numbers, else how often what was said.
function verdicts(all) {
  const values = all.map((one) => one.value);
  const numbers = values.filter((value) => typeof value === "number");
  if (numbers.length > 0) return `⌀ ${(sum(numbers) / numbers.length).toFixed(2)}`;
  const counts = new Map();
  for (const value of values.filter((one) => one !== null)) counts.set(JSON.stringify(value), (counts.get(JSON.stringify(value)) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).slice(0, 3).map(([value, many]) => html`<span class="al-said-so">${verdict(JSON.parse(value))} ${number(many)}</span> `);
}
