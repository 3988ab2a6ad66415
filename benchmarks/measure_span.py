"""Microseconds to start and end a span of one's own, inside a trace: empty, with inputs and outputs, of a function."""

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
# A kilobyte each.
_INPUTS = {"messages": [{"role": "user", "content": "what does it cost, and since when? " * 7} for _ in range(4)]}
_OUTPUTS = {"choices": [{"message": {"role": "assistant", "content": "it depends on the day. " * 44}}]}


def _microseconds(work: Callable[[], object], flush: Callable[[], object]) -> float:
    took = []
    for _ in range(_BURSTS):
        began = time.perf_counter()
        for _ in range(_SPANS):
            work()
        took.append((time.perf_counter() - began) / _SPANS * 1e6)
        flush()
    return statistics.median(took)


def answer(question: str, documents: list[str], temperature: float = 0.0) -> str:  # noqa: ARG001
    """Be decorated."""
    return question


def main() -> None:
    """Measure spans as `with` blocks, empty and filled, decorated functions, and for autolog spans without a block."""
    peer = PEERS[sys.argv[1]]
    flush = peer.set_up(Path.cwd()).flush
    open_span, fill = peer.open_span(), peer.fill

    def block() -> None:
        with open_span():
            pass

    def filled() -> None:
        with open_span() as span:
            fill(span, _INPUTS, _OUTPUTS)

    def call(function: Callable[..., object]) -> Callable[[], object]:
        documents = ["a document that was found"]
        return lambda: function("what does it cost?", documents)

    with open_span():
        found = {"block": _microseconds(block, flush)}
        if fill is not None:
            found["filled"] = _microseconds(filled, flush)
        if peer.decorate is not None:
            plain = _microseconds(call(answer), flush)
            found["decorated"] = _microseconds(call(peer.decorate()(answer)), flush) - plain
        if sys.argv[1] in ("autolog", "off"):
            found["plain"] = _microseconds(lambda: open_span().end(), flush)  # type: ignore[attr-defined]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
