"""The embedded store: one SQLite file, written and read by any number of processes at once.

A trace has a summary row, kept in the transaction of its spans, so that a list never joins them; a narrow row
a span; and a compressed blob of payloads for each trace and flush.
"""

from __future__ import annotations

import errno
import itertools
import json
import logging
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from autolog import capture, semconv
from autolog.capture import Limits
from autolog.errors import StoreError
from autolog.fork import ForkLock, call_in_child
from autolog.guard import attempt
from autolog.ids import format_span_id, parse_id
from autolog.model.message import preview
from autolog.model.span import Link, Span, SpanEvent, SpanType, Status, StatusCode
from autolog.model.trace import Trace, TraceContext, TraceInfo, TraceState, in_tree_order
from autolog.model.usage import Cost, TokenUsage
from autolog.search.query import TraceQuery
from autolog.stores import compression, migrations

logger = logging.getLogger("autolog")
T = TypeVar("T")

_STATES = (TraceState.IN_PROGRESS, TraceState.OK, TraceState.ERROR)
_STATUSES = (StatusCode.UNSET, StatusCode.OK, StatusCode.ERROR)
_BUSY_SECONDS = 5.0
_DELETE_AT_ONCE = 100
_MAX_LABEL = 500
_RAW = 0
_WORTH_PACKING = 200
_NEVER = 2**62


class SqliteStore:
    """Keeps traces in the SQLite file at `path`, or in memory where `path` is `None`."""

    def __init__(self, path: Path | None, limits: Limits) -> None:
        self.path = path
        self.location = str(path) if path else "memory"
        self.cut = 0
        self._limits = limits
        self._lock = ForkLock(rank=1)
        self._connection: sqlite3.Connection | None = None
        self._left_behind: list[sqlite3.Connection] = []
        call_in_child(self._leave_behind)

    # --- writing ---------------------------------------------------------------------------------

    def write(self, spans: Sequence[Span]) -> None:
        """Keep spans, ended or still open, all or none. Writing one again changes nothing or replaces it."""
        groups: dict[int, list[Span]] = {}
        for span in spans:
            groups.setdefault(span._trace_id, []).append(span)
        # Encoding and compressing happen outside the transaction, which other processes wait for.
        batches = [self._batch(trace_id, group) for trace_id, group in groups.items()]
        self._transaction(partial(_write_batches, batches))

    def _batch(self, trace_id: int, spans: list[Span]) -> _Batch:
        latest = {span._span_id: span for span in spans}
        records = b",".join(self._record(span) for span in latest.values())
        body = b"[" + records + b"]"
        codec = _RAW
        if len(body) > _WORTH_PACKING:
            codec, body = compression.ZSTD, compression.compress(body)
        return _Batch(trace_id.to_bytes(16, "big"), list(latest.values()), codec, body)

    def _record(self, span: Span) -> bytes:
        record: dict[str, Any] = {
            "span_id": span.span_id,
            "description": span.status.description,
            "inputs": span.inputs,
            "outputs": span.outputs,
            "attributes": span.attributes,
            "events": [[e.name, e.timestamp_ns, e.attributes] for e in span.events],
            "links": [[link.trace_id, link.span_id, link.attributes] for link in span.links],
            "usage": span.usage.to_dict() if span.usage else None,
            "cost": span.cost.to_dict() if span.cost else None,
        }
        parts: list[bytes] = []
        for name, value in record.items():
            if value is None or value in ([], {}):
                continue
            encoded, cut = capture.storable(value, self._limits)
            self.cut += cut
            parts.append(b'"' + name.encode() + b'":' + encoded)
        return b"{" + b",".join(parts) + b"}"

    # --- reading ---------------------------------------------------------------------------------

    def get_trace(self, trace_id: str) -> Trace | None:
        """Return the trace with its spans, or `None`."""
        try:
            key = parse_id(trace_id, 32).to_bytes(16, "big")
        except ValueError:
            return None

        def read(connection: sqlite3.Connection) -> Trace | None:
            row = connection.execute(f"{_SELECT_TRACE} FROM traces t WHERE t.trace_id = ?", (key,)).fetchone()
            if row is None:
                return None
            rid = row[0]
            spans = connection.execute(f"SELECT {', '.join(_SPAN_READ)} FROM spans WHERE rid = ?", (rid,)).fetchall()
            chunks = connection.execute("SELECT codec, body FROM payloads WHERE rid = ? ORDER BY id", (rid,)).fetchall()
            return _trace(row, spans, chunks)

        return self._read(read)

    def search(self, query: TraceQuery) -> list[TraceInfo]:
        """Return the traces that `query` asks for, newest first."""
        sql, values = _search_sql(query)
        return self._read(lambda connection: [_info(row) for row in connection.execute(sql, values)]) or []

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
        for keys in _parts(trace_ids):
            count = min(_DELETE_AT_ONCE, most - deleted)
            found = self._transaction(partial(_delete, conditions, values, keys, count))
            deleted += found
            if deleted == most or (keys is None and found < count):
                break
        return deleted

    # --- the connection --------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the file; a later call opens it again."""
        with self._lock:
            if self._connection is not None and self.path is not None:
                self._connection.close()
                self._connection = None

    def _leave_behind(self) -> None:
        """In the child of a fork: let go of the parent's connection without closing it, as SQLite asks."""
        if self._connection is not None and self.path is not None:
            self._left_behind.append(self._connection)
            self._connection = None

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one write transaction, waiting for other processes' ones."""
        with self._lock, self._explained():
            return _waiting(lambda: _in_transaction(self._open(create=True), work))

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do `work` on the store as it is; `None` where no store was made yet."""
        with self._lock, self._explained():
            if self._connection is None and self.path is not None and not self.path.exists():
                return None
            return _waiting(lambda: work(self._open(create=False)))

    def _open(self, *, create: bool) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        if self.path is not None and create:
            _make_private_file(self.path)
        connection = sqlite3.connect(
            self.path or ":memory:", timeout=0, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
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
        if self._connection is not None and self.path is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

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


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one transaction adds to one trace."""

    trace_id: bytes
    spans: list[Span]
    codec: int
    body: bytes


def _make_private_file(path: Path) -> None:
    """Make the database readable by its owner only, for prompts are in it, and unknown to git."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent.name == ".autolog" and not (path.parent / ".gitignore").exists():
        (path.parent / ".gitignore").write_text("*\n")
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


# --- writing a batch -------------------------------------------------------------------------------------

_SPAN_COLUMNS = (
    "rid", "span_id", "parent_id", "name", "type", "status", "start_ns", "end_ns", "model", "provider",
    "input_tokens", "output_tokens", "cost", "error_type",
)  # fmt: skip
_SPAN_READ = _SPAN_COLUMNS[1:8]
# SQLite takes 32,766 values in one statement.
_VALUES_AT_ONCE = 30_000


@dataclass(slots=True)
class _Summary:
    """The row of a trace, as it is added up."""

    rank: int = 0
    state: int = 0
    name: str = ""
    start_ns: int = _NEVER
    end_ns: int | None = None
    experiment: str = "default"
    run: str | None = None
    session: str | None = None
    user: str | None = None
    request: str | None = None
    response: str | None = None
    spans: int = 0
    errors: int = 0
    usage: str | None = None
    total_tokens: int | None = None
    cost_input: float | None = None
    cost_output: float | None = None
    cost_total: float | None = None
    tags: str | None = None
    metadata: str | None = None

    def values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def add(self, span: Span, *, is_new: bool, newly_ended: bool) -> None:
        self.start_ns = min(self.start_ns, span.start_time_ns)
        self.spans += is_new
        if newly_ended:
            self.errors += span.status.is_error
            if span.counted is not None:
                self._count(*span.counted)
        if not self.name:
            self.name = _text(span.name)
        rank = 0 if span.parent is not None else 1 if span._parent_id is not None else 2
        if span.trace_context is not None:
            self._take(span.trace_context)
        if rank == 0 or rank < self.rank:
            return
        if rank > self.rank or span.start_time_ns <= self.start_ns:
            self.name = _text(span.name)
            self.request = _previewed(span.trace_context, "request_preview", span.inputs) or self.request
        if rank > self.rank:
            self.state, self.end_ns = 0, None
        self.rank = rank
        if span.end_time_ns is not None:
            self.state = max(self.state, 2 if span.status.is_error else 1)
            self.end_ns = max(self.end_ns or 0, span.end_time_ns)
            self.response = _previewed(span.trace_context, "response_preview", span.outputs) or self.response

    def _take(self, context: TraceContext) -> None:
        self.experiment = _text(context.experiment)
        self.run = _text(context.run) or self.run
        self.session = _text(context.session) or self.session
        self.user = _text(context.user) or self.user
        if context.tags:
            self.tags = _merge(self.tags, context.tags)
        if context.metadata:
            self.metadata = _merge(self.metadata, context.metadata)

    def _count(self, usage: TokenUsage, cost: Cost) -> None:
        total = usage + TokenUsage.from_dict(json.loads(self.usage)) if self.usage else usage
        self.usage = json.dumps({name: count for name, count in total.to_dict().items() if name != "raw"})
        self.total_tokens = _total(total)
        if cost.total or self.cost_total is not None:
            self.cost_input = (self.cost_input or 0) + cost.input
            self.cost_output = (self.cost_output or 0) + cost.output
            self.cost_total = (self.cost_total or 0) + cost.total


_TRACE_COLUMNS = ("rid", "trace_id", *_Summary.__slots__)
_UPDATE_TRACE = f"UPDATE traces SET {', '.join(f'{name} = ?' for name in _Summary.__slots__)} WHERE rid = ?"


def _merge(stored: str | None, added: dict[str, str]) -> str:
    cleaned = {_text(key): _text(value) for key, value in added.items()}
    return json.dumps({**(json.loads(stored) if stored else {}), **cleaned}, sort_keys=True)


def _total(usage: TokenUsage) -> int | None:
    if usage.total_tokens is not None:
        return usage.total_tokens
    known = [count for count in (usage.input_tokens, usage.output_tokens) if count is not None]
    return sum(known) if known else None


def _previewed(context: TraceContext | None, name: str, payload: Any) -> str | None:
    given = getattr(context, name) if context is not None else None
    return _text(given) or preview(payload)


def _write_batches(batches: Sequence[_Batch], connection: sqlite3.Connection) -> None:
    """Write everything in few statements: each one lets go of the interpreter lock, which a busy program then keeps."""
    stored = _stored_traces(connection, [batch.trace_id for batch in batches])
    last = connection.execute("SELECT max(rid) FROM traces").fetchone()[0] or 0
    traces: list[tuple[Any, ...]] = []
    spans: list[tuple[Any, ...]] = []
    payloads: list[tuple[Any, ...]] = []
    labels: list[tuple[Any, ...]] = []
    for batch in batches:
        known = stored.get(batch.trace_id)
        if known is None:
            last += 1
            rid, summary, ends = last, _Summary(), _NO_SPANS
        else:
            rid, summary = known
            ends = _stored_ends(connection, rid, batch.spans)
        before = (summary.start_ns, summary.tags)
        for span in batch.spans:
            key = _key(span)
            is_ended = span.end_time_ns is not None
            is_known_as_ended = ends.get(key) is not None
            summary.add(span, is_new=key not in ends, newly_ended=is_ended and not is_known_as_ended)
            # An open span that arrives after its end, from a slower batch, must not undo it.
            if is_ended or not is_known_as_ended:
                spans.append(_span_values(rid, span))
        if known is None:
            traces.append((rid, batch.trace_id, *summary.values()))
        else:
            connection.execute(_UPDATE_TRACE, (*summary.values(), rid))
            _move_labels(connection, rid, summary, before)
        payloads.append((rid, batch.codec, batch.body))
        labels.extend((key, value, summary.start_ns, rid) for key, value in _labels(summary, before, batch.spans))
    _insert(connection, "INSERT INTO traces", _TRACE_COLUMNS, traces)
    _insert(connection, "INSERT OR REPLACE INTO spans", _SPAN_COLUMNS, spans)
    _insert(connection, "INSERT INTO payloads", ("rid", "codec", "body"), payloads)
    _insert(connection, "INSERT OR IGNORE INTO labels", ("key", "value", "start_ns", "rid"), labels)


def _insert(connection: sqlite3.Connection, into: str, columns: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
    row_marks = f"({','.join('?' * len(columns))})"
    at_once = _VALUES_AT_ONCE // len(columns)
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once]
        sql = f"{into}({', '.join(columns)}) VALUES {','.join([row_marks] * len(part))}"
        connection.execute(sql, [value for row in part for value in row])


def _stored_traces(connection: sqlite3.Connection, trace_ids: Sequence[bytes]) -> dict[bytes, tuple[int, _Summary]]:
    found: dict[bytes, tuple[int, _Summary]] = {}
    for start in range(0, len(trace_ids), _VALUES_AT_ONCE):
        part = trace_ids[start : start + _VALUES_AT_ONCE]
        sql = f"SELECT {', '.join(_TRACE_COLUMNS)} FROM traces WHERE trace_id IN ({','.join('?' * len(part))})"
        found.update((row[1], (row[0], _Summary(*row[2:]))) for row in connection.execute(sql, part))
    return found


_NO_SPANS: dict[bytes, int | None] = {}


def _stored_ends(connection: sqlite3.Connection, rid: int, spans: Sequence[Span]) -> dict[bytes, int | None]:
    found: dict[bytes, int | None] = {}
    for start in range(0, len(spans), _VALUES_AT_ONCE):
        part = [_key(span) for span in spans[start : start + _VALUES_AT_ONCE]]
        sql = f"SELECT span_id, end_ns FROM spans WHERE rid = ? AND span_id IN ({','.join('?' * len(part))})"
        found.update(connection.execute(sql, (rid, *part)))
    return found


def _key(span: Span) -> bytes:
    return span._span_id.to_bytes(8, "big")


def _span_values(rid: int, span: Span) -> tuple[Any, ...]:
    usage = span.usage
    return (
        rid,
        _key(span),
        None if span._parent_id is None else span._parent_id.to_bytes(8, "big"),
        _text(span.name),
        str(span.span_type),
        _STATUSES.index(span.status.code),
        span.start_time_ns,
        span.end_time_ns,
        _text(span.model),
        _text(span.provider),
        usage.input_tokens if usage else None,
        usage.output_tokens if usage else None,
        span.cost.total if span.cost else None,
        _text(span.attributes.get(semconv.ERROR_TYPE)),
    )


def _labels(summary: _Summary, before: tuple[int, str | None], spans: Sequence[Span]) -> set[tuple[str, str]]:
    """Return what the trace is to be found by, as far as it may not be stored yet."""
    labels = {("model", _text(span.model)[:_MAX_LABEL]) for span in spans if span.model}
    if summary.tags != before[1]:
        tags: dict[str, str] = json.loads(summary.tags or "{}")
        labels.update((f"tag.{key}"[:_MAX_LABEL], value[:_MAX_LABEL]) for key, value in tags.items())
    return labels


def _move_labels(connection: sqlite3.Connection, rid: int, summary: _Summary, before: tuple[int, str | None]) -> None:
    if summary.tags != before[1]:
        connection.execute("DELETE FROM labels WHERE rid = ? AND key LIKE 'tag.%'", (rid,))
    if summary.start_ns != before[0]:
        connection.execute("UPDATE labels SET start_ns = ? WHERE rid = ?", (summary.start_ns, rid))


def _text(value: Any) -> Any:
    """Return text that a database takes."""
    return None if value is None else capture.clean_text(value if isinstance(value, str) else str(value))


def _parts(trace_ids: Sequence[str] | None) -> Iterator[list[bytes] | None]:
    if trace_ids is None:
        yield from itertools.repeat(None)
        return
    keys = [bytes.fromhex(trace_id) for trace_id in trace_ids]
    for start in range(0, len(keys), _DELETE_AT_ONCE):
        yield keys[start : start + _DELETE_AT_ONCE]


def _delete(
    conditions: Sequence[str],
    values: Sequence[Any],
    keys: list[bytes] | None,
    count: int,
    connection: sqlite3.Connection,
) -> int:
    if keys is not None:
        conditions = [*conditions, f"trace_id IN ({','.join('?' * len(keys))})"]
        values = [*values, *keys]
    sql = f"SELECT rid FROM traces WHERE {' AND '.join(conditions)} ORDER BY start_ns LIMIT ?"
    rids = [(row[0],) for row in connection.execute(sql, (*values, count))]
    for table in ("labels", "payloads", "spans", "traces"):
        connection.executemany(f"DELETE FROM {table} WHERE rid = ?", rids)
    return len(rids)


# --- reading ---------------------------------------------------------------------------------------------

_SELECT_TRACE = f"SELECT {', '.join('t.' + name for name in _TRACE_COLUMNS)}"


def _search_sql(query: TraceQuery) -> tuple[str, list[Any]]:
    """Return SQL and its values; every name in it is ours, every value of the user's is bound."""
    labels = [(_text(f"tag.{key}")[:_MAX_LABEL], _text(value)[:_MAX_LABEL]) for key, value in query.tags.items()]
    if query.model is not None:
        labels.append(("model", _text(query.model)[:_MAX_LABEL]))
    conditions: list[str] = []
    values: list[Any] = []
    tables, start = "traces t", "t.start_ns"
    for number, (key, value) in enumerate(labels):
        if number == 0:
            # CROSS JOIN keeps this order: walk the first label newest first, look the rest up.
            tables, start = "labels l CROSS JOIN traces t ON t.rid = l.rid", "l.start_ns"
            conditions.append("l.key = ? AND l.value = ?")
        else:
            conditions.append(
                "EXISTS(SELECT 1 FROM labels m WHERE m.key = ? AND m.value = ? AND m.start_ns = t.start_ns AND m.rid = t.rid)"
            )
        values += [key, value]
    if query.state is not None:
        # Spelled out rather than bound where the index has a condition on it.
        conditions.append(f"t.state = {_STATES.index(query.state)}")
    for name in ("name", "experiment", "run", "session", "user"):
        value = getattr(query, name)
        if value is not None:
            conditions.append(f"t.{name} = ?")
            values.append(_text(value))
    for comparison, moment in ((">=", query.since_ns), ("<", query.until_ns)):
        if moment is not None:
            conditions.append(f"{start} {comparison} ?")
            values.append(moment)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    rid = "l.rid" if labels else "t.rid"
    sql = f"{_SELECT_TRACE} FROM {tables}{where} ORDER BY {start} DESC, {rid} DESC LIMIT ?"
    return sql, [*values, query.max_results]


def _info(row: Sequence[Any]) -> TraceInfo:
    fields = dict(zip(_TRACE_COLUMNS, row, strict=True))
    cost = fields["cost_total"]
    return TraceInfo(
        trace_id=fields["trace_id"].hex(),
        name=fields["name"],
        state=_STATES[fields["state"]],
        start_time_ns=fields["start_ns"],
        end_time_ns=fields["end_ns"],
        experiment=fields["experiment"],
        run=fields["run"],
        session=fields["session"],
        user=fields["user"],
        tags=json.loads(fields["tags"] or "{}"),
        metadata=json.loads(fields["metadata"] or "{}"),
        request_preview=fields["request"],
        response_preview=fields["response"],
        usage=TokenUsage.from_dict(json.loads(fields["usage"])) if fields["usage"] else None,
        cost=Cost(fields["cost_input"], fields["cost_output"], cost) if cost is not None else None,
        span_count=fields["spans"],
        error_count=fields["errors"],
    )


def _trace(row: Sequence[Any], spans: Sequence[Sequence[Any]], chunks: Sequence[tuple[int, bytes]]) -> Trace:
    payloads: dict[str, dict[str, Any]] = {}
    for codec, body in chunks:
        for record in attempt(_unpacked, codec, body, default=_DAMAGED):
            payloads[record["span_id"]] = record
    info = _info(row)
    trace_id = parse_id(info.trace_id, 32)
    return Trace(info, in_tree_order(_span(trace_id, values, payloads) for values in spans))


_NO_RECORD = {"attributes": {semconv.TRUNCATED: "its payload can't be read: the store is damaged"}}
_DAMAGED: list[dict[str, Any]] = []


def _unpacked(codec: int, body: bytes) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(compression.decompress(body) if codec == compression.ZSTD else body)
    return records


def _span(trace_id: int, values: Sequence[Any], payloads: dict[str, dict[str, Any]]) -> Span:
    key, parent, name, span_type, status, start_ns, end_ns = values
    span_id = int.from_bytes(key, "big")
    record = payloads.get(format_span_id(span_id), _NO_RECORD)
    span = Span(
        name, SpanType(span_type), trace_id, span_id, int.from_bytes(parent, "big") if parent else None, start_ns
    )
    span.end_time_ns = end_ns
    span._status = Status(_STATUSES[status], record.get("description"))
    span._inputs, span._outputs = record.get("inputs"), record.get("outputs")
    span._attributes = dict(record.get("attributes") or {})
    span._events = [SpanEvent(*event) for event in record.get("events") or ()] or None
    span._links = [Link(*link) for link in record.get("links") or ()] or None
    span._usage = TokenUsage.from_dict(record["usage"]) if "usage" in record else None
    span._cost = Cost.from_dict(record["cost"]) if "cost" in record else None
    return span
