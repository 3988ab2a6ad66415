"""Large, deep and broken traces open, with few nodes in the page."""

from __future__ import annotations

import pytest

import autolog as al
from autolog.ids import parse_id
from autolog.model.span import Span, SpanType
from autolog.model.trace import Trace, TraceInfo, TraceState
from tests.browser.viewing import chosen, names, opened, panel, saved, wide

MOST_NODES = 1_500


def nodes(page):
    return page.evaluate("document.getElementsByTagName('*').length")


@pytest.mark.parametrize("count", [5_000, 50_000])
def test_a_large_trace_opens_and_is_gone_through(client, tmp_path, new_page, count):
    page = saved(new_page(), wide(client, count), tmp_path)

    assert page.locator(".tv").get_attribute("data-spans") == str(count)
    assert nodes(page) <= MOST_NODES
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    last = page.locator("[role=treeitem] .tv-label").last
    last.filter(has_text="rest").or_(last.filter(has_text="search")).wait_for()
    page.get_by_role("tree").evaluate("tree => { tree.scrollTop = tree.scrollHeight / 2 }")
    page.get_by_role("treeitem", name=f"step_{count // 8}").or_(page.get_by_role("treeitem", name="chat")).first.click()
    assert nodes(page) <= MOST_NODES
    page.keyboard.press("e")
    assert chosen(page) == "look 7"
    page.keyboard.press("2")
    page.keyboard.press("Home")
    page.get_by_role("treeitem", level=1).wait_for()
    assert names(page)[:3] == ["run", "step_0", "step_1"]
    page.get_by_role("searchbox").fill(f"question {count // 4 - 2}")
    page.locator(".tv-found", has_text="3").and_(page.locator(".tv-found:not(:has-text('…'))")).wait_for()
    page.keyboard.press("Enter")
    assert chosen(page) == f"chat {count // 4 - 2}"
    assert nodes(page) <= MOST_NODES


def trace_of(parents):
    """A trace whose span n has the parent that `parents[n]` says: a number, or `None`."""
    spans = []
    for number, parent in enumerate(parents):
        above = None if parent is None else parse_id(f"{parent + 1:016x}", 16)
        span = Span(f"span {number}", SpanType.UNKNOWN, 1, parse_id(f"{number + 1:016x}", 16), above, 10**18 + number)
        span.end_time_ns = 10**18 + 1_000
        spans.append(span)
    info = TraceInfo(f"{1:032x}", "broken", TraceState.OK, 10**18, 10**18 + 1_000, span_count=len(spans))
    return Trace(info, tuple(spans))


def test_a_deep_trace_opens(client, new_page):
    page = opened(new_page(), trace_of([None, *range(9_999)]))

    assert nodes(page) <= MOST_NODES
    page.keyboard.press("End")
    assert chosen(page) == "span 9999"
    assert "9,999 deep" in page.locator("[role=treeitem][aria-selected=true]").inner_text()
    box = page.locator("[role=treeitem][aria-selected=true] .tv-label").bounding_box()
    assert box["width"] > 20
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert chosen(page) == "span 9997" or chosen(page) == "span 9996"
    page.keyboard.press("c")
    assert names(page) == ["span 0"]


@pytest.mark.parametrize(
    ("parents", "expected"),
    [
        ([1, 2, 0], 3),
        ([0], 1),
        ([None, 1, 2, 0], 4),
        ([99, 98, None], 3),
        ([1, 0, 0, 3, None], 5),
    ],
    ids=["ring", "own parent", "own parents", "parents are missing", "ring with others"],
)
def test_every_span_of_a_broken_trace_is_shown_once(client, new_page, parents, expected):
    page = opened(new_page(), trace_of(parents))

    assert sorted(names(page)) == [f"span {number}" for number in range(expected)]


def test_a_message_of_five_megabytes_does_not_freeze_the_page(client, tmp_path, new_page):
    text = "A line that is said again and again.\n" * 140_000
    with al.start_span("chat", "CHAT_MODEL", inputs={"messages": [{"role": "user", "content": text}]}) as span:
        span.set_outputs("short")
    page = saved(new_page(), al.get_trace(span.trace_id), tmp_path)

    assert nodes(page) <= MOST_NODES
    assert len(panel(page).inner_text()) < 5_000
    panel(page).get_by_role("button", name="characters more – show 50K").first.click()
    assert 40_000 < len(panel(page).inner_text()) < 120_000
    page.get_by_role("tab", name="JSON").click()
    panel(page).locator(".tv-line", has_text="A line that is").first.click()
    assert nodes(page) <= MOST_NODES


def test_very_many_values_do_not_fill_the_page(client, new_page):
    with al.start_span("step", inputs={f"key {number}": number for number in range(50_000)}) as span:
        span.set_outputs([{"n": number} for number in range(50_000)])
        for number in range(1_000):
            span.add_event(f"event {number}", {"n": number})
    page = opened(new_page(), al.get_trace(span.trace_id))

    for tab in panel(page).get_by_role("tab").all():
        tab.click()
        assert nodes(page) <= MOST_NODES
