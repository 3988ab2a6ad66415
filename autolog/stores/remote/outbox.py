"""What is on its way to the server: on disk first, then sent in order by a thread, and forgotten once it has arrived."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autolog.context import suppress
from autolog.counters import Sending
from autolog.errors import AutologError, StoreError
from autolog.fork import call_in_child
from autolog.guard import guarded
from autolog.stores.remote.connection import Away
from autolog.stores.spool import Spool, SpoolFull, Waiting

logger = logging.getLogger("autolog")

_SHORTEST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_LONGEST_WAIT = 600.0
"""Seconds: a server that wants to be left alone for longer is asked again all the same."""
_LONGEST_JOIN = 1.0
_IDLE = 2.0
"""Seconds after which the thread ends when there is nothing to send."""
_LOOK_FOR_LEFT_BEHIND_AFTER = 30.0
_MOST_BROKEN = 5
"""Attempts at a body over which the server fails inside itself each time: those behind it must not wait for ever."""

# Not the one that programs seed.
_random = random.Random()

Send = Callable[[bytes, "float | None"], None]
"""Sends a body within some seconds; raises `Away` where another attempt may go well, another error where none will."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A body as it is sent, and how many spans it has."""

    data: bytes
    spans: int


class Outbox:
    """Takes bodies from one thread at a time, and sends them in their order.

    Without a `spool`, and where that can't be written, a body is sent at once or refused.
    """

    def __init__(self, place: str, send: Send, spool: Spool | None) -> None:
        self._place = place
        self._send = send
        self._spool = spool
        self._errors = self._refused = 0
        self._lost: set[str] = set()
        self.last_error: str | None = None
        self._reset()
        call_in_child(self._begin_anew)

    def _reset(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pause = 0.0
        self._not_before = 0.0
        self._broken = 0
        self._looked = float("-inf")
        self._is_failing = False

    def _begin_anew(self) -> None:
        """In the child of a fork: nothing waits. The parent sends what it had."""
        if self._spool is not None:
            self._spool.let_go()
        self._errors = self._refused = 0
        self._reset()

    # --- taking ----------------------------------------------------------------------------------

    def put(self, bodies: Sequence[Packed]) -> None:
        """Take bodies, which are safe then; raise `StoreError` where they could be neither kept nor sent."""
        if self._spool is None:
            self._send_at_once(bodies, "")
            return
        try:
            self._spool.check_room(sum(len(body.data) for body in bodies))
            for body in bodies:
                self._await(self._spool.put(body.data, body.spans))
        except SpoolFull as error:
            self._send_at_once(bodies, f" {error} (AUTOLOG_SPOOL_BYTES).")
        except OSError as error:
            self._send_at_once(bodies, f" What waits can't be kept on disk ({error}); AUTOLOG_SPOOL says where.")

    def _await(self, waiting: Waiting) -> None:
        with self._changed:
            self._waiting.append(waiting)
            self._start()
            self._changed.notify_all()

    def _send_at_once(self, bodies: Sequence[Packed], why: str) -> None:
        """Send bodies behind those that wait; raise `StoreError` where that does not go, to be called again."""
        with self._sending:
            if not self._drain(time.monotonic() + _LONGEST_PAUSE):
                raise StoreError(f"{self.last_error or self._place + ' is slow.'}{why}")
            try:
                for body in bodies:
                    self._deliver(body.data, body.spans, None)
            except Away as error:
                raise StoreError(f"{error}{why}") from error

    def _start(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="autolog-remote", daemon=True)
            with contextlib.suppress(RuntimeError):  # the interpreter is shutting down: `flush` sends what it can
                self._thread = thread
                thread.start()
                return
            self._thread = None

    # --- sending ---------------------------------------------------------------------------------

    def _work(self) -> None:
        with suppress():
            while self._is_wanted():
                with guarded, self._sending:
                    if self._drain(None):
                        self._send_left_behind(None)

    def _is_wanted(self) -> bool:
        """Wait until there is something to send and it may be sent; return whether to go on."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_over() or self._waiting, timeout=_IDLE):
                self._thread = None
                return False
            pause = max(self._pause * _random.uniform(0.8, 1.2), self._not_before - time.monotonic())
            if self._is_failing:
                self._changed.wait_for(lambda: self._is_over() or not self._is_failing, timeout=max(pause, 0.0))
            return not self._is_over()

    def _is_over(self) -> bool:
        """Whether this thread is to end: another one is the outbox's, or none."""
        return self._thread is not threading.current_thread()

    def _is_time_over(self, deadline: float | None) -> bool:
        return self._is_over() if deadline is None else time.monotonic() >= deadline

    def _drain(self, deadline: float | None) -> bool:
        """Send what waits, until a time, or for a thread of ours until it is to end; return whether all of it went.

        To be called by whoever holds `_sending`.
        """
        if self._not_before > time.monotonic():
            return False
        while self._waiting:
            if self._is_time_over(deadline):
                return False
            waiting = self._waiting[0]
            try:
                self._deliver_kept(waiting, deadline, is_own=True)
            except Away:
                return False
            with self._changed:
                if self._waiting and self._waiting[0] is waiting:
                    self._waiting.popleft()
                self._changed.notify_all()
        return True

    def _deliver_kept(self, waiting: Waiting, deadline: float | None, *, is_own: bool) -> None:
        try:
            body = waiting.read()
        except OSError as error:
            self._drop(waiting.spans, f"{waiting.path} can't be read ({error}).", is_own=is_own)
            return
        self._deliver(body, waiting.spans, deadline, is_own=is_own)
        waiting.remove()

    def _deliver(self, body: bytes, spans: int, deadline: float | None, *, is_own: bool = True) -> None:
        """Send a body and count what becomes of it; raise `Away` where it is to be sent again."""
        try:
            self._send(body, None if deadline is None else deadline - time.monotonic())
        except AutologError as error:
            self._broken += isinstance(error, Away) and error.is_broken
            if isinstance(error, Away) and self._broken < _MOST_BROKEN:
                self._failed(error)
                raise
            self._errors += 1
            self.last_error = str(error)
            self._drop(spans, str(error), is_own=is_own)
        self._pause = self._not_before = 0.0
        self._broken = 0
        if self._is_failing:
            self._is_failing = False
            logger.warning("%s can be reached again", self._place)

    def _failed(self, error: Away) -> None:
        self._errors += 1
        self.last_error = str(error)
        self._pause = min(max(self._pause * 2, _SHORTEST_PAUSE), _LONGEST_PAUSE)
        self._not_before = time.monotonic() + min(error.wait or 0.0, _LONGEST_WAIT)
        if not self._is_failing:
            self._is_failing = True
            kept = "" if self._spool is None else f" Spans wait in {self._spool.folder} and are sent later."
            logger.warning("traces can't be sent: %s%s Your program goes on.", error, kept)

    def _drop(self, spans: int, why: str, *, is_own: bool) -> None:
        # Those of a process that has ended are not among the spans of this one, of which `stats()` tells.
        self._refused += spans if is_own else 0
        if why not in self._lost or not is_own:
            self._lost.add(why)
            logger.warning("%d spans are lost: %s autolog.stats() counts those of this process.", spans, why)

    def _send_left_behind(self, deadline: float | None) -> None:
        """Send what processes left that ended while the server was away."""
        if self._spool is None or time.monotonic() - self._looked < _LOOK_FOR_LEFT_BEHIND_AFTER:
            return
        self._looked = time.monotonic()
        with contextlib.suppress(Away, OSError):
            for waiting in self._spool.left_behind():
                if self._waiting or self._is_time_over(deadline):  # what is new goes first
                    self._looked = float("-inf")
                    return
                self._deliver_kept(waiting, deadline, is_own=False)

    # --- waiting and ending ----------------------------------------------------------------------

    def flush(self, seconds: float, *, left_behind: bool = False) -> bool:
        """Send what waits, without pauses; return whether it all arrived, or was refused, in time.

        With `left_behind`, what other processes left is sent too, as far as that goes.
        """
        if not self._waiting and not left_behind:
            return True
        deadline = time.monotonic() + seconds
        if not self._sending.acquire(timeout=max(seconds, 0.0)):
            return not self._waiting
        try:
            with suppress():
                if self._drain(deadline) and left_behind:
                    self._send_left_behind(deadline)
        finally:
            self._sending.release()
        return not self._waiting

    @property
    def waiting(self) -> int:
        """Spans that this process keeps on disk."""
        return sum(waiting.spans for waiting in list(self._waiting))

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt failed."""
        return self._is_failing

    def counted(self) -> Sending:
        """Return the counters as they are now."""
        return Sending(self.waiting, self._refused, self._errors, self.last_error)

    def close(self) -> None:
        """End the thread and leave what waits to whoever comes next; a later `put` begins anew."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_LONGEST_JOIN)
        if self._spool is not None:
            self._spool.close()
        self._waiting.clear()
