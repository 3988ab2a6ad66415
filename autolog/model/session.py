"""A session: the traces of one conversation, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A conversation: its traces from the first question to the last answer."""

    session: str
    """The name that its traces have."""
    user: str | None
    """Who asked last, where that is known."""
    first_ns: int
    """When its first trace started."""
    last_ns: int
    """When its last trace started."""
    traces: int
    errors: int
    """Traces of it that failed."""
    tokens: int | None
    cost: float | None
    """US dollars."""
    duration_ns: int | None
    """From the start of its first trace to the last end."""
    busy_ns: int | None
    """What its traces took together."""
    first_request: str | None
    """The beginning of the first question."""
    last_response: str | None
    """The beginning of the last answer."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {name: getattr(self, name) for name in self.__slots__}
