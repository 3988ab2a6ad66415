"""A filter as a condition of SQL: every name in it is from the tables here, every value of the user's is bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autolog.search.fields import Field, Scope
from autolog.search.filter import AllOf, Comparison, Node, Not, Operator, SomeSpan, comparisons
from autolog.search.patterns import ANY, parts
from autolog.search.payloads import is_of_payload
from autolog.search.words import Phrase
from autolog.stores.sqlite.assessments import KIND_NAMES
from autolog.stores.sqlite.rows import STATES, STATUSES

_SPAN_TOKENS = (
    "CASE WHEN s.input_tokens IS NULL AND s.output_tokens IS NULL THEN NULL "
    "ELSE ifnull(s.input_tokens, 0) + ifnull(s.output_tokens, 0) END"
)
COLUMNS: Mapping[Field, str] = {
    Field(scope, name): sql
    for scope, columns in {
        Scope.TRACE: {
            "status": "t.state",
            "name": "t.name",
            "timestamp": "t.start_ns",
            "end_time": "t.end_ns",
            "duration": "(t.end_ns - t.start_ns)",
            "tokens": "t.total_tokens",
            "input_tokens": "json_extract(t.usage, '$.input_tokens')",
            "output_tokens": "json_extract(t.usage, '$.output_tokens')",
            "cost": "t.cost_total",
            "session": "t.session",
            "user": "t.user",
            "experiment": "t.experiment",
            "run": "t.run",
            "version": "t.version",
            "client_request_id": "t.client_request_id",
            "trace_id": "lower(hex(t.trace_id))",
            "spans": "t.spans",
            "errors": "t.errors",
            "request": "t.request",
            "response": "t.response",
        },
        Scope.SPAN: {
            "type": "s.type",
            "name": "s.name",
            "status": "s.status",
            "duration": "(s.end_ns - s.start_ns)",
            "model": "s.model",
            "provider": "s.provider",
            "error": "s.error_type",
            "tokens": f"({_SPAN_TOKENS})",
            "input_tokens": "s.input_tokens",
            "output_tokens": "s.output_tokens",
            "cost": "s.cost",
        },
    }.items()
    for name, sql in columns.items()
}
_CODES: Mapping[Field, Callable[[str], int]] = {
    Field(Scope.TRACE, "status"): [str(state) for state in STATES].index,
    Field(Scope.SPAN, "status"): [str(status) for status in STATUSES].index,
}
_OBJECTS = {Scope.TAG: "t.tags", Scope.METADATA: "t.metadata"}
# What SQLite's own patterns do alone; one with more wildcards than these is matched by us.
_MOST_WILDCARDS = 4
_LONGEST_GLOB = 1_000
_NUL = "char(0)"


@dataclass(slots=True)
class Sql:
    """A piece of SQL and the values that are bound to its question marks, in order."""

    text: str
    values: list[Any] = field(default_factory=list)


def is_expensive(node: Node) -> bool:
    """Whether it takes reading payloads to tell."""
    return any(map(is_of_payload, comparisons(node)))


class Conditions:
    """Writes conditions on a trace `t`; what they ask of payloads is gathered in `asked`, for `Functions`."""

    def __init__(self) -> None:
        self.asked: list[Comparison] = []

    def all_of(self, nodes: Sequence[Node]) -> Sql:
        """Return the condition that all `nodes` are true."""
        return self.sql(AllOf(tuple(nodes))) if nodes else Sql("1")

    def sql(self, node: Node) -> Sql:
        """Return the condition of `node`: true where it is; where it is not, false or unknown."""
        if isinstance(node, Comparison):
            return self._comparison(node)
        if isinstance(node, Not):
            inner = self.sql(node.part)
            return Sql(f"({inner.text}) IS NOT TRUE", inner.values)
        if isinstance(node, SomeSpan):
            return self._some_span(node.condition)
        return _joined([self.sql(part) for part in node.parts], "AND" if isinstance(node, AllOf) else "OR")

    def _some_span(self, condition: Node) -> Sql:
        first = len(self.asked)
        inner = self.sql(condition)
        if first == len(self.asked):
            return Sql(f"EXISTS(SELECT 1 FROM spans s WHERE s.rid = t.rid AND {inner.text})", inner.values)
        numbers = ",".join(map(str, range(first, len(self.asked))))
        found = "(SELECT spans_meeting(?, p.id, p.codec, p.body) AS spans FROM payloads p WHERE p.rid = t.rid) found"
        sql = f"EXISTS(SELECT 1 FROM {found} CROSS JOIN spans s WHERE s.rid = t.rid AND {inner.text})"
        return Sql(sql, [numbers, *inner.values])

    def _comparison(self, comparison: Comparison) -> Sql:
        if is_of_payload(comparison):
            self.asked.append(comparison)
            return Sql("instr(found.spans, ? || hex(s.span_id)) > 0", [f";{len(self.asked) - 1}:"])
        scope = comparison.field.scope
        if scope in (Scope.FEEDBACK, Scope.EXPECTATION):
            return _assessed(comparison)
        return compared(expression(comparison.field), comparison)


def expression(of: Field) -> Sql:
    """Return the value of a trace's or a span's field."""
    if of.scope in _OBJECTS:
        return _member(_OBJECTS[of.scope], of.name)
    return Sql(COLUMNS[of])


def _member(column: str, key: str) -> Sql:
    ours = Sql(f"member({column}, ?)", [key])
    if not (key.isascii() and key.isprintable()) or '"' in key or "\\" in key:
        return ours
    # SQLite's own function is ten times as fast, but ends a text where it has a zero.
    zero = f"instr({column}, '\\u0000')"
    return Sql(f"(CASE WHEN {zero} THEN {ours.text} ELSE json_extract({column}, ?) END)", [key, f'$."{key}"'])


def compared(left: Sql, comparison: Comparison) -> Sql:
    """Return the comparison with the value `left`; unknown where that is absent."""
    operator, value, negated = comparison.operator, comparison.value, comparison.negated
    column = left.text
    if operator is Operator.ABSENT:
        return Sql(f"{column} IS {'NOT ' if negated else ''}NULL", left.values)
    if operator is Operator.IN:
        values = _coded(comparison.field, value)
        return Sql(f"{column} {'NOT ' if negated else ''}IN ({','.join('?' * len(values))})", [*left.values, *values])
    if operator is Operator.BETWEEN:
        return Sql(
            f"{column} {'NOT ' if negated else ''}BETWEEN ? AND ?", [*left.values, *_coded(comparison.field, value)]
        )
    if operator is Operator.EQUAL and negated:
        return Sql(f"{column} != ?", [*left.values, value])
    if isinstance(value, Phrase):
        found = Sql(f"has_words(?, ?, {column})", [" ".join(value.words), int(value.is_open), *left.values])
    elif operator in (Operator.LIKE, Operator.ILIKE, Operator.RLIKE):
        found = _like(left, operator, str(value))
    else:
        return Sql(f"{column} {operator.value} ?", [*left.values, value])
    return Sql(f"NOT ({found.text})", found.values) if negated else found


def _coded(of: Field, values: Any) -> list[Any]:
    return list(map(_CODES[of], values)) if of in _CODES else list(values)


def _like(left: Sql, operator: Operator, pattern: str) -> Sql:
    column, of_column = left.text, left.values
    ours = Sql(f"matches(?, ?, {column})", [operator.value, pattern, *of_column])
    taken = parts(pattern)
    is_simple = len(pattern) <= _LONGEST_GLOB and sum(wildcard == ANY for wildcard, _ in taken) <= _MOST_WILDCARDS
    if operator is Operator.RLIKE or not is_simple or "\0" in pattern:
        return ours
    if operator is Operator.LIKE:
        theirs, sql = "".join(map(_glob, taken)), f"{column} GLOB ?"
    elif pattern.isascii():
        theirs, sql = "".join(map(_escaped, taken)), f"{column} LIKE ? ESCAPE '\\'"
    else:
        return ours
    # SQLite's own take a text to end where it has a zero.
    return Sql(
        f"(CASE WHEN instr({column}, {_NUL}) THEN {ours.text} ELSE {sql} END)",
        [*of_column, *ours.values, *of_column, theirs],
    )


def _glob(part: tuple[str, str]) -> str:
    wildcard, text = part
    return {"%": "*", "_": "?"}.get(wildcard) or "".join(f"[{sign}]" if sign in "*?[" else sign for sign in text)


def _escaped(part: tuple[str, str]) -> str:
    wildcard, text = part
    return wildcard or "".join(f"\\{sign}" if sign in "%_\\" else sign for sign in text)


def _joined(pieces: Sequence[Sql], word: str) -> Sql:
    return Sql(f"({f' {word} '.join(p.text for p in pieces)})", [value for piece in pieces for value in piece.values])


# --- feedback and expectations -----------------------------------------------------------------------


def _assessed(comparison: Comparison) -> Sql:
    """Return whether any valid assessment of this name meets the comparison."""
    meets, negate = assessment_condition(comparison), ""
    if comparison.operator is Operator.ABSENT:
        meets, negate = Sql("a.value IS NOT NULL"), "" if comparison.negated else "NOT "
    owner = assessment_owner(comparison.field)
    sql = f"{negate}EXISTS(SELECT 1 FROM assessments a WHERE a.rid = t.rid AND {owner.text} AND {meets.text})"
    return Sql(sql, [*owner.values, *meets.values])


def assessment_owner(of: Field) -> Sql:
    """Return the condition that an assessment `a` is valid and has this name."""
    return Sql(f"a.kind = {KIND_NAMES.index(of.scope.value)} AND a.name = ? AND a.valid", [of.name])


def assessment_condition(comparison: Comparison) -> Sql:
    """Return the condition on the value of an assessment `a`."""
    operator, value = comparison.operator, comparison.value
    if operator is Operator.ABSENT:
        return Sql("a.value IS NOT NULL")
    if operator is Operator.IN:
        found = _joined([_value_compares(Operator.EQUAL, one) for one in _values(value)], "OR")
    elif operator is Operator.BETWEEN:
        low, high = _values(value)
        found = _joined([_value_compares(Operator.AT_LEAST, low), _value_compares(Operator.AT_MOST, high)], "AND")
    elif operator in (Operator.LIKE, Operator.ILIKE, Operator.RLIKE, Operator.CONTAINS):
        found = compared(Sql("a.text"), Comparison(comparison.field, operator, value))
    else:
        found = _value_compares(operator, value)
    return Sql(f"a.value IS NOT NULL AND ({found.text}) IS NOT TRUE", found.values) if comparison.negated else found


def _values(value: Any) -> tuple[Any, ...]:
    return tuple(value)


def _value_compares(operator: Operator, value: Any) -> Sql:
    if not isinstance(value, str):
        return Sql(f"a.number {operator.value} ?", [value])
    number = _as_number(value)
    of_text = Sql(f"a.text {operator.value} ?", [value])
    return of_text if number is None else _joined([of_text, Sql(f"a.number {operator.value} ?", [number])], "OR")


def _as_number(text: str) -> float | None:
    """Return the number of a quoted one, as MLflow's users write them, or of a quoted true or false."""
    if text.lower() in ("true", "false"):
        return float(text.lower() == "true")
    try:
        return float(text)
    except ValueError:
        return None
