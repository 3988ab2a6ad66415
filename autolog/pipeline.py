"""From the traced program to the store: spans are queued as they end, and one worker writes them."""

from __future__ import annotations

import atexit
import contextlib
import logging
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from functools import cache, partial
from queue import SimpleQueue

from autolog.context import suppress
from autolog.counters import Losses, Stats
from autolog.delivery import Delivery
from autolog.errors import StoreError
from autolog.fork import ForkLock, call_in_child
from autolog.guard import guarded
from autolog.model.graft import mark_abandoned
from autolog.model.span import Span
from autolog.sampling import Sampling
from autolog.settings import Settings
from autolog.span_queue import UNMEASURED, SpanQueue
from autolog.writer import Writer

logger = logging.getLogger("autolog")

_LEAST_FOR_DELIVERY = 0.5


class Pipeline:
    """Takes spans as they start and end, and has them written in batches on one thread of its own.

    `write` stores a batch, all or nothing, and raises `StoreError` to be called again later. `tidy` is called when there
    is nothing to write, and again as long as it returns that there is more for it to do. `settle` is called at the end with
    the seconds that the store may take to hand on what was written.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Span]], None],
        settings: Settings,
        price: Callable[[Span], None] | None = None,
        tidy: Callable[[], bool] = lambda: False,
        settle: Callable[[float], object] = lambda _: None,
    ) -> None:
        self._tidy = tidy
        self._settle = settle
        self._settings = settings
        self._draining = ForkLock(rank=0)
        self._starting = ForkLock(rank=0)
        self._open: dict[int, Span] = {}
        self._losses = Losses()
        self._queue = SpanQueue(settings, self._losses)
        self._writer = Writer(write, self._queue, self._open, self._losses, settings, price)
        self.processing = self._writer.processing
        self.sampled_out = self._losses.sample_out
        """Counts a span that sampling leaves out before it starts."""
        self._reset()
        _pipelines.add(self)
        call_in_child(self._begin_anew)

    def _reset(self) -> None:
        # Not an Event: a finalizer may end a span, in a thread that is inside of Event.set() at that moment.
        self._alarm: SimpleQueue[None] = SimpleQueue()
        self._is_awake = False
        self._hurry = threading.Event()
        self._worker: threading.Thread | None = None
        self._stopping = False

    def _begin_anew(self) -> None:
        """In the child of a fork: an empty queue and a worker of its own. The parent stores what it had."""
        self._open.clear()
        self._losses.begin_anew()
        self._queue.begin_anew()
        self._writer.begin_anew()
        self._reset()

    def configure(self, settings: Settings, sampling: Sampling, price: Callable[[Span], None] | None) -> None:
        """Go by these from now on."""
        self._settings = self._queue.settings = settings
        self._writer.configure(settings, sampling, price)

    # --- on the path of the traced program -------------------------------------------------------

    def started(self, span: Span) -> None:
        """Note a span that started, so that it can be seen while it runs."""
        self._open[span._span_id] = span
        if not self._is_awake:
            self._rouse()

    def ended(self, span: Span) -> None:
        """Take a span that ended. Never waits; what there is no room for is dropped and counted."""
        self._open.pop(span._span_id, None)
        queue = self._queue
        if len(queue) >= UNMEASURED and not queue.has_room(span, self._writer.unwritten):
            return
        queue.append(span)
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
        writer, queue = self._writer, self._queue
        with suppress():  # whatever the store itself uses must not be traced
            while not self._stopping:
                self._alarm.get()
                self._hurry.wait(max(self._settings.flush_interval, writer.pause))
                # Asleep before looking, so that what comes meanwhile wakes us again.
                self._hurry.clear()
                self._is_awake = False
                with guarded, self._draining:
                    writer.drain()
                with guarded, contextlib.suppress(StoreError):
                    while not (writer.unwritten or queue or self._stopping) and self._tidy():
                        pass
                if writer.unwritten or queue or writer.held or writer.has_unshown:
                    self._rouse()

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
                done = self._writer.drain(show_open=True, decide=decide)
        finally:
            self._draining.release()
        self.processing.raise_interruption()
        return done and time.monotonic() <= deadline + 1.0

    def stop(self) -> None:
        """Store what is left and end the worker; called when the interpreter exits."""
        if self._stopping:
            return
        for span in self.open_spans():
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
                if self._writer.last_error is not None:
                    break
        lost = self._waiting()
        if lost:
            error = self._writer.last_error
            self._losses.drop(lost, "store_failed" if error else "exit_timeout")
            logger.warning("%d spans are lost at exit: %s", lost, error or "the store is too slow")
            self._queue.clear()
            self._writer.forget()
        with guarded:
            self._settle(max(deadline - time.monotonic(), _LEAST_FOR_DELIVERY))
        for delivery in self._writer.deliveries:
            with guarded:
                delivery.stop(max(deadline - time.monotonic(), _LEAST_FOR_DELIVERY))

    # --- elsewhere -------------------------------------------------------------------------------

    def deliver(self, delivery: Delivery) -> Callable[[], None]:
        """Hand on to `delivery` too what ends from now on; return what ends that, after sending what it took."""
        for before in self._writer.deliveries:
            if before.place == delivery.place:
                self._end(before)
        self._writer.deliveries = (*self._writer.deliveries, delivery)
        _get_ready_before_shutdown()
        return partial(self._end, delivery)

    def _end(self, delivery: Delivery) -> None:
        if delivery in self._writer.deliveries:
            self.flush()
            self._writer.deliveries = tuple(one for one in self._writer.deliveries if one is not delivery)
            delivery.stop(self._settings.exit_timeout)

    def flush_deliveries(self, timeout: float) -> bool:
        """Wait until everything taken so far was sent elsewhere; return whether that worked in time."""
        deadline = time.monotonic() + timeout
        sent = [delivery.flush(max(deadline - time.monotonic(), 0.0)) for delivery in self._writer.deliveries]
        return all(sent)

    def get_ready_for_exit(self) -> None:
        """Have deliveries opened that have something to send, while that can be done."""
        deliveries = self._writer.deliveries
        with guarded:
            if deliveries:
                self.flush(self._settings.exit_timeout)
            for delivery in deliveries:
                delivery.get_ready(self._settings.exit_timeout)

    # --- counters --------------------------------------------------------------------------------

    def stats(self, payloads_cut: int = 0) -> Stats:
        """Return the counters as they are now."""
        losses, writer = self._losses, self._writer
        waiting = self._waiting()
        ended_out, traces_ended_out = writer.sampled_out
        sampled_out = losses.sampled_out + ended_out
        lost = sum(losses.dropped.values())
        return Stats(
            started=writer.stored + writer.merged + waiting + len(self._open) + lost + sampled_out,
            stored=writer.stored,
            open=len(self._open),
            waiting=waiting,
            dropped=dict(losses.dropped),
            merged=writer.merged,
            sampled_out=sampled_out,
            sampled_out_traces=losses.sampled_out_traces + traces_ended_out,
            processor_errors=self.processing.failures,
            payloads_dropped=losses.payloads_dropped,
            payloads_cut=payloads_cut,
            internal_errors=guarded.errors,
            store_errors=writer.errors,
            last_store_error=writer.last_error,
            exported={delivery.place: delivery.stats() for delivery in writer.deliveries},
        )

    def _waiting(self) -> int:
        return len(self._queue) + self._writer.in_hand


def _abandon(span: Span) -> None:
    if span.abandon is not None:
        span.abandon()
        return
    mark_abandoned(span, "the program exited before this span ended")
    span.end()


_pipelines: weakref.WeakSet[Pipeline] = weakref.WeakSet()


@cache
def _get_ready_before_shutdown() -> None:
    """Have deliveries opened before the interpreter goes: after that it starts no threads any more, which they need."""
    import concurrent.futures.thread  # noqa: F401 - the SDK's own need of it; what is registered later is called sooner

    register = getattr(threading, "_register_atexit", None)
    if register is not None:
        register(_get_ready)


def _get_ready() -> None:
    for pipeline in list(_pipelines):
        pipeline.get_ready_for_exit()


def _stop_all() -> None:
    for pipeline in list(_pipelines):
        pipeline.stop()


atexit.register(_stop_all)
