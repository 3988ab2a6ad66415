"""Take the spans of OpenTelemetry's instrumentations into the same traces as our own.

Each of them has a mirror: a span of ours with its id, started and ended with it. Whatever starts below the one, in either
world, finds the other.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import cache, partial
from typing import Any

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.trace import SpanContext
from opentelemetry.trace.propagation import _SPAN_KEY

from autolog import semconv
from autolog.context import _SUPPRESS_KEY, MIRROR, _get_current, add_source, deeper, innermost, use_mirrors
from autolog.fork import call_in_child
from autolog.guard import guarded
from autolog.ids import format_span_id, format_trace_id
from autolog.model.span import Link, Span, SpanEvent, SpanType, Status, StatusCode
from autolog.otel.translate import USER_NAMES, describe, is_llm, span_type_of, take_failure
from autolog.tracer import Tracer, shared_tracer

logger = logging.getLogger("autolog")

Chooser = Callable[[sdk.ReadableSpan], bool]

_MODEL_CALLS = frozenset({SpanType.CHAT_MODEL, SpanType.LLM, SpanType.EMBEDDING})


def is_llm_span(span: sdk.ReadableSpan) -> bool:
    """Whether a span is of a model, a tool, a retriever or the like, by the attributes that it starts with or its scope."""
    scope = span.instrumentation_scope
    return is_llm(span.attributes or {}) or (scope is not None and scope.name.startswith(_LLM_SCOPES))


# Those whose spans start without an attribute that would tell.
_LLM_SCOPES = (
    "openinference.",
    "opentelemetry.instrumentation.langchain",
    "opentelemetry.instrumentation.llamaindex",
    "opentelemetry.instrumentation.openai",
    "pydantic-ai",
    "langfuse-sdk",
    "traceloop.",
    "mlflow",
)


class SpanProcessor(sdk.SpanProcessor):
    """Takes each span that a tracer provider records into the trace that runs here, and into the store.

    `only` leaves out the others: the names that scopes of instrumentations begin with, or a function of the span that
    has just started. `tracer` is the shared client's unless another one is given. Of a framework that `is_traced` by an
    integration of ours, by its name, no step is taken a second time.
    """

    def __init__(
        self,
        tracer: Callable[[], Tracer] = shared_tracer,
        *,
        only: Sequence[str] | Chooser | None = None,
        is_traced: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._tracer = tracer
        self._takes = _chooser(only)
        self._is_traced = is_traced
        self._is_on = True
        self._open: dict[int, tuple[weakref.ref[sdk.Span], Span]] = {}
        use_mirrors()
        call_in_child(self._begin_anew)

    def on_start(self, span: sdk.Span, parent_context: Context | None = None) -> None:
        """Start the mirror of a span."""
        if self._is_on:
            with guarded:
                self._start(span, parent_context)

    def on_end(self, span: sdk.ReadableSpan) -> None:
        """End the mirror of a span, with what that recorded."""
        ids = span.get_span_context()
        found = None if ids is None else self._open.pop(ids.span_id, None)
        if found is not None:
            with guarded:
                _end(found[1], span, capture_user=self._tracer().capture_user)

    def shutdown(self) -> None:
        """Take no more spans."""
        self._is_on = False

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the client's own flush() stores them
        """Do nothing: an ended mirror is on its way to the store, which `autolog.flush` waits for."""
        return True

    def _begin_anew(self) -> None:
        # In the child of a fork: what is open there is the parent's to end and to store.
        self._open = {}

    def _start(self, span: sdk.Span, given: Context | None) -> None:
        tracer, ids, current = self._tracer(), span.get_span_context(), _get_current()
        # One that is recorded only is for processors that ask for it; exporters take what is sampled.
        if not tracer.enabled or not ids.trace_flags.sampled or current.get(_SUPPRESS_KEY):
            return
        framework = _framework(span)
        above = self._above(current, given, is_sure=framework is not None)
        kind = span_type_of(span.attributes or {})
        same = _same_call(above, kind)
        is_told = (framework is not None and self._is_traced(framework)) or (
            same is not None and tracer.duplicates == "drop"
        )
        if is_told or not self._takes(span):
            if isinstance(above, Span):
                setattr(span, MIRROR, above)  # what is below it comes below what is above it
            return
        mirror = tracer.start_mirror(span.name, ids, above, span.start_time or 0)
        setattr(span, MIRROR, mirror)
        if type(mirror) is not Span:  # of a trace that our sampling leaves out, as all below it is
            return
        if mirror._trace_id != ids.trace_id and span.parent is None:
            # A root by OpenTelemetry's account, inside of a step of ours: there is one trace, which is the one that is
            # told to other processes too.
            span._context = SpanContext(mirror._trace_id, ids.span_id, False, ids.trace_flags, ids.trace_state)
        _take_type(mirror, kind)
        if same is not None:
            mirror.mark_duplicate_of(same, merges=tracer.duplicates == "merge")
        reference = weakref.ref(span, partial(self._lost, ids.span_id))
        self._open[ids.span_id] = reference, mirror
        if framework is not None:
            _enter(mirror, reference)

    def _above(self, current: Context, given: Context | None, *, is_sure: bool) -> Any:
        """Return what the mirror nests under: what OpenTelemetry says, or a step of a framework that is deeper.

        Who tells of steps by callbacks is sure of the parent that it names.
        """
        above = innermost(current)
        named = current.get(_SPAN_KEY) if given is None else given.get(_SPAN_KEY)
        if named is not current.get(_SPAN_KEY):
            # Whoever names the parent, or that there is none, knows better than any framework but for what lies below it.
            named = getattr(named, MIRROR, named)
            is_below = type(above) is Span and named is not None and deeper(above, named) is above
            above = above if is_below and not is_sure else named
        if type(above) is not Span and isinstance(above, otel.Span):  # which a program may know by its ids only
            known = self._open.get(above.get_span_context().span_id)
            above = above if known is None else known[1]
        while type(above) is Span and above.merges and above.duplicate_of is not None:
            above = above.duplicate_of
        return above

    def _lost(self, span_id: int, reference: weakref.ref[sdk.Span]) -> None:
        """End the mirror of a span that was forgotten before it ended."""
        found = self._open.get(span_id)
        if found is None or found[0] is not reference:
            return
        del self._open[span_id]
        with guarded:
            mirror = found[1]
            mirror.set_attribute(semconv.ABANDONED, True)
            mirror.set_status(Status.CANCELLED)
            mirror.end()


def _chooser(only: Sequence[str] | Chooser | None) -> Chooser:
    if only is None:
        return lambda _: True
    if callable(only):
        return only
    scopes = (only,) if isinstance(only, str) else tuple(only)
    return lambda span: span.instrumentation_scope is not None and span.instrumentation_scope.name.startswith(scopes)


def _same_call(above: object, kind: SpanType | None) -> Span | None:
    """Return the span of the model call that one of this kind below `above` tells of once more."""
    if type(above) is not Span or kind not in _MODEL_CALLS:
        return None
    same = above.framework_call or (above if above.span_type in _MODEL_CALLS else None)
    is_alike = same is not None and (same.span_type is SpanType.EMBEDDING) is (kind is SpanType.EMBEDDING)
    return same if is_alike else None


def _take_type(mirror: Span, kind: SpanType | None) -> None:
    if kind is not None:
        mirror.span_type = kind
        mirror.is_framework_call = kind in _MODEL_CALLS  # an SDK's span below it is of the same call


# Those that tell of steps by callbacks, and so can't make their spans current. The one that was started last in this
# context, and has not ended, is where we are.
_FRAMEWORKS: Mapping[str, str] = {
    "openinference.instrumentation.langchain": "langchain",
    "openinference.instrumentation.llama_index": "llama_index",
    "opentelemetry.instrumentation.langchain": "langchain",
    "opentelemetry.instrumentation.llamaindex": "llama_index",
}


def _framework(span: sdk.ReadableSpan) -> str | None:
    scope = span.instrumentation_scope
    return None if scope is None else _FRAMEWORKS.get(scope.name)


class _Step:
    """A step that was told by a callback, and the one that was open before it."""

    __slots__ = ("before", "mirror", "span")

    def __init__(self, mirror: Span, span: weakref.ref[sdk.Span], before: _Step | None) -> None:
        self.mirror = mirror
        self.span = span
        self.before = before


_step: ContextVar[_Step | None] = ContextVar("autolog-otel-step", default=None)


def _open_step() -> _Step | None:
    step = _step.get()
    while step is not None and step.mirror.end_time_ns is not None:
        step = step.before
    return step


def _enter(mirror: Span, span: weakref.ref[sdk.Span]) -> None:
    _step.set(_Step(mirror, span, _open_step()))
    _be_asked()


@cache
def _be_asked() -> None:
    add_source(_step_here)


def _step_here() -> Span | None:
    """Return the mirror of the step whose code runs here, as far as callbacks tell."""
    step = _open_step()
    if step is None:
        return None
    if step.mirror.span_type is SpanType.UNKNOWN:
        span = step.span()
        _take_type(step.mirror, None if span is None else span_type_of(span.attributes or {}))
    return step.mirror


def _end(mirror: Span, span: sdk.ReadableSpan, *, capture_user: bool) -> None:
    mirror.name = span.name
    events = [_event(event) for event in span.events]
    attributes = dict(span.attributes or {})
    if not capture_user:
        for name in USER_NAMES & attributes.keys():
            del attributes[name]
    mirror._links = [*map(_link, span.links)] or None
    if span.status.status_code is otel.StatusCode.ERROR or attributes.get(semconv.STATUS) == StatusCode.CANCELLED:
        take_failure(mirror, span.status.description, events, attributes)
    mirror.defer(partial(_describe, attributes, span.kind, span.instrumentation_scope, events))
    mirror.end(span.end_time)


def _describe(
    attributes: Mapping[str, Any], kind: otel.SpanKind, scope: Any, events: Sequence[SpanEvent], mirror: Span
) -> None:
    told = mirror.span_type
    mirror._events = None
    describe(mirror, attributes, events)
    same = _same_call(mirror._parent, mirror.span_type)
    if told is SpanType.UNKNOWN and same is not None:
        mirror.mark_duplicate_of(same)
    if kind is not otel.SpanKind.INTERNAL:
        mirror.set_attribute(semconv.SPAN_KIND, kind.name)
    if scope is not None:
        mirror.set_attribute(semconv.SCOPE_NAME, scope.name)
        mirror.set_attribute(semconv.SCOPE_VERSION, scope.version or None)


def _event(event: sdk.Event) -> SpanEvent:
    return SpanEvent(event.name, event.timestamp, dict(event.attributes or {}))


def _link(link: otel.Link) -> Link:
    ids = link.context
    return Link(format_trace_id(ids.trace_id), format_span_id(ids.span_id), dict(link.attributes or {}))


def collect(
    provider: otel.TracerProvider | None = None,
    *,
    only: Sequence[str] | Chooser | None = None,
    is_traced: Callable[[str], bool] = lambda _: False,
) -> Callable[[], None]:
    """Add a `SpanProcessor` to the given provider, or to the global one, made where there is none; return what undoes it.

    A provider that has one already keeps that one.
    """
    if provider is None:
        provider = _global_provider()
    provider = getattr(provider, "provider", provider)  # Logfire's, which wraps the SDK's
    add = getattr(provider, "add_span_processor", None)
    if add is None:
        raise TypeError(
            f"{type(provider).__name__} is no tracer provider of OpenTelemetry's SDK: it takes no processors"
        )
    known = _of_provider.get(provider)
    if known is not None and known._is_on:
        if only is not None:
            known._takes = _chooser(only)
        return known.shutdown
    processor = SpanProcessor(only=only, is_traced=is_traced)
    if known is not None:  # it can't be taken out of the provider, but can be used again
        known._takes, known._is_on = processor._takes, True
        return known.shutdown
    add(processor)
    _of_provider[provider] = processor
    return processor.shutdown


_of_provider: weakref.WeakKeyDictionary[Any, SpanProcessor] = weakref.WeakKeyDictionary()


def _global_provider() -> otel.TracerProvider:
    provider = otel.get_tracer_provider()
    if isinstance(provider, otel.ProxyTracerProvider):
        otel.set_tracer_provider(sdk.TracerProvider())
        provider = otel.get_tracer_provider()
    return provider
