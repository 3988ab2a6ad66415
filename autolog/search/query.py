"""A search over traces, checked before any store sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from autolog.capture import clean_text
from autolog.errors import InvalidQuery
from autolog.ids import now_ns
from autolog.model.trace import TraceState
from autolog.search.fields import Field, Scope
from autolog.search.filter import AllOf, Comparison, Node, Operator, SomeSpan, conjuncts, parse
from autolog.search.order import NEWEST_FIRST, START, Key, parse_order
from autolog.search.page import Cursor, Place, digest

Moment = datetime | int


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are; `is_exact` is false where counting was ended, and there may be more."""

    count: int
    is_exact: bool


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """Which traces to find, in which order, and how many of them; made by `build`."""

    filter: Node | None = None
    order: tuple[Key, ...] = NEWEST_FIRST
    max_results: int = 100
    after: Place | None = None
    """Where the page before ended."""
    now_ns: int = 0

    @classmethod
    def build(
        cls,
        filter_string: str | None = None,
        *,
        order_by: Sequence[str] | str | None = None,
        page_token: str | None = None,
        max_results: int = 100,
        **conditions: Any,
    ) -> TraceQuery:
        """Check what a user asked for; raise `InvalidQuery` that says what is wrong with it.

        `conditions` are those of `search_traces`: `status`, `since`, `tags`, `session` and so on.
        """
        if isinstance(max_results, bool) or not isinstance(max_results, int) or max_results < 0:
            raise InvalidQuery(f"max_results must be a whole number from 0 up, not {max_results!r}")
        cursor = None if page_token is None else Cursor.of(page_token)
        now = now_ns() if cursor is None else cursor.now_ns
        parts = [*_conditions(conditions), *conjuncts(None if filter_string is None else parse(filter_string, now))]
        found = None if not parts else parts[0] if len(parts) == 1 else AllOf(tuple(parts))
        query = cls(found, parse_order(order_by), max_results, None if cursor is None else cursor.place, now)
        if cursor is not None and (cursor.search != query.digest or len(cursor.place) != len(query.order) + 1):
            raise InvalidQuery("page_token is of another search; a page has the filter and the order of the one before")
        return query

    @property
    def digest(self) -> str:
        """What tells this search from another one, whichever page of it."""
        return digest((self.filter, self.order))

    def token(self, place: Place) -> str:
        """Return what gets the page that begins behind `place`."""
        return Cursor(self.digest, self.now_ns, place).token()


def _conditions(given: Mapping[str, Any]) -> list[Node]:
    """Return what the arguments of `search_traces` ask for, as a filter has it."""
    found: list[Node] = []
    for name, value in given.items():
        if value is None:
            continue
        if name in ("since", "until"):
            operator = Operator.AT_LEAST if name == "since" else Operator.LESS
            found.append(Comparison(START, operator, nanoseconds(name, value)))
        elif name == "status":
            found.append(Comparison(Field(Scope.TRACE, name), Operator.IN, (_state(value),)))
        elif name == "tags":
            found.extend(_tags(value))
        elif not isinstance(value, str):
            raise InvalidQuery(f"{name} must be a string, not {value!r}")
        elif name == "model":
            found.append(SomeSpan(Comparison(Field(Scope.SPAN, name), Operator.EQUAL, clean_text(value))))
        else:
            found.append(Comparison(Field(Scope.TRACE, name), Operator.EQUAL, clean_text(value)))
    return found


def _tags(tags: Any) -> list[Node]:
    if not isinstance(tags, Mapping):
        raise InvalidQuery(f"tags must be a mapping such as {{'version': 'v2'}}, not {tags!r}")
    return [
        Comparison(Field(Scope.TAG, clean_text(str(key))), Operator.EQUAL, clean_text(str(value)))
        for key, value in tags.items()
    ]


def _state(status: TraceState | str) -> str:
    name = str(status).upper()
    if name not in TraceState.__members__:
        known = ", ".join(TraceState.__members__)
        raise InvalidQuery(f"{status!r} is not a status of a trace; there are: {known}")
    return name


def nanoseconds(name: str, moment: Moment) -> int:
    """Return a moment in nanoseconds since the epoch; raise `InvalidQuery` where it is none."""
    if isinstance(moment, datetime):  # a naive one is local time, as everywhere in Python
        return int(moment.timestamp() * 1_000_000) * 1_000
    if isinstance(moment, bool) or not isinstance(moment, int) or abs(moment) >= 2**63:
        raise InvalidQuery(f"{name} must be a datetime, or nanoseconds since the epoch, not {moment!r}")
    return moment
