"""The store itself: its connection, its transactions, and what it says when something is wrong."""

from __future__ import annotations

import errno
import os
import random
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from autolog.capture import Limits
from autolog.counters import Sending
from autolog.errors import StoreError
from autolog.fork import ForkLock, call_in_child
from autolog.ids import parse_id
from autolog.model.assessment import Assessment
from autolog.model.outline import Outline
from autolog.model.run import Run
from autolog.model.span import Span
from autolog.model.trace import Trace, TraceInfo
from autolog.stores.base import hide_from_git
from autolog.stores.sqlite import migrations, rows, runs, tags
from autolog.stores.sqlite.assessments import delete_assessment, put_assessments
from autolog.stores.sqlite.read import read_outline, read_span, read_trace
from autolog.stores.sqlite.readers import Reader, Readers, of_one_moment
from autolog.stores.sqlite.watch import Watch
from autolog.stores.sqlite.write import DELETE_AT_ONCE, batches_of, delete, parts, write_batches

if TYPE_CHECKING:
    from autolog.model.dataset import DatasetInfo, DatasetRecord, Merged
    from autolog.model.session import Session
    from autolog.model.statistics import Details, ExperimentSummary, RunSummary, Statistics
    from autolog.search.page import PagedList
    from autolog.search.query import Count, TraceQuery
    from autolog.stores.sqlite.functions import Functions

T = TypeVar("T")

_BUSY_SECONDS = 5.0
_LONGEST_INDEXING = 1.0
"""Seconds that a search for words spends on the index before it begins."""


class SqliteStore:
    """Keeps traces in the SQLite file at `path`, or in memory where `path` is `None`."""

    sending: Sending | None = None
    """Nothing is sent on."""

    def __init__(self, path: Path | None, limits: Limits) -> None:
        self.path = path
        self.location = str(path) if path else "memory"
        self.cut = 0
        self._limits = limits
        self._lock = ForkLock(rank=1)
        self._connection: sqlite3.Connection | None = None
        self._closer: weakref.finalize[[], SqliteStore] | None = None
        self._left_behind: list[sqlite3.Connection] = []
        self._file: tuple[int, int] | None = None
        """Which file the connection is to."""
        self._readers = Readers()
        self._watch = Watch(path)
        self._changes = 0
        """Transactions of this process."""
        self._unindexed = 0
        call_in_child(self._leave_behind)

    # --- writing ---------------------------------------------------------------------------------

    def write(self, spans: Sequence[Span]) -> None:
        """Keep spans, ended or still open, all or none. Writing one again changes nothing or replaces it."""
        # Encoding and compressing happen outside the transaction, which other processes wait for.
        batches = batches_of(spans, self._limits)
        self._transaction(partial(write_batches, batches))
        self.cut += sum(batch.cut for batch in batches)
        self._unindexed += len(batches)

    # --- reading ---------------------------------------------------------------------------------

    def get_trace(self, trace_id: str) -> Trace | None:
        """Return the trace with its spans, or `None`."""
        key = _key(trace_id)
        return None if key is None else self._read(partial(read_trace, key))

    def get_outline(self, trace_id: str) -> Outline | None:
        """Return the trace with the outlines of its spans, or `None`."""
        key = _key(trace_id)
        return None if key is None else self._read(partial(read_outline, key))

    def get_span(self, trace_id: str, span_id: str) -> Span | None:
        """Return one span of a trace, or `None`."""
        trace, span = _key(trace_id), _key(span_id, 16)
        return None if trace is None or span is None else self._read(partial(read_span, trace, span))

    def search(self, query: TraceQuery) -> PagedList[TraceInfo]:
        """Return a page of the traces that `query` asks for, in its order."""
        # Imported here and below: a program that only records never asks.
        from autolog.search.page import PagedList
        from autolog.stores.sqlite import texts
        from autolog.stores.sqlite.find import search

        if not self._is_there():
            return PagedList()
        if texts.are_asked_for(query.filter):
            with suppress(StoreError):  # of a file that can only be read: then what the index has not is read
                self._index_words(_LONGEST_INDEXING)
        with self._reader() as reader:
            return _waiting(lambda: search(query, *reader))

    def count(self, query: TraceQuery, seconds: float) -> Count:
        """Return how many traces `query` asks for, up to its `max_results`, and as far as that takes no longer."""
        from autolog.search.query import Count
        from autolog.stores.sqlite.find import count

        if not self._is_there():
            return Count(0, is_exact=True)
        with self._reader() as reader:
            return _waiting(lambda: count(query, *reader, seconds))

    def version(self) -> int:
        """Return a number that is another one whenever anything changed since it was asked for last, by whomever."""
        if self.path is None:
            return self._changes
        if not self._is_there():
            return -1
        with self._explained():
            return _waiting(self._watch.version)

    # --- what many traces come to ----------------------------------------------------------------

    def statistics(self, query: TraceQuery, group_by: str | None, buckets: int) -> Statistics:
        """Return the figures of the traces that `query` asks for, in about `buckets` buckets, grouped by a field or not."""
        from autolog.search.grouping import grouping
        from autolog.stores.sqlite import statistics

        field = grouping(group_by)
        found = self._summed_up(query, lambda *reader: statistics.statistics(query, field, buckets, *reader))
        return statistics.none(query, buckets) if found is None else found

    def details(self, query: TraceQuery, buckets: int) -> Details:
        """Return the most frequent errors, the steps that take most time, and what feedback comes to."""
        from autolog.stores.sqlite import statistics

        found = self._summed_up(query, lambda *reader: statistics.details(query, buckets, *reader))
        return statistics.no_details(query, buckets) if found is None else found

    def sessions(self, query: TraceQuery) -> PagedList[Session]:
        """Return a page of the sessions with a trace that `query` asks for; those first of which such a trace is the newest."""
        from autolog.search.page import PagedList
        from autolog.stores.sqlite.sessions import sessions

        found = self._summed_up(query, lambda *reader: sessions(query, *reader))
        return PagedList() if found is None else found

    def summarize_experiments(self) -> list[ExperimentSummary]:
        """Return all experiments with what their traces come to, those first that were active last."""
        from autolog.stores.sqlite.summaries import experiment_summaries

        return self._summed_up(None, experiment_summaries) or []

    def summarize_runs(self, experiment: str | None, most: int) -> list[RunSummary]:
        """Return the newest runs with what their traces come to, of one experiment or of all."""
        from autolog.stores.sqlite.summaries import run_summaries

        return self._summed_up(None, lambda connection, _: run_summaries(experiment, most, connection)) or []

    def values(self, field: str, prefix: str, experiment: str | None, most: int) -> list[str]:
        """Return values of a field, or keys, in one experiment or in all: first those that begin with `prefix`."""
        from autolog.search.grouping import field_or_keys
        from autolog.stores.sqlite.values import values

        return self._read(partial(values, field_or_keys(field), prefix, experiment, most)) or []

    def _summed_up(self, query: TraceQuery | None, work: Callable[[sqlite3.Connection, Functions], T]) -> T | None:
        """Do `work` with a connection to read with; `None` where no store was made yet."""
        from autolog.stores.sqlite import texts

        if not self._is_there():
            return None
        if query is not None and texts.are_asked_for(query.filter):
            with suppress(StoreError):  # as above
                self._index_words(_LONGEST_INDEXING)
        with self._reader() as reader:
            return _waiting(lambda: work(*reader))

    @contextmanager
    def _reader(self) -> Iterator[Reader]:
        """Lend a connection to read with; for a store in memory, there is but the one."""
        with self._explained():
            if self.path is not None:
                with self._readers.lend(self.path) as reader:
                    yield reader
            else:
                with self._lock:
                    yield self._readers.reader_of(self._open(create=False))

    def flush(self, _seconds: float) -> bool:
        """Do nothing: what was written is here."""
        return True

    def tidy(self) -> bool:
        """Do some of what can wait until there is nothing to write; return whether there is more of it."""
        return self._unindexed >= rows.ROWS_WORTH_INDEXING and self._index_words(0.0)

    def _index_words(self, seconds: float) -> bool:
        """Bring the index of words up to date, as far as that goes in a time; return whether more is left."""
        from autolog.stores.sqlite import texts

        deadline = time.monotonic() + seconds
        is_left = texts.is_available()
        while is_left:
            self._unindexed = 0
            with self._reader() as reader:
                step = texts.Step(reader.connection)
            is_left = step.is_worth_it
            if is_left:
                self._transaction(step)
            if time.monotonic() >= deadline:
                break
        if is_left:
            self._unindexed = rows.ROWS_WORTH_INDEXING
        return is_left

    def delete(self, trace_ids: Sequence[str] | None, experiment: str | None, before_ns: int | None, most: int) -> int:
        """Delete the traces that meet every condition given, oldest first, at most `most`; return how many."""
        conditions = ["1"]
        values: list[Any] = []
        if experiment is not None:
            conditions.append("experiment = ?")
            values.append(experiment)
        if before_ns is not None:
            conditions.append("start_ns < ?")
            values.append(before_ns)
        deleted = 0
        # Few at a time, so that writers are not kept waiting.
        for keys in parts(trace_ids):
            count = min(DELETE_AT_ONCE, most - deleted)
            found = self._transaction(partial(delete, conditions, values, keys, count))
            deleted += found
            if deleted == most or (keys is None and found < count):
                break
        return deleted

    # --- what is said of traces, and what they belong to -----------------------------------------

    def set_tags(self, trace_id: str, changes: Mapping[str, str | None]) -> bool:
        """Set tags of a trace, and take away those that are `None`; return whether there is such a trace."""
        return self._change(trace_id, lambda key: partial(tags.set_tags, key, changes))

    def put_assessments(self, trace_id: str, assessments: Sequence[Assessment]) -> bool:
        """Keep assessments, each in place of one of the same id; return whether there is such a trace."""
        return self._change(trace_id, lambda key: partial(put_assessments, key, assessments))

    def delete_assessment(self, trace_id: str, assessment_id: str) -> bool:
        """Delete one, and let what it had overridden hold again; return whether there was one."""
        return self._change(trace_id, lambda key: partial(delete_assessment, key, assessment_id))

    def put_run(self, run: Run) -> None:
        """Keep a run, in place of one of the same id."""
        self._transaction(partial(runs.put_run, run))

    def get_run(self, run_id: str) -> Run | None:
        """Return the run, or `None`."""
        return self._read(partial(runs.read_run, run_id))

    def list_runs(self, experiment: str | None, most: int) -> list[Run]:
        """Return the newest runs, of one experiment or of all."""
        return self._read(partial(runs.read_runs, experiment, most)) or []

    def set_run(self, trace_ids: Sequence[str], run_id: str | None) -> int:
        """Make traces belong to a run, or to none; return how many there are of them."""
        keys = [key for key in map(_key, trace_ids) if key is not None]
        return self._transaction(partial(runs.set_run, keys, run_id))

    def list_experiments(self) -> list[str]:
        """Return the names of all experiments, in order of the alphabet."""
        return self._read(runs.experiments) or []

    def put_dataset(self, dataset: DatasetInfo) -> bool:
        """Make a dataset; return whether there was none of its name."""
        from autolog.stores.sqlite import datasets

        return self._transaction(partial(datasets.put_dataset, dataset))

    def get_dataset(self, name: str) -> DatasetInfo | None:
        """Return the dataset, or `None`."""
        from autolog.stores.sqlite import datasets

        return self._read(partial(datasets.read_dataset, name))

    def list_datasets(self) -> list[DatasetInfo]:
        """Return all datasets, those first that changed last."""
        from autolog.stores.sqlite import datasets

        return self._read(datasets.read_datasets) or []

    def delete_dataset(self, name: str) -> bool:
        """Delete a dataset with its records; return whether there was one."""
        from autolog.stores.sqlite import datasets

        return self._transaction(partial(datasets.delete_dataset, name))

    def merge_records(self, name: str, records: Sequence[DatasetRecord]) -> Merged | None:
        """Add records to a dataset, or to its records of equal inputs what they say; `None` where there is no such dataset."""
        from autolog.stores.sqlite import datasets

        return self._transaction(partial(datasets.merge_records, name, records))

    def list_records(self, name: str, page_token: str | None, most: int) -> PagedList[DatasetRecord]:
        """Return a page of a dataset's records, in the order in which they came; none where there is no such dataset."""
        from autolog.search.page import PagedList
        from autolog.stores.sqlite import datasets

        found = self._read(partial(datasets.read_records, name, page_token, most))
        return PagedList() if found is None else found

    def delete_records(self, name: str, record_ids: Sequence[str]) -> int:
        """Delete records of a dataset; return how many there were."""
        from autolog.stores.sqlite import datasets

        return self._transaction(partial(datasets.delete_records, name, record_ids))

    def _change(self, trace_id: str, work: Callable[[bytes], Callable[[sqlite3.Connection], bool]]) -> bool:
        key = _key(trace_id)
        return key is not None and self._transaction(work(key))

    # --- the connection --------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the file; a later call opens it again."""
        with self._lock:
            if self._connection is not None and self.path is not None:
                self._connection.close()
                self._connection = None
            self._readers.close()
            self._watch.close()

    def _leave_behind(self) -> None:
        """In the child of a fork: let go of the parent's connection without closing it, as SQLite asks."""
        if self._connection is not None and self.path is not None:
            self._left_behind.append(self._connection)
            self._connection = None
        if self._closer is not None:
            self._closer.detach()

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one write transaction, waiting for other processes' ones."""
        with self._lock, self._explained():
            result = _waiting(lambda: _in_transaction(self._open(create=True), work))
            self._changes += 1
            return result

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do `work` on the store as it is, while others read and write; `None` where no store was made yet."""
        if not self._is_there():
            return None

        def read(connection: sqlite3.Connection) -> T:
            with of_one_moment(connection):
                return work(connection)

        with self._reader() as reader:
            return _waiting(lambda: read(reader.connection))

    def _is_there(self) -> bool:
        """Whether a store was made; an older one is brought up to date."""
        with self._lock, self._explained():
            if self.path is not None and _identity(self.path) is None:
                self._discard()
                return False
            _waiting(lambda: self._open(create=False))
            return True

    def _open(self, *, create: bool) -> sqlite3.Connection:
        if self._connection is not None:
            if self.path is None or _identity(self.path) == self._file:
                return self._connection
            # What is written to a file that was deleted or moved away, nobody finds.
            self._discard()
        if self.path is not None and create:
            _make_private_file(self.path)
        file = None if self.path is None else _identity(self.path)
        connection = sqlite3.connect(
            self.path or ":memory:", timeout=0, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._file = connection, file
        # Not at exit: what the worker has left is written then.
        self._closer = weakref.finalize(self, connection.close)
        self._closer.atexit = False
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > migrations.VERSION:
            raise StoreError(
                f"{self.location} was written by a newer autolog (schema {version}; this one knows "
                f"{migrations.VERSION}). Upgrade autolog-tracing, or set AUTOLOG_STORE to another file."
            )
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
        if tables and owner != migrations.APPLICATION_ID:
            raise StoreError(
                f"{self.location} is a database of another program and is left alone. Set AUTOLOG_STORE to another file."
            )
        if not tables:
            # A trace's payload is some kilobytes: of the usual pages of 4 KB a third would stay empty.
            connection.execute("PRAGMA page_size = 8192")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        if version < migrations.VERSION:
            _in_transaction(connection, migrations.migrate)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn SQLite's errors into ones that say what to do."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, sqlite3.DatabaseError) and not _is_busy(error):
                self._discard()
            raise StoreError(self._explain(error)) from error

    def _discard(self) -> None:
        """Drop a connection that may be broken; the file may be mended before the next try."""
        with self._lock:  # whoever only reads must not close what another thread writes with
            if self._connection is not None and self.path is not None:
                with suppress(sqlite3.Error):
                    self._connection.close()
                self._connection = None
                self._readers.close()

    def _explain(self, error: Exception) -> str:
        text = str(error)
        if "is full" in text or getattr(error, "errno", None) == errno.ENOSPC:
            return f"no space is left for {self.location}. Free some: recording goes on by itself."
        if "not a database" in text or "malformed" in text:
            return (
                f"{self.location} is damaged or not a database ({text}). Move it away: a new one is made by itself. "
                "What can be saved of it: sqlite3 OLD .recover | sqlite3 NEW"
            )
        if _is_busy(error):
            return f"{self.location} is locked by another process for longer than {_BUSY_SECONDS:.0f} s; trying again."
        return f"{self.location} can't be used ({text}). Set AUTOLOG_STORE to a file that can be written."


def _key(written: str, digits: int = 32) -> bytes | None:
    try:
        return parse_id(written, digits).to_bytes(digits // 2, "big")
    except ValueError:
        return None


def _identity(path: Path) -> tuple[int, int] | None:
    """Return which file is at `path`, or `None` where there is none."""
    try:
        told = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return told.st_dev, told.st_ino


def _make_private_file(path: Path) -> None:
    """Make the database readable by its owner only, for prompts are in it, and unknown to git."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hide_from_git(path.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and ("locked" in str(error) or "busy" in str(error))


def _waiting(work: Callable[[], T]) -> T:
    """Do `work`, again and again while another process holds the file."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return work()
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
            # SQLite's own waiting sleeps up to 100 ms and is unfair; a short random one is neither.
            time.sleep(random.uniform(0.0005, 0.005))


def _in_transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    # Always IMMEDIATE: a transaction that turns into a writing one later fails at once if another one writes.
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result
