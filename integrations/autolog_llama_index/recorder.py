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

from autolog import Span, Status, semconv
from autolog.context import deeper, remove_source
from autolog.guard import guarded
from autolog.instrumentation import generators
from autolog.model.unrecorded import NO_SPAN
from autolog.tracer import Tracer
from autolog_llama_index import kinds, models, read, tags, waits
from autolog_llama_index.kinds import Kind
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
        self.is_full = False
        """Whether parts of steps get spans of their own too."""
        self._open: dict[str, Step] = {}
        """Steps by LlamaIndex's ids; by that of a part, the step that it is a part of."""
        self._waiting: dict[int, Step] = {}
        """Steps that returned and whose output is still to come, by the ids of their spans."""
        self._streams: weakref.WeakKeyDictionary[Any, Stream] = weakref.WeakKeyDictionary()
        # Set by each step in the context that it runs in, for tasks that are started inside of it and outlive it.
        self._here: ContextVar[Step | None] = ContextVar("autolog-llama-index", default=None)

    def __len__(self) -> int:
        return len(self._open) + len(self._waiting)

    def running(self) -> Span | None:
        """Return the span of the step whose code runs here."""
        step = self.step()
        return None if step is None else step.span

    def step(self) -> Step | None:
        """Return the step whose code runs here."""
        return self._known(active_span_id.get())

    def _known(self, id_: str | None, name: str = "", instance: Any = None) -> Step | None:
        """Return the step that LlamaIndex names as the one around another one, which belongs to `instance`."""
        if id_ is None:
            return None
        step = self._open.get(id_)
        is_here = step is None
        if step is None:
            step = self._here.get()
        # Before workflows 2, a run is still named where it was started, though only its steps go on in it.
        while step is not None and step.is_detached and (is_here or step.id == id_):
            if not is_here and name and _is_step(name, instance, step):
                break
            step, is_here = step.before, True
        return step

    # --- starting --------------------------------------------------------------------------------

    def enter(
        self, id_: str, bound: BoundArguments, instance: Any, parent_id: str | None, told: Mapping[str, Any] | None
    ) -> None:
        """Start a step; its span goes below the step that encloses it, or is that one's."""
        tracer = self.tracer
        if tracer is None:
            return
        name = id_[:-_SUFFIX]
        parent = self._known(parent_id, name, instance)
        generator = generators.running()
        if generator is not None and (parent is None or deeper(parent.span, generator) is generator):
            # The reader of a generator is not what its code belongs to.
            parent = self._waiting.get(generator._span_id, parent)
        kind = _kind(name, bound, instance, parent)
        if parent is not None and self._is_part(kind, instance, parent):
            self._open[id_] = parent.shown
            if kind.reading is read.PREDICTION:
                part = self._open[id_] = Step(id_, name, kind, instance, parent)
                part.span, part.shown, part.prompt = parent.span, parent.shown, read.prompt_of(bound)
            return
        step = Step(id_, name, kind, instance, parent)
        above = None if parent is None else parent.span
        if generator is not None:
            above = deeper(above, generator)
        span = step.span = tracer.start_step(_title(name, kind), kind.span_type, parent=above)
        if span is NO_SPAN:
            return
        self._open[id_] = step
        step.before = self._here.get()
        self._here.set(step)
        step.options = self.options
        step.is_detached = kind.is_run and "init_state" not in bound.arguments
        if kind.is_model_call:
            span.is_framework_call = True
        kind.reading.begin(step, bound)
        told = active_instrument_tags.get() if told is None else told
        if told:
            tags.take(step, told)
        if parent is not None and parent.kind.is_run:
            waits.resume(step, parent, bound)

    def _is_part(self, kind: Kind, instance: Any, parent: Step) -> bool:
        """Whether a step is how the one around it does its work, and no more than that."""
        if self.is_full:
            return False
        if kind.is_inner:
            return not parent.kind.runs_program or kind.is_always_inner
        if kind is kinds.TOOL and parent.kind is kinds.TOOL_CALL:
            return True
        shown = parent.shown
        return kind.group == shown.kind.group and kind.group != "" and instance is shown.instance

    # --- ending ----------------------------------------------------------------------------------

    def exit(self, id_: str, result: Any) -> None:
        """End a step that returned, or let it wait for what the program reads of its result later."""
        step = self._leave(id_)
        if step is None or step.is_part:
            return
        if step.id != id_:
            if step.asked is not None and generator_of(result) is not None:
                # A model that extends another hands on its stream, of which events tell by the inner call's id.
                step.inner_id = id_
                self._open[id_] = step
            return
        generator = generator_of(result)
        if step.asked is None:
            with guarded:  # whatever fails, the span ends
                step.outputs = step.kind.reading.finish(step, None if result is generator else result)
        if generator is not None:
            self._wait_for_stream(step, generator, result)
        elif _is_written_later(result):
            self._wait_for_writer(step, result)
        else:
            with guarded:
                if step.asked is not None:
                    step.outputs = models.finish(step, result)
            self._end(step)

    def drop(self, id_: str, error: BaseException | None) -> None:
        """End a step that failed. Its error is recorded with its stack once, where it came from."""
        step = self._leave(id_)
        if step is None:
            return
        is_error = error is not None and not waits.is_wait(error)
        if step.id == id_ and not step.is_part:
            self._end(step, error if is_error else None)
        elif is_error and step.shown.kind is kinds.TOOL_CALL:
            # The agent goes on, and its step that called the tool returns.
            self._fail(step.shown, error)

    def _leave(self, id_: str) -> Step | None:
        step = self._open.pop(id_, None)
        if step is not None and step.id == id_:
            if self._here.get() is step:
                self._here.set(step.before)
            if not step.is_detached:
                step.before = None
        if self.tracer is None:
            self._retire()
        return step

    def _end(self, step: Step, error: BaseException | None = None) -> None:
        span = step.span
        if error is not None:
            self._fail(step, error)
        elif step.is_cancelled:
            span.set_status(Status.CANCELLED)
        elif step.is_detached and step.outputs is None and step.failed is not None:
            # Before workflows 2, LlamaIndex keeps to itself that a run failed.
            span.set_status(step.failed.status)
            span.set_attribute(semconv.ERROR_TYPE, step.failed.get_attribute(semconv.ERROR_TYPE))
        if step.outputs is not None:
            span.set_outputs(step.outputs)
        span.end()
        if step.inner_id is not None:
            self._open.pop(step.inner_id, None)
        if step.kind is kinds.WRITER and step.parent is not None:
            self._written(step.parent.shown, step.instance.response, error)
        # What is left behind in contexts needs the span only.
        step.instance = step.outputs = step.stream = step.parent = step.prompt = None

    def _fail(self, step: Step, error: BaseException | None) -> None:
        if error is None:
            return
        if step.kind.is_model_call:
            models.remember_key(step.instance)
        if isinstance(error, GeneratorExit):
            step.span.set_status(Status.CANCELLED)
        else:
            if step.kind is kinds.WRITER and step.parent is not None:
                # What it reads, and fails at, belongs to the chat around it.
                step.span._failed_below = step.parent.span._failed_below
            step.span.record_failure(error)
        if step.parent is not None:
            step.parent.failed = step.span

    # --- what comes later ------------------------------------------------------------------------

    def _wait(self, step: Step) -> None:
        self._open[step.id] = step
        self._waiting[step.span._span_id] = step

    def _arrived(self, step: Step) -> bool:
        """Whether this is the one who ends a step that waited."""
        if self._waiting.pop(step.span._span_id, None) is None:
            return False
        self._open.pop(step.id, None)
        return True

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
            with guarded:
                if step.asked is not None:
                    step.outputs = models.finish(step, stream.answer)
                    stream.said = models.text_of(step.outputs)
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
            chat.outputs["text"] = text or chat.said  # in some versions the reader puts the text together
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
            remove_source(self.running)

    def finish_all(self) -> None:
        """End what returned and still waits for its output, with what there is of it."""
        for step in list(self._waiting.values()):
            if step.stream is not None:
                step.stream.leave()
            else:
                self._finish_chat(step)

    # --- events ----------------------------------------------------------------------------------

    def _told(self, event: Any) -> Step | None:
        step = self._open.get(event.span_id)
        return step if step is not None and event.span_id in (step.id, step.inner_id) else None

    def piece(self, event: Any) -> None:
        """Note a piece of a model's answer."""
        step = self._told(event)
        if step is not None and step.asked is not None:
            step.asked.saw(event.response)

    def answered(self, event: Any) -> None:
        """Note the end of a model's answer; of one that is not streamed, the step's own end tells it."""
        step = self._told(event)
        if step is None or step.asked is None or step.stream is None:
            return
        step.stream.answer = event.response
        self._finish_stream(step, None)

    def broken(self, event: Any) -> None:
        """Note that a model's stream failed, or that the program left it."""
        step = self._told(event)
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
            around.said = stream.said
            if outer is not None and not outer.is_followed and around.asked is None:
                outer.said = stream.said
                outer.finish(error)
            around = next_

    def reranking(self, event: Any) -> None:
        """Take what only this event tells of a reranker."""
        step = self._told(event)
        if step is not None and step.kind.reading is read.RERANKER and not step.is_part:
            read.read_rerank_event(step, event)

    def cancelled(self, event: Any) -> None:
        """Note that a step or a run was cancelled, which then returns nothing."""
        step = self._told(event)
        if step is not None:
            step.is_cancelled = True


def _kind(name: str, bound: BoundArguments, instance: Any, parent: Step | None) -> Kind:
    if parent is not None and parent.kind.is_run and _is_step(name, instance, parent):
        return kinds.of_step(type(parent.instance), name.rpartition(".")[2])
    if instance is not None:
        return kinds.of_method(instance.__class__, name)
    return kinds.of_function(name, bound.arguments)


def _is_step(name: str, instance: Any, run: Step) -> bool:
    """Whether this is a step of a workflow that runs; before workflows 2 it belongs to the workflow."""
    return instance is None or (instance is run.instance and not name.endswith(".run"))


def _title(name: str, kind: Kind) -> str:
    name = name.rpartition("<locals>.")[2]
    return name.replace("._", ".") if kind.is_private else name


_NO_WRITER = object()


def _is_written_later(result: Any) -> bool:
    """Whether a thread or a task writes to the history what the program reads of a chat."""
    if type(result).__name__ != "StreamingAgentChatResponse":
        return False
    thread = getattr(result, "write_response_to_history_thread", _NO_WRITER)
    if thread is _NO_WRITER:  # before 0.14.6 nothing else tells of it
        return bool(result.is_writing_to_memory)
    return thread is not None or result.awrite_response_to_history_task is not None


recorder = Recorder()
