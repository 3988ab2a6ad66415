"""Start and end a span for each step that LlamaIndex tells of, and know which of them the code here belongs to."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from contextvars import ContextVar
from functools import partial
from inspect import BoundArguments
from typing import Any

from llama_index_instrumentation.dispatcher import active_instrument_tags
from llama_index_instrumentation.span import active_span_id

from autolog import Span, Status
from autolog.instrumentation import generators
from autolog.model.span import NO_SPAN
from autolog.tracer import Tracer
from autolog_llama_index import kinds, models, read, tags, waits
from autolog_llama_index.kinds import Fold, Kind
from autolog_llama_index.step import Step
from autolog_llama_index.streams import Stream, generator_of

# `-` and a UUID, behind the name of what runs.
_SUFFIX = 37


class Recorder:
    """All steps of the process that are going on. Those that began are followed to their ends even when it is off."""

    def __init__(self) -> None:
        self.tracer: Tracer | None = None
        """Who starts spans; `None` while no new ones are recorded."""
        self.options: Mapping[str, Any] = {}
        self._open: dict[str, Step] = {}
        self._waiting: dict[int, Step] = {}
        """Steps that returned and whose output is still to come, by the ids of their spans."""
        self._streams: weakref.WeakKeyDictionary[Any, Stream] = weakref.WeakKeyDictionary()
        # Set by each step, in the context that it runs in, and believed only where LlamaIndex says the same: so a task
        # that was started inside of a step finds it even when it has ended.
        self._here: ContextVar[Step | None] = ContextVar("autolog-llama-index", default=None)

    def __len__(self) -> int:
        return len(self._open) + len(self._waiting)

    def running(self) -> Span | None:
        """Return the span of the step whose code runs here."""
        step = self._find(active_span_id.get())
        return None if step is None else step.span

    def step(self) -> Step | None:
        """Return the step whose code runs here."""
        return self._find(active_span_id.get())

    def _find(self, id_: str | None) -> Step | None:
        if id_ is None:
            return None
        step = self._open.get(id_)
        if step is not None:
            return step
        step = self._here.get()
        return step if step is not None and step.id == id_ else None

    # --- starting --------------------------------------------------------------------------------

    def enter(
        self, id_: str, bound: BoundArguments, instance: Any, parent_id: str | None, told: Mapping[str, Any] | None
    ) -> None:
        """Start a step; its span goes below the step that encloses it, or is that one's."""
        tracer = self.tracer
        if tracer is None:
            return
        parent = self._enclosing(parent_id)
        name = id_[:-_SUFFIX]
        step = Step(id_, name, _kind(name, bound, instance, parent), instance, parent, self.options)
        if parent is not None and _is_part(step, parent):
            step.span, step.shown = parent.span, parent.shown
            self._note(step)
            if step.kind.reading is read.PREDICTION:
                step.prompt = read.prompt_of(bound)
            return
        kind = step.kind
        above = None if parent is None else parent.span
        step.span = tracer.start_step(_title(name, kind), kind.span_type, parent=generators.innermost(above))
        if step.span is NO_SPAN:
            return
        step.span.is_framework_call = kind.is_model_call
        self._note(step)
        kind.reading.begin(step, bound)
        tags.take(step, active_instrument_tags.get() if told is None else told)
        waits.resume(step, bound)

    def _note(self, step: Step) -> None:
        self._open[step.id] = step
        step.before = self._here.get()
        self._here.set(step)

    def _enclosing(self, parent_id: str | None) -> Step | None:
        """Return the step around this place: of the generator that runs here, where LlamaIndex names its reader."""
        said = self._find(parent_id)
        found = generators.running()
        if found is None or (said is not None and generators.innermost(said.span) is said.span):
            return said
        return self._waiting.get(found._span_id, said)

    # --- ending ----------------------------------------------------------------------------------

    def exit(self, id_: str, result: Any) -> None:
        """End a step that returned, or let it wait for what the program reads of its result later."""
        step = self._leave(id_)
        if step is None or step.is_part:
            return
        generator = generator_of(result)
        if step.asked is None:
            step.outputs = step.kind.reading.finish(step, None if result is generator is not None else result)
        if generator is not None:
            self._wait_for_stream(step, generator, result)
        elif _is_written_later(result):
            self._wait_for_writer(step, result)
        else:
            if step.asked is not None:
                step.outputs = models.finish(step, result)
            self._end(step)

    def drop(self, id_: str, error: BaseException | None) -> None:
        """End a step that failed. Its error is recorded with its stack once, where it came from."""
        step = self._leave(id_)
        if step is None:
            return
        is_error = error is not None and not waits.is_wait(error)
        if not step.is_part:
            self._end(step, error if is_error else None)
        elif is_error and step.shown.kind is kinds.TOOL_CALL:
            # The agent goes on, and its step that called the tool returns.
            self._fail(step.shown, error)

    def _leave(self, id_: str) -> Step | None:
        step = self._open.pop(id_, None)
        if step is not None:
            if self._here.get() is step:
                self._here.set(step.before)
            step.before = None
            if self.tracer is None:
                self._retire()
        return step

    def _end(self, step: Step, error: BaseException | None = None, at: int | None = None) -> None:
        span = step.span
        if error is not None:
            self._fail(step, error)
        elif step.is_cancelled:
            span.set_status(Status.CANCELLED)
        if step.outputs is not None:
            span.set_outputs(step.outputs)
        if step.kind is kinds.WRITER and step.parent is not None:
            self._written(step.parent.shown, step.instance.response, error)
        # What is left behind in contexts needs the span only.
        step.instance = step.outputs = step.stream = step.parent = step.prompt = None
        span.end(at)

    def _fail(self, step: Step, error: BaseException | None) -> None:
        if error is None:
            return
        if step.kind.is_model_call:
            models.remember_key(step.instance)
        if isinstance(error, GeneratorExit):
            step.span.set_status(Status.CANCELLED)
        else:
            step.span.record_failure(error)

    # --- what comes later ------------------------------------------------------------------------

    def _wait(self, step: Step) -> None:
        self._open[step.id] = step
        self._waiting[step.span._span_id] = step

    def _arrived(self, step: Step) -> bool:
        """Whether this is the one who ends a step that waited."""
        self._open.pop(step.id, None)
        return self._waiting.pop(step.span._span_id, None) is not None

    def _wait_for_stream(self, step: Step, generator: Any, result: Any) -> None:
        stream = self._streams.get(generator)
        if stream is None:
            stream = self._streams[generator] = Stream(generator, step.span, self._close)
        stream.steps.append(step)
        step.stream = stream
        step.span.abandon = stream.leave
        self._wait(step)
        if result is not generator and not stream.is_followed:
            self._streams[stream.follow(result)] = stream

    def _close(self, stream: Stream, error: BaseException | None) -> None:
        for step in stream.steps:
            if not self._arrived(step):
                continue
            if step.asked is not None:
                step.outputs = models.finish(step, stream.answer)
            elif isinstance(step.outputs, dict):
                step.outputs["text"] = stream.whole()
            else:
                step.outputs = stream.whole() or None
            self._end(step, error)

    def _wait_for_writer(self, step: Step, response: Any) -> None:
        """Let a chat wait for the thread or the task that writes its answer to the history."""
        # Held by the finalizer until the response goes: what can be read of it no more, nobody writes.
        finalizer = weakref.finalize(response, self._finish_chat, step)
        finalizer.atexit = False
        step.span.abandon = partial(self._finish_chat, step)
        self._wait(step)
        if step.written is not None:
            self._finish_chat(step)

    def _written(self, chat: Step, text: str, error: BaseException | None) -> None:
        chat.written = text, error
        self._finish_chat(chat)

    def _finish_chat(self, chat: Step) -> None:
        if not self._arrived(chat):
            return
        text, error = chat.written or (None, GeneratorExit())
        if isinstance(chat.outputs, dict):
            chat.outputs["text"] = text
        self._end(chat, error)

    def stop(self) -> None:
        """Record no new steps, and take no part any more once those that are going on have ended."""
        self.tracer = None
        self.finish_all()
        self._retire()

    def _retire(self) -> None:
        if self.tracer is None and not self._open:
            from autolog_llama_index.handlers import remove_handlers

            remove_handlers()

    def finish_all(self) -> None:
        """End what returned and still waits for its output, with what there is of it."""
        for step in list(self._waiting.values()):
            if step.stream is not None:
                step.stream.leave()
            else:
                self._finish_chat(step)

    # --- events ----------------------------------------------------------------------------------

    def piece(self, event: Any) -> None:
        """Note a piece of a model's answer."""
        step = self._open.get(event.span_id)
        if step is not None and step.asked is not None:
            step.asked.saw(event.response)

    def answered(self, event: Any) -> None:
        """Note the end of a model's answer; of one that is not streamed, the step's own end tells it."""
        step = self._open.get(event.span_id)
        if step is None or step.asked is None or step.stream is None:
            return
        step.stream.answer = event.response
        self._finish_stream(step, None)

    def broken(self, event: Any) -> None:
        """Note that a model's stream failed, or that the program left it."""
        step = self._open.get(event.span_id)
        if step is not None and step.asked is not None and step.stream is not None:
            self._finish_stream(step, event.exception)

    def _finish_stream(self, step: Step, error: BaseException | None) -> None:
        stream, around = step.stream, step.parent
        if stream is None:
            return
        stream.finish(error)
        # Nobody tells of the end of the generators around it that are not followed, such as one of a model's tokens.
        while around is not None:
            outer, next_ = around.stream, around.parent
            if outer is not None and not outer.is_followed and around.asked is None:
                outer.said = stream.said
                outer.finish(error)
            around = next_

    def reranking(self, event: Any) -> None:
        """Take what only this event tells of a reranker."""
        step = self._open.get(event.span_id)
        if step is not None and step.kind.reading is read.RERANKER and not step.is_part:
            read.read_rerank_event(step, event)

    def cancelled(self, event: Any) -> None:
        """Note that a step or a run was cancelled, which then returns nothing."""
        step = self._open.get(event.span_id)
        if step is not None:
            step.is_cancelled = True


def _kind(name: str, bound: BoundArguments, instance: Any, parent: Step | None) -> Kind:
    if instance is not None:
        return kinds.of_method(type(instance), name.rpartition(".")[2])
    if parent is not None and parent.kind.is_run:
        return kinds.of_step(type(parent.instance), name.rpartition(".")[2])
    return kinds.of_function(name, bound.arguments)


def _title(name: str, kind: Kind) -> str:
    name = name.rpartition("<locals>.")[2]
    return name.replace("._", ".") if kind.is_private else name


def _is_part(step: Step, parent: Step) -> bool:
    """Whether a step is how the one around it does its work, and no more than that."""
    if step.options["detail"] == "full":
        return False
    kind, shown = step.kind, parent.shown
    if kind.fold is Fold.INSIDE or (kind.fold is Fold.INSIDE_LIBRARY and not parent.kind.runs_program):
        return True
    if kind is kinds.TOOL and parent.kind is kinds.TOOL_CALL:
        return True
    return bool(kind.group) and kind.group == shown.kind.group and step.instance is shown.instance


def _is_written_later(result: Any) -> bool:
    if type(result).__name__ != "StreamingAgentChatResponse":
        return False
    return result.write_response_to_history_thread is not None or result.awrite_response_to_history_task is not None


recorder = Recorder()
