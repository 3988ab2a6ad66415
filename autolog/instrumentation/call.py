"""Observe calls of other people's functions, sync and async alike, without ever breaking them.

An observer is a generator with one `yield`: above it is before the call, below it after. The yield gives the
call's result, or raises its exception. An observer that returns before its yield is not interested in the call.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

from autolog.guard import guarded
from autolog.model.span import Span, SpanType
from autolog.tracer import Tracer

Observer = Generator[None, Any, None]


class Call:
    """One call of an observed function. An observer may replace `args` and `kwargs`, never change them in place."""

    __slots__ = ("_observer", "_span", "args", "instance", "kwargs", "options", "tracer")

    def __init__(
        self, tracer: Tracer, options: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.tracer = tracer
        self.options = options
        """The integration, with the options that it was turned on with."""
        self.instance = instance
        self.args = args
        self.kwargs = kwargs
        self._observer: Observer | None = None
        self._span: Span | None = None

    def start_span(self, name: str, span_type: SpanType = SpanType.UNKNOWN, **details: Any) -> Span:
        """Start the span of this call, see `Tracer.start_span`. Should the observer fail, the span ends all the same."""
        self._span = self.tracer.start_span(name, span_type, **details)
        return self._span

    def begin(self, observer: Callable[[Call], Observer]) -> bool:
        """Run the observer up to its yield; return whether it is interested."""
        with guarded:
            generator = observer(self)
            for _ in generator:
                self._observer = generator
                return True
            return False
        self._end()
        return False

    def finish(self, result: Any) -> None:
        """Tell the observer what the call returned."""
        with guarded:
            with suppress(StopIteration):
                self._observer.send(result)  # type: ignore[union-attr]
            return
        self._end()

    def fail(self, error: BaseException) -> None:
        """Tell the observer what the call raised; the exception itself is left as it is."""
        traceback, context = error.__traceback__, error.__context__
        with guarded:
            self._throw(error)
        if self._span is not None and self._span.is_recording():
            self._end()
        # The observer's frames are none of the program's business.
        error.__traceback__, error.__context__ = traceback, context

    def _throw(self, error: BaseException) -> None:
        try:
            self._observer.throw(error)  # type: ignore[union-attr]
        except StopIteration:
            pass
        except BaseException as raised:
            if raised is not error:
                raise

    def _end(self) -> None:
        with guarded:
            if self._span is not None:
                self._span.end()


class Patch:
    """One observed function: our wrapper in place of the original, and the way back."""

    def __init__(
        self,
        parent: Any,
        attribute: str,
        original: Any,
        observer: Callable[[Call], Observer],
        tracer: Tracer,
        options: Any,
    ) -> None:
        self.active = True
        self.tracer = tracer
        self.options = options
        self._place = parent, attribute
        self._original = original
        self._wrapper = observe(observer, self)(original)
        setattr(parent, attribute, self._wrapper)

    def remove(self) -> None:
        """Put the original back, or, where another library patched on top of us since, only fall silent.

        In that case the original comes back by itself once that library has removed its patch.
        """
        self.active = False
        self.restore()

    def restore(self) -> bool:
        """Put the original back if nobody else's patch lies on ours; return whether the place is clean of us."""
        parent, attribute = self._place
        if vars(parent).get(attribute) is self._wrapper:
            setattr(parent, attribute, self._original)
            return True
        return not self._is_below(vars(parent).get(attribute))

    def _is_below(self, function: Any) -> bool:
        seen: set[int] = set()
        while function is not None and id(function) not in seen:
            if function is self._wrapper:
                return True
            seen.add(id(function))
            function = getattr(function, "__wrapped__", None)
        return False


def observe(observer: Callable[[Call], Observer], patch: Patch) -> Callable[[Any], Any]:
    """Return a decorator that shows each call to `observer`. The two drivers below are all that differs."""

    def run(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        call = Call(patch.tracer, patch.options, instance, args, kwargs)
        if not call.begin(observer):
            return wrapped(*args, **kwargs)
        try:
            result = wrapped(*call.args, **call.kwargs)
        except BaseException as error:
            call.fail(error)
            raise
        call.finish(result)
        return result

    async def run_async(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        call = Call(patch.tracer, patch.options, instance, args, kwargs)
        if not call.begin(observer):
            return await wrapped(*args, **kwargs)
        try:
            result = await wrapped(*call.args, **call.kwargs)
        except BaseException as error:
            call.fail(error)
            raise
        call.finish(result)
        return result

    def decorate(function: Any) -> Any:
        import wrapt  # imports asyncio and more, which `import autolog` does without

        # Some libraries hide `async def` behind a plain decorator.
        driver = run_async if inspect.iscoroutinefunction(inspect.unwrap(function)) else run

        def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
            if patch.active and patch.tracer.enabled:
                return driver(wrapped, instance, args, kwargs)
            if not patch.active:
                patch.restore()
            return wrapped(*args, **kwargs)

        return wrapt.FunctionWrapper(function, wrapper)

    return decorate
