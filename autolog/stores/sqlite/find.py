"""Find traces: choose the index to walk along, in the order that is asked for, and look at what is met on the way."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

from autolog.model.trace import TraceInfo
from autolog.search.fields import Field, Scope
from autolog.search.filter import Comparison, conjuncts
from autolog.search.order import START, Key
from autolog.search.page import PagedList, Place
from autolog.search.query import Count, TraceQuery
from autolog.stores.sqlite.conditions import (
    Conditions,
    Sql,
    assessment_owner,
    expression,
    is_expensive,
)
from autolog.stores.sqlite.functions import Functions
from autolog.stores.sqlite.read import read_infos
from autolog.stores.sqlite.readers import interrupted, limited, of_one_moment
from autolog.stores.sqlite.walks import ALL, Arm, Listed, Source, Walk, bounds, conjunction, lists_of, walk_of

Row = tuple[Any, ...]
"""What a trace is sorted by, and its row number."""

_ORDER_INDEXES = {
    Field(Scope.TRACE, "duration"): "traces_duration",
    Field(Scope.TRACE, "tokens"): "traces_tokens",
    Field(Scope.TRACE, "cost"): "traces_cost",
}
_FEW = 1_000
"""Traces that are looked at one by one rather than along an index."""
_FEW_WITH_WORDS = 40.0
"""Rows with words that are listed at the cost of looking at one payload, which decides whether to list or to look."""
_LOOKED_AT_ONCE = 64


def search(query: TraceQuery, connection: sqlite3.Connection, functions: Functions) -> PagedList[TraceInfo]:
    """Return a page of the traces that `query` asks for, in its order."""
    if not query.max_results:
        return PagedList()
    with of_one_moment(connection), limited(connection):
        found = rows_of(query, connection, functions)
        page = found[: query.max_results]
        infos = read_infos([row[-1] for row in page], connection)
    token = query.token(page[-1]) if len(found) > len(page) else None
    return PagedList(infos, token)


def count(query: TraceQuery, connection: sqlite3.Connection, functions: Functions, seconds: float) -> Count:
    """Return how many traces `query` asks for, up to its `max_results`, and as far as `seconds` go."""
    found, is_exact = 0, False
    with (
        of_one_moment(connection),
        interrupted(connection, seconds),
        closing(_Search(query, connection, functions).rows()) as rows,
    ):
        for _ in islice(rows, query.max_results):
            found += 1
        is_exact = next(rows, None) is None
    return Count(found, is_exact)


def rows_of(query: TraceQuery, connection: sqlite3.Connection, functions: Functions) -> list[Row]:
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
        walks = [walk for part in self._parts if (walk := walk_of(part))]
        lists = lists_of(self._parts, self._connection)
        if by_start and not lists and len(walks) < 2:
            return walks[0] if walks else Walk([ALL])
        if not by_start and bounds(self._parts, "t.start_ns").values:
            walks.append(Walk([ALL]))
        counted = [(self._count(one, most), most, one) for one in lists for most in [self._most_of(one)]]
        few = min((one for one in counted if one[0] < one[1]), key=lambda one: one[0], default=None)
        probed = [(*self._probe(walk), walk) for walk in walks]
        short = min((probe for probe in probed if probe[0] < _FEW), key=lambda probe: probe[0], default=None)
        if few is not None and (short is None or few[0] < short[0]):
            return few[2]
        if short is not None:
            return short[2]
        if not by_start:
            return None
        return min(probed, key=lambda probe: probe[1])[2] if probed else Walk([ALL])

    def _probe(self, walk: Walk) -> tuple[int, int]:
        """Return how many traces a walk meets, up to a number, and how near in time that many of them lie."""
        found, nearest = 0, -(2**63)
        sign = 1 if self._direction == "DESC" else -1
        for arm in walk.arms:
            where = conjunction([arm.where, bounds(self._parts, arm.start)])
            sql = (
                f"SELECT count(*), {'min' if sign > 0 else 'max'}(start) FROM (SELECT {arm.start} AS start FROM {arm.walked} "
                f"WHERE {where.text} ORDER BY start {self._direction} LIMIT {_FEW})"
            )
            count, last = self._connection.execute(sql, where.values).fetchone()
            found += count
            if count == _FEW:
                nearest = max(nearest, sign * last)
        return found, nearest

    def _count(self, listed: Listed, most: int) -> int:
        sql = f"SELECT count(*) FROM (SELECT 1 FROM ({listed.counted.text}) LIMIT {most})"
        return int(self._connection.execute(sql, listed.counted.values).fetchone()[0])

    def _most_of(self, listed: Listed) -> int:
        """Return of how many traces a list is not worth it."""
        if not listed.is_of_words:
            return _FEW
        traces = self._connection.execute("SELECT max(rid) FROM traces").fetchone()[0] or 0
        # Of many, the newest are found sooner by looking at traces one by one.
        return int((_FEW_WITH_WORDS * self._most * traces) ** 0.5)

    # --- statements ------------------------------------------------------------------------------

    def _walk(self, walk: Walk) -> Sql:
        """Return what walks along the arms, merged in the order of time."""
        selects: list[str] = []
        values: list[Any] = []
        for arm in walk.arms:
            within, after = bounds(self._parts, arm.start), self._behind(arm)
            where = conjunction([arm.where, within, after, self._cheap])
            selects.append(f"SELECT {arm.start} AS k0, {arm.rid} AS rid FROM {arm.source} WHERE {where.text}")
            values += where.values
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
            where = conjunction([arm.where, bounds(self._parts, arm.start)])
            selects.append(f"SELECT {arm.rid} AS rid FROM {arm.walked} WHERE {where.text}")
            values += where.values
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
        where = conjunction(pieces)
        sql = f"SELECT {columns}, t.rid FROM {tables} WHERE {where.text} ORDER BY {', '.join(terms)}, t.rid {self._direction}"
        key_values = [value for key in self._keys for value in key.values]
        return self._limited(Sql(sql, [*key_values, *values, *where.values]))

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


def _sort_expression(of: Field) -> Sql:
    if of.scope not in (Scope.FEEDBACK, Scope.EXPECTATION):
        return expression(of)
    owner = assessment_owner(of)
    newest = "ORDER BY a.created_ns DESC, a.id DESC LIMIT 1"
    sql = f"(SELECT ifnull(a.number, a.text) FROM assessments a WHERE a.rid = t.rid AND {owner.text} {newest})"
    return Sql(sql, owner.values)
