// What a page gets from the server: loaded, page by page where there is much of it, and again when something changed.
import { html, useCallback, useEffect, useRef, useState } from "../viewer/preact.js";
import { get } from "./api.js";
import { useChanges } from "./live.js";
import { notify } from "./notice.js";

const PAGE = 100;
const MOST = 500;
const NONE = [];

// {found, error, isLoading, again, put}: what `load(signal)` promised last. It is asked anew where `key` is another one.
export function useLoaded(load, key, isLive = true) {
  const [state, set] = useState({ found: null, error: null, isLoading: true });
  const aborter = useRef(null);
  const again = useCallback(async () => {
    aborter.current?.abort();
    const { signal } = (aborter.current = new AbortController());
    try {
      const found = await load(signal);
      if (!signal.aborted) set({ found, error: null, isLoading: false });
    } catch (error) {
      if (!signal.aborted) set((was) => ({ ...was, error, isLoading: false }));
    }
  }, [key]);
  useEffect(() => {
    set((was) => ({ ...was, isLoading: true }));
    again();
    return () => aborter.current.abort();
  }, [again]);
  useChanges(again, isLive);
  return { ...state, again, put: (found) => set((was) => ({ ...was, found })) };
}

// {rows, token, answer, error, isLoading, more, again} of a path that answers {[name]: rows, next_page_token}: a page of it, more
// when `more` is called, or with `isAll` one after the other.
export function usePages(path, params, name, isAll = false) {
  const key = JSON.stringify([path, params]);
  const many = useRef({});
  if (many.current.key !== key) many.current = { key, wanted: PAGE, isBusy: false };
  const page = async (rows, page_token, limit, signal) => {
    const found = await get(path, { ...params, limit, page_token }, signal);
    return { key, answer: found, rows: [...rows, ...found[name]], token: found.next_page_token ?? null };
  };
  const state = useLoaded(async (signal) => {
    const { wanted } = many.current;
    let found = await page([], null, Math.min(wanted, MOST), signal);
    while (found.token && found.rows.length < wanted) found = await page(found.rows, found.token, MOST, signal);
    return found;
  }, key);
  const found = state.found?.key === key ? state.found : null;
  const more = useCallback(async () => {
    const here = many.current;
    if (!found?.token || here.isBusy) return;
    here.isBusy = true;
    try {
      const next = await page(found.rows, found.token, isAll ? MOST : PAGE);
      here.wanted = next.rows.length;
      if (many.current === here) state.put(next);
    } catch (error) {
      notify(error.message, { isError: true });
    } finally {
      here.isBusy = false;
    }
  }, [found]);
  useEffect(() => { if (isAll) more(); }, [more]);
  return { ...state, rows: state.found?.rows ?? NONE, token: found?.token, answer: state.found?.answer, more };
}

const HEADINGS = { 400: "This can't be asked for.", 404: "There is no such thing." };

// What stands where there is nothing to show: an error, that it is being loaded, or `children`.
export function Missing({ error, isLoading, children }) {
  if (error) return html`<div class="al-empty"><h2>${HEADINGS[error.status] ?? "This could not be loaded."}</h2>
    <p class="al-error">${error.message.split("\n")[0]}</p></div>`;
  return isLoading ? html`<p class="al-empty" aria-busy="true">Loading…</p>` : html`<div class="al-empty">${children}</div>`;
}
