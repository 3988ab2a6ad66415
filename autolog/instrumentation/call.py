"""Observe calls of other people's functions, sync and async alike, without ever breaking them.

An observer is a generator with one `yield`: above it is before the call, below it after. The yield gives the
call's result, or raises its exception. An observer that returns before its yield is not interested in the call.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from types import FunctionType
from typing import Any

from autolog.guard import guarded
from autolog.model.span import Span, SpanType
from autolog.tracer import Tracer

Observer = Generator[None, Any, None]
_MODEL_CALLS = frozenset({SpanType.CHAT_MODEL, SpanType.LLM, SpanType.EMBEDDING})


def only_if(
    wants: Callable[[tuple[Any, ...], Mapping[str, Any]], bool],
) -> Callable[[Callable[[Call], Observer]], Callable[[Call], Observer]]:
    """Have an observer see only those calls whose arguments `wants` says so of, where most are of no interest."""

    def mark(observer: Callable[[Call], Observer]) -> Callable[[Call], Observer]:
        observer.wants = wants  # type: ignore[attr-defined]
        return observer

    return mark


def _is_wanted(wants: Callable[..., bool], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    with guarded:
        return wants(args, kwargs)
    return False


class Call:
    """One call of an observed function. An observer may replace `args` and `kwargs`, never change them in place."""

    __slots__ = ("_observer", "_span", "args", "instance", "kwargs", "options", "tracer")

    def __init__(self, patch: Patch, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.tracer = patch.tracer
        self.options: Mapping[str, Any] = patch.options()
        """The options that the integration was turned on with."""
        if patch.is_method and args:
            self.instance, self.args = args[0], args[1:]
        else:
            self.instance, self.args = None, args
        self.kwargs = kwargs
        self._observer: Observer | None = None
        self._span: Span | None = None

    def start_span(self, name: str, span_type: SpanType = SpanType.UNKNOWN, **details: Any) -> Span:
        """Start the span of this call, see `Tracer.start_span`. Should the observer fail, the span ends all the same."""
        if span_type in _MODEL_CALLS:
            self._span = self.tracer.start_sdk_call(name, span_type, **details)
        else:
            self._span = self.tracer.start_span(name, span_type, **details)
        return self._span

    def start_step(self, name: str, span_type: SpanType, **details: Any) -> Span:
        """Start the span of this call, a step of a framework; see `Tracer.start_step`."""
        self._span = self.tracer.start_step(name, span_type, **details)
        return self._span

    @property
    def all_args(self) -> tuple[Any, ...]:
        """The positional arguments to call the function with."""
        return self.args if self.instance is None else (self.instance, *self.args)

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
    """One observed function: a plain function in place of the original, and the way back.

    A plain function, because that is what other libraries expect to find, keep and put back.
    """

    def __init__(
        self,
        parent: Any,
        attribute: str,
        observer: Callable[[Call], Observer],
        tracer: Tracer,
        options: Callable[[], Mapping[str, Any]],
    ) -> None:
        self.active = True
        self.tracer = tracer
        self.options = options
        self.is_method = inspect.isclass(parent)
        self._original = vars(parent)[attribute]
        self._place = parent, attribute
        self._observed = self._laid_over(observer)
        setattr(parent, attribute, self._observed)

    def _laid_over(self, observer: Callable[[Call], Observer]) -> Any:
        if isinstance(self._original, classmethod):  # whose `instance` is the class
            return classmethod(_observed(self._original.__func__, observer, self))
        return _observed(self._original, observer, self)

    def unbound(self, function: Any) -> Any:
        """Return what is called with the instance as its first argument."""
        # A patch by wrapt, as OpenTelemetry's are, knows the instance only where it was looked up in the class.
        is_patch = self.is_method and type(function) is not FunctionType and hasattr(function, "__get__")
        return function.__get__(None, self._place[0]) if is_patch else function

    def fits(self, parent: Any, attribute: str) -> bool:
        """Whether it lies there, on top or below other libraries' patches, or may be laid there again."""
        now = vars(parent).get(attribute)
        lies_there = any(function is self._observed for function in wrapped_by(now))
        return self._place == (parent, attribute) and (lies_there or now is self._original)

    def lay(self, tracer: Tracer) -> None:
        """Observe again."""
        self.tracer, self.active = tracer, True
        parent, attribute = self._place
        if vars(parent).get(attribute) is self._original:
            setattr(parent, attribute, self._observed)

    def remove(self) -> None:
        """Put the original back, or, where another library patched on top of us since, only fall silent.

        In that case the original comes back once that library has removed its patch and the function is called.
        """
        self.active = False
        parent, attribute = self._place
        if vars(parent).get(attribute) is self._observed:
            setattr(parent, attribute, self._original)


def wrapped_by(function: Any) -> Iterator[Any]:
    """Yield a function, what it wraps, and so on."""
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        yield function
        seen.add(id(function))
        function = getattr(function, "__wrapped__", None)


def _observed(function: Any, observer: Callable[[Call], Observer], patch: Patch) -> Any:
    """Return a function that shows each call to `observer`. The two below are all that differs."""
    wants = getattr(observer, "wants", None)
    original, function = function, patch.unbound(function)

    @functools.wraps(original)
    def run(*args: Any, **kwargs: Any) -> Any:
        if not patch.active:
            patch.remove()
            return function(*args, **kwargs)
        if wants is not None and not _is_wanted(wants, args, kwargs):
            return function(*args, **kwargs)
        call = Call(patch, args, kwargs)
        if not call.begin(observer):
            return function(*args, **kwargs)
        try:
            result = function(*call.all_args, **call.kwargs)
        except BaseException as error:
            call.fail(error)
            raise
        call.finish(result)
        return result

    @functools.wraps(original)
    async def run_async(*args: Any, **kwargs: Any) -> Any:
        if not patch.active:
            patch.remove()
            return await function(*args, **kwargs)
        if wants is not None and not _is_wanted(wants, args, kwargs):
            return await function(*args, **kwargs)
        call = Call(patch, args, kwargs)
        if not call.begin(observer):
            return await function(*args, **kwargs)
        try:
            result = await function(*call.all_args, **call.kwargs)
        except BaseException as error:
            call.fail(error)
            raise
        call.finish(result)
        return result

    # Some libraries hide `async def` behind a plain decorator.
    return run_async if inspect.iscoroutinefunction(inspect.unwrap(original)) else run
