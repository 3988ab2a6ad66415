// A session as the conversation that it was: what was asked and answered, turn by turn, and how long it took.
import { html, useEffect, useState } from "../viewer/preact.js";
import { get, part } from "../base/api.js";
import { absolute, compact, counted, duration, moment, money, number } from "../base/formats.js";
import { useKeys } from "../base/keys.js";
import { Missing, usePages } from "../base/loaded.js";
import { quoted } from "../base/query.js";
import { address, go } from "../base/router.js";
import { Figures } from "../parts/deltas.js";
import { thumb } from "../parts/feedback.js";
import { Head } from "../parts/head.js";
import { Bad, Good } from "../parts/thumbs.js";
import { verdict } from "../parts/verdict.js";
import { Windowed } from "../parts/windowed.js";
import { tokensOf } from "../traces/columns.js";
import { Markdown } from "../viewer/markdown.js";
import { shownText } from "../viewer/marks.js";
import { Shortened, decoded } from "../viewer/texts.js";

const LONG = 700;
const PAUSE = 60e9;

export function Session({ name }) {
  const condition = `session = ${quoted(name)}`;
  const { rows, again, ...state } = usePages("traces", { filter: condition, order_by: "timestamp ASC" }, "traces", true);
  const [cursor, setCursor] = useState(0);
  const [scrollTo, setScrollTo] = useState(null);
  const [total, setTotal] = useState({});
  useEffect(() => {
    if (rows.length > 0) get("sessions", { filter: condition, limit: 1 }).then((found) => setTotal(found.sessions[0] ?? {}), () => {});
  }, [rows]);
  const step = (by) => {
    const to = Math.min(Math.max(cursor + by, 0), rows.length - 1);
    setCursor(to);
    setScrollTo({ index: to });
  };
  const hrefOf = (info) => address("traces", [info.trace_id], { filter: condition });
  const say = async (info, value) => { if (info && (await thumb(info, value))) await again(); };
  useKeys({
    "j": () => step(1), "k": () => step(-1), "ArrowDown": () => step(1), "ArrowUp": () => step(-1),
    "o": () => rows[cursor] && go(hrefOf(rows[cursor])),
    "+": () => say(rows[cursor], true), "-": () => say(rows[cursor], false),
  });
  if (rows.length === 0) {
    return html`<${Missing} ...${state}><h2>There is no session of this name.</h2>
      <p><a href=${address("sessions")}>All sessions</a></p><//>`;
  }
  const draw = (info, index) => html`<${Turn} info=${info} before=${rows[index - 1]} number=${index + 1} isAt=${index === cursor}
    href=${hrefOf(info)} onSay=${(value) => say(info, value)} onFocus=${() => setCursor(index)} />`;
  const figures = [
    ["User", total.user], ["Turns", number(total.traces ?? rows.length)], ["Started", moment(rows[0].start_time_ns)],
    ["Duration", duration(total.duration_ns)], ["Tokens", compact(total.tokens)], ["Cost", money(total.cost)],
    ["Errors", total.errors > 0 && html`<span class="al-error">${number(total.errors)}</span>`],
  ];
  return html`
    <${Head} back=${address("sessions")} all="All sessions" name=${name}>
      <${Figures} figures=${figures.map(([title, shown]) => ({ title, shown }))} />
      <a class="al-button" href=${address("traces", [], { filter: condition })}>As a list</a>
    <//>
    <${Windowed} class="al-turns" role="table" aria-label="Turns" aria-rowcount=${rows.length} tabindex="-1" items=${rows}
      keyOf=${(info) => info.trace_id} draw=${draw} estimate=${guessed} scrollTo=${scrollTo} />`;
}

const guessed = ({ request_preview: asked, response_preview: said }) =>
  120 + 20 * Math.ceil(((asked?.length ?? 0) + (said?.length ?? 0)) / 90);

function Turn({ info, before, number, isAt, href, onSay, onFocus }) {
  const { tools, question, answer } = useTurn(info);
  const pause = before && info.start_time_ns - (before.end_time_ns ?? before.start_time_ns);
  const error = info.error ?? (info.state === "ERROR" ? "It failed." : null);
  return html`<div role="row" class=${`al-turn ${isAt ? "al-at" : ""}`} onClick=${onFocus}>
    <div role="cell">
      <p class=${`al-pause ${pause > PAUSE ? "al-long" : ""}`} title=${absolute(info.start_time_ns)}>
        ${pause > 1e9 && `${duration(pause)} later · `}${moment(info.start_time_ns)}</p>
      ${question !== null && html`<div class="al-bubble al-asked"><${Folded} text=${question} /></div>`}
      ${tools.length > 0 && html`<p class="al-used">${tools.map(chip)}</p>`}
      ${answer !== null && html`<div class="al-bubble al-answered"><${Folded} text=${answer} isMarkdown /></div>`}
      ${error && html`<div class="al-bubble al-answered al-failed" role="note"><b>Error</b> <${Folded} text=${error} /></div>`}
      ${info.state === "IN_PROGRESS" && html`<div class="al-bubble al-answered al-muted">In progress…</div>`}
      <${Foot} info=${info} number=${number} href=${href} onSay=${onSay} />
    </div></div>`;
}

function chip({ name, count, isBad }) {
  return html`<span class=${`al-chip ${isBad ? "al-error" : ""}`}>${isBad ? "✕" : "⚒"} <bdi>${name}</bdi>${count > 1 && ` ×${count}`}</span>`;
}

const THUMBS = [[true, Good, "Good"], [false, Bad, "Bad"]];

function Foot({ info, number, href, onSay }) {
  const said = info.assessments.filter((one) => one.valid && one.kind === "feedback");
  const isThumb = (one) => typeof one.value === "boolean" && one.source.source_type === "HUMAN";
  const isMine = (value) => said.some((one) => isThumb(one) && one.value === value);
  const figures = [
    info.end_time_ns !== null && duration(info.end_time_ns - info.start_time_ns),
    info.usage && counted(tokensOf(info), "token"), info.cost && money(info.cost.total),
  ];
  return html`<p class="al-turn-foot">
    <a href=${href} aria-label=${`Trace of turn ${number}`}>${info.name}</a>
    ${figures.filter(Boolean).map((text) => html`<span>${text}</span>`)}
    ${said.filter((one) => !isThumb(one)).map((one) => html`
      <span class="al-chip" title=${one.rationale}>${one.name} ${one.value === null ? "✕" : verdict(one.value)}</span>`)}
    <span class="al-thumbs al-writes">${THUMBS.map(([value, Icon, title]) => html`
      <button class="al-quiet" aria-pressed=${isMine(value)} title=${title} aria-label=${`${title}, turn ${number}`}
        onClick=${() => onSay(value)}><${Icon} /></button>`)}</span>
  </p>`;
}

function Folded({ text, isMarkdown = false }) {
  const [isOpen, setOpen] = useState(false);
  const isLong = text.length > LONG;
  const shown = isLong && !isOpen ? `${text.slice(0, LONG)}…` : text;
  return html`${isMarkdown ? html`<${Markdown} text=${shown} />` : html`<span class="al-words">${shownText(shown)}</span>`}
    ${isLong && html` <button class="al-link" onClick=${() => setOpen(!isOpen)}>${isOpen ? "less" : "more"}</button>`}`;
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
  const [root] = spans.find(([, parent]) => parent === null) ?? spans[0];
  const { detail, texts } = await get(`${path}/spans/${root}`, {}, signal);
  return {
    tools: [...tools.values()], question: whole(info.request_preview, decoded(detail.inputs, texts)),
    answer: whole(info.response_preview, decoded(detail.outputs, texts)),
  };
}

const onOneLine = (text) => text.replace(/\s+/g, " ").trim();

// The text in `value` whose beginning, on one line, is `preview`; else the preview itself.
function whole(preview, value) {
  if (preview === null) return null;
  const head = preview.replace(/…$/, "");
  const isIt = (text) => onOneLine(text.slice(0, 2 * head.length + 100)).startsWith(head);
  return textsIn(value).find(isIt) ?? preview;
}

function textsIn(value) {
  if (typeof value === "string") return [value];
  if (value instanceof Shortened) return [value.text];
  return value !== null && typeof value === "object" ? Object.values(value).flatMap(textsIn) : [];
}
