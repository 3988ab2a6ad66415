"""What LlamaIndex's root dispatcher calls, for each step and each event of it, in whichever thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import BoundArguments
from typing import Any

import llama_index_instrumentation
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span_handlers import BaseSpanHandler

from autolog.guard import guarded
from autolog_llama_index.recorder import recorder

# By the class of an event; the others say what the steps say.
_EVENTS: Mapping[str, Callable[[Any], None]] = {
    "LLMChatInProgressEvent": recorder.piece,
    "LLMCompletionInProgressEvent": recorder.piece,
    "LLMChatEndEvent": recorder.answered,
    "LLMCompletionEndEvent": recorder.answered,
    "ExceptionEvent": recorder.broken,
    "ReRankStartEvent": recorder.reranking,
    "SpanCancelledEvent": recorder.cancelled,
}


class SpanHandler(BaseSpanHandler[Any]):
    """Hands steps to the recorder, and keeps no account of its own."""

    @classmethod
    def class_name(cls) -> str:
        return "AutologSpanHandler"

    def span_enter(
        self,
        id_: str,
        bound_args: BoundArguments,
        instance: Any = None,
        parent_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        with guarded:
            recorder.enter(id_, bound_args, instance, parent_id, tags)

    def span_exit(
        self,
        id_: str,
        bound_args: BoundArguments,  # noqa: ARG002
        instance: Any = None,  # noqa: ARG002
        result: Any = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        with guarded:
            recorder.exit(id_, result)

    def span_drop(
        self,
        id_: str,
        bound_args: BoundArguments,  # noqa: ARG002
        instance: Any = None,  # noqa: ARG002
        err: BaseException | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        with guarded:
            recorder.drop(id_, err)

    def close(self) -> None:
        with guarded:
            recorder.finish_all()

    # Abstract in the base class, and called by those of its methods that are overridden above.

    def new_span(self, *args: Any, **kwargs: Any) -> None: ...

    def prepare_to_exit_span(self, *args: Any, **kwargs: Any) -> None: ...

    def prepare_to_drop_span(self, *args: Any, **kwargs: Any) -> None: ...


class EventHandler(BaseEventHandler):
    """Hands those events to the recorder that tell more than the steps do."""

    @classmethod
    def class_name(cls) -> str:
        return "AutologEventHandler"

    def handle(self, event: Any, **kwargs: Any) -> None:  # noqa: ARG002
        take = _EVENTS.get(type(event).__name__)
        if take is not None:
            with guarded:
                take(event)


_handlers = SpanHandler(), EventHandler()


def add_handlers() -> None:
    """Take part in all that LlamaIndex does. A second call changes nothing."""
    root = llama_index_instrumentation.root_dispatcher
    spans, events = _handlers
    if not any(handler is spans for handler in root.span_handlers):
        root.add_span_handler(spans)
    if not any(handler is events for handler in root.event_handlers):
        root.add_event_handler(events)


def remove_handlers() -> None:
    """Take part no more, and leave the handlers of others where they are."""
    root = llama_index_instrumentation.root_dispatcher
    spans, events = _handlers
    root.span_handlers = [handler for handler in root.span_handlers if handler is not spans]
    root.event_handlers = [handler for handler in root.event_handlers if handler is not events]
