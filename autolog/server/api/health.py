"""Whether the server is well."""

from __future__ import annotations

from fastapi import APIRouter

from autolog import __version__
from autolog.server.api.common import Json, TheClient

router = APIRouter(tags=["health"])


@router.get("/health")
def health(client: TheClient) -> Json:
    """Return that the server answers, its version, and which store it is of."""
    return Json({"status": "ok", "version": __version__, "store": client.location})
