// Dialogs over the page: the browser's own, which keeps the focus inside and closes by Escape.
import { html, useEffect, useRef } from "./viewer/preact.js";

export function Dialog({ title, onClose, children, className = "" }) {
  const element = useRef(null);
  useEffect(() => {
    const dialog = element.current;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  return html`
    <dialog class=${`al-dialog ${className}`} ref=${element} aria-label=${title} onClose=${onClose}
      onClick=${(event) => event.target === element.current && onClose()}>
      <header><h2>${title}</h2><button class="al-quiet" aria-label="Close" onClick=${onClose}>✕</button></header>
      ${children}
    </dialog>`;
}
