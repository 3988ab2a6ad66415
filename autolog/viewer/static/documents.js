// The documents that a retriever found, with their ranks and scores.
import { html, useState } from "./preact.js";
import { Value, isText } from "./chat.js";
import { counted, number } from "./formats.js";
import { Marked } from "./marks.js";
import { CopyText } from "./prose.js";
import { Fields } from "./fields.js";

const PAGE = 10;

export function Documents({ documents, query }) {
  const [shown, setShown] = useState(PAGE);
  const scores = documents.map(({ score }) => score).filter((score) => typeof score === "number");
  const [low, high] = [Math.min(0, ...scores.slice(0, 10_000)), Math.max(...scores.slice(0, 10_000))];
  const left = documents.length - shown;
  if (documents.length === 0) return html`<p class="tv-muted">No documents were found.</p>`;
  return html`<div class="tv-documents">
    ${documents.slice(0, shown).map((one, at) => html`<${Document} key=${at} one=${one} rank=${at + 1} query=${query} share=${high > low ? (one.score - low) / (high - low) : 1} />`)}
    ${left > 0 && html`<button class="tv-earlier" onClick=${() => setShown(shown + 5 * PAGE)}>${counted(left, "more document")} – show ${number(Math.min(left, 5 * PAGE))}</button>`}
  </div>`;
}

function Document({ one, rank, share, query }) {
  const { id, content, score, metadata } = one;
  return html`<article class="tv-document">
    <header><span class="tv-rank">${rank}</span><b class="tv-grow"><${Marked} text=${isText(id) ? id.text ?? id : id ?? "document"} query=${query} /></b>
      ${typeof score === "number" && html`<span class="tv-score" title=${`Score ${score}`}><i style=${{ width: `${Math.max(share, 0) * 100}%` }} /><span>${scoreText(score)}</span></span>`}
      ${isText(content) && html`<${CopyText} value=${content} />`}</header>
    ${content === undefined ? html`<span class="tv-muted">no content</span>` : html`<${Value} value=${content} fold=${600} lines=${8} />`}
    ${metadata && html`<${Fields} value=${metadata} isTable=${true} />`}
  </article>`;
}

const scoreText = (score) => (Number.isInteger(score) ? number(score) : Math.abs(score) < 0.001 ? score.toExponential(1) : score.toFixed(3).replace(/0$/, ""));
