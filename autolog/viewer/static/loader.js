// Where a page carries its scripts packed: unpack them and the document, and put each in its place.
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%,()*+-;.=/?@^_:{|}~";

// Base 85: five digits are four bytes, the first one first.
function bytesOf(text) {
  const values = new Map(Array.from(DIGITS, (digit, value) => [digit, value]));
  const missing = (5 - (text.length % 5)) % 5;
  const words = new DataView(new ArrayBuffer(((text.length + missing) / 5) * 4));
  for (let at = 0; at < text.length; at += 5) {
    let word = 0;
    for (let place = at; place < at + 5; place++) word = word * 85 + (values.get(text[place]) ?? 84);
    words.setUint32((at / 5) * 4, word);
  }
  return new Uint8Array(words.buffer, 0, words.byteLength - missing);
}

async function unpacked(id) {
  const stream = new Blob([bytesOf(document.getElementById(id).textContent)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

function put(name, text, type) {
  const element = document.createElement(name);
  if (type) element.type = type;
  element.textContent = text;
  document.head.append(element);
  return element;
}

// A frame can't ask its notebook whether it is dark. The notebook's style says so by the frame's height: of the steps of
// four pixels that it has, the remainder by three is 0 for nothing, 1 for dark, 2 for light.
function inScheme(style) {
  const remainder = Math.round(innerHeight / 4) % 3;
  if (remainder === 0) return style;
  const [holds, scheme] = remainder === 1 ? ["all", "dark"] : ["not all", "light"];
  return `${style.replaceAll("(prefers-color-scheme: dark)", holds)}:root{color-scheme:${scheme}}`;
}

const [style, library, script] = (await unpacked("parts")).split("\0");
globalThis.carried = JSON.parse(await unpacked("document"));
const first = put("style", inScheme(style));
// A frame that has a process of its own, or is hidden, begins without a size. The policy knows whole styles only: none is changed.
const restyle = () => { put("style", inScheme(style)); first.remove(); };
if (innerHeight === 0) addEventListener("resize", restyle, { once: true });
put("script", library);
put("script", script, "module");
