"""Make a finished trace of elsewhere part of another one, and end what was left open in one."""

from __future__ import annotations

from collections.abc import Sequence

from autolog import semconv
from autolog.errors import InvalidTrace
from autolog.ids import new_span_id
from autolog.model.span import Span, Status, StatusCode
from autolog.model.trace import Trace, TraceContext


def graft(trace: Trace, target: Span | None, *, open_too: bool = False) -> list[Span]:
    """Return copies of the trace's spans, below `target`, or as the trace that they are where it is `None`.

    Below a target they take its trace's id and new ids of their own, so that the same trace can be added twice.
    Raises `InvalidTrace` where a span has not ended, unless `open_too` takes those too.
    """
    for span in trace.spans:
        if span.end_time_ns is None and not open_too:
            raise InvalidTrace(f"{span.name!r} of trace {trace.trace_id} has not ended; end it, or add the trace later")
    context = _context(trace) if target is None else target.trace_context
    copies: dict[int, Span] = {}
    for span in trace.spans:
        span.resolve()
        copies[span._span_id] = one = span.copy()
        one._context = context
        if target is not None:
            one._trace_id, one._span_id = target._trace_id, new_span_id()
    for span in trace.spans:
        one = copies[span._span_id]
        above = copies.get(span._parent_id or 0, target)
        one._parent = None if above is one else above
        if one._parent is not None:
            one._parent_id = one._parent._span_id
    return list(copies.values())


def _context(trace: Trace) -> TraceContext:
    info = trace.info
    context = TraceContext(info.experiment, info.version)
    context.run, context.session, context.user = info.run, info.session, info.user
    context.tags, context.metadata = dict(info.tags), dict(info.metadata)
    context.client_request_id = info.client_request_id
    context.request_preview, context.response_preview = info.request_preview, info.response_preview
    return context


def end_forgotten(spans: Sequence[Span]) -> list[Span]:
    """End the open ones of a trace's spans, when the last thing that is known of the trace happened; return them."""
    forgotten = [span for span in spans if span.end_time_ns is None]
    last = max((moment for span in spans for moment in _moments(span)), default=0)
    by_id = {span._span_id: span for span in spans}
    for span in forgotten:
        span._parent = by_id.get(span._parent_id or 0)
        mark_forgotten(span)
        span.end(last)
    return forgotten


def _moments(span: Span) -> list[int]:
    return [span.start_time_ns, span.end_time_ns or 0, *(event.timestamp_ns for event in span.events)]


def mark_forgotten(span: Span) -> None:
    """Say of an open span that nobody ended it."""
    span.set_attribute(semconv.ERROR_TYPE, "forgotten")
    mark_abandoned(span, "nobody ended this span")


def mark_abandoned(span: Span, reason: str) -> None:
    """Say of an open span why it is ended in its program's stead, unless that knew how it went."""
    span.set_attribute(semconv.ABANDONED, True)
    if span.status.code is StatusCode.UNSET:
        span.set_status(Status(StatusCode.ERROR, reason))
