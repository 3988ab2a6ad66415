"""What tracing adds to one chat call: the caller's time, and CPU time with whatever runs in the background."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

import traffic
from tracing import Tracing

# By the size of the request: messages of 2 KB, calls in a block, and blocks with and without tracing.
SIZES = {"10 KB": (5, 200, 6), "1 MB": (500, 8, 6), "10 MB": (5_000, 2, 4)}


def _call(messages: int) -> partial[Any]:
    create = traffic.client().chat.completions.create
    return partial(create, model="gpt-4o-mini", messages=traffic.conversation(messages))


def main() -> None:
    """Set the peer up, and measure each size."""
    _call(1)()
    tracing = Tracing(sys.argv[1], "openai")
    found: dict[str, Any] = {"set_up": tracing.set_up_ms}
    for size, (messages, calls, pairs) in SIZES.items():
        block = tracing.calls(_call(messages), calls)
        block()
        found[size] = tracing.compare(block, pairs)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
