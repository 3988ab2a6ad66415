// A Python traceback, of which the program's own frames are read first and those of libraries are folded.
import { html, useMemo, useState } from "./preact.js";
import { counted } from "./formats.js";
import { shownText } from "./marks.js";

const FRAME = /^ {2}File "([^"\n]*)", line (\d+)(?:, in (.*))?$/;
const LIBRARY = /[/\\](?:site-packages|dist-packages)[/\\]|[/\\]lib[/\\]python\d[^/\\]*[/\\]|^<frozen |[/\\]autolog[/\\]|[/\\]autolog_\w+[/\\]/;
const MOST_LINES = 3_000;
const SHOWN_LINES = 160;

// Groups of lines: {isFrame, isLibrary, lines, path, line, name}.
export function framesOf(stack) {
  const found = [];
  for (const text of stack.split("\n").slice(0, MOST_LINES)) {
    const frame = FRAME.exec(text);
    if (frame) found.push({ isFrame: true, isLibrary: LIBRARY.test(frame[1]), path: frame[1], line: frame[2], name: frame[3], lines: [] });
    else if (found.at(-1)?.isFrame && text.startsWith("    ")) found.at(-1).lines.push(text.slice(4));
    else if (text.trim() !== "" || found.at(-1)?.isFrame === false) found.push({ isFrame: false, isLibrary: false, lines: [text] });
  }
  return found;
}

// Runs of frames of libraries as one, but for the innermost frame of all, where it happened.
function runsOf(frames) {
  const last = frames.findLastIndex(({ isFrame }) => isFrame);
  const runs = [];
  frames.forEach((frame, at) => {
    const isFolded = frame.isLibrary && at !== last;
    if (isFolded && runs.at(-1)?.folded) runs.at(-1).folded.push(frame);
    else runs.push(isFolded ? { folded: [frame] } : { frame });
  });
  return runs;
}

export function Stack({ stack }) {
  const [opened, setOpened] = useState(() => new Set());
  const [shown, setShown] = useState(SHOWN_LINES);
  const runs = useMemo(() => runsOf(framesOf(stack)), [stack]);
  const folded = runs.filter((run) => run.folded);
  const isWhole = folded.every((run) => opened.has(run));
  const flat = runs.flatMap((run) => (run.folded && opened.has(run) ? run.folded.map((frame) => ({ frame })) : [run]));
  return html`<div class="tv-stack">
    ${folded.length > 0 && html`<button class="tv-link" onClick=${() => setOpened(new Set(isWhole ? [] : folded))}>${isWhole ? "Only the program's own frames" : "Whole stack"}</button>`}
    ${flat.slice(0, shown).map((run, at) => run.folded
      ? html`<button key=${at} class="tv-link tv-frames" onClick=${() => setOpened(new Set([...opened, run]))}>${counted(run.folded.length, "frame")} of ${packages(run.folded)} – show</button>`
      : html`<${Frame} key=${at} frame=${run.frame} />`)}
    ${flat.length > shown && html`<button class="tv-link" onClick=${() => setShown(shown + 500)}>${counted(flat.length - shown, "more line")}</button>`}
  </div>`;
}

function Frame({ frame }) {
  if (!frame.isFrame) return html`<div class="tv-raised">${shownText(frame.lines[0])}</div>`;
  return html`<div class=${`tv-frame${frame.isLibrary ? " tv-library" : ""}`}>
    <div class="tv-where"><bdi>${shownText(frame.path)}</bdi>:${frame.line}${frame.name && html` in <b>${shownText(frame.name)}</b>`}</div>
    ${frame.lines.length > 0 && html`<pre>${shownText(frame.lines.join("\n"))}</pre>`}
  </div>`;
}

function packages(frames) {
  const names = frames.map(({ path }) => /[/\\](?:site|dist)-packages[/\\]([^/\\]+)/.exec(path)?.[1] ?? (/[/\\](autolog\w*)[/\\]/.exec(path)?.[1] ?? "Python"));
  return [...new Set(names)].slice(0, 4).map((name) => shownText(name.replace(/\.py$/, ""))).join(", ");
}
