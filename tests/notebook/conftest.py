"""Notebooks are run by a real kernel, cell by cell, as Jupyter runs them."""

from __future__ import annotations

import asyncio
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

START = """
import autolog as al
from autolog import autolog
autolog()

@al.trace
def ask(question):
    return f"answer to {question}"
"""


@dataclass
class Ran:
    """A notebook that was run."""

    notebook: Any

    def shown(self, number: int, kind: str = "display_data", mime: str = "text/plain") -> list[str]:
        """Return what a cell showed, by the form that is asked for."""
        outputs = self.notebook.cells[number].outputs
        return [output.data[mime] for output in outputs if output.output_type == kind and mime in output.data]

    def value(self, number: int) -> str | None:
        """Return the value of a cell's last line, or `None`."""
        return next(iter(self.shown(number, "execute_result")), None)

    def printed(self, number: int) -> str:
        """Return what a cell printed."""
        outputs = self.notebook.cells[number].outputs
        return "".join(output.text for output in outputs if output.output_type == "stream")

    def error(self, number: int) -> Any:
        """Return the error that a cell ended with, or `None`."""
        return next((o for o in self.notebook.cells[number].outputs if o.output_type == "error"), None)

    def names(self, number: int) -> list[str]:
        """Return the names of the traces that a cell shows by itself."""
        return [line.split(" · ")[0].removeprefix("Trace ") for text in self.shown(number) for line in text.split("\n")]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run cells in a kernel of its own, in an empty folder: `run("1 + 1", AUTOLOG_DISPLAY="false")`."""

    def ran(*cells: str, **environment: str) -> Ran:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("AUTOLOG_STORE", str(tmp_path / "traces.db"))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        return Ran(execute(notebook))

    return ran


def execute(notebook: Any) -> Any:
    """Run a notebook to its end, past cells that fail."""
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=True)
    with warnings.catch_warnings(), ThreadPoolExecutor(1) as pool:
        # Of Jupyter's own making: how it polls sockets differs between its versions.
        warnings.simplefilter("ignore")
        pool.submit(lambda: asyncio.run(client.async_execute())).result()  # a browser's loop may run in this thread
    return notebook
