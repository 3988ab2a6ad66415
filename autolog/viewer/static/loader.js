// Where a page carries its scripts packed: unpack them and the document, and put each in its place.
async function unpacked(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function put(name, text, type) {
  const element = document.createElement(name);
  if (type) element.type = type;
  element.textContent = text;
  document.head.append(element);
}

// A frame can't ask its notebook whether it is dark. The notebook's style says so by the frame's height: of the steps of
// four pixels that it has, the remainder by three is 0 for nothing, 1 for dark, 2 for light.
function inScheme(style) {
  const remainder = Math.round(innerHeight / 4) % 3;
  if (remainder === 0) return style;
  const [holds, scheme] = remainder === 1 ? ["all", "dark"] : ["not all", "light"];
  return `${style.replaceAll("(prefers-color-scheme: dark)", holds)}:root{color-scheme:${scheme}}`;
}

const parts = await unpacked("parts");
globalThis.carried = await unpacked("document");
put("style", inScheme(parts.style));
put("script", parts.library);
put("script", parts.script, "module");
