"""Make values that OpenTelemetry takes: texts, numbers, lists of either, and JSON for all that is nested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from autolog import capture
from autolog.capture import Limits
from autolog.model.chat import Asked, ChatMessage, answered, asked
from autolog.model.span import Span, SpanType

Attributes = dict[str, Any]

_LARGEST = 2**63
_PLAIN = (str, bool, int, float)


def json_text(value: Any) -> str:
    """Return JSON."""
    return capture.json_bytes(value).decode()


def text_or_json(value: Any) -> str:
    """Return a text as it is, anything else as JSON."""
    return capture.clean_text(value) if isinstance(value, str) else json_text(value)


def valid(value: Any) -> Any:
    """Return `value` as an attribute may have it; `None` for what is to be left out."""
    if isinstance(value, str):
        return capture.clean_text(value)
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if -_LARGEST <= value < _LARGEST else str(value)
    if isinstance(value, (list, tuple)) and len({type(item) for item in value}) == 1 and isinstance(value[0], _PLAIN):
        return [valid(item) for item in value]
    return json_text(value) if not isinstance(value, (list, tuple)) or value else None


def all_valid(attributes: Mapping[str, Any]) -> Attributes:
    """Return attributes without those that have no value."""
    return {name: item for name, value in attributes.items() if (item := valid(value)) is not None}


class Told:
    """What a span says, read once for whichever convention it is told in.

    Media above the limit are replaced by what they are, and texts are cut, as in the store.
    """

    __slots__ = ("_asked", "inputs", "outputs", "span")

    def __init__(self, span: Span, limits: Limits) -> None:
        self.span = span
        self.inputs = _within(span._inputs, limits)
        self.outputs = _within(span._outputs, limits)
        self._asked: Asked | None = None

    @property
    def is_model_call(self) -> bool:
        """Whether it is a call of a model that chats or completes."""
        return self.span.span_type in (SpanType.CHAT_MODEL, SpanType.LLM)

    @property
    def asked(self) -> Asked:
        """What a model was asked."""
        if self._asked is None:
            self._asked = asked(self.inputs)
        return self._asked

    @property
    def answered(self) -> tuple[ChatMessage, ...]:
        """What a model answered."""
        return answered(self.outputs)

    @property
    def query(self) -> str | None:
        """What was searched for."""
        found = self.inputs.get("query") if isinstance(self.inputs, Mapping) else self.inputs
        return found if isinstance(found, str) else None


def _within(value: Any, limits: Limits) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if capture.storable_as_is(value, limits) is not None:
        return value
    return orjson.loads(capture.storable(value, limits)[0])
