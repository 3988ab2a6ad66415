"""The one place where exceptions are swallowed, so that tracing never breaks the traced program."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from autolog.fork import ForkLock

logger = logging.getLogger("autolog")

T = TypeVar("T")


class Guard:
    """Log our own errors once each, count them all, and swallow them.

    `with guarded: ...` is for our code; errors of the user's code must pass outside it. The test
    suite sets `reraise`, so that a bug of ours fails a test instead of hiding in the log.
    """

    def __init__(self) -> None:
        self.reraise = False
        self.errors = 0
        # Reentrant: a finalizer may fail in a thread that is noting another error.
        self._lock = ForkLock(rank=3)
        self._seen: set[tuple[str, int]] = set()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        if self.reraise:
            return False
        if isinstance(error, RecursionError):
            self.errors += 1  # it is the program's stack that is full, and has no room for more than that
        else:
            self.note(error)
        return True

    def note(self, error: BaseException) -> None:
        """Count an error of ours, and log it unless one from the same line was logged before."""
        place = _origin(error)
        with self._lock:
            self.errors += 1
            known = place in self._seen
            self._seen.add(place)
        if not known:
            logger.warning(
                "autolog failed inside itself; your program goes on, this call may be traced incompletely. "
                "Please report it. Further errors from this place are only counted (autolog.stats()).",
                exc_info=error,
            )


def _origin(error: BaseException) -> tuple[str, int]:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return (traceback.tb_frame.f_code.co_filename, traceback.tb_lineno) if traceback else (type(error).__name__, 0)


guarded = Guard()


def attempt(function: Callable[..., T], *args: Any, default: T) -> T:
    """Call code of the user's objects (`__repr__`, `model_dump`, …), which may raise anything."""
    try:
        return function(*args)
    except Exception:  # noqa: BLE001
        return default
