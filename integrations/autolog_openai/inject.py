"""What is added to a request where the program said so: the wish for a stream's token usage, and the place in the trace.

Of the usage that was asked for, the program sees nothing: its stream is the same as without.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from autolog import Span
from autolog.propagation import trace_headers

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
    return _copy(options, json_data=changed)


def with_trace(options: Any, client: Any, span: Span) -> Any:
    """Return a copy of a request's options that has `traceparent` among its headers; `None` where the program set its own."""
    given = options.headers if isinstance(options.headers, Mapping) else {}
    for name in (*given, *getattr(client, "_custom_headers", ())):
        if name.lower() == "traceparent":
            return None
    # What is moved into the framework's span of the same call is not there for anybody to be below.
    above = span.duplicate_of if span.merges and span.duplicate_of is not None else span
    return _copy(options, headers={**given, **trace_headers(above)})


def _copy(options: Any, **changes: Any) -> Any:
    copy = options.model_copy if hasattr(options, "model_copy") else options.copy
    return copy(update=changes)


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
