"""What tracing adds to each chunk of a streamed chat."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import traffic
from tracing import Figures, Tracing

_CHUNKS = 2_000
_PAIRS = 6


def main() -> None:
    """Read streams with tracing and without, one right after the other."""
    client: Any = traffic.client(_CHUNKS)

    def stream() -> Figures:
        """Return the microseconds a chunk."""
        began = time.perf_counter()
        for _ in client.chat.completions.create(model="gpt-4o-mini", messages=traffic.conversation(1), stream=True):
            pass
        return {"time": (time.perf_counter() - began) / _CHUNKS * 1e6}

    def block() -> Figures:
        found = stream()
        tracing.flush()
        return found

    stream()
    tracing = Tracing(sys.argv[1], "openai")
    tracing.spans(stream)
    print(json.dumps(tracing.compare(block, _PAIRS)))


if __name__ == "__main__":
    main()
