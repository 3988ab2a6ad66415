"""Read what OTLP carries, protobuf or JSON, into our spans: whoever sent it, in whichever language."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Struct

from autolog import semconv
from autolog.errors import InvalidTrace, Unavailable
from autolog.model.span import Link, Span, SpanEvent, SpanType, Status
from autolog.model.trace import TraceContext
from autolog.model.usage import COUNTS
from autolog.otel.translate import USER_NAMES, describe, take_failure
from autolog.wire import stand_in

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_CODES = ("UNSET", "OK", "ERROR")
_ERROR = 2
_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200
# Those that are called from elsewhere, where nobody says whether their parent is.
_ENTRIES = frozenset({2, 5})
_LATEST = 2**63 - 1
_DEEPEST = 64
_MOST_TOKENS = 10**15
_MOST_DOLLARS = 1e12
OURS = "autolog"
"""The scope of spans that were ours before they were sent."""
EXPERIMENT_NAMES = (semconv.EXPERIMENT, "openinference.project.name")
"""What in a resource names the experiment."""

Attributes = dict[str, Any]


@dataclass(slots=True)
class Origin:
    """Who recorded spans: a resource, and a scope in it."""

    resource: Attributes
    scope: str = ""
    version: str = ""
    scope_attributes: Attributes = field(default_factory=dict)


@dataclass(slots=True)
class Sent:
    """A span as it came, before anything of it is believed."""

    origin: Origin
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: Attributes
    events: list[tuple[str, int, Attributes]]
    links: list[tuple[bytes, bytes, Attributes]]
    code: int
    message: str
    flags: int
    lost: int
    """Attributes that the sender had no room for."""


@dataclass(slots=True)
class Received:
    """What a request had: the spans that can be stored, and why others can not."""

    spans: list[Span] = field(default_factory=list)
    rejected: int = 0
    complaint: str = ""
    """What is wrong with the first that was rejected, or with what was left out of one."""

    def reject(self, why: str) -> None:
        """Count a span that can't be stored."""
        self.rejected += 1
        self.complaint = self.complaint or why


def received(sent: Iterable[Sent], *, experiment: str | None = None, capture_user: bool = True) -> Received:
    """Return spans of ours, each with the context of its trace; whose experiment is `""` where nobody named one."""
    found = Received()
    contexts: dict[int, TraceContext] = {}
    is_local: list[bool] = []
    for one in sent:
        why = _complaint(one)
        if why is not None:
            found.reject(f"span {one.name[:60]!r}: {why}")
            continue
        span = _bare_span(one)
        named = next((name for key in EXPERIMENT_NAMES if (name := one.origin.resource.get(key))), "")
        context = span._context = contexts.setdefault(span._trace_id, TraceContext(str(named)))
        context.experiment = context.experiment or str(named)
        is_local.append(_has_local_parent(one))
        _describe(span, one, found, is_root=not is_local[-1], capture_user=capture_user)
        context.experiment = experiment or context.experiment  # whoever set the sender up goes before what it sends
        found.spans.append(span)
    known = {(span._trace_id, span._span_id): span for span in found.spans}
    for span, has_parent in zip(found.spans, is_local, strict=True):
        if has_parent and span._parent_id is not None:
            span._parent = known.get((span._trace_id, span._parent_id)) or stand_in(span)
    return found


def _complaint(sent: Sent) -> str | None:
    if len(sent.trace_id) != 16 or not any(sent.trace_id):
        return f"a trace id has 16 bytes, not all zero; this one is {sent.trace_id[:20].hex()!r}"
    if len(sent.span_id) != 8 or not any(sent.span_id):
        return f"a span id has 8 bytes, not all zero; this one is {sent.span_id[:20].hex()!r}"
    if len(sent.parent_id) not in (0, 8):
        return f"a parent's id has 8 bytes or none; this one is {sent.parent_id[:20].hex()!r}"
    if not sent.start_ns and not sent.end_ns:
        return "it has no times"
    if not (0 <= sent.start_ns <= _LATEST and 0 <= sent.end_ns <= _LATEST):
        return "its times are not in nanoseconds since 1970, or after the year 2262"
    return None


def _bare_span(sent: Sent) -> Span:
    """Return it with what has a place of its own; one that ended before it began ends as it begins."""
    start = sent.start_ns or sent.end_ns
    parent = int.from_bytes(sent.parent_id, "big") or None
    trace_id, span_id = int.from_bytes(sent.trace_id, "big"), int.from_bytes(sent.span_id, "big")
    span = Span(sent.name, SpanType.UNKNOWN, trace_id, span_id, None if parent == span_id else parent, start)
    span.end_time_ns = max(sent.end_ns, start) if sent.end_ns else None
    span.is_foreign = True
    return span


def _has_local_parent(sent: Sent) -> bool:
    """Whether its parent is a span of the same process, which is sent, or was, by the same exporter."""
    if not any(sent.parent_id) or sent.parent_id == sent.span_id:
        return False
    if sent.flags & _HAS_IS_REMOTE:
        return not sent.flags & _IS_REMOTE
    return sent.kind not in _ENTRIES


def _describe(span: Span, sent: Sent, found: Received, *, is_root: bool, capture_user: bool) -> None:
    origin = sent.origin
    attributes = {**origin.resource, **sent.attributes} if is_root else sent.attributes
    if not capture_user:
        attributes = {name: value for name, value in attributes.items() if name not in USER_NAMES}
    events = [SpanEvent(name, time if 0 < time <= _LATEST else span.start_time_ns, a) for name, time, a in sent.events]
    if sent.code == _ERROR or attributes.get(semconv.STATUS) == "CANCELLED":
        take_failure(span, sent.message or None, events, attributes)
    elif span.end_time_ns is not None:
        span._status = Status.OK
    describe(span, attributes, events)
    for trace_id, span_id, more in sent.links:
        if len(trace_id) == 16 and len(span_id) == 8 and any(trace_id) and any(span_id):
            link = Link(trace_id.hex(), span_id.hex(), more)
            span._links = [*(span._links or ()), link]
        else:
            found.complaint = found.complaint or f"a link of span {sent.name[:60]!r} has no valid ids and was left out"
    if origin.scope != OURS:
        told = {semconv.SCOPE_NAME: origin.scope or None, semconv.SCOPE_VERSION: origin.version or None}
        kind = KINDS[sent.kind] if 1 < sent.kind < len(KINDS) else None
        scoped = {f"otel.scope.{name}": value for name, value in origin.scope_attributes.items()}
        span.set_attributes({**scoped, **told, semconv.SPAN_KIND: kind})
    if sent.lost:
        span.set_attribute("otel.dropped_attributes_count", sent.lost)
    version = origin.resource.get("service.version")
    if is_root and span._context is not None and isinstance(version, str):
        span._context.version = span._context.version or version
    _forget_absurd(span)


def _forget_absurd(span: Span) -> None:
    """Take away figures that no call can have, which would spoil the sums of a trace for good."""
    usage, cost = span._usage, span._cost
    if usage is not None and any(abs(getattr(usage, name) or 0) > _MOST_TOKENS for name in COUNTS):
        span._usage = None
    if cost is not None and not all(
        math.isfinite(amount) and abs(amount) <= _MOST_DOLLARS for amount in (cost.input, cost.output, cost.total)
    ):
        span._cost = None


# --- protobuf ----------------------------------------------------------------------------------------


def of_protobuf(data: bytes) -> Iterator[Sent]:
    """Return the spans of an `ExportTraceServiceRequest`; raise `InvalidTrace` where it is none."""
    try:
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ImportError as error:
        raise Unavailable("OTLP in protobuf needs: pip install 'autolog-tracing[ui]'") from error
    try:
        request = ExportTraceServiceRequest.FromString(data)
    except DecodeError as error:
        raise InvalidTrace(f"this is no ExportTraceServiceRequest in protobuf: {error}") from error
    return _of_message(request)


def _of_message(request: Any) -> Iterator[Sent]:
    for of_resource in request.resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            scope = of_scope.scope
            origin = Origin(resource, scope.name, scope.version, _attributes(scope.attributes))
            for span in of_scope.spans:
                yield Sent(
                    origin,
                    span.trace_id,
                    span.span_id,
                    span.parent_span_id,
                    span.name,
                    span.kind,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _attributes(span.attributes),
                    [(event.name, event.time_unix_nano, _attributes(event.attributes)) for event in span.events],
                    [(link.trace_id, link.span_id, _attributes(link.attributes)) for link in span.links],
                    span.status.code,
                    span.status.message,
                    getattr(span, "flags", 0),
                    span.dropped_attributes_count,
                )


def _attributes(pairs: Any, depth: int = 0) -> Attributes:
    return {pair.key: _value(pair.value, depth) for pair in pairs}


def _value(value: Any, depth: int) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item, depth + 1) for item in value.array_value.values] if depth < _DEEPEST else _TOO_DEEP
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values, depth + 1) if depth < _DEEPEST else _TOO_DEEP
    return getattr(value, kind)


_TOO_DEEP = "<truncated: too deep>"

# --- JSON --------------------------------------------------------------------------------------------


class _Named(Struct, rename="camel"):
    """As protobuf's JSON has it: 64-bit integers are texts or numbers, enumerations numbers or names."""


class _AnyValue(_Named):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    array_value: _Values | None = None
    kvlist_value: _Pairs | None = None
    bytes_value: str | None = None


class _Pair(_Named):
    key: str = ""
    value: _AnyValue | None = None


class _Values(_Named):
    values: list[_AnyValue] | None = None


class _Pairs(_Named):
    values: list[_Pair] | None = None


class _Event(_Named):
    name: str | None = None
    time_unix_nano: int | str | None = None
    attributes: list[_Pair] | None = None


class _Link(_Named):
    trace_id: str | None = None
    span_id: str | None = None
    attributes: list[_Pair] | None = None


class _Status(_Named):
    code: int | str | None = None
    message: str | None = None


class _Span(_Named):
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    kind: int | str | None = None
    start_time_unix_nano: int | str | None = None
    end_time_unix_nano: int | str | None = None
    attributes: list[_Pair] | None = None
    events: list[_Event] | None = None
    links: list[_Link] | None = None
    status: _Status | None = None
    flags: int | None = None
    dropped_attributes_count: int | None = None


class _Scope(_Named):
    name: str | None = None
    version: str | None = None
    attributes: list[_Pair] | None = None


class _Resource(_Named):
    attributes: list[_Pair] | None = None


class _ScopeSpans(_Named):
    scope: _Scope | None = None
    spans: list[_Span] | None = None


class _ResourceSpans(_Named):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] | None = None


class _Request(_Named):
    resource_spans: list[_ResourceSpans] | None = None


def of_json(data: bytes) -> list[Sent]:
    """Return the spans of an `ExportTraceServiceRequest` in JSON; raise `InvalidTrace` where it is none."""
    try:
        return list(_of_request(msgspec.json.decode(data, type=_Request)))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InvalidTrace(f"this is no ExportTraceServiceRequest in JSON: {str(error)[:300]}") from error


def _of_request(request: _Request) -> Iterator[Sent]:
    for of_resource in request.resource_spans or ():
        resource = _told((of_resource.resource or _Resource()).attributes)
        for of_scope in of_resource.scope_spans or ():
            scope = of_scope.scope or _Scope()
            origin = Origin(resource, scope.name or "", scope.version or "", _told(scope.attributes))
            for span in of_scope.spans or ():
                status = span.status or _Status()
                yield Sent(
                    origin,
                    _id(span.trace_id, 16),
                    _id(span.span_id, 8),
                    _id(span.parent_span_id, 8),
                    span.name or "",
                    _numbered(span.kind, KINDS, "SPAN_KIND_"),
                    _whole(span.start_time_unix_nano),
                    _whole(span.end_time_unix_nano),
                    _told(span.attributes),
                    [(e.name or "", _whole(e.time_unix_nano), _told(e.attributes)) for e in span.events or ()],
                    [(_id(k.trace_id, 16), _id(k.span_id, 8), _told(k.attributes)) for k in span.links or ()],
                    _numbered(status.code, _CODES, "STATUS_CODE_"),
                    status.message or "",
                    span.flags or 0,
                    span.dropped_attributes_count or 0,
                )


_HEX = re.compile("[0-9a-fA-F]*")


def _id(text: str | None, size: int) -> bytes:
    """Return an id in hex, as OTLP has it, or in base64, as protobuf's own JSON has it."""
    if not text:
        return b""
    if len(text) == 2 * size and _HEX.fullmatch(text):
        return bytes.fromhex(text)
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode("utf-8", "replace")[:40]  # which is of no valid length, or so
    return decoded if len(decoded) == size else text.encode("utf-8", "replace")[:40]


def _whole(value: int | str | None) -> int:
    return value if isinstance(value, int) else int(value or 0)


def _numbered(value: int | str | None, names: Sequence[str], prefix: str) -> int:
    if isinstance(value, str):
        name = value.removeprefix(prefix)
        return names.index(name) if name in names else int(value)
    return value or 0


def _told(pairs: Sequence[_Pair] | None, depth: int = 0) -> Attributes:
    return {pair.key: _plain(pair.value, depth) for pair in pairs or ()}


def _plain(value: _AnyValue | None, depth: int) -> Any:
    if value is None:
        return None
    for name, read in _READERS.items():
        found = getattr(value, name)
        if found is not None:
            return read(found, depth)
    return None


def _listed(found: _Values, depth: int) -> Any:
    return [_plain(item, depth + 1) for item in found.values or ()] if depth < _DEEPEST else _TOO_DEEP


def _paired(found: _Pairs, depth: int) -> Any:
    return _told(found.values, depth + 1) if depth < _DEEPEST else _TOO_DEEP


_READERS: Mapping[str, Callable[[Any, int], Any]] = {
    "string_value": lambda found, _: found,
    "bool_value": lambda found, _: found,
    "int_value": lambda found, _: _whole(found),
    "double_value": lambda found, _: float(found),
    "array_value": _listed,
    "kvlist_value": _paired,
    "bytes_value": lambda found, _: base64.b64decode(found, validate=True),
}
