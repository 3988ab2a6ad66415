"""One HTML page that shows a trace and loads nothing: what a file holds, and a notebook's frame."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
from functools import cache
from typing import Any

from autolog import capture
from autolog.viewer.bundle import LIBRARY, STATIC, bundle

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body data-place="{place}">
<div id="viewer"></div>
<script type="application/gzip" id="document">{data}</script>
<script>{library}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def page(document: dict[str, Any], *, title: str, place: str = "file") -> str:
    """Return the page of a document; `place` is `file`, or `notebook` where there is less room."""
    script, style, library, policy = _parts()
    packed = gzip.compress(capture.json_bytes(document), mtime=0)
    return _PAGE.format(
        policy=policy, title=html.escape(title), style=style, place=place, library=library, script=script,
        data=base64.b64encode(packed).decode(),
    )  # fmt: skip


@cache
def _parts() -> tuple[str, str, str, str]:
    script = bundle("inline.js")
    style = (STATIC / "viewer.css").read_text(encoding="utf-8")
    library = LIBRARY.read_text(encoding="utf-8")
    # By their hashes: whatever is in a trace, no other script runs, and nothing is loaded.
    policy = (
        f"default-src 'none'; script-src {_hash(library)} {_hash(script)}; style-src {_hash(style)}; "
        "img-src data: blob:; media-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    return script, style, library, policy


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
