// What stands for each type of span: a name, a colour's name and a small drawing.
import { html } from "./preact.js";

const SPAN_TYPES = new Map([
  ["AGENT", ["Agent", "agent", "M4 6.5h8v6H4zM8 6.5V4M8 3h.01M6.5 9v1M9.5 9v1"]],
  ["WORKFLOW", ["Workflow", "chain", "M2.5 3h4v4h-4zM9.5 9h4v4h-4zM4.5 7v4h5"]],
  ["CHAIN", ["Chain", "chain", "M6.5 9.5l3-3M7.2 5l1.3-1.3a2.7 2.7 0 013.8 3.8L11 8.8M8.8 11l-1.3 1.3a2.7 2.7 0 01-3.8-3.8L5 7.2"]],
  ["TASK", ["Task", "chain", "M3 3h10v10H3zM5.5 8l2 2 3.5-4"]],
  ["CHAT_MODEL", ["Chat model", "model", "M2.5 3.5h11v7.5H8.5L5.5 13.5V11h-3z"]],
  ["LLM", ["Model", "model", "M8 2l1.6 4.4L14 8l-4.4 1.6L8 14l-1.6-4.4L2 8l4.4-1.6z"]],
  ["EMBEDDING", ["Embedding", "embedding", "M4 4h.01M8 4h.01M12 4h.01M4 8h.01M8 8h.01M12 8h.01M4 12h.01M8 12h.01M12 12h.01"]],
  ["RETRIEVER", ["Retriever", "retriever", "M7 3a4 4 0 100 8 4 4 0 000-8zM10 10l3.5 3.5"]],
  ["RERANKER", ["Reranker", "retriever", "M3 4h10M3 8h7M3 12h4"]],
  ["TOOL", ["Tool", "tool", "M10.8 2.6a3.3 3.3 0 00-3.7 4.3L2.9 11.1a1.4 1.4 0 002 2l4.2-4.2a3.3 3.3 0 004.3-3.7L11.3 7.3 8.7 4.7z"]],
  ["PROMPT", ["Prompt", "prompt", "M4 2.5h5.5L12 5v8.5H4zM6 7.5h4M6 10.5h4"]],
  ["PARSER", ["Parser", "prompt", "M6 3c-2 0-1.5 1.5-1.5 3S3 8 3 8s1.500.5 1.5 2S4 13 6 13M10 3c2 0 1.5 1.5 1.5 3S13 8 13 8s-1.500.5-1.5 2S12 13 10 13"]],
  ["GUARDRAIL", ["Guardrail", "guardrail", "M8 2l5 2v4c0 3-2.2 5-5 6-2.8-1-5-3-5-6V4z"]],
  ["EVALUATOR", ["Evaluator", "evaluator", "M8 2.5l1.7 3.5 3.800.5-2.8 2.700.7 3.8L8 11.2 4.6 13l.7-3.8-2.8-2.7L6.3 6z"]],
  ["MEMORY", ["Memory", "memory", "M3 4.5C3 3.1 5.2 2 8 2s5 1.1 5 2.5S10.8 7 8 7 3 5.9 3 4.5zM3 4.5v7C3 12.9 5.2 14 8 14s5-1.1 5-2.5v-7"]],
]);
const OTHER_TYPE = ["Step", "other", "M8 4a4 4 0 100 8 4 4 0 000-8z"];

export const typeTitle = (type) => (SPAN_TYPES.get(type) ?? OTHER_TYPE)[0];
export const typeKind = (type) => (SPAN_TYPES.get(type) ?? OTHER_TYPE)[1];

export function TypeIcon({ type }) {
  const [title, kind, path] = SPAN_TYPES.get(type) ?? OTHER_TYPE;
  return html`<svg class=${`tv-icon tv-k-${kind}`} viewBox="0 0 16 16" role="img" aria-label=${title}><path d=${path} /></svg>`;
}

const DRAWINGS = {
  search: "M7 3a4 4 0 100 8 4 4 0 000-8zM10 10l3.5 3.5",
  up: "M4 10l4-4 4 4",
  down: "M4 6l4 4 4-4",
  right: "M6 4l4 4-4 4",
  filter: "M2.5 4h11M4.5 8h7M6.5 12h3",
  copy: "M6 6h7v7H6zM10 6V3H3v7h3",
  done: "M3.5 8.5l3 3 6-7",
  error: "M8 2.5a5.5 5.5 0 100 11 5.5 5.5 0 000-11zM8 5v3.5M8 10.8v.1",
  fold: "M4 3l4 3 4-3M4 13l4-3 4 3",
  unfold: "M4 6l4-3 4 3M4 10l4 3 4-3",
  keys: "M2 4.5h12v7H2zM4.5 7h.01M7 7h.01M9.5 7h.01M11.5 7h.01M5.5 9.5h5",
  close: "M4 4l8 8M12 4l-8 8",
  back: "M10 3L5 8l5 5",
};

export function Drawing({ name }) {
  return html`<svg class="tv-drawing" viewBox="0 0 16 16" aria-hidden="true"><path d=${DRAWINGS[name]} /></svg>`;
}

// A button that is a drawing; `title` says what it does, `label` is its name where that is shorter.
export function IconButton({ name, title, label = title, isOn, act }) {
  return html`<button class=${`tv-quiet${isOn ? " tv-on" : ""}`} title=${title} aria-label=${label} aria-pressed=${isOn} onClick=${act}><${Drawing} name=${name} /></button>`;
}

export function Chip({ title, label, isOn, kind = "", act, children }) {
  return html`<button class=${`tv-chip ${kind}${isOn ? " tv-on" : ""}`} title=${title} aria-label=${label} aria-pressed=${isOn} onClick=${act}>${children}</button>`;
}

export function TextButton({ act, children, kind = "tv-link" }) {
  return html`<button class=${kind} onClick=${act}>${children}</button>`;
}
