"""The viewer's modules make one script, and are small."""

from __future__ import annotations

import re

import pytest

from autolog.viewer.bundle import STATIC, bundle

ENTRIES = ("viewer.js", "inline.js", "notebook.js", "loader.js")
DECLARED = re.compile(r"^(?:export )?(?:async )?(?:const|let|function|class) (?:([\w$]+)|\{([^}]*)\})", re.MULTILINE)


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_bundle_has_no_modules_left(entry):
    script = bundle(entry)

    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)


def modules(entry):
    """The names of all modules that one needs, itself included."""
    found, waiting = [], [entry]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.append(name)
            waiting += re.findall(r'^import [^;]*? from "\./([^"]+)";$', (STATIC / name).read_text(), re.MULTILINE)
    return found


@pytest.mark.parametrize("entry", ENTRIES)
def test_no_two_modules_declare_the_same_name(entry):
    names = [
        name.strip()
        for module in modules(entry)
        for one, several in DECLARED.findall((STATIC / module).read_text(encoding="utf-8"))
        for name in ([one] if one else several.split(","))
        if name.strip()
    ]

    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def test_each_module_opens_with_what_it_is_for():
    openings = {path.name: path.read_text(encoding="utf-8")[:3] for path in STATIC.glob("*.js")}

    assert {name for name, opening in openings.items() if opening != "// "} == set()


def test_modules_import_what_there_is():
    for path in STATIC.glob("*.js"):
        for names, place in re.findall(r"^import \{([^}]*)\} from \"\./([^\"]+)\";$", path.read_text(), re.MULTILINE):
            source = (STATIC / place).read_text(encoding="utf-8")
            exported = set(
                re.findall(r"^export (?:async )?(?:const|function|class|let) ([\w$]+)", source, re.MULTILINE)
            )
            exported |= {
                name.strip()
                for group in re.findall(r"^export const \{([^}]*)\}", source, re.M)
                for name in group.split(",")
            }
            wanted = {name.strip() for name in names.split(",") if name.strip()}
            assert wanted <= exported, f"{path.name}: {place}"
            body = re.sub(r"^import .*$", "", path.read_text(), flags=re.MULTILINE)
            assert {name for name in wanted if not re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", body)} == set()


def test_nothing_of_the_viewer_can_become_html_or_code():
    """What a payload has is put into the page as text, and as nothing else."""
    for path in STATIC.glob("*.js"):
        source = path.read_text(encoding="utf-8")
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "dangerouslySet",
            "document.write",
            "eval(",
            "new Function",
        ):
            assert word not in source, f"{path.name} has {word}"


def test_the_scripts_of_the_viewer_are_small():
    """With Preact they are less than a hundredth of what MLflow's page loads to show a trace."""
    assert len(bundle("viewer.js").encode()) <= 90 * 1024


def test_what_only_people_read_is_left_out_of_a_bundle():
    script = bundle("viewer.js")

    assert not re.search(r"^\s|^//|^\* ", script, re.MULTILINE)
    assert max(map(len, script.splitlines())) < 1_000
