"""Outputs of notebooks are opened in a browser: as a file that nbconvert made, trusted and not, and in a host's policy."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("nbconvert")

import bleach
import nbformat
from bleach.css_sanitizer import CSSSanitizer
from nbconvert import HTMLExporter

import autolog as al
from autolog import sample
from autolog.testing import traces
from autolog.viewer.notebook import HTML, Room, mimebundle

HOSTILE = '</script><script>alert(1)</script><img src="https://example.com/x" onerror="alert(2)"></iframe></details>'
NOTHING = "data:text/javascript,"
# What JupyterLab leaves of an output that it does not trust, as far as we use it.
LEFT = {"details", "summary", "div", "span", "b", "small", "table", "thead", "tbody", "tr", "th", "td"}
STYLES = {"color", "font", "margin-left", "max-width", "opacity", "white-space"}
# VS Code's policy for notebooks, where `notebook.experimental.enableCsp` is set.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src https: http: data:; font-src https:; connect-src https:; child-src https: data:;"
)


def converted(*bundles, theme="light"):
    """Return a notebook whose cells have these outputs, as nbconvert writes it, but for what it loads from elsewhere."""
    cells = [
        nbformat.v4.new_code_cell(f"cell {number}", outputs=[nbformat.v4.new_output("display_data", data=bundle)])
        for number, bundle in enumerate(bundles)
    ]
    exporter = HTMLExporter(require_js_url=NOTHING, mathjax_url=NOTHING, theme=theme)
    return exporter.from_notebook_node(nbformat.v4.new_notebook(cells=cells))[0]


def opened(page, tmp_path, text):
    path = tmp_path / "page.html"
    path.write_text(text, encoding="utf-8")
    page.goto(path.as_uri())
    return page


def hostile_trace():
    with pytest.raises(ValueError), al.start_span(HOSTILE, "AGENT", inputs={"q": HOSTILE}), al.start_span("step"):
        raise ValueError(HOSTILE)
    return al.get_trace(al.get_last_active_trace_id())


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_viewer_shows_in_a_converted_notebook(client, tmp_path, new_page, screenshot, theme):
    sample.record(client, 8)
    found = traces(client)
    table = client.search_traces(return_type="list")._repr_mimebundle_()
    notebook = converted(*map(mimebundle, (found[:1], found)), table, theme=theme)
    page = opened(new_page(width=1000, height=1500), tmp_path, notebook)

    one, several = page.frame_locator("iframe").nth(0), page.frame_locator("iframe").nth(1)
    one.get_by_role("treeitem").nth(5).wait_for()
    several.get_by_role("option").nth(7).wait_for()
    assert page.locator("details").count() > 0
    assert not page.locator("details").first.is_visible()
    assert page.locator("table").is_visible()
    screenshot(page)


def test_one_of_several_traces_is_chosen(client, tmp_path, new_page):
    sample.record(client, 8)
    page = opened(new_page(), tmp_path, converted(mimebundle(traces(client), 3)))
    frame = page.frame_locator("iframe")

    failed = frame.get_by_role("option", selected=True)
    failed.wait_for()
    assert "refused the connection" in failed.text_content()
    assert "and 3 traces more" in frame.locator("body").text_content()
    frame.get_by_role("option").nth(0).click()
    frame.get_by_role("option", selected=True).get_by_text("How do I rotate").wait_for()
    frame.get_by_role("treeitem").nth(5).wait_for()
    page.keyboard.press("ArrowDown")
    frame.get_by_role("option", selected=True).get_by_text("Why was I charged").wait_for()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    frame.get_by_role("option", selected=True).get_by_text("How do I rotate").wait_for()


def test_what_was_left_out_is_told(client, tmp_path, new_page, screenshot):
    with al.start_span("root", inputs={"q": "x" * 10_000}) as root:
        for number in range(30):
            al.start_span(f"step {number}", inputs={"text": f"{number} " + "y" * 4_000}).end()
    bundle = mimebundle([client.get_trace(root.trace_id)], room=Room(characters=8_000, spans=20))
    page = opened(new_page(), tmp_path, converted(bundle))

    note = page.frame_locator("iframe").get_by_role("note")
    note.wait_for()
    assert "11 spans" in note.text_content()
    assert f'get_trace("{root.trace_id}").save_html("trace.html")' in note.text_content()
    page.frame_locator("iframe").get_by_role("treeitem").nth(1).click()
    page.keyboard.press("End")
    page.frame_locator("iframe").get_by_text("It did not fit into this output").wait_for()
    screenshot(page)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_tree_shows_where_the_notebook_is_not_trusted(client, tmp_path, new_page, screenshot, dark):
    sample.record(client, 8)
    output = mimebundle([*traces(client)[5:], hostile_trace()], 4)[HTML]
    left = bleach.clean(output, tags=LEFT, attributes=["open", "style"], strip=True, css_sanitizer=CSSSanitizer(STYLES))
    page = opened(
        new_page(dark=dark, java_script_enabled=False), tmp_path, f"<meta name=color-scheme content='light dark'>{left}"
    )

    assert page.locator("iframe").count() == 0
    assert page.get_by_text("Trace support_agent").first.is_visible()
    page.get_by_text("refused the connection").first.wait_for(state="hidden")
    page.get_by_text("ERROR · 2 errors").first.click()
    page.get_by_text("refused the connection").first.wait_for()
    assert page.locator("img, script").count() == 0
    screenshot(page)


def test_nothing_that_is_recorded_runs(client, tmp_path, new_page):
    bundle = mimebundle([hostile_trace()])
    page = new_page()
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    opened(page, tmp_path, converted(bundle, client.search_traces(return_type="list")._repr_mimebundle_()))

    frame = page.frame_locator("iframe")
    frame.get_by_role("treeitem").nth(1).wait_for()
    assert HOSTILE in frame.locator("body").text_content()
    assert frame.locator("img").count() == page.locator("img").count() == 0


def test_the_frame_reaches_neither_its_host_nor_the_network(client, tmp_path, new_page):
    page = opened(new_page(), tmp_path, converted(mimebundle([hostile_trace()])))
    page.frame_locator("iframe").get_by_role("treeitem").first.wait_for()
    inside = page.frames[1]

    assert inside.evaluate("origin") == "null"
    assert inside.evaluate("() => { try { return parent.document.title } catch { return 'no' } }") == "no"
    assert inside.evaluate("() => { try { return String(localStorage) } catch { return 'no' } }") == "no"


def test_the_viewer_runs_under_the_policy_of_a_host(client, tmp_path, new_page):
    sample.record(client, 1)
    page = new_page()
    host = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    opened(page, tmp_path, host + mimebundle(traces(client))[HTML])
    page.frame_locator("iframe").get_by_role("treeitem").nth(5).wait_for()


@pytest.mark.parametrize(
    ("mark", "is_dark"), [("data-jp-theme-light", False), ("theme", True), ("class", True), ("id", None)]
)
@pytest.mark.parametrize("scale", [1, 1.1])
def test_the_viewer_is_dark_where_the_notebook_is(client, tmp_path, new_page, mark, is_dark, scale):
    sample.record(client, 1)
    marks = {"data-jp-theme-light": "true", "theme": "dark", "class": "vscode-dark", "id": "x"}
    page = new_page(dark=is_dark is False, device_scale_factor=scale)
    opened(page, tmp_path, f'<body {mark}="{marks[mark]}">{mimebundle(traces(client))[HTML]}</body>')
    page.frame_locator("iframe").get_by_role("treeitem").nth(5).wait_for()

    assert looks_dark(page.frames[1]) is bool(is_dark)


def looks_dark(frame):
    color = frame.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", color)[:3])) < 384


def test_a_frame_that_is_hidden_at_first_is_dark_once_it_shows(client, tmp_path, new_page):
    sample.record(client, 1)
    page = new_page()
    hidden = f'<body class="vscode-dark"><div hidden>{mimebundle(traces(client))[HTML]}</div></body>'
    opened(page, tmp_path, hidden)
    page.frame_locator("iframe").locator(".tv").wait_for(state="attached")
    assert not looks_dark(page.frames[1])
    page.locator("div[hidden]").evaluate("element => { element.hidden = false }")

    page.frame_locator("iframe").get_by_role("treeitem").nth(5).wait_for()
    page.frames[1].wait_for_function("getComputedStyle(document.documentElement).colorScheme === 'dark'")
    assert looks_dark(page.frames[1])


def test_a_saved_trace_needs_no_other_file(client, tmp_path, new_page):
    sample.record(client, 1)
    path = traces(client)[0].save_html(tmp_path / "trace.html")
    page = new_page(offline=True)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())

    page.get_by_role("treeitem").nth(5).wait_for()
    assert requests == [path.as_uri()]
