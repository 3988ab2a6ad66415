"""How many of 3,000 traces of one span are kept that a program makes as fast as it can, and of 10,000 that are open at once."""

from __future__ import annotations

import json
import sys
import time
from contextvars import Context
from pathlib import Path

from peers import PEERS

_BURST = 3_000
_OPEN = 10_000
_LONGEST_WAIT = 60.0


def main() -> None:
    """Measure both, each followed by a flush."""
    peer = PEERS[sys.argv[1]]
    kept = peer.set_up(Path.cwd())
    open_span = peer.open_span()

    def counted(expected: int) -> int:
        # Some go on storing after their flush has returned.
        deadline = time.monotonic() + _LONGEST_WAIT
        kept.flush()
        while (count := kept.count()) < expected and time.monotonic() < deadline:
            before = count
            time.sleep(2)
            if kept.count() == before:
                break
        return kept.count()

    began = time.perf_counter()
    for _ in range(_BURST):
        with open_span():
            pass
    took = time.perf_counter() - began
    stored = counted(_BURST)

    # Each in a context of its own, as a server's requests are.
    opened = [(Context(), open_span()) for _ in range(_OPEN)]
    for context, block in opened:
        context.run(block.__enter__)
    for context, block in opened:
        context.run(block.__exit__, None, None, None)
    print(json.dumps({"kept": stored, "seconds": took, "open_kept": counted(stored + _OPEN) - stored}))


if __name__ == "__main__":
    main()
