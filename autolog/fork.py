"""Keep still while the process forks: a child must not inherit a lock that is held, an import or a write half done."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from types import TracebackType

_LONGEST_WAIT = 5.0


class ForkLock:
    """A reentrant lock that nobody holds at the moment of a fork, and that is a new one in the child.

    Of several, those of lower `rank` are taken first, as their holders take them.
    """

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self._held_for_fork = False
        self._renew()
        _locks.add(self)

    def _renew(self) -> None:
        self._lock = threading.RLock()
        # Locks are not fair: without the gate, a busy thread would take this one again before a fork gets it.
        self._gate = threading.Lock()
        self._owner: int | None = None
        self._depth = 0

    def acquire(self, timeout: float = -1) -> bool:
        """Take it; return whether that worked within `timeout` seconds."""
        if self._owner != threading.get_ident():
            if not self._gate.acquire(timeout=timeout):
                return False
            self._gate.release()
        if not self._lock.acquire(timeout=timeout):
            return False
        self._owner = threading.get_ident()
        self._depth += 1
        return True

    def release(self) -> None:
        """Give it back."""
        self._depth -= 1
        if not self._depth:
            self._owner = None
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def before_fork(self) -> None:
        """Wait until nobody holds it, and keep it."""
        if self._gate.acquire(timeout=_LONGEST_WAIT):
            self._held_for_fork = self._lock.acquire(timeout=_LONGEST_WAIT)
            if not self._held_for_fork:
                self._gate.release()

    def after_fork_in_parent(self) -> None:
        """Let others have it again."""
        if self._held_for_fork:
            self._held_for_fork = False
            self._lock.release()
            self._gate.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: who held the old one is not here."""
        self._renew()


_locks: weakref.WeakSet[ForkLock] = weakref.WeakSet()
_in_child: list[weakref.WeakMethod[Callable[[], None]]] = []


def call_in_child(method: Callable[[], None]) -> None:
    """Call a bound method in the child of each fork, for as long as its object lives."""
    _in_child.append(weakref.WeakMethod(method))


def _ordered() -> list[ForkLock]:
    return sorted(_locks, key=lambda lock: lock.rank)


def _before() -> None:
    for lock in _ordered():
        lock.before_fork()


def _after_in_parent() -> None:
    for lock in reversed(_ordered()):
        lock.after_fork_in_parent()


def _after_in_child() -> None:
    for lock in _ordered():
        lock.after_fork_in_child()
    for reference in list(_in_child):
        method = reference()
        if method is None:
            _in_child.remove(reference)
        else:
            method()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
