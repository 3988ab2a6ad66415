"""The server, put together: what guards it, its interface, its pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from autolog import __version__
from autolog.server import otlp
from autolog.server.api import assessments, changes, export, filters, health, spans, traces
from autolog.server.errors import HANDLERS
from autolog.server.live import Changes
from autolog.viewer.bundle import STATIC as VIEWER

if TYPE_CHECKING:
    from autolog.client import Client

STATIC = Path(__file__).parent / "static"

ROUTERS: tuple[APIRouter, ...] = (
    traces.router, spans.router, assessments.router, changes.router, export.router, filters.router, health.router,
)  # fmt: skip


def create_app(client: Client) -> FastAPI:
    """Return the server of a client's store, as an ASGI application."""
    app = FastAPI(title="autolog", version=__version__, openapi_url="/api/openapi.json", docs_url=None, redoc_url=None)
    app.state.client = client
    app.state.changes = Changes(client.version)
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)
    for router in ROUTERS:
        app.include_router(router, prefix="/api")
    app.include_router(otlp.router)
    app.mount("/static/viewer", StaticFiles(directory=VIEWER), name="viewer")
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_api_route("/", _index, include_in_schema=False)
    return app


def _index() -> Response:
    return FileResponse(STATIC / "index.html")
