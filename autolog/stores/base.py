"""What every store can do, and how one is chosen by its address."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from autolog.capture import Limits
from autolog.counters import Sending
from autolog.errors import InvalidSetting
from autolog.model.assessment import Assessment
from autolog.model.outline import Outline
from autolog.model.run import Run
from autolog.model.span import Span
from autolog.model.trace import Trace, TraceInfo
from autolog.settings import Settings, from_environment

if TYPE_CHECKING:
    from autolog.model.dataset import DatasetInfo, DatasetRecord, Merged
    from autolog.model.session import Session
    from autolog.model.statistics import Details, ExperimentSummary, RunSummary, Statistics
    from autolog.search.page import PagedList
    from autolog.search.query import Count, TraceQuery

FOLDER = ".autolog"
FILE = "traces.db"
SPOOL = "spool"


class Store(Protocol):
    """Keeps traces. Every method raises `StoreError` where the store can't be used."""

    location: str
    """Where the traces are, for a person to read."""
    cut: int
    """Payloads that were stored shortened, because they were over a limit."""

    def write(self, spans: Sequence[Span]) -> None:
        """Keep spans, ended or still open, all or none. Writing one again changes nothing or replaces it."""

    def get_trace(self, trace_id: str) -> Trace | None:
        """Return the trace with its spans, or `None`."""

    def get_outline(self, trace_id: str) -> Outline | None:
        """Return the trace with the outlines of its spans, or `None`."""

    def get_span(self, trace_id: str, span_id: str) -> Span | None:
        """Return one span of a trace, or `None`."""

    def search(self, query: TraceQuery) -> PagedList[TraceInfo]:
        """Return a page of the traces that `query` asks for, in its order."""

    def count(self, query: TraceQuery, seconds: float) -> Count:
        """Return how many traces `query` asks for, up to its `max_results`, and as far as that takes no longer."""

    def version(self) -> int:
        """Return a number that is another one whenever anything changed since it was asked for last, by whomever."""

    def statistics(self, query: TraceQuery, group_by: str | None, buckets: int) -> Statistics:
        """Return the figures of the traces that `query` asks for, in about `buckets` buckets, grouped by a field or not."""

    def details(self, query: TraceQuery, buckets: int) -> Details:
        """Return the most frequent errors, the steps that take most time, and what feedback comes to."""

    def sessions(self, query: TraceQuery) -> PagedList[Session]:
        """Return a page of the sessions with a trace that `query` asks for; those first of which such a trace is the newest."""

    def summarize_experiments(self) -> list[ExperimentSummary]:
        """Return all experiments with what their traces come to, those first that were active last."""

    def summarize_runs(self, experiment: str | None, most: int) -> list[RunSummary]:
        """Return the newest runs with what their traces come to, of one experiment or of all."""

    def values(self, field: str, prefix: str, experiment: str | None, most: int) -> list[str]:
        """Return values of a field, or keys, in one experiment or in all: first those that begin with `prefix`."""

    def delete(self, trace_ids: Sequence[str] | None, experiment: str | None, before_ns: int | None, most: int) -> int:
        """Delete the traces that meet every condition given, oldest first, at most `most`; return how many."""

    def set_tags(self, trace_id: str, changes: Mapping[str, str | None]) -> bool:
        """Set tags of a trace, and take away those that are `None`; return whether there is such a trace."""

    def put_assessments(self, trace_id: str, assessments: Sequence[Assessment]) -> bool:
        """Keep assessments, each in place of one of the same id; return whether there is such a trace."""

    def delete_assessment(self, trace_id: str, assessment_id: str) -> bool:
        """Delete one, and let what it had overridden hold again; return whether there was one."""

    def put_run(self, run: Run) -> None:
        """Keep a run, in place of one of the same id."""

    def get_run(self, run_id: str) -> Run | None:
        """Return the run, or `None`."""

    def list_runs(self, experiment: str | None, most: int) -> list[Run]:
        """Return the newest runs, of one experiment or of all."""

    def set_run(self, trace_ids: Sequence[str], run_id: str | None) -> int:
        """Make traces belong to a run, or to none; return how many there are of them."""

    def list_experiments(self) -> list[str]:
        """Return the names of all experiments, in order of the alphabet."""

    @property
    def sending(self) -> Sending | None:
        """What became of the spans that were written, where these are sent on; else `None`."""

    def flush(self, seconds: float) -> bool:
        """Wait until what was written is where it is kept; return whether that worked in time."""

    def put_dataset(self, dataset: DatasetInfo) -> bool:
        """Make a dataset; return whether there was none of its name."""

    def get_dataset(self, name: str) -> DatasetInfo | None:
        """Return the dataset, or `None`."""

    def list_datasets(self) -> list[DatasetInfo]:
        """Return all datasets, those first that changed last."""

    def delete_dataset(self, name: str) -> bool:
        """Delete a dataset with its records; return whether there was one."""

    def merge_records(self, name: str, records: Sequence[DatasetRecord]) -> Merged | None:
        """Add records to a dataset, or to its records of equal inputs what they say; `None` where there is no such dataset."""

    def list_records(self, name: str, page_token: str | None, most: int) -> PagedList[DatasetRecord]:
        """Return a page of a dataset's records, in the order in which they came; none where there is no such dataset."""

    def delete_records(self, name: str, record_ids: Sequence[str]) -> int:
        """Delete records of a dataset; return how many there were."""

    def tidy(self) -> bool:
        """Do some of what can wait until there is nothing to write; return whether there is more of it."""

    def close(self) -> None:
        """Let go of files and connections; a later call opens them again."""


def default_path() -> Path:
    """Return `.autolog/traces.db` in the nearest parent folder that has one, else in the current folder."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / FOLDER / FILE).exists():
            return folder / FOLDER / FILE
    return here / FOLDER / FILE


def hide_from_git(folder: Path) -> None:
    """Keep what is in a folder of traces out of repositories, for prompts are in it."""
    ignored = folder / ".gitignore"
    if folder.name == FOLDER and not ignored.exists():
        ignored.write_text("*\n")


def open_store(address: str | os.PathLike[str] | None, limits: Limits, settings: Settings | None = None) -> Store:
    """Return the store at `address`: a path, `sqlite:///path`, `http://server`, `memory:`, `none:`, or `None` for the default.

    Nothing is opened or made before it is first used. Raises `InvalidSetting` for an unknown kind of address, and
    `Unavailable` for a server's where urllib3 is not installed.
    """
    from autolog.stores.none import NoStore
    from autolog.stores.sqlite import SqliteStore

    if isinstance(address, os.PathLike):
        return SqliteStore(Path(address).expanduser().absolute(), limits)
    if address is None:
        return SqliteStore(default_path(), limits)
    if address in ("memory:", "memory://"):
        return SqliteStore(None, limits)
    if address in ("none:", "none://"):
        return NoStore()
    if not isinstance(address, str):
        raise InvalidSetting(f"the address of a store is a text or a path, not {address!r}")
    scheme, separator, rest = address.partition("://")
    if not separator:
        return SqliteStore(Path(address).expanduser().absolute(), limits)
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        # As SQLAlchemy writes them: three slashes before a relative path, four before an absolute one.
        return SqliteStore(Path(rest[1:]).expanduser().absolute(), limits)
    if scheme.lower() in ("http", "https"):
        return _remote_store(address, limits, from_environment() if settings is None else settings)
    raise InvalidSetting(
        f"no store at {address!r}; use a path, sqlite:///relative/path, sqlite:////absolute, http://server:4321, "
        "memory: or none:"
    )


def _remote_store(address: str, limits: Limits, settings: Settings) -> Store:
    from autolog.stores.remote import RemoteStore

    given = settings.spool
    spool = None if given == "none" else Path(given).expanduser().absolute() if given else default_path().parent / SPOOL
    return RemoteStore(address, limits, token=settings.token, spool=spool, spool_bytes=settings.spool_bytes)
