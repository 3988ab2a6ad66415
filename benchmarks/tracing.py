"""One peer at work in this process: set up, switched off and on between two calls, flushed, its spans counted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from peers import PEERS
from switch import LIBRARIES, Switch

Figures = Mapping[str, float]


class Tracing:
    """Traces a library with a peer from now on. The library is to be imported, and used once, before."""

    def __init__(self, peer: str, library: str) -> None:
        switch = Switch(LIBRARIES[library])
        began = time.perf_counter()
        self._peer = PEERS[peer]
        kept = self._peer.set_up(Path.cwd())
        self._peer.traces[library]()
        self.set_up_ms = (time.perf_counter() - began) * 1e3
        switch.find()
        self._kept, self._switch, self._is_on = kept, switch, True

    def on(self) -> None:
        """Trace."""
        self._switch.on()
        self._is_on = True

    def off(self) -> None:
        """Leave the library as it is without the peer."""
        self._switch.off()
        self._is_on = False

    def flush(self) -> None:
        """Wait for what was recorded. What is off has nothing to wait for, and some wait for seconds all the same."""
        if self._is_on:
            self._kept.flush()

    def spans(self, work: Callable[[], object]) -> int:
        """Return how many spans it records of one piece of work: none while it is off, and some while it is on."""
        recorded = []
        for switch in (self.off, self.on):
            switch()
            before = self._count()
            work()
            recorded.append(self._count() - before)
        if recorded[0]:
            raise RuntimeError(f"{recorded[0]} spans were recorded while tracing was switched off")
        if not recorded[1] and self._peer.keeps:
            raise RuntimeError(f"nothing was recorded of {work}")
        return recorded[1]

    def _count(self) -> int:
        self._kept.flush()
        return self._kept.count()

    def compare(self, block: Callable[[], Figures], pairs: int) -> dict[str, Figures]:
        """Run blocks of calls with tracing and without, one right after the other, in changing order.

        A block flushes what it records. Returns the medians of its figures without tracing, `bare`, and of what was
        more with it, `extra`.
        """
        bare, more = [], []
        for number in range(pairs):
            took = {}
            for is_on in (True, False) if number % 2 else (False, True):
                (self.on if is_on else self.off)()
                took[is_on] = block()
            bare.append(took[False])
            more.append({name: took[True][name] - took[False][name] for name in took[True]})
        self.on()
        return {"bare": _medians(bare), "extra": _medians(more)}

    def calls(self, call: Callable[[], object], count: int) -> Callable[[], Figures]:
        """Return a block of that many calls.

        Its figures are milliseconds a call: the median `time` of the caller's, and `cpu` with the background's up
        to a flush.
        """

        def block() -> Figures:
            call()  # what follows a change of a class is slower once
            times = []
            cpu = time.process_time()
            for _ in range(count):
                began = time.perf_counter()
                call()
                times.append(time.perf_counter() - began)
            self.flush()
            return {"time": statistics.median(times) * 1e3, "cpu": (time.process_time() - cpu) / count * 1e3}

        return block


def _medians(blocks: list[Figures]) -> Figures:
    return {name: statistics.median(block[name] for block in blocks) for name in blocks[0]}
