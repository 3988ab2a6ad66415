"""Ask for the token usage of a streamed chat, and let the program see the same stream as without."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_END_OF_EVENT = re.compile(rb"\r?\n\r?\n")


def with_usage(options: Any) -> Any:
    """Return a copy of a request's options that asks for usage; `None` where it streams nothing or asks itself."""
    body = options.json_data
    if not isinstance(body, Mapping) or not body.get("stream"):
        return None
    asked = body.get("stream_options")
    if (isinstance(asked, Mapping) and "include_usage" in asked) or (options.extra_json or {}).get("stream_options"):
        return None
    changed = {**body, "stream_options": {**(asked if isinstance(asked, Mapping) else {}), "include_usage": True}}
    copy = options.model_copy if hasattr(options, "model_copy") else options.copy
    return copy(update={"json_data": changed})


class UsageFilter:
    """Takes a stream's pieces; returns them without the usage that the program did not ask for."""

    def __init__(self) -> None:
        self._waiting = b""

    def __call__(self, piece: bytes) -> bytes:
        """Return what the program may read of the stream so far; `b""` says that the stream is over."""
        if not piece:
            rest, self._waiting = self._waiting, b""
            return _without_usage(rest)
        self._waiting += piece
        events = []
        start = 0
        for match in _END_OF_EVENT.finditer(self._waiting):
            events.append(_without_usage(self._waiting[start : match.end()]))
            start = match.end()
        self._waiting = self._waiting[start:]
        return b"".join(events)


def _without_usage(event: bytes) -> bytes:
    prefix, separator, data = event.partition(b"data:")
    if not separator or b'"usage"' not in data:
        return event
    try:
        chunk = json.loads(data)
    except ValueError:
        return event
    if not isinstance(chunk, dict) or "usage" not in chunk:
        return event
    usage = chunk.pop("usage")
    if usage is not None and not chunk.get("choices"):
        return b""
    ending = data[len(data.rstrip()) :]
    return prefix + separator + b" " + json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode() + ending
