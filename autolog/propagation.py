"""Take the place in a trace along: over HTTP, into threads, and into other processes."""

from __future__ import annotations

import functools
import inspect
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar, overload

from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Setter
from opentelemetry.trace import NonRecordingSpan, SpanContext, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from autolog.client import default_client
from autolog.context import _SUPPRESS_KEY, _get_current, begin_block, detach, end_block, enter, innermost
from autolog.guard import attempt, guarded
from autolog.model.span import Span
from autolog.tracer import _AMBIENT_KEY

logger = logging.getLogger("autolog")

P = ParamSpec("P")
R = TypeVar("R")
Headers = TypeVar("Headers", bound=MutableMapping[str, str])

_TRACE = TraceContextTextMapPropagator()
_BAGGAGE = W3CBaggagePropagator()
# Of what another process sent, what our spans have no room for: who answers for the trace and its state there.
_REMOTE_KEY = "autolog-remote-span"
_NAMES = ("traceparent", "tracestate", "baggage")
_FIELDS = {spelling: name for name in _NAMES for spelling in (name, f"http_{name}")}
"""The headers that are read, as they are spelt, lower-cased, in HTTP and in WSGI's environment."""


def here() -> Context:
    """Return what a place is known by: OpenTelemetry's context, the innermost span, a framework's included, in it."""
    current = _get_current()
    span = innermost(current)
    if span is None or span.get_span_context().span_id == get_current_span(current).get_span_context().span_id:
        return current
    return set_span_in_context(span, current)


# --- over HTTP and the like ------------------------------------------------------------------------------


@overload
def inject(headers: None = None) -> dict[str, str]: ...


@overload
def inject(headers: Headers) -> Headers: ...


def inject(headers: Any = None) -> Any:
    """Write the place in the trace into `headers`, or into a new dict, and return them: W3C's `traceparent`.

    `tracestate` and `baggage` go with it where there are any. Outside of a trace nothing is written.
    """
    headers = {} if headers is None else headers
    if not hasattr(headers, "keys") or not hasattr(headers, "__setitem__"):
        logger.warning(
            "the place in the trace is written into a mapping of headers such as a dict, not into %r", headers
        )
        return headers
    with guarded:
        context = here()
        _inject_trace(headers, context)
        _BAGGAGE.inject(headers, context, _SETTER)
    return headers


class _Setter(Setter[MutableMapping[str, str]]):
    """Replaces a header however it is spelt: `TRACEPARENT`, in an environment, would go before ours."""

    def set(self, carrier: MutableMapping[str, str], key: str, value: str) -> None:
        spelt = next((name for name in carrier if isinstance(name, str) and name.lower() == key), key)
        carrier[spelt] = value


_SETTER = _Setter()


def trace_headers(span: Span) -> dict[str, str]:
    """Return `traceparent`, and `tracestate` where there is one, for what happens below `span` elsewhere."""
    headers: dict[str, str] = {}
    _inject_trace(headers, set_span_in_context(span, _get_current()))
    return headers


def _inject_trace(headers: MutableMapping[str, str], context: Context) -> None:
    ours, remote = get_current_span(context).get_span_context(), context.get(_REMOTE_KEY)
    if isinstance(remote, SpanContext) and remote.trace_id == ours.trace_id and not ours.trace_state:
        ids = SpanContext(ours.trace_id, ours.span_id, ours.is_remote, ours.trace_flags, remote.trace_state)
        context = set_span_in_context(NonRecordingSpan(ids), context)
    _TRACE.inject(headers, context, _SETTER)


@contextmanager
def extract(headers: Mapping[str, str] | Iterable[tuple[Any, Any]]) -> Iterator[None]:
    """Have spans that start in the block nest under the one whose `traceparent` is in `headers`.

    Takes any mapping, in any case, pairs of texts or bytes, WSGI's environment, and `os.environ`. Without a valid
    `traceparent` in them the block changes nothing.
    """
    context = received(headers)
    if context is None:
        yield
        return
    block = begin_block(context)
    try:
        yield
    finally:
        end_block(block)


def received(headers: Any) -> Context | None:
    """Return the context of what `headers` tell, or `None` where that is nothing."""
    # They come from anywhere, and may be anything.
    return attempt(_received, headers, default=None)


def _received(headers: Any) -> Context | None:
    carrier = _trace_fields(headers)
    if not carrier:
        return None
    current = _get_current()
    # The one place that decides what becomes of a place that was sent; who samples looks at its flags.
    context = _TRACE.extract(carrier, _BAGGAGE.extract(carrier, current))
    remote = get_current_span(context).get_span_context()
    if remote.is_remote:
        context = Context({**context, _REMOTE_KEY: remote})
    return context


def _trace_fields(headers: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers.items() if hasattr(headers, "items") else headers:
        field = _FIELDS.get(_text(name).lower())
        if field is not None:
            found.setdefault(field, []).append(_text(value))
    if len(set(found.get("traceparent", ()))) > 1:  # as W3C has it, none of them counts
        del found["traceparent"]
    return found


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


# --- into threads and other processes --------------------------------------------------------------------


def run_in(context: Context, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call `function` with `context` as the current one."""
    token = enter(context)
    try:
        return function(*args, **kwargs)
    finally:
        detach(token)


def carry(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that does as `function` does, below the span that is the current one now.

    It may be called in any thread, and any number of times. It can be pickled where `function` can: called in another
    process, it records into the same trace, and into the same store where that is a file. Raises `TypeError` for what
    can't be called.
    """
    if not callable(function):
        raise TypeError(f"what is carried is a function, to be called elsewhere, not {function!r}")
    return Carried(function, here())


class Carried(Generic[P, R]):
    """A function that runs below the span of the place where it was made."""

    def __init__(self, function: Callable[P, R], context: Context, home: Home | None = None) -> None:
        self._function = function
        self._context = context
        self._home = home
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if inspect.iscoroutinefunction(self._function):
            return self._run_async(*args, **kwargs)  # type: ignore[return-value]
        self._move_in()
        try:
            return run_in(self._context, self._function, *args, **kwargs)
        finally:
            self._move_out()

    async def _run_async(self, *args: Any, **kwargs: Any) -> Any:
        self._move_in()
        token = enter(self._context)
        try:
            return await self._function(*args, **kwargs)  # type: ignore[misc]
        finally:
            detach(token)
            self._move_out()

    def _move_in(self) -> None:
        if self._home is not None:
            self._home.move_in()

    def _move_out(self) -> None:
        if self._home is not None:
            self._home.move_out()

    def __reduce__(self) -> tuple[Any, ...]:
        client, span = default_client(), get_current_span(self._context)
        fields = dict(self._context.get(_AMBIENT_KEY) or {})  # type: ignore[call-overload]
        shared = span.trace_context if isinstance(span, Span) else None
        fields["experiment"] = shared.experiment if shared is not None else client.tracer.experiment
        headers: dict[str, str] = {}
        _inject_trace(headers, self._context)
        _BAGGAGE.inject(headers, self._context)
        home = Home(os.getpid(), client.location if Path(client.location).is_absolute() else None)
        return _unpacked, (self._function, headers, fields, bool(self._context.get(_SUPPRESS_KEY)), home)


class Home:
    """The process and the store that a function was carried from."""

    def __init__(self, process: int, store: str | None) -> None:
        self._process = process
        self._store = store

    def move_in(self) -> None:
        """In another process: store traces where that one does."""
        with guarded:
            if self._process != os.getpid() and self._store not in (None, default_client().location):
                default_client().set_store(self._store)

    def move_out(self) -> None:
        """In another process: store what was recorded, for a pool may end its processes at any time from now on."""
        with guarded:
            if self._process != os.getpid():
                client = default_client()
                client.flush(client.settings.exit_timeout)


def _unpacked(
    function: Callable[P, R], headers: dict[str, str], fields: dict[str, Any], suppressed: bool, home: Home
) -> Carried[P, R]:
    context = run_in(Context(), received, headers) or Context()
    return Carried(function, Context({**context, _AMBIENT_KEY: fields, _SUPPRESS_KEY: suppressed}), home)
