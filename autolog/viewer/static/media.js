// Pictures, sounds and files of a message: what is in the trace is shown, what is elsewhere is only named.
import { html, useMemo } from "./preact.js";
import { CopyButton } from "./copy.js";
import { compact, number } from "./formats.js";
import { shownText } from "./marks.js";
import { useWhole } from "./prose.js";

// Only what a browser shows as a picture or plays as a sound, and nothing that can hold a script.
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"]);
const SOUNDS = new Set(["audio/mpeg", "audio/mp3", "audio/wav", "audio/x-wav", "audio/wave", "audio/ogg", "audio/webm", "audio/mp4", "audio/aac", "audio/flac"]);
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const STARTS = [["iVBORw0KGgo", "image/png"], ["/9j/", "image/jpeg"], ["R0lGOD", "image/gif"], ["UklGR", "image/webp"]];

function typeOf({ mime_type: mime, modality }, content) {
  const given = String(mime ?? "").toLowerCase();
  if (given && given !== "image/jpg") return given;
  const start = STARTS.find(([letters]) => content.startsWith(letters));
  return start && modality !== "audio" ? start[1] : given === "image/jpg" ? "image/jpeg" : "";
}

// A part whose content is here, in base64.
export function Blob64({ part }) {
  const { text, rest, ask, told } = useWhole(part.content ?? "");
  const content = useMemo(() => String(text).replace(/\s+/g, ""), [text]);
  const type = typeOf(part, content);
  const about = `${shownText(part.mime_type ?? part.modality ?? "file")}, ${compact(Math.floor((part.content?.length ?? 0) * 0.75))} bytes`;
  if (rest > 0) {
    return html`<div class="tv-media">${about} ${ask ? html`<button class="tv-link" onClick=${ask}>show</button> ` : "– "}<span class="tv-muted">${told}</span></div>`;
  }
  // One step at a time: a long text is looked at once.
  const isValid = (PICTURES.has(type) || SOUNDS.has(type)) && content.length % 4 === 0 && BASE64.test(content);
  const url = `data:${type};base64,${content}`;
  if (isValid && PICTURES.has(type)) return html`<div class="tv-media"><img src=${url} alt=${about} title=${about} /></div>`;
  if (isValid) return html`<div class="tv-media"><audio controls preload="none" src=${url} title=${about} /></div>`;
  return html`<div class="tv-media">${about} <${CopyButton} get=${() => content} title="Copy as base64" /></div>`;
}

// A part that is elsewhere. It is never loaded: whoever wrote the address would learn that somebody looks.
export function Elsewhere({ part }) {
  const place = String(part.uri ?? part.file_id ?? "");
  return html`<div class="tv-media"><span class="tv-muted">${shownText(part.modality ?? "file")} at</span> <code class="tv-uri">${shownText(place.slice(0, 300))}${place.length > 300 && "…"}</code>
    <${CopyButton} get=${() => place} label="" title="Copy the address" /></div>`;
}

// What `capture` keeps of media that is too large: its type, size and digest.
export function mediaTold(value) {
  const media = value !== null && typeof value === "object" ? value.media : null;
  if (!media || typeof media !== "object" || !media.sha256) return null;
  return `${shownText(media.mime ?? "media")}, ${number(media.bytes)} bytes, not kept (SHA-256 ${shownText(String(media.sha256).slice(0, 12))}…)`;
}
