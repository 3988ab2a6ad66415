"""JupyterLab and Notebook 7 themselves, trusted and not, where they are installed: here, or where AUTOLOG_JUPYTER says.

`python -m venv jupyter && jupyter/bin/pip install notebook -e .`, then `AUTOLOG_JUPYTER=jupyter/bin/python pytest
tests/browser/test_jupyter.py`. They are some 200 MB, so the main environment does without.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("nbclient")

import nbformat

from tests.notebook.conftest import execute

PYTHON = os.environ.get("AUTOLOG_JUPYTER") or sys.executable
if "AUTOLOG_JUPYTER" not in os.environ and importlib.util.find_spec("notebook") is None:
    pytest.skip("Notebook 7 is not installed", allow_module_level=True)

CELLS = (
    """from autolog import autolog, sample
import autolog as al
from autolog.client import default_client
autolog(store="memory:")
ids = sample.record(default_client(), 1)""",
    "ids = sample.record(default_client(), 8)",
    "al.search_traces(return_type='list')",
)


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    """A server of JupyterLab and Notebook, with two notebooks that were run, of which it trusts one: its address."""
    home = tmp_path_factory.mktemp("jupyter")
    folder = home / "notebooks"
    folder.mkdir()
    for name in ("trusted", "untrusted"):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(f"# {name}\n{cell}") for cell in CELLS])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(execute(notebook), folder / f"{name}.ipynb")
    environment = {**os.environ, "HOME": str(home), "JUPYTER_PREFER_ENV_PATH": "0"}
    for kind in ("DATA", "CONFIG", "RUNTIME"):
        environment[f"JUPYTER_{kind}_DIR"] = str(home / kind.lower())
    quiet = home / "config/lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    subprocess.run([PYTHON, "-m", "jupyter", "trust", str(folder / "trusted.ipynb")], env=environment, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        PYTHON,
        "-m",
        "notebook",
        "--no-browser",
        "--allow-root",
        f"--port={port}",
        f"--ServerApp.root_dir={folder}",
    ]
    command += ["--IdentityProvider.token=", "--ServerApp.password=", "--ServerApp.port_retries=0"]
    log = (home / "log").open("w")
    server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, server, home / "log")
        yield address
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/api", timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(log.read_text())


@pytest.fixture
def opened(browser, jupyter, screenshot):
    """Open a notebook in one of the two, and keep a picture of it."""
    contexts = []

    def page_of(host, name):
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 1200}))
        page = contexts[-1].new_page()
        page.goto(f"{jupyter}/{host}/{name}.ipynb?reset")  # JupyterLab would open again what was open before
        page.locator(".jp-OutputArea-output table").wait_for(timeout=120_000, state="attached")
        return page

    yield page_of
    for context in contexts:
        context.close()


@pytest.mark.parametrize("host", ["lab/tree", "notebooks"], ids=["lab", "notebook"])
def test_a_notebook_that_is_trusted_shows_the_viewer(opened, screenshot, host):
    page = opened(host, "trusted")
    frames = page.locator(".jp-OutputArea-output iframe")

    frames.first.content_frame.get_by_role("treeitem").nth(5).wait_for(timeout=60_000)
    assert frames.count() == 2
    assert frames.nth(1).content_frame.get_by_role("option").count() == 8
    assert not page.locator(".jp-OutputArea-output details").first.is_visible()
    screenshot(page)


@pytest.mark.parametrize("host", ["lab/tree", "notebooks"], ids=["lab", "notebook"])
def test_a_notebook_that_is_not_trusted_shows_the_tree(opened, screenshot, host):
    page = opened(host, "untrusted")
    outputs = page.locator(".jp-OutputArea-output")

    outputs.get_by_text("Keys are rotated under").first.wait_for()
    assert outputs.locator("details").first.is_visible()
    assert outputs.locator("iframe, style, script").count() == 0
    outputs.get_by_text("ERROR · 2 errors").click()
    outputs.get_by_text("refused the connection").first.wait_for()
    failed = outputs.get_by_text("✗ ConnectionError").first
    assert failed.evaluate("element => getComputedStyle(element).color") == "rgb(209, 36, 47)"
    screenshot(page)
