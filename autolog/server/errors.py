"""What a request is answered that can't be done: the error's own words, and the status that fits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from autolog.errors import (
    InvalidAssessment,
    InvalidDataset,
    InvalidQuery,
    InvalidSetting,
    InvalidTrace,
    NotAllowed,
    NotFound,
    StoreError,
    Unavailable,
)
from autolog.server.bodies import BodyError

_STATUSES: Mapping[type[Exception], int] = {
    InvalidQuery: 400,
    InvalidTrace: 400,
    InvalidAssessment: 400,
    InvalidDataset: 400,
    InvalidSetting: 400,
    NotAllowed: 403,
    NotFound: 404,
    StoreError: 503,
    Unavailable: 501,
}
_NAMES: Mapping[int, str] = {
    400: "InvalidRequest", 404: "NotFound", 405: "WrongMethod", 413: "TooLarge", 415: "UnknownContent",
}  # fmt: skip
_MOST_TOLD = 5


async def _explained(_request: Request, error: Exception) -> Response:
    status = next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)
    return _answer(status, type(error).__name__, str(error))


async def _unread(_request: Request, error: BodyError) -> Response:
    return _answer(error.status, "BodyError", str(error))


async def _refused(_request: Request, error: Any) -> Response:
    """Answer what the framework refuses: an unknown path, a wrong method, a body that is too large."""
    return _answer(error.status_code, _NAMES.get(error.status_code, "Refused"), str(error.detail), error.headers)


async def _not_valid(_request: Request, error: Any) -> Response:
    """Answer a request whose parameters or body are not what they should be."""
    told = [f"{'.'.join(map(str, one['loc'][1:])) or 'the body'}: {one['msg']}" for one in error.errors()]
    return _answer(400, "InvalidRequest", "; ".join(told[:_MOST_TOLD]))


async def _failed(_request: Request, error: Exception) -> Response:
    """Answer after a mistake of ours, which the log tells in full."""
    return _answer(500, "InternalError", f"the server made a mistake ({type(error).__name__}); its log has more")


def _answer(status: int, name: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    # Of a request, any text may come back here.
    told = {"error": name, "message": message.encode("utf-8", "replace").decode()}
    return JSONResponse(told, status, None if headers is None else dict(headers))


HANDLERS: Mapping[type[Exception], Callable[[Request, Any], Awaitable[Response]]] = {
    **dict.fromkeys(_STATUSES, _explained),
    BodyError: _unread,
    HTTPException: _refused,
    RequestValidationError: _not_valid,
    Exception: _failed,
}
