"""From the traced program to the store: a bounded queue, one worker, batches, and counters for all of it."""

from __future__ import annotations

import atexit
import copy
import logging
import sys
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

from autolog import capture, semconv
from autolog.context import suppress
from autolog.errors import StoreError
from autolog.fork import ForkLock, call_in_child
from autolog.guard import guarded
from autolog.ids import correct_drift, now_ns
from autolog.model.span import Span, SpanEvent, Status, StatusCode
from autolog.model.trace import count_once
from autolog.settings import Settings

logger = logging.getLogger("autolog")

# Below this many waiting spans nobody asks how large they are, since that costs time on the traced call.
_UNMEASURED = 64
_BATCH = 2_000
_SHOW_OPEN_AFTER_NS = 300_000_000
_LONGEST_PAUSE = 30.0
_UNKNOWN_SIZE = 1_000


@dataclass(frozen=True, slots=True)
class Stats:
    """What became of the spans of this process."""

    started: int
    stored: int
    open: int
    """Started and not ended yet."""
    waiting: int
    """Ended and not stored yet."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Spans that were lost, by reason: `queue_full`, `store_failed`, `internal_error`."""
    payloads_dropped: int = 0
    """Spans that were kept without inputs and outputs, because too many bytes were waiting."""
    payloads_cut: int = 0
    """Payloads that were stored shortened, because they were over a limit."""
    internal_errors: int = 0
    """Errors of autolog's own, which were swallowed."""
    merged: int = 0
    """SDK's spans of model calls that were moved into the framework's span of the same call."""
    store_errors: int = 0
    """Writes to the store that failed; they are tried again until the queue is full or the program ends."""
    last_store_error: str | None = None


class Pipeline:
    """Takes spans as they start and end, and writes them in batches on one thread of its own.

    `write` stores a batch, all or nothing, and raises `StoreError` to be called again later.
    """

    def __init__(
        self, write: Callable[[Sequence[Span]], None], settings: Settings, price: Callable[[Span], None] | None = None
    ) -> None:
        self._write = write
        self._settings = settings
        self._price = price
        self._draining = ForkLock(rank=0)
        self._starting = ForkLock(rank=0)
        self._reset()
        _pipelines.add(self)
        call_in_child(self._begin_anew)

    def _reset(self) -> None:
        self._queue: deque[Span] = deque()
        self._open: dict[int, Span] = {}
        self._shown: set[int] = set()
        self._unwritten: list[Span] = []
        self._waiting_bytes = 0
        self._sizes: dict[int, int] = {}
        # Not an Event: a finalizer may end a span, in a thread that is inside of Event.set() at that moment.
        self._alarm: SimpleQueue[None] = SimpleQueue()
        self._is_awake = False
        self._hurry = threading.Event()
        self._worker: threading.Thread | None = None
        self._stopping = False
        self._pause = 0.0
        self._stored = 0
        self._writing = 0
        self._dropped: Counter[str] = Counter()
        self._payloads_dropped = 0
        self._merged = 0
        self._store_errors = 0
        self._last_store_error: str | None = None
        # Reentrant: a finalizer may drop a span in a thread that is counting another one.
        self._counting = threading.RLock()

    # --- on the path of the traced program -------------------------------------------------------

    def started(self, span: Span) -> None:
        """Note a span that started, so that it can be seen while it runs."""
        self._open[span._span_id] = span
        if not self._is_awake:
            self._rouse()

    def ended(self, span: Span) -> None:
        """Take a span that ended. Never waits; what there is no room for is dropped and counted."""
        self._open.pop(span._span_id, None)
        waiting = len(self._queue)
        if waiting >= _UNMEASURED and not self._has_room(span, waiting):
            return
        self._queue.append(span)
        if not self._is_awake:
            self._rouse()

    def open_spans(self) -> list[Span]:
        """Return the spans that started and have not ended."""
        return list(self._open.values())

    def open_span(self, span_id: int) -> Span | None:
        """Return the span of this id where it has not ended."""
        return self._open.get(span_id)

    def _rouse(self) -> None:
        self._is_awake = True
        self._alarm.put(None)
        if self._worker is None:
            self._start_worker()

    def _has_room(self, span: Span, waiting: int) -> bool:
        if waiting + len(self._unwritten) >= self._settings.queue_spans:
            self._drop(1, "queue_full")
            return False
        with guarded:
            size = _size(span)
            if self._waiting_bytes + size > self._settings.queue_bytes:
                with self._counting:
                    self._payloads_dropped += 1
                span._inputs = span._outputs = None
                span._deferred = None
                span._attributes[semconv.TRUNCATED] = "payload dropped: too many bytes were waiting for the store"
                size = _UNKNOWN_SIZE
            self._sizes[id(span)] = size
            self._waiting_bytes += size
        return True

    def _drop(self, count: int, reason: str) -> None:
        with self._counting:
            self._dropped[reason] += count
            is_first = self._dropped[reason] == count
        if is_first:
            logger.warning("autolog drops spans (%s); autolog.stats() counts them", reason.replace("_", " "))

    # --- the worker ------------------------------------------------------------------------------

    def _start_worker(self) -> None:
        with self._starting:
            if self._worker is not None or self._stopping:
                return
            worker = threading.Thread(target=self._work, name="autolog", daemon=True)
            try:
                worker.start()
            except RuntimeError:  # the interpreter is shutting down, or no thread is to be had: exit stores it
                return
            self._worker = worker
            with guarded:
                self._stop_with_multiprocessing()

    def _stop_with_multiprocessing(self) -> None:
        """In a child that multiprocessing started: stop before it leaves by `os._exit`, which runs no exit handlers."""
        process = sys.modules.get("multiprocessing.process")
        if process is not None and process.parent_process() is not None:
            from multiprocessing.util import Finalize

            Finalize(None, self.stop, exitpriority=0)

    def _work(self) -> None:
        with suppress():  # whatever the store itself uses must not be traced
            while not self._stopping:
                self._alarm.get()
                self._hurry.wait(max(self._settings.flush_interval, self._pause))
                # Asleep before looking, so that what comes meanwhile wakes us again.
                self._hurry.clear()
                self._is_awake = False
                with guarded:
                    self.drain()
                if self._unwritten or self._queue or len(self._open) > len(self._shown):
                    self._rouse()

    def drain(self, *, show_open: bool = False) -> bool:
        """Write what has ended, and what has been open for long; return whether nothing is left to write."""
        with self._draining:
            correct_drift()
            # What comes while this runs is left for the next time, or a busy program would never let it end.
            left = len(self._unwritten) + len(self._queue)
            while left > 0:
                merged = self._merged
                batch = self._take()
                if not batch:
                    break
                if not self._store(batch):
                    return False
                left -= len(batch) + self._merged - merged
            with guarded:
                self._show_open(everything=show_open)
            return True

    def _take(self) -> list[Span]:
        """Return what is to be written next: what failed before, then what ended since."""
        batch, self._unwritten = self._unwritten, []
        while len(batch) < _BATCH:
            try:
                span = self._queue.popleft()
            except IndexError:
                break
            self._waiting_bytes -= self._sizes.pop(id(span), 0)
            span.is_handed_over = True
            with guarded:
                self._finish(span)
                if span.merges:
                    self._merged += 1
                    continue
            # Outside of the guard: whatever failed before, content that must not be kept is not.
            self._withhold(span)
            batch.append(span)
        self._writing = len(batch)
        return batch

    def _finish(self, span: Span) -> None:
        """Do what was put off while the program waited: read the response, price it, count it once."""
        span.resolve()
        same = span.duplicate_of
        if span.merges and same is not None:
            span.merges = not same.is_handed_over
            if span.merges:
                same.absorb(span)
                return
        if span.is_framework_call and span.covered is not None and span.usage is None:
            span.set_usage(span.covered[0])  # the framework was not told, the SDK was
        if self._price is not None and span.usage is not None:
            self._price(span)
        count_once(span)

    def _withhold(self, span: Span) -> None:
        if self._settings.capture_content:
            return
        span._inputs = span._outputs = None
        span._attributes = {k: v for k, v in span._attributes.items() if k not in semconv.WITH_CONTENT}
        kind = span._attributes.get(semconv.ERROR_TYPE)
        if span._status.description is not None:
            span._status = Status(span._status.code, kind)
        span._events = [_without_content(event) for event in span._events or ()] or None

    def _store(self, batch: list[Span]) -> bool:
        try:
            self._write(batch)
        except StoreError as error:
            self._writing = 0
            self._keep(batch, str(error))
            return False
        except Exception as error:
            if guarded.reraise:
                raise
            guarded.note(error)
            self._store_singly(batch)
        else:
            self._stored += len(batch)
        self._writing = 0
        if self._pause:
            self._pause = 0.0
            logger.warning("the store can be written again; %d spans were lost meanwhile", sum(self._dropped.values()))
        self._shown.difference_update(span._span_id for span in batch)
        return True

    def _store_singly(self, batch: list[Span]) -> None:
        for span in batch:
            before = self._stored
            with guarded:
                self._write([span])
                self._stored += 1
            if self._stored == before:
                self._drop(1, "internal_error")

    def _keep(self, batch: list[Span], message: str) -> None:
        """Keep a batch that the store refused for another try, as far as there is room."""
        self._store_errors += 1
        if message != self._last_store_error:
            self._last_store_error = message
            logger.warning(
                "traces can't be stored: %s Your program goes on; autolog.stats() counts what is lost.", message
            )
        self._pause = min(max(self._pause * 2, self._settings.flush_interval), _LONGEST_PAUSE)
        self._unwritten = batch

    def _show_open(self, *, everything: bool) -> None:
        """Write spans that run for long as they are now, so that others can see them."""
        if not self._open:
            return
        before = now_ns() - (0 if everything else _SHOW_OPEN_AFTER_NS)
        new = [
            span
            for span in list(self._open.values())
            if span.start_time_ns <= before and not span.merges and (everything or span._span_id not in self._shown)
        ]
        for start in range(0, len(new), _BATCH):
            part = [self._as_it_is_now(span) for span in new[start : start + _BATCH]]
            try:
                self._write([span for span in part if span.end_time_ns is None])
            except StoreError as error:
                self._keep(self._unwritten, str(error))
                return
            self._shown.update(span._span_id for span in part)

    def _as_it_is_now(self, span: Span) -> Span:
        """Return a copy, for the program goes on changing the span itself."""
        span.resolve()
        now = copy.copy(span)
        now._attributes, now._events = dict(span._attributes), list(span._events or ())
        self._withhold(now)
        return now

    # --- waiting and ending ----------------------------------------------------------------------

    def flush(self, timeout: float = 30.0) -> bool:
        """Store everything that has ended, and open spans as they are now; return whether that worked in time."""
        if threading.current_thread() is self._worker:
            return False
        deadline = time.monotonic() + timeout
        if not self._draining.acquire(timeout=timeout):
            return False
        try:
            with suppress():
                done = self.drain(show_open=True)
        finally:
            self._draining.release()
        return done and time.monotonic() <= deadline + 1.0

    def stop(self) -> None:
        """Store what is left and end the worker; called when the interpreter exits."""
        if self._stopping:
            return
        for span in list(self._open.values()):
            with guarded:
                _abandon(span)
        self._stopping = True
        self._hurry.set()
        self._alarm.put(None)
        deadline = time.monotonic() + self._settings.exit_timeout
        worker = self._worker
        if worker is not None and worker is not threading.current_thread():
            worker.join(self._settings.exit_timeout)
        with guarded:
            while not self.flush(max(deadline - time.monotonic(), 0.0)) and time.monotonic() < deadline:
                if self._last_store_error is not None:
                    break
        lost = len(self._queue) + len(self._unwritten)
        if lost:
            self._drop(lost, "store_failed" if self._last_store_error else "exit_timeout")
            logger.warning("%d spans are lost at exit: %s", lost, self._last_store_error or "the store is too slow")
            self._queue.clear()
            self._unwritten = []

    def stats(self, payloads_cut: int = 0) -> Stats:
        """Return the counters as they are now."""
        waiting = len(self._queue) + len(self._unwritten) + self._writing
        return Stats(
            started=self._stored + self._merged + waiting + len(self._open) + sum(self._dropped.values()),
            stored=self._stored,
            open=len(self._open),
            waiting=waiting,
            dropped=dict(self._dropped),
            merged=self._merged,
            payloads_dropped=self._payloads_dropped,
            payloads_cut=payloads_cut,
            internal_errors=guarded.errors,
            store_errors=self._store_errors,
            last_store_error=self._last_store_error,
        )

    def _begin_anew(self) -> None:
        """In the child of a fork: an empty queue and a worker of its own. The parent stores what it had."""
        self._reset()


def _size(span: Span) -> int:
    if span._inputs is None and span._outputs is None:
        return _UNKNOWN_SIZE
    return capture.json_size([span._inputs, span._outputs]) + _UNKNOWN_SIZE


def _without_content(event: SpanEvent) -> SpanEvent:
    hidden = (semconv.EXCEPTION_MESSAGE, semconv.EXCEPTION_STACKTRACE)
    kept = {name: value for name, value in event.attributes.items() if name not in hidden}
    return SpanEvent(event.name, event.timestamp_ns, kept)


def _abandon(span: Span) -> None:
    if span.abandon is not None:
        span.abandon()
        return
    span.set_attribute(semconv.ABANDONED, True)
    if span._status.code is StatusCode.UNSET:
        span.set_status(Status(StatusCode.ERROR, "the program exited before this span ended"))
    span.end()


_pipelines: weakref.WeakSet[Pipeline] = weakref.WeakSet()


def _stop_all() -> None:
    for pipeline in list(_pipelines):
        pipeline.stop()


atexit.register(_stop_all)
