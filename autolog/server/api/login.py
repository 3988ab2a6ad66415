"""Who somebody is: a token, given once, that the browser keeps in a cookie which no script can read."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from autolog.server.access import Access, Tokens, cookie_of
from autolog.server.api.common import Json, access_of

router = APIRouter(tags=["session"])


class Given(BaseModel):
    """A token."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(max_length=1_000)


@router.get("/session")
def get_session(request: Request, access: Annotated[Access, Depends(access_of)]) -> Json:
    """Return whether a token is needed here, and what may be done with the one that was given."""
    return Json(_described(request.app.state.tokens, access))


@router.post("/session")
def begin_session(request: Request, given: Given) -> Response:
    """Have the browser keep a token from now on."""
    tokens: Tokens = request.app.state.tokens
    access = tokens.of_secret(given.token)
    if access is None:
        return JSONResponse({"error": "UnknownToken", "message": "this token is not known here"}, 401)
    response = Json(_described(tokens, access))
    keep(response, request, given.token)
    return response


@router.delete("/session", status_code=204)
def end_session(request: Request) -> Response:
    """Have the browser forget the token."""
    response = Response(status_code=204)
    response.delete_cookie(request.app.state.tokens.cookie, httponly=True, samesite="strict")
    return response


def keep(response: Response, request: Request, secret: str) -> None:
    """Set the cookie that stands for a token."""
    tokens: Tokens = request.app.state.tokens
    response.set_cookie(
        tokens.cookie, cookie_of(secret), max_age=30 * 86_400, httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip


def _described(tokens: Tokens, access: Access) -> dict[str, object]:
    rights = sorted(right.value for right in access.rights)
    return {"is_needed": bool(tokens), "rights": rights, "experiment": access.experiment, "name": access.name}
