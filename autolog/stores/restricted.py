"""A store as somebody sees it who may see one experiment: there is nothing else in it, and nothing else can be put there.

Only what is written here is let through: a new method of stores is none of this one until it says what holds for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from autolog.counters import Sending
from autolog.errors import NotAllowed
from autolog.model.assessment import Assessment
from autolog.model.outline import Outline
from autolog.model.run import Run
from autolog.model.span import Span
from autolog.model.trace import Trace, TraceContext, TraceInfo

if TYPE_CHECKING:
    from autolog.model.dataset import DatasetInfo, DatasetRecord, Merged
    from autolog.model.session import Session
    from autolog.model.statistics import Details, ExperimentSummary, RunSummary, Statistics
    from autolog.search.page import PagedList
    from autolog.search.query import Count, TraceQuery
    from autolog.stores.base import Store

T = TypeVar("T")

_AT_ONCE = 500


class RestrictedStore:
    """The traces and runs of one experiment of `store`."""

    def __init__(self, store: Store, experiment: str) -> None:
        self._store = store
        self._experiment = experiment
        self.location = store.location
        self.cut = 0

    # --- writing ---------------------------------------------------------------------------------

    def write(self, spans: Sequence[Span]) -> None:
        """Keep spans, as those of this experiment, whatever they say; raise `NotAllowed` for a trace of another one."""
        for info in self._infos(span.trace_id for span in spans):
            if info.experiment != self._experiment:
                raise NotAllowed(f"trace {info.trace_id} is of another experiment, which this token is not for")
        for span in spans:
            if span._context is None:
                span._context = TraceContext(self._experiment)
            span._context.experiment = self._experiment
        self._store.write(spans)

    # --- reading ---------------------------------------------------------------------------------

    def get_trace(self, trace_id: str) -> Trace | None:
        """Return the trace with its spans, or `None`."""
        return self._store.get_trace(trace_id) if self._has(trace_id) else None

    def get_outline(self, trace_id: str) -> Outline | None:
        """Return the trace with the outlines of its spans, or `None`."""
        return self._store.get_outline(trace_id) if self._has(trace_id) else None

    def get_span(self, trace_id: str, span_id: str) -> Span | None:
        """Return one span of a trace, or `None`."""
        return self._store.get_span(trace_id, span_id) if self._has(trace_id) else None

    def search(self, query: TraceQuery) -> PagedList[TraceInfo]:
        """Return a page of the traces that `query` asks for, in its order."""
        return _of(query, self._store.search(self._within(query)))

    def count(self, query: TraceQuery, seconds: float) -> Count:
        """Return how many traces `query` asks for, up to its `max_results`, and as far as that takes no longer."""
        return self._store.count(self._within(query), seconds)

    def version(self) -> int:
        """Return a number that is another one whenever anything changed, of other experiments too."""
        return self._store.version()

    # --- summaries -------------------------------------------------------------------------------

    def statistics(self, query: TraceQuery, group_by: str | None, buckets: int) -> Statistics:
        """Return the figures of the traces that `query` asks for, in about `buckets` buckets, grouped by a field or not."""
        return self._store.statistics(self._within(query), group_by, buckets)

    def details(self, query: TraceQuery, buckets: int) -> Details:
        """Return the most frequent errors, the steps that take most time, and what feedback comes to."""
        return self._store.details(self._within(query), buckets)

    def sessions(self, query: TraceQuery) -> PagedList[Session]:
        """Return a page of the sessions with a trace that `query` asks for; those first of which such a trace is the newest."""
        return _of(query, self._store.sessions(self._within(query)))

    def values(self, field: str, prefix: str, experiment: str | None, most: int) -> list[str]:
        """Return values of a field, or keys, in one experiment or in all: first those that begin with `prefix`."""
        is_mine = experiment in (None, self._experiment)
        return self._store.values(field, prefix, self._experiment, most) if is_mine else []

    def summarize_experiments(self) -> list[ExperimentSummary]:
        """Return all experiments with what their traces come to, those first that were active last."""
        return [one for one in self._store.summarize_experiments() if one.name == self._experiment]

    def summarize_runs(self, experiment: str | None, most: int) -> list[RunSummary]:
        """Return the newest runs with what their traces come to, of one experiment or of all."""
        return self._store.summarize_runs(self._experiment, most) if experiment in (None, self._experiment) else []

    # --- what is whose ---------------------------------------------------------------------------

    def _within(self, query: TraceQuery) -> TraceQuery:
        from autolog.search.fields import Field, Scope
        from autolog.search.filter import Comparison, Operator, all_of, conjuncts

        mine = Comparison(Field(Scope.TRACE, "experiment"), Operator.EQUAL, self._experiment)
        return replace(query, filter=all_of([mine, *conjuncts(query.filter)]))

    def _infos(self, trace_ids: Iterable[str]) -> Iterator[TraceInfo]:
        """Yield what is known of these traces, of whichever experiment."""
        from autolog.search.fields import Field, Scope
        from autolog.search.filter import Comparison, Operator
        from autolog.search.query import TraceQuery

        ids = sorted({trace_id.lower() for trace_id in trace_ids})
        for start in range(0, len(ids), _AT_ONCE):
            part = tuple(ids[start : start + _AT_ONCE])
            wanted = Comparison(Field(Scope.TRACE, "trace_id"), Operator.IN, part)
            yield from self._store.search(TraceQuery(wanted, max_results=len(part)))

    def _mine(self, trace_ids: Iterable[str]) -> list[str]:
        return [info.trace_id for info in self._infos(trace_ids) if info.experiment == self._experiment]

    def _has(self, trace_id: str) -> bool:
        return bool(self._mine([trace_id]))

    # --- changing --------------------------------------------------------------------------------

    def delete(self, trace_ids: Sequence[str] | None, experiment: str | None, before_ns: int | None, most: int) -> int:
        """Delete the traces that meet every condition given, oldest first, at most `most`; return how many."""
        if experiment is not None and experiment != self._experiment:
            return 0
        return self._store.delete(trace_ids, self._experiment, before_ns, most)

    def set_tags(self, trace_id: str, changes: Mapping[str, str | None]) -> bool:
        """Set tags of a trace, and take away those that are `None`; return whether there is such a trace."""
        return self._has(trace_id) and self._store.set_tags(trace_id, changes)

    def put_assessments(self, trace_id: str, assessments: Sequence[Assessment]) -> bool:
        """Keep assessments, each in place of one of the same id; return whether there is such a trace."""
        return self._has(trace_id) and self._store.put_assessments(trace_id, assessments)

    def delete_assessment(self, trace_id: str, assessment_id: str) -> bool:
        """Delete one, and let what it had overridden hold again; return whether there was one."""
        return self._has(trace_id) and self._store.delete_assessment(trace_id, assessment_id)

    # --- runs and experiments --------------------------------------------------------------------

    def put_run(self, run: Run) -> None:
        """Keep a run of this experiment; raise `NotAllowed` for another one's."""
        known = self._store.get_run(run.run_id)
        if known is not None and known.experiment != self._experiment:
            raise NotAllowed(f"run {run.run_id!r} is of another experiment, which this token is not for")
        self._store.put_run(replace(run, experiment=self._experiment))

    def get_run(self, run_id: str) -> Run | None:
        """Return the run, or `None`."""
        run = self._store.get_run(run_id)
        return run if run is not None and run.experiment == self._experiment else None

    def list_runs(self, experiment: str | None, most: int) -> list[Run]:
        """Return the newest runs, of one experiment or of all."""
        return self._store.list_runs(self._experiment, most) if experiment in (None, self._experiment) else []

    def set_run(self, trace_ids: Sequence[str], run_id: str | None) -> int:
        """Make traces belong to a run, or to none; return how many there are of them."""
        run = None if run_id is None else self._store.get_run(run_id)
        if run is not None and run.experiment != self._experiment:
            return 0
        return self._store.set_run(self._mine(trace_ids), run_id)

    def list_experiments(self) -> list[str]:
        """Return the names of all experiments, in order of the alphabet."""
        return [name for name in self._store.list_experiments() if name == self._experiment]

    # --- datasets --------------------------------------------------------------------------------

    def put_dataset(self, dataset: DatasetInfo) -> bool:
        """Make a dataset of this experiment; return whether there was none of its name."""
        return self._store.put_dataset(replace(dataset, experiment=self._experiment))

    def get_dataset(self, name: str) -> DatasetInfo | None:
        """Return the dataset, or `None`."""
        found = self._store.get_dataset(name)
        return found if found is not None and found.experiment == self._experiment else None

    def list_datasets(self) -> list[DatasetInfo]:
        """Return all datasets, those first that changed last."""
        return [one for one in self._store.list_datasets() if one.experiment == self._experiment]

    def delete_dataset(self, name: str) -> bool:
        """Delete a dataset with its records; return whether there was one."""
        return self.get_dataset(name) is not None and self._store.delete_dataset(name)

    def merge_records(self, name: str, records: Sequence[DatasetRecord]) -> Merged | None:
        """Add records to a dataset, or to its records of equal inputs what they say; `None` where there is no such dataset."""
        return None if self.get_dataset(name) is None else self._store.merge_records(name, records)

    def list_records(self, name: str, page_token: str | None, most: int) -> PagedList[DatasetRecord]:
        """Return a page of a dataset's records, in the order in which they came; none where there is no such dataset."""
        from autolog.search.page import PagedList

        return PagedList() if self.get_dataset(name) is None else self._store.list_records(name, page_token, most)

    def delete_records(self, name: str, record_ids: Sequence[str]) -> int:
        """Delete records of a dataset; return how many there were."""
        return 0 if self.get_dataset(name) is None else self._store.delete_records(name, record_ids)

    # --- the rest --------------------------------------------------------------------------------

    @property
    def sending(self) -> Sending | None:
        """What became of the spans that were written, where these are sent on; else `None`."""
        return self._store.sending

    def flush(self, seconds: float) -> bool:
        """Wait until what was written is where it is kept; return whether that worked in time."""
        return self._store.flush(seconds)

    def tidy(self) -> bool:
        """Do some of what can wait until there is nothing to write; return whether there is more of it."""
        return self._store.tidy()

    def close(self) -> None:
        """Leave the store open: others use it."""


def _of(query: TraceQuery, page: PagedList[T]) -> PagedList[T]:
    """Return the page with a token of the search that was asked for: whoever hands it back knows no other."""
    from autolog.search.page import Cursor

    if page.token is not None:
        page.token = query.token(Cursor.of(page.token).place)
    return page
