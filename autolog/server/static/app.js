// The web page: which page the address names, and what is around it.
import { html, render } from "./viewer/preact.js";

const traces = await (await fetch("api/traces")).json();
render(html`<ul>${traces.traces.map((trace) => html`<li>${trace.name}</li>`)}</ul>`, document.getElementById("app"));
