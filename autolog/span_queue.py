"""Spans that ended and wait for the worker: as many, and as many bytes, as there is room for."""

from __future__ import annotations

from collections import deque

from autolog import capture, semconv
from autolog.counters import Losses
from autolog.guard import guarded
from autolog.model.span import Span
from autolog.settings import Settings

UNMEASURED = 64
"""Below this many waiting spans nobody asks how large they are, since that costs time on the traced call."""
# Beyond it one of so many is measured, until half of the room is taken.
_MEASURED_OF = 8
_UNKNOWN_SIZE = 1_000


class SpanQueue(deque[Span]):
    """A deque, so that putting a span into it costs the traced program no call of ours."""

    def __init__(self, settings: Settings, losses: Losses) -> None:
        super().__init__()
        self.settings = settings
        self._losses = losses
        self.begin_anew()

    def begin_anew(self) -> None:
        """Be empty: in the child of a fork, whose parent stores what it had."""
        self.clear()
        self.taken = 0
        """How many spans were taken so far."""
        self._bytes = 0
        self._sizes: dict[int, int] = {}

    def has_room(self, span: Span, ahead: int) -> bool:
        """Whether `span` may be put in, perhaps without its payload; else it is counted as lost.

        To be asked from `UNMEASURED` spans on. `ahead` are the spans that were taken already and are not stored yet.
        """
        waiting = len(self)
        if waiting + ahead >= self.settings.queue_spans:
            self._losses.drop(1, "queue_full")
            return False
        is_tight = self._bytes * 2 > self.settings.queue_bytes
        if waiting % _MEASURED_OF and not is_tight:
            return True
        size = size_of(span)
        if not is_tight:
            size *= _MEASURED_OF  # it stands for those that are not measured
        if self._bytes + size > self.settings.queue_bytes:
            self._losses.drop_payload()
            span._inputs = span._outputs = span._deferred = None
            span._attributes[semconv.TRUNCATED] = "payload dropped: too many bytes were waiting for the store"
            size = _UNKNOWN_SIZE
        self._sizes[id(span)] = size
        self._bytes += size
        return True

    def take(self) -> Span | None:
        """Take out the span that waits longest, or `None`."""
        try:
            span = self.popleft()
        except IndexError:
            return None
        self.taken += 1
        self._bytes -= self._sizes.pop(id(span), 0)
        return span


def size_of(span: Span) -> int:
    """Return about how many bytes a span takes while it waits."""
    size = _UNKNOWN_SIZE
    if span._inputs is not None or span._outputs is not None:
        with guarded:
            size += capture.json_size([span._inputs, span._outputs])
    return size
