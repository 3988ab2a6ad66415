// The traces that a list has: loaded page by page, kept up to date while more arrive.
import { useCallback, useEffect, useRef, useState } from "../viewer/preact.js";
import { get } from "../base/api.js";
import { quoted } from "../base/query.js";

const FIRST = 100;
const MORE = 200;
const NEWS = 100;

const NOTHING = {
  rows: [], token: null, isLoading: true, error: null, fresh: 0, freshIds: new Set(), newest: 0, query: null, version: 0,
};

// {rows, token, isLoading, error, fresh, version, more, refresh, load, edit} of a query: fresh is how many traces came that
// are not shown, version grows with each change, `more` loads the next page, `refresh(isAtTop)` sees what changed, `load`
// begins anew.
export function useRows(ask, key) {
  const [state, set] = useState(NOTHING);
  const held = useRef(state);
  const aborter = useRef(null);
  const put = (changes) => {
    held.current = { ...held.current, ...changes };
    set(held.current);
  };

  const load = useCallback(async () => {
    aborter.current?.abort();
    const mine = (aborter.current = new AbortController());
    const query = ask();
    put({ isLoading: true, error: null });
    try {
      const found = await get("traces", { ...query, limit: FIRST }, mine.signal);
      const last = query.order_by ? await get("traces", { ...query, order_by: null, limit: 1 }, mine.signal) : found;
      const newest = last.traces[0]?.start_time_ns ?? 0;
      put({ ...NOTHING, rows: found.traces, token: found.next_page_token, isLoading: false, newest, query });
    } catch (error) {
      if (error.name !== "AbortError") put({ ...NOTHING, isLoading: false, error, query });
    }
  }, [key]);

  const more = useCallback(async () => {
    const { token, isLoading, query } = held.current;
    if (!token || isLoading) return undefined;
    const { signal } = aborter.current;
    put({ isLoading: true });
    try {
      const found = await get("traces", { ...query, limit: MORE, page_token: token }, signal);
      if (held.current.token !== token) return put({ isLoading: false });
      const known = new Set(held.current.rows.map((row) => row.trace_id));
      const rows = [...held.current.rows, ...found.traces.filter((row) => !known.has(row.trace_id))];
      return put({ rows, token: found.next_page_token, isLoading: false });
    } catch (error) {
      return error.name !== "AbortError" && put({ isLoading: false, error });
    }
  }, [key]);

  const refresh = useCallback(async (isAtTop) => {
    const { query, rows, newest, isLoading } = held.current;
    if (query === null || isLoading) return;
    const { signal } = aborter.current;
    const isShown = isAtTop && !query.order_by;
    const asked = isShown ? query : { ...query, order_by: null, since: later(query.since, newest) };
    const page = await get("traces", { ...asked, limit: NEWS }, signal);
    const ids = stillRunning(rows, page.traces);
    const filter = `trace_id IN (${ids.map(quoted).join(", ")})`;
    const running = ids.length > 0 ? (await get("traces", { filter, limit: NEWS }, signal)).traces : [];
    if (signal.aborted || held.current.query !== query) return;
    put({ ...(isShown ? merged : updated)(held.current, page, running), version: held.current.version + 1 });
  }, [key]);

  useEffect(() => {
    load();
    return () => aborter.current?.abort();
  }, [load]);

  // Show at once what the page itself did: traces that are gone, or that have other tags.
  const edit = useCallback((change) => {
    put({ rows: held.current.rows.map(change).filter(Boolean), version: held.current.version + 1 });
  }, []);
  return { ...state, load, more, refresh, edit };
}

// JavaScript's numbers are not exact to the nanosecond at these sizes; what comes twice is told apart by its id.
function later(since, ns) {
  const begin = String(BigInt(Math.max(ns - 1024, 0)));
  return since && BigInt(since) > BigInt(begin) ? since : begin;
}

// What ran when it was loaded, and is not on the newest page, is asked for by id.
function stillRunning(rows, page) {
  const seen = new Set(page.map((row) => row.trace_id));
  return rows.filter((row) => row.state === "IN_PROGRESS" && !seen.has(row.trace_id)).slice(0, NEWS).map((row) => row.trace_id);
}

// The rows as they are now, and how many there are above them.
function updated({ rows, freshIds, newest }, page, running) {
  const now = new Map([...running, ...page.traces].map((row) => [row.trace_id, row]));
  const known = new Set(rows.map((row) => row.trace_id));
  const came = page.traces.filter((row) => !known.has(row.trace_id) && row.start_time_ns >= newest);
  const all = new Set([...freshIds, ...came.map((row) => row.trace_id)]);
  return { rows: rows.map((row) => now.get(row.trace_id) ?? row), freshIds: all, fresh: all.size };
}

// The rows with the newest page in place of their beginning.
function merged({ rows, token }, page, running) {
  const newest = page.traces[0]?.start_time_ns ?? 0;
  const isWhole = !page.next_page_token;
  const inPage = new Set(page.traces.map((row) => row.trace_id));
  const overlap = rows.some((row) => inPage.has(row.trace_id));
  // Where more came than a page holds there is a gap to what was loaded: begin anew from here.
  const anew = { rows: page.traces, token: page.next_page_token, fresh: 0, freshIds: new Set(), newest };
  if (isWhole || !overlap) return anew;
  const now = new Map(running.map((row) => [row.trace_id, row]));
  const last = page.traces.at(-1).start_time_ns;
  const below = rows.filter((row) => !inPage.has(row.trace_id) && row.start_time_ns <= last);
  if (below.length === 0) return anew;
  return { ...anew, rows: [...page.traces, ...below.map((row) => now.get(row.trace_id) ?? row)], token };
}
