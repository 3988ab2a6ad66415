"""Take what a tracer changed in the OpenAI SDK off, and put it on again, between two calls of one process.

So each call with tracing is compared with calls right beside it: two processes differ by more than tracing costs,
and not every tracer takes its own changes off again.
"""

from __future__ import annotations

import sys
from typing import Any

_ABSENT = object()


class Patches:
    """Notes the SDK as it is when made; `find` then tells what was changed since."""

    def __init__(self) -> None:
        self._before = _attributes()
        self._changed: list[tuple[Any, str, Any, Any]] = []

    def find(self) -> None:
        """Note what is otherwise than before."""
        after = _attributes()
        for place in self._before.keys() | after.keys():
            old, new = self._before.get(place, _ABSENT), after.get(place, _ABSENT)
            if old is not new:
                owner, name = place
                self._changed.append((owner, name, old, new))

    def take_off(self) -> None:
        """Make the SDK as it was."""
        for owner, name, old, _ in self._changed:
            _put(owner, name, old)

    def put_on(self) -> None:
        """Make it as the tracer did."""
        for owner, name, _, new in self._changed:
            _put(owner, name, new)


def _attributes() -> dict[tuple[type, str], Any]:
    """Return what the classes of the SDK hold."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "openai"]
    classes = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    return {
        (owner, name): value
        for owner in classes
        if owner.__module__.partition(".")[0] == "openai"
        for name, value in vars(owner).items()
        if callable(value)
    }


def _put(owner: type, name: str, value: Any) -> None:
    if value is not _ABSENT:
        setattr(owner, name, value)
    elif name in vars(owner):
        delattr(owner, name)
