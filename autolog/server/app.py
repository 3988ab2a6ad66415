"""The server, put together: what guards it, its interface, its pages."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from autolog import __version__
from autolog.server import files, otlp
from autolog.server.access import Token, Tokens
from autolog.server.api import (
    assessments,
    changes,
    compare,
    datasets,
    experiments,
    export,
    filters,
    health,
    login,
    sessions,
    spans,
    statistics,
    store,
    traces,
    values,
)
from autolog.server.errors import HANDLERS
from autolog.server.ingest import Ingest
from autolog.server.live import Changes
from autolog.server.security import Guard, Hosts

if TYPE_CHECKING:
    from autolog.client import Client

ROUTERS: tuple[APIRouter, ...] = (
    traces.router, spans.router, assessments.router, changes.router, export.router, filters.router, health.router,
    login.router, store.router, statistics.router, sessions.router, experiments.router, values.router,
    compare.router, datasets.router,
)  # fmt: skip


def create_app(
    client: Client, *, tokens: Iterable[Token] = (), host: str = "127.0.0.1", allow_hosts: Iterable[str] = ()
) -> FastAPI:
    """Return the server of a client's store, as an ASGI application.

    Without tokens, whoever reaches it may do everything. It answers to the names of this machine, to `host`, which it
    listens at, and to `allow_hosts`: names such as `traces.example.com` or `*.example.com` that a proxy gives it.
    """
    app = FastAPI(title="autolog", version=__version__, openapi_url="/api/openapi.json", docs_url=None, redoc_url=None)
    app.state.client = client
    app.state.tokens = Tokens(tokens)
    app.state.ingest = Ingest(client)
    app.state.changes = Changes(client.version)
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=1)
    app.add_middleware(Guard, tokens=app.state.tokens, hosts=Hosts(host, allow_hosts))
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)
    for router in ROUTERS:
        app.include_router(router, prefix="/api")
    app.include_router(otlp.router)
    app.mount("/static", files.Files(), name="static")
    app.openapi = partial(_described, app)  # type: ignore[method-assign]
    app.add_api_route("/", _index, methods=["GET", "HEAD"], include_in_schema=False)
    return app


_PROBLEM = {
    "type": "object",
    "required": ["error", "message"],
    "properties": {
        "error": {"type": "string", "description": "What kind of error, in one word"},
        "message": {"type": "string", "description": "What is wrong, and what to do"},
    },
}
_BEARER = {"type": "http", "scheme": "bearer", "description": "Needed where the server has tokens"}


def _described(app: FastAPI) -> dict[str, Any]:
    """Return the description of the interface, with errors as they are answered here."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, routes=app.routes)
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        for operation in (one for methods in found["paths"].values() for one in methods.values()):
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"description": "What can't be done", "content": content}
        parts = found.setdefault("components", {})
        for name in ("HTTPValidationError", "ValidationError"):
            parts.get("schemas", {}).pop(name, None)
        parts.setdefault("schemas", {})["Problem"] = _PROBLEM
        parts["securitySchemes"] = {"token": _BEARER}
        found["security"] = [{}, {"token": []}]
        app.openapi_schema = found
    return app.openapi_schema


def _index(request: Request) -> Response:
    given = request.query_params.get("token")
    if given is None:
        return files.index()
    # Kept in a cookie, and taken out of the address, which is shown, remembered and sent on.
    others = [pair for pair in parse_qsl(request.url.query) if pair[0] != "token"]
    response = RedirectResponse(f"./{'?' if others else ''}{urlencode(others)}", 303)
    if request.app.state.tokens and request.app.state.tokens.of_secret(given) is not None:
        login.keep(response, request, given)
    return response
