"""The store itself: spans go out by the outbox, everything else is asked of the server."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autolog import wire
from autolog.capture import Limits
from autolog.counters import Sending
from autolog.model.assessment import Assessment
from autolog.model.outline import Outline
from autolog.model.run import Run
from autolog.model.span import Span
from autolog.model.trace import Trace, TraceInfo
from autolog.redact import redact_keys
from autolog.stores import compression
from autolog.stores.remote.connection import Connection, address_of
from autolog.stores.remote.outbox import Outbox, Packed
from autolog.stores.spool import Spool

if TYPE_CHECKING:
    from autolog.model.dataset import DatasetInfo, DatasetRecord, Merged
    from autolog.model.session import Session
    from autolog.model.statistics import Details, ExperimentSummary, RunSummary, Statistics
    from autolog.search.page import PagedList
    from autolog.search.query import Count, TraceQuery

logger = logging.getLogger("autolog")

_LONGEST_WAIT = 10.0
"""Seconds that a read waits until the server has what was written before."""


class RemoteStore:
    """Keeps traces with the autolog server at `address`.

    `spool` is the folder in which they wait while that is away, up to `spool_bytes`; `None` keeps nothing on disk.
    """

    def __init__(
        self, address: str, limits: Limits, *, token: str | None = None, spool: Path | None, spool_bytes: int
    ) -> None:
        place = address_of(address)
        self.location = redact_keys(place.url)
        self.cut = 0
        self._limits = limits
        self._connection = Connection(place, token)
        kept = None if spool is None else Spool(spool, place.url, spool_bytes)
        self._outbox = Outbox(self.location, self._send, kept)

    # --- writing ---------------------------------------------------------------------------------

    def write(self, spans: Sequence[Span]) -> None:
        """Keep spans on disk, from where they are sent at once or as soon as the server is there."""
        bodies = list(wire.encode(spans, self._limits))
        self._outbox.put([Packed(compression.compress(body.data), body.spans) for body in bodies])
        self.cut += sum(body.cut for body in bodies)

    def _send(self, body: bytes, seconds: float | None) -> None:
        self._connection.send(body, wire.MEDIA_TYPE, "api/spans", seconds)

    def flush(self, seconds: float) -> bool:
        """Send what waits; return whether all of it arrived in time."""
        return self._outbox.flush(seconds)

    @property
    def sending(self) -> Sending:
        """What became of the spans that were written."""
        return self._outbox.counted()

    def tidy(self) -> bool:
        """Do nothing: the server does."""
        return False

    def close(self) -> None:
        """Send what waits, as far as the server is there, and let go of connections; a later call opens them again."""
        if not self._outbox.is_failing:
            self._outbox.flush(_LONGEST_WAIT)
        self._outbox.close()
        self._connection.close()

    # --- asking ----------------------------------------------------------------------------------

    def _ask(self, method: str, *values: Any) -> Any:
        from autolog.stores.remote.calls import call_of

        self._outbox.flush(_LONGEST_WAIT, left_behind=True)
        call = call_of(method)
        answer = self._connection.call(f"api/store/{method}", call.arguments_of(values))
        return call.result.read(answer.get("result"))

    def get_trace(self, trace_id: str) -> Trace | None:
        """Return the trace with its spans, or `None`."""
        found: Trace | None = self._ask("get_trace", trace_id)
        return found

    def get_outline(self, trace_id: str) -> Outline | None:
        """Return the trace with the outlines of its spans, or `None`."""
        found: Outline | None = self._ask("get_outline", trace_id)
        return found

    def get_span(self, trace_id: str, span_id: str) -> Span | None:
        """Return one span of a trace, or `None`."""
        found: Span | None = self._ask("get_span", trace_id, span_id)
        return found

    def search(self, query: TraceQuery) -> PagedList[TraceInfo]:
        """Return a page of the traces that `query` asks for, in its order."""
        found: PagedList[TraceInfo] = self._ask("search", query)
        return found

    def count(self, query: TraceQuery, seconds: float) -> Count:
        """Return how many traces `query` asks for, up to its `max_results`, and as far as that takes no longer."""
        found: Count = self._ask("count", query, seconds)
        return found

    def statistics(self, query: TraceQuery, group_by: str | None, buckets: int) -> Statistics:
        """Return the figures of the traces that `query` asks for, in about `buckets` buckets, grouped by a field or not."""
        found: Statistics = self._ask("statistics", query, group_by, buckets)
        return found

    def details(self, query: TraceQuery, buckets: int) -> Details:
        """Return the most frequent errors, the steps that take most time, and what feedback comes to."""
        found: Details = self._ask("details", query, buckets)
        return found

    def sessions(self, query: TraceQuery) -> PagedList[Session]:
        """Return a page of the sessions with a trace that `query` asks for; those first of which such a trace is the newest."""
        found: PagedList[Session] = self._ask("sessions", query)
        return found

    def summarize_experiments(self) -> list[ExperimentSummary]:
        """Return all experiments with what their traces come to, those first that were active last."""
        found: list[ExperimentSummary] = self._ask("summarize_experiments")
        return found

    def summarize_runs(self, experiment: str | None, most: int) -> list[RunSummary]:
        """Return the newest runs with what their traces come to, of one experiment or of all."""
        found: list[RunSummary] = self._ask("summarize_runs", experiment, most)
        return found

    def values(self, field: str, prefix: str, experiment: str | None, most: int) -> list[str]:
        """Return values of a field, or keys, in one experiment or in all: first those that begin with `prefix`."""
        found: list[str] = self._ask("values", field, prefix, experiment, most)
        return found

    def version(self) -> int:
        """Return a number that is another one whenever anything changed since it was asked for last, by whomever."""
        found: int = self._ask("version")
        return found

    def delete(self, trace_ids: Sequence[str] | None, experiment: str | None, before_ns: int | None, most: int) -> int:
        """Delete the traces that meet every condition given, oldest first, at most `most`; return how many."""
        found: int = self._ask("delete", trace_ids, experiment, before_ns, most)
        return found

    def set_tags(self, trace_id: str, changes: Mapping[str, str | None]) -> bool:
        """Set tags of a trace, and take away those that are `None`; return whether there is such a trace."""
        found: bool = self._ask("set_tags", trace_id, changes)
        return found

    def put_assessments(self, trace_id: str, assessments: Sequence[Assessment]) -> bool:
        """Keep assessments, each in place of one of the same id; return whether there is such a trace."""
        found: bool = self._ask("put_assessments", trace_id, assessments)
        return found

    def delete_assessment(self, trace_id: str, assessment_id: str) -> bool:
        """Delete one, and let what it had overridden hold again; return whether there was one."""
        found: bool = self._ask("delete_assessment", trace_id, assessment_id)
        return found

    def put_run(self, run: Run) -> None:
        """Keep a run, in place of one of the same id."""
        self._ask("put_run", run)

    def get_run(self, run_id: str) -> Run | None:
        """Return the run, or `None`."""
        found: Run | None = self._ask("get_run", run_id)
        return found

    def list_runs(self, experiment: str | None, most: int) -> list[Run]:
        """Return the newest runs, of one experiment or of all."""
        found: list[Run] = self._ask("list_runs", experiment, most)
        return found

    def set_run(self, trace_ids: Sequence[str], run_id: str | None) -> int:
        """Make traces belong to a run, or to none; return how many there are of them."""
        found: int = self._ask("set_run", trace_ids, run_id)
        return found

    def put_dataset(self, dataset: DatasetInfo) -> bool:
        """Make a dataset; return whether there was none of its name."""
        found: bool = self._ask("put_dataset", dataset)
        return found

    def get_dataset(self, name: str) -> DatasetInfo | None:
        """Return the dataset, or `None`."""
        found: DatasetInfo | None = self._ask("get_dataset", name)
        return found

    def list_datasets(self) -> list[DatasetInfo]:
        """Return all datasets, those first that changed last."""
        found: list[DatasetInfo] = self._ask("list_datasets")
        return found

    def delete_dataset(self, name: str) -> bool:
        """Delete a dataset with its records; return whether there was one."""
        found: bool = self._ask("delete_dataset", name)
        return found

    def merge_records(self, name: str, records: Sequence[DatasetRecord]) -> Merged | None:
        """Add records to a dataset, or to its records of equal inputs what they say; `None` where there is no such dataset."""
        found: Merged | None = self._ask("merge_records", name, records)
        return found

    def list_records(self, name: str, page_token: str | None, most: int) -> PagedList[DatasetRecord]:
        """Return a page of a dataset's records, in the order in which they came; none where there is no such dataset."""
        found: PagedList[DatasetRecord] = self._ask("list_records", name, page_token, most)
        return found

    def delete_records(self, name: str, record_ids: Sequence[str]) -> int:
        """Delete records of a dataset; return how many there were."""
        found: int = self._ask("delete_records", name, record_ids)
        return found

    def list_experiments(self) -> list[str]:
        """Return the names of all experiments, in order of the alphabet."""
        found: list[str] = self._ask("list_experiments")
        return found
