"""Read what other instrumentations record into our model, whichever names they give it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autolog import semconv
from autolog.model.span import Span, SpanEvent, SpanType, Status, StatusCode, is_cancelling
from autolog.otel.dialects import (
    genai,
    langfuse,
    langsmith,
    mlflow,
    openinference,
    openllmetry,
    own,
    pydantic_ai,
    vercel,
)
from autolog.otel.given import Found, Given
from autolog.redact import REDACTED, is_secret_field, is_secret_name, redact_keys, without_credentials

Dialect = Callable[[Given, Found], None]

# In this order: what one has said, those after it do not change. The more a dialect has of its own, the earlier.
DIALECTS: tuple[Dialect, ...] = (
    own.read,
    langfuse.read,
    mlflow.read,
    vercel.read,
    openinference.read,
    langsmith.read,
    openllmetry.read,
    pydantic_ai.read,
    genai.read,
)
USER_NAMES = frozenset(
    {
        "user.id",
        "enduser.id",
        "langfuse.user.id",
        "gen_ai.user",
        "llm.user",
        "mlflow.trace.user",
        "traceloop.association.properties.user_id",
        "ai.telemetry.metadata.userId",
        "langsmith.metadata.user_id",
    }
)
"""Attributes that say who the end user is."""
_SEARCHED_FOR_KEYS = 10_000


def translate(attributes: Mapping[str, Any], events: Sequence[SpanEvent] = ()) -> tuple[Found, Given]:
    """Return what attributes and events say, and what of them no dialect knows.

    Values may be of any type and any size; none of them raises.
    """
    given, found = Given(attributes, events), Found()
    for dialect in DIALECTS:
        dialect(given, found)
    found.belongs_to(given.take("session.id"), given.take("user.id", "enduser.id"))
    return found, given


# What tells of a type at once, and how. In the order of the dialects.
_KINDS: tuple[tuple[str, Mapping[str, SpanType]], ...] = (
    (semconv.SPAN_TYPE, SpanType.__members__),
    ("langfuse.observation.type", langfuse.TYPES),
    ("mlflow.spanType", {f'"{name}"': kind for name, kind in SpanType.__members__.items()}),
    ("ai.operationId", vercel.TYPES),
    ("openinference.span.kind", openinference.TYPES),
    ("langsmith.span.kind", langsmith.TYPES),
    ("traceloop.span.kind", openllmetry.KINDS),
    ("llm.request.type", openllmetry.REQUESTS),
    (semconv.OPERATION, genai.TYPES),
)


def span_type_of(attributes: Mapping[str, Any]) -> SpanType | None:
    """Return the type where the attributes that a span starts with tell it already."""
    for name, kinds in _KINDS:
        value = attributes.get(name)
        if isinstance(value, str) and value in kinds:
            return kinds[value]
    return None


_TELLING = (
    "openinference.span.kind",
    "gen_ai.",
    "llm.",
    "traceloop.",
    "mlflow.",
    "ai.operationId",
    "langfuse.",
    "langsmith.",
    "autolog.span.type",
    "pydantic_ai.",
)


def _is_telling(name: str) -> bool:
    return name.startswith(_TELLING)


def is_llm(attributes: Mapping[str, Any]) -> bool:
    """Whether any of the dialects is spoken here."""
    return any(map(_is_telling, attributes))


def describe(span: Span, attributes: Mapping[str, Any], events: Sequence[SpanEvent] = ()) -> None:
    """Write what attributes and events say into `span`, and into its trace what is of the trace."""
    found, given = translate(attributes, events)
    if found.span_type is not None:
        span.set_span_type(found.span_type)
    if found.inputs is not None:
        span.set_inputs(without_credentials(found.inputs))
    if found.outputs is not None:
        span.set_outputs(found.outputs)
    span.set_attributes({name: _safe(name, value) for name, value in {**given.left, **found.attributes}.items()})
    if found.usage is not None:
        span.set_usage(found.usage)
    if found.cost is not None:
        span.set_cost(found.cost)
    span._events = [_safe_event(event) for event in given.events] or None
    _describe_trace(span, found)


def take_failure(
    span: Span, description: str | None, events: Sequence[SpanEvent], attributes: Mapping[str, Any]
) -> None:
    """Note how a span failed, or that it was called off; before `describe`."""
    if attributes.get(semconv.STATUS) == StatusCode.CANCELLED:
        span.set_status(Status(StatusCode.CANCELLED, description))
        return
    raised = next((event for event in reversed(events) if event.name == semconv.EXCEPTION_EVENT), None)
    kind = attributes.get(semconv.ERROR_TYPE) or (raised.attributes.get(semconv.EXCEPTION_TYPE) if raised else None)
    if not description and raised is not None:
        description = f"{kind}: {raised.attributes.get(semconv.EXCEPTION_MESSAGE) or ''}".removesuffix(": ")
    code = StatusCode.CANCELLED if isinstance(kind, str) and is_cancelling(kind) else StatusCode.ERROR
    if isinstance(kind, str):
        span.set_attribute(semconv.ERROR_TYPE, kind)
    span.set_status(Status(code, redact_keys(description) if description else None))


def _describe_trace(span: Span, found: Found) -> None:
    context = span.trace_context
    if found.session is not None:
        span.set_attribute(semconv.SESSION_ID, found.session)
    if found.user is not None:
        span.set_attribute(semconv.USER_ID, found.user)
    if context is None:
        return
    context.session = context.session or found.session
    context.user = context.user or found.user
    context.run = context.run or found.run
    context.version = context.version or found.version
    context.experiment = found.experiment or context.experiment
    if found.tags:
        context.tags = {**found.tags, **(context.tags or {})}
    if found.metadata:
        context.metadata = {**found.metadata, **(context.metadata or {})}


_HEADERS = ("http.request.header.", "http.response.header.")
_PARAMETER = re.compile(r"(?<=[?&])([^=&#]+)=([^&#]*)")


def _safe(name: str, value: Any) -> Any:
    """Return an attribute without keys and passwords; headers and the parameters of a URL are among them."""
    if is_secret_field(name) and not isinstance(value, (bool, int, float)):
        return [REDACTED] if name.startswith(_HEADERS) else REDACTED
    if isinstance(value, tuple):
        return list(value)
    if not isinstance(value, str) or len(value) > _SEARCHED_FOR_KEYS:
        return value
    if "://" in value or name.endswith((".query", ".target")):
        value = _PARAMETER.sub(_safe_parameter, value)
    return redact_keys(value)


def _safe_parameter(found: re.Match[str]) -> str:
    return f"{found[1]}={REDACTED}" if is_secret_name(found[1]) else found[0]


def _safe_event(event: SpanEvent) -> SpanEvent:
    return SpanEvent(event.name, event.timestamp_ns, {name: _safe(name, v) for name, v in event.attributes.items()})
