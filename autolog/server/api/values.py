"""The values that fields have, to complete what somebody types."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from autolog.server.api.common import Json, Limit, TheClient

router = APIRouter(tags=["search"])


@router.get("/values")
def list_values(
    client: TheClient,
    field: Annotated[str, Query(description="As a filter names it; `tags`, `metadata`, `feedback` for their keys")],
    prefix: str = "",
    experiment: str | None = None,
    limit: Limit = 50,
) -> Json:
    """Return values of a field: first those that begin with `prefix`, then those that have it somewhere."""
    return Json({"values": client.list_values(field, prefix, experiment=experiment or None, max_results=limit)})
