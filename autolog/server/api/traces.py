"""Traces: lists of them, one of them, its spans, and what can be done to many at once."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi import Path as Place
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import PlainTextResponse, Response

from autolog import capture
from autolog.client import Client
from autolog.errors import InvalidQuery, NotFound
from autolog.model.outline import outline
from autolog.server.api.common import Asked, Json, Limit, PageToken, TheClient, TraceId, attachment
from autolog.viewer import document
from autolog.viewer.page import page

router = APIRouter(tags=["traces"])

_LONGEST = 100_000
"""Characters that are sent of one text; the rest when it is asked for."""
_MOST_COUNTED = 10_000
_ROOM = 20_000_000
"""Characters of the texts of a saved page."""

SpanId = Annotated[str, Place(description="16 hex digits")]


class Which(BaseModel):
    """The traces that something is done to: those of the ids, or those that meet the filter."""

    model_config = ConfigDict(extra="forbid")

    trace_ids: list[str] | None = Field(None, max_length=100_000)
    filter: str | None = None


class TagChanges(BaseModel):
    """Tags to set, and those to take away."""

    model_config = ConfigDict(extra="forbid")

    trace_ids: list[str] = Field(max_length=100_000)
    set: dict[str, str] = Field(default_factory=dict)
    remove: list[str] = Field(default_factory=list)


@router.get("/traces")
def list_traces(
    client: TheClient,
    asked: Asked,
    order_by: Annotated[str | None, Query(description="Such as `duration DESC, name`; newest first without")] = None,
    page_token: PageToken = None,
    limit: Limit = 50,
) -> Json:
    """Return a page of the traces that meet the filter, newest first or as `order_by` says."""
    found = asked.infos(client, order_by=order_by or None, page_token=page_token, max_results=limit)
    return Json({"traces": [info.to_dict() for info in found], "next_page_token": found.token})


@router.get("/count")
def count_traces(client: TheClient, asked: Asked) -> Json:
    """Return how many traces meet the filter; beyond 10,000, or what takes a second, only that there are that many."""
    counted = client.count_traces(asked.filter, most=_MOST_COUNTED, **asked.conditions)
    return Json({"count": counted.count, "is_exact": counted.is_exact})


@router.get("/traces/{trace_id}")
def get_trace(client: TheClient, trace_id: TraceId) -> Json:
    """Return a trace with the outlines of its spans, as the viewer takes it."""
    return Json(document.document(client.get_outline(trace_id)))


@router.get("/traces/{trace_id}/spans/{span_id}")
def get_span(client: TheClient, trace_id: TraceId, span_id: SpanId) -> Json:
    """Return all that is known of a span; of very long texts only the beginning."""
    return Json(document.span_document(client.get_span(trace_id, span_id), _LONGEST))


@router.get("/traces/{trace_id}/spans/{span_id}/text", response_class=PlainTextResponse)
def get_text(
    client: TheClient,
    trace_id: TraceId,
    span_id: SpanId,
    pointer: Annotated[str, Query(description="Where it is in the span's detail, by RFC 6901: `/inputs/question`")],
) -> Response:
    """Return the whole of a text that was shortened; what is no text comes as JSON."""
    found = document.at(document.detail(client.get_span(trace_id, span_id)), pointer)
    content = found.encode("utf-8", "replace") if isinstance(found, str) else capture.json_bytes(found)
    return PlainTextResponse(content)


@router.get("/traces/{trace_id}/data")
def get_data(client: TheClient, trace_id: TraceId) -> Json:
    """Return all that is stored of a trace, as `Trace.to_dict()` has it."""
    return Json(client.get_trace(trace_id).to_dict())


@router.get("/traces/{trace_id}/html", response_class=Response, responses={200: {"content": {"text/html": {}}}})
def get_html(client: TheClient, trace_id: TraceId) -> Response:
    """Return a trace as one HTML file that needs no other, to keep or to send."""
    trace = client.get_trace(trace_id)
    saved = page(document.document(outline(trace), trace.spans, document.Texts(room=_ROOM)), title=trace.name)
    return Response(saved, headers=attachment(f"trace-{trace_id}.html"), media_type="text/html")


@router.post("/traces/delete")
def delete_traces(client: TheClient, which: Which) -> Json:
    """Delete traces, by their ids or by a filter; with both, those of the ids that meet the filter."""
    return Json({"deleted": client.delete_traces(which.trace_ids, filter_string=which.filter)})


@router.post("/traces/tags")
def change_tags(client: TheClient, changes: TagChanges) -> Json:
    """Set tags of traces and take others away; return how many traces there were."""
    if not changes.set and not changes.remove:
        raise InvalidQuery("say which tags to `set`, or to `remove`")
    told: dict[str, str | None] = {**dict.fromkeys(changes.remove), **changes.set}
    return Json({"changed": sum(_has_changed(client, trace_id, told) for trace_id in changes.trace_ids)})


def _has_changed(client: Client, trace_id: str, told: dict[str, str | None]) -> bool:
    try:
        client.change_trace_tags(trace_id, told)
    except NotFound:  # deleted by somebody else meanwhile
        return False
    return True
