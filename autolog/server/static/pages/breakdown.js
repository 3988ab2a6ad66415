// What the curves of the dashboard come to: figures of each group, the errors, the steps that take time, the feedback.
import { html } from "../viewer/preact.js";
import { get } from "../base/api.js";
import { absolute, compact, duration, money, number, percent, relative } from "../base/formats.js";
import { Missing, useLoaded } from "../base/loaded.js";
import { keyed, quoted } from "../base/query.js";
import { address } from "../base/router.js";
import { Chart, Legend, colour, timesOf } from "../parts/charts.js";

const COLUMNS = [
  ["Errors", ({ errors }) => number(errors)], ["Rate", ({ requests, errors }) => percent(requests ? errors / requests : 0)],
  ["p50", ({ p50_ns }) => duration(p50_ns)], ["p95", ({ p95_ns }) => duration(p95_ns)], ["p99", ({ p99_ns }) => duration(p99_ns)],
  ["Tokens in", ({ input_tokens }) => number(input_tokens)], ["Tokens out", ({ output_tokens }) => number(output_tokens)],
  ["Cost", ({ cost }) => money(cost)],
];

// The same as the charts in figures, for whoever can't see them or wants to copy them.
export function Totals({ title, counted, lines, isGrouped, hrefOf }) {
  const name = (line) => (line.group.is_other ? line.name
    : html`<a href=${hrefOf(line.group)}>${isGrouped ? line.name : "all traces"}</a>`);
  const rows = lines.map((line) => [
    html`${isGrouped && html`<i style=${{ background: line.colour }} />`}${name(line)}`,
    number(line.group.totals.requests), ...COLUMNS.map(([, show]) => show(line.group.totals)),
  ]);
  return html`<section class="al-card"><${Table} titles=${[title, counted, ...COLUMNS.map(([one]) => one)]} rows=${rows} /></section>`;
}

// `ask()` is what the server is asked, `id` names it, `traces(condition, from, length)` is the address of traces.
export function Details({ ask, id, traces }) {
  const { found, ...state } = useLoaded((signal) => get("statistics/details", ask(), signal), id);
  if (!found) return html`<${Missing} ...${state} />`;
  const said = (name) => `${keyed("feedback", name)} IS NOT NULL`;
  const errors = found.errors.map(({ type, traces: many, last_ns, trace_id }) => [
    html`<a class="al-error" href=${traces(`span.error = ${quoted(type)}`)}>${type}</a>`, number(many),
    html`<a href=${address("traces", [trace_id])} title=${absolute(last_ns)}>${relative(last_ns)}</a>`,
  ]);
  const steps = found.steps.map(({ name, type, p50_ns, p95_ns, spans, total_ns }) => [
    html`<a href=${traces(`span.name = ${quoted(name)}`)} title=${type}>${name}</a>`,
    duration(p50_ns), duration(p95_ns), compact(spans), duration(total_ns),
  ]);
  const feedback = found.feedback.map((one) => [html`<a href=${traces(said(one.name))}>${one.name}</a>`, meanOf(one), number(one.count)]);
  const rated = found.feedback.filter(({ mean }) => mean !== null)
    .map(({ name, means }, index) => ({ key: name, name, colour: colour(index), values: means }));
  const [times, step] = [timesOf(found), found.step_ns / 1e6];
  return html`<div class="al-cards">
    <${Card} title="Errors" none="No errors in this time." titles=${["Type", "Traces", "Last"]} rows=${errors} />
    <${Card} title="Where time goes" none="Nothing ended in this time." titles=${["Step", "p50", "p95", "Times", "Together"]} rows=${steps} />
    <${Card} title="Feedback" none="No feedback in this time." titles=${["Name", "Mean", "Given"]} rows=${feedback}>
      ${rated.length > 0 && html`<${Chart} title="Mean" headline="" note=${html`<${Legend} series=${rated} />`} kind="lines"
        format=${(value) => value.toFixed(2)} times=${times} step=${step} series=${rated}
        link=${(index, series) => traces(series && said(series.name), times[index], step)} />`}
    <//>
  </div>`;
}

// The mean of numbers, yes being 1 and no 0, else what was said most often.
function meanOf({ mean, values }) {
  if (mean !== null) return mean.toFixed(2);
  return Object.entries(values).slice(0, 3).map(([value, many]) => html`${value} <span class="al-muted">${number(many)}</span> `);
}

function Card({ title, none, titles, rows, children }) {
  return html`<section class="al-card"><h2>${title}</h2>
    ${rows.length > 0 ? html`<${Table} titles=${titles} rows=${rows} />` : html`<p class="al-muted">${none}</p>`}${children}</section>`;
}

// The first cell of a row names it.
function Table({ titles, rows }) {
  return html`<table>
    <thead><tr>${titles.map((title, index) => html`<th scope="col" class=${index > 0 ? "al-number" : ""}>${title}</th>`)}</tr></thead>
    <tbody>${rows.map(([name, ...figures]) => html`<tr><th scope="row">${name}</th>
      ${figures.map((figure) => html`<td class="al-number">${figure}</td>`)}</tr>`)}</tbody></table>`;
}
