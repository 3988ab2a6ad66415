"""How long a run with a large state keeps an event loop from doing anything else."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

from programs_langchain import large_graph
from tracing import Tracing

_RUNS = 40


async def _held(run: Callable[[], Coroutine[Any, Any, object]]) -> float:
    """Return the longest that the loop was held during the run, in milliseconds."""
    longest, is_over = 0.0, False

    async def tick() -> None:
        nonlocal longest
        last = time.perf_counter()
        while not is_over:
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    await run()
    is_over = True
    await ticking
    return longest * 1e3


def main() -> None:
    """Run a graph whose state is large, with another task that wants its turn all the time."""
    run = large_graph()
    asyncio.run(_held(run))
    tracing = Tracing(sys.argv[1], "langchain")
    asyncio.run(_held(run))

    async def runs() -> list[float]:
        held = []
        for _ in range(_RUNS):
            tracing.flush()
            held.append(await _held(run))
        return held

    held = asyncio.run(runs())
    print(json.dumps({"median": statistics.median(held), "max": max(held)}))


if __name__ == "__main__":
    main()
