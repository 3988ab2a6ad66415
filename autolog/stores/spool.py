"""What could not be sent yet, on disk: it outlives the process, and the next one sends it.

Each process has a folder of its own below the one of the address, and holds a lock on it for as long as it lives. A folder
whose lock is free was left behind, and whoever comes next takes it over. Nothing is sent by two at once, and nobody waits
for another one.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from autolog.ids import format_span_id, new_span_id
from autolog.stores.base import hide_from_git

_LOCK = "lock"
_SUFFIX = ".spans"
_DIGITS = 12
_LOOK_AGAIN_AFTER = 1.0
"""Seconds for which what other processes have on disk is taken to be the same."""
_ABANDONED_AFTER = 3_600.0
"""Seconds after which an empty folder without an owner is removed: its owner may be about to lock it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A body that waits on disk."""

    path: Path
    spans: int
    size: int

    def read(self) -> bytes:
        """Return the body; raise `OSError` where somebody removed it."""
        return self.path.read_bytes()

    def remove(self) -> None:
        """Forget it: it arrived, or never will."""
        self.path.unlink(missing_ok=True)


class SpoolFull(Exception):
    """There is no room for more; the message says how much there was."""


class Spool:
    """The bodies that wait to be sent to one address. Used by one thread at a time, but for `put`."""

    def __init__(self, root: Path, address: str, most_bytes: int) -> None:
        self.folder = root / blake2b(address.encode(), digest_size=8).hexdigest()
        self._root = root
        self._most_bytes = most_bytes
        self.begin_anew()

    def begin_anew(self) -> None:
        """In the child of a fork, or after `close`: have no folder. The parent sends what is in its own."""
        self._own: _Folder | None = None
        self._numbers = itertools.count()
        self._used, self._looked = 0, float("-inf")

    def let_go(self) -> None:
        """In the child of a fork: leave the parent's lock to the parent."""
        if self._own is not None:
            self._own.let_go()
        self.begin_anew()

    def put(self, body: bytes, spans: int) -> Waiting:
        """Keep a body, whole or not at all; raise `OSError` where the folder can't be written."""
        if self._own is not None and not self._own.path.is_dir():  # which somebody removed
            self._own.unlock()
            self._own = None
        if self._own is None:
            self._own = self._make()
        path = self._own.path / f"{next(self._numbers):0{_DIGITS}d}-{spans}{_SUFFIX}"
        hidden = path.with_suffix(".new")
        try:
            with os.fdopen(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(body)
            hidden.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                hidden.unlink()
            raise
        self._used += len(body)
        return Waiting(path, spans, len(body))

    def check_room(self, size: int) -> None:
        """Raise `SpoolFull` where there is no room for so many bytes more."""
        if self._used + size > self._most_bytes or time.monotonic() - self._looked > _LOOK_AGAIN_AFTER:
            self._used, self._looked = sum(map(_size, self.folder.glob(f"*/*{_SUFFIX}"))), time.monotonic()
        if self._used + size > self._most_bytes:
            raise SpoolFull(f"{self._used:,} bytes wait in {self.folder}, and {self._most_bytes:,} may")

    def _make(self) -> _Folder:
        for folder in (self._root, self.folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        hide_from_git(self._root.parent)
        path = self.folder / f"{os.getpid()}-{format_span_id(new_span_id())}"
        path.mkdir(mode=0o700)
        found = _Folder.locked(path, create=True)
        if found is None:
            raise OSError(f"{path} can't be locked")
        return found

    def left_behind(self) -> Iterator[Waiting]:
        """Yield what processes left that live no more, oldest first in each; a folder that is empty then is removed."""
        for path in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            if not path.is_dir() or (self._own is not None and path == self._own.path):
                continue
            folder = _Folder.locked(path)
            if folder is None:
                continue
            try:
                waiting = folder.waiting()
                yield from waiting
                folder.remove_if_empty(is_old=bool(waiting))
            finally:
                folder.unlock()

    def close(self) -> None:
        """Let go of the folder, and remove it where nothing waits in it."""
        if self._own is not None:
            self._own.remove_if_empty(is_old=True)
            self._own.unlock()
        self.begin_anew()


@dataclass(slots=True)
class _Folder:
    """The folder of one process, locked."""

    path: Path
    lock: int

    @classmethod
    def locked(cls, path: Path, *, create: bool = False) -> _Folder | None:
        """Return the folder, locked for as long as this process lives; `None` where another one has it."""
        try:
            lock = os.open(path / _LOCK, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
        except OSError:
            lock = None
        if lock is None:
            return None
        if not _take(lock):
            os.close(lock)
            return None
        return cls(path, lock)

    def waiting(self) -> list[Waiting]:
        found = []
        for path in sorted(self.path.glob(f"*{_SUFFIX}")):
            spans = path.stem.partition("-")[2]
            found.append(Waiting(path, int(spans) if spans.isdecimal() else 0, _size(path)))
        return found

    def remove_if_empty(self, *, is_old: bool) -> None:
        with contextlib.suppress(OSError):
            for hidden in self.path.glob("*.new"):  # half written when the process was killed
                hidden.unlink()
            is_old = is_old or time.time() - self.path.stat().st_mtime > _ABANDONED_AFTER
            if is_old and [path.name for path in self.path.iterdir()] == [_LOCK]:
                (self.path / _LOCK).unlink()
                self.path.rmdir()

    def unlock(self) -> None:
        with contextlib.suppress(OSError):
            _release(self.lock)
        self.let_go()

    def let_go(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.lock)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # which another process sent meanwhile
        return 0


# A lock that ends with the process, however that ends. One of `fcntl.flock` belongs to the open file, so that two stores
# of one process keep out of each other's folders too.
if sys.platform == "win32":
    import msvcrt

    def _take(lock: int) -> bool:
        try:
            msvcrt.locking(lock, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _release(lock: int) -> None:
        os.lseek(lock, 0, os.SEEK_SET)
        msvcrt.locking(lock, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _take(lock: int) -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _release(lock: int) -> None:
        fcntl.flock(lock, fcntl.LOCK_UN)
