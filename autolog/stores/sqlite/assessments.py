"""Feedback and expectations in the SQLite store."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from autolog.errors import InvalidAssessment
from autolog.ids import format_span_id, parse_id
from autolog.model.assessment import KINDS, Assessment, AssessmentSource, SourceType
from autolog.stores.sqlite.rows import text

# By their places in it, they are stored: new ones go last.
KIND_NAMES = ("feedback", "expectation")
_COLUMNS = (
    "id", "rid", "kind", "name", "span_id", "value", "number", "text", "source_type", "source_id", "rationale", "error",
    "metadata", "created_ns", "updated_ns", "overrides", "valid",
)  # fmt: skip
_READ = tuple(name for name in _COLUMNS if name not in ("number", "text"))
_VALUES_AT_ONCE = 30_000


def read_assessments(rids: Sequence[int], connection: sqlite3.Connection) -> dict[int, tuple[Assessment, ...]]:
    """Return what was said of each of these traces, oldest first."""
    found: dict[int, tuple[Assessment, ...]] = {}
    for start in range(0, len(rids), _VALUES_AT_ONCE):
        part = rids[start : start + _VALUES_AT_ONCE]
        sql = (
            f"SELECT hex(t.trace_id), {', '.join('a.' + name for name in _READ)} FROM assessments a "
            f"JOIN traces t ON t.rid = a.rid WHERE a.rid IN ({','.join('?' * len(part))}) ORDER BY a.created_ns, a.id"
        )
        for trace_id, *values in connection.execute(sql, part):
            row = dict(zip(_READ, values, strict=True))
            found[row["rid"]] = (*found.get(row["rid"], ()), _assessment(trace_id.lower(), row))
    return found


def _assessment(trace_id: str, row: dict[str, Any]) -> Assessment:
    return KINDS[KIND_NAMES[row["kind"]]](
        name=row["name"],
        value=json.loads(row["value"]) if row["value"] is not None else None,
        source=AssessmentSource(SourceType(row["source_type"]), row["source_id"]),
        span_id=None if row["span_id"] is None else format_span_id(int.from_bytes(row["span_id"], "big")),
        rationale=row["rationale"],
        error=row["error"],
        metadata=json.loads(row["metadata"] or "{}"),
        trace_id=trace_id,
        assessment_id=row["id"],
        create_time_ns=row["created_ns"],
        last_update_time_ns=row["updated_ns"],
        overrides=row["overrides"],
        valid=bool(row["valid"]),
    )


def put_assessments(trace_id: bytes, assessments: Sequence[Assessment], connection: sqlite3.Connection) -> bool:
    """Keep assessments of one trace, each in place of one of the same id; return whether there is such a trace.

    Raises `InvalidAssessment` for the id of one of another trace, which may be somebody else's.
    """
    found = connection.execute("SELECT rid FROM traces WHERE trace_id = ?", (trace_id,)).fetchone()
    if found is None:
        return False
    for assessment in assessments:
        owner = connection.execute("SELECT rid FROM assessments WHERE id = ?", (assessment.assessment_id,)).fetchone()
        if owner not in (None, found):
            raise InvalidAssessment(f"assessment {assessment.assessment_id!r} is of another trace; give it another id")
    marks = ",".join("?" * len(_COLUMNS))
    sql = f"INSERT OR REPLACE INTO assessments({', '.join(_COLUMNS)}) VALUES ({marks})"
    connection.executemany(sql, [_values(found[0], assessment) for assessment in assessments])
    return True


def _values(rid: int, assessment: Assessment) -> tuple[Any, ...]:
    value = assessment.value
    return (
        assessment.assessment_id,
        rid,
        KIND_NAMES.index(assessment.kind),
        text(assessment.name),
        None if assessment.span_id is None else parse_id(assessment.span_id, 16).to_bytes(8, "big"),
        None if value is None else json.dumps(value),
        float(value) if isinstance(value, (bool, int, float)) else None,
        text(value) if isinstance(value, str) else None,
        str(assessment.source.source_type),
        text(assessment.source.source_id),
        text(assessment.rationale),
        text(assessment.error),
        json.dumps(dict(assessment.metadata)) if assessment.metadata else None,
        assessment.create_time_ns,
        assessment.last_update_time_ns,
        assessment.overrides,
        int(assessment.valid),
    )


def delete_assessment(trace_id: bytes, assessment_id: str, connection: sqlite3.Connection) -> bool:
    """Delete one, and let what it had overridden hold again; return whether there was one."""
    owner = "rid = (SELECT rid FROM traces WHERE trace_id = ?)"
    row = connection.execute(
        f"SELECT overrides FROM assessments WHERE id = ? AND {owner}", (assessment_id, trace_id)
    ).fetchone()
    if row is None:
        return False
    connection.execute("DELETE FROM assessments WHERE id = ?", (assessment_id,))
    connection.execute(f"UPDATE assessments SET valid = 1 WHERE id = ? AND {owner}", (row[0], trace_id))
    return True
