// Menus that open below a button, and close when somebody looks elsewhere.
import { html, useEffect, useRef, useState } from "../viewer/preact.js";
import { useKeys } from "../base/keys.js";

// `children` is a function of `close`, called while it is open.
export function Menu({ label, title, children, className = "al-button", side = "left", isDisabled = false }) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef(null);
  const close = () => setOpen(false);
  useKeys({ Escape: () => { close(); root.current.querySelector("button").focus(); } }, isOpen);
  useEffect(() => {
    if (!isOpen) return undefined;
    const outside = (event) => root.current.contains(event.target) || close();
    addEventListener("pointerdown", outside);
    return () => removeEventListener("pointerdown", outside);
  }, [isOpen]);
  return html`
    <span class="al-menu" ref=${root}>
      <button class=${className} title=${title} aria-haspopup="true" aria-expanded=${isOpen} disabled=${isDisabled}
        onClick=${() => setOpen(!isOpen)}>${label}</button>
      ${isOpen && html`<div class=${`al-menu-list al-menu-${side}`} onKeyDown=${walk}>${children(close)}</div>`}
    </span>`;
}

// Arrows go from item to item.
function walk(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const items = [...event.currentTarget.querySelectorAll("button, a, input")];
  items.at((items.indexOf(document.activeElement) + step) % items.length)?.focus();
  event.preventDefault();
  event.stopPropagation();
}

export function Item({ onClick, children, className = "", ...more }) {
  return html`<button class=${`al-item ${className}`} onClick=${onClick} ...${more}>${children}</button>`;
}
