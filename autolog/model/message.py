"""Read the text that a person would look for first in what a model was asked and what it answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autolog import capture

_PREVIEW = 400
_DEEPEST = 50


def preview(payload: Any) -> str | None:
    """Return the question of a request, or the answer of a response, on one line; `None` where there is none."""
    return capture.preview(_texts(payload), _PREVIEW) or None


def _texts(payload: Any, depth: int = 0) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(payload, str):
        yield payload
    elif isinstance(payload, dict):
        yield from _object_texts(payload, depth)
    elif isinstance(payload, list):
        for item in payload:
            yield from _texts(item, depth + 1)
    elif payload is not None:
        yield capture.json_bytes(payload).decode()


def _object_texts(payload: dict[str, Any], depth: int) -> Iterator[str]:
    # A conversation is known by its last turn; an answer by all of its parts.
    for key in ("messages", "question", "input", "prompt", "query"):
        if payload.get(key):
            turns = payload[key]
            yield from _texts(turns[-1] if isinstance(turns, list) else turns, depth + 1)
            return
    for key in _ANSWERS:
        if payload.get(key):
            yield from _texts(payload[key], depth + 1)
            return
    calls = payload.get("tool_calls") or ([payload] if payload.get("type") == "function_call" else [])
    for call in calls:
        function = call.get("function") or call.get("custom") or call
        yield f"{function.get('name')}({function.get('arguments') or function.get('input') or ''})"
    if not calls and "role" not in payload:
        yield from _named(payload)


_ANSWERS = (
    "choices", "answer", "output", "response", "result", "message", "content", "text", "refusal", "reasoning_content",
    "documents",
)  # fmt: skip


def _named(payload: dict[str, Any]) -> Iterator[str]:
    """Yield a single text as it is, and else values with their names, as a call of a function is written."""
    if len(payload) == 1 and isinstance(only := next(iter(payload.values())), str):
        yield only
        return
    for name, value in payload.items():
        shown = value if isinstance(value, str) else capture.json_bytes(value).decode()
        yield f"{name}={shown}"
