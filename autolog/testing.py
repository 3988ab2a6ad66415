"""For tests of code that is traced: a client of one's own, and what it recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from autolog.client import Client, set_default_client
from autolog.instrumentation.registry import registry
from autolog.model.span import Span
from autolog.model.trace import Trace
from autolog.settings import from_environment


@contextmanager
def fresh_client(store: str = "memory:", **settings: Any) -> Iterator[Client]:
    """Make a new client the shared one inside the block; afterwards nothing is traced any more."""
    client = Client(store, from_environment().replace(**settings))
    previous = set_default_client(client)
    try:
        yield client
    finally:
        for name in registry.names():
            registry.turn_off(name)
        set_default_client(previous)
        client.close()


def traces(client: Client) -> list[Trace]:
    """Return every trace that the client's store has, oldest first, as a reader sees it."""
    found: Any = client.search_traces(max_results=1_000_000, return_type="list")
    return list(reversed(found))


def spans(client: Client) -> list[Span]:
    """Return every span that the client's store has, trace by trace, in tree order."""
    return [span for trace in traces(client) for span in trace.spans]
