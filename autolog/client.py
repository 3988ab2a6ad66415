"""A client: one tracer, one pipeline, one store, put together."""

from __future__ import annotations

import importlib.util
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
from autolog.frame import frame
from autolog.ids import format_trace_id, now_ns, parse_id
from autolog.model.assessment import Assessment
from autolog.model.graft import end_forgotten, graft, mark_forgotten
from autolog.model.outline import Outline
from autolog.model.run import Run
from autolog.model.span import Span, SpanType
from autolog.model.trace import Trace, TraceInfo, TraceState
from autolog.otel.deferred import Deferred, otlp_sender
from autolog.otel.target import Target, target, target_of_environment
from autolog.pipeline import Pipeline
from autolog.pricing import Pricing
from autolog.processing import Plan, Processor, check_processors, plan_of
from autolog.sampling import BY_SETTING, EVERYTHING, Sampling
from autolog.search.page import PagedList
from autolog.settings import Settings, from_environment
from autolog.stores.base import Store, open_store
from autolog.texts import rewritten, strings, text, text_or_none
from autolog.tracer import Tracer, remote_span, share

if TYPE_CHECKING:
    import pandas as pd

    from autolog.model.session import Session
    from autolog.model.statistics import Details, ExperimentSummary, RunSummary, Statistics
    from autolog.search.query import Count, Moment

logger = logging.getLogger("autolog")

_MOST = 2**31
_DELETED_AT_ONCE = 1_000
_MOST_BUCKETS = 1_000

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


class Client:
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

    @property
    def location(self) -> str:
        """Where traces are stored, for a person to read."""
        return self._store.location

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

        query = TraceQuery.build(status=TraceState.IN_PROGRESS, until=before_ns, max_results=_MOST)
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

    # --- reading ---------------------------------------------------------------------------------

    def get_trace(self, trace_id: str) -> Trace:
        """Return the trace with its spans; raise `NotFound` where the store has none of this id."""
        self._pipeline.flush()
        trace = self._store.get_trace(trace_id)
        if trace is None:
            raise self._not_found(trace_id)
        return trace

    def get_outline(self, trace_id: str) -> Outline:
        """Return the trace with its spans' names, times, tokens and no payloads; raise `NotFound` where there is none."""
        self._pipeline.flush()
        outline = self._store.get_outline(trace_id)
        if outline is None:
            raise self._not_found(trace_id)
        return outline

    def get_span(self, trace_id: str, span_id: str) -> Span:
        """Return one span of a trace, without reading the others; raise `NotFound` where there is none."""
        self._pipeline.flush()
        span = self._store.get_span(trace_id, span_id)
        if span is None:
            raise NotFound(
                f"no span {span_id!r} of trace {trace_id!r} in {self.location}; get_trace() has all of a trace"
            )
        return span

    def get_last_active_trace_id(self, *, thread_local: bool = False) -> str | None:
        """Return the id of the trace that was started last in this process, or in this thread, or `None`."""
        last = self.tracer.last_trace_id_of_thread() if thread_local else self.tracer.last_trace_id
        return None if last is None else format_trace_id(last)

    def search_traces(
        self,
        filter_string: str | None = None,
        *,
        max_results: int = 100,
        order_by: Sequence[str] | str | None = None,
        page_token: str | None = None,
        status: TraceState | str | None = None,
        name: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        tags: Mapping[str, str] | None = None,
        experiment: str | None = None,
        run: str | None = None,
        session: str | None = None,
        user: str | None = None,
        model: str | None = None,
        include_spans: bool = True,
        return_type: Literal["pandas", "list"] | None = None,
    ) -> pd.DataFrame | PagedList[Trace] | PagedList[TraceInfo]:
        """Return the traces that meet the filter and every condition given, newest first or as `order_by` says.

        `since` is included, `until` is not; both are datetimes, or nanoseconds since the epoch. The result is a
        DataFrame with a row a trace where pandas is installed, else, or with `return_type="list"`, a list of
        `Trace`, or with `include_spans=False` of `TraceInfo`. Its `token`, or `attrs["next_page_token"]` of a DataFrame,
        gets the page behind it as `page_token`, and is `None` at the end. Raises `InvalidQuery` for what can't be searched.
        """
        if return_type not in (None, "pandas", "list"):
            raise InvalidQuery(f"return_type must be 'pandas' or 'list', not {return_type!r}")
        # Imported here: most programs never search, and it takes a tenth of all the importing.
        from autolog.search.query import TraceQuery

        query = TraceQuery.build(
            filter_string, order_by=order_by, page_token=page_token, max_results=max_results, status=status, name=name,
            since=since, until=until, tags=tags, experiment=experiment, run=run, session=session, user=user, model=model,
        )  # fmt: skip
        self._pipeline.flush()
        infos = self._store.search(query)
        found: PagedList[Any] = infos
        if include_spans:
            traces = (self._store.get_trace(info.trace_id) for info in infos)
            found = PagedList((trace for trace in traces if trace is not None), infos.token)
        if return_type == "list" or (return_type is None and importlib.util.find_spec("pandas") is None):
            return found
        table = frame(found)
        table.attrs["next_page_token"] = found.token
        return table

    def count_traces(
        self, filter_string: str | None = None, *, most: int = 10_000, seconds: float = 1.0, **conditions: Any
    ) -> Count:
        """Return how many traces meet the filter and the conditions of `search_traces`, up to `most`.

        After about `seconds` it returns how many were found until then. Raises `InvalidQuery` for what can't be searched.
        """
        from autolog.search.query import TraceQuery

        query = TraceQuery.build(filter_string, max_results=most, **conditions)
        self._pipeline.flush()
        return self._store.count(query, seconds)

    def version(self) -> int:
        """Return a number that changes whenever anything in the store does, whoever changes it."""
        return self._store.version()

    # --- what many traces come to ----------------------------------------------------------------

    def statistics(
        self, filter_string: str | None = None, *, group_by: str | None = None, buckets: int = 60, **conditions: Any
    ) -> Statistics:
        """Return the figures of the traces that meet the filter and the conditions of `search_traces`, over time.

        `group_by` is a text of the trace, such as `name`, `version` or `tags.<key>`, or `model`, which counts the calls
        of models. Raises `InvalidQuery` for what can't be searched or grouped by.
        """
        from autolog.search.grouping import grouping
        from autolog.search.query import TraceQuery

        query = TraceQuery.build(filter_string, **conditions)
        grouping(group_by)
        self._pipeline.flush()
        return self._store.statistics(query, group_by, _buckets(buckets))

    def statistics_details(self, filter_string: str | None = None, *, buckets: int = 60, **conditions: Any) -> Details:
        """Return the most frequent errors of these traces, the steps that take most time, and what feedback comes to."""
        from autolog.search.query import TraceQuery

        query = TraceQuery.build(filter_string, **conditions)
        self._pipeline.flush()
        return self._store.details(query, _buckets(buckets))

    def search_sessions(
        self,
        filter_string: str | None = None,
        *,
        max_results: int = 100,
        page_token: str | None = None,
        **conditions: Any,
    ) -> PagedList[Session]:
        """Return the sessions with a trace that meets the filter and the conditions of `search_traces`.

        Those come first of which such a trace is the newest. Their figures are of all their traces, or of all of the
        experiment, where one is asked for.
        """
        from autolog.search.query import TraceQuery

        query = TraceQuery.build(filter_string, max_results=max_results, page_token=page_token, **conditions)
        self._pipeline.flush()
        return self._store.sessions(query)

    def list_values(
        self, field: str, prefix: str = "", *, experiment: str | None = None, max_results: int = 50
    ) -> list[str]:
        """Return values of a field as a filter names it, or of `tags`, `metadata` and `feedback` the keys.

        Those come first that begin with `prefix`, and then those that have it somewhere, whatever its case. Raises
        `InvalidQuery` where there is no such field.
        """
        from autolog.search.grouping import field_or_keys

        field_or_keys(field)
        self._pipeline.flush()
        return self._store.values(field, text(prefix), experiment, max_results)

    def summarize_experiments(self) -> list[ExperimentSummary]:
        """Return all experiments with what their traces come to, those first that were active last."""
        self._pipeline.flush()
        return self._store.summarize_experiments()

    def summarize_runs(self, experiment: str | None = None, max_results: int = 100) -> list[RunSummary]:
        """Return the newest runs with what their traces come to, of one experiment or of all."""
        self._pipeline.flush()
        return self._store.summarize_runs(experiment, max_results)

    def delete_traces(
        self,
        trace_ids: str | Sequence[str] | None = None,
        *,
        filter_string: str | None = None,
        experiment: str | None = None,
        before: Moment | None = None,
        max_traces: int | None = None,
    ) -> int:
        """Delete the traces that meet every condition given, oldest first; return how many were deleted.

        At least one of `trace_ids`, `filter_string`, `experiment` and `before` must be given, so that nobody empties a
        store by leaving out a word.
        """
        if trace_ids is None and filter_string is None and experiment is None and before is None:
            raise InvalidQuery("say what to delete: trace_ids, filter_string, experiment or before")
        ids = [trace_ids] if isinstance(trace_ids, str) else trace_ids
        for trace_id in ids or ():
            if not _is_trace_id(trace_id):
                raise InvalidQuery(f"{trace_id!r} is not a trace id of 32 hex digits")
        from autolog.search.query import nanoseconds

        before_ns = None if before is None else nanoseconds("before", before)
        most = _MOST if max_traces is None else max_traces
        self._pipeline.flush()
        if filter_string is None:
            return self._store.delete(ids, experiment, before_ns, most)
        if not filter_string.strip():
            raise InvalidQuery("an empty filter would delete everything; leave it out, or say what to delete")
        return self._delete_meeting(filter_string, ids, before_ns, experiment, most)

    def _delete_meeting(
        self, filter_string: str, ids: Sequence[str] | None, before_ns: int | None, experiment: str | None, most: int
    ) -> int:
        """Delete what meets a filter, a page at a time: there may be more than there is room for."""
        from autolog.search.query import TraceQuery

        wanted = None if ids is None else set(ids)
        deleted, token = 0, None
        while deleted < most:
            query = TraceQuery.build(
                filter_string, order_by="timestamp", until=before_ns, experiment=experiment, page_token=token,
                max_results=_DELETED_AT_ONCE,
            )  # fmt: skip
            page = self._store.search(query)
            found = [info.trace_id for info in page if wanted is None or info.trace_id in wanted]
            deleted += self._store.delete(found, experiment, before_ns, most - deleted)
            token = page.token
            if token is None:
                break
        return deleted

    # --- what is said of traces, and what they belong to -----------------------------------------

    def set_trace_tag(self, trace_id: str, key: str, value: str) -> None:
        """Set a tag of a trace, running or stored; raise `NotFound` where there is no such trace."""
        self.change_trace_tags(trace_id, {key: text(value)})

    def delete_trace_tag(self, trace_id: str, key: str) -> None:
        """Take a tag away from a trace, running or stored; raise `NotFound` where there is no such trace."""
        self.change_trace_tags(trace_id, {key: None})

    def change_trace_tags(self, trace_id: str, changes: Mapping[str, str | None]) -> None:
        """Set tags of a trace, and take away those that are `None`; raise `NotFound` where there is no such trace."""
        leaf = self._pipeline.processing.plan.leaf
        told = {text(key): text_or_none(value) for key, value in changes.items()}
        self._change_tags(trace_id, told if leaf is None else rewritten(told, leaf))

    def _change_tags(self, trace_id: str, changes: Mapping[str, str | None]) -> None:
        for span in self.open_spans(trace_id):
            context = span.trace_context
            if context is not None:  # what is stored of it later must agree
                context.change(tags=changes)
        self._pipeline.flush()
        if not self._store.set_tags(trace_id, changes):
            raise self._not_found(trace_id)

    def log_assessment(self, trace_id: str, assessment: Assessment) -> Assessment:
        """Keep feedback or an expectation with its trace; raise `NotFound` where there is no such trace."""
        kept = self._redacted(assessment.replace(trace_id=trace_id))
        self._put(trace_id, kept)
        return kept

    def get_assessment(self, trace_id: str, assessment_id: str) -> Assessment:
        """Return one of the trace's assessments; raise `NotFound` where it has none of this id."""
        for assessment in self.get_trace(trace_id).assessments:
            if assessment.assessment_id == assessment_id:
                return assessment
        raise _no_assessment(trace_id, assessment_id)

    def update_assessment(self, trace_id: str, assessment_id: str, assessment: Assessment) -> Assessment:
        """Put `assessment` in place of the trace's one of this id, which keeps its id and the time of its making."""
        known = self.get_assessment(trace_id, assessment_id)
        kept = self._redacted(assessment).replace(
            trace_id=trace_id, assessment_id=assessment_id, create_time_ns=known.create_time_ns,
            last_update_time_ns=now_ns(), overrides=known.overrides, valid=known.valid,
        )  # fmt: skip
        self._put(trace_id, kept)
        return kept

    def override_assessment(self, trace_id: str, assessment_id: str, assessment: Assessment) -> Assessment:
        """Keep `assessment` beside the trace's one of this id, which is valid no more."""
        known = self.get_assessment(trace_id, assessment_id)
        kept = self._redacted(assessment.replace(trace_id=trace_id, overrides=assessment_id))
        self._put(trace_id, known.replace(valid=False, last_update_time_ns=now_ns()), kept)
        return kept

    def delete_assessment(self, trace_id: str, assessment_id: str) -> None:
        """Delete one of the trace's assessments; one that it had overridden is valid again."""
        self._pipeline.flush()
        if not self._store.delete_assessment(trace_id, assessment_id):
            raise _no_assessment(trace_id, assessment_id)

    def _redacted(self, assessment: Assessment) -> Assessment:
        leaf = self._pipeline.processing.plan.leaf
        return assessment if leaf is None else assessment.rewritten(leaf)

    def _put(self, trace_id: str, *assessments: Assessment) -> None:
        self._pipeline.flush()
        if not self._store.put_assessments(trace_id, assessments):
            raise self._not_found(trace_id)

    def _not_found(self, trace_id: str) -> NotFound:
        return NotFound(f"no trace {trace_id!r} in {self.location}; search_traces() lists what there is")

    def put_run(self, run: Run) -> None:
        """Keep a run, in place of one of the same id."""
        self._store.put_run(run)

    def get_run(self, run_id: str) -> Run:
        """Return the run; raise `NotFound` where the store has none of this id."""
        run = self._store.get_run(run_id)
        if run is None:
            raise NotFound(f"no run {run_id!r} in {self.location}; list_runs() lists what there is")
        return run

    def list_runs(self, experiment: str | None = None, max_results: int = 100) -> list[Run]:
        """Return runs, newest first, of one experiment or of all."""
        return self._store.list_runs(experiment, max_results)

    def list_experiments(self) -> list[str]:
        """Return the names of the experiments that there are traces or runs of, in order of the alphabet."""
        self._pipeline.flush()
        return self._store.list_experiments()

    def link_traces_to_run(self, trace_ids: Sequence[str], run_id: str) -> int:
        """Make stored traces belong to a run; return how many there are of them."""
        self._pipeline.flush()
        return self._store.set_run(trace_ids, run_id)

    def unlink_traces_from_run(self, trace_ids: Sequence[str]) -> int:
        """Make stored traces belong to no run; return how many there are of them."""
        self._pipeline.flush()
        return self._store.set_run(trace_ids, None)


def _buckets(buckets: int) -> int:
    if isinstance(buckets, bool) or not isinstance(buckets, int) or not 1 <= buckets <= _MOST_BUCKETS:
        raise InvalidQuery(f"buckets must be a whole number from 1 to {_MOST_BUCKETS}, not {buckets!r}")
    return buckets


def _no_assessment(trace_id: str, assessment_id: str) -> NotFound:
    return NotFound(f"trace {trace_id!r} has no assessment {assessment_id!r}; its `assessments` lists what there is")


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


def _is_trace_id(text: object) -> bool:
    return isinstance(text, str) and len(text) == 32 and all(digit in "0123456789abcdef" for digit in text)


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
