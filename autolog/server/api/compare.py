"""Two traces beside each other: their spans aligned, and what is different in a pair of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from autolog.compare import Comparison, compare, compare_outlines
from autolog.errors import InvalidQuery
from autolog.model.difference import compare_spans
from autolog.model.outline import Outline, outline
from autolog.server.api.common import Json, TheClient, span_of
from autolog.viewer import document

router = APIRouter(tags=["compare"])

_MOST_READ = 10_000
"""Spans of both traces whose inputs and outputs are compared too."""

_Id = Annotated[str, Query(description="A trace's id, 32 hex digits")]
_SpanOf = Annotated[str | None, Query(description="A trace's id, a colon and a span's; left out where there is none")]


@router.get("/compare")
def compare_traces(client: TheClient, left: _Id, right: _Id) -> Json:
    """Return the spans of both traces as one tree: a row for each pair, and for each span that only one of them has.

    `differs` says what is not the same in both: `name`, `status`, `model`, `tokens`, and, of traces that are not very
    large, `inputs`, `outputs` and `parameters`.
    """
    outlines = client.get_outline(left), client.get_outline(right)
    if sum(len(one.spans) for one in outlines) > _MOST_READ:
        return Json(_told(compare_outlines(*outlines), *outlines, is_shallow=True))
    traces = client.get_trace(left), client.get_trace(right)
    return Json(_told(compare(*traces), outline(traces[0]), outline(traces[1]), is_shallow=False))


def _told(found: Comparison, left: Outline, right: Outline, *, is_shallow: bool) -> dict[str, Any]:
    of_left, of_right = ({row[0]: row for row in document.rows(one)} for one in (left, right))
    return {
        "left": found.left.to_dict(),
        "right": found.right.to_dict(),
        "rows": [
            {
                "depth": row.depth,
                "left": None if row.left is None else of_left[row.left.span_id],
                "right": None if row.right is None else of_right[row.right.span_id],
                "change": row.change,
                "differs": list(row.differs),
            }
            for row in found.rows
        ],
        "counts": found.counts(),
        "is_shallow": is_shallow,
    }


@router.get("/compare/span")
def compare_pair(client: TheClient, left: _SpanOf = None, right: _SpanOf = None) -> Json:
    """Return every field of two spans with what is different in it: pieces of text with `=`, `-` or `+`."""
    if not left and not right:
        raise InvalidQuery("say which spans to compare: left, right, or both")
    spans = (span_of(client, left) if left else None, span_of(client, right) if right else None)
    return Json({"fields": [field.to_dict() for field in compare_spans(*spans)]})
