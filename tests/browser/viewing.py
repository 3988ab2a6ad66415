"""The viewer alone in a page, with a host that a test controls; and traces to look at."""

from __future__ import annotations

import json

import autolog as al
from autolog import capture
from autolog.model.outline import outline
from autolog.viewer.bundle import LIBRARY, STATIC, bundle
from autolog.viewer.document import Texts, document, span_document

_PAGE = """<!doctype html><meta charset="utf-8"><style>{style} #viewer {{ height: 100vh }}</style><div id="viewer"></div>
<script>{library}</script><script type="module">{script}
globalThis.viewer = {{ mount, unmount, KEYS }};</script>"""


def saved(page, trace, folder):
    """Open a trace as a file that needs no other."""
    page.goto(trace.save_html(folder / "trace.html").as_uri())
    page.get_by_role("treeitem").first.wait_for()
    return page


def hosted(page, trace, *, longest=1_000):
    """Open a trace whose details a host has: it notes what it is asked in `asked`, and what is chosen in `chosen`."""
    style = (STATIC / "viewer.css").read_text(encoding="utf-8")
    script = bundle("viewer.js")
    page.set_content(_PAGE.format(style=style, library=LIBRARY.read_text(encoding="utf-8"), script=script))
    details = {span.span_id: span_document(span, longest) for span in trace.spans}
    page.evaluate(
        """(details) => {
            globalThis.asked = []; globalThis.chosen = []; globalThis.texts = {};
            globalThis.host = {
                detail: (id) => { asked.push(id); return Promise.resolve(details[id]); },
                text: (id, pointer) => { asked.push(pointer); return Promise.resolve(texts[pointer] ?? null); },
                onSelect: (id) => chosen.push(id),
            };
        }""",
        _plain(details),
    )
    shown(page, trace)
    page.get_by_role("treeitem").first.wait_for()
    return page


def shown(page, trace, host="{}"):
    """Show a trace, or a newer document of it, with more of a host."""
    page.evaluate(
        f"(trace) => viewer.mount(document.getElementById('viewer'), trace, {{ ...host, ...{host} }})",
        _plain(document(outline(trace))),
    )


def opened(page, trace, **texts):
    """Open a document of a trace that has all details, without a host."""
    style = (STATIC / "viewer.css").read_text(encoding="utf-8")
    page.set_content(_PAGE.format(style=style, library=LIBRARY.read_text(encoding="utf-8"), script=bundle("viewer.js")))
    page.evaluate(
        "(trace) => viewer.mount(document.getElementById('viewer'), trace, null)",
        _plain(document(outline(trace), trace.spans, Texts(**texts))),
    )
    page.get_by_role("treeitem").first.wait_for()
    return page


def _plain(value):
    return json.loads(capture.json_bytes(value))


def names(page):
    """The names of the lines that are in the page, from top to bottom."""
    return page.locator("[role=treeitem] .tv-label").all_inner_texts()


def chosen(page):
    """The name of the chosen line."""
    return page.locator("[role=treeitem][aria-selected=true] .tv-label").inner_text()


def panel(page):
    """The panel of the chosen span."""
    return page.get_by_role("region", name="Span")


def wide(client, count):
    """A trace of `count` spans: steps of four, each with a conversation."""
    root = client.start_trace("run", "AGENT", start_time_ns=10**18)
    at = 10**18
    for number in range((count - 1) // 4):
        step = client.start_span(f"step_{number}", root, "CHAIN", start_time_ns=at)
        for kind, name in (("CHAT_MODEL", "chat"), ("TOOL", "look"), ("RETRIEVER", "search")):
            span = client.start_span(
                f"{name} {number}", step, kind, inputs={"q": f"question {number}"}, start_time_ns=at
            )
            if number == 7 and kind == "TOOL":
                span.set_status("ERROR", "broken")
            at += 1_000_000 * (1 + number % 5)
            client.end_span(span, outputs="ok", end_time_ns=at)
        client.end_span(step, end_time_ns=at)
    for _ in range((count - 1) % 4):
        client.end_span(client.start_span("rest", root, start_time_ns=at), end_time_ns=at + 1)
    client.end_trace(root, end_time_ns=at + 1)
    return al.get_trace(root.trace_id)
