// The list of sessions, and the one that the address names.
import { html, useState } from "../viewer/preact.js";
import { absolute, compact, counted, duration, moment, money, number, relative } from "../base/formats.js";
import { Missing, usePages } from "../base/loaded.js";
import { queryOf } from "../base/query.js";
import { address, change } from "../base/router.js";
import { FilterBar } from "../parts/filter.js";
import { TimeRange } from "../parts/range.js";
import { Grid } from "../parts/windowed.js";
import { Session } from "./session.js";

const COLUMNS = [
  { title: "Session", width: 130, show: (one) => one.session },
  { title: "User", width: 80, show: (one) => one.user },
  { title: "Turns", width: 48, isNumber: true, show: (one) => number(one.traces) },
  { title: "First question", grow: 10, show: (one) => one.first_request },
  { title: "Last answer", grow: 10, show: (one) => one.last_response },
  { title: "Started", width: 96, show: (one) => html`<span title=${absolute(one.first_ns)}>${moment(one.first_ns)}</span>` },
  { title: "Last active", width: 88, show: (one) => html`<span title=${absolute(one.last_ns)}>${relative(one.last_ns)}</span>` },
  { title: "Duration", width: 76, isNumber: true, show: (one) => duration(one.duration_ns) },
  { title: "Tokens", width: 56, isNumber: true, show: (one) => compact(one.tokens) },
  { title: "Cost", width: 64, isNumber: true, show: (one) => money(one.cost) },
  { title: "Errors", width: 48, isNumber: true, show: (one) => one.errors > 0 && html`<span class="al-error">${number(one.errors)}</span>` },
];

const ANEW = { filter: null, range: null, since: null, until: null };

export function Page({ route: { parts: [name], params } }) {
  return name === undefined ? html`<${Sessions} params=${params} />` : html`<${Session} key=${name} name=${name} />`;
}

function Sessions({ params }) {
  const [now] = useState(Date.now);
  const { filter, experiment, since, until } = queryOf(params, now);
  const sessions = usePages("sessions", { filter, experiment, since, until }, "sessions");
  const { rows, token } = sessions;
  return html`
    <div class="al-toolbar">
      <${FilterBar} value=${params.filter ?? ""} error=${sessions.error} onApply=${(text) => change({ filter: text })} />
      <${TimeRange} params=${params} onChange=${change} />
    </div>
    ${rows.length > 0 ? html`
      <${Grid} label="Sessions" columns=${COLUMNS} rows=${rows} keyOf=${(one) => one.session} onMore=${sessions.more}
        hrefOf=${(one) => address("sessions", [one.session])} />
      <div class="al-foot al-muted">${counted(rows.length, "session")}${token && " and more"}</div>`
    : html`<${Missing} ...${sessions}>${filter || experiment || since || until ? NO_MATCH : NONE}<//>`}`;
}

const NO_MATCH = html`<h2>No session meets this.</h2>
  <p><button class="al-button" onClick=${() => change(ANEW)}>Show all</button></p>`;
const EXAMPLE = `import autolog as al

with al.context(session_id="chat-17", user="ada"):
    answer(question)`;
const NONE = html`<h2>No sessions yet</h2>
  <p>Traces that name the conversation they belong to show here, turn by turn:</p><pre class="al-code">${EXAMPLE}</pre>`;
