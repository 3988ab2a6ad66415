"""What tracing adds to one chat call: the caller's time, and CPU time with whatever runs in the background."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import traffic
from peers import PEERS, Flush

# By the size of the request: messages of 2 KB, and how many calls.
SIZES = {"10 KB": (5, 300), "1 MB": (500, 50), "10 MB": (5_000, 11)}


def measure(flush: Flush) -> dict[str, dict[str, float]]:
    """Return milliseconds a call: the median of the caller's, and CPU with the background's up to a flush."""
    client = traffic.client()
    found = {}
    for size, (messages, calls) in SIZES.items():
        conversation = traffic.conversation(messages)
        times = []
        for number in range(-calls // 5, calls):
            if number == 0:
                flush()
                cpu = time.process_time()
            began = time.perf_counter()
            client.chat.completions.create(model="gpt-4o-mini", messages=conversation)  # type: ignore[arg-type]
            times.append(time.perf_counter() - began)
        flush()
        cpu = time.process_time() - cpu
        found[size] = {"wall": statistics.median(times[-calls:]) * 1e3, "cpu": cpu / calls * 1e3}
    return found


def main() -> None:
    """Measure without tracing, turn it on, and measure again, so that both share a process."""
    peer = PEERS[sys.argv[1]]
    bare = measure(lambda: None)
    began = time.perf_counter()
    flush = peer.turn_on(Path.cwd())
    set_up = time.perf_counter() - began
    print(json.dumps({"bare": bare, "traced": measure(flush), "set_up": set_up}))


if __name__ == "__main__":
    main()
