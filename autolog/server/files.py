"""The files of the page: kept by browsers for ever below an address that changes with them."""

from __future__ import annotations

import hashlib
import mimetypes
import posixpath
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from autolog.viewer.bundle import LIBRARY, imports, slim
from autolog.viewer.bundle import STATIC as VIEWER

STATIC = Path(__file__).parent / "static"
_PREFIX = "v-"
_SOURCES = (".js", ".css")


def version() -> str:
    """Return what changes when any file of the page does, a second later."""
    return _version(int(time.monotonic()))


@lru_cache(1)
def _version(of: int) -> str:  # noqa: ARG001 - the second that it was looked at in
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


_ENTRIES = {"list": "traces/list.js", "trace": "traces/alone.js"}
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
            _needed(posixpath.normpath(posixpath.join(posixpath.dirname(path), imported)), found)
    return found


def _file(path: str) -> Path:
    folder, _, below = path.partition("/")
    return VIEWER / below if folder == "viewer" else STATIC / path


@dataclass(frozen=True, slots=True)
class _Sent:
    """A file as it is sent."""

    content: bytes
    kind: str
    etag: str


@lru_cache(1)
def _all(of: str) -> dict[str, _Sent]:  # noqa: ARG001 - as above
    """Return every file by its path below `static/`."""
    places = ((STATIC, ""), (VIEWER, "viewer/"))
    return {
        prefix + path.relative_to(folder).as_posix(): _sent(path)
        for folder, prefix in places
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _sent(path: Path) -> _Sent:
    content = path.read_bytes()
    if path.suffix in _SOURCES and path != LIBRARY:
        content = slim(content.decode()).encode()
    kind = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0] or "text/plain"
    return _Sent(content, kind, f'"{hashlib.blake2b(content, digest_size=8).hexdigest()}"')


class Files:
    """Serves `static/…`, the viewer's files below `static/viewer/…`; with a version in front, as never changing.

    Scripts and styles are sent without what only people read.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await _answer(scope)(scope, receive, send)


def _answer(scope: Scope) -> Response:
    if scope["method"] not in ("GET", "HEAD"):
        return PlainTextResponse("Method Not Allowed", 405, {"Allow": "GET, HEAD"})
    path: str = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
    asked, _, rest = path.partition("/")
    is_versioned = asked.startswith(_PREFIX)
    now = version()
    found = _all(now).get(rest if is_versioned else path)
    if found is None:
        return PlainTextResponse("Not Found", 404)
    is_lasting = is_versioned and asked == now
    headers = {
        "ETag": found.etag,
        "Cache-Control": "public, max-age=31536000, immutable" if is_lasting else "no-cache",
    }
    known = Headers(scope=scope).get("if-none-match", "")
    if found.etag in [one.strip().removeprefix("W/") for one in known.split(",")]:
        return Response(None, 304, headers)
    return Response(found.content, 200, headers, found.kind)
