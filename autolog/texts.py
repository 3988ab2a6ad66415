"""Rewrite every text in a value, and leave the value itself as it is; make texts of what is a label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autolog.errors import InvalidSetting
from autolog.guard import attempt

Leaf = Callable[[Any, str], Any]
"""Takes a text or an integer and the name that it has in the dict around it; returns what to put in its place."""

_MAX_DEPTH = 200
TOO_DEEP = "<truncated: too deep>"


def rewritten(value: Any, leaf: Leaf, name: str = "", depth: int = 0) -> Any:
    """Return `value`, of dicts, lists and scalars, with each text and integer replaced; itself where none changes.

    The names in dicts are texts too. What is nested so deeply that nobody can look through it is left out.
    """
    if isinstance(value, str) or type(value) is int:
        return leaf(value, name)
    if isinstance(value, dict):
        return TOO_DEEP if depth > _MAX_DEPTH else _dict(value, leaf, depth)
    if isinstance(value, (list, tuple)):
        if depth > _MAX_DEPTH:
            return TOO_DEEP
        items = [rewritten(item, leaf, name, depth + 1) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    return value


def _dict(value: dict[Any, Any], leaf: Leaf, depth: int) -> dict[Any, Any]:
    changed = False
    items: dict[Any, Any] = {}
    for key, item in value.items():
        new_key = rewritten(key, leaf) if isinstance(key, (str, int)) else key
        new_item = rewritten(item, leaf, key if isinstance(key, str) else "", depth + 1)
        changed = changed or new_key is not key or new_item is not item
        items[_free(new_key, items)] = new_item
    return items if changed else value


def _free(key: Any, items: dict[Any, Any]) -> Any:
    """Return a key that is not taken: two addresses become the same mark, and neither's value may be lost."""
    number, free = 1, key
    while free in items:
        number += 1
        free = f"{key} {number}"
    return free


def strings(labels: Mapping[str, str] | None) -> dict[str, str]:
    """Return tags or metadata as they are kept: names and values as text."""
    if not isinstance(labels, Mapping | None):
        raise InvalidSetting(f"tags and metadata are mappings such as {{'version': 'v2'}}, not {labels!r}")
    return {text(name): text(value) for name, value in (labels or {}).items()}


def text(value: object) -> str:
    """Return a value that is to be a text as one, whatever its `__str__` does."""
    return value if type(value) is str else attempt(str, value, default=f"<{type(value).__qualname__} object>")


def text_or_none(value: object) -> str | None:
    """Return a value that is to be a text as one, and `None` as it is."""
    return None if value is None else text(value)
