// What a page gets from the server: loaded, page by page where there is much of it, and again when something changed.
import { html, useCallback, useEffect, useRef, useState } from "./viewer/preact.js";
import { get } from "./api.js";
import { useChanges } from "./live.js";

const PAGE = 60;
const MOST = 500;

// {found, error, isLoading, again}: what `load(signal)` promised last. It is asked anew where `key` is another one.
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
  return { ...state, again };
}

// {rows, error, isLoading, more, again} of a path that answers {[name]: rows, next_page_token}.
export function usePages(path, params, name) {
  const key = JSON.stringify([path, params]);
  const beyond = useRef({ key, rows: [], token: null, many: PAGE });
  if (beyond.current.key !== key) beyond.current = { key, rows: [], token: null, many: PAGE };
  const [isMore, setMore] = useState(false);
  const first = useLoaded(async (signal) => {
    const here = beyond.current;
    const found = await get(path, { ...params, limit: Math.min(here.many, MOST) }, signal);
    return Object.assign(here, { rows: found[name], token: found.next_page_token ?? null });
  }, key);
  const more = useCallback(async () => {
    const here = beyond.current;
    if (!here.token || isMore) return;
    setMore(true);
    try {
      const found = await get(path, { ...params, limit: PAGE, page_token: here.token });
      Object.assign(here, { rows: [...here.rows, ...found[name]], token: found.next_page_token ?? null });
      here.many = here.rows.length;
    } finally {
      setMore(false);
    }
  }, [key, isMore]);
  return { ...first, rows: first.found === beyond.current ? beyond.current.rows : (first.found?.rows ?? []), token: beyond.current.token, more };
}

// What stands where there is nothing to show: an error, that it is being loaded, or `children`.
export function Missing({ error, isLoading, children }) {
  if (error) return html`<div class="al-empty"><h2>${error.status === 404 ? "There is no such thing." : "This could not be loaded."}</h2><p class="al-error">${error.message.split("\n")[0]}</p></div>`;
  return isLoading ? html`<p class="al-empty" aria-busy="true">Loading…</p>` : html`<div class="al-empty">${children}</div>`;
}
