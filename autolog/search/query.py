"""A search over traces, checked before any store sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from autolog.errors import InvalidQuery
from autolog.model.trace import TraceState

Moment = datetime | int


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """Which traces to find: those that meet every condition given, newest first."""

    state: TraceState | None = None
    name: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    experiment: str | None = None
    run: str | None = None
    session: str | None = None
    user: str | None = None
    model: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    max_results: int = 100

    @classmethod
    def build(
        cls,
        *,
        status: TraceState | str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        tags: Mapping[str, str] | None = None,
        max_results: int = 100,
        **equal: str | None,
    ) -> TraceQuery:
        """Check what a user asked for; raise `InvalidQuery` that says what is wrong with it."""
        if isinstance(max_results, bool) or not isinstance(max_results, int) or max_results < 0:
            raise InvalidQuery(f"max_results must be a whole number from 0 up, not {max_results!r}")
        for name, value in equal.items():
            if value is not None and not isinstance(value, str):
                raise InvalidQuery(f"{name} must be a string, not {value!r}")
        if tags is not None and not isinstance(tags, Mapping):
            raise InvalidQuery(f"tags must be a mapping such as {{'version': 'v2'}}, not {tags!r}")
        return cls(
            state=_state(status),
            since_ns=_nanoseconds("since", since),
            until_ns=_nanoseconds("until", until),
            tags={str(key): str(value) for key, value in (tags or {}).items()},
            max_results=max_results,
            **equal,
        )


def _state(status: TraceState | str | None) -> TraceState | None:
    if status is None:
        return None
    try:
        return TraceState(str(status).upper())
    except ValueError:
        known = ", ".join(TraceState.__members__)
        raise InvalidQuery(f"{status!r} is not a status of a trace; there are: {known}") from None


def _nanoseconds(name: str, moment: Moment | None) -> int | None:
    if moment is None:
        return None
    if isinstance(moment, datetime):  # a naive one is local time, as everywhere in Python
        return int(moment.timestamp() * 1_000_000) * 1_000
    if isinstance(moment, bool) or not isinstance(moment, int):
        raise InvalidQuery(f"{name} must be a datetime, or nanoseconds since the epoch, not {moment!r}")
    return moment
