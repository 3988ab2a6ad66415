"""The language of filters: whether a text is one, and what it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query

from autolog.errors import InvalidQuery
from autolog.model.trace import TraceInfo
from autolog.search import fields
from autolog.search.fields import Kind, Scope
from autolog.search.filter import operators, parse
from autolog.server.api.common import Json, TheClient

router = APIRouter(tags=["filters"])

_LOOKED_AT = 200
"""Traces whose keys are told."""


@router.get("/filter")
def check_filter(text: Annotated[str, Query(description="What may be a filter")] = "") -> Json:
    """Return whether a text is a filter; where not, why, and the place, in UTF-16 units as JavaScript counts."""
    try:
        parse(text)
    except InvalidQuery as error:
        start, end = error.place or (0, len(text))
        # The text below the message shows the place, which the page does in its own way.
        said = str(error).partition("\n")[0]
        return Json({"ok": False, "message": said, "start": _units(text[:start]), "end": _units(text[:end])})
    return Json({"ok": True})


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@router.get("/fields")
def list_fields(client: TheClient) -> Json:
    """Return the fields that a filter can ask for: the language's own, and the keys that newer traces have."""
    newest: Any = client.search_traces(max_results=_LOOKED_AT, include_spans=False, return_type="list")
    found = [*fields.all_fields(), *sorted({field for info in newest for field in _keys(info)}, key=str)]
    return Json({"fields": [_described(field) for field in found]})


def _keys(info: TraceInfo) -> Iterator[fields.Field]:
    yield from (fields.Field(Scope.TAG, key) for key in info.tags)
    yield from (fields.Field(Scope.METADATA, key) for key in info.metadata)
    for one in info.assessments:
        yield fields.Field(Scope(one.kind), one.name)


def _described(field: fields.Field) -> dict[str, Any]:
    kind = "time" if field.kind is Kind.MOMENT else field.kind.name.lower()
    told = {"name": field.written(), "kind": kind, "title": field.title, "example": field.example}
    known = {"aliases": field.aliases, "values": field.choices}
    return {**told, "operators": operators(field.kind), **{name: value for name, value in known.items() if value}}
