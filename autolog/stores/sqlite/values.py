"""The values that a field has in the SQLite store, to complete what somebody types."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from typing import Any

from autolog.search.fields import Field, Scope
from autolog.stores.sqlite.assessments import KIND_NAMES
from autolog.stores.sqlite.conditions import COLUMNS, Sql, expression
from autolog.stores.sqlite.readers import interrupted

_INDEXED = ("name", "experiment", "session", "user", "run", "version", "client_request_id")
_LOOKED_AT = 1_000
"""Values along an index, or traces, newest first, that are looked at where no index has what is typed."""
_SECONDS = 0.5
_LONGEST = 200
"""Characters of a value that can be offered."""
_LAST = "\U0010ffff"


def values(field: Field, prefix: str, experiment: str | None, most: int, connection: sqlite3.Connection) -> list[str]:
    """Return values of a field that begin with `prefix`, and then those that have it somewhere, whatever its case.

    A field without a key, such as `Field(Scope.TAG, "")`, has keys as its values.
    """
    found: dict[str, None] = {}
    with interrupted(connection, _SECONDS):
        for value in _candidates(field, prefix, experiment, most, connection):
            if value and len(value) <= _LONGEST:
                found[value] = None
            if len(found) >= most:
                break
    return list(found)


def _candidates(
    field: Field, prefix: str, experiment: str | None, most: int, connection: sqlite3.Connection
) -> Iterable[str]:
    # No index has the values of one experiment.
    walk = _walk(field) if experiment is None else None
    if walk is None:
        yield from _ranked(_of_newest(field, experiment, connection), prefix)
        return
    yield from _distinct(walk, prefix, most, connection)
    if prefix:
        yield from _ranked(list(_distinct(walk, "", _LOOKED_AT, connection)), prefix)


def _ranked(found: list[str], prefix: str) -> Iterable[str]:
    """Yield first what begins with `prefix`."""
    wanted = prefix.casefold()
    yield from (value for value in found if value.casefold().startswith(wanted))
    yield from (value for value in found if wanted in value.casefold())


Walk = tuple[str, str, Sql]
"""A table, a column that an index has in its order, and what else the rows must meet."""


def _walk(field: Field) -> Walk | None:
    if field.scope is Scope.TRACE and field.name in _INDEXED:
        return "traces t", f"t.{field.name}", Sql("1")
    return _assessed(field) if field.scope in (Scope.FEEDBACK, Scope.EXPECTATION) else None


def _assessed(field: Field) -> Walk:
    kind = KIND_NAMES.index(field.scope.value)
    if not field.name:
        return "assessments a", "a.name", Sql(f"a.kind = {kind}")
    return "assessments a", "a.text", Sql(f"a.kind = {kind} AND a.name = ?", [field.name])


def _distinct(walk: Walk, prefix: str, most: int, connection: sqlite3.Connection) -> Iterable[str]:
    """Yield distinct values in their order, jumping along the index from one to the next."""
    table, column, where = walk
    least = f"SELECT min({column}) FROM {table} WHERE {where.text} AND {column}"
    sql = f"""
    WITH RECURSIVE found(value) AS (
      SELECT ({least} >= ? AND {column} <= ?)
      UNION ALL SELECT ({least} > found.value AND {column} <= ?) FROM found WHERE found.value IS NOT NULL
    ) SELECT value FROM found WHERE value IS NOT NULL LIMIT ?
    """
    high = prefix + _LAST
    given: list[Any] = [*where.values, prefix, high, *where.values, high, most]
    yield from (row[0] for row in connection.execute(sql, given))


# --- what has no index: as the newest traces have it ---------------------------------------------------


def _of_newest(field: Field, experiment: str | None, connection: sqlite3.Connection) -> list[str]:
    """Return values of the newest traces, the most frequent first."""
    if field.name and field.choices:
        return list(field.choices)
    among, given = ("", []) if experiment is None else ("WHERE experiment = ?", [experiment])
    newest = f"(SELECT rid FROM traces {among} ORDER BY start_ns DESC LIMIT {_LOOKED_AT}) n CROSS JOIN traces t ON t.rid = n.rid"
    if not field.name and field.scope in _OBJECTS:
        return _keys(connection.execute(f"SELECT {_OBJECTS[field.scope]} FROM {newest}", given))
    source = _source(field)
    if source is None:
        return []
    tables, value, condition = source
    sql = (
        f"SELECT {value.text} AS value, count(*) FROM {newest} {tables} WHERE {condition.text} "
        f"GROUP BY value ORDER BY 2 DESC, 1 LIMIT {_LOOKED_AT}"
    )
    rows = connection.execute(sql, [*value.values, *given, *condition.values])
    return [str(row[0]) for row in rows if row[0] is not None]


_OBJECTS = {Scope.TAG: "t.tags", Scope.METADATA: "t.metadata"}


def _keys(rows: Iterable[tuple[str | None]]) -> list[str]:
    counted = Counter(key for (members,) in rows if members for key in json.loads(members))
    return [key for key, _ in sorted(counted.items(), key=lambda one: (-one[1], one[0]))]


_SPANS = "CROSS JOIN spans s ON s.rid = t.rid"
_TEXTS_OF_SPANS = ("name", "model", "provider", "error")


def _source(field: Field) -> tuple[str, Sql, Sql] | None:
    """Return what is joined to a trace `t`, the value in it, and what it must meet."""
    scope, name = field.scope, field.name
    if scope in _OBJECTS:
        return "", expression(field), Sql("1")
    if scope in (Scope.FEEDBACK, Scope.EXPECTATION):
        _, column, where = _assessed(field)
        return "CROSS JOIN assessments a ON a.rid = t.rid", Sql(column), where
    if scope is Scope.TRACE and name in _INDEXED:
        return "", expression(field), Sql("1")
    if (scope is Scope.SPAN and name in _TEXTS_OF_SPANS) or field == Field(Scope.TRACE, "model"):
        return _SPANS, Sql(COLUMNS[Field(Scope.SPAN, name)]), Sql("1")
    return None
