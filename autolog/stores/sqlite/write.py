"""Write spans into the SQLite store, and delete traces from it."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from autolog import capture, semconv
from autolog.capture import Limits
from autolog.model.outline import first_token_ns
from autolog.model.span import Span
from autolog.model.usage import Cost, TokenUsage
from autolog.stores import compression
from autolog.stores.sqlite.rows import MANY_NAMES, SPAN_COLUMNS, STATUSES, TRACE_COLUMNS, Summary, label, text, whole

DELETE_AT_ONCE = 100
# SQLite takes 32,766 values in one statement.
_VALUES_AT_ONCE = 30_000
_MOST_NAMES = 200
"""Names of spans that a trace is found by, of one batch."""
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
    record = {"span_id": span.span_id, **span.payload()}
    return {name: value for name, value in record.items() if value is not None and value not in ([], {})}


def _within_limits(record: dict[str, Any], limits: Limits) -> tuple[bytes, int]:
    parts: list[bytes] = []
    cuts = 0
    for name, value in record.items():
        encoded, cut = capture.storable_field(name, value, limits)
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
        found_by: set[tuple[str, str, str | None]] = set()
        stale: set[str] = set()
        for span in batch.spans:
            row = _span_values(rid, span)
            key = row[1]
            is_ended = span.end_time_ns is not None
            is_known_as_ended = ends.get(key) is not None
            newly_ended = is_ended and not is_known_as_ended
            summary.add(span, is_new=key not in ends, newly_ended=newly_ended)
            if newly_ended and span.counted is not None:
                counted.append(span.counted)
            found_by.add((row[_NAME], row[_TYPE], row[_MODEL]))
            # An open span that arrives after its end, from a slower batch, must not undo it.
            if is_ended or not is_known_as_ended:
                spans.append(row)
            else:
                stale.add(span.span_id)
        summary.take_shared(batch.spans)
        summary.count(counted)
        words = _span_labels(found_by)
        if known is None:
            traces.append((rid, batch.trace_id, *summary.values()))
            words |= tag_labels(summary.tags)
        else:
            connection.execute(_UPDATE_TRACE, (*summary.values(), rid))
            words |= _changed_labels(connection, rid, summary, before)
        payloads.append((rid, batch.codec, batch.body) if not stale else (rid, _RAW, _body_without(stale, batch)))
        labels.extend((word, summary.start_ns, rid) for word in words)
    _insert(connection, "INSERT INTO traces", TRACE_COLUMNS, traces)
    _insert(connection, "INSERT OR REPLACE INTO spans", SPAN_COLUMNS, spans)
    _insert(connection, "INSERT INTO payloads", ("rid", "codec", "body"), payloads)
    _insert(connection, "INSERT OR IGNORE INTO labels", ("word", "start_ns", "rid"), labels)


def _body_without(span_ids: Collection[str], batch: Batch) -> bytes:
    records = json.loads(compression.decompress(batch.body) if batch.codec == compression.ZSTD else batch.body)
    return capture.json_bytes([record for record in records if record["span_id"] not in span_ids])


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
        text(span.model),
        text(attributes.get(semconv.PROVIDER)),
        None if usage is None else whole(usage.input_tokens),
        None if usage is None else whole(usage.output_tokens),
        None if cost is None else cost.total,
        text(attributes.get(semconv.ERROR_TYPE)),
        first_token_ns(span),
        1 if semconv.DUPLICATE_OF in attributes else None,
    )


_NAME, _TYPE, _MODEL = (SPAN_COLUMNS.index(name) for name in ("name", "type", "model"))


def _span_labels(found_by: Collection[tuple[str, str, str | None]]) -> set[int]:
    """Return the labels of spans with these names, types and models; of very many names, only those of some."""
    labels = {label("span.type", span_type) for _, span_type, _ in found_by}
    labels.update(label("span.model", model) for _, _, model in found_by if model)
    names = sorted({name for name, _, _ in found_by})
    if len(names) > _MOST_NAMES:
        labels.add(label(*MANY_NAMES))
    labels.update(label("span.name", name) for name in names[:_MOST_NAMES])
    return labels


def tag_labels(tags: str | None) -> set[int]:
    """Return the labels of tags, given as JSON."""
    found: dict[str, str] = json.loads(tags) if tags else {}
    return {label(f"tag.{key}", value) for key, value in found.items()}


def _stored_span_labels(connection: sqlite3.Connection, rid: int) -> set[int]:
    found = connection.execute("SELECT DISTINCT name, type, model FROM spans WHERE rid = ?", (rid,)).fetchall()
    return _span_labels(found)


def _changed_labels(
    connection: sqlite3.Connection, rid: int, summary: Summary, before: tuple[int, str | None]
) -> set[int]:
    """Take away labels of a stored trace that hold no more; return those that are to be written."""
    start_ns, tags = before
    if summary.start_ns != start_ns:
        moved = _stored_span_labels(connection, rid)
        remove_labels(connection, rid, start_ns, moved | tag_labels(tags))
        return moved | tag_labels(summary.tags)
    if summary.tags == tags:
        return set()
    remove_labels(connection, rid, start_ns, tag_labels(tags) - tag_labels(summary.tags))
    return tag_labels(summary.tags)


def remove_labels(connection: sqlite3.Connection, rid: int, start_ns: int, labels: Collection[int]) -> None:
    """Take labels away from a trace."""
    sql = "DELETE FROM labels WHERE word = ? AND start_ns = ? AND rid = ?"
    connection.executemany(sql, [(word, start_ns, rid) for word in labels])


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
    from autolog.stores.sqlite import texts

    if keys is not None:
        conditions = [*conditions, f"trace_id IN ({','.join('?' * len(keys))})"]
        values = [*values, *keys]
    sql = f"SELECT rid, start_ns, tags FROM traces WHERE {' AND '.join(conditions)} ORDER BY start_ns LIMIT ?"
    found = connection.execute(sql, (*values, count)).fetchall()
    for rid, start_ns, tags in found:
        labels = {*_stored_span_labels(connection, rid), *tag_labels(tags), label(*MANY_NAMES)}
        remove_labels(connection, rid, start_ns, labels)
    texts.forget([rid for rid, _, _ in found], connection)
    for table in ("assessments", "payloads", "spans", "traces"):
        connection.executemany(f"DELETE FROM {table} WHERE rid = ?", [(rid,) for rid, _, _ in found])
    texts.forgotten(connection)
    return len(found)
