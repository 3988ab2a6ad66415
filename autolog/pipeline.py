"""From the traced program to the store: a bounded queue, one worker, batches, and counters for all of it."""

from __future__ import annotations

import atexit
import contextlib
import logging
import sys
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from queue import SimpleQueue

from autolog import capture, semconv
from autolog.context import suppress
from autolog.delivery import Delivery, ExportStats
from autolog.errors import StoreError
from autolog.fork import ForkLock, call_in_child
from autolog.guard import guarded
from autolog.ids import correct_drift, now_ns
from autolog.model.span import Span, Status, StatusCode
from autolog.model.trace import count_once
from autolog.processing import Processing
from autolog.sampling import EVERYTHING, Sampling, Undecided
from autolog.settings import Settings

logger = logging.getLogger("autolog")

# Below this many waiting spans nobody asks how large they are, since that costs time on the traced call.
_UNMEASURED = 64
# Beyond it one of so many is measured, until half of the room is taken.
_MEASURED_OF = 8
_BATCH = 2_000
_SHOW_OPEN_AFTER_NS = 300_000_000
_LONGEST_PAUSE = 30.0
_UNKNOWN_SIZE = 1_000
_LEAST_FOR_DELIVERY = 0.5


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
    """Spans that were lost, by reason: `queue_full`, `store_failed`, `internal_error`; `by_processor` on purpose."""
    sampled_out: int = 0
    """Spans that were not recorded because sampling leaves their trace out."""
    sampled_out_traces: int = 0
    """Traces that sampling leaves out."""
    processor_errors: int = 0
    """Spans of which nothing but figures was stored, because a span processor failed."""
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
    exported: Mapping[str, ExportStats] = field(default_factory=dict)
    """What became of the spans that were to be sent elsewhere too, by where to."""


class Pipeline:
    """Takes spans as they start and end, and writes them in batches on one thread of its own.

    `write` stores a batch, all or nothing, and raises `StoreError` to be called again later. `tidy` is called when there
    is nothing to write, and again as long as it returns that there is more for it to do.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Span]], None],
        settings: Settings,
        price: Callable[[Span], None] | None = None,
        tidy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._write = write
        self._tidy = tidy
        self._settings = settings
        self._price = price
        self._draining = ForkLock(rank=0)
        self._starting = ForkLock(rank=0)
        self._deliveries: tuple[Delivery, ...] = ()
        self._sampling = EVERYTHING
        self.processing = Processing()
        self._reset()
        _pipelines.add(self)
        call_in_child(self._begin_anew)

    def _reset(self) -> None:
        self._queue: deque[Span] = deque()
        self._open: dict[int, Span] = {}
        self._shown: set[int] = set()
        self._unwritten: list[Span] = []
        self._waiting_bytes = 0
        self._taken = 0
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
        self._sampled_out = Counter[str]()
        self.undecided = Undecided(self._sampling, self._settings.queue_spans, self._settings.queue_bytes)
        self._released: deque[Span] = deque()
        self._store_errors = 0
        self._last_store_error: str | None = None
        # Reentrant: a finalizer may drop a span in a thread that is counting another one.
        self._counting = threading.RLock()

    def configure(self, settings: Settings, sampling: Sampling, price: Callable[[Span], None] | None) -> None:
        """Go by these from now on."""
        self._settings, self._sampling, self._price = settings, sampling, price
        self.undecided.sampling = sampling
        self.undecided.most_spans, self.undecided.most_bytes = settings.queue_spans, settings.queue_bytes

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
        is_tight = self._waiting_bytes * 2 > self._settings.queue_bytes
        if waiting % _MEASURED_OF and not is_tight:
            return True
        with guarded:
            size = _size(span)
            if not is_tight:
                size *= _MEASURED_OF  # it stands for those that are not measured
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

    def sampled_out(self, *, is_root: bool) -> None:
        """Count a span that sampling leaves out."""
        with self._counting:
            self._sampled_out["spans"] += 1
            self._sampled_out["traces"] += is_root

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
                with guarded, contextlib.suppress(StoreError):
                    while not (self._unwritten or self._queue or self._stopping) and self._tidy():
                        pass
                if self._unwritten or self._queue or self._held() or len(self._open) > len(self._shown):
                    self._rouse()

    def drain(self, *, show_open: bool = False, decide: bool = False) -> bool:
        """Write what has ended, and what has been open for long; return whether nothing is left to write.

        With `decide`, what waits for the end of its trace is written too, which is kept then.
        """
        with self._draining:
            correct_drift()
            # What comes while this runs is left for the next time, or a busy program would never let it end.
            last = self._taken + len(self._queue)
            self._released.extend(self.undecided.keep_all() if decide else self.undecided.keep_overdue())
            while self._unwritten or self._released or (self._queue and self._taken < last):
                batch = self._take()
                if batch and not self._store(batch):
                    return False
                if decide and self._taken >= last:
                    self._released.extend(self.undecided.keep_all())
            with guarded:
                self._show_open(everything=show_open, decide=decide)
            return True

    def _take(self) -> list[Span]:
        """Return what is to be written next: what failed before, then what ended since."""
        batch, self._unwritten = self._unwritten, []
        self._writing = len(batch)
        return batch + self._take_new(_BATCH - len(batch))

    def _take_new(self, most: int) -> list[Span]:
        """Return what ended since, finished, and hand it on to whoever else takes it."""
        batch: list[Span] = []
        for _ in range(most):
            if not self._released and not self._finish_next():
                break
            if self._released:
                self._process_next(batch)
        for delivery in self._deliveries if batch else ():
            with guarded:
                delivery.take(batch)
        return batch

    def _finish_next(self) -> bool:
        """Finish the next span that ended, and release what is to be stored of its trace; return whether there was one."""
        try:
            span = self._queue.popleft()
        except IndexError:
            return False
        self._taken += 1
        self._waiting_bytes -= self._sizes.pop(id(span), 0)
        span.is_handed_over = True
        with guarded:
            self._finish(span)
            if span.merges:
                self._merged += 1
                return True
        context = span._context
        if context is None or context.sampled:
            self._released.append(span)
        else:
            self._released.extend(self.undecided.take(span, context, _size(span)))
        return True

    def _process_next(self, batch: list[Span]) -> None:
        self._writing += 1
        # In no guard: whatever failed before, what must not be kept is not.
        shown = self.processing(self._released.popleft())
        if shown is not None:
            batch.append(shown)
            return
        self._writing -= 1
        with self._counting:
            self._dropped["by_processor"] += 1

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

    def _store(self, batch: list[Span]) -> bool:
        try:
            self._write(batch)
        except StoreError as error:
            self._keep(batch, str(error))
            self._writing = 0
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
        while self._deliveries and self._queue:  # which the store must not hold up
            self._unwritten += self._take_new(_BATCH)

    def _show_open(self, *, everything: bool, decide: bool) -> None:
        """Write spans that run for long as they are now, so that others can see them."""
        if not self._open:
            return
        before = now_ns() - (0 if everything else _SHOW_OPEN_AFTER_NS)
        new = [
            span
            for span in list(self._open.values())
            if span.start_time_ns <= before
            and not span.merges
            and (everything or span._span_id not in self._shown)
            and self._is_kept(span, decide=decide)
        ]
        for start in range(0, len(new), _BATCH):
            part = new[start : start + _BATCH]
            # Copies, for the program goes on changing the spans themselves.
            shown = [self._as_it_is_now(span) for span in part]
            try:
                self._write([span for span in shown if span is not None and span.end_time_ns is None])
            except StoreError as error:
                self._keep(self._unwritten, str(error))
                return
            self._shown.update(span._span_id for span in part)

    def _as_it_is_now(self, span: Span) -> Span | None:
        span.resolve()
        return self.processing(span.copy())

    def _is_kept(self, span: Span, *, decide: bool) -> bool:
        """Whether the trace of an open span is known to be kept; if it runs for too long, it is from now on."""
        context = span._context
        if context is None or context.sampled is not None:
            return context is None or context.sampled is True
        if not decide and not self._sampling.is_kept_for(span):
            return False
        self._released.extend(self.undecided.keep(context))
        return True

    # --- waiting and ending ----------------------------------------------------------------------

    def flush(self, timeout: float = 30.0, *, decide: bool = False) -> bool:
        """Store everything that has ended, and open spans as they are now; return whether that worked in time.

        With `decide`, traces whose end would decide whether they are kept are kept.
        """
        if threading.current_thread() is self._worker:
            return False
        deadline = time.monotonic() + timeout
        if not self._draining.acquire(timeout=timeout):
            return False
        try:
            with suppress():
                done = self.drain(show_open=True, decide=decide)
        finally:
            self._draining.release()
        self.processing.raise_interruption()
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
            while not self.flush(max(deadline - time.monotonic(), 0.0), decide=True) and time.monotonic() < deadline:
                if self._last_store_error is not None:
                    break
        lost = self._waiting()
        if lost:
            self._drop(lost, "store_failed" if self._last_store_error else "exit_timeout")
            logger.warning("%d spans are lost at exit: %s", lost, self._last_store_error or "the store is too slow")
            self._queue.clear()
            self._released.clear()
            self._unwritten = []
            self._writing = 0
        for delivery in self._deliveries:
            with guarded:
                delivery.stop(max(deadline - time.monotonic(), _LEAST_FOR_DELIVERY))

    def deliver(self, delivery: Delivery) -> Callable[[], None]:
        """Hand on to `delivery` too what ends from now on; return what ends that, after sending what it took."""
        for before in self._deliveries:
            if before.place == delivery.place:
                self._end(before)
        self._deliveries = (*self._deliveries, delivery)
        _get_ready_before_shutdown()
        return partial(self._end, delivery)

    def _end(self, delivery: Delivery) -> None:
        if delivery in self._deliveries:
            self.flush()
            self._deliveries = tuple(one for one in self._deliveries if one is not delivery)
            delivery.stop(self._settings.exit_timeout)

    def flush_deliveries(self, timeout: float) -> bool:
        """Wait until everything taken so far was sent elsewhere; return whether that worked in time."""
        deadline = time.monotonic() + timeout
        sent = [delivery.flush(max(deadline - time.monotonic(), 0.0)) for delivery in self._deliveries]
        return all(sent)

    def stats(self, payloads_cut: int = 0) -> Stats:
        """Return the counters as they are now."""
        waiting = self._waiting()
        sampled_out = self._sampled_out["spans"] + self.undecided.sampled_out_spans
        return Stats(
            started=self._stored + self._merged + waiting + len(self._open) + sum(self._dropped.values()) + sampled_out,
            stored=self._stored,
            open=len(self._open),
            waiting=waiting,
            dropped=dict(self._dropped),
            merged=self._merged,
            sampled_out=sampled_out,
            sampled_out_traces=self._sampled_out["traces"] + self.undecided.sampled_out_traces,
            processor_errors=self.processing.failures,
            payloads_dropped=self._payloads_dropped,
            payloads_cut=payloads_cut,
            internal_errors=guarded.errors,
            store_errors=self._store_errors,
            last_store_error=self._last_store_error,
            exported={delivery.place: delivery.stats() for delivery in self._deliveries},
        )

    def _waiting(self) -> int:
        return len(self._queue) + self._held() + len(self._unwritten) + self._writing

    def _held(self) -> int:
        return self.undecided.count + len(self._released)

    def _begin_anew(self) -> None:
        """In the child of a fork: an empty queue and a worker of its own. The parent stores what it had."""
        self._reset()


def _size(span: Span) -> int:
    if span._inputs is None and span._outputs is None:
        return _UNKNOWN_SIZE
    return capture.json_size([span._inputs, span._outputs]) + _UNKNOWN_SIZE


def _abandon(span: Span) -> None:
    if span.abandon is not None:
        span.abandon()
        return
    span.set_attribute(semconv.ABANDONED, True)
    if span._status.code is StatusCode.UNSET:
        span.set_status(Status(StatusCode.ERROR, "the program exited before this span ended"))
    span.end()


_pipelines: weakref.WeakSet[Pipeline] = weakref.WeakSet()


def _get_ready() -> None:
    for pipeline in list(_pipelines):
        if pipeline._deliveries:
            with guarded:
                pipeline.flush(pipeline._settings.exit_timeout)
                for delivery in pipeline._deliveries:
                    delivery.get_ready(pipeline._settings.exit_timeout)


@cache
def _get_ready_before_shutdown() -> None:
    """Have deliveries opened before the interpreter goes: after that it starts no threads any more, which they need."""
    import concurrent.futures.thread  # noqa: F401 - the SDK's own need of it; what is registered later is called sooner

    register = getattr(threading, "_register_atexit", None)
    if register is not None:
        register(_get_ready)


def _stop_all() -> None:
    for pipeline in list(_pipelines):
        pipeline.stop()


atexit.register(_stop_all)
