"""What comparisons say of a span's inputs, outputs and attributes, which no store has columns for."""

from __future__ import annotations

import json
import operator as operators
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from autolog.search import patterns
from autolog.search.fields import Kind, Scope
from autolog.search.filter import OF_TEXTS, Comparison, Operator, matcher
from autolog.search.words import Phrase, texts

Record = Mapping[str, Any]
"""A span's `inputs`, `outputs` and `attributes`, as far as it has them."""
_COMPARE: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: operators.eq,
    Operator.LESS: operators.lt,
    Operator.AT_MOST: operators.le,
    Operator.GREATER: operators.gt,
    Operator.AT_LEAST: operators.ge,
}
# Numbers are read and written again, and may look different then.
_NUMBER = re.compile(r"[\d.eE+-]+")


def is_of_payload(comparison: Comparison) -> bool:
    """Whether a comparison is with what only the payload of a span tells."""
    field = comparison.field
    return field.scope is Scope.ATTRIBUTE or (field.scope is Scope.SPAN and field.kind is Kind.PAYLOAD)


def test(comparison: Comparison) -> Callable[[Record], bool]:
    """Return what tells whether a span's record meets the comparison.

    A payload has many texts: it meets one where any of them does, and a negated one where none does.
    """
    meets = _meets(comparison)
    values = (
        _attribute(comparison.field.name)
        if comparison.field.scope is Scope.ATTRIBUTE
        else _PARTS[comparison.field.name]
    )

    def is_met(record: Record) -> bool:
        found = [value for value in values(record) if value is not None]
        if comparison.operator is Operator.ABSENT:
            return bool(found) is comparison.negated
        return bool(found) and any(map(meets, found)) is not comparison.negated

    return is_met


def _attribute(key: str) -> Callable[[Record], Iterator[Any]]:
    def values(record: Record) -> Iterator[Any]:
        yield (record.get("attributes") or {}).get(key)

    return values


def _parts(*names: str) -> Callable[[Record], Iterator[Any]]:
    return lambda record: (record.get(name) for name in names)


_PARTS = {"inputs": _parts("inputs"), "outputs": _parts("outputs"), "text": _parts("inputs", "outputs")}


def _meets(comparison: Comparison) -> Callable[[Any], bool]:
    """Return what tells whether a value that is there meets the comparison, leaving aside that it may be negated."""
    operator, wanted = comparison.operator, comparison.value
    if comparison.field.scope is not Scope.ATTRIBUTE:
        of_text = matcher(operator, wanted) if operator in OF_TEXTS else _equal_to(operator, wanted)
        return lambda value: any(map(of_text, texts(value)))
    if operator in OF_TEXTS:
        of_text = matcher(operator, wanted)
        return lambda value: of_text(_text(value))
    values: Any = wanted
    if operator is Operator.IN:
        return lambda value: any(_compares(value, Operator.EQUAL, one) for one in values)
    if operator is Operator.BETWEEN:
        low, high = values
        return lambda value: _compares(value, Operator.AT_LEAST, low) and _compares(value, Operator.AT_MOST, high)
    return lambda value: _compares(value, operator, wanted)


def _equal_to(operator: Operator, wanted: Any) -> Callable[[str], bool]:
    return (lambda text: text in wanted) if operator is Operator.IN else (lambda text: text == wanted)


def _compares(value: Any, operator: Operator, wanted: Any) -> bool:
    if isinstance(wanted, str):
        return _COMPARE[operator](_text(value), wanted)
    return isinstance(value, (int, float)) and _COMPARE[operator](value, wanted)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def may_be_met(comparison: Comparison, body: bytes) -> bool:
    """Whether a span in this JSON may meet the comparison; quick, and wrong on the safe side only."""
    field, operator, value = comparison.field, comparison.operator, comparison.value
    if operator is Operator.ABSENT and not comparison.negated:
        return True
    if field.scope is Scope.ATTRIBUTE and _is_plain(field.name) and f'"{field.name}"'.encode() not in body:
        return False
    if comparison.negated or operator is Operator.ABSENT:
        return True
    if isinstance(value, Phrase):
        return value.may_be_in(body)
    if operator is Operator.LIKE and isinstance(value, str):
        value = patterns.longest_text(value)
    elif operator is not Operator.EQUAL or not isinstance(value, str) or value[:1] in ("[", "{"):
        return True
    return not _is_plain(value) or bool(_NUMBER.fullmatch(value)) or value.encode() in body


def _is_plain(text: str) -> bool:
    """Whether JSON has the text as it is."""
    return text.isprintable() and '"' not in text and "\\" not in text
