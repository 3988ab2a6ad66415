// What the keys do.
import { html } from "../viewer/preact.js";
import { toldKeys } from "../base/keys.js";
import { Dialog } from "./dialog.js";

const KEYS = [
  ["Traces", [
    ["j k ↓ ↑", "next, previous trace"], ["Enter o", "open the trace"], ["x", "select it; with Shift all from the last one"],
    ["/", "filter"], ["c", "compare the two selected"], ["Escape", "close what is open, select nothing"],
    ["p", "pause, go on with new traces"],
  ]],
  ["In a trace", [
    ["J K", "next, previous trace"], ["+ -", "good, bad"], ["f", "feedback or what was expected"], ["y", "copy the link"],
    ["w", "the whole page"],
  ]],
  ["In a session", [["j k ↓ ↑", "next, previous turn"], ["o", "open its trace"], ["+ -", "good, bad"]]],
  ["Two traces", [["j k ↓ ↑", "next, previous pair"], ["n p", "next, previous change"], ["s", "swap sides"], ["y", "copy the link"]]],
];

export function Help({ pages, onClose }) {
  const going = Object.values(pages).filter((page) => page.key).map((page) => [`g ${page.key}`, page.title]);
  return html`<${Dialog} title="Keys" onClose=${onClose} className="al-help">
    ${[...KEYS, ["Its spans", toldKeys()], ["Pages", [...going, ["?", "this help"]]]].filter(([, keys]) => keys.length > 0).map(([title, keys]) => html`
      <section><h3>${title}</h3><dl>${keys.map(([key, does]) => html`
        <div><dt>${key.split(" ").map((one) => html`<kbd>${one}</kbd>`)}</dt><dd>${does}</dd></div>`)}</dl></section>`)}
  <//>`;
}
