"""Pages open."""

from __future__ import annotations

import autolog as al


def record():
    with al.start_span("answer", inputs={"q": "<script>alert(1)</script>"}) as span, al.start_span("look up", "TOOL"):
        pass
    return al.get_trace(span.trace_id)


def test_the_web_page_opens(client, address, new_page, screenshot):
    record()
    page = new_page()
    page.goto(address)
    page.get_by_text("answer").wait_for()
    screenshot(page)
