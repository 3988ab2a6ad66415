"""Whether the server is well."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from autolog import __version__
from autolog.server.access import Access, Right
from autolog.server.api.common import Json, TheClient, access_of

router = APIRouter(tags=["health"])


@router.head("/health", include_in_schema=False)
@router.get("/health")
def health(client: TheClient, access: Annotated[Access, Depends(access_of)]) -> Json:
    """Return that the server answers; and to whoever may read, its version and which store it is of."""
    told = {"version": __version__, "store": client.location} if Right.READ in access.rights else {}
    return Json({"status": "ok", **told})
