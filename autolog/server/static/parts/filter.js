// The filter: what is typed is coloured, completed, checked by the server, and wrong places are underlined.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../viewer/preact.js";
import { get } from "../base/api.js";
import { isPlain, meant, quoted } from "../base/query.js";
import { recentFilters, rememberFilter } from "../base/storage.js";
import { expected, fieldOf, suggestions, tokens } from "./completion.js";

const CHECK_AFTER = 250;
const HINT = "Search for words, or filter:  status = 'ERROR' AND duration > 2s";

let known = null;
const fieldsOnce = () => (known ??= get("fields").then((found) => found.fields).catch(() => { known = null; return []; }));

// `value` is the filter of the address; `onApply(text)` is called when somebody means it. `error` is what the server had
// against it, `inputRef` gets the input.
export function FilterBar({ value, onApply, error, inputRef }) {
  const [text, setText] = useState(value);
  const [caret, setCaret] = useState(value.length);
  const [isOpen, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const [wrong, setWrong] = useState(null);
  const [fields, setFields] = useState([]);
  const [values, setValues] = useState([]);
  const mirror = useRef(null);
  const own = useRef(null);
  const input = inputRef ?? own;

  useEffect(() => { setText(value); setCaret(value.length); setWrong(null); }, [value]);
  useEffect(() => { if (isOpen && fields.length === 0) fieldsOnce().then(setFields); }, [isOpen]);

  const isWords = isPlain(text);
  const wanted = expected(text.slice(0, caret));
  const field = fieldOf(fields, wanted.field);
  const asksValues = isOpen && wanted.what === "value" && field && !field.values && ["text", "any"].includes(field.kind);
  const prefix = wanted.word.replace(/^['"]/, "");
  useEffect(() => {
    setValues([]);
    if (!asksValues) return undefined;
    const aborter = new AbortController();
    get("values", { field: field.name, prefix }, aborter.signal).then((found) => setValues(found.values), () => {});
    return () => aborter.abort();
  }, [asksValues, field?.name, prefix]);

  // Checked a moment after the last key; what is not finished yet, at the end, is no error.
  useEffect(() => {
    setWrong(null);
    if (isWords || text.trim() === "" || (text === value && !error)) return undefined;
    const aborter = new AbortController();
    const timer = setTimeout(() => {
      get("filter", { text }, aborter.signal).then((said) => setWrong(said.ok ? null : said), () => {});
    }, text === value ? 0 : CHECK_AFTER);
    return () => { clearTimeout(timer); aborter.abort(); };
  }, [text, value, error]);

  const offered = isOpen ? offers(text, isWords, wanted, fields, values) : [];
  // What is wrong is not asked for: it is shown where.
  const apply = async (given) => {
    setOpen(false);
    setAt(-1);
    if (given.trim() && !isPlain(given)) {
      const said = await get("filter", { text: given }).catch(() => ({ ok: true }));
      setWrong(said.ok ? null : { ...said, isMeant: true });
      if (!said.ok) return;
    }
    rememberFilter(given);
    onApply(given.trim());
  };
  const take = (offer) => {
    if (offer.whole !== undefined) {
      setText(offer.whole);
      apply(offer.whole);
      return;
    }
    const rest = text.slice(caret).replace(/^['"]?\s*/, "");
    const next = text.slice(0, offer.start) + offer.text + rest;
    const end = offer.start + offer.text.length;
    setText(next);
    setCaret(end);
    setAt(-1);
    requestAnimationFrame(() => { input.current.focus(); input.current.setSelectionRange(end, end); });
  };
  const onKeyDown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && offered.length > 0) {
      setOpen(true);
      setAt((now) => Math.min(Math.max(now + step, -1), offered.length - 1));
    } else if (event.key === "Enter") {
      if (isOpen && at >= 0 && offered[at]) take(offered[at]);
      else apply(text);
    } else if (event.key === "Tab" && !event.shiftKey && isOpen && offered.length > 0 && (at >= 0 || wanted.word)) {
      take(offered[Math.max(at, offered[0].whole === undefined ? 0 : Math.min(1, offered.length - 1))]);
    } else if (event.key === "Escape") {
      if (isOpen && offered.length > 0) setOpen(false);
      else input.current.blur();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  const follow = () => { setCaret(input.current.selectionStart); mirror.current.scrollLeft = input.current.scrollLeft; };
  useLayoutEffect(() => { mirror.current.scrollLeft = input.current.scrollLeft; });

  const isUnfinished = wrong && !wrong.isMeant && document.activeElement === input.current && wrong.end >= text.trimEnd().length;
  const shownWrong = isUnfinished ? null : wrong;
  return html`
    <div class=${`al-filter ${shownWrong || error ? "al-filter-wrong" : ""}`} role="search">
      <div class="al-filter-field">
        <div class="al-filter-mirror" ref=${mirror} aria-hidden="true">${coloured(text, isWords, shownWrong)}</div>
        <input ref=${input} type="text" role="combobox" aria-label="Filter" aria-expanded=${isOpen} aria-controls="al-offers"
          aria-invalid=${Boolean(shownWrong || error)} spellcheck="false" autocomplete="off" autocapitalize="off" placeholder=${HINT} value=${text}
          onInput=${(event) => { setText(event.target.value); setCaret(event.target.selectionStart); setOpen(true); setAt(-1); }}
          onFocus=${() => setOpen(true)} onBlur=${() => setOpen(false)} onClick=${() => { setOpen(true); follow(); }} onKeyUp=${follow} onScroll=${follow}
          onKeyDown=${onKeyDown} />
        ${isWords && html`<span class="al-filter-meant" title="Words are searched for in all inputs and outputs; a * leaves the last one open. In quotes, exactly.">${meant(text)}</span>`}
        ${text !== "" && html`<button class="al-quiet" aria-label="Clear filter" title="Clear" onMouseDown=${(event) => event.preventDefault()}
          onClick=${() => { setText(""); apply(""); input.current.focus(); }}>✕</button>`}
      </div>
      ${offered.length > 0 && html`
        <ul class="al-offers" id="al-offers" role="listbox" onMouseDown=${(event) => event.preventDefault()}>
          ${offered.map((offer, index) => html`
            <li role="option" aria-selected=${index === at} class=${index === at ? "al-at" : ""} onClick=${() => take(offer)}
              ref=${(element) => index === at && element?.scrollIntoView({ block: "nearest" })}>
              <span class="al-mono">${offer.label}</span><span class="al-muted">${offer.detail}</span></li>`)}
        </ul>`}
      ${(shownWrong || error) && html`<div class="al-filter-message" role="alert" title=${shownWrong?.message ?? error.message}>${briefly(shownWrong?.message ?? error.message)}
        ${text.trim() && html` <button class="al-link" onMouseDown=${(event) => event.preventDefault()}
          onClick=${() => { const words = `"${text.trim().replaceAll('"', "")}"`; setText(words); apply(words); }}>Search for these words</button>`}</div>`}
    </div>`;
}

// Its first sentence: the fields that there are, and the place, are shown in other ways.
const briefly = (message) => message.split("\n")[0].replace(/[.;]? There are: .*/, ".");

function offers(text, isWords, wanted, fields, values) {
  if (text.trim() === "") return recentFilters().map((one) => ({ whole: one, label: one, detail: "recent" }));
  const next = suggestions(wanted, fields, values);
  if (!isWords) return next;
  const name = `name = ${quoted(text.trim())}`;
  return [
    { whole: text, label: meant(text), detail: "words in inputs and outputs" },
    ...(wanted.what === "field" ? next : []),
    { whole: name, label: name, detail: "by name" },
  ];
}

const COLOURED = { keyword: "al-t-keyword", operator: "al-t-operator", text: "al-t-text", literal: "al-t-literal", moment: "al-t-literal", field: "al-t-field" };

function coloured(text, isWords, wrong) {
  if (isWords) return text;
  const cut = wrong ? [wrong.start, Math.max(wrong.end, wrong.start + 1)] : [];
  return tokens(text).flatMap(({ kind, text: part, start, end }) => {
    const places = [start, ...cut.filter((place) => place > start && place < end), end];
    return places.slice(1).map((to, index) => {
      const from = places[index];
      const isWrong = wrong && from >= cut[0] && to <= cut[1];
      return html`<span class=${`${COLOURED[kind] ?? ""} ${isWrong ? "al-wrong" : ""}`}>${part.slice(from - start, to - start)}</span>`;
    });
  });
}
