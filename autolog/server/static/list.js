// The list of traces.
import { html, useEffect, useState } from "./viewer/preact.js";
import { get } from "./api.js";

export function Page() {
  const [traces, set] = useState([]);
  useEffect(() => { get("traces").then((found) => set(found.traces)); }, []);
  return html`<ul>${traces.map((trace) => html`<li>${trace.name}</li>`)}</ul>`;
}
