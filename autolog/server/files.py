"""The files of the page: kept by browsers for ever below an address that changes with them."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from autolog.viewer.bundle import LIBRARY, imports, slim
from autolog.viewer.bundle import STATIC as VIEWER

STATIC = Path(__file__).parent / "static"
_PREFIX = "v-"


def version() -> str:
    """Return what changes when any file of the page does."""
    found = hashlib.blake2b(digest_size=6)
    for folder in (STATIC, VIEWER):
        for path in sorted(folder.rglob("*")):
            told = path.stat()
            found.update(f"{path.name} {told.st_mtime_ns} {told.st_size}\n".encode())
    return _PREFIX + found.hexdigest()


def index() -> Response:
    """Return the page: its scripts, and all that they import, are asked for by their version."""
    text = (STATIC / "index.html").read_text(encoding="utf-8").replace("<!-- modules -->", _links(version()))
    return HTMLResponse(text.replace('"static/', f'"static/{version()}/'))


_ENTRIES = {"list": "list.js", "trace": "alone.js"}
"""The pages that are opened first, mostly; `preload.js` knows them by these names."""


@lru_cache(1)
def _links(of: str) -> str:  # noqa: ARG001 - whoever asks for another version gets its links
    """Return links to the modules of the page, and to those of what it shows first: see `preload.js`."""
    always = _needed("app.js", set())
    pages = {name: _needed(entry, set()) - always for name, entry in _ENTRIES.items()}
    first = [f'<link rel="modulepreload" href="static/{path}">' for path in sorted(always - {"app.js"})]
    for path in sorted(set().union(*pages.values())):
        used = " ".join(name for name, needed in pages.items() if path in needed)
        first.append(f'<link data-page="{used}" href="static/{path}">')
    return "\n".join(first)


def _needed(path: str, found: set[str]) -> set[str]:
    """Add a module, and all that it imports, to `found`; return that."""
    if path not in found:
        found.add(path)
        for imported in imports(_file(path).read_text(encoding="utf-8")):
            _needed(str(PurePosixPath(path).parent / imported), found)
    return found


def _file(path: str) -> Path:
    folder, _, below = path.partition("/")
    return VIEWER / below if folder == "viewer" else STATIC / path


class _Slim(StaticFiles):
    """A folder whose scripts and styles are sent without what only people read."""

    def file_response(self, full_path: Any, stat_result: Any, scope: Scope, status_code: int = 200) -> Response:
        """Return the file, slim where it is one of ours."""
        path = Path(full_path)
        if path.suffix not in (".js", ".css") or path == LIBRARY:
            return super().file_response(full_path, stat_result, scope, status_code)
        kind = "text/javascript" if path.suffix == ".js" else "text/css"
        return Response(slim(path.read_text(encoding="utf-8")), status_code, media_type=kind)


class Files:
    """Serves `static/…`, the viewer's files below `static/viewer/…`; with a version in front, as never changing."""

    def __init__(self) -> None:
        self._folders = {"viewer": _Slim(directory=VIEWER), "": _Slim(directory=STATIC)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        path: str = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
        asked, _, rest = path.partition("/")
        is_versioned = asked.startswith(_PREFIX)
        rest = rest if is_versioned else path
        folder, _, below = rest.partition("/")
        files, inside = (self._folders["viewer"], below) if folder == "viewer" else (self._folders[""], rest)
        response = await files.get_response(str(PurePath(inside)), scope)
        if is_versioned and asked == version() and response.status_code == 200:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        await response(scope, receive, send)
