// The viewer of one trace: a pure function of its document and of a host that can get what the document leaves out.
import { html, render } from "./preact.js";
import { decoded } from "./texts.js";

// Show `trace`, a document, in `element`. `host` has
//   detail(spanId): a promise of {detail, texts}, for spans whose details are not in the document
//   text(spanId, pointer): a promise of a whole text, or null where nothing can be asked
export function mount(element, trace, host) {
  render(html`<${Viewer} trace=${trace} host=${host} />`, element);
}

function Viewer({ trace }) {
  const first = trace.spans[0];
  const detail = trace.details && trace.details[first[0]];
  return html`<main class="viewer">
    <h1>${trace.info.name}</h1>
    <ol role="tree">${trace.spans.slice(0, 200).map((row) => html`<li role="treeitem">${row[2]}</li>`)}</ol>
    <pre>${JSON.stringify(decoded(detail ?? null, trace.texts ?? []), null, 2)}</pre>
  </main>`;
}
