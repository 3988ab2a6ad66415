// A session as the conversation that it was: what was asked and answered, turn by turn, and how long it took.
import { html, useEffect, useState } from "./viewer/preact.js";
import { get, part } from "./api.js";
import { tokensOf, verdict } from "./columns.js";
import { thumb } from "./feedback.js";
import { absolute, compact, counted, duration, moment, money } from "./formats.js";
import { Bad, Good } from "./icons.js";
import { useKeys } from "./keys.js";
import { Missing, usePages } from "./loaded.js";
import { quoted } from "./query.js";
import { address } from "./router.js";
import { Markdown } from "./viewer/markdown.js";
import { decoded } from "./viewer/texts.js";
import { Windowed } from "./windowed.js";

const LONG = 700;
const PAUSE = 60e9;

export function Session({ name }) {
  const condition = `session = ${quoted(name)}`;
  const { rows, again, ...state } = usePages("traces", { filter: condition, order_by: "timestamp ASC" }, "traces", true);
  const [cursor, setCursor] = useState(0);
  const [scrollTo, setScrollTo] = useState(null);
  const [whole, setWhole] = useState(null);
  useEffect(() => { get("sessions", { filter: condition, limit: 1 }).then((found) => setWhole(found.sessions[0] ?? null), () => {}); }, [rows]);
  const step = (by) => {
    const to = Math.min(Math.max(cursor + by, 0), rows.length - 1);
    setCursor(to);
    setScrollTo({ index: to });
  };
  const say = async (info, value) => { if (info && (await thumb(info, value))) await again(); };
  const open = () => { if (rows[cursor]) location.hash = address("traces", [rows[cursor].trace_id], { filter: condition }); };
  useKeys({
    "j": () => step(1), "k": () => step(-1), "ArrowDown": () => step(1), "ArrowUp": () => step(-1), "o": open,
    "+": () => say(rows[cursor], true), "-": () => say(rows[cursor], false),
  });
  if (rows.length === 0) return html`<${Missing} ...${state}><h2>There is no session of this name.</h2><p><a href=${address("sessions")}>All sessions</a></p><//>`;
  const draw = (info, index) => html`<${Turn} info=${info} before=${rows[index - 1]} number=${index + 1} isAt=${index === cursor} condition=${condition}
    onSay=${(value) => say(info, value)} onFocus=${() => setCursor(index)} />`;
  const total = whole ?? {};
  return html`
    <div class="al-session-head">
      <a class="al-button" href=${address("sessions")} aria-label="All sessions">←</a>
      <h1 title=${name}>${name}</h1>
      <dl class="al-figures">
        ${[["User", rows.find((row) => row.user)?.user], ["Turns", `${compact(total.traces ?? rows.length)}`], ["Started", moment(rows[0].start_time_ns)],
          ["Duration", duration(total.duration_ns)], ["Tokens", compact(total.tokens)], ["Cost", money(total.cost)],
          ["Errors", total.errors > 0 && html`<span class="al-error">${total.errors}</span>`]]
          .filter(([, value]) => value).map(([title, value]) => html`<div><dt>${title}</dt><dd>${value}</dd></div>`)}
      </dl>
      <a class="al-button" href=${address("traces", [], { filter: condition })}>As a list</a>
    </div>
    <${Windowed} class="al-turns" role="table" aria-label="Turns" aria-rowcount=${rows.length} tabindex="-1" items=${rows} keyOf=${(info) => info.trace_id} draw=${draw} estimate=${guessed}
      scrollTo=${scrollTo} />`;
}

const guessed = (info) => 120 + 20 * Math.ceil(((info.request_preview?.length ?? 0) + (info.response_preview?.length ?? 0)) / 90);

function Turn({ info, before, number, isAt, condition, onSay, onFocus }) {
  const { tools, question, answer } = useTurn(info);
  const pause = before && info.start_time_ns - (before.end_time_ns ?? before.start_time_ns);
  const said = info.assessments.filter((one) => one.valid && one.kind === "feedback");
  const mine = (value) => said.some((one) => one.value === value && one.source.source_type === "HUMAN");
  const isRunning = info.state === "IN_PROGRESS";
  const error = info.error ?? (info.state === "ERROR" ? "It failed." : null);
  const href = address("traces", [info.trace_id], { filter: condition });
  return html`<div role="row" class=${`al-turn ${isAt ? "al-at" : ""}`} onClick=${onFocus}>
    <div role="cell">
      <p class=${`al-pause ${pause > PAUSE ? "al-long" : ""}`} title=${absolute(info.start_time_ns)}>${pause > 1e9 ? `${duration(pause)} later · ` : ""}${moment(info.start_time_ns)}</p>
      ${info.request_preview !== null && html`<div class="al-bubble al-asked"><${Folded} text=${question} /></div>`}
      ${tools.length > 0 && html`<p class="al-used">${tools.map(({ name, count, isBad }) => html`<span class=${`al-chip ${isBad ? "al-error" : ""}`}>${isBad ? "✕" : "⚒"} <bdi>${name}</bdi>${count > 1 ? ` ×${count}` : ""}</span>`)}</p>`}
      ${info.response_preview !== null && html`<div class="al-bubble al-answered"><${Folded} text=${answer} isMarkdown /></div>`}
      ${error && html`<div class="al-bubble al-answered al-failed" role="note"><strong>Error</strong> <${Folded} text=${error} /></div>`}
      ${isRunning && html`<div class="al-bubble al-answered al-muted">In progress…</div>`}
      <p class="al-turn-foot">
        <a href=${href} aria-label=${`Trace of turn ${number}`}>${info.name}</a>
        ${[info.end_time_ns !== null && duration(info.end_time_ns - info.start_time_ns), info.usage && counted(tokensOf(info), "token"), info.cost && money(info.cost.total)].filter(Boolean).map((text) => html`<span>${text}</span>`)}
        ${said.filter((one) => typeof one.value !== "boolean" || one.source.source_type !== "HUMAN").map((one) => html`<span class="al-chip" title=${one.rationale}>${one.name} ${one.value === null ? "✕" : verdict(one.value)}</span>`)}
        <span class="al-thumbs al-writes">${[[true, Good, "Good"], [false, Bad, "Bad"]].map(([value, Icon, title]) => html`
          <button class="al-quiet" aria-pressed=${mine(value)} title=${title} aria-label=${`${title}, turn ${number}`} onClick=${() => onSay(value)}><${Icon} /></button>`)}</span>
      </p>
    </div></div>`;
}

function Folded({ text, isMarkdown = false }) {
  const [isOpen, setOpen] = useState(false);
  const isLong = text.length > LONG;
  const shown = isLong && !isOpen ? `${text.slice(0, LONG)}…` : text;
  return html`${isMarkdown ? html`<${Markdown} text=${shown} />` : html`<span class="al-words">${shown}</span>`}${isLong && html` <button class="al-link" onClick=${() => setOpen(!isOpen)}>${isOpen ? "less" : "more"}</button>`}`;
}

const known = new Map();

// {tools, question, answer} of a turn: what it used, and the whole of what a list has only the beginning of; asked for
// when the turn is seen.
function useTurn(info) {
  const key = `${info.trace_id} ${info.span_count} ${info.state}`;
  const [, update] = useState(0);
  useEffect(() => {
    if (known.has(key)) return undefined;
    const aborter = new AbortController();
    looked(info, aborter.signal).then((found) => { known.set(key, found); update((count) => count + 1); }, () => {});
    return () => aborter.abort();
  }, [key]);
  return known.get(key) ?? { tools: [], question: info.request_preview, answer: info.response_preview };
}

async function looked(info, signal) {
  const path = `traces/${part(info.trace_id)}`;
  const { spans } = await get(path, {}, signal);
  const tools = new Map();
  for (const [, , name, type, status] of spans) {
    if (type !== "TOOL") continue;
    const one = tools.get(name) ?? { name, count: 0, isBad: false };
    tools.set(name, { name, count: one.count + 1, isBad: one.isBad || status === "ERROR" });
  }
  const { detail, texts } = await get(`${path}/spans/${spans[0][0]}`, {}, signal);
  return { tools: [...tools.values()], question: whole(info.request_preview, decoded(detail.inputs, texts)), answer: whole(info.response_preview, decoded(detail.outputs, texts)) };
}

const onOneLine = (text) => text.replace(/\s+/g, " ").trim();

// The text in `value` whose beginning, on one line, is `preview`; else the preview itself.
function whole(preview, value) {
  if (preview === null) return null;
  const head = preview.replace(/…$/, "");
  const texts = (one) => (typeof one === "string" ? [one] : one?.text ? [one.text] : one !== null && typeof one === "object" ? Object.values(one).flatMap(texts) : []);
  return texts(value).find((text) => onOneLine(text.slice(0, 2 * head.length + 100)).startsWith(head)) ?? preview;
}
