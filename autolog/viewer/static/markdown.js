// Markdown, as models write it: into elements, never into HTML, so that nothing in it can be anything but text.
import { html } from "./preact.js";
import { markedParts } from "./marks.js";

const DEEPEST_BLOCK = 6;
const FARTHEST = 3_000;

export function Markdown({ text, query }) {
  return html`<div class="tv-md">${blocksOf(text.replace(/\r\n?/g, "\n").split("\n"), query, 0)}</div>`;
}

// None of these may look at a character more than a few times: lines are as long as somebody wants them to be.
const FENCE = /^ {0,3}(`{3,}(?!`)|~{3,}(?!~))[^`]*$/;
const HEADING = /^ {0,3}(#{1,6}) +(.*)$/;
const RULE = /^ {0,3}(?:(?:\* *){3,}|(?:- *){3,}|(?:_ *){3,})$/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)]) +(.*)$/;
const DELIMITERS = /^[ :|-]+$/;
const QUOTE = /^ {0,3}> ?/;

const isDelimiter = (line) => DELIMITERS.test(line) && line.includes("|") && line.includes("-");

function startsBlock(line) {
  return line.trim() === "" || FENCE.test(line) || HEADING.test(line) || RULE.test(line) || ITEM.test(line) || QUOTE.test(line);
}

function blocksOf(lines, query, depth) {
  const blocks = [];
  let at = 0;
  const take = (isTaken) => {
    const from = at;
    while (at < lines.length && isTaken(lines[at])) at += 1;
    return lines.slice(from, at);
  };
  while (at < lines.length) {
    const line = lines[at];
    const fence = FENCE.exec(line);
    const heading = HEADING.exec(line);
    if (line.trim() === "") at += 1;
    else if (fence) {
      at += 1;
      const code = take((one) => !(one.trim().startsWith(fence[1]) && one.trim().replaceAll(fence[1][0], "") === ""));
      at += 1;
      blocks.push(html`<pre class="tv-code"><code>${markedParts(code.join("\n"), query)}</code></pre>`);
    } else if (heading) {
      at += 1;
      blocks.push(html`<p role="heading" aria-level=${heading[1].length} class=${`tv-h tv-h${Math.min(heading[1].length, 4)}`}>${inlineOf(heading[2].replace(/ #+ *$/, ""), query, 0)}</p>`);
    } else if (RULE.test(line)) {
      at += 1;
      blocks.push(html`<hr />`);
    } else if (QUOTE.test(line) && depth < DEEPEST_BLOCK) {
      const quoted = take((one) => QUOTE.test(one)).map((one) => one.replace(QUOTE, ""));
      blocks.push(html`<blockquote>${blocksOf(quoted, query, depth + 1)}</blockquote>`);
    } else if (ITEM.test(line) && depth < DEEPEST_BLOCK) {
      const [list, next] = listOf(lines, at, query, depth);
      blocks.push(list);
      at = next;
    } else if (line.includes("|") && isDelimiter(lines[at + 1] ?? "")) {
      const [head, , ...body] = take((one) => one.includes("|"));
      blocks.push(tableOf(head, body, query));
    } else {
      at += 1;
      const paragraph = [line, ...take((one) => !startsBlock(one))];
      blocks.push(html`<p>${inlineOf(paragraph.join("\n"), query, 0)}</p>`);
    }
  }
  return blocks;
}

function listOf(lines, from, query, depth) {
  const [, indent, marker] = ITEM.exec(lines[from]);
  const isOrdered = /\d/.test(marker);
  const items = [];
  let at = from;
  while (at < lines.length) {
    const item = ITEM.exec(lines[at]);
    if (!item || item[1].length > indent.length + 1 || item[1].length < indent.length || /\d/.test(item[2]) !== isOrdered) break;
    const width = item[1].length + 2;
    const inner = [item[3]];
    at += 1;
    while (at < lines.length) {
      const isInside = lines[at].startsWith(" ".repeat(width)) || (lines[at].trim() === "" && (lines[at + 1] ?? "").startsWith(" ".repeat(width)));
      const isLazy = !startsBlock(lines[at]) && inner.at(-1).trim() !== "";
      if (!isInside && !isLazy) break;
      inner.push(isInside ? lines[at].slice(Math.min(width, lines[at].length - lines[at].trimStart().length)) : lines[at]);
      at += 1;
    }
    items.push(inner);
    // A blank line between two items.
    if ((lines[at] ?? "").trim() === "" && ITEM.exec(lines[at + 1] ?? "")?.[1].length === indent.length) at += 1;
  }
  const content = items.map((inner) => html`<li>${inner.length === 1 ? inlineOf(inner[0], query, 0) : blocksOf(inner, query, depth + 1)}</li>`);
  const start = Number.parseInt(marker, 10);
  return [isOrdered ? html`<ol start=${start}>${content}</ol>` : html`<ul>${content}</ul>`, at];
}

const cellsOf = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/);

function tableOf(head, body, query) {
  const cells = (line, tag) => cellsOf(line).map((cell) => html`<${tag}>${inlineOf(cell.trim().replaceAll("\\|", "|"), query, 0)}</${tag}>`);
  return html`<div class="tv-scroll"><table><thead><tr>${cells(head, "th")}</tr></thead>
    <tbody>${body.map((line) => html`<tr>${cells(line, "td")}</tr>`)}</tbody></table></div>`;
}

// --- within a line ---

const LINK = /!?\[([^[\]\n]{0,500})\]\(\s*<?([^()<>\s]{1,2000}(?:\([^()\s]{0,200}\)[^()<>\s]{0,200})?)>?(?:\s+["'][^"'\n]{0,200}["'])?\s*\)/y;
const ADDRESS = /https?:\/\/[^\s<>()"'`*\]]+[^\s<>()"'`*\].,:;!?]/y;
const STRONG = [["**", "strong"], ["__", "strong"], ["~~", "s"], ["*", "em"], ["_", "em"]];
const DEEPEST_INLINE = 4;

function inlineOf(text, query, depth) {
  const parts = [];
  let [plain, at] = ["", 0];
  const put = (part, end) => {
    if (plain) parts.push(markedParts(plain, query));
    plain = "";
    parts.push(part);
    at = end;
  };
  while (at < text.length) {
    const found = "\\`[!h*_~".includes(text[at]) ? special(text, at, query, depth) : null;
    if (found) put(found[0], found[1]);
    else {
      const isEscaped = text[at] === "\\" && /[!-/:-@[-`{-~]/.test(text[at + 1] ?? "");
      plain += isEscaped ? text[at + 1] : text[at];
      at += isEscaped ? 2 : 1;
    }
  }
  if (plain) parts.push(markedParts(plain, query));
  return parts;
}

// The element that begins at a place, and where it ends; null where there is only text.
function special(text, at, query, depth) {
  if (text[at] === "`") {
    const [ticks] = text.slice(at, at + 20).match(/^`+/);
    const end = text.slice(0, at + FARTHEST).indexOf(ticks, at + ticks.length);
    return end === -1 ? null : [html`<code>${markedParts(text.slice(at + ticks.length, end).trim(), query)}</code>`, end + ticks.length];
  }
  if (text[at] === "[" || text[at] === "!") {
    const found = matchAt(LINK, text, at);
    return found && isSafe(found[2]) ? [linkTo(found[2], markedParts(found[1] || found[2], query), text[at] === "!"), at + found[0].length] : null;
  }
  if (text[at] === "h") {
    const found = /\w/.test(text[at - 1] ?? "") ? null : matchAt(ADDRESS, text, at);
    return found && isSafe(found[0]) ? [linkTo(found[0], markedParts(found[0], query), false), at + found[0].length] : null;
  }
  if (depth >= DEEPEST_INLINE) return null;
  const [mark, tag] = STRONG.find(([one]) => text.startsWith(one, at)) ?? [];
  if (!mark || /\s/.test(text[at + mark.length] ?? " ") || (mark[0] === "_" && /\w/.test(text[at - 1] ?? ""))) return null;
  const end = closing(text, at + mark.length, mark);
  return end === -1 ? null : [html`<${tag}>${inlineOf(text.slice(at + mark.length, end), query, depth + 1)}</${tag}>`, end + mark.length];
}

function matchAt(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function closing(text, from, mark) {
  const last = Math.min(text.length, from + FARTHEST);
  for (let at = text.indexOf(mark, from); at !== -1 && at < last; at = text.indexOf(mark, at + 1)) {
    const isWord = mark[0] === "_" && /\w/.test(text[at + mark.length] ?? "");
    const isLonger = mark.length === 1 && (text[at + 1] === mark || text[at - 1] === mark);
    if (at > from && !/\s/.test(text[at - 1]) && !isWord && !isLonger) return at;
  }
  return -1;
}

const SAFE = new Set(["http:", "https:", "mailto:"]);

// Whether an address may be a link. All others are shown as the text that they are.
export function isSafe(address) {
  try {
    return SAFE.has(new URL(address).protocol);
  } catch {
    return false;
  }
}

// Pictures are links too: what a model names is never loaded.
function linkTo(address, label, isPicture) {
  return html`<a href=${address} title=${address} target="_blank" rel="noopener noreferrer nofollow">${isPicture && "picture: "}${label}</a>`;
}
