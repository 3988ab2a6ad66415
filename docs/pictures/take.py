"""Take the pictures of the documentation, of sample traces on the web page, as they are now: `make pictures`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from playwright.sync_api import Page, sync_playwright  # noqa: E402

from autolog import sample  # noqa: E402
from autolog.client import Client  # noqa: E402
from tests.browser import chromium  # noqa: E402
from tests.serving import serving  # noqa: E402

SIZE = {"width": 1280, "height": 620}


def take(page: Page, address: str, name: str, shown: str) -> None:
    """Keep a picture of what is at an address, once a text can be seen."""
    page.goto(address)
    page.reload()
    page.get_by_text(shown).first.wait_for()
    page.wait_for_timeout(500)
    page.screenshot(path=HERE / f"{name}.png")


def main() -> None:
    """Take all of them."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        client = Client(Path(folder) / "traces.db")
        ids = sample.record(client, 120)
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, device_scale_factor=1)
        with serving(client) as address:
            spans = client.get_outline(ids[-2]).spans
            chat = [span.span_id for span in spans if span.span_type == "CHAT_MODEL"][-1]
            take(page, f"{address}/#/traces/{ids[-2]}?span={chat}", "trace", "lookup_account")
            take(page, f"{address}/#/traces", "traces", "support_agent")
            take(page, f"{address}/#/dashboard", "dashboard", "Where time goes")
            take(page, f"{address}/#/compare?left={ids[5]}&right={ids[7]}", "compare", "support_agent")
        browser.close()
        client.close()


if __name__ == "__main__":
    main()
