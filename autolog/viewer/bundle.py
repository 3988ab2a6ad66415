"""The viewer's scripts in one: the modules that a web page loads one by one, for a page that can load nothing."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"
LIBRARY = STATIC / "vendor" / "htm-preact.js"

_IMPORT = re.compile(r"^(?:import|export)\s[^;]*?from\s+['\"](?P<path>\.{1,2}/[^'\"]+)['\"];?\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:const|let|function|class)\b)", re.MULTILINE)
_FOR_READERS = re.compile(r"^[ \t]*(?://[^\n]*\n|/\*.*?\*/[ \t]*\n|\n)|^[ \t]+", re.MULTILINE | re.DOTALL)


@cache
def bundle(entry: str) -> str:
    """Return the module `entry` and all that it imports as one script, each module once, before those that need it.

    All share one scope: no two modules may declare the same name.
    """
    found: dict[Path, str] = {}
    _add(STATIC / entry, found)
    return slim("".join(found.values()))


def slim(source: str) -> str:
    """Return a script or a style without what only people read: comments that have lines of their own, and indentation.

    No text in it may span lines, but for HTM's templates, which don't mind.
    """
    return _FOR_READERS.sub("", source)


def imports(source: str) -> list[str]:
    """Return what a module imports, as paths from where it is."""
    return [found["path"] for found in _IMPORT.finditer(source)]


def _add(path: Path, found: dict[Path, str]) -> None:
    if path in found:
        return
    source = path.read_text(encoding="utf-8")
    for imported in imports(source):
        _add(path.parent / imported, found)
    found[path] = _EXPORT.sub("", _IMPORT.sub("", source))
