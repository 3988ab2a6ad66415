// The list of experiments, and the runs of the one that the address names.
import { html } from "../viewer/preact.js";
import { get } from "../base/api.js";
import { absolute, compact, counted, money, number, percent, relative } from "../base/formats.js";
import { Missing, useLoaded } from "../base/loaded.js";
import { address } from "../base/router.js";
import { Grid } from "../parts/windowed.js";
import { Runs } from "./runs.js";

const COLUMNS = [
  { title: "Experiment", grow: 10, show: (one) => one.name },
  { title: "Traces", width: 70, isNumber: true, show: (one) => number(one.traces) },
  { title: "Runs", width: 60, isNumber: true, show: (one) => number(one.runs) },
  { title: "Errors", width: 110, isNumber: true, show: (one) => one.errors > 0 && html`<span class="al-error">${number(one.errors)}</span> <span class="al-muted">${percent(one.errors / one.traces)}</span>` },
  { title: "Tokens", width: 70, isNumber: true, show: (one) => compact(one.tokens) },
  { title: "Cost", width: 70, isNumber: true, show: (one) => money(one.cost) },
  { title: "Last trace", width: 110, show: (one) => html`<span title=${absolute(one.last_ns)}>${relative(one.last_ns)}</span>` },
  { title: "", width: 70, show: (one) => html`<a href=${address("traces", [], { experiment: one.name })} aria-label=${`Traces of ${one.name}`}>traces</a>` },
];

export function Page({ route: { parts, params } }) {
  return parts[0] === undefined ? html`<${Experiments} />` : html`<${Runs} key=${parts[0]} experiment=${parts[0]} params=${params} />`;
}

function Experiments() {
  const { found, ...state } = useLoaded((signal) => get("experiments", {}, signal), "experiments");
  const rows = found?.experiments ?? [];
  return rows.length === 0 ? html`<${Missing} ...${state}><h2>No experiments yet</h2><p>Traces belong to the experiment that is set when they start:</p>
      <pre class="al-code">al.set_experiment("support")</pre><//>`
    : html`<${Grid} label="Experiments" columns=${COLUMNS} rows=${rows} keyOf=${(one) => one.name} hrefOf=${(one) => address("experiments", [one.name])} />
      <div class="al-foot al-muted">${counted(rows.length, "experiment")}</div>`;
}
