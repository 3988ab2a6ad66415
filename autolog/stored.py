"""What is asked of a store, and said of the traces in it."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from autolog.errors import InvalidQuery, NotFound
from autolog.frame import frame
from autolog.ids import now_ns
from autolog.model.assessment import Assessment
from autolog.model.outline import Outline
from autolog.model.run import Run
from autolog.model.span import Span
from autolog.model.trace import Trace, TraceInfo, TraceState
from autolog.pipeline import Pipeline
from autolog.search.page import PagedList
from autolog.stores.base import Store
from autolog.texts import rewritten, text, text_or_none

if TYPE_CHECKING:
    import pandas as pd

    from autolog.model.session import Session
    from autolog.model.statistics import Details, ExperimentSummary, RunSummary, Statistics
    from autolog.search.query import Count, Moment

MOST = 2**31
_DELETED_AT_ONCE = 1_000
_MOST_BUCKETS = 1_000


class Stored:
    """The traces of a store, and what belongs to them. What this process has recorded is stored before it is asked for."""

    _store: Store
    _pipeline: Pipeline

    @property
    def location(self) -> str:
        """Where traces are stored, for a person to read."""
        return self._store.location

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
        most = MOST if max_traces is None else max_traces
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
        for span in self._pipeline.open_spans():
            context = span.trace_context
            if span.trace_id == trace_id and context is not None:  # what is stored of it later must agree
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


def _is_trace_id(text: object) -> bool:
    return isinstance(text, str) and len(text) == 32 and all(digit in "0123456789abcdef" for digit in text)
