"""Two traces beside each other: what is the same in them, what changed, what only one of them has."""

from __future__ import annotations

import pytest

import autolog as al
from autolog import sample

MOST_NODES = 1_500
HOSTILE = "<img src=x onerror=alert(1)> \u202e"


def answer(question, *, steps=("search", "rank"), temperature=0.2, model="gpt-4o", fails=False):
    """Record an answer; return its trace's id."""
    try:
        with al.start_span("answer", "AGENT", inputs={"question": question}) as root:
            for name in steps:
                with al.start_span(name, "TOOL", inputs={"query": question}) as step:
                    step.set_outputs(f"found by {name}")
            with al.start_span(
                "chat", "CHAT_MODEL", inputs={"messages": [{"role": "user", "content": question}]}
            ) as chat:
                chat.set_attributes({"gen_ai.request.temperature": temperature, "gen_ai.request.model": model})
                chat.set_outputs({"role": "assistant", "content": f"{question} has an answer."})
            if fails:
                raise ConnectionError("the desk is closed")
    except ConnectionError:
        pass
    return root.trace_id


@pytest.fixture
def compared(address, new_page):
    """Open the comparison of two traces: `compared(left, right, "&only=changes", width=400)`."""

    def open_(left, right, query="", **options):
        page = new_page(**options)
        page.goto(f"{address}/#/compare?left={left}&right={right}{query}")
        page.get_by_role("grid", name="Spans of both").wait_for()
        return page

    return open_


def rows(page):
    return page.get_by_role("grid", name="Spans of both").locator(".al-windowed").get_by_role("row")


def names(page):
    """The sign, the left and the right name of each row."""
    found = []
    for row in rows(page).all():
        cells = [cell.strip() for cell in row.get_by_role("gridcell").all_inner_texts()]
        found.append((cells[0], cells[1], cells[3].split(" ")[0]))
    return found


def changes(page):
    return page.get_by_role("region", name="Changes")


def field(page, title):
    return changes(page).locator(".al-field").filter(has=page.locator("h3", has_text=title))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_spans_of_both_are_one_tree_with_signs(client, compared, screenshot, dark):
    left = answer("How are keys rotated?", steps=("search", "rank", "shorten"))
    right = answer("How are tokens rotated?", steps=("search", "rank"), temperature=0.7)
    page = compared(left, right, dark=dark)
    assert names(page) == [
        ("~", "answer", "answer"), ("~", "search", "search"), ("~", "rank", "rank"), ("−", "shorten", ""),
        ("~", "chat", "chat"),
    ]  # fmt: skip
    assert (
        page.locator(".al-toolbar")
        .inner_text()
        .replace("\n", " ")
        .startswith("~ 4 changed + 0 added − 1 removed = 0 same")
    )
    question = field(page, "question")
    question.wait_for()
    assert question.locator("del").all_inner_texts() == ["keys"]
    assert question.locator("ins").all_inner_texts() == ["tokens"]
    assert question.locator("del").get_attribute("aria-label") == "deleted: keys"
    screenshot(page)
    rows(page).nth(4).click()
    temperature = field(page, "temperature")
    temperature.wait_for()
    assert "0.2 → 0.7 +0.5 +250 %" in temperature.inner_text()
    screenshot(page, "chat")


def test_figures_of_both_are_in_the_head(client, compared):
    sample.record(client, 24)
    ids = [
        info.trace_id
        for info in client.search_traces(order_by=["timestamp ASC"], include_spans=False, return_type="list")
    ]
    page = compared(ids[4], ids[5])
    figures = page.locator(".al-figures").first.inner_text().replace("\n", " ")
    assert "Status OK → ERROR" in figures
    assert figures.count("→") == 6 and "Tokens" in figures and "$" in figures and "Spans 6 → 5 −1" in figures


def test_the_same_run_twice_has_no_changes(client, compared):
    left, right = answer("Why?"), answer("Why?")
    page = compared(left, right)
    assert [sign for sign, _, _ in names(page)] == ["", "", "", ""]
    page.get_by_text("What went in and came out is the same.").wait_for()
    changes(page).get_by_role("button", name="the same").click()
    assert "Why?" in changes(page).inner_text()
    page.get_by_label("only changes").check()
    page.get_by_text("The two have the same spans").wait_for()


def test_sides_are_swapped(client, compared):
    left, right = answer("Why?", steps=("search",)), answer("Why?", steps=("search", "rank"))
    page = compared(left, right)
    assert ("+", "", "rank") in names(page)
    page.get_by_role("button", name="Swap sides").click()
    page.locator(".al-pair.al-change-removed").wait_for()
    assert ("−", "rank", "") in names(page)
    assert f"left={right}" in page.url and f"right={left}" in page.url


def test_the_address_names_the_chosen_pair(client, compared):
    left, right = answer("Why?"), answer("Why not?")
    page = compared(left, right)
    rows(page).nth(3).click()
    page.get_by_role("heading", name="chat").wait_for()
    page.reload()
    page.get_by_role("heading", name="chat").wait_for()
    assert rows(page).nth(3).get_attribute("aria-selected") == "true"


def test_the_link_is_copied(client, compared, address):
    left, right = answer("Why?"), answer("Why not?")
    page = compared(left, right, permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("Copied the link.").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == f"{address}/#/compare?left={left}&right={right}"


def test_keys_walk_along_the_changes(client, compared):
    left = answer("Why?", steps=[f"step {number}" for number in range(6)])
    right = answer("Why?", steps=[f"step {number}" for number in range(6)], temperature=1.0)
    page = compared(left, right)
    page.keyboard.press("n")
    page.get_by_role("heading", name="chat").wait_for()
    page.keyboard.press("k")
    page.get_by_role("heading", name="step 5").wait_for()
    page.keyboard.press("ArrowDown")
    page.get_by_role("heading", name="chat").wait_for()
    page.keyboard.press("n")
    page.get_by_text("No more changes.").wait_for()
    page.keyboard.press("s")
    page.wait_for_url(f"**left={right}*")


def test_a_span_that_only_one_has_shows_with_what_it_did(client, compared):
    left, right = answer("Why?", steps=()), answer("Why?", steps=("search",))
    page = compared(left, right)
    rows(page).filter(has_text="search").click()
    page.get_by_text("Only B has this span.").wait_for()
    changes(page).locator("ins").get_by_text("found by search").wait_for()


def wide(client, steps):
    root = client.start_trace("job", "WORKFLOW")
    for number in range(steps):
        span = client.start_span(f"step {number}", root, "TASK", inputs={"number": number})
        client.end_span(span, outputs=number * 2)
    client.end_trace(root)
    client.flush(60)
    return root.trace_id


def test_thousands_of_spans_are_compared_with_few_of_them_in_the_document(client, compared):
    page = compared(wide(client, 5_000), wide(client, 5_001))
    grid = page.get_by_role("grid", name="Spans of both")
    assert grid.get_attribute("aria-rowcount") == "5002"
    assert page.evaluate("document.querySelectorAll('*').length") < MOST_NODES
    grid.evaluate("element => element.scrollTop = element.scrollHeight")
    rows(page).filter(has_text="step 5000").wait_for()
    page.get_by_role("button", name="Next change").click()
    page.get_by_role("heading", name="step 5000").wait_for()
    assert page.evaluate("document.querySelectorAll('*').length") < MOST_NODES


def test_hostile_names_and_texts_are_text(client, compared, screenshot):
    left, right = answer(HOSTILE, steps=[HOSTILE]), answer(f"{HOSTILE}<script>", steps=[HOSTILE])
    page = compared(left, right)
    rows(page).nth(1).click()
    field(page, "query").wait_for()
    assert "<img" in field(page, "query").inner_text()
    assert page.locator("main img, main script").count() == 0
    screenshot(page)


def test_long_names_stay_beside_each_other_on_narrow_screens(client, compared):
    spans = [al.start_span(letter * 80) for letter in "nm"]
    for span in spans:
        span.end()
    client.flush()
    page = compared(*(span.trace_id for span in spans), width=400, height=800)
    names = [page.get_by_role("link", name=name).bounding_box() for name in ("n" * 80, "m" * 80)]
    assert names[0]["x"] + names[0]["width"] <= names[1]["x"] and names[1]["x"] + names[1]["width"] <= 400


def test_two_are_compared_from_the_list_and_from_a_trace(client, address, new_page):
    left, right = answer("Why?"), answer("Why not?")
    page = new_page()
    page.goto(f"{address}/#/traces")
    page.locator(".al-row").nth(1).wait_for()
    for box in page.locator(".al-row .al-box").all():
        box.click()
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("grid", name="Spans of both").wait_for()
    page.goto(f"{address}/#/traces/{right}")
    page.get_by_role("button", name="More").click()
    page.get_by_text("Compare with the previous").click()
    page.wait_for_url(f"**/#/compare?left={left}&right={right}*")


def test_narrow_screens_have_the_tree_above_the_changes(client, compared, screenshot):
    left, right = answer("How are keys rotated?"), answer("How are tokens rotated?", fails=True)
    page = compared(left, right, width=400, height=800)
    field(page, "question").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    tree = page.get_by_role("grid", name="Spans of both").bounding_box()
    assert tree["y"] + tree["height"] <= changes(page).bounding_box()["y"] + 1 and tree["height"] > 100
    screenshot(page)


def test_without_two_traces_the_page_says_how_to_choose_them(address, new_page):
    page = new_page()
    page.goto(f"{address}/#/compare")
    page.get_by_text("Select two traces in the list").wait_for()
