"""The rows of the SQLite store: their columns, and how a trace's row is added up from its spans."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from autolog import capture, semconv, texts
from autolog.model.message import preview
from autolog.model.span import Span, StatusCode
from autolog.model.trace import TraceContext, TraceState
from autolog.model.usage import Cost, TokenUsage

# By their places in these, they are stored: new ones go last.
STATES = (TraceState.IN_PROGRESS, TraceState.OK, TraceState.ERROR, TraceState.CANCELLED)
STATUSES = (StatusCode.UNSET, StatusCode.OK, StatusCode.ERROR, StatusCode.CANCELLED)
_GRAVITY = (0, 1, 3, 2)
SPAN_COLUMNS = (
    "rid", "span_id", "parent_id", "name", "type", "status", "start_ns", "end_ns", "model", "provider",
    "input_tokens", "output_tokens", "cost", "error_type", "first_token_ns", "duplicate",
)  # fmt: skip
ROWS_WORTH_INDEXING = 256
"""Rows of payloads: for fewer, a search reads them faster than their words would be indexed."""
NEVER = 2**62
_MAX_LABEL = 500
_MAX_ERROR = 400
_LARGEST = 2**63 - 1
# Six bytes are stored as they are; eight would take a third more of the index, and gain nothing.
_LABEL_BYTES = 6
MANY_NAMES = ("span.names", "many")
"""The label of traces of which not every span's name is a label."""


@dataclass(slots=True)
class Summary:
    """The row of a trace, as it is added up."""

    rank: int = 0
    state: int = 0
    name: str = ""
    start_ns: int = NEVER
    end_ns: int | None = None
    experiment: str = "default"
    run: str | None = None
    session: str | None = None
    user: str | None = None
    request: str | None = None
    response: str | None = None
    spans: int = 0
    errors: int = 0
    usage: str | None = None
    total_tokens: int | None = None
    cost_input: float | None = None
    cost_output: float | None = None
    cost_total: float | None = None
    tags: str | None = None
    metadata: str | None = None
    version: str | None = None
    client_request_id: str | None = None
    error: str | None = None

    def values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def add(self, span: Span, *, is_new: bool, newly_ended: bool) -> None:
        self.start_ns = min(self.start_ns, span.start_time_ns)
        self.spans += is_new
        if newly_ended and span._status.is_error:
            self.errors += 1
            self.error = self.error or _failure(span)
        if not self.name:
            self.name = text(span.name)
        rank = 0 if span._parent is not None else 1 if span._parent_id is not None else 2
        if rank == 0 or rank < self.rank:
            return
        if rank > self.rank or span.start_time_ns <= self.start_ns:
            self.name = text(span.name)
            self.request = _previewed(span, "request_preview", 0, span.inputs) or self.request
        if rank > self.rank:
            self.state, self.end_ns = 0, None
        self.rank = rank
        if span.end_time_ns is not None:
            ended_as = max(STATUSES.index(span.status.code), 1)
            self.state = max(self.state, ended_as, key=_GRAVITY.__getitem__)
            self.end_ns = max(self.end_ns or 0, span.end_time_ns)
            self.response = _previewed(span, "response_preview", 1, span.outputs) or self.response

    def take_shared(self, spans: Sequence[Span]) -> None:
        """Add what the spans of the trace share: those of one process have one context."""
        for context in {id(span._context): span._context for span in spans}.values():
            if context is not None:
                self._take(context)

    def _take(self, context: TraceContext) -> None:
        self.experiment = text(context.experiment)
        self.run = text(context.run) or self.run
        self.session = text(context.session) or self.session
        self.user = text(context.user) or self.user
        self.version = text(context.version) or self.version
        self.client_request_id = text(context.client_request_id) or self.client_request_id
        if context.state is not None and self.end_ns is not None:
            self.state = STATES.index(context.state)
        if context.tags:
            self.tags = _merge(self.tags, context.tags)
        if context.metadata:
            self.metadata = _merge(self.metadata, context.metadata)

    def count(self, counted: Sequence[tuple[TokenUsage, Cost]]) -> None:
        """Add what spans that ended used and cost."""
        if not counted:
            return
        usage, cost = counted[0]
        for more_usage, more_cost in counted[1:]:
            usage, cost = usage + more_usage, cost + more_cost
        total = usage + TokenUsage.from_dict(json.loads(self.usage)) if self.usage else usage
        self.usage = json.dumps({name: count for name, count in total.to_dict().items() if name != "raw"})
        self.total_tokens = whole(total.known_total)
        if cost.total or self.cost_total is not None:
            self.cost_input = (self.cost_input or 0) + cost.input
            self.cost_output = (self.cost_output or 0) + cost.output
            self.cost_total = (self.cost_total or 0) + cost.total


TRACE_COLUMNS = ("rid", "trace_id", *Summary.__slots__)


def _merge(stored: str | None, added: dict[str, str]) -> str:
    cleaned = {text(key): text(value) for key, value in added.items()}
    return json.dumps({**(json.loads(stored) if stored else {}), **cleaned}, sort_keys=True)


def whole(count: int | None) -> int | None:
    """Return a count that a database takes: a provider may say anything."""
    return count if count is None else max(min(count, _LARGEST), -_LARGEST)


def _failure(span: Span) -> str | None:
    said = span._status.description or span._attributes.get(semconv.ERROR_TYPE)
    return text(capture.preview([texts.text(said)], _MAX_ERROR)) if said else None


def _previewed(span: Span, name: str, place: int, payload: Any) -> str | None:
    given = getattr(span._context, name) if span._context is not None else None
    return text(given) or (preview(payload) if span.previews is None else text(span.previews[place]))


def text(value: Any) -> Any:
    """Return text that a database takes."""
    if value is None:
        return None
    cleaned = value if isinstance(value, str) else str(value)
    return cleaned if cleaned.isascii() else capture.clean_text(cleaned)


@lru_cache(8_192)
def label(key: str, value: str) -> int:
    """Return the number by which traces are found that have this value: a tag, a model, a type or name of a span.

    Two values may share one, so that what is found by it is to be compared.
    """
    named = f"{text(key)[:_MAX_LABEL]}\0{text(value)[:_MAX_LABEL]}".encode()
    return int.from_bytes(hashlib.blake2b(named, digest_size=_LABEL_BYTES).digest(), "big")
