// Datasets: the list of them, and the records of one, each with what goes in and what is expected to come out.
import { html, useState } from "../viewer/preact.js";
import { download, get, part, remove } from "../base/api.js";
import { absolute, counted, number, relative } from "../base/formats.js";
import { Missing, useLoaded, usePages } from "../base/loaded.js";
import { tried } from "../base/notice.js";
import { address, go } from "../base/router.js";
import { Dialog } from "../parts/dialog.js";
import { Head } from "../parts/head.js";
import { Item, Menu } from "../parts/menu.js";
import { Grid } from "../parts/windowed.js";

const FOLDED = 300;
const FORMATS = ["jsonl", "csv"];

const since = (ns) => ns && html`<span title=${absolute(ns)}>${relative(ns)}</span>`;

const COLUMNS = [
  { title: "Dataset", grow: 10, show: (one) => one.name },
  { title: "Records", width: 80, isNumber: true, show: (one) => number(one.records) },
  { title: "Made", width: 100, show: (one) => since(one.create_time_ns) },
  { title: "Changed", width: 100, show: (one) => since(one.last_update_time_ns) },
];

export function Page({ route: { parts: [name] } }) {
  return name === undefined ? html`<${Datasets} />` : html`<${Records} key=${name} name=${name} />`;
}

function Datasets() {
  const { found, ...state } = useLoaded((signal) => get("datasets", {}, signal), "datasets");
  const rows = found?.datasets ?? [];
  if (rows.length === 0) {
    return html`<${Missing} ...${state}><h2>No datasets yet</h2>
      <p>Select traces in the <a href=${address("traces")}>list</a>, then <b>Add to dataset…</b></p><//>`;
  }
  return html`
    <${Grid} label="Datasets" columns=${COLUMNS} rows=${rows} keyOf=${(one) => one.name} hrefOf=${(one) => address("datasets", [one.name])} />
    <div class="al-foot al-muted">${counted(rows.length, "dataset")}</div>`;
}

function Records({ name }) {
  const path = `datasets/${part(name)}`;
  const { rows, answer, more, again, ...state } = usePages(path, {}, "records");
  const [selected, setSelected] = useState(new Set());
  const [asked, setAsked] = useState(null);
  const toggle = (id) => setSelected((was) => {
    const next = new Set(was);
    if (!next.delete(id)) next.add(id);
    return next;
  });
  const many = counted(selected.size, "record");
  const asks = {
    dataset: { title: `Delete the dataset ${name}?`, act: () => remove(path), done: () => go(address("datasets")) },
    records: {
      title: `Delete ${many}?`, act: () => Promise.all([...selected].map((id) => remove(`${path}/records/${part(id)}`))),
      done: () => { setSelected(new Set()); again(); },
    },
  };
  const exports = (close) => FORMATS.map((format) => html`
    <${Item} onClick=${() => { download(`${path}/export`, { format }, `${name}.${format}`); close(); }}>${format.toUpperCase()}<//>`);
  return html`
    <${Head} back=${address("datasets")} all="All datasets" name=${name}>
      <span class="al-muted">${answer && counted(answer.dataset.records, "record")}</span>
      ${selected.size > 0 && html`<button class="al-button al-danger al-writes" onClick=${() => setAsked("records")}>Delete ${many}…</button>`}
      <${Menu} label="Export ▾" side="right">${exports}<//>
      <button class="al-button al-danger al-writes" onClick=${() => setAsked("dataset")}>Delete…</button>
    <//>
    ${rows.length > 0 ? html`<${Grid} label="Records" columns=${recordColumns(selected, toggle)} rows=${rows} keyOf=${(one) => one.record_id} onMore=${more} />`
      : html`<${Missing} ...${state}><h2>This dataset is empty.</h2><//>`}
    ${asked && html`<${Sure} ...${asks[asked]} onClose=${() => setAsked(null)} />`}`;
}

function recordColumns(selected, toggle) {
  const box = ({ record_id: id }) => html`<input type="checkbox" aria-label=${`Select record ${id}`} checked=${selected.has(id)} onChange=${() => toggle(id)} />`;
  const source = ({ trace_id, span_id }) => trace_id
    && html`<a class="al-mono" href=${address("traces", [trace_id], { span: span_id })}>${trace_id.slice(0, 8)}</a>`;
  return [
    { title: "", width: 26, isPlain: true, show: box },
    { title: "Inputs", grow: 10, show: (one) => html`<${Value} value=${one.inputs} />` },
    { title: "Outputs", grow: 10, show: (one) => html`<${Value} value=${one.outputs} />` },
    { title: "Expected", grow: 8, show: (one) => html`<${Value} value=${one.expectations} />` },
    { title: "Source", width: 90, show: source },
    { title: "Added", width: 84, show: (one) => since(one.create_time_ns) },
  ];
}

function Sure({ title, act, done, onClose }) {
  const go = async () => { if (await tried(act, "Deleted.")) { onClose(); done(); } };
  return html`<${Dialog} title=${title} onClose=${onClose}><div>
    <p>The traces they came from stay. This can't be undone.</p>
    <p class="al-actions"><button class="al-button" onClick=${onClose}>Keep</button>
      <button class="al-button al-danger" autofocus onClick=${go}>Delete</button></p></div><//>`;
}

// On one line, and by a click whole. One field of several words is read more easily than JSON.
function Value({ value }) {
  const [isOpen, setOpen] = useState(false);
  const isObject = value !== null && typeof value === "object";
  if (value === null || value === undefined || value === "" || (isObject && Object.keys(value).length === 0)) return null;
  const [[key, one], ...others] = isObject && !Array.isArray(value) ? Object.entries(value) : [[]];
  const isField = !isOpen && others.length === 0 && typeof one === "string";
  const text = typeof value === "string" ? value : isField ? one : JSON.stringify(value, null, 1);
  const classes = ["al-value-cell", isOpen && "al-open", !isField && typeof value !== "string" && "al-mono"].filter(Boolean).join(" ");
  return html`<button class=${classes} aria-expanded=${isOpen} title=${isOpen ? "Fold" : "Unfold"} onClick=${() => setOpen(!isOpen)}>
    ${isField && html`<span class="al-muted">${key} </span>`}${isOpen ? text : text.slice(0, FOLDED)}</button>`;
}
