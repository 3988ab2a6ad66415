// The address: which page it names and what that shows, all of it after the "#", so that it works below any path.
import { useEffect, useState } from "../viewer/preact.js";

// "#/traces/abc?filter=x" is {page: "traces", parts: ["abc"], params: {filter: "x"}}.
export function parsed(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [page, ...parts] = path.split("/").filter(Boolean).map(unescaped);
  return { page: page ?? "", parts, params: Object.fromEntries(new URLSearchParams(query)) };
}

function unescaped(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // A stray "%" that somebody typed.
  }
}

// The address of a page; parameters that are null, undefined or "" are left out.
export function address(page, parts = [], params = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(given).toString();
  return `#/${[page, ...parts].map(encodeURIComponent).join("/")}${query && `?${query}`}`;
}

function current() {
  return parsed(location.hash);
}

// Go to an address. With `replace` the one before is forgotten: Back skips it.
export function go(to, { replace = false } = {}) {
  if (to === location.hash) return;
  history[replace ? "replaceState" : "pushState"](null, "", to);
  dispatchEvent(new Event("autolog:address"));
}

// Stay on the page, with some parameters changed; null takes one away.
export function change(params, options) {
  const at = current();
  go(address(at.page, at.parts, { ...at.params, ...params }), options);
}

// The whole URL of an address, to be sent to somebody.
export function permanent(to) {
  return new URL(to, location.href).href;
}

// The address, followed as it changes.
export function useAddress() {
  const [found, set] = useState(current);
  useEffect(() => {
    const follow = () => set(current());
    const events = ["autolog:address", "popstate", "hashchange"];
    for (const event of events) addEventListener(event, follow);
    return () => events.forEach((event) => removeEventListener(event, follow));
  }, []);
  return found;
}
