"""Make a span of OpenTelemetry's SDK out of ours, by one of the conventions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from opentelemetry import trace as otel
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from autolog import semconv
from autolog.capture import Limits
from autolog.model.span import Span, SpanEvent, SpanType, StatusCode
from autolog.model.usage import Cost, TokenUsage
from autolog.otel.conventions import genai, openinference
from autolog.otel.conventions.values import Attributes, Told, all_valid

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_CLIENTS = frozenset({SpanType.CHAT_MODEL, SpanType.LLM, SpanType.EMBEDDING})
_STATUSES: Mapping[StatusCode, otel.StatusCode] = {
    StatusCode.UNSET: otel.StatusCode.UNSET,
    StatusCode.OK: otel.StatusCode.OK,
    StatusCode.ERROR: otel.StatusCode.ERROR,
    # It is an error there; `autolog.status` tells it from one.
    StatusCode.CANCELLED: otel.StatusCode.ERROR,
}
# Of a mirror, what OpenTelemetry has a place of its own for.
_PLACED = frozenset({semconv.SCOPE_NAME, semconv.SCOPE_VERSION, semconv.SPAN_KIND})


@dataclass(frozen=True, slots=True)
class Convention:
    """A way to name what a span tells."""

    attributes: Callable[[Told], Attributes]
    usage: Callable[[TokenUsage], Attributes]
    cost: Callable[[Cost], Attributes]
    trace: Callable[[Span], Attributes]


CONVENTIONS: Mapping[str, Convention] = {
    "gen_ai": Convention(genai.attributes, genai.usage, genai.cost, genai.trace),
    "openinference": Convention(openinference.attributes, openinference.usage, openinference.cost, openinference.trace),
}


class Converter:
    """Converts spans that have ended, for one resource, by one of the conventions."""

    def __init__(self, convention: str, resource: Resource, limits: Limits) -> None:
        self._convention = CONVENTIONS[convention]
        self._resource = resource
        self._limits = limits
        self._scope = InstrumentationScope("autolog", _version())
        self._longest = SpanLimits().max_span_attribute_length

    def convert(self, span: Span) -> ReadableSpan:
        """Return the span with its ids, times, status, events, links and attributes."""
        known = dict(span._attributes)
        return ReadableSpan(
            name=span.name,
            context=SpanContext(span._trace_id, span._span_id, False, _SAMPLED),
            parent=_parent(span),
            resource=self._resource,
            attributes=self._cut(all_valid(self._attributes(span, known))),
            events=[_event(event) for event in span._events or ()],
            links=[_link(link.trace_id, link.span_id, link.attributes) for link in span._links or ()],
            kind=_kind(span, known),
            instrumentation_scope=self._scope_of(known),
            status=_status(span),
            start_time=span.start_time_ns,
            end_time=span.end_time_ns,
        )

    def _attributes(self, span: Span, known: Mapping[str, Any]) -> Attributes:
        convention, context = self._convention, span.trace_context
        found: Attributes = {semconv.SPAN_TYPE: str(span.span_type)}
        found.update(convention.attributes(Told(span, self._limits)))
        # A call that two libraries tell of is counted where it is told first; who sums over spans must not count it twice.
        if semconv.DUPLICATE_OF not in known:
            if span._usage is not None:
                found.update(convention.usage(span._usage))
            if span._cost is not None:
                found.update(convention.cost(span._cost))
        if context is not None:
            found[semconv.SESSION_ID] = context.session
            found[semconv.USER_ID] = context.user
        if span._parent is None:
            found.update(convention.trace(span))
        if span._status.code is StatusCode.CANCELLED:
            found[semconv.STATUS] = str(StatusCode.CANCELLED)
        told = {name: value for name, value in found.items() if value is not None}
        return {**{name: value for name, value in known.items() if name not in _PLACED}, **told}

    def _cut(self, attributes: Attributes) -> Attributes:
        """Cut texts at OpenTelemetry's own limit, where one is set."""
        longest = self._longest
        if longest is None:
            return attributes
        return {name: value[:longest] if isinstance(value, str) else value for name, value in attributes.items()}

    def _scope_of(self, known: Mapping[str, Any]) -> InstrumentationScope:
        name = known.get(semconv.SCOPE_NAME)
        return InstrumentationScope(name, known.get(semconv.SCOPE_VERSION)) if isinstance(name, str) else self._scope


def _version() -> str | None:
    try:
        return version("autolog-tracing")
    except PackageNotFoundError:
        return None


def _parent(span: Span) -> SpanContext | None:
    if span._parent_id is None:
        return None
    return SpanContext(span._trace_id, span._parent_id, span._parent is None, _SAMPLED)


def _kind(span: Span, known: Mapping[str, Any]) -> SpanKind:
    named = SpanKind.__members__.get(str(known.get(semconv.SPAN_KIND)))
    if named is not None:
        return named
    return SpanKind.CLIENT if span.span_type in _CLIENTS and not span.is_foreign else SpanKind.INTERNAL


def _status(span: Span) -> otel.Status:
    status = span._status
    code = _STATUSES[status.code]
    if code is not otel.StatusCode.ERROR:
        return otel.Status(code)
    return otel.Status(code, status.description or ("cancelled" if status.code is StatusCode.CANCELLED else None))


def _event(event: SpanEvent) -> Event:
    return Event(event.name, all_valid(event.attributes), event.timestamp_ns)


def _link(trace_id: str, span_id: str, attributes: Mapping[str, Any]) -> otel.Link:
    return otel.Link(SpanContext(int(trace_id, 16), int(span_id, 16), True), all_valid(attributes))
