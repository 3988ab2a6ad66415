"""The example runs as it stands."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

from tests.notebook.conftest import Ran, execute

ROOT = Path(__file__).parents[2]


def test_the_example_shows_traces(tmp_path, monkeypatch):
    for needed in ("openai", "vcr"):
        pytest.importorskip(needed)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copytree(ROOT / "cassettes" / "openai", tmp_path / "cassettes" / "openai")
    monkeypatch.chdir(tmp_path / "examples")
    monkeypatch.setenv("AUTOLOG_STORE", str(tmp_path / "traces.db"))

    ran = Ran(execute(nbformat.read("notebook.ipynb", as_version=4)))
    code = [number for number, cell in enumerate(ran.notebook.cells) if cell.cell_type == "code"]

    assert [ran.error(number) for number in code] == [None] * 5
    assert ran.names(code[1]) == ["weather agent"]
    assert ran.names(code[2]) == ["weather report"]
    assert ran.value(code[3]).endswith("2 traces")
    assert ran.value(code[4]).startswith("Trace weather report · ")
    assert ran.shown(code[4]) == []
    assert (tmp_path / "examples" / "trace.html").stat().st_size > 10_000


def test_its_outputs_are_left_out_of_the_repository():
    notebook = nbformat.read(ROOT / "examples" / "notebook.ipynb", as_version=4)
    assert [cell.outputs for cell in notebook.cells if cell.cell_type == "code"] == [[]] * 5
