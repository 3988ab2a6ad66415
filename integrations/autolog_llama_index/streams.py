"""Follow what a step returns before it has done its work: a generator that works when the program reads from it.

LlamaIndex tells of the end of a model's stream by events. Of the end of a response it tells nothing, so the generator in
it is replaced by one that passes on everything that is done to it: items, `send`, `throw`, `close` and exceptions.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from autolog import Span
from autolog.guard import guarded
from autolog.instrumentation import generators
from autolog_llama_index.step import Step

_GENERATORS = (GeneratorType, AsyncGeneratorType)
Close = Callable[["Stream", "BaseException | None"], None]


class Stream:
    """What is still to come of one step or several, the innermost first. `close` is told when it is over, once."""

    def __init__(self, generator: Any, span: Span, close: Close) -> None:
        self.steps: list[Step] = []
        self.answer: Any = None
        """Of a model: the last piece of its answer."""
        self.said: str | None = None
        """What a model said, whose answer this is or passes on."""
        self.is_followed = False
        """Whether the generator is one of ours, which tells its end."""
        self._is_over = False
        self._items: list[Any] = []
        self._close = close
        self._release = generators.adopt(generator, span)
        self._finalizer = self._watch(generator)

    def _watch(self, generator: Any) -> Any:
        # What nobody can read any more is over.
        finalizer = weakref.finalize(generator, self.leave)
        finalizer.atexit = False
        return finalizer

    def follow(self, response: Any) -> Any:
        """Put a generator that tells its end into a response in place of its own, and return it."""
        own = response.response_gen
        followed = self._follow(own) if type(own) is GeneratorType else self._afollow(own)
        self._finalizer.detach()
        self._finalizer = self._watch(followed)
        self.is_followed = True
        response.response_gen = followed
        return followed

    def leave(self) -> None:
        """Note that the program reads no further."""
        self.finish(GeneratorExit())

    def finish(self, error: BaseException | None = None) -> None:
        """Note the end."""
        if self._is_over:
            return
        self._is_over = True
        self._finalizer.detach()
        self._release()
        with guarded:
            self._close(self, error)

    def whole(self) -> Any:
        """Return all that was read: its pieces put together, or the last one where each has those before it."""
        items = self._items
        if not items:
            return self.said
        return "".join(items) if all(type(item) is str for item in items) else items[-1]

    def _follow(self, own: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        # As `yield from` would, which shows nobody the items.
        items = self._items
        try:
            item = next(own)
            while True:
                items.append(item)
                try:
                    sent = yield item
                except GeneratorExit:
                    own.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - the program's, thrown in
                    item = own.throw(error)
                else:
                    item = own.send(sent)
        except StopIteration as end:
            self.finish()
            return end.value
        except BaseException as error:
            self.finish(error)
            raise

    async def _afollow(self, own: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
        items = self._items
        try:
            item = await own.__anext__()
            while True:
                items.append(item)
                try:
                    sent = yield item
                except GeneratorExit:
                    await own.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - the program's, thrown in
                    item = await own.athrow(error)
                else:
                    item = await own.asend(sent)
        except StopAsyncIteration:
            self.finish()
        except BaseException as error:
            self.finish(error)
            raise


def generator_of(result: Any) -> Any:
    """Return the generator that is the result of a step, or that is in it; `None` where there is none."""
    if type(result) in _GENERATORS:
        return result
    if type(result).__name__ in ("StreamingResponse", "AsyncStreamingResponse"):
        own = getattr(result, "response_gen", None)
        return own if type(own) in _GENERATORS else None
    return None
