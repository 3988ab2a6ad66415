"""Take what a tracer changed in a library off, and put it on again, between two calls of one process.

So each call with tracing is compared with calls right beside it: two processes differ by more than tracing costs,
and not every tracer takes its own changes off again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_ABSENT = object()
Lists = Callable[[], list[list[Any]]]


@dataclass(frozen=True, slots=True)
class Library:
    """Where a tracer may change a library: the methods of its classes, and the lists that tracers are entered in."""

    packages: tuple[str, ...]
    lists: Lists = list


def _langchain_lists() -> list[list[Any]]:
    from langchain_core.tracers.context import _configure_hooks
    from programs_langchain import CALLBACKS

    return [_configure_hooks, CALLBACKS]


def _llama_index_lists() -> list[list[Any]]:
    from llama_index.core.instrumentation import get_dispatcher

    root = get_dispatcher()
    return [root.span_handlers, root.event_handlers]


LIBRARIES: Mapping[str, Library] = {
    "openai": Library(("openai",)),
    "langchain": Library(("langchain", "langchain_core", "langgraph", "programs_langchain"), _langchain_lists),
    "llama_index": Library(
        ("llama_index", "llama_index_instrumentation", "workflows", "programs_llama_index"), _llama_index_lists
    ),
}


class Switch:
    """Notes the library as it is when made; `find` then tells what was changed since."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._before = self._attributes()
        self._lists_before = [list(entries) for entries in library.lists()]
        self._changed: list[tuple[type, str, Any, Any]] = []
        self._lists_after = self._lists_before

    def find(self) -> None:
        """Note what is otherwise than before, in what was imported before."""
        after = self._attributes()
        classes = {owner for owner, _ in self._before}
        for place in self._before.keys() | after.keys():
            old, new = self._before.get(place, _ABSENT), after.get(place, _ABSENT)
            owner, name = place
            if old is not new and owner in classes:
                self._changed.append((owner, name, old, new))
        self._lists_after = [list(entries) for entries in self._library.lists()]

    def off(self) -> None:
        """Make the library as it was."""
        for owner, name, old, _ in self._changed:
            _put(owner, name, old)
        self._fill(self._lists_before)

    def on(self) -> None:
        """Make it as the tracer did."""
        for owner, name, _, new in self._changed:
            _put(owner, name, new)
        self._fill(self._lists_after)

    def _fill(self, contents: list[list[Any]]) -> None:
        for entries, content in zip(self._library.lists(), contents, strict=True):
            entries[:] = content

    def _attributes(self) -> dict[tuple[type, str], Any]:
        """Return the methods of the library's classes."""
        packages = self._library.packages
        modules = [module for name, module in sys.modules.items() if name.partition(".")[0] in packages]
        classes = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
        return {
            (owner, name): value
            for owner in classes
            if owner.__module__.partition(".")[0] in packages
            for name, value in vars(owner).items()
            if callable(value)
        }


def _put(owner: type, name: str, value: Any) -> None:
    if value is not _ABSENT:
        setattr(owner, name, value)
    elif name in vars(owner):
        delattr(owner, name)
