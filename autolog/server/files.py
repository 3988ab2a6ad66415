"""The files of the page: kept by browsers for ever below an address that changes with them."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePath

from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

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
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    return HTMLResponse(text.replace('"static/', f'"static/{version()}/'))


class Files:
    """Serves `static/…`, the viewer's files below `static/viewer/…`; with a version in front, as never changing."""

    def __init__(self) -> None:
        self._folders = {"viewer": StaticFiles(directory=VIEWER), "": StaticFiles(directory=STATIC)}

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
