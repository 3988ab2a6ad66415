// Where a page carries its document: unpack it and show it.
import { mount } from "./viewer.js";

async function unpacked(packed) {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

const carried = await unpacked(document.getElementById("document").textContent);
mount(document.getElementById("viewer"), carried, null);
