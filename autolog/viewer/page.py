"""One HTML page that shows traces and loads nothing: what a file holds, and a notebook's frame."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from autolog import capture
from autolog.viewer.bundle import LIBRARY, STATIC, bundle, slim

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
{head}</head>
<body data-place="{place}">
<div id="viewer"></div>
<script type="application/gzip" id="document">{data}</script>
{scripts}</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What is the same in every page of a place."""

    policy: str
    head: str
    scripts: str
    pack: Callable[[bytes], str]
    """Writes what the page carries as text."""


def page(document: dict[str, Any], *, title: str, place: str = "file") -> str:
    """Return the page of a document; `place` is `file`, or `notebook`, whose document is `notebook.carried`."""
    parts = _PLACES[place]()
    return _PAGE.format(
        policy=parts.policy, title=html.escape(title), head=parts.head, place=place, scripts=parts.scripts,
        data=parts.pack(capture.json_bytes(document)),
    )  # fmt: skip


@cache
def _file() -> _Parts:
    style, library, script = _style("viewer.css"), LIBRARY.read_text(encoding="utf-8"), bundle("inline.js")
    scripts = f'<script>{library}</script>\n<script type="module">{script}</script>\n'
    return _Parts(_policy((library, script), [style]), f"<style>{style}</style>\n", scripts, _packed)


@cache
def _notebook() -> _Parts:
    # Every output of a notebook has the viewer in it: packed, it is a third as long.
    style, library = _style("viewer.css", "notebook.css"), LIBRARY.read_text(encoding="utf-8")
    script, loader = bundle("notebook.js"), bundle("loader.js")
    packed = _packed_tightly(f"{style}\0{library}\0{script}".encode())
    scripts = f'<script type="application/gzip" id="parts">{packed}</script>\n<script type="module">{loader}</script>\n'
    return _Parts(_policy((loader, library, script), _schemes(style)), "", scripts, _packed_tightly)


_PLACES = {"file": _file, "notebook": _notebook}


def _style(*names: str) -> str:
    return slim("".join((STATIC / name).read_text(encoding="utf-8") for name in names))


def _schemes(style: str) -> list[str]:
    """Return a style as it is, and as `loader.js` makes it dark or light where the notebook is so."""
    query = "(prefers-color-scheme: dark)"
    dark, light = style.replace(query, "all"), style.replace(query, "not all")
    return [style, f"{dark}:root{{color-scheme:dark}}", f"{light}:root{{color-scheme:light}}"]


def _policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    # By their hashes: whatever is in a trace, no other script runs, and nothing is loaded.
    return (
        f"default-src 'none'; script-src {' '.join(map(_hash, scripts))}; style-src {' '.join(map(_hash, styles))}; "
        "img-src data: blob:; media-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


# What base 85 has that an attribute would need more characters for, and what stands for it.
_FOR_ATTRIBUTES = str.maketrans("&<>`", ",./:")


def _packed_tightly(content: bytes) -> str:
    # A sixteenth shorter than base 64. `loader.js` reads it.
    return base64.b85encode(gzip.compress(content, mtime=0)).decode().translate(_FOR_ATTRIBUTES)


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
