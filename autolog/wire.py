"""Spans as bytes: the one form in which a program hands them to the server of another process or machine.

A body is JSON: spans as the store has them, with what their traces share and what each adds to its trace's totals, so that
what is stored of it is what would be stored here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from autolog import capture
from autolog.capture import Limits
from autolog.errors import InvalidTrace
from autolog.ids import parse_id
from autolog.model.span import Link, Span, SpanEvent, SpanType, Status, StatusCode
from autolog.model.trace import TraceContext, TraceState
from autolog.model.usage import COUNTS, Cost, TokenUsage

VERSION = 1
MEDIA_TYPE = "application/vnd.autolog.spans+json"
MOST_BYTES = 4_000_000
"""Bytes of one body, unless a single span is larger."""
_MOST_TOKENS = 10**15
_MOST_DOLLARS = 1e12


@dataclass(frozen=True, slots=True)
class Body:
    """Spans that travel together."""

    data: bytes
    spans: int
    cut: int
    """Payloads that were shortened, because they were over a limit."""


def encode(spans: Sequence[Span], limits: Limits, most_bytes: int = MOST_BYTES) -> Iterator[Body]:
    """Yield bodies that have these spans in their order, their payloads within `limits`."""
    shared: dict[int, tuple[int, bytes]] = {}
    parts: list[bytes] = []
    size = cut = 0
    for span in spans:
        context = span._context
        if context is not None and id(context) not in shared:
            shared[id(context)] = len(shared), capture.json_bytes(_shared(context))
            size += len(shared[id(context)][1])
        part, cuts = _encoded(span, None if context is None else shared[id(context)][0], limits)
        parts.append(part)
        size += len(part)
        cut += cuts
        if size >= most_bytes:
            yield _body(parts, shared, cut)
            shared, parts, size, cut = {}, [], 0, 0
    if parts:
        yield _body(parts, shared, cut)


def _body(parts: list[bytes], shared: Mapping[int, tuple[int, bytes]], cut: int) -> Body:
    contexts = b",".join(context for _, context in shared.values())
    data = b'{"version":%d,"contexts":[%s],"spans":[%s]}' % (VERSION, contexts, b",".join(parts))
    return Body(data, len(parts), cut)


def _shared(context: TraceContext) -> dict[str, Any]:
    told = {name: getattr(context, name) for name in _Context.__struct_fields__}
    return {name: value for name, value in told.items() if value not in (None, {})}


def _encoded(span: Span, context: int | None, limits: Limits) -> tuple[bytes, int]:
    span.resolve()
    usage, cost, counted = span._usage, span._cost, span.counted
    known: dict[str, Any] = {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "is_below": span._parent is not None,
        "name": span.name,
        "type": str(span.span_type),
        "start_ns": span.start_time_ns,
        "end_ns": span.end_time_ns,
        "status": str(span._status.code),
        "context": context,
        "counted": None if counted is None else [_counts(counted[0]), counted[1].to_dict()],
    }
    payload = {
        "description": span._status.description,
        "inputs": span._inputs,
        "outputs": span._outputs,
        "attributes": span._attributes,
        "events": [[e.name, e.timestamp_ns, e.attributes] for e in span._events or ()],
        "links": [[link.trace_id, link.span_id, link.attributes] for link in span._links or ()],
        "usage": None if usage is None else usage.to_dict(),
        "cost": None if cost is None else cost.to_dict(),
    }
    known = {name: value for name, value in known.items() if value is not None}
    payload = {name: value for name, value in payload.items() if value is not None and value not in ([], {})}
    whole = capture.storable_as_is({**known, **payload}, limits)
    if whole is not None:
        return whole, 0
    # Each field by itself, as the store has it: limits are those of a field.
    encoded = [capture.storable(value, limits) for value in payload.values()]
    fields = [b'"%s":%s' % (name.encode(), data) for name, (data, _) in zip(payload, encoded, strict=True)]
    return b",".join([capture.json_bytes(known)[:-1], *fields]) + b"}", sum(is_cut for _, is_cut in encoded)


def _counts(usage: TokenUsage) -> dict[str, Any]:
    return {name: count for name, count in usage.to_dict().items() if name != "raw"}


# --- and back ----------------------------------------------------------------------------------------

_Moment = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class _Context(Struct):
    experiment: str = "default"
    version: str | None = None
    run: str | None = None
    session: str | None = None
    user: str | None = None
    tags: dict[str, str] | None = None
    metadata: dict[str, str] | None = None
    client_request_id: str | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    state: TraceState | None = None


class _Told(Struct):
    trace_id: str
    span_id: str
    name: str
    type: str
    start_ns: _Moment
    parent_id: str | None = None
    is_below: bool = False
    end_ns: _Moment | None = None
    status: StatusCode = StatusCode.UNSET
    context: int | None = None
    counted: tuple[TokenUsage, Cost] | None = None
    description: str | None = None
    inputs: Any = None
    outputs: Any = None
    attributes: dict[str, Any] = {}
    events: list[tuple[str, int, dict[str, Any]]] = []
    links: list[tuple[str, str, dict[str, Any]]] = []
    usage: TokenUsage | None = None
    cost: Cost | None = None


class _Sent(Struct):
    version: int
    contexts: list[_Context]
    spans: list[_Told]


class _Version(Struct):
    version: int


def decode(data: bytes) -> list[Span]:
    """Return the spans of a body; raise `InvalidTrace` where it is none."""
    try:
        version = msgspec.json.decode(data, type=_Version).version
        if version > VERSION:
            raise InvalidTrace(
                f"spans come in version {version} of their form, this server knows {VERSION}: upgrade it"
            )
        sent = msgspec.json.decode(data, type=_Sent)
        contexts = [_context(told) for told in sent.contexts]
        spans = [_span(told, contexts) for told in sent.spans]
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InvalidTrace(f"this is no body of spans: {str(error)[:300]}") from error
    _find_parents(spans, [told.is_below for told in sent.spans])
    return spans


def _context(told: _Context) -> TraceContext:
    context = TraceContext(told.experiment, told.version)
    for name in _Context.__struct_fields__:
        setattr(context, name, getattr(told, name))
    return context


def _span(told: _Told, contexts: Sequence[TraceContext]) -> Span:
    parent = None if told.parent_id is None else parse_id(told.parent_id, 16)
    kind = SpanType.__members__.get(told.type, SpanType.UNKNOWN)
    span = Span(told.name, kind, parse_id(told.trace_id, 32), parse_id(told.span_id, 16), parent, told.start_ns)
    span.end_time_ns = told.end_ns
    span._status = Status(told.status, told.description)
    span._inputs, span._outputs, span._attributes = told.inputs, told.outputs, told.attributes
    span._events = [SpanEvent(*event) for event in told.events] or None
    span._links = [Link(*link) for link in told.links] or None
    span._usage, span._cost, span.counted = told.usage, told.cost, told.counted
    for usage in (told.usage, told.counted and told.counted[0]):
        _check_all((getattr(usage, name) for name in COUNTS if usage is not None), _MOST_TOKENS)
    for cost in (told.cost, told.counted and told.counted[1]):
        _check_all((cost.input, cost.output, cost.total) if cost is not None else (), _MOST_DOLLARS)
    if told.context is not None:
        if not 0 <= told.context < len(contexts):
            raise ValueError(f"there is no context {told.context}")
        span._context = contexts[told.context]
    return span


def _check_all(amounts: Any, most: float) -> None:
    for amount in amounts:
        if amount is not None and not abs(amount) <= most:
            raise ValueError(f"{amount} tokens or dollars can't be")


def _find_parents(spans: Sequence[Span], is_below: Sequence[bool]) -> None:
    """Give spans their parents, or what stands for one that went before: a root of its process is told by having none."""
    known = {(span._trace_id, span._span_id): span for span in spans}
    for span, is_inner in zip(spans, is_below, strict=True):
        if is_inner and span._parent_id is not None:
            parent = known.get((span._trace_id, span._parent_id))
            span._parent = parent if parent is not None and parent is not span else stand_in(span)


def stand_in(span: Span) -> Span:
    """Return what stands for the parent of a span that is not at hand."""
    return Span("", SpanType.UNKNOWN, span._trace_id, span._parent_id or 0)
