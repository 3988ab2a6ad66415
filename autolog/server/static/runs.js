// The runs of an experiment, and the figures of those that are chosen beside each other.
import { html, useMemo } from "./viewer/preact.js";
import { get } from "./api.js";
import { Delta } from "./deltas.js";
import { absolute, compact, counted, duration, money, number, percent, relative } from "./formats.js";
import { Missing, useLoaded } from "./loaded.js";
import { address, change } from "./router.js";
import { Grid } from "./windowed.js";

const MOST = 1000;
const rateOf = ({ traces, errors }) => (traces ? errors / traces : null);
const took = ({ start_time_ns, end_time_ns }) => (end_time_ns === null ? null : end_time_ns - start_time_ns);
// A figure is [title, of(run), format, whether more of it is better or null where neither is, the width of its column].
const FIGURES = [
  ["Traces", (run) => run.traces, number, null, 60], ["Errors", (run) => run.errors, number, false, 52], ["Error rate", rateOf, percent, false, 70],
  ["p50", (run) => run.p50_ns, duration, false, 66], ["p95", (run) => run.p95_ns, duration, false, 66],
  ["Tokens", (run) => run.tokens, compact, false, 62], ["Cost", (run) => run.cost, money, false, 66], ["Took", took, duration, null, 76],
];
const score = (value) => (value === null || value === undefined ? "" : String(Number(value.toPrecision(3))));

// The figures of these runs; feedback is one by its name, its mean.
function figuresOf(runs) {
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.feedback ?? {})))].sort();
  return [...FIGURES, ...names.map((name) => [name, (run) => run.feedback[name], score, true, 80])];
}

const STATUSES = { RUNNING: "running", FINISHED: "ok", FAILED: "error" };

export function Runs({ experiment, params }) {
  const { found, ...state } = useLoaded((signal) => get("runs", { experiment, limit: MOST }, signal), experiment);
  const rows = found?.runs ?? found ?? [];
  const chosen = (params.runs ?? "").split(",").filter(Boolean);
  const toggle = (id) => change({ runs: (chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id]).join(",") }, { replace: true });
  const columns = useMemo(() => [
    { title: "Compare", width: 62, isPlain: true, show: ({ run_id, name }) => html`<input type="checkbox" aria-label=${`Compare ${name}`} checked=${chosen.includes(run_id)} onChange=${() => toggle(run_id)} />` },
    { title: "Run", grow: 10, show: (run) => html`<a href=${address("traces", [], { run: run.run_id })}>${run.name}</a>` },
    { title: "Status", width: 86, show: ({ status }) => html`<span class=${`al-dot al-dot-${STATUSES[status]}`} /> ${status.toLowerCase()}` },
    { title: "Started", width: 90, show: (run) => html`<span title=${absolute(run.start_time_ns)}>${relative(run.start_time_ns)}</span>` },
    ...figuresOf(rows).map(([title, of, format, , width]) => ({ title, width, isNumber: true, show: (run) => format(of(run)) })),
  ], [params.runs, found]);
  const runs = chosen.map((id) => rows.find((run) => run.run_id === id)).filter(Boolean);
  return html`
    <div class="al-session-head"><a class="al-button" href=${address("experiments")} aria-label="All experiments">←</a><h1>${experiment}</h1>
      <span class="al-muted">${counted(rows.length, "run")}</span><a class="al-button" href=${address("traces", [], { experiment })}>Traces</a></div>
    ${runs.length > 1 && html`<${Beside} runs=${runs} />`}
    ${rows.length === 0 ? html`<${Missing} ...${state}><h2>No runs in this experiment</h2><p>Traces that start inside of a run belong to it:</p>
        <pre class="al-code">with al.start_run("prompt 2"):${"\n"}    answer(question)</pre><//>`
      : html`<${Grid} label="Runs" columns=${columns} rows=${rows} keyOf=${(run) => run.run_id} hrefOf=${(run) => address("traces", [], { run: run.run_id })} atOf=${(run) => chosen.includes(run.run_id)} />
        ${runs.length === 1 && html`<div class="al-foot al-muted">Choose one more to compare.</div>`}`}`;
}

// The first run is what the others are measured by.
function Beside({ runs: [first, ...others] }) {
  return html`<div class="al-card al-beside"><table aria-label="Chosen runs"><thead><tr><th scope="col">Figure</th>${[first, ...others].map((run) => html`<th scope="col" class="al-number" colspan=${run === first ? 1 : 2}>
      ${run.name} <button class="al-quiet" aria-label=${`Leave out ${run.name}`} onClick=${() => change({ runs: [first, ...others].filter((one) => one !== run).map((one) => one.run_id).join(",") })}>✕</button></th>`)}</tr></thead>
    <tbody>${figuresOf([first, ...others]).map(([title, of, format, isMoreBetter]) => html`<tr><th scope="row">${title}</th><td class="al-number">${format(of(first)) || "–"}</td>
      ${others.map((run) => html`<td class="al-number">${format(of(run)) || "–"}</td><td><${Delta} left=${of(first)} right=${of(run)} format=${format} isMoreBetter=${isMoreBetter} /></td>`)}</tr>`)}</tbody></table></div>`;
}
