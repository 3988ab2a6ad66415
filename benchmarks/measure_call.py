"""What tracing adds to one chat call: the caller's time, and CPU time with whatever runs in the background."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import traffic
from patches import Patches
from peers import PEERS, Flush

# By the size of the request: messages of 2 KB, calls in a block, and blocks with and without tracing.
SIZES = {"10 KB": (5, 200, 6), "1 MB": (500, 8, 6), "10 MB": (5_000, 2, 4)}


def _block(client: Any, messages: list[dict[str, str]], calls: int, flush: Flush) -> tuple[float, float]:
    """Return milliseconds a call: the median of the caller's, and CPU with the background's up to a flush."""
    times = []
    cpu = time.process_time()
    for _ in range(calls):
        began = time.perf_counter()
        client.chat.completions.create(model="gpt-4o-mini", messages=messages)
        times.append(time.perf_counter() - began)
    flush()
    return statistics.median(times) * 1e3, (time.process_time() - cpu) / calls * 1e3


def _measure(size: str, patches: Patches, flush: Flush) -> dict[str, float]:
    """Return the medians of what blocks of calls with tracing took more than those without right beside them."""
    count, calls, blocks = SIZES[size]
    client, messages = traffic.client(), traffic.conversation(count)
    _block(client, messages, max(calls // 2, 2), flush)
    bare, more, more_cpu = [], [], []
    for number in range(blocks):
        took = {}
        for is_on in (True, False) if number % 2 else (False, True):
            (patches.put_on if is_on else patches.take_off)()
            took[is_on] = _block(client, messages, calls, flush)
        bare.append(took[False][0])
        more.append(took[True][0] - took[False][0])
        more_cpu.append(took[True][1] - took[False][1])
    patches.put_on()
    return {
        "bare": statistics.median(bare),
        "extra": statistics.median(more),
        "extra_cpu": statistics.median(more_cpu),
    }


def main() -> None:
    """Set the peer up, and measure each size."""
    traffic.client().chat.completions.create(model="gpt-4o-mini", messages=traffic.conversation(1))  # type: ignore[arg-type]
    patches = Patches()
    began = time.perf_counter()
    flush = PEERS[sys.argv[1]].set_up(Path.cwd())
    found: dict[str, Any] = {"set_up": (time.perf_counter() - began) * 1e3}
    patches.find()
    found.update((size, _measure(size, patches, flush)) for size in SIZES)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
