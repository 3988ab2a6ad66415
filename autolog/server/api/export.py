"""Traces to take away."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from autolog import transfer
from autolog.server.api.common import Asked, TheClient, attachment

router = APIRouter(tags=["export"])

_CONTENT: dict[str, Any] = {media_type.partition(";")[0]: {} for media_type in transfer.MEDIA_TYPES.values()}


@router.get("/export", response_class=StreamingResponse, responses={200: {"content": _CONTENT}})
def export(
    client: TheClient,
    asked: Asked,
    form: Annotated[transfer.Format, Query(alias="format", description="Whole traces, or a row a trace")] = "jsonl",
    trace_ids: Annotated[str | None, Query(description="Only these, separated by commas")] = None,
) -> StreamingResponse:
    """Return traces as a file: those that meet the filter, or those of the ids."""
    ids = None if trace_ids is None else [one.strip() for one in trace_ids.split(",") if one.strip()]
    found = transfer.chunks(client, form, asked.filter, trace_ids=ids, **asked.conditions)
    name = f"traces-{datetime.now(timezone.utc):%Y-%m-%d-%H%M%S}.{form}"
    return StreamingResponse(found, headers=attachment(name), media_type=transfer.MEDIA_TYPES[form])
