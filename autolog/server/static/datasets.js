// Datasets: the list of them, and the records of one, each with what goes in and what is expected to come out.
import { html, useState } from "./viewer/preact.js";
import { download, get, part, remove } from "./api.js";
import { Dialog } from "./dialog.js";
import { absolute, counted, number, relative } from "./formats.js";
import { Missing, useLoaded, usePages } from "./loaded.js";
import { Item, Menu } from "./menu.js";
import { tried } from "./notice.js";
import { address, go } from "./router.js";
import { Grid } from "./windowed.js";

const written = (value) => (value === null || value === undefined || (typeof value === "object" && Object.keys(value).length === 0) ? null : typeof value === "string" ? value : JSON.stringify(value, null, 1));
const since = (ns) => ns && html`<span title=${absolute(ns)}>${relative(ns)}</span>`;

const COLUMNS = [
  { title: "Dataset", grow: 10, show: (one) => one.name },
  { title: "Records", width: 80, isNumber: true, show: (one) => number(one.records) },
  { title: "Made", width: 100, show: (one) => since(one.create_time_ns) },
  { title: "Changed", width: 100, show: (one) => since(one.last_update_time_ns) },
];

export function Page({ route: { parts } }) {
  return parts[0] === undefined ? html`<${Datasets} />` : html`<${Records} key=${parts[0]} name=${parts[0]} />`;
}

function Datasets() {
  const { found, ...state } = useLoaded((signal) => get("datasets", {}, signal), "datasets");
  const rows = found?.datasets ?? [];
  return rows.length === 0 ? html`<${Missing} ...${state}><h2>No datasets yet</h2><p>Select traces in the <a href=${address("traces")}>list</a>, then <b>Add to dataset…</b></p><//>`
    : html`<${Grid} label="Datasets" columns=${COLUMNS} rows=${rows} keyOf=${(one) => one.name} hrefOf=${(one) => address("datasets", [one.name])} />
      <div class="al-foot al-muted">${counted(rows.length, "dataset")}</div>`;
}

function Records({ name }) {
  const path = `datasets/${part(name)}`;
  const { rows, answer, more, again, ...state } = usePages(path, {}, "records");
  const [selected, setSelected] = useState(new Set());
  const [asked, setAsked] = useState(null);
  const toggle = (id) => setSelected((was) => { const next = new Set(was); next.delete(id) || next.add(id); return next; });
  const columns = [
    { title: "", width: 26, isPlain: true, show: ({ record_id }) => html`<input type="checkbox" aria-label=${`Select record ${record_id}`} checked=${selected.has(record_id)} onChange=${() => toggle(record_id)} />` },
    { title: "Inputs", grow: 10, show: (one) => html`<${Value} value=${one.inputs} />` },
    { title: "Outputs", grow: 10, show: (one) => html`<${Value} value=${one.outputs} />` },
    { title: "Expected", grow: 8, show: (one) => html`<${Value} value=${one.expectations} />` },
    { title: "Source", width: 90, show: ({ trace_id, span_id }) => trace_id && html`<a class="al-mono" href=${address("traces", [trace_id], { span: span_id })}>${trace_id.slice(0, 8)}</a>` },
    { title: "Added", width: 84, show: (one) => since(one.create_time_ns) },
  ];
  const deletion = {
    dataset: [`Delete the dataset ${name}?`, () => remove(path), () => go(address("datasets"))],
    records: [`Delete ${counted(selected.size, "record")}?`, () => Promise.all([...selected].map((id) => remove(`${path}/records/${part(id)}`))), () => { setSelected(new Set()); again(); }],
  };
  return html`
    <div class="al-session-head"><a class="al-button" href=${address("datasets")} aria-label="All datasets">←</a><h1 title=${name}>${name}</h1>
      <span class="al-muted">${answer && counted(answer.dataset.records, "record")}</span>
      ${selected.size > 0 && html`<button class="al-button al-danger al-writes" onClick=${() => setAsked("records")}>Delete ${counted(selected.size, "record")}…</button>`}
      <${Menu} label="Export ▾" side="right">${(close) => ["jsonl", "csv"].map((format) => html`<${Item} onClick=${() => { download(`${path}/export`, { format }, `${name}.${format}`); close(); }}>${format.toUpperCase()}<//>`)}<//>
      <button class="al-button al-danger al-writes" onClick=${() => setAsked("dataset")}>Delete…</button></div>
    ${rows.length > 0 ? html`<${Grid} label="Records" columns=${columns} rows=${rows} keyOf=${(one) => one.record_id} onMore=${more} />` : html`<${Missing} ...${state}><h2>This dataset is empty.</h2><//>`}
    ${asked && html`<${Sure} ask=${deletion[asked]} onClose=${() => setAsked(null)} />`}`;
}

function Sure({ ask: [title, act, done], onClose }) {
  const go = async () => { if (await tried(act, "Deleted.")) { onClose(); done(); } };
  return html`<${Dialog} title=${title} onClose=${onClose}><div><p>The traces they came from stay. This can't be undone.</p>
    <p class="al-actions"><button class="al-button" onClick=${onClose}>Keep</button><button class="al-button al-danger" autofocus onClick=${go}>Delete</button></p></div><//>`;
}

function Value({ value }) {
  const [isOpen, setOpen] = useState(false);
  const text = written(value);
  if (text === null) return null;
  const entries = value !== null && typeof value === "object" && !Array.isArray(value) ? Object.entries(value) : [];
  // One field of several words is read more easily than JSON.
  const [key, one] = entries.length === 1 && typeof entries[0][1] === "string" ? entries[0] : [];
  if (key !== undefined && !isOpen) return html`<button class="al-value-cell" aria-expanded="false" title="Unfold" onClick=${() => setOpen(true)}><span class="al-muted">${key}</span> ${one.slice(0, 300)}</button>`;
  return html`<button class=${`al-value-cell ${typeof value === "string" ? "" : "al-mono"} ${isOpen ? "al-open" : ""}`} aria-expanded=${isOpen} title=${isOpen ? "Fold" : "Unfold"} onClick=${() => setOpen(!isOpen)}>${isOpen ? text : text.slice(0, 300)}</button>`;
}
