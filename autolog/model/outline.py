"""A trace's spans without what went in and came out: all that its tree and its waterfall show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from autolog import semconv
from autolog.model.span import Span
from autolog.model.trace import Trace, TraceInfo


class SpanOutline(NamedTuple):
    """A span as its line in the tree shows it."""

    span_id: str
    parent_id: str | None
    name: str
    span_type: str
    status: str
    start_time_ns: int
    end_time_ns: int | None
    first_token_ns: int | None
    """From the start to the first piece of the answer."""
    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    """US dollars."""
    error_type: str | None
    is_duplicate: bool = False
    """Whether it is the same call as the model call above it."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A trace whose spans are outlines, oldest first."""

    info: TraceInfo
    spans: tuple[SpanOutline, ...]


def outline(trace: Trace) -> Outline:
    """Return the outline of a trace that is at hand."""
    return Outline(
        trace.info, tuple(sorted(map(_outlined, trace.spans), key=lambda span: (span.start_time_ns, span.span_id)))
    )


def _outlined(span: Span) -> SpanOutline:
    attributes, usage = span.attributes, span.usage
    return SpanOutline(
        span.span_id,
        span.parent_id,
        span.name,
        str(span.span_type),
        str(span.status.code),
        span.start_time_ns,
        span.end_time_ns,
        first_token_ns(span),
        span.model,
        None if usage is None else usage.input_tokens,
        None if usage is None else usage.output_tokens,
        None if span.cost is None else span.cost.total,
        attributes.get(semconv.ERROR_TYPE),
        semconv.DUPLICATE_OF in attributes,
    )


_LONGEST_SECONDS = 1e9


def first_token_ns(span: Span) -> int | None:
    """Return the time from the span's start to the first piece of its answer, where it is known."""
    seconds = span.attributes.get(semconv.RESPONSE_TIME_TO_FIRST_CHUNK)
    return int(seconds * 1e9) if isinstance(seconds, (int, float)) and 0 <= seconds < _LONGEST_SECONDS else None
