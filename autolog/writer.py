"""From the queue to the store: spans are finished, decided on, processed, and written in batches."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autolog.counters import Losses
from autolog.delivery import Delivery
from autolog.errors import StoreError
from autolog.guard import guarded
from autolog.ids import correct_drift, now_ns
from autolog.model.span import Span
from autolog.model.trace import count_once
from autolog.processing import Processing
from autolog.sampling import EVERYTHING, Sampling, Undecided
from autolog.settings import Settings
from autolog.span_queue import SpanQueue, size_of

logger = logging.getLogger("autolog")

_BATCH = 2_000
_SHOW_OPEN_AFTER_NS = 300_000_000
_LONGEST_PAUSE = 30.0


class Writer:
    """Writes what ended, and what has been open for long. Used by one thread at a time.

    `write` stores a batch, all or nothing, and raises `StoreError` to be called again later.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Span]], None],
        queue: SpanQueue,
        running: Mapping[int, Span],
        losses: Losses,
        settings: Settings,
        price: Callable[[Span], None] | None,
    ) -> None:
        self._write = write
        self._queue = queue
        self._running = running
        self._losses = losses
        self._settings = settings
        self._price = price
        self._sampling = EVERYTHING
        self.processing = Processing()
        self.deliveries: tuple[Delivery, ...] = ()
        """Who else takes what goes to the store."""
        self.begin_anew()

    def begin_anew(self) -> None:
        """Have nothing in hand: in the child of a fork, whose parent stores what it had."""
        self._shown: dict[int, tuple[Any, ...]] = {}
        self._unwritten: list[Span] = []
        self._released: deque[Span] = deque()
        self._writing = 0
        self._undecided = Undecided(self._sampling, self._settings.queue_spans, self._settings.queue_bytes)
        self.pause = 0.0
        """Seconds to wait before the next attempt: a store that refused needs time."""
        self.stored = 0
        self.merged = 0
        self.errors = 0
        self.last_error: str | None = None

    def configure(self, settings: Settings, sampling: Sampling, price: Callable[[Span], None] | None) -> None:
        """Go by these from now on."""
        self._settings, self._sampling, self._price = settings, sampling, price
        self._undecided.sampling = sampling
        self._undecided.most_spans, self._undecided.most_bytes = settings.queue_spans, settings.queue_bytes

    @property
    def unwritten(self) -> int:
        """How many spans the store refused, that are tried again."""
        return len(self._unwritten)

    @property
    def held(self) -> int:
        """How many spans wait for the end of their trace, or were released by it."""
        return self._undecided.count + len(self._released)

    @property
    def in_hand(self) -> int:
        """How many spans were taken from the queue and are not stored."""
        return self.held + len(self._unwritten) + self._writing

    @property
    def sampled_out(self) -> tuple[int, int]:
        """How many spans, and traces, ended and were left out for how their trace ended."""
        return self._undecided.sampled_out_spans, self._undecided.sampled_out_traces

    @property
    def has_unshown(self) -> bool:
        """Whether spans are open of which the store does not know."""
        return len(self._running) > len(self._shown)

    def drain(self, *, show_open: bool = False, decide: bool = False) -> bool:
        """Write what has ended, and what has been open for long; return whether nothing is left to write.

        With `decide`, what waits for the end of its trace is written too, which is kept then.
        """
        correct_drift()
        # What comes while this runs is left for the next time, or a busy program would never let it end.
        last = self._queue.taken + len(self._queue)
        self._released.extend(self._undecided.keep_all() if decide else self._undecided.keep_overdue())
        while self._unwritten or self._released or (self._queue and self._queue.taken < last):
            batch = self._take()
            if batch and not self._store(batch):
                return False
            if decide and self._queue.taken >= last:
                self._released.extend(self._undecided.keep_all())
        with guarded:
            self._show_open(everything=show_open, decide=decide)
        return True

    def forget(self) -> None:
        """Let go of what is in hand, which is lost."""
        self._released.clear()
        self._unwritten = []
        self._writing = 0

    # --- what is to be written -------------------------------------------------------------------

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
        for delivery in self.deliveries if batch else ():
            with guarded:
                delivery.take(batch)
        return batch

    def _finish_next(self) -> bool:
        """Finish the next span that ended, and release what is to be stored of its trace; return whether there was one."""
        span = self._queue.take()
        if span is None:
            return False
        span.is_handed_over = True
        with guarded:
            self._finish(span)
            if span.merges:
                self.merged += 1
                return True
        context = span._context
        if context is None or context.sampled:
            self._released.append(span)
        else:
            self._released.extend(self._undecided.take(span, context, size_of(span)))
        return True

    def _process_next(self, batch: list[Span]) -> None:
        self._writing += 1
        # In no guard: whatever failed before, what must not be kept is not.
        shown = self.processing(self._released.popleft())
        if shown is not None:
            batch.append(shown)
            return
        self._writing -= 1
        self._losses.drop_on_purpose()

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

    # --- writing it ------------------------------------------------------------------------------

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
            self.stored += len(batch)
        self._writing = 0
        if self.pause:
            self.pause = 0.0
            lost = sum(self._losses.dropped.values())
            logger.warning("the store can be written again; %d spans were lost meanwhile", lost)
        for span in batch:
            self._shown.pop(span._span_id, None)
        return True

    def _store_singly(self, batch: list[Span]) -> None:
        for span in batch:
            before = self.stored
            with guarded:
                self._write([span])
                self.stored += 1
            if self.stored == before:
                self._losses.drop(1, "internal_error")

    def _keep(self, batch: list[Span], message: str) -> None:
        """Keep a batch that the store refused for another try, as far as there is room."""
        self.errors += 1
        if message != self.last_error:
            self.last_error = message
            logger.warning(
                "traces can't be stored: %s Your program goes on; autolog.stats() counts what is lost.", message
            )
        self.pause = min(max(self.pause * 2, self._settings.flush_interval), _LONGEST_PAUSE)
        self._unwritten = batch
        while self.deliveries and self._queue:  # which the store must not hold up
            self._unwritten += self._take_new(_BATCH)

    # --- what runs still -------------------------------------------------------------------------

    def _show_open(self, *, everything: bool, decide: bool) -> None:
        """Write spans that run for long as they are now, so that others can see them."""
        if not self._running:
            return
        before = now_ns() - (0 if everything else _SHOW_OPEN_AFTER_NS)
        new = [
            span
            for span in list(self._running.values())
            if span.start_time_ns <= before
            and not span.merges
            and (everything or span._span_id not in self._shown)
            and self._is_kept(span, decide=decide)
        ]
        for start in range(0, len(new), _BATCH):
            seen = [(span, _looks(span)) for span in new[start : start + _BATCH]]
            changed = [(span, looks) for span, looks in seen if self._shown.get(span._span_id) != looks]
            # Copies, for the program goes on changing the spans themselves.
            shown = [self._as_it_is_now(span) for span, _ in changed]
            try:
                if running := [span for span in shown if span is not None and span.end_time_ns is None]:
                    self._write(running)
            except StoreError as error:
                self._keep(self._unwritten, str(error))
                return
            self._shown.update({span._span_id: looks for span, looks in changed})

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
        self._released.extend(self._undecided.keep(context))
        return True


def _looks(span: Span) -> tuple[Any, ...]:
    """Return what tells whether an open span has changed since it was written."""
    span.resolve()
    shared = span._context
    return (
        span.name, span.span_type, span._status, span._inputs, span._outputs, span._usage, dict(span._attributes),
        len(span._events or ()), len(span._links or ()),
        None if shared is None else {**vars(shared.copy()), "is_stored": None},
    )  # fmt: skip
