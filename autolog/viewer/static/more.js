// Lists that show their beginning, and more of it when asked.
import { html, useState } from "./preact.js";
import { counted, number } from "./formats.js";

// `draw(item, at)` draws one; `noun` is what the items are.
export function Paged({ items, page, noun, draw }) {
  const [shown, setShown] = useState(page);
  return html`${items.slice(0, shown).map(draw)}<${MoreButton} left=${items.length - shown} page=${5 * page} noun=${`more ${noun}`} act=${() => setShown(shown + 5 * page)} />`;
}

export function MoreButton({ left, page, noun, act }) {
  return left > 0 && html`<button class="tv-earlier" onClick=${act}>${counted(left, noun)} – show ${number(Math.min(left, page))}</button>`;
}
