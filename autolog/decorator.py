"""`@trace`: a span for each call of a function of one's own, whichever kind of function it is."""

from __future__ import annotations

import functools
import inspect
import logging
import sys
import types
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextvars import Token
from typing import TYPE_CHECKING, Any, TypeVar, overload

from opentelemetry.context import Context
from opentelemetry.trace import set_span_in_context

from autolog import semconv
from autolog.capture import json_size, snapshot
from autolog.client import default_client
from autolog.context import attach, come_back, enter, leave
from autolog.guard import attempt, guarded
from autolog.model.span import Span, SpanType
from autolog.model.unrecorded import NO_SPAN
from autolog.parameters import Parameters
from autolog.sampling import Sampling
from autolog.texts import text

if TYPE_CHECKING:
    Traceable = Callable[..., Any] | classmethod[Any, ..., Any] | staticmethod[..., Any]

logger = logging.getLogger("autolog")

F = TypeVar("F", bound="Traceable")
Reducer = Callable[[list[Any]], Any]

MOST_ITEMS = 100_000
"""How many items of a generator are kept; what comes after is only counted."""
MOST_BYTES = 16_000_000
"""How many bytes of items are kept, unless an `output_reducer` wants the items themselves."""


@overload
def trace(
    func: None = None,
    name: str | None = None,
    span_type: SpanType | str = ...,
    attributes: Mapping[str, Any] | None = None,
    output_reducer: Reducer | None = None,
    *,
    sampling_ratio_override: float | None = None,
) -> Callable[[F], F]: ...


@overload
def trace(
    func: F,
    name: str | None = None,
    span_type: SpanType | str = ...,
    attributes: Mapping[str, Any] | None = None,
    output_reducer: Reducer | None = None,
    *,
    sampling_ratio_override: float | None = None,
) -> F: ...


def trace(
    func: Any = None,
    name: str | None = None,
    span_type: SpanType | str = SpanType.UNKNOWN,
    attributes: Mapping[str, Any] | None = None,
    output_reducer: Reducer | None = None,
    *,
    sampling_ratio_override: float | None = None,
) -> Any:
    """Have each call of a function make a span, which is current while the function's own code runs.

    Inputs are the arguments by their names, outputs what is returned, unless the function calls `set_outputs` itself.
    A generator's span, sync or async, lasts from the first item that is asked for until the generator ends or is left;
    its outputs are the items (the first 100,000 of them), or what `output_reducer` makes of their list. Of the traces
    that begin with the function, the share `sampling_ratio_override` is recorded, whatever the settings say. Raises
    `TypeError` for what can't be traced, and `InvalidSetting` for a share that is not from 0 to 1.
    """
    if func is None or isinstance(func, (classmethod, staticmethod)):

        def decorate(func: Any) -> Any:
            return trace(
                func, name, span_type, attributes, output_reducer, sampling_ratio_override=sampling_ratio_override
            )

        return decorate if func is None else type(func)(decorate(func.__func__))
    _check(func)
    lay = next((lay for is_of, lay in _KINDS if is_of(func) or is_of(type(func).__call__)), None)
    if output_reducer is not None and lay not in (_over_generator, _over_async_generator):
        raise TypeError(f"output_reducer makes outputs of a generator's items, and {_name(func)!r} is no generator")
    if sampling_ratio_override is not None:
        Sampling(sampling_ratio_override)  # which says what is wrong with it
    calls = Calls(func, name, SpanType(span_type), attributes, output_reducer, sampling_ratio_override)
    traced = (lay or _over_function)(func, calls)
    if not hasattr(func, "__name__"):
        traced.__name__ = traced.__qualname__ = _name(func)
    return traced


def _check(func: Any) -> None:
    if isinstance(func, type):
        raise TypeError(f"@trace goes on functions and methods; decorate the methods of {func.__qualname__!r} instead")
    if isinstance(func, property):
        raise TypeError("@trace goes below @property, on the function itself")
    if not callable(func):
        raise TypeError(f"@trace goes on functions and methods, not on {type(func).__name__!r} objects")


def _name(func: Any) -> str:
    while isinstance(func, functools.partial):
        func = func.func
    return str(getattr(func, "__name__", None) or type(func).__name__)


class Calls:
    """What the calls of one function have in common, and the spans that they make."""

    __slots__ = ("_attributes", "_name", "_parameters", "_ratio", "_span_type", "reducer")

    def __init__(
        self,
        func: Any,
        name: str | None,
        span_type: SpanType,
        attributes: Mapping[str, Any] | None,
        reducer: Reducer | None,
        ratio: float | None,
    ) -> None:
        self._name = text(name or _name(func))
        self._span_type = span_type
        self._attributes = dict(attributes) if attributes else None
        self._parameters = Parameters(func)
        self._ratio = ratio
        self.reducer = reducer

    def start(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
        """Start the span of a call."""
        span = NO_SPAN
        with guarded:
            tracer = default_client().tracer
            if tracer.enabled:
                if self._ratio is not None or tracer.sampling is not None:  # whose rule may look at the inputs
                    span = tracer.start_span(
                        self._name, self._span_type, inputs=self._parameters.bound(args, kwargs),
                        attributes=self._attributes, sampling_ratio=self._ratio,
                    )  # fmt: skip
                else:
                    span = tracer.start_span(self._name, self._span_type, attributes=self._attributes)
                    if type(span) is Span:
                        span._inputs = snapshot(self._parameters.bound(args, kwargs))
        return span

    @staticmethod
    def returned(span: Span, token: Token[Context], result: Any) -> None:
        """End the span of a call that returned."""
        leave(span, token)
        with guarded:
            try:
                if type(span) is Span and "_outputs" not in span.__dict__:
                    span._outputs = result if type(result) in _UNCHANGING else snapshot(result)
            finally:  # whatever becomes of its content, it is not left open
                span.end()

    @staticmethod
    def raised(span: Span, token: Token[Context], error: BaseException) -> None:
        """End the span of a call that raised."""
        leave(span, token)
        with guarded:
            try:
                span.left_by(error)
            finally:
                span.end()


def _like(func: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    # What lies in the dict of an object that is called is the object's own.
    updated = functools.WRAPPER_UPDATES if inspect.isroutine(func) else ()
    return functools.wraps(func, updated=updated)


# The functions below stand in for the traced ones. Each calls its function itself, so that an exception passes one frame
# of ours, and keeps no reference to what passes through it.


def _over_function(func: Any, calls: Calls) -> Any:
    @_like(func)
    def traced(*args: Any, **kwargs: Any) -> Any:
        span = calls.start(args, kwargs)
        if span is NO_SPAN:
            return func(*args, **kwargs)
        token = attach(span)
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            calls.raised(span, token, error)
            raise
        calls.returned(span, token, result)
        return result

    return traced


def _over_coroutine(func: Any, calls: Calls) -> Any:
    @_like(func)
    async def traced(*args: Any, **kwargs: Any) -> Any:
        span = calls.start(args, kwargs)
        if span is NO_SPAN:
            return await func(*args, **kwargs)
        token = attach(span)
        try:
            result = await func(*args, **kwargs)
        except BaseException as error:
            calls.raised(span, token, error)
            raise
        calls.returned(span, token, result)
        return result

    return traced


def _over_generator(func: Any, calls: Calls) -> Any:
    @_like(func)
    def traced(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        span = calls.start(args, kwargs)
        if span is NO_SPAN:
            return (yield from func(*args, **kwargs))
        items = Items(span, calls.reducer)
        inside = set_span_in_context(span)
        step: Any = None
        passed: list[Any] = [None]
        while True:
            token = enter(inside)
            try:
                if step is None:
                    generator = func(*args, **kwargs)
                    step = generator.send
                    del args, kwargs
                passed.append(step(passed.pop()))
            except StopIteration as end:
                come_back(token)
                items.end()
                return end.value
            except BaseException as error:
                come_back(token)
                items.end(error)
                raise
            inside = come_back(token)
            items.add(passed[0])
            try:
                passed.append((yield passed.pop()))
                step = generator.send
            except BaseException as thrown:  # noqa: BLE001 - it is thrown into the generator, `close` included
                thrown.__traceback__ = thrown.__traceback__ and thrown.__traceback__.tb_next
                passed.append(thrown)
                step = generator.throw

    # Generators that are awaited: `types.coroutine` marks their functions.
    code = getattr(func, "__code__", None)
    return types.coroutine(traced) if code is not None and code.co_flags & inspect.CO_ITERABLE_COROUTINE else traced


def _over_async_generator(func: Any, calls: Calls) -> Any:
    @_like(func)
    async def traced(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        span = calls.start(args, kwargs)
        items = Items(span, calls.reducer)
        inside = Context() if span is NO_SPAN else set_span_in_context(span)
        step: Any = None
        passed: list[Any] = [None]
        while True:
            token = None if span is NO_SPAN else enter(inside)
            try:
                if step is None:
                    generator = func(*args, **kwargs)
                    step = functools.partial(_unwatched, generator)
                    del args, kwargs
                passed.append(await step(passed.pop()))
            except StopAsyncIteration:
                if token is not None:
                    come_back(token)
                items.end()
                return
            except BaseException as error:
                if token is not None:
                    come_back(token)
                items.end(error)
                raise
            if token is not None:
                inside = come_back(token)
            items.add(passed[0])
            try:
                passed.append((yield passed.pop()))
                step = generator.asend
            except BaseException as thrown:  # noqa: BLE001 - it is thrown into the generator, `aclose` included
                thrown.__traceback__ = thrown.__traceback__ and thrown.__traceback__.tb_next
                passed.append(thrown)
                step = generator.athrow

    return traced


def _unwatched(generator: AsyncGenerator[Any, Any], value: None) -> Any:
    """Take the first step of a generator that the event loop need not close, for ours is closed, and closes it."""
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.asend(value)
    finally:
        sys.set_asyncgen_hooks(*hooks)


class Items:
    """What a generator yielded, up to a bound, which becomes the outputs of its span."""

    __slots__ = ("_is_full", "_kept", "_more", "_reducer", "_size", "_span")

    def __init__(self, span: Span, reducer: Reducer | None) -> None:
        self._span = span
        self._reducer = reducer
        self._kept: list[Any] = []
        self._size = 0
        self._more = 0
        self._is_full = type(span) is not Span

    def add(self, item: Any) -> None:
        """Keep an item as it is now; a reducer is given the items themselves."""
        if self._is_full:
            self._more += 1
            return
        with guarded:
            if self._reducer is None:
                item = snapshot(item)
                self._size += len(item) if isinstance(item, (str, bytes)) else json_size(item)
            self._kept.append(item)
            self._is_full = len(self._kept) >= MOST_ITEMS or self._size >= MOST_BYTES

    def end(self, error: BaseException | None = None) -> None:
        """End the span; `error` is what ended the generator before its time."""
        span, kept = self._span, self._kept
        if span is NO_SPAN:
            return
        with guarded:
            try:
                if "_outputs" not in span.__dict__:
                    self._write(span, kept)
                if self._more:
                    span.set_attribute(
                        semconv.TRUNCATED, f"{self._more} more items came after the {len(kept)} kept ones"
                    )
                if error is not None:
                    span.left_by(error)
            finally:
                span.end()

    def _write(self, span: Span, kept: list[Any]) -> None:
        if self._reducer is None:
            span._outputs = kept  # pictures of them already
            return
        reduced = attempt(self._reducer, kept, default=_FAILED)
        if reduced is _FAILED:
            logger.warning("the output_reducer of %r failed; the items themselves are recorded", span.name)
        span.set_outputs(kept if reduced is _FAILED else reduced)


_FAILED: Any = object()
_UNCHANGING = frozenset({str, int, float, bool, type(None)})
_KINDS: tuple[tuple[Callable[[Any], bool], Callable[[Any, Calls], Any]], ...] = (
    (inspect.isasyncgenfunction, _over_async_generator),
    (inspect.isgeneratorfunction, _over_generator),
    (inspect.iscoroutinefunction, _over_coroutine),
)
