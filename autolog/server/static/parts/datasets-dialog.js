// Put traces into a dataset, a known one or a new one.
import { html, useEffect, useState } from "../viewer/preact.js";
import { get, part, post } from "../base/api.js";
import { counted, number } from "../base/formats.js";
import { tried } from "../base/notice.js";
import { Dialog } from "./dialog.js";

// `label` says what is put in; `ids()` promises the ids of the traces.
export function DatasetDialog({ label, ids, onClose }) {
  const [name, setName] = useState("");
  const [known, setKnown] = useState([]);
  useEffect(() => { get("datasets").then((found) => setKnown(found.datasets), () => {}); }, []);
  const wanted = name.trim();
  const there = known.find((one) => one.name === wanted);
  const offered = known.filter((one) => one !== there && one.name.toLowerCase().includes(wanted.toLowerCase())).slice(0, 6);
  const send = async (event) => {
    event.preventDefault();
    const add = async () => post(`datasets/${part(wanted)}/records`, { trace_ids: await ids() });
    if (await tried(add, (merged) => said(label, wanted, merged))) onClose();
  };
  return html`<${Dialog} title=${`Add ${label} to a dataset`} onClose=${onClose}>
    <form onSubmit=${send}>
      <p><input class="al-input" aria-label="Dataset" placeholder="name, new or known" required autofocus autocomplete="off" value=${name} onInput=${(event) => setName(event.target.value)} /></p>
      <ul class="al-names">${offered.map((one) => html`<li><button type="button" class="al-item" onClick=${() => setName(one.name)}>${one.name} <span class="al-muted">${counted(one.records, "record")}</span></button></li>`)}</ul>
      <p class="al-actions"><span class="al-muted">${there ? counted(there.records, "record") : wanted && "a new dataset"}</span><button class="al-button al-main">${there || !wanted ? "Add" : "Make and add"}</button></p>
    </form><//>`;
}

// Records of equal inputs are one.
function said(label, name, { added, changed, same }) {
  const known = [changed > 0 && `${number(changed)} changed`, same > 0 && `${number(same)} there already`].filter(Boolean).join(", ");
  return added > 0 ? `Added ${label} to ${name}${known && `: ${number(added)} new, ${known}`}.` : `${name}: ${known || "nothing to add"}.`;
}
