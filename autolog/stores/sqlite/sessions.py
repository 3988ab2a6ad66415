"""Sessions in the SQLite store, those first that were active last."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from autolog.model.session import Session
from autolog.model.trace import TraceState
from autolog.search.fields import Field, Scope
from autolog.search.filter import AllOf, Comparison, Node, Operator, conjuncts
from autolog.search.page import PagedList
from autolog.search.query import TraceQuery
from autolog.stores.sqlite.conditions import Conditions, is_expensive
from autolog.stores.sqlite.find import Row, rows_of
from autolog.stores.sqlite.functions import Functions
from autolog.stores.sqlite.readers import limited, of_one_moment
from autolog.stores.sqlite.rows import STATES

_SESSION = Field(Scope.TRACE, "session")
_IS_THERE = Comparison(_SESSION, Operator.ABSENT, None, negated=True)
_AT_ONCE = 500
_FAILED = STATES.index(TraceState.ERROR)


def sessions(query: TraceQuery, connection: sqlite3.Connection, functions: Functions) -> PagedList[Session]:
    """Return a page of the sessions with a trace that `query` asks for; those first of which such a trace is the newest."""
    if not query.max_results:
        return PagedList()
    with of_one_moment(connection), limited(connection):
        found = _Walk(query, connection, functions).page()
        page = list(found.items())[: query.max_results]
        experiment = _experiment(query)
        summaries = [_summary(session, experiment, connection) for session, _ in page]
    return PagedList(summaries, query.token(page[-1][1]) if len(found) > len(page) else None)


class _Walk:
    """Walks along the traces, newest first, and leaves out those of sessions that it has met."""

    def __init__(self, query: TraceQuery, connection: sqlite3.Connection, functions: Functions) -> None:
        self._query = query
        self._connection = connection
        self._functions = functions

    def page(self) -> dict[str, Row]:
        """Return the sessions of a page, and one more where there is one, each with the place of its newest trace."""
        query = self._query
        found: dict[str, Row] = {}
        earlier: set[str] = set()
        after = query.after
        while len(found) <= query.max_results:
            part = self._traces(found.keys() | earlier, after)
            for session, row in part:
                if session in found or session in earlier:
                    continue
                if query.after is not None and self._was_met(session, query.after):
                    earlier.add(session)
                elif len(found) <= query.max_results:
                    found[session] = row
            if len(part) <= _AT_ONCE:
                break
            after = part[-1][1]
        return found

    def _traces(self, without: set[str], after: Row | None) -> list[tuple[str, Row]]:
        parts: list[Node] = [*conjuncts(self._query.filter), _IS_THERE]
        if without:
            parts.append(Comparison(_SESSION, Operator.IN, tuple(sorted(without)), negated=True))
        query = replace(self._query, filter=AllOf(tuple(parts)), after=after, max_results=_AT_ONCE)
        rows = rows_of(query, self._connection, self._functions)
        marks = ",".join("?" * len(rows))
        sql = f"SELECT rid, session FROM traces WHERE rid IN ({marks})"
        sessions = dict(self._connection.execute(sql, [row[-1] for row in rows]))
        return [(sessions[row[-1]], row) for row in rows]

    def _was_met(self, session: str, after: Row) -> bool:
        """Whether an earlier page had the session, for a newer trace of it is asked for too."""
        writer = Conditions()
        asked = writer.all_of(sorted(conjuncts(self._query.filter), key=is_expensive))
        self._functions.asked = writer.asked
        start, rid = after
        sql = (
            "SELECT 1 FROM traces t INDEXED BY traces_session WHERE t.session = ? AND t.start_ns >= ? "
            f"AND (t.start_ns > ? OR t.rid >= ?) AND {asked.text} LIMIT 1"
        )
        return self._connection.execute(sql, [session, start, start, rid, *asked.values]).fetchone() is not None


def _experiment(query: TraceQuery) -> str | None:
    """Return the experiment that all traces asked for are of, where it is one."""
    of = Field(Scope.TRACE, "experiment")
    for part in conjuncts(query.filter):
        if isinstance(part, Comparison) and part.field == of and part.operator is Operator.EQUAL and not part.negated:
            return str(part.value)
    return None


_SUMMED = (
    f"count(*), total(state = {_FAILED}), sum(1.0 * total_tokens), sum(1.0 * cost_total), min(start_ns), max(start_ns), "
    "max(end_ns), sum(1.0 * (end_ns - start_ns))"
)


def _summary(session: str, experiment: str | None, connection: sqlite3.Connection) -> Session:
    where, values = "session = ?", [session]
    if experiment is not None:
        where, values = f"{where} AND experiment = ?", [session, experiment]
    of = f"FROM traces INDEXED BY traces_session WHERE {where}"
    row: Sequence[Any] = connection.execute(f"SELECT {_SUMMED} {of}", values).fetchone()
    traces, errors, tokens, cost, first, last, end, busy = row

    def edge(column: str, direction: str) -> Any:
        sql = f"SELECT {column} {of} AND {column} IS NOT NULL ORDER BY start_ns {direction}, rid {direction} LIMIT 1"
        found = connection.execute(sql, values).fetchone()
        return None if found is None else found[0]

    return Session(
        session=session,
        user=edge("user", "DESC"),
        first_ns=first,
        last_ns=last,
        traces=traces,
        errors=int(errors),
        tokens=None if tokens is None else int(tokens),
        cost=cost,
        duration_ns=None if end is None else end - first,
        busy_ns=None if busy is None else int(busy),
        first_request=edge("request", "ASC"),
        last_response=edge("response", "DESC"),
    )
