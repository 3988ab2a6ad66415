"""The viewer, as people use it: look around the tree, find things, and read what a span did."""

from __future__ import annotations

import pytest

import autolog as al
from autolog import sample
from tests.browser.viewing import chosen, hosted, names, opened, panel, saved, shown, wide

FAILED = 5
"""The number of the first sample that fails."""
BEGIN = 10**18


@pytest.fixture
def samples(client):
    return [al.get_trace(trace_id) for trace_id in sample.record(client, 6)]


# --- the tree and the waterfall ---


def test_a_saved_trace_opens(samples, tmp_path, new_page, screenshot):
    page = saved(new_page(), samples[0], tmp_path)

    assert names(page) == [
        "support_agent",
        "search_documents",
        "embed",
        "chat gpt-4o-mini",
        "lookup_account",
        "chat gpt-4o-mini",
    ]
    assert page.get_by_role("treeitem").evaluate_all("rows => rows.map(row => row.ariaLevel)") == [
        "1",
        "2",
        "3",
        "2",
        "2",
        "2",
    ]
    assert panel(page).get_by_text("How do I rotate my API key?").is_visible()
    assert panel(page).locator("strong").inner_text() == "Settings > Security"
    screenshot(page)


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_readable_at_every_width(samples, tmp_path, new_page, screenshot, width, dark):
    page = saved(new_page(width=width, dark=dark), samples[FAILED], tmp_path)
    screenshot(page, "tree")
    page.get_by_role("treeitem").nth(3).click()
    panel(page).get_by_text("System", exact=True).wait_for()
    screenshot(page, "chat")

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if width == 400:
        page.keyboard.press("Escape")
        assert panel(page).count() == 0


def test_bars_stand_where_time_says(client, new_page):
    root = client.start_trace("run", start_time_ns=BEGIN)
    for name, start, end in (("early", 0, 400), ("late", 500, 1_000)):
        client.end_span(client.start_span(name, root, start_time_ns=BEGIN + start), end_time_ns=BEGIN + end)
    client.end_trace(root, end_time_ns=BEGIN + 1_000)
    page = opened(new_page(), al.get_trace(root.trace_id))

    boxes = [bar.bounding_box() for bar in page.locator(".tv-list .tv-bar").all()]
    [whole, early, late] = boxes

    assert early["x"] == pytest.approx(whole["x"], abs=1)
    assert early["width"] == pytest.approx(whole["width"] * 0.4, abs=2)
    assert late["x"] == pytest.approx(whole["x"] + whole["width"] / 2, abs=2)
    page.keyboard.press("End")
    page.keyboard.press("z")
    assert page.locator(".tv-list .tv-bar").last.bounding_box()["width"] == pytest.approx(whole["width"], abs=2)
    page.keyboard.press("z")
    assert page.locator(".tv-list .tv-bar").last.bounding_box()["width"] == pytest.approx(late["width"], abs=2)
    # Half of the axis is dragged over.
    axis = page.locator(".tv-axis").bounding_box()
    page.mouse.move(axis["x"] + axis["width"] / 2, axis["y"] + 5)
    page.mouse.down()
    page.mouse.move(axis["x"] + axis["width"], axis["y"] + 5, steps=3)
    page.mouse.up()
    page.get_by_role("button", name="all of the time").wait_for()
    assert page.locator(".tv-list .tv-bar").last.bounding_box()["width"] == pytest.approx(whole["width"], abs=2)


def test_what_failed_below_shows_on_what_is_collapsed(samples, new_page):
    page = opened(new_page(), samples[FAILED])
    page.keyboard.press("c")

    assert names(page) == ["support_agent"]
    assert page.get_by_role("treeitem").get_attribute("aria-expanded") == "false"
    assert page.locator(".tv-list .tv-error").inner_text() == "2"
    page.keyboard.press("2")
    assert names(page) == ["support_agent", "search_documents", "chat gpt-4.1", "lookup_account"]
    page.keyboard.press("x")
    assert len(names(page)) == 5


def test_the_keys_move_through_the_tree(samples, new_page):
    page = opened(new_page(), samples[0])
    steps = [
        ("ArrowDown", "search_documents"), ("ArrowRight", "embed"), ("ArrowLeft", "search_documents"), ("ArrowLeft", "search_documents"),
        ("ArrowDown", "chat gpt-4o-mini"), ("ArrowDown", "lookup_account"), ("Home", "support_agent"), ("End", "chat gpt-4o-mini"),
        ("ArrowUp", "lookup_account"), ("PageUp", "support_agent"), ("PageDown", "chat gpt-4o-mini"), ("ArrowLeft", "support_agent"),
    ]  # fmt: skip

    for key, name in steps:
        page.keyboard.press(key)
        assert (key, chosen(page)) == (key, name)
    tree = page.get_by_role("tree")
    tree.focus()
    assert page.locator(f"#{tree.get_attribute('aria-activedescendant')} .tv-label").inner_text() == "support_agent"


def test_jumps_lead_to_errors_and_to_what_is_slow_and_dear(client, new_page):
    def step(name, parent, start, end, kind="UNKNOWN", **more):
        return client.start_span(name, parent, kind, start_time_ns=BEGIN + start, **more), BEGIN + end

    root = client.start_trace("run", start_time_ns=BEGIN)
    outer, outer_end = step("outer", root, 0, 900)
    inner, inner_end = step("slow itself", outer, 0, 800)
    model, model_end = step("dear", root, 900, 960, "CHAT_MODEL")
    same, same_end = step("same call", model, 900, 950, "CHAT_MODEL", attributes={"autolog.duplicate_of": "x"})
    model.set_cost(al.Cost(1, 2, 3))
    same.set_cost(al.Cost(1, 2, 3))
    model.set_status("ERROR", "refused")
    for span, end in ((inner, inner_end), (outer, outer_end), (same, same_end), (model, model_end)):
        client.end_span(span, end_time_ns=end)
    client.end_trace(root, end_time_ns=BEGIN + 1_000)
    page = opened(new_page(), al.get_trace(root.trace_id))

    page.keyboard.press("s")
    assert chosen(page) == "slow itself"
    page.keyboard.press("s")
    assert chosen(page) == "outer"
    page.keyboard.press("d")
    assert chosen(page) == "dear"
    page.keyboard.press("Home")
    page.keyboard.press("c")
    page.keyboard.press("e")
    assert chosen(page) == "dear"
    assert "refused" in page.get_by_role("alert").inner_text()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0


def test_keys_are_left_to_whoever_types_and_to_the_page(samples, new_page):
    page = opened(new_page(), samples[0])
    page.evaluate(
        "globalThis.left = []; addEventListener('keydown', (event) => event.defaultPrevented || left.push(event.key))"
    )

    page.keyboard.press("/")
    page.keyboard.type("es")
    assert page.get_by_role("searchbox").input_value() == "es"
    page.keyboard.press("Escape")
    for key in ("g", "s", "q", "Escape", "Control+e"):
        page.keyboard.press(key)

    assert chosen(page) == "support_agent"
    assert page.evaluate("left") == ["e", "s", "g", "s", "q", "Escape", "Control", "e"]


def test_plumbing_can_be_hidden(client, new_page):
    with al.start_span("agent", "AGENT") as root, al.start_span("sequence", "CHAIN"):
        with al.start_span("prompt", "PROMPT"):
            pass
        with al.start_span("chat", "CHAT_MODEL"):
            pass
    page = opened(new_page(), al.get_trace(root.trace_id))

    page.get_by_role("button", name="Hide 2 steps").click()
    assert names(page) == ["agent", "chat"]
    page.get_by_role("button", name="2 hidden – show").click()
    assert names(page) == ["agent", "sequence", "prompt", "chat"]


def test_a_running_trace_grows_where_it_stands(client, new_page):
    def step(number):
        span = client.start_span(f"step {number}", root, start_time_ns=BEGIN + number)
        client.end_span(span, end_time_ns=BEGIN + number + 1)

    root = client.start_trace("run", "AGENT", start_time_ns=BEGIN)
    for number in range(100):
        step(number)
    client.flush()
    page = hosted(new_page(), al.get_trace(root.trace_id))
    assert "running" in page.get_by_role("treeitem").first.inner_text()
    assert page.locator(".tv-bar.tv-running").count() == 1
    page.get_by_role("tree").evaluate("tree => { tree.scrollTop = 780 }")
    page.get_by_role("treeitem", name="step 35").click()
    top = page.get_by_role("tree").evaluate("tree => tree.scrollTop")

    step(100)
    client.end_trace(root, end_time_ns=BEGIN + 102)
    shown(page, al.get_trace(root.trace_id))

    page.locator("[data-spans='102']").wait_for()
    assert chosen(page) == "step 35"
    assert page.get_by_role("tree").evaluate("tree => tree.scrollTop") == top
    page.keyboard.press("End")
    assert chosen(page) == "step 100"
    assert page.locator(".tv-bar.tv-running").count() == 0


# --- search and filters ---


def test_what_is_searched_is_counted_and_gone_through(client, new_page):
    page = opened(new_page(), wide(client, 401))
    field = page.get_by_role("searchbox")

    field.fill("question 12")
    page.get_by_text("3", exact=True).and_(page.locator(".tv-found")).wait_for()
    page.keyboard.press("Enter")
    assert page.locator(".tv-found").inner_text() == "1 / 3"
    assert chosen(page) == "chat 12"
    page.keyboard.press("Enter")
    assert chosen(page) == "look 12"
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")
    assert page.locator(".tv-found").inner_text() == "3 / 3"
    page.get_by_role("button", name="Show only what is found").click()
    assert names(page) == ["run", "step_12", "chat 12", "look 12", "search 12"]
    assert panel(page).locator("mark").first.inner_text() == "question 12"
    field.press("Escape")
    assert len(names(page)) > 20


def test_types_and_errors_are_filtered(client, new_page):
    page = opened(new_page(), wide(client, 81))

    page.get_by_role("button", name="Errors").click()
    assert names(page) == ["run", "step_7", "look 7"]
    page.get_by_role("button", name="Errors").click()
    page.get_by_role("button", name="Tool: 20").click()
    assert names(page)[:5] == ["run", "step_0", "look 0", "step_1", "look 1"]
    page.keyboard.press("End")
    page.keyboard.press("s")
    assert page.locator(".tv-list .tv-dim").count() == 0


def test_a_text_that_no_span_has_is_said_to_be_nowhere(samples, new_page):
    page = opened(new_page(), samples[0])

    page.get_by_role("searchbox").fill("zephyrine")
    page.get_by_text("0", exact=True).and_(page.locator(".tv-found")).wait_for()
    page.get_by_role("button", name="Show only what is found").click()
    page.get_by_text("No span is like that.").wait_for()


# --- a host ---


def test_a_host_is_asked_for_what_the_document_leaves_out(samples, new_page):
    page = hosted(new_page(), samples[0])
    panel(page).get_by_text("How do I rotate my API key?").wait_for()
    page.keyboard.press("ArrowDown")
    panel(page).get_by_text("kb/keys.md").first.wait_for()
    page.keyboard.press("ArrowUp")
    panel(page).get_by_text("How do I rotate my API key?").wait_for()

    ids = [span.span_id for span in samples[0].spans[:2]]
    assert page.evaluate("asked") == ids
    page.wait_for_function("(id) => chosen.at(-1) === id", arg=ids[0])


def test_a_host_chooses_a_span(samples, new_page):
    page = hosted(new_page(), samples[0])
    last = samples[0].spans[-1]
    page.keyboard.press("c")
    shown(page, samples[0], f"{{ selected: '{last.span_id}' }}")
    panel(page).get_by_role("heading", name="chat").wait_for()
    shown(page, samples[0], "{ selected: 'no such span' }")
    panel(page).get_by_role("heading", name="support_agent").wait_for()


def test_what_a_host_can_not_get_can_be_asked_for_again(samples, new_page):
    page = hosted(new_page(), samples[0])
    page.evaluate("globalThis.right = host.detail")
    shown(page, samples[0], "{ detail: () => Promise.reject(new Error('the server is away')) }")
    page.keyboard.press("ArrowDown")
    panel(page).get_by_text("the server is away").wait_for()
    shown(page, samples[0], "{ detail: right }")
    page.get_by_role("button", name="Try again").click()
    panel(page).get_by_text("kb/keys.md").first.wait_for()


def test_a_host_adds_to_the_page_and_has_its_own_head(samples, new_page):
    page = hosted(new_page(), samples[0])
    button = "globalThis.htmPreact.html`<button>${text}</button>`"
    shown(
        page, samples[0],
        f"{{ hidesHead: true, spanActions: (span) => ((text) => {button})('About ' + span.name), annotations: () => ((text) => {button})('Rate') }}",
    )  # fmt: skip
    page.get_by_role("button", name="About support_agent").wait_for()
    page.get_by_role("button", name="Rate").wait_for()
    assert page.get_by_role("heading", level=1).count() == 0
    page.evaluate("viewer.unmount(document.getElementById('viewer'))")
    assert page.locator("#viewer *").count() == 0


# --- what a span did ---


def test_a_long_text_is_shown_a_piece_at_a_time_and_the_rest_on_demand(client, new_page):
    text = "0123456789abcde\n" * 20_000 + "the end"
    with al.start_span("step", inputs={"q": text}) as span:
        pass
    trace = al.get_trace(span.trace_id)
    page = hosted(new_page(), trace, longest=10_000)
    page.evaluate("(text) => { texts['/inputs/q'] = text }", text)
    prose = panel(page).locator(".tv-prose").first

    prose.wait_for()
    assert len(prose.inner_text()) < 2_000
    prose.get_by_role("button", name="characters more – show all").click()
    prose.get_by_role("button", name="characters more – show 50K").click()
    for _ in range(5):
        prose.get_by_role("button", name="more – show 50K").or_(prose.get_by_role("button", name="Show all")).click()
    assert "the end" in prose.inner_text()
    assert page.evaluate("asked").count("/inputs/q") == 1


def test_where_there_is_no_host_it_says_where_the_rest_is(client, new_page):
    with al.start_span("step", inputs={"q": "long " * 1_000}) as span:
        pass
    trace = al.get_trace(span.trace_id)
    page = opened(new_page(), trace, longest=300)

    assert f'… 4,700 characters more, not here: al.get_trace("{trace.trace_id}") has all' in panel(page).inner_text()


def chat(client, messages, answer, **more):
    with al.start_span("chat", "CHAT_MODEL", inputs={"messages": messages, **more}) as span:
        span.set_outputs(answer)
    return al.get_trace(span.trace_id)


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def test_a_conversation_is_read_from_top_to_bottom(client, new_page, screenshot):
    call = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"city": "Köln"}'}}
    messages = [
        {"role": "system", "content": "Be brief. " * 100},
        {"role": "user", "content": [
            {"type": "text", "text": "What is **this**?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
            {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        ]},
        {"role": "assistant", "content": None, "reasoning_content": "A picture, it seems.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": '{"big": 12345678901234567890, "plan": "Team"}'},
    ]  # fmt: skip
    answer = {
        "choices": [
            {
                "message": {
                    "role": "assistant",
                    "content": "# A dot\n\n| a | b |\n|---|---|\n| 1 | `2` |\n\n- one\n  - two",
                },
                "finish_reason": "length",
            }
        ]
    }
    tools = [
        {
            "type": "function",
            "function": {"name": "look_up", "description": "Find it.", "parameters": {"type": "object"}},
        }
    ]
    page = opened(new_page(height=1100), chat(client, messages, answer, tools=tools))
    turns = panel(page).get_by_role("article")

    assert [turn.split("\n")[0].split()[0] for turn in turns.all_inner_texts()] == [
        "System",
        "User",
        "Assistant",
        "Tool",
        "Assistant",
    ]
    assert turns.nth(0).get_by_role("button", name="Show all 1,000 characters").is_visible()
    assert turns.nth(1).locator("img").evaluate("image => image.complete && image.naturalWidth") == 1
    assert turns.nth(1).locator("strong").inner_text() == "this"
    assert "https://example.com/cat.png" in turns.nth(1).inner_text()
    assert not turns.nth(2).get_by_text("A picture, it seems.").is_visible()
    turns.nth(2).get_by_text("Reasoning").click()
    assert turns.nth(2).get_by_text("A picture, it seems.").is_visible()
    assert "12345678901234567890" in turns.nth(3).inner_text()
    assert turns.nth(4).get_by_role("heading", name="A dot").is_visible()
    assert turns.nth(4).locator("td").all_inner_texts() == ["1", "2"]
    assert turns.nth(4).locator("li li").inner_text() == "two"
    assert "length" in turns.nth(4).inner_text()
    assert panel(page).get_by_text("1 tool offered").is_visible()
    turns.nth(2).get_by_role("button", name="result").click()
    screenshot(page)
    page.keyboard.press("m")
    assert "# A dot" in turns.nth(4).inner_text()


def test_a_picture_that_is_not_here_is_asked_for_and_a_sound_can_be_played(client, new_page):
    content = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRiQA", "format": "wav"}},
    ]
    trace = chat(client, [{"role": "user", "content": content}], "ok")
    page = hosted(new_page(), trace, longest=50)
    page.evaluate("(text) => { texts['/chat/messages/0/parts/0/content'] = text }", PIXEL)

    panel(page).get_by_role("button", name="show").click()
    panel(page).locator("img").wait_for()
    assert panel(page).locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 1
    assert panel(page).locator("audio").get_attribute("src") == "data:audio/wav;base64,UklGRiQA"
    assert panel(page).locator("audio").get_attribute("preload") == "none"


def test_of_a_long_conversation_the_last_messages_are_shown_first(client, new_page):
    messages = [{"role": "system", "content": "the rules"}]
    messages += [{"role": ("user", "assistant")[number % 2], "content": f"message {number}"} for number in range(1_000)]
    page = opened(new_page(), chat(client, messages, {"role": "assistant", "content": "the answer"}))
    turns = panel(page).get_by_role("article")

    assert turns.count() == 13
    assert "the rules" in turns.first.inner_text()
    assert "message 999" in turns.nth(11).inner_text()
    page.get_by_role("button", name="earlier messages – show 30").click()
    assert turns.count() == 43


def test_documents_have_ranks_scores_and_metadata(samples, new_page, screenshot):
    page = opened(new_page(), samples[1])
    page.keyboard.press("ArrowDown")
    documents = panel(page).get_by_role("article")

    assert documents.count() == 4
    first = documents.first.inner_text()
    assert ("kb/billing.md" in first, "0.92" in first, "bank lets go" in first, "page" in first) == (True,) * 4
    screenshot(page)


def test_an_exception_is_read_by_the_programs_own_frames(client, new_page, screenshot):
    import json

    with pytest.raises(json.JSONDecodeError), al.start_span("parse", "TOOL", inputs={"text": "{"}) as span:
        json.loads("{")
    page = opened(new_page(), al.get_trace(span.trace_id))
    alert = page.get_by_role("alert")

    assert "Expecting property name" in alert.inner_text()
    assert 'json.loads("{")' in alert.inner_text()
    assert "raw_decode" in alert.inner_text() or "obj, end" in alert.inner_text()
    assert "def loads" not in alert.inner_text()
    frames = alert.locator(".tv-frame").count()
    alert.get_by_role("button", name="Whole stack").click()
    assert alert.locator(".tv-frame").count() > frames
    screenshot(page)


def test_details_have_figures_parameters_and_events(client, new_page, screenshot):
    with al.start_span("chat", "CHAT_MODEL", {"gen_ai.request.model": "m", "gen_ai.request.temperature": 0.2}) as span:
        span.set_usage(al.TokenUsage(1_200, 34, 1_234, cache_read_tokens=1_000, reasoning_tokens=20))
        span.set_cost(al.Cost(0.01, 0.02, 0.03))
        span.add_event("retry", {"retry.attempt": 1})
    page = opened(new_page(), al.get_trace(span.trace_id))

    page.get_by_role("tab", name="Details").click()
    text = panel(page).inner_text()
    for said in (
        "1,200 → 34",
        "cache read",
        "1,000",
        "reasoning",
        "20",
        "$0.010",
        "temperature",
        "0.2",
        "gen_ai.request.model",
    ):
        assert said in text
    page.get_by_role("tab", name="Events").click()
    assert "retry.attempt" in panel(page).inner_text()
    page.get_by_role("tab", name="Trace").click()
    assert span.trace_id in panel(page).inner_text()
    screenshot(page)


def test_a_value_is_a_tree_of_lines(client, new_page):
    value = {"list": list(range(2_000)), "deep": {"a": {"b": {"c": "found"}}}, "text": "line\n" * 100, "big": 2**70}
    with al.start_span("step", inputs=value) as span:
        pass
    page = opened(new_page(), al.get_trace(span.trace_id))
    page.get_by_role("tab", name="JSON").click()
    lines = panel(page).locator(".tv-line")

    assert str(2**70) in panel(page).inner_text()
    lines.filter(has_text="list").click()
    scroller = panel(page).locator(".tv-window")
    assert scroller.evaluate("lines => lines.scrollHeight") > 2_000 * 20
    assert lines.count() < 80
    scroller.evaluate("lines => { lines.scrollTop = 900 * 20 }")
    lines.filter(has_text="905").first.wait_for()


def test_values_are_copied(samples, new_page, browser):
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    page.route("http://localhost/", lambda route: route.fulfill(body="<title>t</title>", content_type="text/html"))
    page.goto("http://localhost/")
    opened(page, samples[0])
    page.get_by_role("tab", name="JSON").click()
    panel(page).get_by_role("button", name="Copy as JSON").click()
    panel(page).get_by_role("button", name="Copied").wait_for()

    assert '"question": "How do I rotate my API key?"' in page.evaluate("navigator.clipboard.readText()")


def test_values_are_copied_where_a_frame_has_no_clipboard(samples, new_page):
    page = new_page()
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.goto("about:blank")
    opened(page, samples[0])
    page.evaluate("document.addEventListener('copy', () => { globalThis.taken = String(getSelection()) })")
    page.get_by_role("tab", name="JSON").click()
    panel(page).get_by_role("button", name="Copy as JSON").click()
    panel(page).get_by_role("button", name="Copied").wait_for()

    assert "How do I rotate my API key?" in page.evaluate("taken")


def test_the_divider_is_moved(samples, new_page):
    page = opened(new_page(), samples[0])
    divider = page.get_by_role("separator")
    before = divider.bounding_box()
    page.mouse.move(before["x"] + 3, 400)
    page.mouse.down()
    page.mouse.move(before["x"] - 200, 400, steps=4)
    page.mouse.up()

    assert divider.bounding_box()["x"] == pytest.approx(before["x"] - 200, abs=6)
    divider.focus()
    page.keyboard.press("ArrowRight")
    assert int(divider.get_attribute("aria-valuenow")) in range(40, 46)
