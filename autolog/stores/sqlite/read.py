"""Read traces from the SQLite store."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from autolog import semconv
from autolog.guard import attempt
from autolog.ids import format_span_id, parse_id
from autolog.model.assessment import Assessment
from autolog.model.outline import Outline, SpanOutline
from autolog.model.span import Link, Span, SpanEvent, SpanType, Status
from autolog.model.trace import Trace, TraceInfo, in_tree_order
from autolog.model.usage import Cost, TokenUsage
from autolog.stores import compression
from autolog.stores.sqlite.assessments import read_assessments
from autolog.stores.sqlite.rows import SPAN_COLUMNS, STATES, STATUSES, TRACE_COLUMNS

_VALUES_AT_ONCE = 30_000
_SPAN_READ = SPAN_COLUMNS[1:8]
_SELECT_TRACE = f"SELECT {', '.join('t.' + name for name in TRACE_COLUMNS)}"


def read_trace(trace_id: bytes, connection: sqlite3.Connection) -> Trace | None:
    """Return the trace with its spans, or `None`."""
    row = connection.execute(f"{_SELECT_TRACE} FROM traces t WHERE t.trace_id = ?", (trace_id,)).fetchone()
    if row is None:
        return None
    rid = row[0]
    spans = connection.execute(f"SELECT {', '.join(_SPAN_READ)} FROM spans WHERE rid = ?", (rid,)).fetchall()
    chunks = connection.execute("SELECT codec, body FROM payloads WHERE rid = ? ORDER BY id", (rid,)).fetchall()
    return _trace(row, spans, chunks, read_assessments([rid], connection).get(rid, ()))


def read_outline(trace_id: bytes, connection: sqlite3.Connection) -> Outline | None:
    """Return the trace with the outlines of its spans, reading no payloads; or `None`."""
    row = connection.execute(f"{_SELECT_TRACE} FROM traces t WHERE t.trace_id = ?", (trace_id,)).fetchone()
    if row is None:
        return None
    sql = f"SELECT {', '.join(_OUTLINE_READ)} FROM spans WHERE rid = ? ORDER BY start_ns, span_id"
    spans = tuple(map(_outlined, connection.execute(sql, (row[0],))))
    return Outline(_info(row, read_assessments([row[0]], connection).get(row[0], ())), spans)


_OUTLINE_READ = (
    "span_id", "parent_id", "name", "type", "status", "start_ns", "end_ns", "first_token_ns", "model", "input_tokens",
    "output_tokens", "cost", "error_type", "duplicate",
)  # fmt: skip


def _outlined(row: Sequence[Any]) -> SpanOutline:
    span_id, parent_id, name, span_type, status, *others, duplicate = row
    parent = parent_id.hex() if parent_id else None
    return SpanOutline._make((span_id.hex(), parent, name, span_type, str(STATUSES[status]), *others, bool(duplicate)))


def read_span(trace_id: bytes, span_id: bytes, connection: sqlite3.Connection) -> Span | None:
    """Return one span of a trace, or `None`."""
    sql = (
        f"SELECT t.rid, {', '.join('s.' + name for name in _SPAN_READ)} FROM traces t JOIN spans s ON s.rid = t.rid "
        "WHERE t.trace_id = ? AND s.span_id = ?"
    )
    row = connection.execute(sql, (trace_id, span_id)).fetchone()
    if row is None:
        return None
    # The last record of a span holds; what its text does not stand in need not be read.
    chunks = connection.execute("SELECT codec, body FROM payloads WHERE rid = ? ORDER BY id DESC", (row[0],))
    for codec, body in chunks:
        record = attempt(_record_of, span_id.hex(), codec, body, default=None)
        if record is not None:
            return _span(int.from_bytes(trace_id, "big"), row[1:], {span_id.hex(): record})
    return _span(int.from_bytes(trace_id, "big"), row[1:], {})


def _record_of(span_id: str, codec: int, body: bytes) -> dict[str, Any] | None:
    """Return the record of one span, without reading those of the others where that can be."""
    text = compression.decompress(body) if codec == compression.ZSTD else body
    beginning = b'{"span_id":"%s"' % span_id.encode()
    place = text.find(beginning)
    if place < 0:
        return None
    if text.find(beginning, place + 1) < 0:
        return json.JSONDecoder().raw_decode(text[place:].decode())[0]  # type: ignore[no-any-return]
    # A payload quotes a record.
    return next((record for record in json.loads(text) if record["span_id"] == span_id), None)


def read_infos(rids: Sequence[int], connection: sqlite3.Connection) -> list[TraceInfo]:
    """Return the traces of these rows, in their order, without their spans."""
    rows: dict[int, Sequence[Any]] = {}
    for start in range(0, len(rids), _VALUES_AT_ONCE):
        part = rids[start : start + _VALUES_AT_ONCE]
        sql = f"{_SELECT_TRACE} FROM traces t WHERE t.rid IN ({','.join('?' * len(part))})"
        rows.update((row[0], row) for row in connection.execute(sql, part))
    assessments = read_assessments(rids, connection)
    return [_info(rows[rid], assessments.get(rid, ())) for rid in rids if rid in rows]


def _info(row: Sequence[Any], assessments: Sequence[Assessment]) -> TraceInfo:
    fields = dict(zip(TRACE_COLUMNS, row, strict=True))
    cost = fields["cost_total"]
    return TraceInfo(
        trace_id=fields["trace_id"].hex(),
        name=fields["name"],
        state=STATES[fields["state"]],
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
        error=fields["error"],
        version=fields["version"],
        client_request_id=fields["client_request_id"],
        assessments=assessments,
    )


def _trace(
    row: Sequence[Any],
    spans: Sequence[Sequence[Any]],
    chunks: Sequence[tuple[int, bytes]],
    assessments: Sequence[Assessment],
) -> Trace:
    payloads: dict[str, dict[str, Any]] = {}
    for codec, body in chunks:
        for record in attempt(_unpacked, codec, body, default=_DAMAGED):
            payloads[record["span_id"]] = record
    info = _info(row, assessments)
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
    span._status = Status(STATUSES[status], record.get("description"))
    span._inputs, span._outputs = record.get("inputs"), record.get("outputs")
    span._attributes = dict(record.get("attributes") or {})
    span._events = [SpanEvent(*event) for event in record.get("events") or ()] or None
    span._links = [Link(*link) for link in record.get("links") or ()] or None
    span._usage = TokenUsage.from_dict(record["usage"]) if "usage" in record else None
    span._cost = Cost.from_dict(record["cost"]) if "cost" in record else None
    return span
