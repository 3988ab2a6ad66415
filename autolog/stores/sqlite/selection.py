"""Which traces a summary is of: those that meet a filter, along the index that has the fewest, and of very many a sample."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

from autolog.search.filter import Comparison, Node, Operator, conjuncts
from autolog.search.order import START
from autolog.search.query import TraceQuery
from autolog.stores.sqlite.conditions import Conditions, Sql, is_expensive
from autolog.stores.sqlite.functions import Functions
from autolog.stores.sqlite.walks import ALL, Arm, Walk, bounds, conjunction, lists_of, walk_of

MOST = 250_000
"""Traces that are looked at; of more, a sample is."""
MOST_WITH_SPANS = 40_000
"""As many where the spans of each are looked at too."""
MOST_WITH_PAYLOADS = 10_000
"""As many where the filter is of payloads, which are to be unpacked."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Traces `t`: what comes after FROM, and what they must meet."""

    tables: Sql
    where: Sql
    share: int
    """One in so many of them is met."""
    since_ns: int
    until_ns: int

    def select(self, columns: Sql | str, rest: str = "", joined: str = "") -> tuple[str, list[Any]]:
        """Return a statement over these traces, and its values."""
        chosen = Sql(columns) if isinstance(columns, str) else columns
        sql = f"SELECT {chosen.text} FROM {self.tables.text} {joined} WHERE {self.where.text} {rest}"
        return sql, [*chosen.values, *self.tables.values, *self.where.values]


class Select:
    """Chooses how to get at the traces that a query asks for."""

    def __init__(self, query: TraceQuery, connection: sqlite3.Connection, functions: Functions) -> None:
        self._connection = connection
        self._parts = conjuncts(query.filter)
        self._asked = bounds_of(query.filter)
        writer = Conditions()
        # What is in columns is looked at before what is in payloads.
        ordered = sorted(self._parts, key=is_expensive)
        self._condition = writer.all_of(ordered)
        functions.asked = writer.asked
        self._is_expensive = any(map(is_expensive, ordered))

    def among(self, most: int) -> Selection:
        """Return the traces asked for, or of more than about `most` a sample."""
        if self._is_expensive:
            most = min(most, MOST_WITH_PAYLOADS)
        walk, count = self._least()
        since, until = self._period(walk)
        listed = self._listed(count)
        if listed is not None:
            rids, count = listed
            share = max(-(-count // most), 1)
            sql = f"(SELECT DISTINCT rid FROM ({rids.text}) WHERE {sampled('rid', share)}) k CROSS JOIN traces t ON t.rid = k.rid"
            return Selection(Sql(sql, rids.values), self._condition, share, since, until)
        share = max(-(-count // most), 1)
        if len(walk.arms) == 1:
            arm = walk.arms[0]
            pieces = [arm.where, bounds(self._parts, arm.start), Sql(sampled(arm.rid, share)), self._condition]
            return Selection(Sql(arm.source), conjunction(pieces), share, since, until)
        union = self._union(walk)
        sql = f"(SELECT rid FROM ({union.text}) WHERE {sampled('rid', share)}) k CROSS JOIN traces t ON t.rid = k.rid"
        return Selection(Sql(sql, union.values), self._condition, share, since, until)

    def _union(self, walk: Walk) -> Sql:
        selects = [conjunction([arm.where, bounds(self._parts, arm.start)]) for arm in walk.arms]
        text = " UNION ".join(
            f"SELECT {arm.rid} AS rid FROM {arm.walked} WHERE {where.text}"
            for arm, where in zip(walk.arms, selects, strict=True)
        )
        return Sql(text, [value for where in selects for value in where.values])

    def _least(self) -> tuple[Walk, int]:
        """Return the walk along indexes that meets the fewest traces, and how many these are."""
        walks = [Walk([ALL]), *(walk for part in self._parts if (walk := walk_of(part)))]
        counted = [(sum(map(self._count, walk.arms)), number) for number, walk in enumerate(walks)]
        count, number = min(counted)
        return walks[number], count

    def _count(self, arm: Arm) -> int:
        where = conjunction([arm.where, bounds(self._parts, arm.start)])
        return int(
            self._connection.execute(f"SELECT count(*) FROM {arm.walked} WHERE {where.text}", where.values).fetchone()[
                0
            ]
        )

    def _listed(self, count: int) -> tuple[Sql, int] | None:
        """Return what lists the traces by their ids, feedback or words, and how many, where these are fewer than `count`."""
        found = []
        for number, listed in enumerate(lists_of(self._parts, self._connection)):
            sql = f"SELECT count(*) FROM (SELECT 1 FROM ({listed.counted.text}) LIMIT {count})"
            found.append((int(self._connection.execute(sql, listed.counted.values).fetchone()[0]), number, listed.sql))
        least = min(found, default=(count, 0, Sql("")), key=lambda one: one[:2])
        return (least[2], least[0]) if least[0] < count else None

    # --- the time ----------------------------------------------------------------------------------

    def _period(self, walk: Walk) -> tuple[int, int]:
        """Return from when to before when: as the query says, else as the traces lie."""
        since, until = self._asked
        if since is None:
            since = self._end(walk, "ASC") or 0
        if until is None:
            until = max((self._end(walk, "DESC") or 0) + 1, since + 1)
        return since, until

    def _end(self, walk: Walk, direction: str) -> int | None:
        found = []
        for arm in walk.arms:
            where = conjunction([arm.where, bounds(self._parts, arm.start)])
            sql = f"SELECT {arm.start} FROM {arm.walked} WHERE {where.text} ORDER BY {arm.start} {direction} LIMIT 1"
            found += [row[0] for row in self._connection.execute(sql, where.values)]
        return (min if direction == "ASC" else max)(found, default=None)


def sampled(rid: str, share: int) -> str:
    """Return the condition that a trace is in a sample of one in `share`."""
    # Eight at a time, which lie on a page or two; multiplied, so that it does not go with what a program does in turns.
    return "1" if share == 1 else f"((({rid} >> 3) * 2654435761) >> 12) % {share} = 0"


def bounds_of(asked: Node | None) -> tuple[int | None, int | None]:
    """Return from when on and before when traces started that meet the condition, as far as it says that."""
    since: int | None = None
    until: int | None = None
    parts = [part for part in conjuncts(asked) if isinstance(part, Comparison)]
    for low, high in (_bounds(part) for part in parts if part.field == START and not part.negated):
        since = low if since is None or (low is not None and low > since) else since
        until = high if until is None or (high is not None and high < until) else until
    return since, until


def _bounds(part: Comparison) -> tuple[int | None, int | None]:
    value: Any = part.value
    if part.operator is Operator.ABSENT:
        return None, None
    if part.operator is Operator.BETWEEN:
        return ceil(value[0]), floor(value[1]) + 1
    if part.operator is Operator.IN:
        return floor(min(value)), floor(max(value)) + 1
    return {
        Operator.EQUAL: (floor(value), floor(value) + 1),
        Operator.AT_LEAST: (ceil(value), None),
        Operator.GREATER: (floor(value) + 1, None),
        Operator.LESS: (None, ceil(value)),
        Operator.AT_MOST: (None, floor(value) + 1),
    }[part.operator]
