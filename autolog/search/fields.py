"""What can be asked of: every field of a trace and of its spans, with its names and the kind of its values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

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
        return self._known.kind

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        return self._known.title

    @property
    def example(self) -> str:
        """A condition that asks for it."""
        return self._known.example

    @property
    def _known(self) -> _Known:
        return _KEYED_SCOPES.get(self.scope) or _FIELDS[self.scope][self.name]

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that there are, where these are few."""
        return _CHOICES.get((self.scope, self.name), ())

    @property
    def aliases(self) -> list[str]:
        """Its other names, as they are written."""
        prefix = "" if self.scope is Scope.TRACE else f"{self.scope.value}."
        return [prefix + alias for alias, name in _ALIASES.get(self.scope, {}).items() if name == self.name]

    @property
    def is_of_span(self) -> bool:
        """Whether it is a field of a span, of which a trace has many."""
        return self.scope in (Scope.SPAN, Scope.ATTRIBUTE)

    def __str__(self) -> str:
        return self.name if self.scope is Scope.TRACE else f"{self.scope.value}.{self.name}"

    def written(self) -> str:
        """Return it as a filter has it: a key that is no plain name in quotes."""
        key = self.name
        if self.scope in _KEYED_SCOPES and not _PLAIN_KEY.fullmatch(key):
            key = f"`{key}`" if "`" not in key else f'"{key}"'
        return key if self.scope is Scope.TRACE else f"{self.scope.value}.{key}"


class _Known(NamedTuple):
    """What there is to say of a field."""

    kind: Kind
    title: str
    example: str


_KEYED_SCOPES: Mapping[Scope, _Known] = {
    Scope.TAG: _Known(Kind.TEXT, "a tag of the trace", "tags.channel = 'web'"),
    Scope.METADATA: _Known(Kind.TEXT, "metadata of the trace", "metadata.region = 'eu'"),
    Scope.ATTRIBUTE: _Known(Kind.ANY, "an attribute of a span", "span.attributes.gen_ai.request.temperature > 0.5"),
    Scope.FEEDBACK: _Known(Kind.ANY, "feedback", "feedback.helpful = false"),
    Scope.EXPECTATION: _Known(Kind.ANY, "what was expected", "expectation.answer LIKE '%Paris%'"),
}
_FIELDS: Mapping[Scope, Mapping[str, _Known]] = {
    Scope.TRACE: {
        "status": _Known(Kind.CHOICE, "how the trace ended", "status = 'ERROR'"),
        "name": _Known(Kind.TEXT, "the name of its root", "name = 'answer'"),
        "timestamp": _Known(Kind.MOMENT, "when it began", "timestamp > now() - 1h"),
        "end_time": _Known(Kind.MOMENT, "when it ended", "end_time > now() - 1h"),
        "duration": _Known(Kind.DURATION, "how long it took", "duration > 2s"),
        "tokens": _Known(Kind.NUMBER, "tokens of its model calls", "tokens > 1000"),
        "input_tokens": _Known(Kind.NUMBER, "tokens that went in", "input_tokens > 1000"),
        "output_tokens": _Known(Kind.NUMBER, "tokens that came out", "output_tokens > 500"),
        "cost": _Known(Kind.NUMBER, "US dollars", "cost > 0.01"),
        "session": _Known(Kind.TEXT, "the conversation", "session = 'chat-7'"),
        "user": _Known(Kind.TEXT, "the end user", "user = 'ada'"),
        "experiment": _Known(Kind.TEXT, "the experiment", "experiment = 'default'"),
        "run": _Known(Kind.TEXT, "the run, by its id", "run IS NOT NULL"),
        "model": _Known(Kind.TEXT, "any model that it called", "model LIKE 'gpt-4%'"),
        "version": _Known(Kind.TEXT, "the program's version", "version = '1.4'"),
        "client_request_id": _Known(Kind.TEXT, "the caller's id of the request", "client_request_id = 'r-1'"),
        "trace_id": _Known(Kind.TEXT, "its id, 32 hex digits", "trace_id LIKE '1edb72%'"),
        "spans": _Known(Kind.NUMBER, "how many spans it has", "spans > 100"),
        "errors": _Known(Kind.NUMBER, "how many spans failed", "errors > 0"),
        "request": _Known(Kind.TEXT, "the beginning of what was asked", "request LIKE '%refund%'"),
        "response": _Known(Kind.TEXT, "the beginning of the answer", "response LIKE '%sorry%'"),
        "inputs": _Known(Kind.PAYLOAD, "what went into any step", "inputs CONTAINS 'refund'"),
        "outputs": _Known(Kind.PAYLOAD, "what came out of any step", "outputs CONTAINS 'refund'"),
        "text": _Known(Kind.PAYLOAD, "the words of all steps", "text CONTAINS 'refund policy'"),
    },
    Scope.SPAN: {
        "type": _Known(Kind.CHOICE, "what kind of step", "span.type = 'RETRIEVER'"),
        "name": _Known(Kind.TEXT, "the name of a step", "span.name = 'search'"),
        "status": _Known(Kind.CHOICE, "how a step ended", "span.status = 'ERROR'"),
        "duration": _Known(Kind.DURATION, "how long a step took", "span.duration > 2s"),
        "model": _Known(Kind.TEXT, "the model that it called", "span.model = 'gpt-4o'"),
        "provider": _Known(Kind.TEXT, "who serves the model", "span.provider = 'openai'"),
        "error": _Known(Kind.TEXT, "the type of its error", "span.error = 'TimeoutError'"),
        "tokens": _Known(Kind.NUMBER, "tokens of a step", "span.tokens > 1000"),
        "input_tokens": _Known(Kind.NUMBER, "tokens that went into a step", "span.input_tokens > 1000"),
        "output_tokens": _Known(Kind.NUMBER, "tokens that came out of a step", "span.output_tokens > 500"),
        "cost": _Known(Kind.NUMBER, "US dollars of a step", "span.cost > 0.01"),
        "inputs": _Known(Kind.PAYLOAD, "what went into a step", "span.inputs CONTAINS 'refund'"),
        "outputs": _Known(Kind.PAYLOAD, "what came out of a step", "span.outputs CONTAINS 'refund'"),
        "text": _Known(Kind.PAYLOAD, "the words of a step", "span.text CONTAINS 'refund'"),
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


_PLAIN_KEY = re.compile(r"[\w\-/@$]+(?:\.[\w\-/@$]+)*")


def all_fields() -> list[Field]:
    """Return every field that has a name of its own."""
    return [Field(scope, name) for scope, named in _FIELDS.items() for name in named]


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
