"""The dashboard: figures over time that are exact, readable by hand and by keys, and lead to the traces behind them."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from autolog import sample
from autolog.ids import now_ns
from autolog.model.assessment import Feedback

MOST_NODES = 3_000
HOSTILE = "<img src=x onerror=alert(1)>'\"&"
MINUTE = 60_000_000_000


@pytest.fixture
def opened(address, new_page):
    """Open the dashboard: `opened("?by=user", width=400)`."""

    def open_(query="", **options):
        page = new_page(**options)
        page.goto(f"{address}/#/dashboard{query}")
        return page

    return open_


def chart(page, title):
    return page.locator(".al-chart").filter(has=page.locator("figcaption > span", has_text=title)).first


def buckets(page, title):
    return chart(page, title).locator(".al-hit")


def legend(page, title):
    """The keys of the charts' legends."""
    return page.get_by_role("group", name="Legend").get_by_role("button", name=title, exact=True)


def tip(page):
    return page.locator(".al-tip").inner_text().replace("\n", " ")


def label(link):
    return link.get_attribute("aria-label")


def record(client, name, *, at_ns, took_ns=1_000_000_000, **options):
    root = client.start_trace(name, "AGENT", start_time_ns=at_ns, **options)
    client.end_trace(root, end_time_ns=at_ns + took_ns)
    return root.trace_id


# --- what is seen ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("by", ["", "?by=model", "?by=tags.channel"], ids=["all", "model", "tag"])
def test_figures_over_time_have_units_and_totals(client, opened, screenshot, by, dark):
    sample.record(client, 120)
    page = opened(by, dark=dark, height=1_000)
    buckets(page, "Cost").first.wait_for()
    for title in ("Latency", "Errors", "Error rate", "Tokens", "Cost"):
        assert chart(page, title).locator(".al-axes text").count() >= 4
    page.get_by_text("ConnectionError").wait_for()
    page.get_by_role("link", name="faithful", exact=True).wait_for()
    assert "s" in chart(page, "Latency").locator(".al-axes").text_content()
    assert "$" in chart(page, "Cost").locator(".al-axes").text_content()
    assert "%" in chart(page, "Error rate").locator(".al-axes").text_content()
    if not by:
        assert chart(page, "Requests").locator("strong").inner_text() == "120"
        assert chart(page, "Errors").locator("strong").inner_text() == "11"
    assert page.evaluate("document.querySelectorAll('*').length") < MOST_NODES
    screenshot(page)


def test_the_exact_values_show_under_the_mouse(client, opened):
    sample.record(client, 120)
    page = opened()
    link = buckets(page, "Requests").filter(has=page.locator("rect")).nth(10)
    link.wait_for()
    told = label(link)
    link.hover(force=True)
    page.locator(".al-tip").wait_for()
    ok = told.split("not failed ")[1].split(",")[0]
    assert f"not failed {ok}" in tip(page)
    page.mouse.move(5, 5)
    page.locator(".al-tip").wait_for(state="detached")


def test_keys_walk_over_a_chart_and_open_the_traces(client, opened):
    sample.record(client, 60)
    page = opened()
    buckets(page, "Requests").first.wait_for()
    assert chart(page, "Requests").locator('.al-hit[tabindex="0"]').count() == 1
    chart(page, "Requests").locator('.al-hit[tabindex="0"]').focus()
    page.keyboard.press("Home")
    first = label(page.locator(".al-hit:focus"))
    assert tip(page).split(" ")[0] in first
    page.keyboard.press("ArrowRight")
    assert label(page.locator(".al-hit:focus")) != first
    page.keyboard.press("ArrowLeft")
    assert label(page.locator(".al-hit:focus")) == first
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")  # of what the bar is made of, the first
    only = page.locator(".al-hit:focus")
    assert ": not failed" in label(only) and ", failed" not in label(only)
    page.keyboard.press("Enter")
    page.wait_for_url("**/#/traces?*")
    asked = parse_qs(page.url.split("?")[1])
    assert asked["filter"] == ["NOT status = 'ERROR'"] and int(asked["since"][0]) < int(asked["until"][0])


def test_every_bar_leads_to_just_its_traces(client, opened):
    sample.record(client, 60)
    page = opened()
    links = buckets(page, "Requests")
    links.first.wait_for()
    numbers = []
    for at in range(0, links.count(), 12):
        told = label(links.nth(at)).split(": ")[-1]
        numbers.append(
            (links.nth(at).get_attribute("href"), sum(int(part.split(" ")[-1]) for part in told.split(", ")))
        )
    assert sum(number for _, number in numbers) > 0
    base = page.url.split("#")[0]
    for href, number in numbers:
        found = page.request.get(f"{base}api/count?{href.split('?')[1]}").json()
        assert found == {"count": number, "is_exact": True}


def test_errors_lead_to_the_traces_that_failed(client, opened):
    sample.record(client, 60)
    page = opened()
    page.get_by_role("link", name="ConnectionError").click()
    page.get_by_text("5 traces", exact=True).wait_for()
    assert "span.error" in page.get_by_role("combobox", name="Filter").input_value()


# --- grouped ---------------------------------------------------------------------------------------------


def test_groups_are_left_out_and_taken_in_by_the_legend(client, opened):
    sample.record(client, 60)
    page = opened()
    page.get_by_role("combobox", name="Group by").select_option("user")
    legend(page, "grace").wait_for()
    assert "by=user" in page.url
    told = label(buckets(page, "Tokens").first)
    assert all(user in told for user in ("ada", "grace", "linus"))
    legend(page, "grace").click()
    page.locator('.al-hit:not([aria-label*="grace"])').first.wait_for(state="attached")
    page.reload()
    legend(page, "grace").wait_for()
    assert legend(page, "grace").get_attribute("aria-pressed") == "false"
    assert "grace" not in label(buckets(page, "Requests").first)
    legend(page, "grace").click()
    page.locator('.al-hit[aria-label*="grace"]').first.wait_for(state="attached")
    page.get_by_role("row").filter(has_text="linus").get_by_role("link").click()
    page.get_by_text("20 traces", exact=True).wait_for()


def test_any_quantile_of_groups_is_shown(client, opened):
    begin = now_ns() - 2 * MINUTE
    for tenths in range(1, 101):
        record(client, "answer", at_ns=begin, took_ns=tenths * 100_000_000)
    client.flush()
    page = opened("?by=name")
    for name, took in (("p95", "9.50 s"), ("p50", "5.00 s"), ("p99", "9.90 s")):
        page.get_by_role("button", name=name).click()
        page.locator(f'.al-hit[aria-label^="Latency"][aria-label$="answer {took}"]').wait_for(state="attached")


def test_hostile_groups_are_text(client, opened, screenshot):
    now = now_ns()
    for number, name in enumerate([HOSTILE, "", "x" * 500, "한국어 🙂", "=", *(f"name {n}" for n in range(20))]):
        record(client, name or "empty", at_ns=now - (number + 1) * MINUTE, tags={"<b>`tag`": name, "k" * 200: name})
    client.flush()
    page = opened("?by=name")
    page.get_by_role("row").filter(has_text="<img").first.wait_for()
    legend(page, "all others").wait_for()
    assert page.locator("main img").count() == 0
    assert page.get_by_label("Group by").bounding_box()["width"] < 400
    screenshot(page)
    page.get_by_role("row").filter(has_text="<img").first.get_by_role("link").click()
    page.get_by_text("1 trace", exact=True).wait_for()


# --- shared with the list --------------------------------------------------------------------------------


def test_filter_and_time_are_those_of_the_list(client, opened):
    sample.record(client, 60)
    page = opened()
    page.get_by_role("combobox", name="Filter").fill("user = 'ada'")
    page.keyboard.press("Enter")
    page.locator("strong", has_text="20").first.wait_for()
    page.get_by_title("Time", exact=True).click()
    page.get_by_role("button", name="Last hour").click()
    page.wait_for_url("**range=1h**")
    page.get_by_role("navigation").get_by_role("link", name="Traces").click()
    page.wait_for_url("**/#/traces?*range=1h*")
    assert page.get_by_role("combobox", name="Filter").input_value() == "user = 'ada'"
    page.get_by_role("navigation").get_by_role("link", name="Dashboard").click()
    page.wait_for_url("**/#/dashboard?*range=1h*")


def test_a_time_that_ends_now_shows_until_now(client, opened):
    record(client, "only", at_ns=now_ns() - 50 * MINUTE)
    client.flush()
    page = opened("?range=1h")
    links = buckets(page, "Requests")
    links.first.wait_for()
    assert links.count() > 20
    full = [at for at in range(links.count()) if "not failed 1" in label(links.nth(at))]
    assert len(full) == 1 and full[0] < links.count() // 2


# --- few traces, none ------------------------------------------------------------------------------------


def test_no_traces_are_said_to_be_none(opened, screenshot):
    page = opened()
    page.get_by_text("No traces in this time").wait_for()
    screenshot(page)


def test_a_single_trace_is_a_bar_and_a_point(client, opened, screenshot):
    trace_id = record(client, "only", at_ns=now_ns() - MINUTE)
    client.flush()
    client.log_assessment(trace_id, Feedback(name="helpful", value=True))
    page = opened()
    buckets(page, "Requests").first.wait_for()
    links = buckets(page, "Requests")
    [one] = [links.nth(at) for at in range(links.count()) if "not failed 1" in label(links.nth(at))]
    assert chart(page, "Latency").locator("svg > circle").count() >= 1
    assert chart(page, "Errors").get_by_text("none").count() == 1
    screenshot(page)
    one.click(force=True)
    page.get_by_text("1 trace", exact=True).wait_for()


def test_what_happens_now_shows_at_once(client, opened):
    record(client, "first", at_ns=now_ns() - MINUTE)
    client.flush()
    page = opened()
    page.locator(".al-chart strong", has_text="1").first.wait_for()
    record(client, "second", at_ns=now_ns() - MINUTE // 2)
    client.flush()
    chart(page, "Requests").locator("strong", has_text="2").wait_for()


def test_narrow_screens_have_one_chart_a_row(client, opened, screenshot):
    sample.record(client, 120)
    page = opened("?by=model", width=400, height=800)
    buckets(page, "Cost").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    left = {round(page.locator(".al-chart").nth(at).bounding_box()["x"]) for at in range(6)}
    assert len(left) == 1
    screenshot(page)
