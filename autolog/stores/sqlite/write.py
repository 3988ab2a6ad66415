"""Write spans into the SQLite store, and delete traces from it."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from autolog import capture, semconv
from autolog.capture import Limits
from autolog.model.span import Span
from autolog.model.usage import Cost, TokenUsage
from autolog.stores import compression
from autolog.stores.sqlite.rows import SPAN_COLUMNS, STATUSES, TRACE_COLUMNS, Summary, label, text

DELETE_AT_ONCE = 100
# SQLite takes 32,766 values in one statement.
_VALUES_AT_ONCE = 30_000
_RAW = 0
_WORTH_PACKING = 200
_UPDATE_TRACE = f"UPDATE traces SET {', '.join(f'{name} = ?' for name in Summary.__slots__)} WHERE rid = ?"


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction adds to one trace."""

    trace_id: bytes
    spans: list[Span]
    codec: int
    body: bytes
    cut: int
    """Payloads that were shortened, because they were over a limit."""


def batches_of(spans: Sequence[Span], limits: Limits) -> list[Batch]:
    """Encode and compress the payloads of `spans`, trace by trace."""
    groups: dict[int, dict[int, Span]] = {}
    for span in spans:
        groups.setdefault(span._trace_id, {})[span._span_id] = span
    return [_batch(trace_id, list(group.values()), limits) for trace_id, group in groups.items()]


def _batch(trace_id: int, spans: list[Span], limits: Limits) -> Batch:
    records = [_record(span) for span in spans]
    # A trace at once where nothing in it is over a limit, which is nearly always.
    codec, body, cut = _RAW, capture.storable_as_is(records, limits), 0
    if body is None:
        parts = [_within_limits(record, limits) for record in records]
        body, cut = b"[" + b",".join(part for part, _ in parts) + b"]", sum(cuts for _, cuts in parts)
    if len(body) > _WORTH_PACKING:
        codec, body = compression.ZSTD, compression.compress(body)
    return Batch(trace_id.to_bytes(16, "big"), spans, codec, body, cut)


def _record(span: Span) -> dict[str, Any]:
    """Return what is stored of a span beside its row; what is empty is left out."""
    span.resolve()
    usage, cost = span._usage, span._cost
    record = {
        "span_id": span.span_id,
        "description": span._status.description,
        "inputs": span._inputs,
        "outputs": span._outputs,
        "attributes": span._attributes,
        "events": [[e.name, e.timestamp_ns, e.attributes] for e in span._events or ()],
        "links": [[link.trace_id, link.span_id, link.attributes] for link in span._links or ()],
        "usage": None if usage is None else usage.to_dict(),
        "cost": None if cost is None else cost.to_dict(),
    }
    return {name: value for name, value in record.items() if value is not None and value not in ([], {})}


def _within_limits(record: dict[str, Any], limits: Limits) -> tuple[bytes, int]:
    parts: list[bytes] = []
    cuts = 0
    for name, value in record.items():
        encoded, cut = capture.storable(value, limits)
        cuts += cut
        parts.append(b'"' + name.encode() + b'":' + encoded)
    return b"{" + b",".join(parts) + b"}", cuts


def write_batches(batches: Sequence[Batch], connection: sqlite3.Connection) -> None:
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
            rid, summary, ends = last, Summary(), _NO_SPANS
        else:
            rid, summary = known
            ends = _stored_ends(connection, rid, batch.spans)
        before = (summary.start_ns, summary.tags)
        counted: list[tuple[TokenUsage, Cost]] = []
        models: set[str | None] = set()
        for span in batch.spans:
            row = _span_values(rid, span)
            key, model = row[1], row[8]
            is_ended = span.end_time_ns is not None
            is_known_as_ended = ends.get(key) is not None
            newly_ended = is_ended and not is_known_as_ended
            summary.add(span, is_new=key not in ends, newly_ended=newly_ended)
            if newly_ended and span.counted is not None:
                counted.append(span.counted)
            models.add(model)
            # An open span that arrives after its end, from a slower batch, must not undo it.
            if is_ended or not is_known_as_ended:
                spans.append(row)
        summary.take_shared(batch.spans)
        summary.count(counted)
        if known is None:
            traces.append((rid, batch.trace_id, *summary.values()))
        else:
            connection.execute(_UPDATE_TRACE, (*summary.values(), rid))
            _move_labels(connection, rid, summary, before)
        payloads.append((rid, batch.codec, batch.body))
        labels.extend((key, value, summary.start_ns, rid) for key, value in _labels(summary, before, models))
    _insert(connection, "INSERT INTO traces", TRACE_COLUMNS, traces)
    _insert(connection, "INSERT OR REPLACE INTO spans", SPAN_COLUMNS, spans)
    _insert(connection, "INSERT INTO payloads", ("rid", "codec", "body"), payloads)
    _insert(connection, "INSERT OR IGNORE INTO labels", ("key", "value", "start_ns", "rid"), labels)


def _insert(connection: sqlite3.Connection, into: str, columns: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
    row_marks = f"({','.join('?' * len(columns))})"
    at_once = _VALUES_AT_ONCE // len(columns)
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once]
        sql = f"{into}({', '.join(columns)}) VALUES {','.join([row_marks] * len(part))}"
        connection.execute(sql, [value for row in part for value in row])


def _stored_traces(connection: sqlite3.Connection, trace_ids: Sequence[bytes]) -> dict[bytes, tuple[int, Summary]]:
    found: dict[bytes, tuple[int, Summary]] = {}
    for start in range(0, len(trace_ids), _VALUES_AT_ONCE):
        part = trace_ids[start : start + _VALUES_AT_ONCE]
        sql = f"SELECT {', '.join(TRACE_COLUMNS)} FROM traces WHERE trace_id IN ({','.join('?' * len(part))})"
        found.update((row[1], (row[0], Summary(*row[2:]))) for row in connection.execute(sql, part))
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
    attributes, usage, cost = span._attributes, span._usage, span._cost
    return (
        rid,
        _key(span),
        None if span._parent_id is None else span._parent_id.to_bytes(8, "big"),
        text(span.name),
        str(span.span_type),
        STATUSES.index(span._status.code),
        span.start_time_ns,
        span.end_time_ns,
        text(attributes.get(semconv.RESPONSE_MODEL) or attributes.get(semconv.REQUEST_MODEL)),
        text(attributes.get(semconv.PROVIDER)),
        None if usage is None else usage.input_tokens,
        None if usage is None else usage.output_tokens,
        None if cost is None else cost.total,
        text(attributes.get(semconv.ERROR_TYPE)),
    )


def _labels(summary: Summary, before: tuple[int, str | None], models: set[str | None]) -> set[tuple[str, str]]:
    """Return what the trace is to be found by, as far as it may not be stored yet."""
    labels = {label("model", model) for model in models if model}
    if summary.tags != before[1]:
        tags: dict[str, str] = json.loads(summary.tags or "{}")
        labels.update(label(f"tag.{key}", value) for key, value in tags.items())
    return labels


def _move_labels(connection: sqlite3.Connection, rid: int, summary: Summary, before: tuple[int, str | None]) -> None:
    if summary.tags != before[1]:
        connection.execute("DELETE FROM labels WHERE rid = ? AND key LIKE 'tag.%'", (rid,))
    if summary.start_ns != before[0]:
        connection.execute("UPDATE labels SET start_ns = ? WHERE rid = ?", (summary.start_ns, rid))


def parts(trace_ids: Sequence[str] | None) -> Iterator[list[bytes] | None]:
    """Yield the ids that one transaction deletes, and then the next; endlessly `None` where any trace may go."""
    if trace_ids is None:
        yield from itertools.repeat(None)
        return
    keys = [bytes.fromhex(trace_id) for trace_id in trace_ids]
    for start in range(0, len(keys), DELETE_AT_ONCE):
        yield keys[start : start + DELETE_AT_ONCE]


def delete(
    conditions: Sequence[str],
    values: Sequence[Any],
    keys: list[bytes] | None,
    count: int,
    connection: sqlite3.Connection,
) -> int:
    """Delete at most `count` traces that meet the conditions and have one of `keys`; return how many."""
    if keys is not None:
        conditions = [*conditions, f"trace_id IN ({','.join('?' * len(keys))})"]
        values = [*values, *keys]
    sql = f"SELECT rid FROM traces WHERE {' AND '.join(conditions)} ORDER BY start_ns LIMIT ?"
    rids = [(row[0],) for row in connection.execute(sql, (*values, count))]
    for table in ("assessments", "labels", "payloads", "spans", "traces"):
        connection.executemany(f"DELETE FROM {table} WHERE rid = ?", rids)
    return len(rids)
