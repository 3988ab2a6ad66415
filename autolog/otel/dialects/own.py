"""Our own: what the conventions have no name for, as it is sent beside them."""

from __future__ import annotations

from collections.abc import Mapping

from autolog import semconv
from autolog.model.span import SpanType
from autolog.model.usage import Cost
from autolog.otel.given import Found, Given, fields


def read(given: Given, found: Found) -> None:
    """Read what there is of it."""
    kind = given.text(semconv.SPAN_TYPE)
    if kind is not None and kind in SpanType.__members__:
        found.is_of(SpanType[kind])
    if semconv.INPUTS in given:
        found.went_in(given.json(semconv.INPUTS))
    if semconv.OUTPUTS in given:
        found.came_out(given.json(semconv.OUTPUTS))
    amounts = [given.amount(f"{semconv.COST}.{name}") for name in ("input", "output", "total")]
    if found.cost is None and amounts[2] is not None:
        found.cost = Cost(*(amount or 0.0 for amount in amounts))
    found.experiment = found.experiment or given.text(semconv.EXPERIMENT)
    found.run = found.run or given.text(semconv.RUN)
    found.version = found.version or given.text(semconv.VERSION)
    given.take(semconv.STATUS)
    tags = given.json(semconv.TRACE_TAGS)
    found.is_tagged(tags if isinstance(tags, Mapping) else None)
    found.is_described(fields(given.json(semconv.TRACE_METADATA)))
