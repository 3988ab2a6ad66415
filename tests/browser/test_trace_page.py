"""One trace over the list: its address, its neighbours, what is said of it, and while it runs."""

from __future__ import annotations

import json

import pytest

import autolog as al
from autolog import sample


@pytest.fixture
def opened(client, address, new_page):
    """Open a trace over the list: `opened(trace_id, "?span=…", width=400)`."""

    def open_(trace_id, query="", **options):
        page = new_page(**options)
        page.goto(address)
        page.get_by_role("grid", name="Traces").wait_for()
        page.goto(f"{address}/#/traces/{trace_id}{query}")
        trace(page).get_by_role("treeitem").first.wait_for()
        return page

    return open_


def trace(page):
    return page.get_by_role("dialog", name="Trace", exact=True)


def said(client, trace_id):
    return [(one.name, one.value, one.span_id) for one in client.get_trace(trace_id).assessments if one.valid]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_trace_opens_over_the_list(client, opened, screenshot, dark):
    ids = sample.record(client, 12)
    page = opened(ids[5], dark=dark)
    page.get_by_text("7 of 12").wait_for()
    screenshot(page)


def test_at_400_pixels_it_has_the_page(client, opened, screenshot):
    ids = sample.record(client, 3)
    page = opened(ids[1], width=400)
    assert trace(page).bounding_box()["width"] == 400
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    screenshot(page)


def test_the_next_and_the_previous_are_a_key_away(client, opened):
    ids = sample.record(client, 5)
    page = opened(ids[2])
    page.get_by_text("3 of 5").wait_for()
    page.keyboard.press("Shift+J")
    page.wait_for_url(f"**/{ids[1]}*")
    page.get_by_role("button", name="Previous trace").click()
    page.get_by_text("3 of 5").wait_for()
    page.get_by_role("button", name="Close", exact=True).click()
    trace(page).wait_for(state="detached")


def test_a_link_names_trace_and_span(client, opened, address, new_page):
    ids = sample.record(client, 3)
    page = opened(ids[0])
    trace(page).get_by_role("treeitem").filter(has_text="lookup_account").click()
    page.wait_for_url("**span=*")
    span_id = next(span.span_id for span in client.get_trace(ids[0]).spans if span.name == "lookup_account")
    assert f"span={span_id}" in page.url

    again = new_page()
    again.goto(page.url)
    again.locator("[role=treeitem][aria-selected=true]", has_text="lookup_account").wait_for()


def test_thumbs_are_a_key_and_are_taken_back(client, opened):
    ids = sample.record(client, 3)
    page = opened(ids[1])
    before = said(client, ids[1])
    page.keyboard.press("-")
    trace(page).get_by_role("button", name="helpful no").wait_for()
    assert said(client, ids[1]) == [*before, ("helpful", False, None)]
    page.keyboard.press("+")
    trace(page).get_by_role("button", name="helpful yes").wait_for()
    page.keyboard.press("+")
    trace(page).get_by_role("button", name="helpful yes").wait_for(state="detached")
    assert said(client, ids[1]) == before


def test_feedback_is_given_changed_and_deleted(client, opened, screenshot):
    ids = sample.record(client, 3)
    page = opened(ids[2])
    before = said(client, ids[2])
    page.keyboard.press("f")
    page.get_by_label("Name", exact=True).fill("tone")
    page.get_by_label("Value").fill("4.5")
    page.get_by_text("a number").wait_for()
    page.get_by_label("Why").fill("friendly <b>and</b> brief")
    screenshot(page)
    page.get_by_role("button", name="Say it").click()
    trace(page).get_by_role("button", name="tone 4.5").click()
    assert said(client, ids[2]) == [*before, ("tone", 4.5, None)]
    page.get_by_label("Value").fill("no")
    page.get_by_role("button", name="Save").click()
    trace(page).get_by_role("button", name="tone no").click()
    [mine] = [one for one in client.get_trace(ids[2]).assessments if one.name == "tone"]
    assert (mine.value, mine.rationale, str(mine.source.source_type)) == (False, "friendly <b>and</b> brief", "HUMAN")
    page.get_by_role("button", name="Delete").click()
    trace(page).get_by_role("button", name="tone no").wait_for(state="detached")
    assert said(client, ids[2]) == before


def test_what_was_expected_is_said_of_a_span(client, opened):
    ids = sample.record(client, 3)
    page = opened(ids[0])
    trace(page).get_by_role("treeitem").filter(has_text="lookup_account").click()
    page.wait_for_url("**span=*")
    page.keyboard.press("f")
    page.get_by_label("What was expected").check()
    page.get_by_label("Name", exact=True).fill("plan")
    page.get_by_label("Value").fill("Team")
    page.get_by_label("of the span lookup_account only").check()
    page.get_by_role("button", name="Say it").click()
    trace(page).get_by_role("button", name="expected plan Team on lookup_account, default").wait_for()
    span_id = next(span.span_id for span in client.get_trace(ids[0]).spans if span.name == "lookup_account")
    assert ("plan", "Team", span_id) in said(client, ids[0])


def test_tags_are_changed(client, opened):
    ids = sample.record(client, 3)
    page = opened(ids[0])
    page.get_by_role("button", name="+ tag").click()
    page.get_by_label("Tag", exact=True).fill("seen")
    page.get_by_label("Value").fill("by ada")
    page.keyboard.press("Enter")
    trace(page).get_by_role("button", name="seen by ada").wait_for()
    page.get_by_role("button", name="Take channel away").click()
    page.get_by_role("button", name="Take channel away").wait_for(state="detached")
    assert client.get_trace(ids[0]).info.tags == {"language": "en", "seen": "by ada"}


def test_a_running_trace_grows_before_the_eyes(client, address, new_page):
    page = new_page()
    with al.start_span("working") as root:
        with al.start_span("first step"):
            pass
        client.flush()
        page.goto(f"{address}/#/traces/{root.trace_id}")
        trace(page).get_by_role("treeitem").filter(has_text="first step").wait_for()
        with al.start_span("second step"):
            pass
        client.flush()
        trace(page).get_by_role("treeitem").filter(has_text="second step").wait_for()


def test_it_is_saved_as_json_and_as_a_page(client, opened):
    ids = sample.record(client, 3)
    page = opened(ids[0])
    page.get_by_role("button", name="More").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as JSON").click()
    assert json.loads(download.value.path().read_text())["info"]["trace_id"] == ids[0]
    page.get_by_role("button", name="More").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a page").click()
    assert download.value.suggested_filename.endswith(".html")
    assert "<!doctype html>" in download.value.path().read_text()


def test_it_is_deleted(client, opened):
    ids = sample.record(client, 3)
    page = opened(ids[0])
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete this trace").click()
    trace(page).wait_for(state="detached")
    assert {info.trace_id for info in client.search_traces(include_spans=False, return_type="list")} == set(ids[1:])


def test_the_link_is_copied(client, opened):
    ids = sample.record(client, 3)
    page = opened(ids[0], permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("Copied the link.").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.url


def test_hostile_traces_are_text(client, address, new_page):
    evil = "<img src=x onerror=alert(1)><script>alert(1)</script>"
    with al.context(tags={evil: evil}), al.start_span(evil, inputs=evil) as span:
        span.set_outputs(evil)
    al.log_feedback(trace_id=span.trace_id, name=evil, value=evil, rationale=evil)
    page = new_page()
    page.goto(f"{address}/#/traces/{span.trace_id}")
    trace(page).get_by_role("treeitem").first.wait_for()
    assert page.locator("img").count() == 0
