// What whoever looks may do here: where the server has tokens, one is asked for, and the browser keeps it.
import { html, useEffect, useState } from "../viewer/preact.js";
import { get, post, remove } from "../base/api.js";

// Asked for once, while the page's modules are loaded.
const asked = get("session").catch(() => ({ is_needed: false, rights: ["read", "send", "write"], name: null }));

// {is_needed, rights, name}, or null until it is known. What only those who may write can do has the class "al-writes".
export function useAccess() {
  const [access, set] = useState(null);
  useEffect(() => {
    asked.then((found) => {
      document.body.classList.toggle("al-reads-only", !found.rights.includes("write"));
      set(found);
    });
  }, []);
  return access;
}

export const isLocked = (access) => !access.rights.includes("read");

export function TokenForm() {
  const [error, setError] = useState(null);
  const send = async (event) => {
    event.preventDefault();
    try {
      await post("session", { token: event.target.elements.token.value.trim() });
      location.reload();
    } catch (problem) {
      setError(problem);
    }
  };
  return html`<form class="al-empty al-token" onSubmit=${send}>
    <h2>A token is needed here</h2>
    <p>Whoever runs this server has it. This browser keeps it for 30 days.</p>
    <p class="al-fields"><input class="al-input" type="password" name="token" aria-label="Token" required autofocus autocomplete="current-password" />
      <button class="al-button al-main">Open</button></p>
    ${error && html`<p class="al-error" role="alert">${error.message}</p>`}</form>`;
}

// Who one is here, and the way out.
export function SignedIn({ access }) {
  const leave = async () => { await remove("session"); location.reload(); };
  return access?.is_needed && !isLocked(access) && html`<button class="al-quiet" title="Forget the token in this browser" onClick=${leave}>
    ${access.name ? `${access.name} · ` : ""}sign out</button>`;
}
