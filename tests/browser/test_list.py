"""The list of traces: what is seen at first glance, and finding, sorting, selecting and following traces."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

import autolog as al
from autolog import sample
from tests.serving import serving

expect.set_options(timeout=20_000)

SEEN = (
    "Time",
    "Name",
    "Input",
    "Output",
    "Duration",
    "Tokens",
    "Cost",
    "Session",
    "User",
    "Tags",
    "Version",
    "Feedback",
)
MOST_NODES = 4_000

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "';alert(1);//",
    "javascript:alert(1)",
    "${alert(1)}{{constructor}}",
    "a\u202eb\u0000c",
    "' OR 1=1 --",
    "l" * 3_000,
    "한국어 日本語 العربية 🙂",
)


@pytest.fixture
def opened(client, address, new_page):
    """Open the list: `opened("?filter=…", width=400)`."""

    def open_(query="", **options):
        page = new_page(**options)
        page.goto(f"{address}/#/traces{query}")
        page.get_by_role("grid", name="Traces").wait_for()
        return page

    return open_


def rows(page):
    """The rows that are in the document, without the head."""
    return page.locator(".al-row")


def filter_of(page):
    return page.get_by_role("combobox", name="Filter")


def search(page, text):
    filter_of(page).fill(text)
    page.keyboard.press("Enter")


def counted(page, text):
    page.get_by_text(text, exact=True).wait_for()


# --- what is seen ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_is_seen_at_first_glance(client, opened, screenshot, dark):
    sample.record(client, 60)
    page = opened(dark=dark)
    counted(page, "60 traces")
    for title in SEEN:
        box = page.get_by_role("columnheader", name=title).bounding_box()
        assert box["x"] + box["width"] <= 1280, title
    row = rows(page).filter(has_text="ConnectionError: accounts.internal").first
    assert row.get_by_role("img").first.get_attribute("aria-label") == "Error, 2 errors"
    assert rows(page).first.bounding_box()["height"] <= 32
    screenshot(page)


def test_at_400_pixels_rows_are_two_lines_and_nothing_is_wider(client, opened, screenshot):
    sample.record(client, 60)
    page = opened(width=400)
    rows(page).nth(3).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.get_by_role("grid").evaluate("(grid) => grid.scrollWidth <= grid.clientWidth")
    screenshot(page)


def test_columns_that_nothing_has_take_no_room(client, opened):
    al.start_span("plain", inputs="in").end()
    page = opened()
    rows(page).first.wait_for()
    assert page.get_by_role("columnheader", name="Session").count() == 0
    assert page.get_by_role("columnheader", name="Duration").count() == 1


def test_only_rows_in_sight_are_in_the_document(client, opened):
    sample.record(client, 500)
    page = opened()
    counted(page, "500 traces")
    grid = page.get_by_role("grid")
    for loaded in (300, 500):  # a page of 100, then of 200 each
        grid.evaluate("(grid) => { grid.scrollTop = grid.scrollHeight; }")
        expect(grid).to_have_attribute("aria-rowcount", str(loaded))
    grid.evaluate("(grid) => { grid.scrollTop = grid.scrollHeight; }")
    page.locator("[aria-rowindex='500']").wait_for()
    assert page.evaluate("document.querySelectorAll('*').length") < MOST_NODES


def test_hostile_names_are_text(client, opened, screenshot):
    for name in HOSTILE:
        with al.context(tags={"t": name}, session_id=name, user=name), al.start_span(name, inputs=name) as span:
            span.set_outputs(name)
        al.log_feedback(trace_id=span.trace_id, name="said", value=name)
    page = opened()
    counted(page, f"{len(HOSTILE)} traces")
    rows(page).filter(has_text="<img src=x").first.wait_for()
    screenshot(page)
    for name in ("' OR 1=1 --", "<img src=x onerror=alert(1)>"):
        page.locator(".al-cell-session").get_by_text(name, exact=True).click()
        counted(page, "1 trace")
        page.get_by_role("button", name="Clear filter").click()
        counted(page, f"{len(HOSTILE)} traces")


def test_an_error_of_a_child_shows_though_the_trace_is_fine(client, opened):
    with al.start_span("answer") as root:
        with pytest.raises(ValueError, match="odd"), al.start_span("step"):
            raise ValueError("odd number")
        root.set_outputs("done")
    page = opened()
    row = rows(page).first
    row.get_by_text("ValueError: odd number").wait_for()
    row.get_by_text("done").wait_for()
    assert row.get_by_role("img").get_attribute("aria-label") == "OK, 1 error"


# --- filtering -------------------------------------------------------------------------------------------


def test_words_are_searched_for_in_all_texts(client, opened, screenshot):
    sample.record(client, 24)
    page = opened()
    filter_of(page).fill("discount for schoo")
    page.get_by_text("text CONTAINS 'discount for schoo*'").first.wait_for()
    screenshot(page)
    page.keyboard.press("Enter")
    counted(page, "3 traces")
    assert "filter=discount+for+schoo" in page.url


def test_words_that_are_not_next_to_one_another_are_searched_for_one_by_one(client, opened):
    sample.record(client, 24)
    page = opened()
    search(page, "schools discount")
    page.get_by_role("button", name="Search for each word by itself").click()
    counted(page, "3 traces")


def test_a_trace_is_found_by_its_id(client, opened):
    ids = sample.record(client, 5)
    page = opened()
    search(page, ids[2])
    counted(page, "1 trace")


def test_a_filter_is_checked_where_it_is_wrong(client, opened, screenshot):
    sample.record(client, 5)
    page = opened()
    filter_of(page).fill("tags.channel = 'web' AND duratoin > 2s")
    page.locator(".al-wrong", has_text="duratoin").wait_for()
    page.get_by_role("alert").get_by_text("did you mean duration?").wait_for()
    screenshot(page)


def test_a_wrong_filter_can_be_searched_for_as_words(client, opened):
    al.start_span("one", inputs="how is x = y solved").end()
    al.start_span("two", inputs="no").end()
    page = opened()
    search(page, "x = y")
    page.get_by_role("button", name="Search for these words").click()
    counted(page, "1 trace")
    assert filter_of(page).input_value() == '"x = y"'


def test_fields_operators_and_values_are_completed(client, opened, screenshot):
    sample.record(client, 12)
    page = opened()
    filter_of(page).press_sequentially("tags.ch")
    page.get_by_role("option", name="tags.channel").wait_for()
    page.keyboard.press("Tab")
    expect(filter_of(page)).to_have_value("tags.channel ")
    filter_of(page).press_sequentially("= w")
    page.get_by_role("option", name="'web'").wait_for()
    screenshot(page)
    page.keyboard.press("Tab")
    expect(filter_of(page)).to_have_value("tags.channel = 'web' ")
    page.keyboard.press("Enter")
    counted(page, "6 traces")


def test_a_click_on_a_value_filters_by_it_and_with_alt_by_all_others(client, opened):
    sample.record(client, 12)
    page = opened()
    counted(page, "12 traces")
    page.get_by_role("button", name="ada").first.click()
    counted(page, "4 traces")
    assert filter_of(page).input_value() == "user = 'ada'"
    page.get_by_role("button", name="channel web").first.click(modifiers=["Alt"])
    counted(page, "2 traces")
    assert filter_of(page).input_value() == "user = 'ada' AND NOT tags.channel = 'web'"


def test_recent_filters_are_offered(client, opened):
    sample.record(client, 12)
    page = opened()
    search(page, "status = 'ERROR'")
    counted(page, "1 trace")
    page.get_by_role("button", name="Clear filter").click()
    counted(page, "12 traces")
    filter_of(page).click()
    page.get_by_role("option", name="status = 'ERROR'").click()
    counted(page, "1 trace")


def test_views_are_kept_by_name(client, opened):
    sample.record(client, 12)
    page = opened("?filter=user = 'ada'&order=duration DESC")
    counted(page, "4 traces")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="Save this view").click()
    page.get_by_role("textbox", name="Name").fill("Ada's slowest")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="All traces").click()
    counted(page, "12 traces")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="Ada's slowest", exact=True).click()
    counted(page, "4 traces")
    assert "order=duration+DESC" in page.url


def test_the_time_is_chosen(client, opened):
    sample.record(client, 24, hours=24)
    page = opened()
    counted(page, "24 traces")
    page.get_by_role("button", name="All time").click()
    page.get_by_role("button", name="Last hour").click()
    page.get_by_role("button", name="Last hour").wait_for()
    expect(rows(page)).to_have_count(1)
    assert "range=1h" in page.url


def test_a_time_of_ones_own(client, opened):
    sample.record(client, 24, hours=24)
    page = opened()
    counted(page, "24 traces")
    page.get_by_role("button", name="All time").click()
    page.get_by_label("From").fill("2020-01-01T00:00")
    page.get_by_label("To").fill("2020-01-02T00:00")
    page.get_by_role("button", name="Show", exact=True).click()
    page.get_by_role("heading", name="No trace meets this.").wait_for()
    page.get_by_role("button", name="Search all time").click()
    counted(page, "24 traces")


def test_what_to_do_where_there_are_no_traces(client, opened, screenshot):
    page = opened()
    page.get_by_text("from autolog import autolog").wait_for()
    screenshot(page)


def test_what_to_do_where_no_trace_meets_the_filter(client, opened, screenshot):
    sample.record(client, 3)
    page = opened("?filter=tokens > 100000")
    page.get_by_role("heading", name="No trace meets this.").wait_for()
    screenshot(page)
    page.get_by_role("button", name="Clear the filter").click()
    counted(page, "3 traces")


# --- columns and order -----------------------------------------------------------------------------------


def test_a_click_on_a_title_sorts(client, opened):
    sample.record(client, 30)
    slowest = client.search_traces(order_by="duration DESC", max_results=1, return_type="list")[0].info.trace_id
    page = opened()
    counted(page, "30 traces")
    page.get_by_role("button", name="Duration").click()
    page.locator("[aria-sort=descending]", has_text="Duration").wait_for()
    page.locator(f".al-row >> nth=0 >> a[href*='{slowest}']").wait_for()
    page.get_by_role("button", name="Duration").click()
    page.locator("[aria-sort=ascending]", has_text="Duration").wait_for()
    page.get_by_role("button", name="Duration").click()
    page.locator("[aria-sort=descending]", has_text="Time").wait_for()


def test_columns_are_chosen_and_remembered(client, opened, address):
    sample.record(client, 3)
    page = opened()
    counted(page, "3 traces")
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("Spans").check()
    page.get_by_label("Feedback").uncheck()
    page.keyboard.press("Escape")
    page.get_by_role("columnheader", name="Spans").wait_for()
    assert "columns=" in page.url
    page.goto("about:blank")
    page.goto(f"{address}/#/traces")
    page.get_by_role("columnheader", name="Spans").wait_for()
    assert page.get_by_role("columnheader", name="Feedback").count() == 0


def test_columns_that_there_are_not_are_left_out(client, opened):
    sample.record(client, 3)
    page = opened("?columns=name,bogus,constructor,__proto__,toString:70")
    counted(page, "3 traces")
    assert [title.inner_text() for title in page.get_by_role("columnheader").all() if title.inner_text()] == ["Name"]


def test_columns_are_made_wider(client, opened):
    sample.record(client, 3)
    page = opened()
    counted(page, "3 traces")
    head = page.get_by_role("columnheader", name="Name")
    before = head.bounding_box()
    page.mouse.move(before["x"] + before["width"] + 4, before["y"] + 5)
    page.mouse.down()
    page.mouse.move(before["x"] + before["width"] + 64, before["y"] + 5, steps=4)
    page.mouse.up()
    assert head.bounding_box()["width"] == pytest.approx(before["width"] + 60, abs=2)
    page.wait_for_url("**columns=*name%3A1*")


# --- live ------------------------------------------------------------------------------------------------


def test_traces_show_as_they_arrive(client, opened):
    sample.record(client, 3)
    page = opened()
    counted(page, "3 traces")
    al.start_span("just now", inputs="hello").end()
    client.flush()
    rows(page).first.get_by_text("just now").wait_for()
    counted(page, "4 traces")


def test_a_running_trace_is_marked_and_then_done(client, opened, screenshot):
    with al.start_span("working", inputs="a long one"):
        with al.start_span("step"):
            pass
        client.flush()
        page = opened()
        page.get_by_role("img", name="In progress").wait_for()
        screenshot(page)
    client.flush()
    page.get_by_role("img", name="OK").wait_for()


def test_further_down_new_traces_are_told_of(client, opened):
    sample.record(client, 100)
    page = opened()
    counted(page, "100 traces")
    page.get_by_role("grid").evaluate("(grid) => { grid.scrollTop = 900; }")
    page.locator("[aria-rowindex='50']").wait_for()
    for _ in range(2):
        al.start_span("just now").end()
    client.flush()
    page.get_by_role("button", name="2 new – show").click()
    rows(page).first.get_by_text("just now").wait_for()


def test_in_another_order_new_traces_are_told_of(client, opened):
    sample.record(client, 10)
    page = opened("?order=duration DESC")
    counted(page, "10 traces")
    al.start_span("just now").end()
    client.flush()
    page.get_by_role("button", name="1 new – show").click()
    rows(page).first.get_by_text("just now").wait_for()


def test_paused_nothing_moves(client, opened):
    sample.record(client, 3)
    page = opened()
    counted(page, "3 traces")
    page.keyboard.press("p")
    page.get_by_role("button", name="Paused").wait_for()
    al.start_span("just now").end()
    client.flush()
    page.get_by_role("button", name="Duration").click()
    page.get_by_role("button", name="Duration").click()
    page.locator("[aria-sort=ascending]").wait_for()
    page.get_by_role("button", name="Paused").click()
    page.get_by_text("just now").first.wait_for()


# --- selection -------------------------------------------------------------------------------------------


def boxes(page):
    return page.locator(".al-box")


def test_selected_traces_are_deleted(client, opened, screenshot):
    sample.record(client, 12)
    page = opened()
    counted(page, "12 traces")
    boxes(page).nth(1).click()
    boxes(page).nth(3).click(modifiers=["Shift"])
    page.get_by_text("3 traces selected").wait_for()
    screenshot(page)
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete 3 traces").click()
    counted(page, "9 traces")
    assert len(client.search_traces(return_type="list")) == 9


def test_all_of_a_filter_are_deleted_though_few_are_loaded(client, opened):
    sample.record(client, 330)
    page = opened("?filter=user = 'ada'")
    counted(page, "110 traces")
    page.get_by_label("Select all that are loaded").check()
    page.get_by_role("button", name="Select all 110 of this filter").click()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete 110 traces").click()
    page.get_by_role("heading", name="No trace meets this.").wait_for()
    assert len(client.search_traces(max_results=1000, include_spans=False, return_type="list")) == 220


@pytest.mark.parametrize("width", [400, 1280])
def test_boxes_are_ticked_where_their_traces_are_selected(client, opened, width):
    sample.record(client, 5)
    page = opened(width=width)
    counted(page, "5 traces")
    clicks = [
        (0, [], {0}),
        (1, [], {0, 1}),
        (1, [], {0}),
        (3, ["Shift"], None),
        (2, ["Shift"], None),
        (2, ["Shift"], None),
    ]
    for place, modifiers, expected in clicks:
        rows(page).nth(place).get_by_role("checkbox").click(modifiers=modifiers)
        page.evaluate("() => new Promise((done) => setTimeout(done, 100))")
        selected = {place for place, row in enumerate(rows(page).all()) if row.get_attribute("aria-selected") == "true"}
        ticked = {place for place, row in enumerate(rows(page).all()) if row.get_by_role("checkbox").is_checked()}
        assert ticked == selected
        assert expected in (None, selected)


@pytest.mark.parametrize("button", ["Tag…", "Delete…"])
def test_keys_in_a_dialog_do_nothing_behind_it(client, opened, button):
    sample.record(client, 3)
    page = opened()
    counted(page, "3 traces")
    for row in (0, 1):
        rows(page).nth(row).locator(".al-box").click()
    counted(page, "2 traces selected")
    page.get_by_role("button", name=button).click()
    dialog = page.locator("dialog")
    dialog.get_by_role("button", name="Close").focus()
    for key in ("x", "c", "p", "Escape"):
        page.keyboard.press(key)
    expect(dialog).to_have_count(0)
    counted(page, "2 traces selected")
    page.get_by_role("button", name="Live").wait_for()


def test_selected_traces_are_tagged(client, opened):
    ids = sample.record(client, 5)
    page = opened()
    counted(page, "5 traces")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.get_by_role("button", name="Tag…").click()
    page.get_by_label("Tag", exact=True).fill("reviewed")
    page.get_by_label("Value").fill("yes, by <ada>")
    page.get_by_role("button", name="Set", exact=True).click()
    page.get_by_text("Changed 1 trace.").wait_for()
    assert client.get_trace(ids[-1]).info.tags["reviewed"] == "yes, by <ada>"
    page.get_by_role("button", name="Tag…").click()
    page.get_by_label("Tag", exact=True).fill("channel")
    page.get_by_role("button", name="Take this tag away").click()
    page.get_by_role("dialog").wait_for(state="detached")
    assert "channel" not in client.get_trace(ids[-1]).info.tags


@pytest.mark.parametrize(("title", "suffix"), [("JSON Lines", "jsonl"), ("CSV", "csv"), ("Parquet", "parquet")])
def test_selected_traces_are_exported(client, opened, title, suffix):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    ids = sample.record(client, 5)
    page = opened()
    counted(page, "5 traces")
    boxes(page).nth(0).click()
    boxes(page).nth(1).click()
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=title).click()
    assert download.value.suggested_filename.endswith(f".{suffix}")
    if suffix == "jsonl":
        lines = download.value.path().read_text().splitlines()
        assert {json.loads(line)["info"]["trace_id"] for line in lines} == set(ids[-2:])


def test_selected_traces_are_added_to_a_dataset(client, opened):
    sample.record(client, 5)
    page = opened()
    counted(page, "5 traces")
    boxes(page).nth(0).click()
    page.get_by_role("button", name="Add to dataset…").click()
    page.get_by_label("Dataset", exact=True).fill("hard ones")
    page.get_by_role("button", name="Make and add").click()
    page.get_by_text("Added 1 trace to hard ones.").wait_for()


def test_exactly_two_are_compared(client, opened):
    ids = sample.record(client, 5)
    page = opened()
    counted(page, "5 traces")
    boxes(page).nth(1).click()
    assert page.get_by_role("button", name="Compare").is_disabled()
    boxes(page).nth(0).click()
    page.keyboard.press("c")
    page.wait_for_url(f"**/#/compare?left={ids[-2]}&right={ids[-1]}")


def test_keys_walk_open_and_close(client, opened):
    ids = sample.record(client, 5)
    page = opened()
    counted(page, "5 traces")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.get_by_role("dialog", name="Trace", exact=True).wait_for()
    assert ids[-1] in page.url
    page.keyboard.press("Escape")
    page.get_by_role("dialog", name="Trace", exact=True).wait_for(state="detached")
    page.keyboard.press("/")
    assert filter_of(page).evaluate("(input) => input === document.activeElement")


def test_a_list_is_not_asked_for_whole(client, opened):
    sample.record(client, 700)
    page = opened()
    counted(page, "700 traces")
    rows(page).nth(5).wait_for()
    assert int(page.get_by_role("grid").get_attribute("aria-rowcount")) < 300


def test_a_server_that_was_away_is_found_again(client, address, browser):
    sample.record(client, 3)
    page = browser.new_page()  # whose failed requests the console tells of
    page.goto(address)
    counted(page, "3 traces")
    page.route("**/api/traces?**", lambda route: route.abort())
    page.get_by_role("button", name="Duration").click()
    page.get_by_role("alert").get_by_text("The server does not answer.").wait_for()
    page.unroute("**/api/traces?**")
    al.start_span("just now").end()
    client.flush()
    rows(page).get_by_text("just now").wait_for()
    assert page.get_by_role("alert").count() == 0
    page.close()


def test_the_page_says_that_it_is_live_only_while_the_server_answers(client, browser):
    sample.record(client, 3)
    page = browser.new_page()  # as above
    with serving(client) as address:
        page.goto(address)
        counted(page, "3 traces")
        page.get_by_role("button", name="Live").wait_for()
    page.get_by_role("button", name="Server away").wait_for()
    assert rows(page).count() == 3
    page.close()
