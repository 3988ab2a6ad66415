"""Traces: lists of them, one of them, and its spans."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from autolog.server.api.common import Json, TheClient
from autolog.viewer import document

router = APIRouter(tags=["traces"])

_LONGEST = 100_000
"""Characters that are sent of one text; the rest when it is asked for."""


@router.get("/traces")
def list_traces(
    client: TheClient,
    filter: str | None = None,  # noqa: A002 - the name of the field's standard
    order_by: str | None = None,
    page_token: str | None = None,
    limit: int = 50,
) -> Json:
    """Return a page of the traces that meet the filter, newest first or as `order_by` says."""
    orders = [part.strip() for part in order_by.split(",")] if order_by else None
    found: Any = client.search_traces(
        filter, order_by=orders, page_token=page_token, max_results=limit, include_spans=False, return_type="list"
    )
    return Json({"traces": [info.to_dict() for info in found], "next_page_token": found.token})


@router.get("/traces/{trace_id}")
def get_trace(client: TheClient, trace_id: str) -> Json:
    """Return a trace with the outlines of its spans, as the viewer takes it."""
    return Json(document.document(client.get_outline(trace_id)))


@router.get("/traces/{trace_id}/spans/{span_id}")
def get_span(client: TheClient, trace_id: str, span_id: str) -> Json:
    """Return all that is known of a span; of very long texts only the beginning."""
    return Json(document.span_document(client.get_span(trace_id, span_id), _LONGEST))
