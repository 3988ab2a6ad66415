"""Microseconds to start and end a span of one's own, inside a trace."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from peers import PEERS

# As many spans as a trace of an agent has; what is put off is done between the bursts, as between requests.
_SPANS = 100
_BURSTS = 60


def _microseconds(work: Callable[[], object], flush: Callable[[], object]) -> float:
    took = []
    for _ in range(_BURSTS):
        began = time.perf_counter()
        for _ in range(_SPANS):
            work()
        took.append((time.perf_counter() - began) / _SPANS * 1e6)
        flush()
    return statistics.median(took)


def main() -> None:
    """Measure spans as `with` blocks, and for autolog also without one."""
    peer = PEERS[sys.argv[1]]
    flush = peer.set_up(Path.cwd()).flush
    open_span = peer.open_span()

    def block() -> None:
        with open_span():
            pass

    with open_span():
        found = {"block": _microseconds(block, flush)}
        if sys.argv[1] in ("autolog", "off"):
            found["plain"] = _microseconds(lambda: open_span().end(), flush)  # type: ignore[attr-defined]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
