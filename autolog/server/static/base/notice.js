// A line at the foot of the page that says what was done, or why it was not, and goes away.
import { html, useEffect, useState } from "../viewer/preact.js";

const LASTS = 5000;
const WITH_ERROR = 12_000;

export function notify(text, { isError = false } = {}) {
  dispatchEvent(new CustomEvent("autolog:notice", { detail: { text, isError } }));
}

// Do something, and say what the server had against it; return whether it was done.
export async function tried(action, done) {
  try {
    const found = await action();
    if (done) notify(typeof done === "function" ? done(found) : done);
    return true;
  } catch (error) {
    notify(error.message, { isError: true });
    return false;
  }
}

export function Notices() {
  const [notice, set] = useState(null);
  useEffect(() => {
    let timer = 0;
    const show = ({ detail }) => {
      clearTimeout(timer);
      set(detail);
      timer = setTimeout(() => set(null), detail.isError ? WITH_ERROR : LASTS);
    };
    addEventListener("autolog:notice", show);
    return () => removeEventListener("autolog:notice", show);
  }, []);
  return html`<div role="status" aria-live="polite">${notice && html`
    <div class=${`al-notice ${notice.isError ? "al-error" : ""}`}>${notice.text}
      <button class="al-quiet" aria-label="Close" onClick=${() => set(null)}>✕</button></div>`}</div>`;
}
