"""What can be asked of: every field of a trace and of its spans, with its names and the kind of its values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from autolog.model.span import SpanType, StatusCode
from autolog.model.trace import TraceState


class Scope(Enum):
    """Whose field it is."""

    TRACE = "trace"
    TAG = "tags"
    METADATA = "metadata"
    SPAN = "span"
    ATTRIBUTE = "span.attributes"
    FEEDBACK = "feedback"
    EXPECTATION = "expectation"


class Kind(Enum):
    """What its values are."""

    TEXT = "text"
    NUMBER = "a number"
    DURATION = "a duration"
    """Stored in nanoseconds, written in milliseconds or with a unit."""
    MOMENT = "a time"
    """Stored in nanoseconds since the epoch."""
    CHOICE = "one of a few names"
    PAYLOAD = "any value"
    """What went into a step or came out of it: asked for its texts."""
    ANY = "text, a number, true or false"


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `Field(Scope.TRACE, "duration")`, `Field(Scope.TAG, "version")`."""

    scope: Scope
    name: str

    @property
    def kind(self) -> Kind:
        """What its values are."""
        return _KINDS_OF_SCOPES.get(self.scope) or _FIELDS[self.scope][self.name]

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that there are, where these are few."""
        return _CHOICES[self.scope, self.name]

    @property
    def is_of_span(self) -> bool:
        """Whether it is a field of a span, of which a trace has many."""
        return self.scope in (Scope.SPAN, Scope.ATTRIBUTE)

    def __str__(self) -> str:
        return self.name if self.scope is Scope.TRACE else f"{self.scope.value}.{self.name}"


_KINDS_OF_SCOPES: Mapping[Scope, Kind] = {
    Scope.TAG: Kind.TEXT,
    Scope.METADATA: Kind.TEXT,
    Scope.ATTRIBUTE: Kind.ANY,
    Scope.FEEDBACK: Kind.ANY,
    Scope.EXPECTATION: Kind.ANY,
}
_FIELDS: Mapping[Scope, Mapping[str, Kind]] = {
    Scope.TRACE: {
        "status": Kind.CHOICE,
        "name": Kind.TEXT,
        "timestamp": Kind.MOMENT,
        "end_time": Kind.MOMENT,
        "duration": Kind.DURATION,
        "tokens": Kind.NUMBER,
        "input_tokens": Kind.NUMBER,
        "output_tokens": Kind.NUMBER,
        "cost": Kind.NUMBER,
        "session": Kind.TEXT,
        "user": Kind.TEXT,
        "experiment": Kind.TEXT,
        "run": Kind.TEXT,
        "model": Kind.TEXT,
        "version": Kind.TEXT,
        "client_request_id": Kind.TEXT,
        "trace_id": Kind.TEXT,
        "spans": Kind.NUMBER,
        "errors": Kind.NUMBER,
        "request": Kind.TEXT,
        "response": Kind.TEXT,
        "inputs": Kind.PAYLOAD,
        "outputs": Kind.PAYLOAD,
        "text": Kind.PAYLOAD,
    },
    Scope.SPAN: {
        "type": Kind.CHOICE,
        "name": Kind.TEXT,
        "status": Kind.CHOICE,
        "duration": Kind.DURATION,
        "model": Kind.TEXT,
        "provider": Kind.TEXT,
        "error": Kind.TEXT,
        "tokens": Kind.NUMBER,
        "input_tokens": Kind.NUMBER,
        "output_tokens": Kind.NUMBER,
        "cost": Kind.NUMBER,
        "inputs": Kind.PAYLOAD,
        "outputs": Kind.PAYLOAD,
        "text": Kind.PAYLOAD,
    },
}
OF_SPANS: Mapping[str, str] = {"model": "model", "inputs": "inputs", "outputs": "outputs", "text": "text"}
"""Fields of a trace that are those of any of its spans."""
_CHOICES: Mapping[tuple[Scope, str], tuple[str, ...]] = {
    (Scope.TRACE, "status"): tuple(TraceState.__members__),
    (Scope.SPAN, "status"): tuple(StatusCode.__members__),
    (Scope.SPAN, "type"): tuple(SpanType.__members__),
}
# The names that MLflow's users know, and those that people try first.
_ALIASES: Mapping[Scope, Mapping[str, str]] = {
    Scope.TRACE: {
        "state": "status",
        "trace_name": "name",
        "timestamp_ms": "timestamp",
        "time": "timestamp",
        "start_time": "timestamp",
        "start_time_ms": "timestamp",
        "request_time": "timestamp",
        "end_time_ms": "end_time",
        "execution_time": "duration",
        "execution_time_ms": "duration",
        "execution_duration": "duration",
        "duration_ms": "duration",
        "latency": "duration",
        "total_tokens": "tokens",
        "total_cost": "cost",
        "session_id": "session",
        "user_id": "user",
        "experiment_id": "experiment",
        "run_id": "run",
        "request_id": "trace_id",
        "span_count": "spans",
        "error_count": "errors",
        "request_preview": "request",
        "response_preview": "response",
    },
    Scope.SPAN: {
        "span_type": "type",
        "state": "status",
        "duration_ms": "duration",
        "latency": "duration",
        "error_type": "error",
        "total_tokens": "tokens",
        "content": "text",
    },
}
_PREFIXES: Mapping[str, Scope] = {
    "trace": Scope.TRACE,
    "attribute": Scope.TRACE,
    "attributes": Scope.TRACE,
    "tag": Scope.TAG,
    "tags": Scope.TAG,
    "metadata": Scope.METADATA,
    "request_metadata": Scope.METADATA,
    "trace_metadata": Scope.METADATA,
    "span": Scope.SPAN,
    "spans": Scope.SPAN,
    "feedback": Scope.FEEDBACK,
    "expectation": Scope.EXPECTATION,
    "expectations": Scope.EXPECTATION,
}
# As the grammar has it.
_WRITTEN = re.compile(r"(?:[^\W\d]\w*|`[^`]*`)(?:\.(?:[\w\-/@$]+|`[^`]*`|\"[^\"]*\"))*")
_SEGMENT = re.compile(r"`([^`]*)`|\"([^\"]*)\"|([^.`\"]+)")


class UnknownField(Exception):
    """There is no such field; the message says what there is."""


def find(written: str) -> Field:
    """Return the field of this name, as a user writes it; raise `UnknownField` that says what may be meant."""
    if not _WRITTEN.fullmatch(written):
        raise UnknownField(f"{written[:60]!r} is not how a field is written: name, tags.version, tags.`my key`")
    segments = [next(part for part in match.groups() if part is not None) for match in _SEGMENT.finditer(written)]
    if len(segments) < 2:
        return _named(Scope.TRACE, segments[0] if segments else "", written)
    scope = _PREFIXES.get(segments[0].lower())
    if scope is None:
        raise UnknownField(_unknown(written, segments[0], [*_PREFIXES], [*_FIELDS[Scope.TRACE], *_KEYED]))
    if scope is Scope.SPAN and segments[1].lower() in ("attributes", "attribute") and len(segments) > 2:
        return Field(Scope.ATTRIBUTE, ".".join(segments[2:]))
    key = ".".join(segments[1:])
    return _named(scope, key, written) if scope in _FIELDS else Field(scope, key)


def _named(scope: Scope, name: str, written: str) -> Field:
    lowered = name.lower()
    lowered = _ALIASES[scope].get(lowered, lowered)
    if lowered in _FIELDS[scope]:
        return Field(scope, lowered)
    prefix, keyed = ("span.", ["span.attributes.<key>"]) if scope is Scope.SPAN else ("", _KEYED)
    listed = [*[prefix + known for known in _FIELDS[scope]], *keyed]
    raise UnknownField(_unknown(written, name, [*_FIELDS[scope], *_ALIASES[scope]], listed))


_KEYED = [
    "tags.<key>", "metadata.<key>", "span.<field>", "span.attributes.<key>", "feedback.<name>", "expectation.<name>",
]  # fmt: skip


def _unknown(written: str, name: str, known: Sequence[str], listed: Sequence[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name.lower()[:60], known, 1)
    meant = f"; did you mean {written[:60].replace(name, close[0], 1)}?" if close else "."
    return f"there is no field {written[:60]}{meant} There are: {', '.join(listed)}"
