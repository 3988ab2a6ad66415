"""What is around all pages: addresses, keys, how numbers are written, and a proxy that serves them below a path."""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from autolog import sample
from autolog.server.access import Token
from autolog.testing import fresh_client
from tests.browser.conftest import served

MOST_SCRIPT = 150_000


@pytest.fixture(scope="module")
def browser_module(browser):
    """Call functions of the page's modules, in a page that all tests of this file share."""
    with fresh_client() as client, served(client) as address:
        page = browser.new_page()
        page.goto(address)

        def call(name, expression):
            function = expression.partition("(")[0]
            return page.evaluate(f"import('./static/{name}.js').then(({{ {function} }}) => {expression})")

        yield call
        page.close()


@pytest.mark.parametrize(
    ("expression", "written"),
    [
        ("duration(null)", ""),
        ("duration(0)", "0 ms"),
        ("duration(800)", "800 ns"),
        ("duration(12_300)", "12 µs"),
        ("duration(2_340_000)", "2.3 ms"),
        ("duration(340_000_000)", "340 ms"),
        ("duration(999_600_000)", "1.00 s"),
        ("duration(1_240_000_000)", "1.24 s"),
        ("duration(59_960_000_000)", "1 m 00 s"),
        ("duration(125e9)", "2 m 05 s"),
        ("duration(3_780e9)", "1 h 03 m"),
        ("duration(100 * 3600e9)", "100 h 00 m"),
        ("money(0)", "$0"),
        ("money(0.000213)", "$0.00021"),
        ("money(0.0123)", "$0.012"),
        ("money(1.239)", "$1.24"),
        ("money(12_040.2)", "$12,040"),
        ("compact(1_204)", "1,204"),
        ("compact(12_340)", "12.3K"),
        ("counted(1, 'trace')", "1 trace"),
        ("counted(1204, 'trace')", "1,204 traces"),
        ("percent(0.0123)", "1.2 %"),
        ("relative(0, 3_000)", "now"),
        ("relative(0, 90_000)", "1 min ago"),
        ("relative(0, 3 * 86_400_000)", "3 d ago"),
        ("nanoseconds(1_700_000_000_123)", "1700000000123000000"),
    ],
)
def test_numbers_are_written_for_people(browser_module, expression, written):
    assert browser_module("base/formats", expression) == written


@pytest.mark.parametrize(
    "params",
    [{}, {"filter": "name = 'a & b' AND tags.`x y` = '100%'"}, {"filter": "請求 ❤ #/?&=", "order": "cost DESC"}],
)
def test_an_address_gives_back_what_it_was_made_of(browser_module, params):
    written = browser_module("base/router", f"address('traces', ['a/b c'], {json.dumps(params)})")
    assert browser_module("base/router", f"parsed({json.dumps(written)})") == {
        "page": "traces",
        "parts": ["a/b c"],
        "params": params,
    }


def test_the_first_page_is_the_list(client, address, new_page):
    sample.record(client, 3)
    page = new_page()
    page.goto(f"{address}/#/nowhere")
    page.get_by_role("grid", name="Traces").wait_for()
    assert page.url == f"{address}/#/traces"


@pytest.fixture(params=["list", "trace"])
def opened(request, client, address, new_page):
    """The list, or a trace by its link: what people open first."""
    ids = sample.record(client, 3)
    page = new_page()
    if request.param == "list":
        page.goto(address)
        page.get_by_role("row").nth(2).wait_for()
    else:
        page.goto(f"{address}/#/traces/{ids[0]}")
        page.get_by_role("treeitem").nth(2).wait_for()
    return page


def test_the_modules_of_a_page_are_fetched_at_once(opened):
    loaded, told = opened.evaluate(
        """[
            performance.getEntriesByType("resource").map((one) => one.name).filter((name) => name.endsWith(".js")),
            [...document.querySelectorAll("link[rel=modulepreload], script[src]")].map((one) => one.href || one.src),
        ]"""
    )
    assert sorted(loaded) == sorted(told)


def test_no_page_has_much_script(opened):
    sizes = opened.evaluate(
        "performance.getEntriesByType('resource').filter((one) => one.name.endsWith('.js')).map((one) => one.decodedBodySize)"
    )
    assert sum(sizes) <= MOST_SCRIPT


def test_a_trace_that_is_opened_by_its_link_leads_back_to_the_list(client, address, new_page, screenshot):
    ids = sample.record(client, 3)
    page = new_page()
    page.goto(f"{address}/#/traces/{ids[0]}?filter=errors+%3D+0")
    page.get_by_role("treeitem").nth(2).wait_for()
    screenshot(page)
    page.keyboard.press("Escape")
    page.get_by_role("row").nth(2).wait_for()
    assert page.url == f"{address}/#/traces?filter=errors+%3D+0"
    page.go_back()
    page.get_by_role("dialog", name="Trace").wait_for()


def test_keys_are_told_by_a_question_mark(client, address, new_page, screenshot):
    sample.record(client, 3)
    page = new_page()
    page.goto(address)
    page.get_by_role("row").nth(2).wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    screenshot(page)
    page.keyboard.press("Escape")
    page.get_by_role("dialog", name="Keys").wait_for(state="detached")


def test_two_keys_open_a_page(client, address, new_page):
    sample.record(client, 3)
    page = new_page()
    page.goto(address)
    page.get_by_role("row").nth(2).wait_for()
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url("**/#/sessions")
    page.keyboard.press("g")
    page.keyboard.press("t")
    page.wait_for_url("**/#/traces")


def test_a_server_with_tokens_asks_for_one_and_shows_what_it_allows(client, new_page, screenshot):
    sample.record(client, 3)
    read, write = "r" * 20, "w" * 20
    with served(client, tokens=[Token(read, "read"), Token(write, "write", name="ada")]) as address:
        page = new_page()
        page.goto(f"{address}/#/traces?filter=user = 'ada'")
        page.get_by_label("Token").wait_for()
        screenshot(page)
        page.get_by_label("Token").fill(read)
        page.keyboard.press("Enter")
        page.get_by_text("1 trace", exact=True).wait_for()
        page.get_by_role("link", name="support_agent").click()
        page.get_by_role("dialog", name="Trace", exact=True).get_by_role("treeitem").first.wait_for()
        assert page.get_by_role("button", name="Good", exact=True).is_hidden()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="sign out").click()
        page.get_by_label("Token").fill(write)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="ada · sign out").wait_for()
        page.get_by_role("link", name="support_agent").click()
        page.get_by_role("button", name="Bad", exact=True).click()
        page.get_by_role("button", name="helpful no, ada", exact=True).wait_for()
        page.goto("about:blank")


def test_back_goes_where_one_was(client, address, new_page):
    sample.record(client, 3)
    page = new_page()
    page.goto(address)
    page.get_by_role("link", name="support_agent").first.click()
    page.get_by_role("dialog", name="Trace", exact=True).wait_for()
    page.go_back()
    page.get_by_role("dialog", name="Trace", exact=True).wait_for(state="detached")
    page.go_forward()
    page.get_by_role("dialog", name="Trace", exact=True).wait_for()


@contextmanager
def proxied(address, prefix):
    """A proxy that serves a server below a path, as nginx and Jupyter do; yield the address of the path."""
    target = urlsplit(address).netloc

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self):
            if not self.path.startswith(f"{prefix}/"):
                self.send_error(404)
                return
            upstream = http.client.HTTPConnection(target)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection",)}
            upstream.request(self.command, self.path.removeprefix(prefix), body or None, headers)
            answer = upstream.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                while piece := answer.read1(65_536):
                    self.wfile.write(piece)
                    self.wfile.flush()
            except OSError:
                pass  # The browser went away from a stream that never ends.
            finally:
                upstream.close()
                self.close_connection = True

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *_):
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.daemon_threads = True
    thread = threading.Thread(target=proxy.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}{prefix}/"
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()


def test_all_works_below_a_path(client, address, new_page):
    sample.record(client, 12)
    with proxied(address, "/user/ada/proxy/4321") as below:
        page = new_page()
        page.goto(below)
        page.get_by_role("link", name="support_agent").first.click()
        page.get_by_role("dialog", name="Trace", exact=True).get_by_role("treeitem").first.wait_for()
        page.get_by_role("button", name="Good", exact=True).click()
        page.get_by_role("dialog").get_by_role("button", name="helpful yes").wait_for()
        page.keyboard.press("Escape")
        page.get_by_role("combobox", name="Filter").fill("status = 'ERROR'")
        page.keyboard.press("Enter")
        page.get_by_text("1 trace", exact=True).wait_for()
        page.goto("about:blank")  # which ends its stream of changes
