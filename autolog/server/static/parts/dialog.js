// Dialogs over the page: the browser's own, which keeps the focus inside and closes by Escape.
import { html, useEffect, useRef } from "../viewer/preact.js";

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

// Ask before traces are deleted; `label` says which.
export function DeleteDialog({ label, onClose, onDelete }) {
  return html`<${Dialog} title=${`Delete ${label}?`} onClose=${onClose}>
    <div><p>All their spans and feedback go too. This can't be undone.</p>
      <p class="al-actions"><button class="al-button" onClick=${onClose}>Keep</button>
        <button class="al-button al-danger" autofocus onClick=${onDelete}>Delete ${label}</button></p></div><//>`;
}
