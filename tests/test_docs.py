"""The documentation keeps up with the code."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

import autolog as al
from autolog.settings import Settings
from autolog.testing import fresh_client

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Pages whose examples need neither a model nor a network, and run as they stand, one after the other.
RUN = (
    "client", "compare", "datasets", "mlflow", "notebook", "opentelemetry", "own-code", "privacy", "sampling", "search",
    "statistics",
)  # fmt: skip


def test_every_setting_is_documented_with_its_default():
    page = (ROOT / "docs" / "settings.md").read_text()
    documented = dict(re.findall(r"^\| `AUTOLOG_(\w+)` \| `?([^`|]+?)`? \|", page, re.MULTILINE))

    assert set(documented) == {field.name.upper() for field in fields(Settings)}
    for field in fields(Settings):
        default = getattr(Settings(), field.name)
        if default is not None:
            assert documented[field.name.upper()].lower() == str(default).lower()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_are_python_and_links_lead_somewhere(page):
    text = page.read_text()
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        ast.parse(block)
    for target in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem in RUN], ids=lambda page: page.name)
def test_examples_run_as_they_stand(page, tmp_path, monkeypatch):
    if page.stem == "opentelemetry":
        pytest.importorskip("opentelemetry.sdk")
    monkeypatch.chdir(tmp_path)
    with fresh_client():
        names = {"__name__": "__main__"}
        for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL), start=1):
            exec(compile(block, f"{page.name}, example {number}", "exec"), names)


def test_every_public_name_exists_and_says_what_it_is():
    for name in al.__all__:
        assert getattr(al, name).__doc__, name
