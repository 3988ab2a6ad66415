// The runs of an experiment, and the figures of those that are chosen beside each other.
import { html, useMemo } from "../viewer/preact.js";
import { get } from "../base/api.js";
import { absolute, compact, counted, duration, money, number, percent, relative } from "../base/formats.js";
import { Missing, useLoaded } from "../base/loaded.js";
import { address, change } from "../base/router.js";
import { Delta } from "../parts/deltas.js";
import { Head } from "../parts/head.js";
import { Grid } from "../parts/windowed.js";

const MOST = 1000;
const STATES = { RUNNING: "running", FINISHED: "ok", FAILED: "error" };

const rateOf = ({ traces, errors }) => (traces ? errors / traces : null);
const took = ({ start_time_ns, end_time_ns }) => (end_time_ns === null ? null : end_time_ns - start_time_ns);
const score = (value) => (value === null || value === undefined ? "" : String(Number(value.toPrecision(3))));

// {title, of(run), format, isMoreBetter, which is null where neither is, width of its column}
const FIGURES = [
  { title: "Traces", of: (run) => run.traces, format: number, isMoreBetter: null, width: 60 },
  { title: "Errors", of: (run) => run.errors, format: number, isMoreBetter: false, width: 52 },
  { title: "Error rate", of: rateOf, format: percent, isMoreBetter: false, width: 70 },
  { title: "p50", of: (run) => run.p50_ns, format: duration, isMoreBetter: false, width: 66 },
  { title: "p95", of: (run) => run.p95_ns, format: duration, isMoreBetter: false, width: 66 },
  { title: "Tokens", of: (run) => run.tokens, format: compact, isMoreBetter: false, width: 62 },
  { title: "Cost", of: (run) => run.cost, format: money, isMoreBetter: false, width: 66 },
  { title: "Took", of: took, format: duration, isMoreBetter: null, width: 76 },
];

// The figures of these runs; feedback is one by its name, its mean.
function figuresOf(runs) {
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.feedback)))].sort();
  const ofFeedback = (name) => ({ title: name, of: (run) => run.feedback[name], format: score, isMoreBetter: true, width: 80 });
  return [...FIGURES, ...names.map(ofFeedback)];
}

const choose = (ids, options) => change({ runs: ids.join(",") }, options);

export function Runs({ experiment, params }) {
  const { found, ...state } = useLoaded((signal) => get("runs", { experiment, limit: MOST }, signal), experiment);
  const rows = found?.runs ?? [];
  const chosen = (params.runs ?? "").split(",").filter(Boolean);
  const toggle = (id) => choose(chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id], { replace: true });
  const box = ({ run_id, name }) => html`<input type="checkbox" aria-label=${`Compare ${name}`} checked=${chosen.includes(run_id)}
    onChange=${() => toggle(run_id)} />`;
  const columns = useMemo(() => [
    { title: "Compare", width: 62, isPlain: true, show: box },
    { title: "Run", grow: 10, show: (run) => html`<a href=${address("traces", [], { run: run.run_id })}>${run.name}</a>` },
    { title: "Status", width: 86, show: ({ status }) => html`<span class=${`al-dot al-dot-${STATES[status]}`} /> ${status.toLowerCase()}` },
    { title: "Started", width: 90, show: ({ start_time_ns: ns }) => html`<span title=${absolute(ns)}>${relative(ns)}</span>` },
    ...figuresOf(rows).map(({ of, format, ...column }) => ({ ...column, isNumber: true, show: (run) => format(of(run)) })),
  ], [params.runs, found]);
  const runs = chosen.map((id) => rows.find((run) => run.run_id === id)).filter(Boolean);
  return html`
    <${Head} back=${address("experiments")} all="All experiments" name=${experiment}>
      <span class="al-muted">${counted(rows.length, "run")}</span>
      <a class="al-button" href=${address("traces", [], { experiment })}>Traces</a>
    <//>
    ${runs.length > 1 && html`<${Beside} runs=${runs} />`}
    ${rows.length > 0 ? html`<${Grid} label="Runs" columns=${columns} rows=${rows} keyOf=${(run) => run.run_id}
        hrefOf=${(run) => address("traces", [], { run: run.run_id })} atOf=${(run) => chosen.includes(run.run_id)} />`
      : html`<${Missing} ...${state}><h2>No runs in this experiment</h2><p>Traces that start inside of a run belong to it:</p>
        <pre class="al-code">with al.start_run("prompt 2"):${"\n"}    answer(question)</pre><//>`}
    ${runs.length === 1 && html`<div class="al-foot al-muted">Choose one more to compare.</div>`}`;
}

// The first run is what the others are measured by.
function Beside({ runs }) {
  const [first, ...others] = runs;
  const without = (run) => choose(runs.filter((one) => one !== run).map((one) => one.run_id));
  const head = (run) => html`<th scope="col" class="al-number" colspan=${run === first ? 1 : 2}>${run.name}
    <button class="al-quiet" aria-label=${`Leave out ${run.name}`} onClick=${() => without(run)}>✕</button></th>`;
  const value = (run, { of, format }) => html`<td class="al-number">${format(of(run)) || "–"}</td>`;
  const delta = (run, { of, format, isMoreBetter }) => html`
    <td><${Delta} left=${of(first)} right=${of(run)} format=${format} isMoreBetter=${isMoreBetter} /></td>`;
  return html`<div class="al-card al-beside"><table aria-label="Chosen runs">
    <thead><tr><th scope="col">Figure</th>${runs.map(head)}</tr></thead>
    <tbody>${figuresOf(runs).map((figure) => html`<tr><th scope="row">${figure.title}</th>${value(first, figure)}
      ${others.map((run) => [value(run, figure), delta(run, figure)])}</tr>`)}</tbody></table></div>`;
}
