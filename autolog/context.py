"""Which span new ones nest under.

The current span is kept in OpenTelemetry's own context, so that both worlds nest. Frameworks keep their own account of
which step runs where; they are asked for it when a span starts, and nothing of theirs is ever made current: what a
callback makes current, no callback can take back in asynchronous code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context.context import Context
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace.propagation import _SPAN_KEY

# The key that OpenTelemetry's own instrumentations look at: suppressing us suppresses them, and the reverse.
_SUPPRESS_KEY = otel_context._SUPPRESS_INSTRUMENTATION_KEY

_runtime = otel_context._RUNTIME_CONTEXT
_variable = getattr(_runtime, "_current_context", None)
# OpenTelemetry's usual runtime is one context variable: asking it directly saves two calls each time.
_get_current: Callable[[], Context] = _variable.get if isinstance(_variable, ContextVar) else _runtime.get_current
_attach: Callable[[Context], Token[Context]] = _variable.set if isinstance(_variable, ContextVar) else _runtime.attach
_detach: Callable[[Token[Context]], None] = _variable.reset if isinstance(_variable, ContextVar) else _runtime.detach


def attach(span: OtelSpan) -> Token[Context]:
    """Make `span` the current one; `detach` takes the token."""
    # Two copies fewer than the API's set_value, on the path of every call.
    context = Context(_get_current())
    dict.__setitem__(context, _SPAN_KEY, span)
    return _attach(context)


def detach(token: Token[Context]) -> None:
    """Make current again what was so before `attach`."""
    try:
        _detach(token)
    except (ValueError, RuntimeError):
        # A generator's block may be closed in another context, whose current span is none of its business.
        return


def leave(span: OtelSpan, token: Token[Context]) -> None:
    """Make current again what was so before `attach(span)`, in whichever context that was.

    Where a block around it ended first, as those of generators do, nothing is left to be undone.
    """
    current = _get_current().get(_SPAN_KEY)
    if current is not span and (current is None or _is_apart(current, span)):
        return
    try:
        _detach(token)
    except (ValueError, RuntimeError):
        # `asyncio.wait_for` of Python before 3.12 runs each step of a stream in a task, and so in a context, of its own.
        before = getattr(token, "old_value", None)
        if isinstance(before, Context) and current is span:
            _attach(before)


def _is_apart(current: Any, span: Any) -> bool:
    """Whether `current` is a span of ours that was not made current inside the block of `span`."""
    if not hasattr(current, "trace_context"):
        return False
    seen = set()
    while current is not None and id(current) not in seen:
        if current is span:
            return False
        seen.add(id(current))
        token = getattr(current, "_token", None)
        if token is None:
            current = getattr(current, "_parent", None)
        else:
            current = token.old_value.get(_SPAN_KEY) if isinstance(token.old_value, Context) else None
    return True


def enter(context: Context) -> Token[Context]:
    """Make `context` the current one; `come_back` takes the token."""
    return _attach(context)


def come_back(token: Token[Context]) -> Context:
    """Make current again what was so before `enter`; return what was so until now, to enter it again."""
    inside = _get_current()
    detach(token)
    return inside


class Block:
    """A part of the program for which something is set, and the block around it."""

    __slots__ = ("has_ended", "outer", "token")

    def __init__(self, outer: Block | None) -> None:
        self.outer = outer
        self.token: Token[Context] | None = None
        self.has_ended = False


_BLOCK_KEY = otel_context.create_key("autolog-block")


def begin_block(context: Context) -> Block:
    """Make `context` the current one until `end_block`."""
    block = Block(_innermost_block(context))
    block.token = _attach(Context({**context, _BLOCK_KEY: block}))
    return block


def end_block(block: Block, *, around_others: bool = False) -> None:
    """Make current again what was so before the block; does nothing where a block around it ended first.

    With `around_others`, those that began inside of it and have not ended stay as they are.
    """
    block.has_ended = True
    found = innermost_block = _innermost_block(_get_current())
    while found is not None and found is not block:
        found = found.outer
    if found is None or (around_others and innermost_block is not block):
        return
    while found is not None and found.has_ended and found.token is not None:
        detach(found.token)
        found, left = _innermost_block(_get_current()), found
        if found is left:  # it began in another context, of which this one is a copy
            return


def _innermost_block(context: Context) -> Block | None:
    found = context.get(_BLOCK_KEY)
    return found if isinstance(found, Block) else None


Source = Callable[[], Any]
"""Tells which of our spans runs here as far as it knows, or `None`."""

_steps: tuple[Source, ...] = ()
_leaves: tuple[Source, ...] = ()


def add_source(source: Source, *, of_leaves: bool = False) -> None:
    """Ask `source` too for the span that a new one nests under, from now on.

    A source `of_leaves` knows of model calls and the like, in which no step of a framework runs: only what the program
    or an SDK does may nest under those.
    """
    global _steps, _leaves
    if of_leaves:
        _leaves = (*_without(_leaves, source), source)
    else:
        _steps = (*_without(_steps, source), source)


def add_last_source(source: Source) -> None:
    """Ask `source` after all other steps', so that it wins where neither it nor they are of a deeper place."""
    if _steps[-1:] != (source,):
        add_source(source)


def remove_source(source: Source) -> None:
    """Ask `source` no more."""
    global _steps, _leaves
    _steps, _leaves = _without(_steps, source), _without(_leaves, source)


def _without(sources: tuple[Source, ...], source: Source) -> tuple[Source, ...]:
    return tuple(one for one in sources if one != source)


MIRROR = "_autolog_span"
"""Where a span of OpenTelemetry's SDK has our picture of it."""
_has_mirrors = False


def use_mirrors() -> None:
    """Look through spans of OpenTelemetry's SDK at our pictures of them, from now on."""
    global _has_mirrors
    _has_mirrors = True


def innermost(current: Context) -> Any:
    """Return what a new span nests under: the deepest of the current span and what the sources say."""
    found = current.get(_SPAN_KEY)
    if _has_mirrors:
        found = getattr(found, MIRROR, found)
    if _steps or _leaves:
        for source in (*_steps, *_leaves):
            candidate = source()
            if candidate is not None:
                found = deeper(found, candidate)
    return found


def innermost_step(current: Context, said: Any) -> Any:
    """Return what a framework's step nests under, whose enclosing step is `said` to be that span."""
    found = current.get(_SPAN_KEY)
    if _has_mirrors:
        found = getattr(found, MIRROR, found)
    for source in _steps:
        candidate = source()
        if candidate is not None:
            found = deeper(found, candidate)
    return found if said is None else deeper(found, said)


def deeper(found: Any, candidate: Any) -> Any:
    """Return the one that lies below the other, and where neither does, the candidate: it knows more of this place."""
    if candidate is None or found is None:
        return found if candidate is None else candidate
    span = found
    while span is not None:
        if span is candidate:
            return found
        span = getattr(span, "_parent", None)
    return candidate


@contextmanager
def suppress() -> Iterator[None]:
    """Record nothing inside the block, by autolog or by OpenTelemetry's instrumentations."""
    block = begin_block(otel_context.set_value(_SUPPRESS_KEY, True, _get_current()))
    try:
        yield
    finally:
        end_block(block)
