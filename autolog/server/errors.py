"""What a request is answered that can't be done: the error's own words, and the status that fits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from autolog.errors import (
    InvalidAssessment,
    InvalidQuery,
    InvalidSetting,
    InvalidTrace,
    NotFound,
    StoreError,
    Unavailable,
)

_STATUSES: Mapping[type[Exception], int] = {
    InvalidQuery: 400,
    InvalidTrace: 400,
    InvalidAssessment: 400,
    InvalidSetting: 400,
    NotFound: 404,
    StoreError: 503,
    Unavailable: 501,
}


async def _explained(_request: Request, error: Exception) -> Response:
    status = next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)
    return JSONResponse({"error": type(error).__name__, "message": str(error)}, status)


HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = dict.fromkeys(
    _STATUSES, _explained
)
