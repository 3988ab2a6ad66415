"""What tracing adds to runs of a framework: the caller's time, CPU time with the background's, and the spans kept."""

from __future__ import annotations

import json
import sys
from importlib import import_module

from tracing import Tracing

_RUNS = 60
_PAIRS = 6


def main() -> None:
    """Measure every program that there is of the framework."""
    peer, framework = sys.argv[1:]
    programs = import_module(f"programs_{framework}").programs()
    for run in programs.values():
        run()
    tracing = Tracing(peer, framework)
    found = {}
    for name, run in programs.items():
        spans = tracing.spans(run)
        block = tracing.calls(run, _RUNS)
        block()
        found[name] = {**tracing.compare(block, _PAIRS), "spans": spans}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
