// The documents that a retriever found, with their ranks and scores.
import { html } from "./preact.js";
import { Value, isText } from "./chat.js";
import { Fields } from "./fields.js";
import { number } from "./formats.js";
import { Marked } from "./marks.js";
import { Paged } from "./more.js";
import { CopyText } from "./prose.js";

const isScore = (score) => typeof score === "number";

export function Documents({ documents, query }) {
  if (documents.length === 0) return html`<p class="tv-muted">No documents were found.</p>`;
  const [low, high] = documents.reduce(([least, most], { score }) => (isScore(score) ? [Math.min(least, score), Math.max(most, score)] : [least, most]), [0, 0]);
  const share = (score) => (high > low ? (score - low) / (high - low) : 1);
  return html`<${Paged} items=${documents} page=${10} noun="document" draw=${({ id, content, score, metadata }, at) => html`<article key=${at} class="tv-document">
    <header><span class="tv-rank">${at + 1}</span><b class="tv-grow"><${Marked} text=${id?.text ?? id ?? "document"} query=${query} /></b>
      ${isScore(score) && html`<span class="tv-score" title=${`Score ${score}`}><i style=${{ width: `${share(score) * 100}%` }} /><span>${scoreText(score)}</span></span>`}
      ${isText(content) && html`<${CopyText} value=${content} />`}</header>
    ${content === undefined ? html`<span class="tv-muted">no content</span>` : html`<${Value} value=${content} fold=${600} lines=${8} />`}
    ${metadata && html`<${Fields} value=${metadata} isTable />`}
  </article>`} />`;
}

const scoreText = (score) => (Number.isInteger(score) ? number(score) : Math.abs(score) < 0.001 ? score.toExponential(1) : score.toFixed(3).replace(/0$/, ""));
