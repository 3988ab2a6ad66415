"""Memory of the process after 1,000, 5,000 and 10,000 runs of a framework."""

from __future__ import annotations

import gc
import json
import resource
import sys
from importlib import import_module
from pathlib import Path

from tracing import Tracing

_RUNS = (1_000, 5_000, 10_000)
_UNTIL_FLUSH = 250
"""Runs between two flushes: what waits to be stored is not what is measured, and some drop what waits too long."""


def _megabytes() -> float:
    gc.collect()
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most / 1e3


def main() -> None:
    """Run the framework's first program, over and over."""
    peer, framework = sys.argv[1:]
    run = next(iter(import_module(f"programs_{framework}").programs().values()))
    run()
    tracing = Tracing(peer, framework)
    found = {}
    for number in range(1, max(_RUNS) + 1):
        run()
        if number % _UNTIL_FLUSH == 0:
            tracing.flush()
        if number in _RUNS:
            found[f"{number:,}"] = _megabytes()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
