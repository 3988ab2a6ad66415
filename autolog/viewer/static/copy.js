// Copying, also where a frame has no clipboard.
import { html, useEffect, useRef, useState } from "./preact.js";
import { Drawing } from "./icons.js";

// Put a text into the clipboard; return whether that could be done.
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedByHand(text); // no clipboard in a sandboxed frame, or without https
  }
}

function copiedByHand(text) {
  const active = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "tv-unseen";
  document.body.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  if (active instanceof HTMLElement) active.focus({ preventScroll: true });
  return isDone;
}

// A button that copies what `get` returns, or promises.
export function CopyButton({ get, label = "Copy", title = "Copy" }) {
  const [state, setState] = useState("");
  const timer = useRef(null);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async (event) => {
    event.stopPropagation();
    setState((await copied(await get())) ? "done" : "failed");
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setState(""), 1500);
  };
  const told = state === "done" ? "Copied" : state === "failed" ? "This page may not copy" : title;
  return html`<button class="tv-quiet tv-copy" title=${told} aria-label=${told} onClick=${copy}>
    <${Drawing} name=${state === "done" ? "done" : state === "failed" ? "close" : "copy"} />${label && html`<span>${label}</span>`}
  </button>`;
}
