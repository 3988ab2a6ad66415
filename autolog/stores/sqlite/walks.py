"""The ways to traces that there are indexes for: walks in the order of time, and lists of those that may be meant."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autolog.search.fields import Scope
from autolog.search.filter import AllOf, AnyOf, Comparison, Node, Operator, SomeSpan, conjuncts
from autolog.search.order import START
from autolog.stores.sqlite import texts
from autolog.stores.sqlite.assessments import KIND_NAMES
from autolog.stores.sqlite.conditions import Sql, assessment_condition, compared
from autolog.stores.sqlite.rows import MANY_NAMES, STATES, label

_COLUMN_INDEXES = {
    "name": "traces_name",
    "experiment": "traces_experiment",
    "session": "traces_session",
    "user": "traces_user",
    "run": "traces_run",
    "version": "traces_version",
}
_LABELLED_OF_SPANS = ("type", "name", "model")
_MOST_ARMS = 16


@dataclass(frozen=True, slots=True)
class Arm:
    """A walk along one index in the order of time."""

    source: str
    walked: str
    """The source without the traces themselves, to count along."""
    start: str
    rid: str
    where: Sql


ALL = Arm("traces t INDEXED BY traces_start", "traces t INDEXED BY traces_start", "t.start_ns", "t.rid", Sql("1"))


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
    is_of_words: bool = False


Source = Walk | Listed


def bounds(parts: Sequence[Node], start: str) -> Sql:
    """Return what the conditions say of the time, of a start that is in an index."""
    return conjunction(
        [
            compared(Sql(start), part)
            for part in parts
            if isinstance(part, Comparison) and part.field == START and not part.negated
        ]
    )


def conjunction(pieces: Sequence[Sql]) -> Sql:
    """Return the condition that all the others hold."""
    kept = [piece for piece in pieces if piece.text != "1"]
    text = " AND ".join(piece.text for piece in kept) or "1"
    return Sql(text, [value for piece in kept for value in piece.values])


def walk_of(node: Node) -> Walk | None:
    """Return the walk that meets every trace which meets the condition, or `None` where no index helps."""
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


def lists_of(parts: Sequence[Node], connection: sqlite3.Connection) -> list[Listed]:
    """Return what lists the traces that may meet one of the conditions, where it is one that few meet."""
    found = [Listed(listed, listed) for part in parts if (listed := _listed(part))]
    words = [match for part in parts if (match := texts.expression(part))]
    if words and texts.is_usable(connection):
        last = texts.indexed(connection)
        for match in words:
            with_word = (
                "FROM words CROSS JOIN payloads p INDEXED BY payloads_ids ON p.id = words.rowid WHERE words MATCH ?"
            )
            not_indexed = "FROM payloads WHERE id > ?"
            sql = Sql(f"SELECT p.rid {with_word} UNION ALL SELECT rid {not_indexed}", [match, last])
            counted = f"SELECT 1 FROM words WHERE words MATCH ? UNION ALL SELECT 1 {not_indexed}"
            found.append(Listed(sql, Sql(counted, [match, last]), is_of_words=True))
    return found


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
