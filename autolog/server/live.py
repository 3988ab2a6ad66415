"""Tell of changes as they happen: one look at the store for everybody who listens, and no thread for any of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from anyio import CapacityLimiter, to_thread

from autolog.errors import StoreError
from autolog.ids import now_ns

logger = logging.getLogger("autolog")

INTERVAL = 0.3
"""Seconds between two looks at the store."""
HEARTBEAT = 15.0
"""Seconds after which something is sent all the same, so that nobody on the way closes the connection."""


class Changes:
    """The changes of a store, for any number of listeners in one event loop."""

    def __init__(self, version: Callable[[], int]) -> None:
        self._version = version
        self._begun = now_ns()
        self._known: int | None = None
        self._listeners: set[asyncio.Event] = set()
        self._watching: asyncio.Task[None] | None = None
        self._is_over = False

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    async def events(self, last_id: str | None = None) -> AsyncIterator[bytes]:
        """Yield server-sent events until the server ends; `last_id` is of the last one that was received."""
        news = asyncio.Event()
        self._listeners.add(news)
        try:
            if self._watching is None:
                self._watching = asyncio.create_task(self._watch())
                self._known = await self._look()
            yield b"retry: 2000\n\n"
            if last_id != self._id():  # what was read before may be out of date by now
                yield self._event()
            while not self._is_over:
                try:
                    await asyncio.wait_for(news.wait(), HEARTBEAT)
                except asyncio.TimeoutError:
                    yield b": still here\n\n"
                    continue
                news.clear()
                if not self._is_over:
                    yield self._event()
        finally:
            self._listeners.discard(news)
            if not self._listeners:
                self._stop()

    def close(self) -> None:
        """End all streams, and begin no more."""
        self._is_over = True
        self._stop()
        for news in self._listeners:
            news.set()

    def _stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            found = await self._look()
            if found != self._known:
                self._known = found
                for news in self._listeners:
                    news.set()

    async def _look(self) -> int | None:
        with suppress(StoreError):  # locked, or damaged: whoever reads is told
            return await to_thread.run_sync(self._version, limiter=_limiter())
        return self._known

    def _id(self) -> str:
        return f"{self._begun:x}-{self._known}"

    def _event(self) -> bytes:
        return b'id: %b\nevent: change\ndata: {"version": %d}\n\n' % (self._id().encode(), self._known or 0)


def _limiter() -> CapacityLimiter:
    # Not of those that requests wait for.
    return CapacityLimiter(1)
