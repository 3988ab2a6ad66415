"""Pages are opened in a real browser: Chromium, without a window; where there is none, these tests are skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser import chromium
from tests.serving import serving as served

SCREENSHOTS = Path(os.environ.get("AUTOLOG_SCREENSHOTS", "screenshots"))


@pytest.fixture(scope="module")
def browser():
    """The browser, one for the tests of a file: while it runs, so does a loop of asyncio."""
    executable = chromium.find()
    if executable is None:
        pytest.skip("no Chromium is installed; `make chromium` does that")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root, as in containers, Chromium has no sandbox.
        running = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield running
        running.close()


class Watched:
    """A page that fails its test where a script raises, a policy is broken, or something outside is asked for."""

    def __init__(self, page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: self.requests.append(request.url))

    def outside(self) -> list[str]:
        """Return the requests that went anywhere but to this machine."""
        ours = ("http://127.0.0.1", "http://localhost", "file:", "data:", "blob:", "about:")
        return [url for url in self.requests if not url.startswith(ours)]


@pytest.fixture
def new_page(browser):
    """Open pages: `new_page(width=…, height=…, dark=…)`; at the end none may have met an error or gone outside."""
    watched: list[Watched] = []
    contexts = []

    def opened(*, width=1280, height=800, dark=False, **options):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", **options
        )
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        watched.append(Watched(page))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [error for one in watched for error in one.errors] == []
    assert [url for one in watched for url in one.outside()] == []


@pytest.fixture
def screenshot(request):
    """Keep a picture of a page under the test's name: `screenshot(page, "dark")`."""

    def keep(page, name=""):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        parts = [request.node.name.removeprefix("test_").replace("[", "-").rstrip("]"), name]
        path = SCREENSHOTS / f"{'-'.join(filter(None, parts))}.png"
        page.screenshot(path=path)
        return path

    return keep


@pytest.fixture
def address(client):
    """The address of a server of the test's client."""
    with served(client) as address:
        yield address
