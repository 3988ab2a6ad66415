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

const parts = await unpacked("parts");
globalThis.carried = await unpacked("document");
put("style", parts.style);
put("script", parts.library);
put("script", parts.script, "module");
