"""What becomes of spans, counted: nothing is lost in silence."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

logger = logging.getLogger("autolog")


@dataclass(frozen=True, slots=True)
class ExportStats:
    """What became of the spans that were to be sent to one place."""

    sent: int = 0
    waiting: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Spans that never arrived, by reason: `queue_full`, `refused`, `exit_timeout`, `internal_error`."""
    errors: int = 0
    """Attempts that failed; they are made again until the queue is full or the program ends."""
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """What became of the spans that a store sends to a server."""

    waiting: int = 0
    """Those on disk, which are sent as soon as the server is there: by this process or by the next."""
    refused: int = 0
    errors: int = 0
    last_error: str | None = None

    def added_to(self, stats: Stats) -> Stats:
        """Return the counters with those here: what was refused is not stored after all."""
        dropped = {**stats.dropped, "refused": self.refused} if self.refused else stats.dropped
        return replace(
            stats,
            stored=stats.stored - self.refused,
            spooled=self.waiting,
            dropped=dropped,
            store_errors=stats.store_errors + self.errors,
            last_store_error=stats.last_store_error or self.last_error,
        )


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
    """Spans that were lost, by reason: `queue_full`, `store_failed`, `exit_timeout`, `refused` by the server that is the
    store, `internal_error`; `by_processor` on purpose."""
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
    spooled: int = 0
    """Of those stored, the spans that wait on this machine's disk for the server that is the store."""
    exported: Mapping[str, ExportStats] = field(default_factory=dict)
    """What became of the spans that were to be sent elsewhere too, by where to."""


class Losses:
    """Counts what is left out and lost, from any thread."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Count from nothing: in the child of a fork, whose parent has counted the rest."""
        self.dropped = Counter[str]()
        self.payloads_dropped = 0
        self.sampled_out = 0
        self.sampled_out_traces = 0
        # Reentrant: a finalizer may drop a span in a thread that is counting another one.
        self._counting = threading.RLock()

    def drop(self, count: int, reason: str) -> None:
        """Count spans that are lost, and warn of the first."""
        with self._counting:
            self.dropped[reason] += count
            is_first = self.dropped[reason] == count
        if is_first:
            logger.warning("autolog drops spans (%s); autolog.stats() counts them", reason.replace("_", " "))

    def drop_on_purpose(self) -> None:
        """Count a span that a span processor dropped."""
        with self._counting:
            self.dropped["by_processor"] += 1

    def drop_payload(self) -> None:
        """Count a span that is kept without its inputs and outputs."""
        with self._counting:
            self.payloads_dropped += 1

    def sample_out(self, *, is_root: bool) -> None:
        """Count a span that sampling leaves out before it starts."""
        with self._counting:
            self.sampled_out += 1
            self.sampled_out_traces += is_root
