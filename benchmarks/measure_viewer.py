"""How soon the viewer shows traces of 300, 5,000 and 50,000 spans: first lines, a click, a search, nodes, memory.

Each trace is a file as `save_html` writes it, opened by headless Chromium at 1440 x 900. A time ends when the browser has
painted. Run by `python -m benchmarks.measure_viewer`; prints a table in Markdown, medians of several openings.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from autolog.client import Client
from autolog.model.span import Span, SpanType
from autolog.testing import fresh_client

SIZES = (300, 5_000, 50_000)
ROUNDS = 5
_EXECUTABLE = "/usr/bin/chromium"

# Milliseconds from the start of the navigation until lines of the tree were painted.
_WATCH = """
new MutationObserver((changes, observer) => {
  if (!document.querySelector("[role=treeitem]")) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => { globalThis.firstLines = performance.now(); }));
}).observe(document, { childList: true, subtree: true });
"""
# Milliseconds from an action until what it changed was painted.
_ACT = """(action) => new Promise((done) => {
  const began = performance.now();
  const acts = {
    click: () => [...document.querySelectorAll("[role=treeitem]")].at(-8).click(),
    key: () => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true })),
    scroll: () => { const list = document.querySelector(".tv-list"); list.scrollTop += list.scrollHeight / 3; },
    collapse: () => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "2", bubbles: true })),
  };
  acts[action]();
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})"""


def record(client: Client, count: int) -> str:
    """Record an agent's run of `count` spans whose conversation grows, as such runs do; return its id."""
    root = client.start_trace("agent", SpanType.AGENT, inputs={"question": "Where do the costs come from?"})
    messages: list[dict[str, Any]] = [{"role": "system", "content": "You look after the books of Mossgate. " * 20}]
    made = 1
    while made < count:
        step = client.start_span(f"step {made}", root, SpanType.CHAIN)
        for span in list(_step(client, step, messages, made))[: count - made - 1]:
            client.end_span(span)
            made += 1
        client.end_span(step)
        made += 1
    client.end_trace(root, outputs={"answer": "From the storage."})
    client.flush()
    return root.trace_id


def _step(client: Client, step: Span, messages: list[dict[str, Any]], number: int) -> Iterator[Span]:
    messages.append({"role": "user", "content": f"And what about account {number}? Explain it in some words, please."})
    chat = client.start_span(
        "chat gpt-4o", step, SpanType.CHAT_MODEL, inputs={"messages": messages[-8:], "model": "gpt-4o"}
    )
    chat.set_outputs({"role": "assistant", "content": f"Account {number} grew by a tenth. **Storage** is the reason."})
    yield chat
    tool = client.start_span("ledger", step, SpanType.TOOL, inputs={"account": number})
    tool.set_outputs({"rows": [{"month": month, "amount": month * number} for month in range(6)]})
    yield tool
    search = client.start_span("search", step, SpanType.RETRIEVER, inputs={"query": f"account {number}"})
    search.set_outputs({"documents": [{"id": f"d{number}", "content": "A note on storage. " * 10, "score": 0.9}]})
    yield search


def measure(page: Page, file: Path) -> dict[str, float]:
    """Open a file and do what people do; return milliseconds, nodes and megabytes."""
    page.add_init_script(_WATCH)
    page.goto(file.as_uri())
    page.wait_for_function("globalThis.firstLines")
    found = {"first lines": page.evaluate("firstLines")}
    for action in ("click", "key", "scroll", "collapse"):
        found[action] = page.evaluate(_ACT, action)
    began = time.perf_counter()
    page.get_by_role("searchbox").fill("storage is the reason")
    page.locator(".tv-found:not(:has-text('…'))").wait_for()
    found["search"] = (time.perf_counter() - began) * 1_000
    found["nodes"] = page.evaluate("document.getElementsByTagName('*').length")
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    found["heap MB"] = session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
    found["file MB"] = file.stat().st_size / 1e6
    return found


def main() -> None:
    """Measure each size and print a line a size."""
    sizes = [int(one) for one in sys.argv[1:]] or SIZES
    with tempfile.TemporaryDirectory() as folder, fresh_client() as client, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_EXECUTABLE, args=["--no-sandbox"])
        head: list[str] = []
        for size in sizes:
            file = client.get_trace(record(client, size)).save_html(Path(folder) / f"{size}.html")
            rounds = []
            for _ in range(ROUNDS):
                context = browser.new_context(viewport={"width": 1440, "height": 900})
                rounds.append(measure(context.new_page(), file))
                context.close()
            if not head:
                head = list(rounds[0])
                print("| spans |", " | ".join(head), "|")
                print("|---" * (len(head) + 1) + "|")
            medians = [statistics.median(one[name] for one in rounds) for name in head]
            print(f"| {size:,} |", " | ".join(f"{one:,.1f}" if one < 10 else f"{one:,.0f}" for one in medians), "|")
        browser.close()


if __name__ == "__main__":
    main()
