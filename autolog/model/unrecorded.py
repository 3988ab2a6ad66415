"""Spans that record nothing: what is given out while tracing is off, and in traces that are not sampled."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from opentelemetry import trace as otel

from autolog.ids import new_span_id, now_ns
from autolog.model.span import Span, SpanType

if TYPE_CHECKING:
    from typing_extensions import Self


class _NoSpan(Span):
    """The span that is given out while tracing is off: takes everything, keeps nothing."""

    def __init__(self) -> None:
        super().__init__("", SpanType.UNKNOWN, 0, 0)

    def _nothing(self, *_args: Any, **_kwargs: Any) -> None:
        return None

    set_inputs = set_outputs = set_attribute = set_attributes = remove_attribute = set_usage = set_cost = _nothing
    set_span_type = set_status = set_events = add_event = set_links = add_link = update_name = _nothing
    record_exception = record_failure = left_by = fail_with = mark_duplicate_of = absorb = defer = _nothing
    end = drop = replace_texts = rewrite = _nothing

    def is_recording(self) -> bool:
        return False

    def get_span_context(self) -> otel.SpanContext:
        return otel.INVALID_SPAN_CONTEXT

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


NO_SPAN: Span = _NoSpan()


class UnsampledSpan(_NoSpan):
    """A span of a trace that is not recorded: it keeps nothing, and what starts below it is not recorded either."""

    def __init__(self, name: str, span_type: SpanType, trace_id: int, parent: Span | None = None) -> None:
        Span.__init__(self, name, span_type, trace_id, new_span_id(), None if parent is None else parent._span_id)
        self._parent = parent

    def end(self, *_args: Any, **_kwargs: Any) -> None:
        """Note that it ended: what starts elsewhere from now on is not below it."""
        if self.end_time_ns is None:
            self.end_time_ns = now_ns()

    def get_span_context(self) -> otel.SpanContext:
        return otel.SpanContext(self._trace_id, self._span_id, is_remote=False, trace_flags=otel.TraceFlags(0))

    # Current inside its block, as a span that is recorded would be.
    __enter__ = Span.__enter__
    __exit__ = Span.__exit__
