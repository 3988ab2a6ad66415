"""Which span is the current one: a single place, OpenTelemetry's own context, so that both worlds nest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import cast

from opentelemetry import context as otel_context
from opentelemetry.context.context import Context
from opentelemetry.trace import INVALID_SPAN
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


def current_otel_span() -> OtelSpan:
    """Return the current span, ours or any other OpenTelemetry library's."""
    return cast("OtelSpan", _get_current().get(_SPAN_KEY) or INVALID_SPAN)


def is_suppressed() -> bool:
    """Whether nothing is to be recorded here."""
    return bool(_get_current().get(_SUPPRESS_KEY))


@contextmanager
def suppress() -> Iterator[None]:
    """Record nothing inside the block, by autolog or by OpenTelemetry's instrumentations."""
    token = _attach(otel_context.set_value(_SUPPRESS_KEY, True))
    try:
        yield
    finally:
        detach(token)
