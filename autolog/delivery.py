"""Hand spans on to somewhere beside the store: a bounded queue, a thread of its own, and counters for all of it.

However slow or broken that place is, neither the program nor the store waits for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from autolog.context import suppress
from autolog.counters import ExportStats
from autolog.fork import call_in_child
from autolog.guard import guarded
from autolog.model.span import Span
from autolog.span_queue import size_of

logger = logging.getLogger("autolog")

_BATCH = 512
# Servers refuse messages of more than 4 MB by default, as gRPC's do.
_BATCH_BYTES = 2_000_000
_SHORTEST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Sent:
    """How an attempt to send a batch went."""

    error: str | None = None
    """Why it failed; `None` where everything arrived."""
    is_final: bool = False
    """Whether another attempt would fail as well."""
    rejected: int = 0
    """Spans that were not taken, of a batch that arrived."""
    broken: int = 0
    """Spans that were not sent, for an error of ours."""
    wait: float | None = None
    """Seconds after which whoever refused wants to be asked again."""


class Sender(Protocol):
    """Sends batches to one place; called by one thread at a time."""

    place: str
    """Where to, for a person to read."""

    def open(self) -> None:
        """Get ready to send, which may take a while."""

    def send(self, spans: Sequence[Span]) -> Sent:
        """Send ended spans, whose content is final."""

    def break_off(self) -> None:
        """Wait for nothing more: the program ends."""

    def begin_anew(self) -> None:
        """In the child of a fork: let go of connections, which are the parent's."""


class Delivery:
    """Takes spans from the pipeline, and hands them to a sender in batches on a thread of its own."""

    def __init__(
        self,
        sender: Sender,
        *,
        most_spans: int,
        most_bytes: int,
        interval: float,
        takes: Callable[[Span], bool] = lambda _: True,
    ) -> None:
        self.place = sender.place
        self._sender = sender
        self._takes = takes
        self._most_spans = most_spans
        self._most_bytes = most_bytes
        self._interval = interval
        self._reset()
        call_in_child(self._begin_anew)

    def _reset(self) -> None:
        self._queue: deque[tuple[Span, int]] = deque()
        self._in_hand: list[tuple[Span, int]] = []
        self._bytes = 0
        self._changed = threading.Condition()
        self._opened = threading.Event()
        self._thread: threading.Thread | None = None
        self._hurry = False
        self._stopping = False
        self._pause = 0.0
        self._is_failing = False
        self._sent = 0
        self._dropped: Counter[str] = Counter()
        self._errors = 0
        self._last_error: str | None = None

    def _begin_anew(self) -> None:
        """In the child of a fork: an empty queue and a thread of its own. The parent sends what it had."""
        self._reset()
        self._sender.begin_anew()

    # --- on the pipeline's thread ----------------------------------------------------------------

    def take(self, spans: Sequence[Span]) -> None:
        """Take spans that have ended. Never waits; what there is no room for is dropped and counted."""
        with self._changed:
            if self._stopping:
                self._drop(len(spans), "exit_timeout")
                return
            for span in filter(self._takes, spans):
                size = size_of(span)
                if len(self._queue) + len(self._in_hand) >= self._most_spans or self._bytes + size > self._most_bytes:
                    self._drop(1, "queue_full")
                    continue
                self._queue.append((span, size))
                self._bytes += size
            self._start()
            self._changed.notify_all()

    def _start(self) -> None:
        if self._thread is None and self._queue:
            thread = threading.Thread(target=self._work, name="autolog-export", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is shutting down: `stop` counts what is left
                return
            self._thread = thread

    def _drop(self, count: int, reason: str) -> None:
        if not count:
            return
        self._dropped[reason] += count
        if self._dropped[reason] == count:
            logger.warning(
                "spans are not sent to %s (%s); autolog.stats().exported counts them",
                self.place,
                reason.replace("_", " "),
            )

    # --- on its own thread -----------------------------------------------------------------------

    def _work(self) -> None:
        with suppress():  # the requests that carry spans are none to be traced
            try:
                with guarded:
                    self._sender.open()
            finally:
                self._opened.set()
            while self._wait():
                batch = self._next()
                sent = Sent("an error of autolog's own.", is_final=True, broken=len(batch))
                with guarded:
                    sent = self._sender.send([span for span, _ in batch])
                self._note(batch, sent)

    def _wait(self) -> bool:
        """Wait until there is something to send and it may be sent; return whether to go on."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._queue or self._in_hand)
            pause = max(self._pause, self._interval)
            self._changed.wait_for(lambda: self._stopping or self._hurry, timeout=pause)
            self._hurry = False
            return bool(self._queue or self._in_hand) and not (self._stopping and self._pause)

    def _next(self) -> list[tuple[Span, int]]:
        with self._changed:
            size = sum(size for _, size in self._in_hand)
            while self._queue and len(self._in_hand) < _BATCH:
                size += self._queue[0][1]
                if self._in_hand and size > _BATCH_BYTES:
                    break
                self._in_hand.append(self._queue.popleft())
            return list(self._in_hand)

    def _note(self, batch: Sequence[tuple[Span, int]], sent: Sent) -> None:
        with self._changed:
            if self._stopping:
                return  # which has counted them
            if sent.error is not None:
                self._errors += 1
                self._last_error = sent.error
                if not self._is_failing:
                    self._is_failing = True
                    logger.warning("spans can't be sent to %s: %s Your program goes on.", self.place, sent.error)
            if sent.error is not None and not sent.is_final:
                self._pause = min(max(self._pause * 2, _SHORTEST_PAUSE, sent.wait or 0.0), _LONGEST_PAUSE)
            else:
                self._settle(batch, sent)
            self._changed.notify_all()

    def _settle(self, batch: Sequence[tuple[Span, int]], sent: Sent) -> None:
        whole = len(batch) - sent.broken
        refused = whole if sent.error is not None else sent.rejected
        self._sent += whole - refused
        self._drop(sent.broken, "internal_error")
        self._drop(refused, "refused")
        self._bytes -= sum(size for _, size in batch)
        self._in_hand = []
        if self._is_failing and sent.error is None:
            self._is_failing = False
            logger.warning("spans can be sent to %s again", self.place)
        self._pause = 0.0

    # --- waiting and ending ----------------------------------------------------------------------

    def flush(self, timeout: float) -> bool:
        """Send what is waiting, without pauses; return whether everything was sent or refused in time."""
        if threading.current_thread() is self._thread:
            return False
        deadline = time.monotonic() + timeout
        with self._changed:
            errors = self._errors
            while self._queue or self._in_hand:
                if self._errors > errors or (left := deadline - time.monotonic()) <= 0 or self._thread is None:
                    return False
                self._hurry = True
                self._changed.notify_all()
                self._changed.wait(left)
        return True

    def get_ready(self, timeout: float) -> None:
        """Wait until what is waiting can be sent: while the interpreter goes, it can't be made ready any more."""
        with self._changed:
            thread = self._thread
        if thread is not None:
            self._opened.wait(timeout)

    def stop(self, timeout: float) -> None:
        """Send what is left, and end the thread."""
        self.flush(timeout)
        with self._changed:
            if self._stopping:
                return
            self._stopping = True
            self._changed.notify_all()
        self._sender.break_off()
        with self._changed:
            self._drop(len(self._queue) + len(self._in_hand), "exit_timeout")
            self._queue.clear()
            self._in_hand = []

    def stats(self) -> ExportStats:
        """Return the counters as they are now."""
        with self._changed:
            waiting = len(self._queue) + len(self._in_hand)
            return ExportStats(self._sent, waiting, dict(self._dropped), self._errors, self._last_error)
