"""Start spans: find the parent, give ids, and hand each span to whoever collects it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace import Span as OtelSpan

from autolog.context import _SUPPRESS_KEY, Block, _get_current, begin_block, innermost, innermost_step
from autolog.guard import guarded
from autolog.ids import moment, new_span_id, new_trace_id, now_ns
from autolog.model.span import Span, SpanType
from autolog.model.trace import TraceContext
from autolog.model.unrecorded import NO_SPAN, UnsampledSpan
from autolog.sampling import EVERYTHING, Sampling
from autolog.texts import text

_UNSET: Any = object()
_NOWHERE = Context()


class Tracer:
    """Start spans and hand them on when they start and when they end."""

    def __init__(
        self,
        on_start: Callable[[Span], None],
        on_end: Callable[[Span], None],
        experiment: str = "default",
        *,
        on_sampled_out: Callable[..., None] = lambda **_: None,
    ) -> None:
        self.enabled = True
        self.sampling: Sampling | None = None
        """Which traces are recorded; `None` for all that are not left out elsewhere."""
        self.experiment = experiment
        self.duplicates = "nest"
        """What becomes of an SDK's span of a model call that a framework has a span of: `nest`, `merge` or `drop`."""
        self.capture_user = True
        """Whether spans of other libraries may say who the end user is."""
        self.version: str | None = None
        self.last_trace_id: int | None = None
        self.on_root: Callable[[Span], None] | None = None
        """Whoever wants to know of each trace that begins."""
        self._thread = threading.local()
        self._on_start = on_start
        self._on_end = on_end
        self._on_sampled_out = on_sampled_out

    def start_span(
        self,
        name: str,
        span_type: SpanType = SpanType.UNKNOWN,
        *,
        parent: Span | None = None,
        inputs: Any = _UNSET,
        attributes: Mapping[str, Any] | None = None,
        start_time_ns: int | None = None,
        sampling_ratio: float | None = None,
    ) -> Span:
        """Start a span below `parent`, or below what runs here, or as the root of a new trace.

        It is not made current: use it in a `with` block for that, or end it yourself. Of traces that start here, the
        share `sampling_ratio` is recorded, whatever the settings and the rule say.
        """
        if not self.enabled:
            return NO_SPAN
        current = _get_current()
        if current.get(_SUPPRESS_KEY):
            return NO_SPAN
        above = parent if parent is not None else innermost(current)
        return self._start(current, above, name, span_type, inputs, attributes, start_time_ns, sampling_ratio)

    def start_apart(
        self,
        name: str,
        span_type: SpanType,
        parent: OtelSpan | None,
        *,
        inputs: Any = None,
        attributes: Mapping[str, Any] | None = None,
        start_time_ns: int | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> Span:
        """Start a span below `parent`, or as the root of a new trace that has these `fields`, whatever runs here."""
        if not self.enabled:
            return NO_SPAN
        given = _UNSET if inputs is None else inputs
        where = Context({_AMBIENT_KEY: dict(fields)}) if fields else _NOWHERE
        return self._start(where, parent, text(name), span_type, given, attributes, start_time_ns)

    def start_sdk_call(self, name: str, span_type: SpanType, **details: Any) -> Span:
        """Start the span of a model call as an SDK makes it, and mark it where a framework has a span of the same call."""
        above = innermost(_get_current())
        same = above.framework_call if type(above) is Span else None
        if same is None or (same.span_type is SpanType.EMBEDDING) is not (span_type is SpanType.EMBEDDING):
            return self.start_span(name, span_type, **details)
        if self.duplicates == "drop":
            return NO_SPAN
        span = self.start_span(name, span_type, parent=above, **details)
        span.mark_duplicate_of(same, merges=self.duplicates == "merge")
        return span

    def start_step(
        self,
        name: str,
        span_type: SpanType = SpanType.UNKNOWN,
        *,
        parent: Span | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Span:
        """Start the span of a step that a framework tells of, below the step that encloses it, or deeper.

        `parent` is the enclosing step that the framework names, if any; a span that was started inside of that goes
        before it.
        """
        if not self.enabled:
            return NO_SPAN
        current = _get_current()
        if current.get(_SUPPRESS_KEY):
            return NO_SPAN
        return self._start(current, innermost_step(current, parent), name, span_type, _UNSET, attributes, None)

    def start_mirror(self, name: str, ids: SpanContext, above: object, start_time_ns: int) -> Span:
        """Start our picture of a span of another OpenTelemetry library: it has that one's id, and is below `above`."""
        if type(above) is Span:
            span = Span(name, SpanType.UNKNOWN, above._trace_id, ids.span_id, above._span_id, start_time_ns)
            span._parent = above
            span._context = above._context
        elif type(above) is UnsampledSpan:
            self._on_sampled_out(is_root=False)
            return UnsampledSpan(name, SpanType.UNKNOWN, above._trace_id, above)
        else:
            around = None if above is None else _around(above)
            parent_id = None if around is None else around.span_id
            span = Span(name, SpanType.UNKNOWN, ids.trace_id, ids.span_id, parent_id, start_time_ns)
            self._begin_trace(span, _get_current())
            if self.sampling is not None or around is not None:
                fate = self._fate(ids.trace_id, around, None)
                if fate is not False:
                    span.is_foreign = True
                    return self._start_if_kept(span, fate, _UNSET, None, None)
                self._on_sampled_out(is_root=True)
                return UnsampledSpan(name, SpanType.UNKNOWN, ids.trace_id)
        span.is_foreign = True
        span._on_end = self._on_end
        self._on_start(span)
        return span

    def _start(
        self,
        current: Context,
        above: object,
        name: str,
        span_type: SpanType,
        inputs: Any,
        attributes: Mapping[str, Any] | None,
        start_time_ns: int | None,
        sampling_ratio: float | None = None,
    ) -> Span:
        # The rest of the constructor is plain stores: this is the path of every call.
        start_ns = now_ns() if start_time_ns is None else moment(start_time_ns)
        if type(above) is Span:
            span = Span(name, span_type, above._trace_id, new_span_id(), above._span_id, start_ns)
            span._parent = above
            span._context = above._context
        elif type(above) is UnsampledSpan:
            self._on_sampled_out(is_root=False)
            return UnsampledSpan(name, span_type, above._trace_id, above)
        else:
            around = None if above is None else _around(above)
            trace_id, parent_id = (new_trace_id(), None) if around is None else (around.trace_id, around.span_id)
            fate: bool | None = True
            is_sampled = self.sampling is not None or around is not None or sampling_ratio is not None
            if is_sampled:
                fate = self._fate(trace_id, around, sampling_ratio)
                if fate is False:
                    self.last_trace_id = self._thread.last_trace_id = trace_id
                    self._on_sampled_out(is_root=True)
                    return UnsampledSpan(name, span_type, trace_id)
            span = Span(name, span_type, trace_id, new_span_id(), parent_id, start_ns)
            self._begin_trace(span, current)
            if is_sampled:
                return self._start_if_kept(span, fate, inputs, attributes, sampling_ratio)
        span._on_end = self._on_end
        if inputs is not _UNSET:
            span.set_inputs(inputs)
        if attributes:
            span.set_attributes(attributes)
        self._on_start(span)
        return span

    def _begin_trace(self, root: Span, current: Context) -> None:
        context = root._context = TraceContext(self.experiment, version=self.version)
        self.last_trace_id = self._thread.last_trace_id = root._trace_id
        if _AMBIENT_KEY in current:
            _apply_ambient(current[_AMBIENT_KEY], context)
        if self.on_root is not None:
            with guarded:
                self.on_root(root)

    def _fate(self, trace_id: int, around: SpanContext | None, ratio: float | None) -> bool | None:
        """Return whether to record a trace, before a rule is asked; `around` is the span of elsewhere that it is in."""
        sampling = self.sampling or EVERYTHING
        return sampling.before(trace_id, around, ratio, asks=ratio is None and sampling.rule is not None)

    def _start_if_kept(
        self, span: Span, fate: bool | None, inputs: Any, attributes: Mapping[str, Any] | None, ratio: float | None
    ) -> Span:
        """Start the root of a trace, unless a rule leaves it out."""
        if inputs is not _UNSET:
            span.set_inputs(inputs)
        if attributes:
            span.set_attributes(attributes)
        sampling = self.sampling
        if ratio is None and sampling is not None and sampling.rule is not None:
            fate = sampling.ask(span)
        if fate is False:
            self._on_sampled_out(is_root=True)
            return UnsampledSpan(span.name, span.span_type, span._trace_id)
        if span._context is not None:
            span._context.sampled = fate
        span._on_end = self._on_end
        self._on_start(span)
        return span

    def last_trace_id_of_thread(self) -> int | None:
        """Return the id of the trace that this thread started last, or `None`."""
        found: int | None = getattr(self._thread, "last_trace_id", None)
        return found


def remote_span(trace_id: int, span_id: int) -> OtelSpan:
    """Return what stands for a span of elsewhere, of which only the ids are known."""
    return NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(1)))


def _around(above: object) -> SpanContext | None:
    """Return what is known of a current span of another OpenTelemetry library, or of another process."""
    if isinstance(above, OtelSpan):
        context = above.get_span_context()
        if context.is_valid:
            return context
    return None


def shared_tracer() -> Tracer:
    """Return the tracer of the client that the functions of the package share."""
    return _shared()


def _no_client() -> Tracer:
    raise LookupError("autolog.client is not imported")


_shared: Callable[[], Tracer] = _no_client


def share(tracer: Callable[[], Tracer]) -> None:
    """Say which tracer is shared; done once, by the module of the client."""
    global _shared
    _shared = tracer


_AMBIENT_KEY = otel_context.create_key("autolog-trace-fields")


def with_ambient(**fields: Any) -> Block:
    """Set fields of the traces that start from here on, until `context.end_block` of what is returned."""
    merged = dict(ambient())
    for name, value in fields.items():
        if value is not None:
            merged[name] = {**merged.get(name, {}), **value} if isinstance(value, dict) else value
    return begin_block(otel_context.set_value(_AMBIENT_KEY, merged, _get_current()))


def ambient() -> Mapping[str, Any]:
    """Return the fields that a trace would have that starts here."""
    found = _get_current().get(_AMBIENT_KEY)
    return found if isinstance(found, dict) else {}


def _apply_ambient(fields: object, context: TraceContext | None) -> None:
    if isinstance(fields, dict):
        for name, value in fields.items():
            setattr(context, name, dict(value) if isinstance(value, dict) else value)


def current_span() -> Span | None:
    """Return our span that runs here, or `None`."""
    span = innermost(_get_current())
    return span if type(span) is Span or type(span) is UnsampledSpan else None
