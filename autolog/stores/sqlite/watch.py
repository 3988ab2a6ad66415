"""Whether anything in a file changed: SQLite tells a connection of all that others do, in this process or in another one."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from contextlib import suppress
from pathlib import Path

from autolog.fork import call_in_child


class Watch:
    """A connection of its own that is only asked whether others have written. Safe to use from any thread."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._closer: weakref.finalize[[], Watch] | None = None
        self._left_behind: list[sqlite3.Connection] = []
        self._file: tuple[int, int] | None = None
        self._seen: int | None = None
        self._version = 0
        call_in_child(self._leave_behind)

    def version(self) -> int:
        """Return a number that is another one when the file was written since it was asked for last."""
        assert self._path is not None
        with self._lock:
            told = self._path.stat()
            file = (told.st_dev, told.st_ino)
            if file != self._file:  # another one was put in its place
                self._close()
                self._file = file
            connection = self._connection or self._open()
            (written,) = connection.execute("PRAGMA data_version").fetchone()
            if written != self._seen:
                self._seen = written
                self._version += 1
            return self._version

    def _open(self) -> sqlite3.Connection:
        assert self._path is not None
        found = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        self._connection = found
        self._closer = weakref.finalize(self, found.close)
        self._closer.atexit = False
        return found

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._closer is not None:
            with suppress(sqlite3.Error):
                self._closer()
        self._connection = self._closer = self._seen = None

    def _leave_behind(self) -> None:
        """In the child of a fork: let go of the parent's connection without closing it, as SQLite asks."""
        self._lock = threading.Lock()
        if self._connection is not None:
            self._left_behind.append(self._connection)
        if self._closer is not None:
            self._closer.detach()
        self._connection = self._closer = self._seen = None
