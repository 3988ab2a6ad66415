// The web page: its bar, and below it the page that the address names.
import { html, render, useEffect, useState } from "./viewer/preact.js";
import { get } from "./base/api.js";
import { useKeys } from "./base/keys.js";
import { Notices } from "./base/notice.js";
import { address, go, useAddress } from "./base/router.js";
import { SignedIn, TokenForm, isLocked, useAccess } from "./parts/access.js";
import { Help } from "./parts/help.js";

// A page is a module that exports `Page`, a component of {route, health}: route is {page, parts, params}. It is loaded
// when it is first shown. `key` opens it, after a "g".
const PAGES = {
  traces: { title: "Traces", key: "t", load: () => import("./traces/list.js") },
  sessions: { title: "Sessions", key: "s", load: () => import("./pages/sessions.js") },
  dashboard: { title: "Dashboard", key: "d", load: () => import("./pages/dashboard.js") },
  experiments: { title: "Experiments", key: "e", load: () => import("./pages/experiments.js") },
  datasets: { title: "Datasets", key: "a", load: () => import("./pages/datasets.js") },
  compare: { title: "Compare", isHidden: true, load: () => import("./pages/compare.js") },
};
// What shows a trace that is opened by its link: the list, which is shown below others, is as large again.
const ALONE = "alone";
const load = (name) => (name === ALONE ? import("./traces/alone.js") : PAGES[name].load());
const FIRST = "traces";
// Pages of the same traces: going from one to the other keeps the filter and the time.
const NARROWED = ["traces", "sessions", "dashboard"];

function narrowing(to, from, { params: { filter, experiment, range, since, until } }) {
  return NARROWED.includes(to) && NARROWED.includes(from) ? { filter, experiment, range, since, until } : {};
}

const loaded = {};

function usePage(name) {
  const [, set] = useState(0);
  useEffect(() => {
    if (loaded[name]) return;
    load(name).then(
      (module) => { loaded[name] = module.Page; set((count) => count + 1); },
      (error) => { loaded[name] = () => html`<p class="al-empty">This page could not be loaded: ${error.message}</p>`; set((count) => count + 1); },
    );
  }, [name]);
  return loaded[name];
}

function App() {
  const route = useAddress();
  const name = route.page in PAGES ? route.page : FIRST;
  const isAlone = name === "traces" && route.parts.length > 0 && !loaded.traces;
  const Page = usePage(isAlone ? ALONE : name);
  const access = useAccess();
  const [health, setHealth] = useState(null);
  const [isHelpOpen, setHelpOpen] = useState(false);
  useEffect(() => { if (access && !isLocked(access)) get("health").then(setHealth, () => {}); }, [access]);
  useEffect(() => { document.title = `${PAGES[name].title} · autolog`; }, [name]);
  useEffect(() => { if (route.page !== name) go(address(name), { replace: true }); }, [route.page, name]);
  const keys = { "?": () => setHelpOpen((is) => !is) };
  for (const [page, { key }] of Object.entries(PAGES)) if (key) keys[`g ${key}`] = () => go(address(page));
  useKeys(keys);
  return html`
    <header class="al-bar">
      <a class="al-brand" href=${address(FIRST)}>autolog</a>
      <nav aria-label="Pages">
        ${Object.entries(PAGES).filter(([, page]) => page.title && !page.isHidden).map(([page, { title, key }]) => html`
          <a href=${address(page, [], page === name ? {} : narrowing(page, name, route))} aria-current=${page === name ? "page" : undefined} title=${key && `g ${key}`}>${title}</a>`)}
      </nav>
      <span class="al-store" title=${health && `autolog ${health.version}`}>${health && html`<bdi>${health.store}</bdi>`}</span>
      <${SignedIn} access=${access} />
      <button class="al-quiet" title="Keys (?)" aria-label="Keys" onClick=${() => setHelpOpen(true)}>?</button>
    </header>
    <main class="al-page">${access && (isLocked(access) ? html`<${TokenForm} />`
      : Page && html`<${Page} key=${name} route=${{ ...route, page: name }} health=${health} />`)}</main>
    <${Notices} />
    ${isHelpOpen && html`<${Help} pages=${PAGES} onClose=${() => setHelpOpen(false)} />`}`;
}

render(html`<${App} />`, document.getElementById("app"));
