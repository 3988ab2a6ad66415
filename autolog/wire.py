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
from autolog.model.message import preview
from autolog.model.span import Link, Span, SpanEvent, SpanType, Status, StatusCode
from autolog.model.trace import TraceContext, TraceState
from autolog.model.usage import COUNTS, Cost, TokenUsage
from autolog.texts import text, text_or_none

VERSION = 1
MEDIA_TYPE = "application/vnd.autolog.spans+json"
MOST_BYTES = 4_000_000
"""Bytes of one body, unless a single span is larger."""
_MOST_TOKENS = 2**63 - 1
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
    told = {name: _text(getattr(context, name)) for name in _Context.__struct_fields__}
    return {name: value for name, value in told.items() if value not in (None, {})}


def _text(value: Any) -> Any:
    return {text(name): text(one) for name, one in value.items()} if isinstance(value, dict) else text_or_none(value)


def _encoded(span: Span, context: int | None, limits: Limits) -> tuple[bytes, int]:
    payload, counted = span.payload(), span.counted
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
    known = {name: value for name, value in known.items() if value is not None}
    payload = {
        name: value
        for name, value in payload.items()
        if value is not None and (value or name not in ("attributes", "events", "links"))
    }
    whole = capture.storable_as_is({**known, **payload}, limits)
    if whole is not None:
        return whole, 0
    if span._parent is None:  # what a list shows is read from the payload as it is before it is cut
        known["previews"] = [preview(span._inputs), preview(span._outputs)]
    # Each field by itself, as the store has it: limits are those of a field.
    encoded = [capture.storable_field(name, value, limits) for name, value in payload.items()]
    fields = [b'"%s":%s' % (name.encode(), data) for name, (data, _) in zip(payload, encoded, strict=True)]
    return b",".join([capture.json_bytes(known)[:-1], *fields]) + b"}", sum(is_cut for _, is_cut in encoded)


def _counts(usage: TokenUsage) -> dict[str, Any]:
    return {name: count for name, count in usage.to_dict().items() if name != "raw"}


# --- and back ----------------------------------------------------------------------------------------

_Moment = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


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
    counted: tuple[dict[str, Any], Cost] | None = None
    previews: tuple[str | None, str | None] | None = None
    # A limit may have left an outline of any of these, in place of what it is.
    description: Any = None
    inputs: Any = None
    outputs: Any = None
    attributes: dict[str, Any] = {}
    events: list[tuple[Any, Any, dict[str, Any]]] = []
    links: list[tuple[str, str, dict[str, Any]]] = []
    usage: dict[str, Any] | None = None
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
    span._status = Status(told.status, None if told.description is None else _as_text(told.description))
    span._inputs, span._outputs, span._attributes = told.inputs, told.outputs, told.attributes
    span._events = [
        SpanEvent(_as_text(name), at if isinstance(at, int) else told.start_ns, more) for name, at, more in told.events
    ] or None
    span._links = [Link(*link) for link in told.links] or None
    span.previews = told.previews
    span._usage, span._cost = None if told.usage is None else _usage(told.usage), _possible(told.cost)
    if told.counted is not None:
        span.counted = _usage(told.counted[0]), _possible(told.counted[1]) or Cost()
    if told.context is not None:
        if not 0 <= told.context < len(contexts):
            raise ValueError(f"there is no context {told.context}")
        span._context = contexts[told.context]
    return span


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else capture.json_bytes(value).decode()


def _usage(told: Mapping[str, Any]) -> TokenUsage:
    """Return the counts that can be: others would spoil the totals of a trace for good."""
    counts = {
        name: told[name]
        for name in COUNTS
        if isinstance(told.get(name), (int, float)) and abs(told[name]) <= _MOST_TOKENS
    }
    raw = told.get("raw")
    return TokenUsage(**counts, raw=raw if isinstance(raw, dict) else None)


def _possible(cost: Cost | None) -> Cost | None:
    is_possible = cost is not None and all(abs(one) <= _MOST_DOLLARS for one in (cost.input, cost.output, cost.total))
    return cost if is_possible else None


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
