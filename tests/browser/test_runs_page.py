"""Experiments and their runs: what each came to, and figures of several beside each other."""

from __future__ import annotations

import pytest

from autolog import sample
from autolog.ids import now_ns
from autolog.model.assessment import Feedback
from autolog.model.run import Run, RunStatus

HOSTILE = "<img src=x onerror=alert(1)>/#?&% \u202e"
SECOND = 1_000_000_000


@pytest.fixture
def opened(address, new_page):
    """Open a page: `opened("experiments/default", width=400)`."""

    def open_(path="experiments", **options):
        page = new_page(**options)
        page.goto(f"{address}/#/{path}")
        return page

    return open_


def run(client, name, *, seconds, failed=0, traces=4, experiment="prompts", helpful=True):
    """Record a run whose traces took so long."""
    run_id, begin = f"id of {name}", now_ns() - 3_600 * SECOND
    for number in range(traces):
        root = client.start_trace("answer", start_time_ns=begin, experiment=experiment, run=run_id)
        status = "ERROR" if number < failed else "OK"
        client.end_trace(root, status=status, end_time_ns=begin + seconds * SECOND)
        client.flush()
        client.log_assessment(root.trace_id, Feedback(name="helpful", value=helpful))
    client.put_run(
        Run(
            run_id=run_id,
            name=name,
            experiment=experiment,
            status=RunStatus.FINISHED,
            start_time_ns=begin,
            end_time_ns=begin + 60 * SECOND,
        )  # fmt: skip
    )


def cells(row):
    return [text.strip() for text in row.get_by_role("cell").all_inner_texts()]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_experiments_are_listed_with_what_they_came_to(client, opened, screenshot, dark):
    sample.record(client, 22)
    run(client, "first", seconds=2, failed=1)
    page = opened(dark=dark)
    row = page.get_by_role("row").filter(has_text="prompts")
    row.wait_for()
    assert cells(row)[:3] == ["prompts", "4", "1"] and "25 %" in cells(row)[3]
    assert cells(page.get_by_role("row").filter(has_text="default"))[:3] == ["default", "22", "2"]
    screenshot(page)
    row.get_by_role("link", name="Traces of prompts").click()
    page.get_by_text("4 traces", exact=True).wait_for()


def test_runs_are_listed_with_their_figures(client, opened):
    run(client, "slow", seconds=4, failed=1)
    run(client, "fast", seconds=2, helpful=False)
    page = opened("experiments/prompts")
    row = page.get_by_role("row").filter(has_text="slow")
    row.wait_for()
    text = row.inner_text().split("\n")
    assert {"slow", "finished", "4", "1", "25 %", "4.00 s", "1 m 00 s"} <= {one.strip() for one in text}
    row.get_by_role("link", name="slow").click()
    page.get_by_text("4 traces", exact=True).wait_for()


@pytest.mark.parametrize("width", [1280, 400], ids=["wide", "narrow"])
def test_chosen_runs_are_beside_each_other_with_what_changed(client, opened, screenshot, width):
    run(client, "slow", seconds=4, failed=2, helpful=False)
    run(client, "fast", seconds=2, failed=1)
    run(client, "third", seconds=3)
    page = opened("experiments/prompts", width=width)
    page.get_by_role("checkbox", name="Compare slow").check()
    page.get_by_text("Choose one more").wait_for()
    page.get_by_role("checkbox", name="Compare fast").check()
    table = page.get_by_role("table", name="Chosen runs")
    table.wait_for()

    def row(title):
        return table.get_by_role("row").filter(has=page.get_by_role("rowheader", name=title, exact=True))

    assert row("p50").inner_text().split("\t")[1:] == ["4.00 s", "2.00 s", "−2.00 s −50 %"]
    assert row("Errors").inner_text().split("\t")[1:] == ["2", "1", "−1 −50 %"]
    assert row("helpful").inner_text().split("\t")[1:] == ["0", "1", "+1"]
    assert row("p50").locator(".al-ok").count() == 1
    screenshot(page)
    page.reload()
    table.wait_for()
    page.get_by_role("checkbox", name="Compare third").check()
    page.get_by_role("columnheader", name="third").wait_for()
    page.get_by_role("button", name="Leave out slow").click()
    page.get_by_role("columnheader", name="slow").wait_for(state="detached")
    assert "runs=id+of+fast%2Cid+of+third" in page.url


def test_hostile_names_are_text(client, opened):
    run(client, HOSTILE, seconds=1, traces=1, experiment=HOSTILE)
    page = opened()
    page.get_by_role("link", name="<img").first.click()
    page.get_by_role("row").filter(has_text="finished").wait_for()
    assert page.locator("h1").inner_text().startswith("<img")
    assert page.locator("main img").count() == 0


def test_where_there_is_nothing_the_page_says_how_it_comes(client, opened):
    page = opened()
    page.get_by_text("No experiments yet").wait_for()
    page = opened("experiments/none")
    page.get_by_text("No runs in this experiment").wait_for()


def test_a_run_that_begins_shows_at_once(client, opened):
    run(client, "first", seconds=1, traces=1)
    page = opened("experiments/prompts")
    page.get_by_text("1 run", exact=True).wait_for()
    run(client, "second", seconds=1, traces=1)
    page.get_by_text("2 runs", exact=True).wait_for()


def test_narrow_screens_have_all_of_it(client, opened, screenshot):
    sample.record(client, 6)
    page = opened("experiments/default", width=400, height=800)
    page.get_by_text("desk 1.4").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    screenshot(page)
