"""A client: one tracer, one pipeline, one store, put together."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from autolog.capture import Limits
from autolog.errors import InvalidQuery, NotFound
from autolog.fork import ForkLock
from autolog.ids import format_trace_id
from autolog.model.span import Span
from autolog.model.trace import Trace, TraceInfo, TraceState
from autolog.pipeline import Pipeline, Stats
from autolog.pricing import Pricing
from autolog.search.query import Moment, TraceQuery
from autolog.settings import Settings, from_environment
from autolog.stores.base import Store, open_store
from autolog.tracer import Tracer

if TYPE_CHECKING:
    import pandas as pd

_MOST = 2**31


class Client:
    """Records spans into a store and reads them back. Safe to use from any thread.

    Programs use the functions of the package, which share one client; tests and services that need several
    stores make clients of their own.
    """

    def __init__(self, store: str | None = None, settings: Settings | None = None) -> None:
        self.settings = settings or from_environment()
        self._store = self._open(store if store is not None else self.settings.store)
        self._pipeline = Pipeline(self._write, self.settings, Pricing().price if self.settings.cost else None)
        self.tracer = Tracer(self._pipeline.started, self._pipeline.ended, self.settings.experiment)
        self.tracer.enabled = self.settings.tracing is not False
        self.tracer.duplicates = self.settings.duplicates

    def _open(self, address: str | None) -> Store:
        limits = Limits(self.settings.max_string, self.settings.max_payload, self.settings.max_media)
        return open_store(address, limits)

    def _write(self, spans: Sequence[Span]) -> None:
        self._store.write(spans)  # whichever store is set at the time

    def set_duplicates(self, duplicates: Literal["nest", "merge", "drop"]) -> None:
        """Decide what becomes of an SDK's span of a model call that a framework has a span of; see the setting."""
        self.settings = self.settings.replace(duplicates=duplicates)
        self.tracer.duplicates = duplicates

    # --- the store -------------------------------------------------------------------------------

    @property
    def location(self) -> str:
        """Where traces are stored, for a person to read."""
        return self._store.location

    def set_store(self, address: str | None) -> None:
        """Store traces at `address` from now on; what was recorded before goes to the store before.

        Raises `InvalidSetting` for an address that no store has.
        """
        store = self._open(address)
        if store.location == self._store.location:
            return
        self.flush()
        previous, self._store = self._store, store
        previous.close()

    def flush(self, timeout: float = 30.0) -> bool:
        """Store everything recorded so far; return whether that worked within `timeout` seconds."""
        return self._pipeline.flush(timeout)

    def stats(self) -> Stats:
        """Return what became of the spans of this process."""
        return self._pipeline.stats(self._store.cut)

    def close(self) -> None:
        """Store what is left, end the worker and let go of the store."""
        self._pipeline.stop()
        self._store.close()

    # --- reading ---------------------------------------------------------------------------------

    def get_trace(self, trace_id: str) -> Trace:
        """Return the trace with its spans; raise `NotFound` where the store has none of this id."""
        self.flush()
        trace = self._store.get_trace(trace_id)
        if trace is None:
            raise NotFound(f"no trace {trace_id!r} in {self.location}; search_traces() lists what there is")
        return trace

    def get_last_active_trace_id(self) -> str | None:
        """Return the id of the trace that was started last in this process, or `None`."""
        last = self.tracer.last_trace_id
        return None if last is None else format_trace_id(last)

    def search_traces(
        self,
        *,
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
        max_results: int = 100,
        include_spans: bool = True,
        return_type: Literal["pandas", "list"] | None = None,
    ) -> pd.DataFrame | list[Trace] | list[TraceInfo]:
        """Return the traces that meet every condition given, newest first.

        `since` is included, `until` is not; both are datetimes, or nanoseconds since the epoch. The result is a
        DataFrame with a row a trace where pandas is installed, else, or with `return_type="list"`, a list of
        `Trace`, or with `include_spans=False` of `TraceInfo`. Raises `InvalidQuery` for what can't be searched.
        """
        if return_type not in (None, "pandas", "list"):
            raise InvalidQuery(f"return_type must be 'pandas' or 'list', not {return_type!r}")
        query = TraceQuery.build(
            status=status, name=name, since=since, until=until, tags=tags, experiment=experiment, run=run,
            session=session, user=user, model=model, max_results=max_results,
        )  # fmt: skip
        self.flush()
        infos = self._store.search(query)
        found: list[Any] = [self._store.get_trace(info.trace_id) for info in infos] if include_spans else infos
        found = [trace for trace in found if trace is not None]
        if return_type == "list" or (return_type is None and importlib.util.find_spec("pandas") is None):
            return found
        return _frame(found)

    def delete_traces(
        self,
        trace_ids: str | Sequence[str] | None = None,
        *,
        experiment: str | None = None,
        before: Moment | None = None,
        max_traces: int | None = None,
    ) -> int:
        """Delete the traces that meet every condition given, oldest first; return how many were deleted.

        At least one of `trace_ids`, `experiment` and `before` must be given, so that nobody empties a store by
        leaving out a word.
        """
        if trace_ids is None and experiment is None and before is None:
            raise InvalidQuery("say what to delete: trace_ids, experiment or before")
        ids = [trace_ids] if isinstance(trace_ids, str) else trace_ids
        for trace_id in ids or ():
            if not _is_trace_id(trace_id):
                raise InvalidQuery(f"{trace_id!r} is not a trace id of 32 hex digits")
        query = TraceQuery.build(until=before, experiment=experiment)
        self.flush()
        most = _MOST if max_traces is None else max_traces
        return self._store.delete(ids, experiment, query.until_ns, most)


def _is_trace_id(text: object) -> bool:
    return isinstance(text, str) and len(text) == 32 and all(digit in "0123456789abcdef" for digit in text)


def _frame(found: Sequence[Trace | TraceInfo]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([_row(trace) for trace in found], columns=list(_row_names(found)))


_COLUMNS = (
    "trace_id", "name", "state", "request_time", "duration_ms", "experiment", "run", "session", "user", "request",
    "response", "input_tokens", "output_tokens", "total_tokens", "cost", "tags", "metadata", "span_count",
    "error_count",
)  # fmt: skip


def _row_names(found: Sequence[Trace | TraceInfo]) -> Sequence[str]:
    return _COLUMNS if found and isinstance(found[0], TraceInfo) else (*_COLUMNS, "trace", "spans")


def _row(trace: Trace | TraceInfo) -> dict[str, Any]:
    info = trace.info if isinstance(trace, Trace) else trace
    usage = info.usage
    row = {
        "trace_id": info.trace_id,
        "name": info.name,
        "state": str(info.state),
        "request_time": datetime.fromtimestamp(info.start_time_ns / 1e9, timezone.utc),
        "duration_ms": None if info.duration_ns is None else info.duration_ns / 1e6,
        "experiment": info.experiment,
        "run": info.run,
        "session": info.session,
        "user": info.user,
        "request": info.request_preview,
        "response": info.response_preview,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "total_tokens": usage.total_tokens if usage else None,
        "cost": info.cost.total if info.cost else None,
        "tags": dict(info.tags),
        "metadata": dict(info.metadata),
        "span_count": info.span_count,
        "error_count": info.error_count,
    }
    return (
        {**row, "trace": trace, "spans": [span.to_dict() for span in trace.spans]} if isinstance(trace, Trace) else row
    )


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
