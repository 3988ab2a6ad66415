// A conversation with a model: who said what, the tools that were called and what they returned.
import { html, useContext, useMemo, useRef, useState } from "./preact.js";
import { counted } from "./formats.js";
import { TextButton } from "./icons.js";
import { JsonTree } from "./json.js";
import { Marked, shownText } from "./marks.js";
import { MoreButton, Paged } from "./more.js";
import { Blob64, Elsewhere, mediaTold } from "./media.js";
import { CopyText, Prose } from "./prose.js";
import { Shortened, plainText } from "./texts.js";
import { Viewing } from "./viewing.js";

const LAST = 12;
const MORE = 30;
const ROLES = new Map([["system", "System"], ["developer", "Developer"], ["user", "User"], ["assistant", "Assistant"], ["tool", "Tool"]]);
const FOLDS = new Map([["system", [500, 8]], ["developer", [500, 8]], ["tool", [900, 14]], ["assistant", [4_000, 60]]]);

export const isText = (value) => typeof value === "string" || value instanceof Shortened;

/** `chat` is {instructions, messages, answers, tools}, as `document.py` has it. */
export function Chat({ chat }) {
  const { query } = useContext(Viewing);
  const [shown, setShown] = useState(LAST);
  const place = useRef(null);
  const { turns, calls } = useMemo(() => turnsOf(chat), [chat]);
  const opening = turns.findIndex(({ role }) => role !== "system" && role !== "developer");
  const first = Math.max(opening === -1 ? turns.length : opening, turns.length - shown);
  const from = query && turns.length < 200 ? opening : first;
  const hidden = first - opening;
  const goTo = (id) => {
    // Ids are anybody's text: compared, never put into a selector.
    const target = [...place.current.querySelectorAll("[data-call]")].find((element) => element.dataset.call === id);
    target?.scrollIntoView({ block: "center" });
    target?.animate?.([{ outline: "2px solid var(--al-accent)" }, { outline: "2px solid transparent" }], 1200);
  };
  const turn = (one) => html`<${Turn} key=${one.at} turn=${one} calls=${calls} goTo=${goTo} />`;
  const answer = turns.find(({ isAnswer }) => isAnswer);
  return html`<div class="tv-chat" ref=${place}>
    ${turns.length > 5 && answer && html`<${TextButton} kind="tv-link tv-answer" act=${() => place.current.querySelector(".tv-said")?.scrollIntoView()}>${counted(turns.length, "message")} · to the answer ↓<//>`}
    ${turns.slice(0, Math.max(opening, 0)).map(turn)}
    <${MoreButton} left=${from === first ? hidden : 0} page=${MORE} noun="earlier message" act=${() => setShown(shown + MORE)} />
    ${turns.slice(Math.max(from, 0)).map(turn)}
    ${chat.tools?.length > 0 && html`<${Tools} tools=${chat.tools} />`}
  </div>`;
}

function turnsOf(chat) {
  const turns = [];
  if (chat.instructions?.length) turns.push({ role: "system", parts: chat.instructions });
  turns.push(...(chat.messages ?? []));
  for (const answer of chat.answers ?? []) turns.push({ ...answer, isAnswer: true, count: chat.answers.length });
  // A call's id leads to its name, and says whether it was answered.
  const calls = new Map();
  for (const { parts } of turns) {
    for (const part of parts ?? []) {
      if (part.type === "tool_call" && part.id !== undefined) calls.set(part.id, { name: part.name, isAnswered: false });
      if (part.type === "tool_call_response" && calls.has(part.id)) calls.get(part.id).isAnswered = true;
    }
  }
  return { turns: turns.map((turn, at) => ({ ...turn, at })), calls };
}

function Turn({ turn, calls, goTo }) {
  const { role, parts = [], name, finish_reason: reason, isAnswer } = turn;
  const kind = ROLES.has(role) ? role : "other";
  const texts = parts.filter((part) => part.type === "text");
  const answered = parts.length === 1 && parts[0].type === "tool_call_response" ? calls.get(parts[0].id)?.name : null;
  return html`<article class=${`tv-turn tv-r-${kind}${isAnswer ? " tv-said" : ""}`}>
    <header><b>${ROLES.get(role) ?? shownText(role)}</b>${(name || answered) && html`<span class="tv-muted">${shownText(name || answered)}</span>`}
      ${answered && html`<${TextButton} act=${() => goTo(`call ${parts[0].id}`)}>call ↑<//>`}
      ${isAnswer && html`<span class="tv-badge">answer</span>`}
      ${reason && reason !== "stop" && html`<span class=${`tv-badge${reason === "length" || reason === "content_filter" ? " tv-warn" : ""}`} title="Why it ended">${shownText(reason)}</span>`}
      ${texts.length === 1 && isText(texts[0].content) && html`<${CopyText} value=${texts[0].content} />`}</header>
    ${parts.length === 0 && html`<span class="tv-muted">empty</span>`}
    ${parts.map((part, at) => html`<${Part} key=${at} part=${part} role=${role} calls=${calls} goTo=${goTo} />`)}
  </article>`;
}

function Part({ part, role, calls, goTo }) {
  const draw = PARTS.get(part.type);
  return draw ? draw(part, { role, calls, goTo }) : html`<${JsonTree} value=${part} />`;
}

const PARTS = new Map([
  ["text", textPart],
  ["reasoning", (part) => html`<details class="tv-thought"><summary>Reasoning</summary><${Value} value=${part.content ?? ""} fold=${6_000} /></details>`],
  ["refusal", (part) => html`<div class="tv-refusal"><b>Refused</b><${Value} value=${part.content} /></div>`],
  ["tool_call", callPart],
  ["tool_call_response", responsePart],
  ["blob", (part) => html`<${Blob64} part=${part} />`],
  ["uri", uriPart],
  ["file", (part) => html`<${Elsewhere} part=${part} />`],
  ["data", (part) => html`<${Value} value=${part.content} />`],
]);

function textPart(part, { role }) {
  const [fold, lines] = FOLDS.get(role) ?? [1_500, 24];
  return html`<${Value} value=${part.content} fold=${fold} lines=${lines} />`;
}

function uriPart(part) {
  // A medium that was too large to be kept stands where its address was.
  return isText(part.uri) ? html`<${Elsewhere} part=${{ ...part, uri: part.uri.text ?? part.uri }} />` : html`<${Value} value=${part.uri ?? part} />`;
}

function callPart(part, { calls, goTo }) {
  const isAnswered = calls.get(part.id)?.isAnswered;
  return html`<div class="tv-call" data-call=${`call ${part.id}`}>
    <header><span class="tv-calls">calls</span> <b><${Marked} text=${part.name ?? ""} /></b>
      ${isAnswered && html`<${TextButton} act=${() => goTo(`result ${part.id}`)}>result ↓<//>`}</header>
    <${Value} value=${part.arguments} />
  </div>`;
}

function responsePart(part, { role }) {
  const [fold, lines] = FOLDS.get(role) ?? FOLDS.get("tool");
  return html`<div data-call=${`result ${part.id}`}>
    <${Value} value=${part.response} fold=${fold} lines=${lines} />
  </div>`;
}

// Anything: texts to be read, the rest as a tree.
export function Value({ value, fold, lines }) {
  if (value === undefined || value === null) return html`<span class="tv-null">${value === null ? "null" : "nothing"}</span>`;
  if (isText(value)) return html`<${Prose} value=${value} fold=${fold} lines=${lines} />`;
  const media = mediaTold(value);
  if (media) return html`<div class="tv-media tv-muted">${media}</div>`;
  return typeof value === "object" ? html`<${JsonTree} value=${value} />` : html`<span class="tv-literal">${plainText(value)}</span>`;
}

function Tools({ tools }) {
  return html`<details class="tv-tools"><summary>${counted(tools.length, "tool")} offered: <span class="tv-muted">${tools.slice(0, 8).map(({ name, type }) => shownText(name ?? type ?? "")).join(", ")}${tools.length > 8 && ", …"}</span></summary>
    <${Paged} items=${tools} page=${20} noun="tool" draw=${(tool) => html`<div class="tv-offered"><b>${shownText(tool.name ?? tool.type ?? "")}</b>
      ${isText(tool.description) && html`<${Prose} value=${tool.description} fold=${300} />`}
      ${tool.parameters && html`<${JsonTree} value=${tool.parameters} />`}</div>`} />
  </details>`;
}
