"""The page's modules: which may know which, and that none asks for what is not there."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("fastapi")

from autolog.server.files import STATIC
from autolog.viewer.bundle import STATIC as VIEWER

CALLED_BY_NAME = {"Page", "parsed"}
"""By the page's shell, and by tests."""
LAYERS = ("viewer", "base", "parts", "traces", "pages", "")
MODULES = sorted(STATIC.rglob("*.js"))
IMPORT = re.compile(r"^import \{([^}]*)\} from \"([^\"]+)\";$", re.MULTILINE)
EXPORT = re.compile(
    r"^export (?:async )?(?:const|function|class|let) ([\w$]+)|^export (?:const )?\{([^}]*)\}", re.MULTILINE
)


def file_of(module, imported):
    path = (module.parent / imported).resolve()
    return VIEWER / path.relative_to(STATIC / "viewer") if path.is_relative_to(STATIC / "viewer") else path


def layer_of(path):
    folder = "viewer" if path.is_relative_to(VIEWER) else path.relative_to(STATIC).parent.as_posix()
    return LAYERS.index("" if folder == "." else folder)


def names_in(listed):
    return {name.strip() for name in listed.split(",") if name.strip()}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_a_module_imports_what_there_is_from_its_folder_or_one_below(module):
    source = module.read_text(encoding="utf-8")
    body = IMPORT.sub("", source)
    assert source.startswith("// ")
    for listed, place in IMPORT.findall(source):
        path = file_of(module, place)
        assert layer_of(path) <= layer_of(module), place
        exported = set()
        for name, several in EXPORT.findall(path.read_text(encoding="utf-8")):
            exported |= {name} if name else names_in(several)
        assert names_in(listed) <= exported, place
        assert {
            name for name in names_in(listed) if not re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", body)
        } == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_nothing_of_the_page_can_become_html_or_code(module):
    words = (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "dangerouslySet",
        "document.write",
        "eval(",
        "new Function",
    )
    assert [word for word in words if word in module.read_text(encoding="utf-8")] == []


def test_whatever_a_module_exports_is_imported():
    sources = {path: path.read_text(encoding="utf-8") for path in MODULES}
    asked = {
        (file_of(path, place), name)
        for path in MODULES
        for listed, place in IMPORT.findall(sources[path])
        for name in names_in(listed)
    }
    exported = {(path, name) for path in MODULES for name, _ in EXPORT.findall(sources[path]) if name}
    unknown = {(path.name, name) for path, name in exported - asked if name not in CALLED_BY_NAME}
    assert unknown == set()
