"""What all routes share: the client, and answers as JSON."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from autolog import capture
from autolog.client import Client


class Json(Response):
    """An answer as JSON, encoded by what encodes traces everywhere else."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return capture.json_bytes(content)


def client_of(request: Request) -> Client:
    """Return the client of the server's store."""
    found: Client = request.app.state.client
    return found


TheClient = Annotated[Client, Depends(client_of)]
