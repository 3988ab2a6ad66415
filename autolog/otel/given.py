"""Attributes of a foreign span while they are read: what a dialect takes is gone, what nobody takes stays as it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autolog import semconv
from autolog.model.chat import ChatMessage, asked, plain_answer, plain_messages
from autolog.model.parts import decoded
from autolog.model.span import SpanEvent, SpanType
from autolog.model.usage import COUNTS, Cost, TokenUsage

_DEEPEST = 16
_MISSING: Any = object()


class Given:
    """Attributes and events, whose values may be of any type."""

    def __init__(self, attributes: Mapping[str, Any], events: Sequence[SpanEvent] = ()) -> None:
        self.left: dict[str, Any] = dict(attributes)
        self.events = list(events)

    def __contains__(self, name: str) -> bool:
        return name in self.left

    def get(self, name: str) -> Any:
        """Look at an attribute without taking it."""
        return self.left.get(name)

    def take(self, *names: str) -> Any:
        """Take all of these attributes; return the first that there is."""
        # A span is asked for a hundred names, and has ten: it is quicker to look first.
        left, found = self.left, None
        for name in names:
            if name in left:
                value = left.pop(name)
                found = value if found is None else found
        return found

    def text(self, *names: str) -> str | None:
        """Take the first of these that is a text; others stay."""
        found: str | None = self._first_of(str, names)
        return found

    def count(self, *names: str) -> int | None:
        """Take the first of these that is a whole number."""
        left = self.left
        for name in names:
            if name in left and (number := whole(left[name])) is not None:
                del left[name]
                return number
        return None

    def amount(self, *names: str) -> float | None:
        """Take the first of these that is a number."""
        found = self._first_of((int, float), names)
        return None if found is None else float(found)

    def _first_of(self, kind: type | tuple[type, ...], names: Iterable[str]) -> Any:
        left = self.left
        for name in names:
            if name in left and isinstance(left[name], kind) and not isinstance(left[name], bool):
                return left.pop(name)
        return None

    def json(self, *names: str) -> Any:
        """Take the first of these there is; return what it spells in JSON, or the text itself where it is none."""
        value = self.take(*names)
        return None if value is None else decoded(value)

    def below(self, prefix: str) -> dict[str, Any]:
        """Take all attributes whose names begin with `prefix`; return them by the rest of their names."""
        names = [name for name in self.left if name.startswith(prefix) and len(name) > len(prefix)]
        return {name[len(prefix) :]: self.left.pop(name) for name in names}

    def tree(self, prefix: str) -> Any:
        """Take attributes that are flattened below `prefix` (`a.0.b.c`); return them as dicts and lists, or `None`.

        Lists are as long as they have items, whatever their numbers are.
        """
        root: dict[str, Any] = {}
        for name, value in self.below(f"{prefix}.").items():
            place = root
            *above, last = name.split(".", _DEEPEST)
            for step in above:
                inner = place.get(step)
                if not isinstance(inner, dict):
                    inner = place[step] = {}
                place = inner
            if not isinstance(place.get(last), dict):
                place[last] = value
        return _with_lists(root) if root else None

    def take_event(self, name: str) -> list[SpanEvent]:
        """Take all events of that name."""
        found = [event for event in self.events if event.name == name]
        if found:
            self.events = [event for event in self.events if event.name != name]
        return found


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if all(key.isdecimal() and key.isascii() and len(key) < _DEEPEST for key in value):
        return [_with_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _with_lists(item) for key, item in value.items()}


def whole(value: Any) -> int | None:
    """Return a whole number, or `None` for what is not one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, float) and math.isfinite(value) and value == int(value) else None


def items(value: Any) -> list[Any]:
    """Return the items of a list or a tuple, else none."""
    return list(value) if isinstance(value, (list, tuple)) else []


def fields(value: Any) -> Mapping[str, Any]:
    """Return a mapping, and an empty one in place of anything else."""
    return value if isinstance(value, Mapping) else {}


@dataclass(slots=True)
class Found:
    """What the attributes of a foreign span say, in the words of our model. What is set first stays."""

    span_type: SpanType | None = None
    inputs: Any = None
    outputs: Any = None
    attributes: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    """Tokens, by the names of `TokenUsage`."""
    cost: Cost | None = None
    session: str | None = None
    user: str | None = None
    experiment: str | None = None
    run: str | None = None
    version: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)

    def is_of(self, span_type: SpanType | None) -> None:
        """Note the type."""
        if self.span_type is None:
            self.span_type = span_type

    def has(self, name: str, value: Any) -> None:
        """Note an attribute."""
        if value is not None:
            self.attributes.setdefault(name, value)

    def used(self, **counts: int | None) -> None:
        """Note token counts."""
        for name, count in counts.items():
            if count is not None and count >= 0:
                self.counts.setdefault(name, count)

    def asked(self, messages: Sequence[ChatMessage], **more: Any) -> None:
        """Note what a model was asked, with tools, instructions and parameters beside."""
        known = {name: value for name, value in more.items() if value not in (None, [], {}, ())}
        if self.inputs is None and (messages or known):
            self.inputs = {**({"messages": plain_messages(messages)} if messages else {}), **known}

    def answered(self, messages: Sequence[ChatMessage]) -> None:
        """Note what a model answered."""
        if self.outputs is None and messages:
            self.outputs = plain_answer(messages)

    def went_in(self, inputs: Any) -> None:
        """Note the inputs."""
        if self.inputs is None:
            self.inputs = inputs

    def came_out(self, outputs: Any) -> None:
        """Note the outputs."""
        if self.outputs is None:
            self.outputs = outputs

    def belongs_to(self, session: Any = None, user: Any = None) -> None:
        """Note the session and the user."""
        self.session = self.session or (str(session) if isinstance(session, (str, int)) and session else None)
        self.user = self.user or (str(user) if isinstance(user, (str, int)) and user else None)

    def is_tagged(self, tags: Any) -> None:
        """Note tags: names, or names with values."""
        named = tags.items() if isinstance(tags, Mapping) else ((tag, "true") for tag in items(tags))
        for name, value in named:
            self.tags.setdefault(str(name), value if isinstance(value, str) else str(value))

    def is_described(self, metadata: Any) -> None:
        """Note metadata of the trace."""
        for name, value in fields(metadata).items():
            if value is not None:
                self.metadata.setdefault(str(name), value if isinstance(value, str) else str(value))

    def parameters(self, given: Any) -> dict[str, Any]:
        """Note what a model is called with by its usual names; return what has no attribute."""
        rest: dict[str, Any] = {}
        for name, value in fields(given).items():
            attribute = PARAMETERS.get(name)
            if attribute is None:
                rest[name] = value
            elif isinstance(value, (str, int, float)) or (name == "stop" and isinstance(value, list)):
                self.has(attribute, value)
        return rest

    @property
    def usage(self) -> TokenUsage | None:
        """The tokens, with the total where nobody gave it."""
        counts = {name: count for name, count in self.counts.items() if name in COUNTS}
        known = counts.get("input_tokens"), counts.get("output_tokens")
        if "total_tokens" not in counts and None not in known:
            counts["total_tokens"] = sum(count for count in known if count is not None)
        return TokenUsage(**counts) or None


PARAMETERS: Mapping[str, str] = {
    "model": semconv.REQUEST_MODEL,
    "model_name": semconv.REQUEST_MODEL,
    **semconv.REQUEST_PARAMETERS,
    "stop": semconv.REQUEST_STOP,
    "stream": semconv.REQUEST_STREAM,
    "n": semconv.REQUEST_CHOICE_COUNT,
}


def is_conversation(inputs: Any) -> bool:
    """Whether the inputs of a model hold its messages or its prompt already, as they are sent to one."""
    if not isinstance(inputs, Mapping):
        return False
    turns = items(inputs.get("messages"))
    # A framework may write its own objects instead, such as LangChain's serialised ones.
    is_framework_s = any(not isinstance(turn, Mapping) or "lc" in turn for turn in turns)
    return bool(asked(inputs).messages) and not is_framework_s
