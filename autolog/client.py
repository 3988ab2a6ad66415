"""A client: one tracer, one pipeline, one store, put together."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry.trace import Span as OtelSpan

from autolog.capture import Limits
from autolog.counters import Stats
from autolog.delivery import Delivery, Sender
from autolog.errors import InvalidQuery, InvalidSetting, InvalidTrace, NotFound
from autolog.fork import ForkLock
from autolog.ids import format_trace_id, now_ns, parse_id
from autolog.model.graft import end_forgotten, graft, mark_forgotten
from autolog.model.span import Span, SpanType
from autolog.model.trace import Trace, TraceState
from autolog.otel.deferred import Deferred, otlp_sender
from autolog.otel.target import Target, target, target_of_environment
from autolog.pipeline import Pipeline
from autolog.pricing import Pricing
from autolog.processing import Plan, Processor, check_processors, plan_of
from autolog.sampling import BY_SETTING, EVERYTHING, Sampling
from autolog.settings import Settings, from_environment
from autolog.stored import MOST, Stored
from autolog.stores.base import Store, open_store
from autolog.texts import strings, text_or_none
from autolog.tracer import Tracer, remote_span, share

if TYPE_CHECKING:
    pass

logger = logging.getLogger("autolog")

AS_BEFORE: Any = object()


class Changed:
    """Settings that were changed; as a context manager it changes them back at the end of the block."""

    def __init__(self, client: Client, before: Mapping[str, Any]) -> None:
        self._client = client
        self._before = before

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.configure(**self._before)


class Client(Stored):
    """Records spans into a store and reads them back. Safe to use from any thread.

    Programs use the functions of the package, which share one client; tests and services that need several
    stores make clients of their own.
    """

    def __init__(
        self,
        store: str | os.PathLike[str] | None = None,
        settings: Settings | None = None,
        *,
        span_processors: Iterable[Processor] | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        self.settings = settings or from_environment()
        self._processors = check_processors(span_processors)
        self._sampling = sampling or EVERYTHING.with_settings(self.settings)
        plan = plan_of(self.settings, self._processors, is_typo_fatal=settings is not None)
        self._store = self._open(store if store is not None else self.settings.store)
        price = Pricing().price if self.settings.cost else None
        self._pipeline = Pipeline(self._write, self.settings, price, self._tidy, self._settle)
        self.tracer = Tracer(
            self._pipeline.started,
            self._pipeline.ended,
            self.settings.experiment,
            on_sampled_out=self._pipeline.sampled_out,
        )
        self._apply(self.settings, plan)
        self._send_as_the_environment_says()

    # --- settings --------------------------------------------------------------------------------

    def configure(
        self,
        *,
        span_processors: Iterable[Processor] | None = AS_BEFORE,
        sampling: Sampling | None = AS_BEFORE,
        **settings: Any,
    ) -> Changed:
        """Change settings from now on; used in a `with` block, change them back at its end.

        `span_processors` are functions of a span, run on each one before it is stored; `sampling` says which traces
        are recorded; the others are those of `Settings`. Nothing is changed where one of them can't be. Raises
        `InvalidSetting` for that, for an unknown name and a wrong value.
        """
        new = self.settings.replace_in_use(**settings)
        before: dict[str, Any] = {name: getattr(self.settings, name) for name in settings}
        processors, chosen = self._processors, self._sampling
        if sampling is not AS_BEFORE and not isinstance(sampling, Sampling | None):
            raise InvalidSetting(f"sampling is given as Sampling(ratio=0.1), not as {sampling!r}")
        if span_processors is not AS_BEFORE:
            before["span_processors"], processors = processors, check_processors(span_processors)
        if sampling is not AS_BEFORE:
            before["sampling"], chosen = chosen, sampling or EVERYTHING.with_settings(new)
        elif not BY_SETTING.keys().isdisjoint(settings):
            before["sampling"], chosen = chosen, chosen.with_settings(new, settings)
        plan = plan_of(new, processors, is_typo_fatal="redact" in settings or "redact_region" in settings)
        if "store" in settings:
            self.set_store(new.store)
        if "experiment" in settings:
            before["experiment"], self.tracer.experiment = self.tracer.experiment, new.experiment
        self._processors, self._sampling = processors, chosen
        self._apply(new, plan)
        return Changed(self, before)

    def _apply(self, settings: Settings, plan: Plan) -> None:
        self.settings = settings
        self._pipeline.processing.plan = plan
        self._pipeline.configure(settings, self._sampling, Pricing().price if settings.cost else None)
        self.tracer.sampling = None if self._sampling.is_everything else self._sampling
        self.tracer.enabled = settings.tracing is not False
        self.tracer.duplicates = settings.duplicates
        self.tracer.capture_user = settings.capture_user
        self.tracer.version = settings.version

    def _open(self, address: str | os.PathLike[str] | None) -> Store:
        return open_store(address, self._limits(), self.settings)

    def _limits(self) -> Limits:
        return Limits(self.settings.max_string, self.settings.max_payload, self.settings.max_media)

    def _write(self, spans: Sequence[Span]) -> None:
        self._store.write(spans)  # whichever store is set at the time

    def _tidy(self) -> bool:
        return self._store.tidy()

    def _settle(self, seconds: float) -> None:
        if not self._store.flush(seconds) and (sending := self._store.sending) is not None:
            logger.warning(
                "%d spans could not be sent to %s yet; they are on disk, and the next program here that uses it sends them",
                sending.waiting, self.location,
            )  # fmt: skip

    # --- elsewhere -------------------------------------------------------------------------------

    def export_otlp(
        self,
        endpoint: str | None = None,
        *,
        protocol: Literal["http/protobuf", "grpc"] | None = None,
        headers: Mapping[str, str] | None = None,
        conventions: Literal["gen_ai", "openinference"] = "gen_ai",
        collected: bool = True,
    ) -> Callable[[], None]:
        """Send each span by OTLP too, from now on; return what ends that.

        `endpoint` is a base URL; without one, and for all else that is not given, OpenTelemetry's `OTEL_EXPORTER_OTLP_*`
        variables hold. With `collected=False` the spans of other instrumentations are left out, which their own
        provider may be sending. Sending to the same place again replaces what was said before. Raises `Unavailable`
        where the extra `otel` is not installed, and `InvalidSetting`.
        """
        chosen = target(endpoint, protocol=protocol, headers=headers, conventions=conventions, collected=collected)
        sender = otlp_sender(chosen, self._limits())
        sender.open()
        return self._deliver(chosen, sender)

    def _send_as_the_environment_says(self) -> None:
        settings = self.settings
        chosen = target_of_environment(settings.otlp_endpoint, settings.otlp_protocol, settings.otlp_conventions)
        if chosen is not None:
            self._deliver(chosen, Deferred(chosen.place, lambda: otlp_sender(chosen, self._limits())))

    def _deliver(self, chosen: Target, sender: Sender) -> Callable[[], None]:
        settings = self.settings
        return self._pipeline.deliver(
            Delivery(
                sender,
                most_spans=settings.queue_spans,
                most_bytes=settings.queue_bytes,
                interval=settings.flush_interval,
                takes=lambda span: chosen.collected or not span.is_foreign,
            )
        )

    # --- the store -------------------------------------------------------------------------------

    def set_store(self, address: str | os.PathLike[str] | None) -> None:
        """Store traces at `address` from now on; what was recorded before goes to the store before.

        Raises `InvalidSetting` for an address that no store has.
        """
        store = self._open(address)
        if store.location == self._store.location:
            return
        self._pipeline.flush()
        previous, self._store = self._store, store
        previous.close()

    def of_experiment(self, experiment: str) -> Client:
        """Return a client of the same store for which there is no other experiment: it sees, changes and adds to this one only."""
        import copy

        from autolog.stores.restricted import RestrictedStore

        found = copy.copy(self)
        found._store = RestrictedStore(self._store, experiment)
        found.settings = self.settings.replace(experiment=experiment)
        return found

    def flush(self, timeout: float = 30.0) -> bool:
        """Store everything recorded so far, and send it where it is sent too; return whether that worked in time.

        `timeout` is in seconds. Traces that run, and would be kept only if they fail or are slow, are kept then.
        """
        deadline = time.monotonic() + timeout
        is_stored = self._pipeline.flush(timeout, decide=True)
        is_stored = self._store.flush(max(deadline - time.monotonic(), 0.0)) and is_stored
        return self._pipeline.flush_deliveries(max(deadline - time.monotonic(), 0.0)) and is_stored

    def stats(self) -> Stats:
        """Return what became of the spans of this process."""
        stats, sending = self._pipeline.stats(self._store.cut), self._store.sending
        return stats if sending is None else sending.added_to(stats)

    def close(self) -> None:
        """Store what is left, end the worker and let go of the store."""
        self._pipeline.stop()
        self._store.close()

    # --- recording -------------------------------------------------------------------------------

    def start_trace(
        self,
        name: str,
        span_type: SpanType | str = SpanType.UNKNOWN,
        *,
        inputs: Any = None,
        attributes: Mapping[str, Any] | None = None,
        start_time_ns: int | None = None,
        experiment: str | None = None,
        run: str | None = None,
        session: str | None = None,
        user: str | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Span:
        """Start the root of a new trace, whatever else runs here; end it with `end_trace`."""
        given = {"experiment": experiment, "run": run, "session": session, "user": user, "version": version}
        fields = {
            **{field: text_or_none(value) for field, value in given.items()},
            "tags": strings(tags) or None,
            "metadata": strings(metadata) or None,
        }
        return self.tracer.start_apart(
            name, SpanType(span_type), None, inputs=inputs, attributes=attributes, start_time_ns=start_time_ns,
            fields={field: value for field, value in fields.items() if value},
        )  # fmt: skip

    def start_span(
        self,
        name: str,
        parent: Span | None = None,
        span_type: SpanType | str = SpanType.UNKNOWN,
        *,
        trace_id: str | None = None,
        parent_id: str | None = None,
        inputs: Any = None,
        attributes: Mapping[str, Any] | None = None,
        start_time_ns: int | None = None,
    ) -> Span:
        """Start a span below `parent`, which may have ended, or below the span that two ids name; end it with `end_span`.

        Without a parent it is the root of a new trace. Raises `InvalidTrace` for ids that are none, and for a parent that
        is no span.
        """
        _check_span(parent, "the parent", "trace_id=… and parent_id=…")
        above: Any = parent
        if parent is None and (trace_id is not None or parent_id is not None):
            above = self._open_span(trace_id, parent_id) or remote_span(*_ids(trace_id, parent_id))
        return self.tracer.start_apart(
            name, SpanType(span_type), above, inputs=inputs, attributes=attributes, start_time_ns=start_time_ns
        )

    def end_span(
        self,
        span: Span | None = None,
        *,
        trace_id: str | None = None,
        span_id: str | None = None,
        outputs: Any = None,
        attributes: Mapping[str, Any] | None = None,
        status: Any = None,
        end_time_ns: int | None = None,
    ) -> None:
        """End a span, or the one that two ids name, in any order and from any thread. A second call changes nothing.

        Raises `NotFound` for ids of no span that is open in this process.
        """
        _check_span(span, "what ends", "trace_id=… and span_id=…")
        if not self.tracer.enabled and span is None:
            return
        found = span if span is not None else self._open_span(trace_id, span_id)
        if found is None:
            raise NotFound(f"no span {span_id!r} of trace {trace_id!r} is open in this process")
        found.end(end_time_ns, outputs=outputs, attributes=attributes, status=status)

    def end_trace(
        self,
        trace: Span | str,
        *,
        outputs: Any = None,
        attributes: Mapping[str, Any] | None = None,
        status: Any = None,
        end_time_ns: int | None = None,
    ) -> None:
        """End the root of a trace, given itself or by the trace's id. Spans below that are open stay so, and may end later.

        Raises `NotFound` where no root of that trace is open in this process.
        """
        root = trace if isinstance(trace, Span) else self._open_root(trace)
        if root is None:
            if not self.tracer.enabled:
                return
            raise NotFound(
                f"no root of trace {trace!r} is open in this process; close_forgotten() ends what others left"
            )
        root.end(end_time_ns, outputs=outputs, attributes=attributes, status=status)

    def open_spans(self, trace_id: str | None = None) -> list[Span]:
        """Return the spans of this process that have not ended, of one trace or of all, oldest first."""
        found = [span for span in self._pipeline.open_spans() if trace_id is None or span.trace_id == trace_id]
        return sorted(found, key=lambda span: span.start_time_ns)

    def close_forgotten(
        self, trace_ids: str | Sequence[str] | None = None, *, older_than: float | None = None
    ) -> list[str]:
        """End spans that nobody ended, with an error that says so; return the ids of the traces that had any.

        These are the open spans of the traces given, or of those that began more than `older_than` seconds ago: this
        process's own, and in the store those that a process left which ended without ending them.
        """
        if trace_ids is None and older_than is None:
            raise InvalidQuery("say which traces to close: trace_ids, or older_than in seconds")
        before = now_ns() if older_than is None else now_ns() - int(older_than * 1e9)
        wanted = None if trace_ids is None else {trace_ids} if isinstance(trace_ids, str) else set(trace_ids)
        closed = set()
        for span in self._pipeline.open_spans():
            if (wanted is None or span.trace_id in wanted) and span.start_time_ns <= before:
                mark_forgotten(span)
                span.end()
                closed.add(span.trace_id)
        self._pipeline.flush()
        for trace_id in sorted(wanted) if wanted is not None else self._unended(before):
            trace = self._store.get_trace(trace_id)
            forgotten = end_forgotten(trace.spans) if trace is not None else []
            if forgotten:
                self._store.write(forgotten)
                closed.add(trace_id)
        return sorted(closed)

    def _unended(self, before_ns: int) -> list[str]:
        from autolog.search.query import TraceQuery

        query = TraceQuery.build(status=TraceState.IN_PROGRESS, until=before_ns, max_results=MOST)
        return [info.trace_id for info in self._store.search(query)]

    def _open_root(self, trace_id: str) -> Span | None:
        mine = self.open_spans(trace_id)
        return next((span for span in mine if span.parent is None), None)

    def _open_span(self, trace_id: str | None, span_id: str | None) -> Span | None:
        trace, span = _ids(trace_id, span_id)
        found = self._pipeline.open_span(span)
        return found if found is not None and found._trace_id == trace else None

    def add_trace(self, trace: Trace | Mapping[str, Any], target: Span | None = None) -> str:
        """Add a finished trace of elsewhere: below `target`, or as the trace that it is; return the id it has here.

        Raises `InvalidTrace` where it is none, or has not ended.
        """
        _check_span(target, "the target", "the span itself")
        if not isinstance(trace, Trace):
            try:
                trace = Trace.from_dict(trace)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise InvalidTrace(f"this is not what Trace.to_dict() gives: {error!r}") from error
        spans = graft(trace, target)
        if target is None or target.trace_context is not None:
            for span in spans:
                self._pipeline.ended(span)
        if target is not None:
            return target.trace_id
        for assessment in trace.assessments:
            self.log_assessment(trace.trace_id, assessment)
        return trace.trace_id

    def get_last_active_trace_id(self, *, thread_local: bool = False) -> str | None:
        """Return the id of the trace that was started last in this process, or in this thread, or `None`."""
        last = self.tracer.last_trace_id_of_thread() if thread_local else self.tracer.last_trace_id
        return None if last is None else format_trace_id(last)


def _check_span(span: object, what: str, instead: str) -> None:
    if not isinstance(span, OtelSpan | None):
        raise InvalidTrace(f"{what} is given as a span, or by {instead}, not as {span!r}")


def _ids(trace_id: str | None, span_id: str | None) -> tuple[int, int]:
    try:
        return parse_id(trace_id or "", 32), parse_id(span_id or "", 16)
    except (ValueError, TypeError):
        raise InvalidTrace(
            f"a trace id of 32 hex digits and a span id of 16 are needed, not {trace_id!r} and {span_id!r}"
        ) from None


_lock = ForkLock(rank=0)
_default: Client | None = None


def default_client() -> Client:
    """Return the client that the functions of the package share, made when first asked for."""
    global _default
    if _default is None:
        with _lock:
            if _default is None:
                _default = Client()
    return _default


def set_default_client(client: Client | None) -> Client | None:
    """Make `client` the one that the functions of the package share; return the one that was so before."""
    global _default
    previous, _default = _default, client
    return previous


share(lambda: default_client().tracer)
