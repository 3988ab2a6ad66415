"""Datasets: made from traces that are chosen in the list, looked at, exported, deleted."""

from __future__ import annotations

import json

import pytest

import autolog as al
from autolog import sample
from autolog.server.access import Token
from tests.browser.conftest import served

HOSTILE = "<img src=x onerror=alert(1)>?#%&+ 한국어"
MOST_NODES = 4_000


@pytest.fixture
def opened(address, new_page):
    """Open a page: `opened("datasets/golden", width=400)`."""

    def open_(path="datasets", **options):
        page = new_page(**options)
        page.goto(f"{address}/#/{path}")
        return page

    return open_


def ask(question, reply, expected=None):
    with al.start_span("answer", inputs={"question": question}) as span:
        span.set_outputs(reply)
    if expected is not None:
        al.log_expectation(trace_id=span.trace_id, name="answer", value=expected)
    return span.trace_id


def dataset(name, count):
    """Make a dataset of that many records."""
    made = al.create_dataset(name)
    made.merge({"inputs": {"question": f"question {number}"}} for number in range(count))


def add_selected(page, name):
    page.get_by_role("button", name="Add to dataset").click()
    page.get_by_role("dialog").get_by_label("Dataset").fill(name)
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for(state="detached")


def rows(page):
    return page.get_by_role("table", name="Records").locator(".al-windowed").get_by_role("row")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_traces_of_the_list_become_records_of_a_new_dataset(client, opened, screenshot, dark):
    trace_id = ask("Why?", "For no reason.", expected="Because.")
    ask("When?", "Now.")
    page = opened("traces", dark=dark)
    page.locator(".al-row").nth(1).wait_for()
    for box in page.locator(".al-row .al-box").all():
        box.click()
    add_selected(page, "golden")
    page.get_by_text("Added 2 traces to golden.").wait_for()
    page.get_by_role("navigation").get_by_role("link", name="Datasets").click()
    page.get_by_role("link", name="golden").click()
    row = rows(page).filter(has_text="Why?")
    row.wait_for()
    assert rows(page).count() == 2
    assert "For no reason." in row.inner_text() and "Because." in row.inner_text()
    screenshot(page)
    row.get_by_role("link").click()
    page.wait_for_url(f"**/#/traces/{trace_id}*")


def test_a_known_dataset_is_offered_by_its_name_and_takes_more(client, opened, screenshot):
    ask("Why?", "For no reason.")
    for name in ("golden", "silver"):
        dataset(name, 3)
    page = opened("traces")
    page.locator(".al-row .al-box").first.click()
    page.get_by_role("button", name="Add to dataset").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("silver").wait_for()
    dialog.get_by_label("Dataset").fill("GOL")
    dialog.get_by_text("silver").wait_for(state="detached")
    dialog.get_by_text("a new dataset").wait_for()
    screenshot(page)
    dialog.get_by_role("button", name="golden").click()
    dialog.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("Added 1 trace to golden.").wait_for()
    assert al.get_dataset("golden").info.records == 4


def test_records_of_equal_inputs_are_one(client, opened):
    ask("Why?", "For no reason.")
    page = opened("traces")
    page.locator(".al-row .al-box").first.click()
    add_selected(page, "golden")
    page.get_by_text("Added 1 trace to golden.").wait_for()
    add_selected(page, "golden")
    page.get_by_text("golden: 1 there already.").wait_for()


def test_every_kind_of_value_shows(client, opened):
    outputs = [7, 0, False, "text", ["a"], {"answer": "of one field"}]
    al.create_dataset("golden").merge(
        {"inputs": {"n": str(number)}, "outputs": one} for number, one in enumerate(outputs)
    )
    page = opened("datasets/golden")
    rows(page).nth(5).wait_for()
    shown = [rows(page).nth(at).get_by_role("cell").nth(2).inner_text() for at in range(6)]
    assert shown[:4] == ["7", "0", "false", "text"]
    assert "a" in shown[4] and shown[5] == "answer of one field"


def test_long_values_are_unfolded(client, opened):
    al.create_dataset("golden").merge(
        [{"inputs": {"a": list(range(50)), "b": "text"}, "expectations": {"c": "d " * 500}}]
    )
    page = opened("datasets/golden")
    rows(page).first.wait_for()
    value = rows(page).first.get_by_role("button").first
    assert value.get_attribute("aria-expanded") == "false"
    value.click()
    page.locator('[aria-expanded="true"]').wait_for()
    assert json.loads(page.locator('[aria-expanded="true"]').inner_text()) == {"a": list(range(50)), "b": "text"}


def test_chosen_records_are_deleted(client, opened):
    dataset("golden", 4)
    page = opened("datasets/golden")
    page.get_by_text("4 records", exact=True).wait_for()
    for text in ("question 1", "question 2"):
        rows(page).filter(has_text=text).get_by_role("checkbox").check()
    page.get_by_role("button", name="Delete 2 records").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("2 records", exact=True).wait_for()
    assert sorted(record.inputs["question"] for record in al.get_dataset("golden")) == ["question 0", "question 3"]


def test_a_dataset_is_deleted_only_after_asking(client, opened):
    dataset("golden", 1)
    page = opened("datasets/golden")
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Keep").click()
    assert [one.name for one in al.list_datasets()] == ["golden"]
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("No datasets yet").wait_for()
    assert al.list_datasets() == []


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_records_are_exported(client, opened, tmp_path, form):
    dataset("golden", 3)
    page = opened("datasets/golden")
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=form.upper()).click()
    path = tmp_path / "export"
    download.value.save_as(path)
    assert download.value.suggested_filename == f"golden.{form}"
    lines = path.read_text().splitlines()
    assert len(lines) == (3 if form == "jsonl" else 4) and "question 0" in path.read_text()


def test_thousands_of_records_are_in_reach_and_few_in_the_document(client, opened):
    dataset("golden", 1_500)
    page = opened("datasets/golden")
    page.get_by_text("1,500 records", exact=True).wait_for()
    table = page.get_by_role("table", name="Records")
    for _ in range(60):
        if page.get_by_text("question 1499").count():
            break
        table.evaluate("element => element.scrollTop = element.scrollHeight")
        page.wait_for_timeout(100)
    page.get_by_text("question 1499").wait_for()
    assert page.evaluate("document.querySelectorAll('*').length") < MOST_NODES


def test_hostile_names_and_records_are_text(client, opened, screenshot):
    made = al.create_dataset(HOSTILE)
    made.merge([{"inputs": {HOSTILE: HOSTILE}, "expectations": {HOSTILE: [HOSTILE]}}])
    page = opened()
    page.get_by_role("link", name="<img").click()
    rows(page).first.wait_for()
    assert page.locator("h1").inner_text().startswith("<img")
    rows(page).first.get_by_role("button").first.click()
    assert page.locator("main img").count() == 0
    screenshot(page)


def test_who_may_only_read_is_offered_no_changes(client, new_page):
    sample.record(client, 3)
    dataset("golden", 1)
    secret = "r" * 20
    with served(client, tokens=[Token(secret, "read")]) as address:
        page = new_page()
        page.goto(f"{address}/#/datasets/golden")
        page.get_by_label("Token").fill(secret)
        page.keyboard.press("Enter")
        rows(page).first.wait_for()
        assert page.get_by_role("button", name="Delete…").is_hidden()
        page.goto(f"{address}/#/sessions/chat-0")
        page.get_by_role("table", name="Turns").wait_for()
        assert page.get_by_label("Good, turn 1").is_hidden()
        page.goto("about:blank")


def test_where_there_are_none_the_page_says_how_to_make_one(opened, screenshot):
    page = opened()
    page.get_by_text("No datasets yet").wait_for()
    screenshot(page)


def test_narrow_screens_have_all_of_it(client, opened, screenshot):
    sample.record(client, 3)
    dataset("golden", 5)
    page = opened("datasets/golden", width=400, height=800)
    rows(page).nth(4).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    screenshot(page)
