"""One thing that was found out about an installation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class State(str, Enum):
    """Whether it is as it should be."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing is wrong."""
    PROBLEM = "problem"
    """Something does not work, or will soon not."""

    __str__ = str.__str__


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out, and what to do where it is not well."""

    section: str
    name: str
    value: Any
    """For a person to read: a text or a number."""
    state: State = State.OK
    advice: str | None = None
    """What to do."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "section": self.section,
            "name": self.name,
            "value": self.value,
            "state": str(self.state),
            "advice": self.advice,
        }


def size(count: float) -> str:
    """Return bytes as a person says them."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1_000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1_000
    return f"{count:.1f} TB"
