"""Sessions: the list of them, and each as the conversation that it was."""

from __future__ import annotations

import pytest

from autolog import sample
from autolog.ids import now_ns

MOST_NODES = 4_000
MINUTE = 60_000_000_000
HOSTILE = "<img src=x onerror=alert(1)> '; DROP TABLE /../#?&% \u202e 한국어"


def turn(client, session, question, answer, at_ns, *, error=None, tools=(), user="ada"):
    """Record a turn that took two seconds."""
    root = client.start_trace(
        "answer", "AGENT", inputs={"question": question}, session=session, user=user, start_time_ns=at_ns
    )
    for name in tools:
        client.end_span(client.start_span(name, root, "TOOL", start_time_ns=at_ns), end_time_ns=at_ns + MINUTE // 100)
    if error is not None:
        root.record_exception(error)
        root.set_status("ERROR", f"{type(error).__name__}: {error}")
    client.end_trace(root, outputs={"answer": answer}, end_time_ns=at_ns + 2_000_000_000)
    return root.trace_id


@pytest.fixture
def opened(address, new_page):
    """Open a page: `opened("sessions/chat-1", width=400)`."""

    def open_(path="sessions", **options):
        page = new_page(**options)
        page.goto(f"{address}/#/{path}")
        return page

    return open_


def turns(page):
    return page.get_by_role("table", name="Turns").locator(".al-turn")


# --- the list --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_list_tells_what_each_session_was_about_and_came_to(client, opened, screenshot, dark):
    sample.record(client, 12)
    page = opened(dark=dark)
    row = page.get_by_role("row").filter(has_text="chat-1")
    row.wait_for()
    assert page.get_by_role("row").count() == 1 + 4
    text = row.inner_text()
    assert "Wie ändere ich meine Rechnungsadresse?" in text
    assert text.split("\n")[2] == "3"  # turns
    assert row.get_by_role("cell").last.inner_text() == "1"  # errors
    page.get_by_text("4 sessions").wait_for()
    screenshot(page)


def test_a_filter_narrows_the_list_and_is_in_the_address(client, opened):
    sample.record(client, 12)
    page = opened()
    page.get_by_text("4 sessions").wait_for()
    page.get_by_role("combobox", name="Filter").fill("session = 'chat-2'")
    page.keyboard.press("Enter")
    page.get_by_text("1 session", exact=True).wait_for()
    assert "filter=session" in page.url
    page.reload()
    page.get_by_text("1 session", exact=True).wait_for()


def test_a_filter_that_finds_nothing_offers_all(client, opened):
    sample.record(client, 3)
    page = opened("sessions?filter=session%20%3D%20'none'")
    page.get_by_role("button", name="Show all").click()
    page.get_by_text("1 session", exact=True).wait_for()


def test_more_sessions_are_loaded_as_the_list_is_scrolled(client, opened):
    begin = now_ns() - 1_000 * MINUTE
    for number in range(350):
        turn(client, f"s-{number:03}", f"question {number}", "yes", begin + number * MINUTE)
    client.flush()
    page = opened()
    page.get_by_text("s-349").wait_for()
    assert page.get_by_text("s-000").count() == 0
    table = page.get_by_role("table", name="Sessions")
    for _ in range(20):
        if page.get_by_text("350 sessions", exact=True).count():
            break
        table.evaluate("element => element.scrollTop = element.scrollHeight")
        page.wait_for_timeout(100)
    page.get_by_text("350 sessions", exact=True).wait_for()
    table.evaluate("element => element.scrollTop = element.scrollHeight")
    page.get_by_text("s-000").wait_for()
    assert page.evaluate("document.querySelectorAll('*').length") < MOST_NODES


def test_a_session_that_begins_shows_at_once(client, opened):
    sample.record(client, 3)
    page = opened()
    page.get_by_text("1 session", exact=True).wait_for()
    turn(client, "new one", "Are you there?", "Yes.", now_ns() - MINUTE)
    client.flush()
    page.get_by_text("new one").wait_for()
    page.get_by_text("2 sessions", exact=True).wait_for()


def test_where_there_are_no_sessions_the_page_says_how_to_make_some(opened, screenshot):
    page = opened()
    page.get_by_text("No sessions yet").wait_for()
    assert page.get_by_text("session_id=").count() == 1
    screenshot(page)


# --- a conversation --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_session_reads_as_a_conversation(client, opened, screenshot, dark):
    begin = now_ns() - 60 * MINUTE
    turn(
        client,
        "chat",
        "What is a span?",
        "A step.\n\n1. It starts\n2. It **ends**",
        begin,
        tools=["look_up", "look_up"],
    )
    turn(client, "chat", "And a trace?", "A tree of *spans*.", begin + 5 * MINUTE)
    refused = ConnectionError("no answer from kb:5432")
    failed = turn(client, "chat", "Why?", None, begin + 6 * MINUTE, error=refused, tools=["look_up"])
    client.flush()
    page = opened("sessions/chat", dark=dark)
    turns(page).nth(2).wait_for()
    assert turns(page).count() == 3
    first, second, third = (turns(page).nth(number) for number in range(3))
    first.get_by_text("look_up ×2").wait_for()
    first.get_by_role("listitem").nth(1).wait_for()  # markdown is not shown as its signs
    assert first.locator("strong").inner_text() == "ends"
    assert "What is a span?" in first.inner_text()
    assert "4 m 58 s later" in second.inner_text()
    assert "ConnectionError: no answer from kb:5432" in third.locator(".al-failed").inner_text()
    head = page.locator(".al-figures").inner_text().replace("\n", " ")
    assert "User ada" in head and "Turns 3" in head and "Errors 1" in head and "Duration 6 m 02 s" in head
    screenshot(page)
    third.get_by_role("link", name="Trace of turn 3").click()
    page.wait_for_url(f"**/#/traces/{failed}*")


def test_a_turn_is_judged_by_its_thumbs(client, opened):
    trace_id = turn(client, "chat", "Well?", "Well.", now_ns() - MINUTE)
    client.flush()
    page = opened("sessions/chat")
    good = page.get_by_role("button", name="Good, turn 1")
    good.click()
    page.locator('[aria-pressed="true"][aria-label="Good, turn 1"]').wait_for()
    [said] = client.get_trace(trace_id).assessments
    assert (said.name, said.value, said.source.source_type) == ("helpful", True, "HUMAN")
    page.keyboard.press("-")  # keys act on the chosen turn
    page.locator('[aria-pressed="true"][aria-label="Bad, turn 1"]').wait_for()
    page.get_by_role("button", name="Bad, turn 1").click()
    page.locator('[aria-pressed="false"][aria-label="Bad, turn 1"]').wait_for()
    assert [one.value for one in client.get_trace(trace_id).assessments if one.valid] == []


def test_keys_walk_along_the_turns_and_open_their_traces(client, opened):
    begin = now_ns() - 60 * MINUTE
    ids = [turn(client, "chat", f"question {number}", "yes", begin + number * MINUTE) for number in range(8)]
    client.flush()
    page = opened("sessions/chat")
    turns(page).first.wait_for()
    for key in ("j", "ArrowDown", "j", "k"):
        page.keyboard.press(key)
    assert "question 2" in page.locator(".al-turn.al-at").inner_text()
    page.keyboard.press("o")
    page.wait_for_url(f"**/#/traces/{ids[2]}*")


def test_a_session_grows_while_it_is_looked_at(client, opened):
    turn(client, "chat", "first", "yes", now_ns() - 5 * MINUTE)
    client.flush()
    page = opened("sessions/chat")
    turns(page).first.wait_for()
    turn(client, "chat", "second", "no", now_ns() - MINUTE)
    client.flush()
    turns(page).filter(has_text="second").wait_for()
    assert turns(page).count() == 2


def test_thousands_of_turns_are_in_reach_and_few_in_the_document(client, opened):
    begin = now_ns() - 4_000 * MINUTE
    for number in range(3_000):
        turn(
            client,
            "long",
            f"question {number} " + "word " * (number % 40),
            "an answer " * (number % 30),
            begin + number * MINUTE,
        )
    client.flush(120)
    page = opened("sessions/long")
    turns(page).first.wait_for()
    table = page.get_by_role("table", name="Turns")
    page.locator("dd", has_text="3,000").wait_for()
    page.get_by_role("table", name="Turns").and_(page.locator('[aria-rowcount="3000"]')).wait_for()
    for _ in range(20):  # what is measured on the way may move the end
        if page.get_by_text("question 2999 ").count():
            break
        table.evaluate("element => element.scrollTop = element.scrollHeight")
        page.wait_for_timeout(100)
    page.get_by_text("question 2999 ").wait_for()
    assert page.evaluate("document.querySelectorAll('*').length") < MOST_NODES


def test_hostile_names_and_texts_are_text(client, opened, screenshot):
    turn(client, HOSTILE, HOSTILE, HOSTILE, now_ns() - MINUTE, error=ValueError(HOSTILE), tools=[HOSTILE], user=HOSTILE)
    client.flush()
    page = opened()
    page.get_by_role("link", name="<img src=x").click()
    turns(page).first.wait_for()
    page.get_by_text("⚒ <img").wait_for()
    assert page.locator("h1").inner_text().startswith("<img src=x")
    assert page.locator("main img").count() == 0
    screenshot(page)


def test_a_session_that_is_not_there_says_so(opened):
    page = opened("sessions/none")
    page.get_by_text("There is no session of this name.").wait_for()


@pytest.mark.parametrize("path", ["sessions", "sessions/chat-1"])
def test_narrow_screens_have_all_of_it(client, opened, screenshot, path):
    sample.record(client, 12)
    page = opened(path, width=400, height=800)
    page.get_by_text("Wie ändere ich meine Rechnungsadresse?").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    screenshot(page)


def test_a_session_is_a_list_of_traces_too(client, opened):
    sample.record(client, 6)
    page = opened("sessions/chat-1")
    page.get_by_role("link", name="As a list").click()
    page.get_by_text("3 traces", exact=True).wait_for()
