// The traces that are selected, and what can be done with all of them.
import { html, useState } from "../viewer/preact.js";
import { download, get, post } from "../base/api.js";
import { counted, number } from "../base/formats.js";
import { tried } from "../base/notice.js";
import { wholeFilter } from "../base/query.js";
import { address, go } from "../base/router.js";
import { DatasetDialog } from "../parts/datasets-dialog.js";
import { DeleteDialog, Dialog } from "../parts/dialog.js";
import { Item, Menu } from "../parts/menu.js";

const NONE = { ids: new Set(), isAll: false, pivot: -1 };
const MOST = 10_000;
const PAGE = 500;
const AT_ONCE = 500;

// {ids, isAll, toggle, loaded, all, clear}: with `isAll` those of the whole filter are meant, loaded or not.
export function useSelection() {
  const [state, set] = useState(NONE);
  return {
    ...state,
    toggle: (rows, index, isRange) => set(({ ids, isAll, pivot }) => {
      const next = new Set(isAll ? rows.map((row) => row.trace_id) : ids);
      const { trace_id } = rows[index];
      const from = isRange && pivot >= 0 ? Math.min(pivot, index) : index;
      const to = isRange && pivot >= 0 ? Math.max(pivot, index) : index;
      const isOn = isRange || !next.has(trace_id);
      for (const row of rows.slice(from, to + 1)) next[isOn ? "add" : "delete"](row.trace_id);
      return { ids: next, isAll: false, pivot: index };
    }),
    loaded: (rows, isOn) => set(isOn ? { ...NONE, ids: new Set(rows.map((row) => row.trace_id)) } : NONE),
    all: () => set((was) => ({ ...was, isAll: true })),
    clear: () => set(NONE),
  };
}

// The ids of all that a query finds, page by page.
async function idsOf(query) {
  const ids = [];
  for (let page_token = null; ;) {
    const found = await get("traces", { ...query, limit: PAGE, page_token });
    ids.push(...found.traces.map((info) => info.trace_id));
    page_token = found.next_page_token;
    if (!page_token) return ids;
    if (ids.length >= MOST) throw new Error(`That is more than ${number(MOST)} traces at once; narrow the filter.`);
  }
}

// `count` is {count, is_exact} of the filter; `onGone(ids | null)` and `onTagged(ids, set, removed)` tell the list.
export function BulkBar({ selection, query, count, rows, onGone, onTagged }) {
  const [open, setOpen] = useState(null);
  const many = selection.isAll ? count?.count ?? rows.length : selection.ids.size;
  const isExact = !selection.isAll || (count?.is_exact ?? true);
  const label = `${counted(many, "trace").replace(" ", isExact ? " " : "+ ")}`;
  const ids = () => (selection.isAll ? idsOf(query) : Promise.resolve([...selection.ids]));
  const chosen = [...selection.ids];
  const close = () => setOpen(null);
  const exported = (format) => {
    const what = selection.isAll ? { filter: wholeFilter(query) } : { trace_ids: chosen.join(",") };
    download("export", { format, ...what });
  };
  const compare = () => go(address("compare", [], { left: chosen[0], right: chosen[1] }));
  const dialogs = {
    delete: () => html`<${DeleteDialog} label=${label} onClose=${close} onDelete=${async () => {
      const body = selection.isAll ? { filter: wholeFilter(query) } : { trace_ids: chosen };
      if (await tried(() => post("traces/delete", body), (said) => `Deleted ${counted(said.deleted, "trace")}.`)) {
        onGone(selection.isAll ? null : selection.ids);
        selection.clear();
        close();
      }
    }} />`,
    tag: () => html`<${TagDialog} label=${label} onClose=${close} onTag=${async (set, remove) => {
      if (await tried(async () => post("traces/tags", { trace_ids: await ids(), set, remove }), (said) => `Changed ${counted(said.changed, "trace")}.`)) {
        onTagged(selection.isAll ? null : selection.ids, set, remove);
        close();
      }
    }} />`,
    dataset: () => html`<${DatasetDialog} label=${label} onClose=${close} ids=${ids} />`,
  };
  return html`
    <div class="al-bulk" role="toolbar" aria-label="Selected traces">
      <strong>${label} selected</strong>
      ${!selection.isAll && selection.ids.size >= rows.length && (count?.count ?? 0) > rows.length && html`
        <button class="al-link" onClick=${selection.all}>Select all ${number(count.count)}${count.is_exact ? "" : "+"} of this filter</button>`}
      <button class="al-button" onClick=${compare} disabled=${selection.isAll || chosen.length !== 2}
        title="Compare exactly two (c)">Compare</button>
      <button class="al-button al-writes" onClick=${() => setOpen("tag")}>Tag…</button>
      <button class="al-button al-writes" onClick=${() => setOpen("dataset")}>Add to dataset…</button>
      <${Menu} label="Export ▾" title=${selection.isAll || chosen.length <= AT_ONCE ? "" : `At most ${AT_ONCE} by hand; all of a filter are as many as there are`} isDisabled=${!selection.isAll && chosen.length > AT_ONCE}>${(shut) => EXPORTS.map(([format, title]) => html`
        <${Item} onClick=${() => { exported(format); shut(); }}>${title}<//>`)}<//>
      <button class="al-button al-danger al-writes" onClick=${() => setOpen("delete")}>Delete…</button>
      <button class="al-quiet" onClick=${selection.clear} title="Select nothing (Escape)">✕</button>
      ${open && dialogs[open]()}
    </div>`;
}

const EXPORTS = [["jsonl", "JSON Lines"], ["csv", "CSV"], ["parquet", "Parquet"]];

function TagDialog({ label, onClose, onTag }) {
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const send = (event) => { event.preventDefault(); onTag({ [key.trim()]: value }, []); };
  return html`<${Dialog} title=${`Tag ${label}`} onClose=${onClose}>
    <form onSubmit=${send}>
      <p class="al-fields"><input class="al-input" aria-label="Tag" placeholder="tag" required autofocus value=${key} onInput=${(event) => setKey(event.target.value)} />
        <input class="al-input" aria-label="Value" placeholder="value" value=${value} onInput=${(event) => setValue(event.target.value)} /></p>
      <p class="al-actions"><button type="button" class="al-button al-danger" disabled=${!key.trim()} onClick=${() => onTag({}, [key.trim()])}>Take this tag away</button>
        <button class="al-button al-main">Set</button></p>
    </form><//>`;
}
