"""Connections that only read: a search that takes long holds up neither the writer nor other searches."""

from __future__ import annotations

import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autolog.errors import InvalidQuery
from autolog.fork import call_in_child

if TYPE_CHECKING:
    from autolog.stores.sqlite.functions import Functions

LONGEST_SECONDS = 30.0
_STEPS = 20_000
"""Steps of SQLite's machine between two looks at the clock: about a millisecond."""
_CACHE_KIB = 16_384


class Reader(NamedTuple):
    """A connection, and our functions on it."""

    connection: sqlite3.Connection
    functions: Functions


class Readers:
    """Lends connections to a file, each to one search at a time, and keeps them for the next."""

    def __init__(self) -> None:
        self._idle: list[Reader] = []
        self._lent: list[Reader] = []
        self._left_behind: list[Reader] = []
        self._closers: dict[sqlite3.Connection, weakref.finalize[[], Readers]] = {}
        self._shared: Reader | None = None
        self._closed = 0
        call_in_child(self._leave_behind)

    @contextmanager
    def lend(self, path: Path) -> Iterator[Reader]:
        """Lend a connection to the file at `path` inside the block; one on which something fails is not used again."""
        try:
            reader = self._idle.pop()
        except IndexError:
            reader = _open(path)
            closer = weakref.finalize(self, reader.connection.close)
            closer.atexit = False  # threads may read still
            self._closers[reader.connection] = closer
        self._lent.append(reader)
        closed = self._closed
        try:
            yield reader
        except BaseException:
            self._close(reader)
            raise
        else:
            if closed == self._closed:
                self._idle.append(reader)
            else:
                self._close(reader)
        finally:
            self._lent.remove(reader)

    def reader_of(self, connection: sqlite3.Connection) -> Reader:
        """Return a connection that others use too, as a reader."""
        from autolog.stores.sqlite.functions import Functions

        if self._shared is None or self._shared.connection is not connection:
            self._shared = Reader(connection, Functions(connection))
        return self._shared

    def close(self) -> None:
        """Let go of the connections that nobody uses, and of each other one once it is given back."""
        self._closed += 1
        while self._idle:
            self._close(self._idle.pop())

    def _close(self, reader: Reader) -> None:
        closer = self._closers.pop(reader.connection, None)
        if closer is not None:  # else it is the parent's of a fork
            closer()

    def _leave_behind(self) -> None:
        """In the child of a fork: let go of the parent's connections without closing them, as SQLite asks."""
        self._left_behind += [*self._idle, *self._lent]
        self._idle, self._lent = [], []
        for closer in self._closers.values():
            closer.detach()
        self._closers = {}


def _open(path: Path) -> Reader:
    from autolog.stores.sqlite.functions import Functions

    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return Reader(connection, Functions(connection))


@contextmanager
def of_one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """Have all that is read in the block be as it was at one moment, whatever is written meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


@contextmanager
def interrupted(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """End quietly what runs on the connection for longer."""
    deadline = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
    finally:
        connection.set_progress_handler(None, 0)


@contextmanager
def limited(connection: sqlite3.Connection) -> Iterator[None]:
    """Break off what runs on the connection for longer; raise `InvalidQuery` that says how to make it faster."""
    deadline = time.monotonic() + LONGEST_SECONDS
    is_late: Callable[[], bool] = lambda: time.monotonic() > deadline  # noqa: E731
    connection.set_progress_handler(is_late, _STEPS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        raise InvalidQuery(
            f"the search took longer than {LONGEST_SECONDS:.0f} s and was broken off; narrow it by time, such as: … AND "
            "timestamp > now() - 1d, or by a field that has an index (docs/search.md lists them)"
        ) from None
    finally:
        connection.set_progress_handler(None, 0)
