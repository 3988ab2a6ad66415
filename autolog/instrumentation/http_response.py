"""Watch an HTTP response as the program reads it: its bytes, its end, and the error that ended it.

Works on responses in the manner of httpx (`iter_bytes`, `aiter_bytes`, `close`, `aclose`), whichever library they
come from. Nothing is read that the program does not read, and no object above the response is touched: a stream
of an SDK keeps its type, its iterator and its laziness.
"""

from __future__ import annotations

import sys
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from autolog.guard import guarded
from autolog.ids import now_ns
from autolog.model.span import Span, SpanEvent, exception_event

_HOOKED = ("iter_bytes", "aiter_bytes", "close", "aclose")
_TIMED_PIECES = 256
_TAIL = 1_000_000
Filter = Callable[[bytes], bytes]


class ResponseWatch:
    """What was seen of one response. When it is over, `on_end` is told, once, and the span ends.

    `readers` are the SDK's modules that read streams: an exception with a frame of theirs came from reading, any
    other from the program's own code.
    `keep` is how many bytes are kept to put the answer together; of what comes after them only the last megabyte is.
    `edit` may change what the program reads: it is given each piece, and `b""` at the end.
    """

    def __init__(
        self,
        response: Any,
        span: Span,
        on_end: Callable[[ResponseWatch], None],
        *,
        readers: tuple[str, ...],
        describe: Callable[[BaseException], SpanEvent] = exception_event,
        keep: int,
        edit: Filter | None = None,
    ) -> None:
        self.pieces: list[bytes] = []
        self.times_ns: list[int] = []
        """When each of the first pieces arrived, in nanoseconds since the epoch."""
        self.last_ns: int | None = None
        self.size = 0
        self.dropped = 0
        self.exhausted = False
        # Described rather than kept: an exception would keep alive all that its frames hold, the response with it.
        self.failure: SpanEvent | None = None
        """What went wrong while the response was read."""
        self.consumer_error: str | None = None
        """The type of what the program raised while it held the response open."""
        self.is_open = True
        self._keep = keep
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._edit = edit
        self._readers = readers
        self._describe = describe
        self._span = span
        self._on_end = on_end
        self._is_reading = False
        self._handled = id(sys.exc_info()[1])
        self._response = weakref.ref(response)
        self._finalizer = weakref.finalize(response, self._abandon)
        self._finalizer.atexit = False
        self._hook(response)

    @property
    def body(self) -> bytes:
        """The bytes that were kept, with a blank line where some were dropped."""
        gap = [b"\n\n"] if self.dropped else []
        return b"".join([*self.pieces, *gap, *self._tail])

    def finish(self) -> None:
        """Note the end, once, and give the response its own methods back."""
        if not self.is_open:
            return
        self.is_open = False
        self._finalizer.detach()
        response = self._response()
        if response is not None:
            for name in _HOOKED:
                vars(response).pop(name, None)
        with guarded:
            if self.failure is not None:
                self._span.fail_with(self.failure)
            self._on_end(self)
        with guarded:
            was_left = self.last_ns is not None and not self.exhausted and self.failure is None
            self._span.end(self.last_ns if was_left else None)

    def _abandon(self) -> None:
        self.finish()

    def _hook(self, response: Any) -> None:
        read, aread, close_, aclose_ = (getattr(response, name) for name in _HOOKED)

        def iter_bytes(*args: Any, **kwargs: Any) -> Iterator[bytes]:
            return self._read(read(*args, **kwargs))

        def aiter_bytes(*args: Any, **kwargs: Any) -> AsyncIterator[bytes]:
            return self._aread(aread(*args, **kwargs))

        def close() -> None:
            raised = sys.exc_info()[1]
            try:
                close_()
            finally:
                self._closed(raised)

        async def aclose() -> None:
            raised = sys.exc_info()[1]
            try:
                await aclose_()
            finally:
                self._closed(raised)

        vars(response).update(iter_bytes=iter_bytes, aiter_bytes=aiter_bytes, close=close, aclose=aclose)

    def _read(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        self._begin_reading()
        try:
            for piece in pieces:
                yield self._passed_on(piece)
                self._begin_reading()
        except BaseException as error:
            self._note(error)
            raise
        self._is_reading = False
        self.exhausted = True
        if self._edit is not None:
            yield self._edited(b"")

    async def _aread(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._begin_reading()
        try:
            async for piece in pieces:
                yield self._passed_on(piece)
                self._begin_reading()
        except BaseException as error:
            self._note(error)
            raise
        self._is_reading = False
        self.exhausted = True
        if self._edit is not None:
            yield self._edited(b"")

    def _begin_reading(self) -> None:
        self._is_reading = True
        self._handled = id(sys.exc_info()[1])

    def _passed_on(self, piece: bytes) -> bytes:
        self._is_reading = False
        with guarded:
            self.saw(piece)
        return piece if self._edit is None else self._edited(piece)

    def _note(self, error: BaseException) -> None:
        # The transport failed. The end is noted when the response is closed, which the SDK does while its own
        # exception, the one that the program sees, is on its way.
        with guarded:
            if self._is_reading:
                self.failure = self._describe(error)
        self._is_reading = False

    def saw(self, piece: bytes) -> None:
        """Note a piece of the body that arrived now."""
        self.last_ns = now_ns()
        self.size += len(piece)
        if len(self.times_ns) < _TIMED_PIECES:
            self.times_ns.append(self.last_ns)
        if self.size <= self._keep:
            self.pieces.append(piece)
        else:
            self._overflow(piece)

    def _overflow(self, piece: bytes) -> None:
        self._tail.append(piece)
        self._tail_size += len(piece)
        while self._tail_size > min(_TAIL, self._keep) and len(self._tail) > 1:
            left = len(self._tail.popleft())
            self._tail_size -= left
            self.dropped += left

    def _edited(self, piece: bytes) -> bytes:
        with guarded:
            return self._edit(piece)  # type: ignore[misc]
        return piece

    def _closed(self, raised: BaseException | None) -> None:
        is_over = True
        with guarded:
            if id(raised) == self._handled or isinstance(raised, (GeneratorExit, StopIteration, StopAsyncIteration)):
                raised = None  # no failure, or one that the program was dealing with before
            if self._is_reading:
                # The transport closes by itself: at the end, or because it failed, of which more is to come.
                self.exhausted = is_over = raised is None
            elif raised is not None and (self.failure is not None or self._is_from_reading(raised)):
                self.failure = self._describe(raised)  # as the program sees it: the SDK wraps its transport's
            elif raised is not None:
                self.consumer_error = type(raised).__name__
        if is_over:
            self.finish()

    def _is_from_reading(self, error: BaseException) -> bool:
        """Whether the exception passed through the SDK's reading of this stream."""
        response = self._response()
        traceback = error.__traceback__
        while traceback is not None:
            frame = traceback.tb_frame
            if frame.f_globals.get("__name__", "").startswith(self._readers):
                stream = frame.f_locals.get("self")
                if response in (getattr(stream, "response", None), getattr(stream, "_response", None)):
                    return True
            traceback = traceback.tb_next
        return False
