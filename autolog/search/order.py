"""In which order traces are returned."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from autolog import capture
from autolog.errors import InvalidQuery
from autolog.search import fields
from autolog.search.fields import Field, Scope

MOST_KEYS = 8
START = Field(Scope.TRACE, "timestamp")


@dataclass(frozen=True, slots=True)
class Key:
    """A field that traces are sorted by. Those without it come last, either way."""

    field: Field
    descending: bool = False


NEWEST_FIRST = (Key(START, descending=True),)
_PART = re.compile(r"(?:[^,`\"]|`[^`]*`|\"[^\"]*\"|[`\"])+")


def parse_order(order_by: Sequence[str] | str | None) -> tuple[Key, ...]:
    """Read what to sort by, each as `field`, `field ASC` or `field DESC`; what ties is newest first.

    In a text there are commas between them; keys in quotes may have some of their own. Raises `InvalidQuery` for what
    can't be sorted by.
    """
    if order_by is None:
        return NEWEST_FIRST
    written = _separated(order_by) if isinstance(order_by, str) else order_by
    if not isinstance(written, Sequence) or not all(isinstance(one, str) for one in written):
        raise InvalidQuery(f"order_by is a list such as ['duration DESC', 'name'], not {order_by!r}")
    if len(written) > MOST_KEYS:
        raise InvalidQuery(f"order_by takes at most {MOST_KEYS} fields")
    keys: dict[Field, Key] = {}
    for one in written:
        key = _key(capture.clean_text(one))
        keys.setdefault(key.field, key)
    # What follows the start can't matter: it is in nanoseconds.
    until_start = list(keys).index(START) + 1 if START in keys else None
    return tuple(keys.values())[:until_start] if until_start else (*keys.values(), *NEWEST_FIRST)


def _separated(written: str) -> list[str]:
    return [part.strip() for part in _PART.findall(written)] or [written]


def _key(written: str) -> Key:
    name, separator, last = written.strip().replace("\t", " ").rpartition(" ")
    has_direction = bool(separator) and last.upper() in ("ASC", "DESC")
    try:
        field = fields.find(name.strip() if has_direction else written.strip())
    except fields.UnknownField as error:
        raise InvalidQuery(f"order_by {written[:80]!r}: {error}") from None
    if field.is_of_span or (field.scope is Scope.TRACE and field.name in fields.OF_SPANS):
        raise InvalidQuery(f"order_by {written[:80]!r}: a trace has many spans; it is sorted by fields of its own only")
    return Key(field, descending=has_direction and last.upper() == "DESC")
