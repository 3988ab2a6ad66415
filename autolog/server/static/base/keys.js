// Keys that do something: single ones and two in a row, never while somebody types or a dialog is open.
import { useEffect, useRef } from "../viewer/preact.js";

const TYPED = "input:not([type=checkbox]):not([type=radio]):not([type=button]), textarea, select, [contenteditable]";
const PATIENCE = 1000;
const layers = [];
let before = { key: "", at: 0 };

// `keys` is {"j": f, "g t": f, "Escape": f}; f gets the event, and returns false to leave the key to others.
// Of several layers the one that came last is asked first.
export function useKeys(keys, isActive = true) {
  const held = useRef(keys);
  held.current = keys;
  useEffect(() => {
    if (!isActive) return undefined;
    layers.unshift(held);
    return () => layers.splice(layers.indexOf(held), 1);
  }, [isActive]);
}

// Keys that parts of the page handle by themselves, for the page's list of all: [[key, what it does], …].
let told = [];
export const toldKeys = () => told;

export function tellKeys(keys) {
  told = keys;
  return () => { told = []; };
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  // A dialog's keys are its own: what is behind it is not meant.
  if (document.querySelector("dialog[open]")) return;
  const isTyped = event.target instanceof Element && event.target.matches(TYPED);
  if (isTyped && event.key !== "Escape") return;
  const two = Date.now() - before.at < PATIENCE ? `${before.key} ${event.key}` : "";
  before = { key: event.key, at: Date.now() };
  for (const name of [two, event.key]) {
    for (const { current } of layers) {
      if (name && current[name] && current[name](event) !== false) {
        before = { key: "", at: 0 };
        event.preventDefault();
        return;
      }
    }
  }
});
