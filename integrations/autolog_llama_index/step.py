"""A step of LlamaIndex while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autolog import Span

if TYPE_CHECKING:
    from autolog_llama_index.kinds import Kind
    from autolog_llama_index.models import Asked
    from autolog_llama_index.streams import Stream


class Step:
    """What LlamaIndex calls a span; ours may be that of a step around it."""

    # Defaults live on the class: a step sets only what it has.
    span: Span
    options: Mapping[str, Any]
    before: Step | None = None
    """The step that was known to run here before."""
    outputs: Any = None
    prompt: tuple[Any, Mapping[str, Any]] | None = None
    """A template and its variables."""
    asked: Asked | None = None
    """Of a model call: what was asked, and what has come of it."""
    inner_id: str | None = None
    """Of a model call: the id of the part of it whose stream it hands on."""
    stream: Stream | None = None
    """What the program reads the rest from, after the step has returned."""
    is_cancelled = False
    is_detached = False
    """Whether it is a run that goes on when the call has returned that LlamaIndex tells of."""
    failed: Span | None = None
    """The last span right below that failed."""
    said: str | None = None
    """What a model said last that streamed its answer inside of it."""
    written: tuple[str, BaseException | None] | None = None
    """Of a chat that is streamed: what came when it was written to the history."""
    event: Any = None
    """Of a step of a workflow: the event that it is run for."""
    waiting: list[tuple[Any, Span]] | None = None
    """Of a workflow's run: the events whose steps wait for somebody, and their spans."""

    def __init__(self, id_: str, name: str, kind: Kind, instance: Any, parent: Step | None) -> None:
        self.id = id_
        self.name = name
        self.kind = kind
        self.instance = instance
        self.parent = parent
        self.shown: Step = self
        """The step whose span this is: itself, or the one around it that it is a part of."""

    @property
    def is_part(self) -> bool:
        """Whether it has no span of its own."""
        return self.shown is not self
