"""Which traces a filter is of: its text, read into conditions that every store understands.

A comparison with what is not there is false, whatever it says; `NOT` is true wherever its condition is not. Conditions on
spans that one `AND` joins are of one and the same span.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

from autolog import capture
from autolog.errors import InvalidQuery
from autolog.ids import now_ns
from autolog.search import fields, grammar, patterns
from autolog.search.fields import Field, Kind, Scope
from autolog.search.words import Phrase

if TYPE_CHECKING:
    from lark import Token, Tree


class Operator(Enum):
    """How a value is compared; the others are these, negated."""

    EQUAL = "="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    BETWEEN = "BETWEEN"
    IN = "IN"
    LIKE = "LIKE"
    ILIKE = "ILIKE"
    RLIKE = "RLIKE"
    CONTAINS = "CONTAINS"
    ABSENT = "IS NULL"


MOST_VALUES = 1_000
DEEPEST = 16
"""Conditions inside of one another: databases can't parse much more."""
ORDERED = (Operator.LESS, Operator.AT_MOST, Operator.GREATER, Operator.AT_LEAST, Operator.BETWEEN)
OF_TEXTS = (Operator.LIKE, Operator.ILIKE, Operator.RLIKE, Operator.CONTAINS)
_WITH_TEXTS = (Kind.TEXT, Kind.PAYLOAD, Kind.ANY, Kind.CHOICE)
_UNORDERED = (Kind.PAYLOAD, Kind.CHOICE)
Value = str | int | float | bool | tuple[Any, ...] | Phrase | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field and a value: true where the field is there and compares so; negated, where it is there and does not.

    The value of `IN` and `BETWEEN` is a tuple, that of `CONTAINS` a `Phrase`, that of `IS NULL` is `None`. Names of
    statuses and types are compared by `IN` alone. Times and durations are in nanoseconds.
    """

    field: Field
    operator: Operator
    value: Value
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AllOf:
    """True where all parts are."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where any part is."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True where the part is not."""

    part: Node


@dataclass(frozen=True, slots=True)
class SomeSpan:
    """True where some span of the trace meets the condition, which is made of comparisons with its fields."""

    condition: Node


Node = Comparison | AllOf | AnyOf | Not | SomeSpan


def operators(kind: Kind) -> list[str]:
    """Return how values of this kind can be compared, as it is written."""
    found = ["=", "!=", *(one.value for one in ORDERED if kind not in _UNORDERED), "IN"]
    return [*found, *(one.value for one in OF_TEXTS if kind in _WITH_TEXTS), "IS NULL", "IS NOT NULL"]


def all_of(parts: Sequence[Node]) -> Node:
    """Return one condition that is true where all `parts` are."""
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def any_of(parts: Sequence[Node]) -> Node:
    """Return one condition that is true where any of `parts` is."""
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))


def conjuncts(node: Node | None) -> Sequence[Node]:
    """Return the conditions that must all be true."""
    return () if node is None else node.parts if isinstance(node, AllOf) else (node,)


def comparisons(node: Node) -> Iterator[Comparison]:
    """Yield every comparison in `node`."""
    if isinstance(node, Comparison):
        yield node
    elif isinstance(node, Not):
        yield from comparisons(node.part)
    elif isinstance(node, SomeSpan):
        yield from comparisons(node.condition)
    else:
        for part in node.parts:
            yield from comparisons(part)


def parse(text: str, now: int | None = None) -> Node | None:
    """Read a filter; `now()` in it is `now`, nanoseconds since the epoch. Return `None` for an empty one.

    Raises `InvalidQuery` that shows where it is wrong.
    """
    if not isinstance(text, str):
        raise InvalidQuery(f"a filter is a text such as \"status = 'ERROR'\", not {text!r}")
    cleaned = capture.clean_text(text)
    if not cleaned.strip():
        return None
    reader = _Reader(cleaned, now_ns() if now is None else now)
    found = _of_traces(reader.node(grammar.tree(cleaned)))
    if _depth(found) > DEEPEST:
        raise InvalidQuery(f"AND, OR and NOT are at most {DEEPEST} deep inside of one another")
    return found


def _depth(node: Node) -> int:
    if isinstance(node, Comparison):
        return 0
    if isinstance(node, Not):
        return 1 + _depth(node.part)
    if isinstance(node, SomeSpan):
        return 1 + _depth(node.condition)
    return 1 + max(map(_depth, node.parts))


class _Reader:
    """Turns what the grammar found into conditions, and checks them."""

    def __init__(self, text: str, now: int) -> None:
        self._text = text
        self._now = now

    def node(self, tree: Tree[Token]) -> _Raw:
        if tree.data == "any":
            return any_of([self.node(part) for part in self._trees(tree)])
        if tree.data == "all":
            return all_of([self.node(part) for part in self._trees(tree)])
        if tree.data == "negation":
            return Not(self.node(self._trees(tree)[0]))
        if tree.data == "group":
            inner = self.node(self._trees(tree)[0])
            return _Group(inner) if isinstance(inner, AllOf) else inner
        return self._comparison(str(tree.data), tree.children)

    @staticmethod
    def _trees(tree: Tree[Token]) -> list[Any]:
        return list(tree.children)

    def _comparison(self, rule: str, children: Sequence[Any]) -> Node:
        token = children[0]
        try:
            field = fields.find(token)
        except fields.UnknownField as error:
            raise self._wrong(token, str(error)) from None
        if rule == "compared":
            sign, value = children[1:]
            operator, negated = (Operator.EQUAL, True) if sign in ("!=", "<>") else (Operator(str(sign)), False)
            return self._checked(field, operator, [value], negated, sign)
        if rule == "matched":
            negation, name, value = children[1:]
            return self._checked(field, Operator(name.upper()), [value], negation is not None, name)
        if rule == "among":
            return self._checked(field, Operator.IN, children[2:], children[1] is not None, token)
        if rule == "between":
            return self._checked(field, Operator.BETWEEN, children[3:], children[1] is not None, children[2])
        return Comparison(field, Operator.ABSENT, None, children[1] is not None)

    def _checked(
        self, field: Field, operator: Operator, values: Sequence[Any], negated: bool, sign: Token
    ) -> Comparison:
        kind = field.kind
        if operator in OF_TEXTS and kind not in _WITH_TEXTS:
            raise self._wrong(sign, f"{field} is {kind.value}, and {operator.value} is for text")
        if operator in ORDERED and kind in _UNORDERED:
            raise self._wrong(sign, f"{field} has no order; compare it with =, !=, IN or LIKE")
        if operator in OF_TEXTS:
            return self._matched(field, operator, values[0], negated)
        if len(values) > MOST_VALUES:
            raise self._wrong(sign, f"IN takes at most {MOST_VALUES:,} values")
        read = [self._value(field, value) for value in values]
        if kind is Kind.CHOICE:
            return Comparison(field, Operator.IN, tuple(read), negated)
        value = tuple(read) if operator in (Operator.IN, Operator.BETWEEN) else read[0]
        return Comparison(field, operator, value, negated)

    def _matched(self, field: Field, operator: Operator, value: Any, negated: bool) -> Comparison:
        pattern = self._string(value)
        if pattern is None:
            raise self._wrong(value, f"{operator.value} takes a text in quotes")
        if operator is Operator.CONTAINS and field.kind is not Kind.CHOICE:
            phrase = Phrase.of(pattern)
            if not phrase.words:
                raise self._wrong(value, "CONTAINS looks for words, and there is none in this; LIKE finds signs too")
            return Comparison(field, operator, phrase, negated)
        if len(pattern) > patterns.MOST_CHARACTERS:
            raise self._wrong(value, f"a pattern has at most {patterns.MOST_CHARACTERS:,} characters")
        if operator is Operator.RLIKE:
            try:
                patterns.check_regex(pattern)
            except InvalidQuery as error:
                raise self._wrong(value, str(error)) from None
        if field.kind is not Kind.CHOICE:
            return Comparison(field, operator, pattern, negated)
        matches = matcher(operator, Phrase.of(pattern) if operator is Operator.CONTAINS else pattern)
        return Comparison(field, Operator.IN, tuple(filter(matches, field.choices)), negated)

    # --- values ----------------------------------------------------------------------------------

    def _value(self, field: Field, value: Any) -> Any:
        return _READERS[field.kind](self, field, value)

    def _text_value(self, field: Field, value: Any) -> str:
        found = self._string(value)
        if found is None:
            raise self._wrong(value, f"{field} is text, which is put in quotes: '{self._source(value)}'")
        return found.lower() if field == _TRACE_ID else found

    def _number_value(self, field: Field, value: Any) -> int | float:
        if getattr(value, "type", None) != "NUMBER":
            raise self._wrong(value, f"{field} is a number, which {self._source(value)} is not{_unquoted(value)}")
        return self._within(value, self._decimal(value))

    def _duration_value(self, field: Field, value: Any) -> int | float:
        kind = getattr(value, "type", None)
        if kind == "NUMBER":
            return self._within(value, self._decimal(value) * 1_000_000)
        if kind == "DURATION":
            return self._duration(value)
        raise self._wrong(
            value,
            f"{field} is a duration: milliseconds, or a number with a unit, such as 2s or 150ms{_unquoted(value)}",
        )

    def _moment_value(self, field: Field, value: Any) -> int | float:
        kind = getattr(value, "type", None)
        if kind == "NUMBER":
            number = self._decimal(value)
            scale = next(scale for most, scale in _EPOCHS if abs(number) < most)
            return self._within(value, number * scale)
        if kind == "STRING":
            return self._date(field, value)
        if kind is None:
            moment: int | float = self._now
            for sign, duration in zip(value.children[1::2], value.children[2::2], strict=True):
                change = self._duration(duration)
                moment = moment + change if sign == "+" else moment - change
            return self._within(value.children[0], Decimal(moment))
        raise self._wrong(
            value, f"{field} is a time, such as now() - 1h, '2026-01-31', '2026-01-31 12:00' or 1769817600000"
        )

    def _date(self, field: Field, value: Token) -> int | float:
        written = self._string(value) or ""
        # Before Python 3.11, fromisoformat does not know Z.
        iso = re.sub(r"[zZ]$", "+00:00", written.strip())
        try:
            moment = datetime.fromisoformat(iso)
            # A naive one is local time, as everywhere in Python.
            return self._within(value, Decimal(int(moment.timestamp() * 1_000_000) * 1_000))
        except (ValueError, OverflowError, OSError):
            raise self._wrong(
                value,
                f"{field} is a time, such as '2026-01-31', '2026-01-31 12:00', '2026-01-31T12:00:00Z' or now() - 1h",
            ) from None

    def _choice_value(self, field: Field, value: Any) -> str:
        found = self._string(value)
        name = (found if found is not None else self._source(value)).upper()
        if found is None or name not in field.choices:
            raise self._wrong(value, f"{self._source(value)} is not a {field}; there are: {', '.join(field.choices)}")
        return name

    def _payload_value(self, field: Field, value: Any) -> str:
        found = self._string(value)
        if found is None:
            raise self._wrong(value, f"{field} is searched for text, which is put in quotes: '{self._source(value)}'")
        return found

    def _any_value(self, field: Field, value: Any) -> Any:
        kind = getattr(value, "type", None)
        if kind == "STRING":
            return self._string(value)
        if kind == "NUMBER":
            return self._within(value, self._decimal(value))
        if kind in ("TRUE", "FALSE"):
            return kind == "TRUE"
        raise self._wrong(value, f"{field} is compared with a text in quotes, a number, true or false")

    def _string(self, value: Any) -> str | None:
        if getattr(value, "type", None) != "STRING":
            return None
        quote = value[0]
        return str(value[1:-1]).replace(quote * 2, quote)

    def _duration(self, token: Token) -> int | float:
        number, unit = re.fullmatch(r"([\d.]+)(\w+)", str(token)).groups()  # type: ignore[union-attr]
        return self._within(token, self._decimal(token, number) * _UNITS[unit.lower()])

    def _decimal(self, token: Token, number: str | None = None) -> Decimal:
        try:
            found = Decimal(number or str(token))
        except ArithmeticError:
            raise self._wrong(token, "this number is too large") from None
        # What follows would take for ever with a large exponent.
        if found.adjusted() > 30:
            raise self._wrong(token, "this number is too large")
        return found if found.adjusted() > -30 else Decimal(0)

    def _within(self, token: Token, number: Decimal) -> int | float:
        if abs(number) >= 2**63:  # which a database has no place for
            raise self._wrong(token, "this number is too large")
        whole = int(number)
        return whole if whole == number else float(number)

    def _source(self, value: Any) -> str:
        return str(value)[:60] if getattr(value, "type", None) else "now()"

    def _wrong(self, token: Any, message: str) -> InvalidQuery:
        place = token if getattr(token, "type", None) else token.children[0]
        return grammar.wrong(self._text, place, message)


_TRACE_ID = Field(Scope.TRACE, "trace_id")
_UNITS = {
    "ns": 1, "us": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9, "d": 86_400 * 10**9,
    "w": 604_800 * 10**9,
}  # fmt: skip
# Below the number, epoch times are in seconds, milliseconds, microseconds, nanoseconds: each until the year 5138.
_EPOCHS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (Decimal("Infinity"), 1))
_READERS: Mapping[Kind, Callable[[_Reader, Field, Any], Any]] = {
    Kind.TEXT: _Reader._text_value,
    Kind.NUMBER: _Reader._number_value,
    Kind.DURATION: _Reader._duration_value,
    Kind.MOMENT: _Reader._moment_value,
    Kind.CHOICE: _Reader._choice_value,
    Kind.PAYLOAD: _Reader._payload_value,
    Kind.ANY: _Reader._any_value,
}


def _unquoted(value: Any) -> str:
    inside = str(value)[1:-1] if getattr(value, "type", None) == "STRING" else ""
    return f"; leave out the quotes: {inside}" if re.fullmatch(r"[+-]?[\d.]+(ns|us|ms|s|m|h|d|w)?", inside) else ""


def matcher(operator: Operator, value: Any) -> Callable[[str], bool]:
    """Return what tells whether a text meets an operator of texts."""
    if operator is Operator.CONTAINS:
        is_in: Callable[[str], bool] = value.is_in
        return is_in
    if operator is Operator.RLIKE:
        return patterns.Regex(value).is_in
    return patterns.like(value, ignore_case=operator is Operator.ILIKE)


# --- which conditions are of one span ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Group:
    """Parentheses around an `AND`: what is in them is not of the span that is spoken of outside."""

    part: AllOf


_Raw = Any


def _of_traces(node: _Raw) -> Node:
    """Gather comparisons with fields of spans into conditions on some span of the trace."""
    if isinstance(node, _Group):
        return _of_traces(node.part)
    if isinstance(node, Not):
        inner = _of_traces(node.part)
        return inner.part if isinstance(inner, Not) else Not(inner)
    if _is_of_span(node):
        return SomeSpan(_ungrouped(node))
    if isinstance(node, AnyOf):
        return any_of([_of_traces(part) for part in node.parts])
    if isinstance(node, AllOf):
        of_span = [part for part in node.parts if not isinstance(part, _Group) and _is_of_span(part)]
        others = [_of_traces(part) for part in node.parts if part not in of_span]
        gathered = [SomeSpan(_ungrouped(all_of(of_span)))] if of_span else []
        return all_of([flat for part in (*others, *gathered) for flat in conjuncts(part)])
    comparison: Comparison = node
    is_of_any = comparison.field.scope is Scope.TRACE and comparison.field.name in fields.OF_SPANS
    return _of_any_span(comparison) if is_of_any else comparison


def _is_of_span(node: _Raw) -> bool:
    """Whether it is made of comparisons with fields of one span only."""
    if isinstance(node, Comparison):
        return node.field.is_of_span
    if isinstance(node, _Group):
        return _is_of_span(node.part)
    if isinstance(node, AllOf):
        return all(not isinstance(part, _Group) and _is_of_span(part) for part in node.parts)
    return isinstance(node, AnyOf) and all(_is_of_span(part) for part in node.parts)


def _ungrouped(node: _Raw) -> Node:
    part: Node = node.part if isinstance(node, _Group) else node
    return type(part)(tuple(map(_ungrouped, part.parts))) if isinstance(part, (AllOf, AnyOf)) else part


def _of_any_span(comparison: Comparison) -> Node:
    """Return what is asked of a trace's models, inputs or outputs as a condition on its spans."""
    field = Field(Scope.SPAN, fields.OF_SPANS[comparison.field.name])
    there = SomeSpan(Comparison(field, Operator.ABSENT, None, negated=True))
    if comparison.operator is Operator.ABSENT:
        return there if comparison.negated else Not(there)
    meets = SomeSpan(Comparison(field, comparison.operator, comparison.value))
    return AllOf((there, Not(meets))) if comparison.negated else meets
