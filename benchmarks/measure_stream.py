"""What tracing adds to each chunk of a streamed chat."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import traffic
from patches import Patches
from peers import PEERS

_CHUNKS = 2_000
_PAIRS = 6


def _microseconds_a_chunk(client: Any) -> float:
    messages = [{"role": "user", "content": "Tell me."}]
    began = time.perf_counter()
    for _ in client.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True):
        pass
    return (time.perf_counter() - began) / _CHUNKS * 1e6


def main() -> None:
    """Read streams with tracing and without, one right after the other."""
    client = traffic.client(_CHUNKS)
    _microseconds_a_chunk(client)
    patches = Patches()
    flush = PEERS[sys.argv[1]].set_up(Path.cwd())
    patches.find()
    _microseconds_a_chunk(client)
    bare, more = [], []
    for number in range(_PAIRS):
        took = {}
        for is_on in (True, False) if number % 2 else (False, True):
            flush()
            (patches.put_on if is_on else patches.take_off)()
            took[is_on] = _microseconds_a_chunk(client)
        bare.append(took[False])
        more.append(took[True] - took[False])
    patches.put_on()
    flush()
    print(json.dumps({"bare": statistics.median(bare), "extra": statistics.median(more)}))


if __name__ == "__main__":
    main()
