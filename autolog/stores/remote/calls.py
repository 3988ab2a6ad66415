"""What a store is asked for as JSON, and what it answers: read off the signatures of `Store`, the same on both sides."""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin

from autolog.errors import InvalidQuery
from autolog.model.assessment import Assessment
from autolog.model.outline import Outline, SpanOutline
from autolog.model.span import Span
from autolog.model.trace import Trace, TraceInfo
from autolog.search import patterns
from autolog.search.fields import OF_SPANS, Field, Kind, Scope
from autolog.search.filter import AllOf, AnyOf, Comparison, Node, Not, Operator, SomeSpan
from autolog.search.order import MOST_KEYS, Key
from autolog.search.page import PagedList
from autolog.search.query import TraceQuery
from autolog.search.words import Phrase
from autolog.stores import base
from autolog.stores.base import Store

LOCAL = frozenset({"write", "tidy", "flush", "close"})
"""Methods that ask the server for nothing, or in another way."""
# Where the names are that `Store` uses in its signatures.
_MODULES = (
    "autolog.model.dataset", "autolog.model.session", "autolog.model.statistics", "autolog.search.fields", "autolog.search.page",
    "autolog.search.query", base.__name__,
)  # fmt: skip
_DEEPEST = 40
_MOST_NODES = 2_000
_LARGEST = 2**63

Read = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Form:
    """How values of a type are written as JSON, and read again; reading raises `ValueError` for what is none."""

    written: Read
    read: Read


@dataclass(frozen=True, slots=True)
class Call:
    """A method of `Store`: its arguments by their names, and what it returns."""

    arguments: Mapping[str, Form]
    result: Form

    def arguments_of(self, values: Sequence[Any]) -> dict[str, Any]:
        """Return arguments as JSON has them."""
        return {name: form.written(value) for (name, form), value in zip(self.arguments.items(), values, strict=True)}

    def values_of(self, arguments: object) -> list[Any]:
        """Return what `arguments_of` wrote; raise `InvalidQuery` for anything else."""
        try:
            return [form.read(_named(arguments).get(name)) for name, form in self.arguments.items()]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            if isinstance(error, InvalidQuery):
                raise
            raise InvalidQuery(f"this request is not understood: {type(error).__name__}: {str(error)[:200]}") from error


@cache
def names() -> tuple[str, ...]:
    """Return the names of the methods that a server can be asked for."""
    methods = [name for name, value in vars(Store).items() if inspect.isfunction(value) and not name.startswith("_")]
    return tuple(name for name in methods if name not in LOCAL)


@cache
def call_of(name: str) -> Call:
    """Return the method of that name, which is one of `names()`."""
    known: dict[str, Any] = {}
    for module in _MODULES:
        known.update(vars(importlib.import_module(module)))
    hints = typing.get_type_hints(getattr(Store, name), known)
    result = _form(hints.pop("return"))
    return Call({name: _form(hint) for name, hint in hints.items()}, result)


# --- types -------------------------------------------------------------------------------------------


def _form(hint: Any) -> Form:
    if hint in _FORMS:
        return _FORMS[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _optional([one for one in inner if one is not type(None)])
    if origin is PagedList:
        return _paged(_form(inner[0]))
    if origin is tuple and inner[-1] is not Ellipsis:
        return _fixed([_form(one) for one in inner])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(_form(inner[1]))
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return _sequence(_form(inner[0]), tuple if origin is tuple else list)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Form(lambda value: value.value, hint)
    if isinstance(hint, type) and issubclass(hint, tuple):
        return Form(list, lambda value: hint(*value))
    if is_dataclass(hint):
        return _dataclass(hint)
    raise TypeError(f"{hint!r} has no form in JSON; add one to _FORMS")


def _scalar(*kinds: type) -> Form:
    def read(value: Any) -> Any:
        is_right = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
        if not is_right or (isinstance(value, int) and abs(value) >= _LARGEST):
            raise ValueError(f"{str(value)[:60]!r} is not {' or '.join(kind.__name__ for kind in kinds)}")
        return value

    return Form(lambda value: value, read)


def _optional(options: Sequence[Any]) -> Form:
    """Return the form of a value that may be `None`; of several types only where JSON tells them apart."""
    inner = _form(options[0]) if len(options) == 1 else _scalar(*options)
    return Form(
        lambda value: None if value is None else inner.written(value),
        lambda value: None if value is None else inner.read(value),
    )


def _sequence(item: Form, kind: type) -> Form:
    return Form(lambda values: list(map(item.written, values)), lambda values: kind(map(item.read, _listed(values))))


def _fixed(items: Sequence[Form]) -> Form:
    return Form(
        lambda values: [item.written(value) for item, value in zip(items, values, strict=True)],
        lambda values: tuple(item.read(value) for item, value in zip(items, _listed(values), strict=True)),
    )


def _mapping(value: Form) -> Form:
    return Form(
        lambda values: {str(name): value.written(one) for name, one in values.items()},
        lambda values: {name: value.read(one) for name, one in values.items()},
    )


def _paged(item: Form) -> Form:
    return Form(
        lambda page: {"items": list(map(item.written, page)), "token": page.token},
        lambda page: PagedList(map(item.read, page["items"]), page["token"]),
    )


def _dataclass(kind: Any) -> Form:
    hints = typing.get_type_hints(kind)
    forms = {field.name: _form(hints[field.name]) for field in fields(kind) if field.init}
    return Form(
        lambda value: {name: form.written(getattr(value, name)) for name, form in forms.items()},
        lambda told: kind(**{name: form.read(told[name]) for name, form in forms.items() if name in told}),
    )


def _named(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{str(value)[:60]!r} has no names")  # noqa: TRY004 - as all else that is wrong here
    return value


def _listed(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{str(value)[:60]!r} is not a list")  # noqa: TRY004 - as all else that is wrong here
    return value


# --- what a search asks ------------------------------------------------------------------------------


def _written_query(query: TraceQuery) -> dict[str, Any]:
    return {
        "filter": None if query.filter is None else _written_node(query.filter),
        "order": [[*_written_field(key.field), key.descending] for key in query.order],
        "max_results": query.max_results,
        "after": None if query.after is None else list(query.after),
        "now_ns": query.now_ns,
    }


def _written_node(node: Node) -> list[Any]:
    if isinstance(node, Comparison):
        value: Any = node.value
        if isinstance(value, Phrase):
            value = {"words": list(value.words), "is_open": value.is_open}
        elif isinstance(value, tuple):
            value = list(value)
        return ["is", *_written_field(node.field), node.operator.value, value, node.negated]
    if isinstance(node, Not):
        return ["not", _written_node(node.part)]
    if isinstance(node, SomeSpan):
        return ["some span", _written_node(node.condition)]
    return ["all" if isinstance(node, AllOf) else "any", *map(_written_node, node.parts)]


def _written_field(of: Field) -> list[str]:
    return [of.scope.value, of.name]


class _QueryReader:
    """Reads a query of elsewhere, and lets nothing pass that `TraceQuery.build` would not have made."""

    def __init__(self) -> None:
        self._nodes = 0

    def query(self, told: Any) -> TraceQuery:
        whole, after = _scalar(int), told["after"]
        order = tuple(self._key(*key) for key in _listed(told["order"]))
        most = whole.read(told["max_results"])
        if not 0 < len(order) <= MOST_KEYS + 1 or most < 0:
            raise ValueError("it is sorted by some fields, and has so many results")
        place = None if after is None else tuple(map(_form(int | float | str | None).read, _listed(after)))
        if place is not None and len(place) != len(order) + 1:
            raise ValueError("it begins at another search's place")
        node = None if told["filter"] is None else self._node(told["filter"], 0)
        return TraceQuery(node, order, most, place, whole.read(told["now_ns"]))

    def _key(self, scope: str, name: str, descending: object) -> Key:
        of = _field(scope, name)
        if of.is_of_span or not isinstance(descending, bool):
            raise ValueError(f"traces are not sorted by {of}")
        return Key(of, descending)

    def _node(self, told: Any, depth: int, in_span: bool = False) -> Node:
        self._nodes += 1
        if depth > _DEEPEST or self._nodes > _MOST_NODES:
            raise ValueError("there are too many conditions")
        kind, *parts = _listed(told)
        if kind == "is":
            return self._comparison(*parts, in_span=in_span)
        if kind == "not" and not in_span:
            [part] = parts
            return Not(self._node(part, depth + 1))
        if kind == "some span" and not in_span:
            [part] = parts
            return SomeSpan(self._node(part, depth + 1, in_span=True))
        if kind in ("all", "any") and parts:
            nodes = tuple(self._node(part, depth + 1, in_span) for part in parts)
            return AllOf(nodes) if kind == "all" else AnyOf(nodes)
        raise ValueError(f"{kind!r} is no condition")

    @staticmethod
    def _comparison(scope: str, name: str, sign: str, told: Any, negated: object, *, in_span: bool) -> Comparison:
        of, operator = _field(scope, name), Operator(sign)
        if of.is_of_span is not in_span or not isinstance(negated, bool):
            raise ValueError(f"{of} is of {'a span' if of.is_of_span else 'a trace'}")
        value = _value(of, operator, told)
        if of.kind is Kind.CHOICE and operator is not Operator.ABSENT and operator is not Operator.IN:
            raise ValueError(f"{of} is compared by IN")
        return Comparison(of, operator, value, negated)


def _field(scope: str, name: str) -> Field:
    of = Field(Scope(scope), _scalar(str).read(name))
    if of.scope is Scope.TRACE and name in OF_SPANS:
        raise ValueError(f"{name} is of spans")
    of.kind  # noqa: B018 - raises for a field that there is not
    return of


def _value(of: Field, operator: Operator, told: Any) -> Any:
    if operator is Operator.ABSENT:
        return None
    one = _scalar(str, int, float, bool).read
    if operator in (Operator.IN, Operator.BETWEEN):
        values = tuple(map(one, _listed(told)))
        if of.kind is Kind.CHOICE and not set(values) <= set(of.choices):
            raise ValueError(f"{of} is one of {', '.join(of.choices)}")
        if operator is Operator.BETWEEN and len(values) != 2:
            raise ValueError("BETWEEN takes two values")
        return values
    if isinstance(told, dict):
        phrase = Phrase(tuple(map(_scalar(str).read, _listed(told["words"]))), is_open=bool(told["is_open"]))
        if not phrase.words or Phrase.of(" ".join(phrase.words)).words != phrase.words:
            raise ValueError("these are no words")
        return phrase
    if operator in (Operator.CONTAINS, Operator.LIKE, Operator.ILIKE, Operator.RLIKE):
        pattern: str = _scalar(str).read(told)
        if operator is Operator.CONTAINS or len(pattern) > patterns.MOST_CHARACTERS:
            raise ValueError(f"{operator.value} does not take this")
        if operator is Operator.RLIKE:
            patterns.check_regex(pattern)
        return pattern
    return one(told)


def _written_outline(outline: Outline) -> dict[str, Any]:
    return {"info": outline.info.to_dict(), "spans": [list(span) for span in outline.spans]}


def _read_outline(told: Mapping[str, Any]) -> Outline:
    return Outline(TraceInfo.from_dict(told["info"]), tuple(SpanOutline(*span) for span in told["spans"]))


_FORMS: Mapping[Any, Form] = {
    Any: Form(lambda value: value, lambda value: value),
    type(None): Form(lambda _: None, lambda _: None),
    str: _scalar(str),
    int: _scalar(int),
    float: _scalar(int, float),
    bool: _scalar(bool),
    Trace: Form(Trace.to_dict, Trace.from_dict),
    TraceInfo: Form(TraceInfo.to_dict, TraceInfo.from_dict),
    Span: Form(Span.to_dict, Span.from_dict),
    Assessment: Form(lambda value: value.to_dict(), Assessment.from_dict),
    Field: Form(_written_field, lambda told: _field(*_listed(told))),
    Outline: Form(_written_outline, _read_outline),
    TraceQuery: Form(_written_query, lambda told: _QueryReader().query(told)),
}
