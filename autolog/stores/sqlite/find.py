"""Find traces: choose the index to walk along, in the order that is asked for, and look at what is met on the way."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

from autolog.model.trace import TraceInfo
from autolog.search.fields import Field, Scope
from autolog.search.filter import AllOf, AnyOf, Comparison, Node, Operator, SomeSpan, conjuncts
from autolog.search.order import START, Key
from autolog.search.page import PagedList, Place
from autolog.search.query import Count, TraceQuery
from autolog.stores.sqlite import texts
from autolog.stores.sqlite.assessments import KIND_NAMES
from autolog.stores.sqlite.conditions import (
    Conditions,
    Sql,
    assessment_condition,
    assessment_owner,
    compared,
    expression,
    is_expensive,
)
from autolog.stores.sqlite.functions import Functions
from autolog.stores.sqlite.read import read_infos
from autolog.stores.sqlite.readers import interrupted, limited
from autolog.stores.sqlite.rows import MANY_NAMES, STATES, label

Row = tuple[Any, ...]
"""What a trace is sorted by, and its row number."""

_COLUMN_INDEXES = {
    "name": "traces_name",
    "experiment": "traces_experiment",
    "session": "traces_session",
    "user": "traces_user",
    "run": "traces_run",
    "version": "traces_version",
}
_ORDER_INDEXES = {
    Field(Scope.TRACE, "duration"): "traces_duration",
    Field(Scope.TRACE, "tokens"): "traces_tokens",
    Field(Scope.TRACE, "cost"): "traces_cost",
}
_LABELLED_OF_SPANS = ("type", "name", "model")
_MOST_ARMS = 16
_FEW = 1_000
"""Traces that are looked at one by one rather than along an index."""
_FEW_WITH_WORDS = 40.0
"""Rows with words that are listed at the cost of looking at one payload, which decides whether to list or to look."""
_LOOKED_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Arm:
    """A walk along one index in the order of time."""

    source: str
    walked: str
    """The source without the traces themselves, to count along."""
    start: str
    rid: str
    where: Sql


_ALL = Arm("traces t INDEXED BY traces_start", "traces t INDEXED BY traces_start", "t.start_ns", "t.rid", Sql("1"))


@dataclass(frozen=True, slots=True)
class Walk:
    """Walks along several indexes at once; together they meet every trace that is looked for."""

    arms: Sequence[Arm]


@dataclass(frozen=True, slots=True)
class Listed:
    """The row numbers of all traces that may be meant, in no order."""

    sql: Sql
    counted: Sql
    """What is as many, and faster to count."""
    most: int


Source = Walk | Listed


def search(query: TraceQuery, connection: sqlite3.Connection, functions: Functions) -> PagedList[TraceInfo]:
    """Return a page of the traces that `query` asks for, in its order."""
    if not query.max_results:
        return PagedList()
    # In one transaction, so that all of it is of one moment.
    connection.execute("BEGIN")
    try:
        with limited(connection):
            found = _find(query, connection, functions)
        page = found[: query.max_results]
        infos = read_infos([row[-1] for row in page], connection)
    finally:
        connection.execute("ROLLBACK")
    token = query.token(page[-1]) if len(found) > len(page) else None
    return PagedList(infos, token)


def count(query: TraceQuery, connection: sqlite3.Connection, functions: Functions, seconds: float) -> Count:
    """Return how many traces `query` asks for, up to its `max_results`, and as far as `seconds` go."""
    found, is_exact = 0, False
    connection.execute("BEGIN")
    try:
        with interrupted(connection, seconds), closing(_Search(query, connection, functions).rows()) as rows:
            for _ in islice(rows, query.max_results):
                found += 1
            is_exact = next(rows, None) is None
    finally:
        connection.execute("ROLLBACK")
    return Count(found, is_exact)


def _find(query: TraceQuery, connection: sqlite3.Connection, functions: Functions) -> list[Row]:
    """Return the rows of one page and, where there are more, of one trace behind it."""
    with closing(_Search(query, connection, functions).rows()) as rows:
        return list(islice(rows, query.max_results + 1))


class _Search:
    def __init__(self, query: TraceQuery, connection: sqlite3.Connection, functions: Functions) -> None:
        self._connection = connection
        self._functions = functions
        self._order = query.order
        self._after = query.after
        self._most = query.max_results + 1
        self._parts = conjuncts(query.filter)
        writer = Conditions()
        self._cheap = writer.all_of([part for part in self._parts if not is_expensive(part)])
        expensive = [part for part in self._parts if is_expensive(part)]
        self._expensive = writer.all_of(expensive) if expensive else None
        functions.asked = writer.asked
        self._direction = "DESC" if self._order[-1].descending else "ASC"
        self._keys = [_sort_expression(key.field) for key in self._order]

    def rows(self) -> Generator[Row, None, None]:
        for sql in self._statements():
            with closing(self._connection.execute(sql.text, sql.values)) as cursor:
                yield from cursor if self._expensive is None else self._looked_at(cursor)

    def _looked_at(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield those of `rows` whose payloads meet what is asked of them."""
        assert self._expensive is not None
        at_once = 8
        while part := list(islice(rows, at_once)):
            marks = ",".join("?" * len(part))
            sql = f"SELECT t.rid FROM traces t WHERE t.rid IN ({marks}) AND {self._expensive.text}"
            values = [*[row[-1] for row in part], *self._expensive.values]
            found = {row[0] for row in self._connection.execute(sql, values)}
            yield from (row for row in part if row[-1] in found)
            at_once = min(at_once * 2, _LOOKED_AT_ONCE)

    # --- which way to go -------------------------------------------------------------------------

    def _statements(self) -> Iterator[Sql]:
        """Yield what to run, one after the other, until there is enough."""
        by_start = len(self._order) == 1
        source = self._best(by_start=by_start)
        if by_start and isinstance(source, Walk):
            yield self._walk(source)
        elif source is None and self._order[0].field in _ORDER_INDEXES:
            yield from self._along_order()
        else:
            yield self._sorted(source)

    def _best(self, *, by_start: bool) -> Source | None:
        """Return from where to get candidates: the fewest, or in the order of time those that lie farthest apart."""
        walks = [walk for part in self._parts if (walk := _walk_of(part))]
        lists = self._lists()
        if by_start and not lists and len(walks) < 2:
            return walks[0] if walks else Walk([_ALL])
        if not by_start and self._bounds("t.start_ns").values:
            walks.append(Walk([_ALL]))
        counted = [(self._count(one), one) for one in lists]
        few = min((pair for pair in counted if pair[0] < pair[1].most), key=lambda pair: pair[0], default=None)
        probed = [(*self._probe(walk), walk) for walk in walks]
        short = min((probe for probe in probed if probe[0] < _FEW), key=lambda probe: probe[0], default=None)
        if few is not None and (short is None or few[0] < short[0]):
            return few[1]
        if short is not None:
            return short[2]
        if not by_start:
            return None
        return min(probed, key=lambda probe: probe[1])[2] if probed else Walk([_ALL])

    def _probe(self, walk: Walk) -> tuple[int, int]:
        """Return how many traces a walk meets, up to a number, and how near in time that many of them lie."""
        found, nearest = 0, -(2**63)
        sign = 1 if self._direction == "DESC" else -1
        for arm in walk.arms:
            bounds = self._bounds(arm.start)
            sql = (
                f"SELECT count(*), {'min' if sign > 0 else 'max'}(start) FROM (SELECT {arm.start} AS start FROM {arm.walked} "
                f"WHERE {arm.where.text} AND {bounds.text} ORDER BY start {self._direction} LIMIT {_FEW})"
            )
            count, last = self._connection.execute(sql, [*arm.where.values, *bounds.values]).fetchone()
            found += count
            if count == _FEW:
                nearest = max(nearest, sign * last)
        return found, nearest

    def _count(self, listed: Listed) -> int:
        sql = f"SELECT count(*) FROM (SELECT 1 FROM ({listed.counted.text}) LIMIT {listed.most})"
        return int(self._connection.execute(sql, listed.counted.values).fetchone()[0])

    def _lists(self) -> list[Listed]:
        found = [Listed(listed, listed, _FEW) for part in self._parts if (listed := _listed(part))]
        words = [match for part in self._parts if (match := texts.expression(part))]
        if words and texts.is_usable(self._connection):
            last = texts.indexed(self._connection)
            traces = self._connection.execute("SELECT max(rid) FROM traces").fetchone()[0] or 0
            # Of many, the newest are found sooner by looking at traces one by one.
            most = int((_FEW_WITH_WORDS * self._most * traces) ** 0.5)
            for match in words:
                with_word = (
                    "FROM words CROSS JOIN payloads p INDEXED BY payloads_ids ON p.id = words.rowid WHERE words MATCH ?"
                )
                not_indexed = "FROM payloads WHERE id > ?"
                sql = Sql(f"SELECT p.rid {with_word} UNION ALL SELECT rid {not_indexed}", [match, last])
                counted = f"SELECT 1 FROM words WHERE words MATCH ? UNION ALL SELECT 1 {not_indexed}"
                found.append(Listed(sql, Sql(counted, [match, last]), most))
        return found

    # --- statements ------------------------------------------------------------------------------

    def _walk(self, walk: Walk) -> Sql:
        """Return what walks along the arms, merged in the order of time."""
        selects: list[str] = []
        values: list[Any] = []
        for arm in walk.arms:
            bounds, after = self._bounds(arm.start), self._behind(arm)
            pieces = [arm.where, bounds, after, self._cheap]
            selects.append(f"SELECT {arm.start} AS k0, {arm.rid} AS rid FROM {arm.source} WHERE {_and(pieces)}")
            values += [value for piece in pieces for value in piece.values]
        # UNION of sorted selects is a merge, which ends when there is enough.
        sql = f"{' UNION '.join(selects)} ORDER BY k0 {self._direction}, rid {self._direction}"
        return self._limited(Sql(sql, values))

    def _behind(self, arm: Arm) -> Sql:
        if self._after is None:
            return Sql("1")
        start, rid = self._after
        sign = "<" if self._direction == "DESC" else ">"
        sql = f"{arm.start} {sign}= ? AND ({arm.start} {sign} ? OR {arm.rid} {sign} ?)"
        return Sql(sql, [start, start, rid])

    def _sorted(self, source: Source | None) -> Sql:
        """Return what sorts all candidates."""
        listed = self._listed(source)
        tables, values = "traces t", []
        if listed is not None:
            index = "INDEXED BY traces_rids" if self._needs_only_starts() else ""
            tables = f"(SELECT DISTINCT rid FROM ({listed.text})) k CROSS JOIN traces t {index} ON t.rid = k.rid"
            values = listed.values
        return self._select(tables, values, [self._cheap, self._following(range(len(self._order)))], self._order)

    def _needs_only_starts(self) -> bool:
        cheap = [part for part in self._parts if not is_expensive(part)]
        return len(self._order) == 1 and all(isinstance(part, Comparison) and part.field == START for part in cheap)

    def _listed(self, source: Source | None) -> Sql | None:
        if not isinstance(source, Walk):
            return source.sql if source is not None else None
        selects: list[str] = []
        values: list[Any] = []
        for arm in source.arms:
            bounds = self._bounds(arm.start)
            selects.append(f"SELECT {arm.rid} AS rid FROM {arm.walked} WHERE {arm.where.text} AND {bounds.text}")
            values += [*arm.where.values, *bounds.values]
        return Sql(" UNION ALL ".join(selects), values)

    def _along_order(self) -> Iterator[Sql]:
        """Yield what walks along the index of the first key, and then what gets those without that field."""
        key, after = self._order[0], self._after
        column = self._keys[0].text
        index = f"traces t INDEXED BY {_ORDER_INDEXES[key.field]}"
        if after is None or after[0] is not None:
            bound = Sql(f"{column} IS NOT NULL")
            if after is not None:
                bound = Sql(f"{column} {'<=' if key.descending else '>='} ?", [after[0]])
            following = self._following(range(len(self._order)), first_is_there=True)
            yield self._select(index, [], [bound, following, self._cheap], self._order, first_is_there=True)
        after_absent = after is not None and after[0] is None
        following = self._following(range(1, len(self._order))) if after_absent else Sql("1")
        yield self._select("traces t", [], [Sql(f"{column} IS NULL"), following, self._cheap], self._order)

    def _select(
        self,
        tables: str,
        values: list[Any],
        pieces: Sequence[Sql],
        order: Sequence[Key],
        *,
        first_is_there: bool = False,
    ) -> Sql:
        columns = ", ".join(f"{key.text} AS k{number}" for number, key in enumerate(self._keys))
        terms: list[str] = []
        for number, key in enumerate(order):
            # In descending order, SQLite puts what is absent last by itself.
            if not key.descending and key.field != START and not (number == 0 and first_is_there):
                terms.append(f"k{number} IS NULL")
            terms.append(f"k{number} {'DESC' if key.descending else 'ASC'}")
        sql = f"SELECT {columns}, t.rid FROM {tables} WHERE {_and(pieces)} ORDER BY {', '.join(terms)}, t.rid {self._direction}"
        key_values = [value for key in self._keys for value in key.values]
        return self._limited(Sql(sql, [*key_values, *values, *[value for piece in pieces for value in piece.values]]))

    def _limited(self, sql: Sql) -> Sql:
        # Payloads are looked at afterwards: nobody knows how many rows that takes.
        return Sql(f"{sql.text} LIMIT ?", [*sql.values, self._most]) if self._expensive is None else sql

    def _following(self, numbers: range, *, first_is_there: bool = False) -> Sql:
        """Return the condition that a trace comes after the place where the page before ended."""
        place: Place | None = self._after
        if place is None:
            return Sql("1")
        found = Sql(f"t.rid {'<' if self._direction == 'DESC' else '>'} ?", [place[-1]])
        for number in reversed(numbers):
            key, column, value = self._order[number], self._keys[number], place[number]
            may_be_absent = key.field != START and not (number == 0 and first_is_there)
            if value is None:
                found = Sql(f"({column.text} IS NULL AND {found.text})", [*column.values, *found.values])
                continue
            sign = "<" if key.descending else ">"
            absent = Sql(f" OR {column.text} IS NULL", column.values) if may_be_absent else Sql("")
            found = Sql(
                f"({column.text} {sign} ?{absent.text} OR ({column.text} = ? AND {found.text}))",
                [*column.values, value, *absent.values, *column.values, value, *found.values],
            )
        return found

    def _bounds(self, start: str) -> Sql:
        """Return what the filter says of the time, of a start that is in an index."""
        pieces = [
            compared(Sql(start), part)
            for part in self._parts
            if isinstance(part, Comparison) and part.field == START and not part.negated
        ]
        return Sql(_and(pieces), [value for piece in pieces for value in piece.values])


def _and(pieces: Sequence[Sql]) -> str:
    return " AND ".join(piece.text for piece in pieces if piece.text != "1") or "1"


def _sort_expression(of: Field) -> Sql:
    if of.scope not in (Scope.FEEDBACK, Scope.EXPECTATION):
        return expression(of)
    owner = assessment_owner(of)
    newest = "ORDER BY a.created_ns DESC, a.id DESC LIMIT 1"
    sql = f"(SELECT ifnull(a.number, a.text) FROM assessments a WHERE a.rid = t.rid AND {owner.text} {newest})"
    return Sql(sql, owner.values)


# --- what is in an index -----------------------------------------------------------------------------


def _walk_of(node: Node) -> Walk | None:
    arms = _arms(node)
    return Walk(arms) if arms and len(arms) <= _MOST_ARMS else None


def _arms(node: Node) -> list[Arm] | None:
    """Return walks that together meet every trace which meets the condition, or `None`."""
    if isinstance(node, AnyOf):
        parts = [_arms(part) for part in node.parts]
        return [arm for part in parts if part for arm in part] if all(parts) else None
    if isinstance(node, (AllOf, SomeSpan)):
        inside = conjuncts(node.condition) if isinstance(node, SomeSpan) else node.parts
        return next((arms for arms in map(_arms, inside) if arms), None)
    if not isinstance(node, Comparison) or node.negated or node.operator not in (Operator.EQUAL, Operator.IN):
        return None
    values: tuple[Any, ...] = node.value if isinstance(node.value, tuple) else (node.value,)
    field = node.field
    if field.scope is Scope.TAG:
        return [_label_arm(f"tag.{field.name}", value) for value in values]
    if field.scope is Scope.SPAN and field.name in _LABELLED_OF_SPANS:
        others = [_label_arm(*MANY_NAMES)] if field.name == "name" else []
        return [*[_label_arm(f"span.{field.name}", value) for value in values], *others]
    if field.scope is not Scope.TRACE:
        return None
    if field.name == "status":
        # Most traces are of the one status that the index leaves out.
        return (
            None
            if "OK" in values
            else [_column_arm("traces_state", f"t.state != 1 AND t.state = {_code(v)}") for v in values]
        )
    index = _COLUMN_INDEXES.get(field.name)
    return [_column_arm(index, f"t.{field.name} = ?", value) for value in values] if index else None


def _code(state: str) -> int:
    return [str(one) for one in STATES].index(state)


def _column_arm(index: str, where: str, *values: Any) -> Arm:
    source = f"traces t INDEXED BY {index}"
    return Arm(source, source, "t.start_ns", "t.rid", Sql(where, list(values)))


def _label_arm(key: str, value: str) -> Arm:
    joined = "labels l CROSS JOIN traces t ON t.rid = l.rid AND t.start_ns = l.start_ns"
    return Arm(joined, "labels l", "l.start_ns", "l.rid", Sql("l.word = ?", [label(key, value)]))


def _listed(node: Node) -> Sql | None:
    """Return what lists the traces that may meet the condition, where it is one that few meet."""
    if not isinstance(node, Comparison) or node.negated or node.operator is Operator.ABSENT:
        return None
    field = node.field
    if field.scope in (Scope.FEEDBACK, Scope.EXPECTATION):
        meets = assessment_condition(node)
        # The index has these in its order; whether it holds still is looked at later.
        sql = f"SELECT a.rid FROM assessments a WHERE a.kind = {KIND_NAMES.index(field.scope.value)} AND a.name = ? AND {meets.text}"
        return Sql(sql, [field.name, *meets.values])
    if field.scope is not Scope.TRACE or node.operator not in (Operator.EQUAL, Operator.IN):
        return None
    values: tuple[Any, ...] = node.value if isinstance(node.value, tuple) else (node.value,)
    marks = ",".join("?" * len(values))
    if field.name == "client_request_id":
        return Sql(f"SELECT rid FROM traces WHERE client_request_id IN ({marks})", list(values))
    if field.name == "trace_id":
        return Sql(f"SELECT rid FROM traces WHERE trace_id IN ({marks})", [_id(value) for value in values])
    return None


def _id(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
