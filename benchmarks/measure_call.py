"""What tracing adds to one chat call: the caller's time, and CPU time with whatever runs in the background."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import traffic
from tracing import Tracing

# By the size of the request: messages of 2 KB, calls in a block, and blocks with and without tracing.
SIZES = {"10 KB": (5, 200, 6), "1 MB": (500, 8, 6), "10 MB": (5_000, 2, 4)}


def _call(count: int) -> Callable[[], object]:
    client: Any = traffic.client()
    messages = traffic.conversation(count)
    # The method is looked up anew each time: one that is bound before would stay as it was then.
    return lambda: client.chat.completions.create(model="gpt-4o-mini", messages=messages)


def main() -> None:
    """Set the peer up, and measure each size."""
    _call(1)()
    tracing = Tracing(sys.argv[1], "openai")
    found: dict[str, Any] = {"set_up": tracing.set_up_ms}
    for size, (messages, calls, pairs) in SIZES.items():
        call = _call(messages)
        spans = tracing.spans(call)
        block = tracing.calls(call, calls)
        block()
        found[size] = {**tracing.compare(block, pairs), "spans": spans}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
