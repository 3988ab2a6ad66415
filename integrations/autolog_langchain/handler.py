"""LangChain's callbacks: a span a run, started, ended, and never made current."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any
from uuid import UUID

from langchain_core.callbacks.base import BaseCallbackHandler
from langchain_core.tracers import context as tracers_context

from autolog import Span, SpanType, Status, StatusCode, capture, semconv
from autolog.context import deeper
from autolog.guard import guarded
from autolog.ids import now_ns
from autolog.model.unrecorded import NO_SPAN
from autolog.redact import without_credentials
from autolog.tracer import Tracer
from autolog_langchain import graph, read
from autolog_langchain.retrieval import shown
from autolog_langchain.runs import Run, enter_model, enter_retriever, running_model, runs
from autolog_langchain.session import session_of, user_of

_snapshot = capture.snapshot
Metadata = Mapping[str, Any]
_NOTHING: Metadata = {}
_TYPES = {"prompt": SpanType.PROMPT, "parser": SpanType.PARSER}


class _Hook:
    """What LangChain asks for a handler whenever something runs: it looks like a context variable."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def get(self) -> Handler:
        return self._handler


class Handler(BaseCallbackHandler):
    """Starts and ends the span of each run.

    All of it is called on the program's path, on its event loop too: it takes pictures, and leaves the rest to the
    worker. The end of a run is taken note of even when no new one is traced any more.
    """

    # In the task that runs, not in a thread with a copy of its context.
    run_inline = True
    # LangChain asks for one of these at every event; in its base class they are properties, which take longer to ask.
    ignore_llm = ignore_chat_model = ignore_chain = ignore_agent = ignore_retriever = ignore_custom_event = False

    def __init__(self, options: Callable[[], Mapping[str, Any]]) -> None:
        self._options = options
        self._tracer: Tracer | None = None
        self._entry: Any = (_Hook(self), True, None, None)

    @property
    def raise_error(self) -> bool:  # type: ignore[override]
        """Whether LangChain is to raise what we raise: in tests of ours."""
        return guarded.reraise

    def __deepcopy__(self, memo: Any) -> Handler:
        # Programs copy and pickle configurations, with the handlers that LangChain has put into them.
        return self

    def __reduce__(self) -> Any:
        return Handler, (dict,)

    def hook(self, tracer: Tracer) -> None:
        """Take part in all runs that start from now on."""
        self._tracer = tracer
        if not any(entry is self._entry for entry in tracers_context._configure_hooks):
            tracers_context._configure_hooks.append(self._entry)

    def unhook(self) -> None:
        """Take part in no new run."""
        self._tracer = None
        hooks = tracers_context._configure_hooks
        hooks[:] = [entry for entry in hooks if entry is not self._entry]

    @classmethod
    def pass_for_tracer(cls) -> None:
        """Be given what the program's trace policies leave of a node's state: LangGraph gives that to tracers only."""
        from langchain_core.tracers.base import BaseTracer

        BaseTracer.register(cls)

    # --- starting --------------------------------------------------------------------------------

    def _begin(
        self,
        name: str,
        span_type: SpanType,
        run_id: UUID,
        parent_run_id: UUID | None,
        tags: Sequence[str] | None,
        metadata: Metadata,
        *,
        is_one_of_many: bool = False,
    ) -> Run | None:
        if self._tracer is None:
            return None
        parent = runs.known(parent_run_id)
        above = None if parent is None else parent.span
        # A model that is made of others, of which LangChain knows nothing; but not the one that was asked just before.
        model = None if is_one_of_many else running_model()
        span = self._tracer.start_step(name, span_type, parent=above if model is None else deeper(above, model))
        if span is NO_SPAN:
            return None
        run = Run(span, parent)
        runs.begin(run_id, run)
        if parent is None:
            self._begin_root(span, metadata)
        if tags:
            span._attributes[semconv.TAGS] = list(tags)
        return run

    def _begin_root(self, span: Span, metadata: Metadata) -> None:
        trace = span._context
        if trace is not None and trace.session is None:
            trace.session = session_of(metadata)
        if metadata:
            span.set_attribute(semconv.METADATA, without_credentials(_own(metadata)) or None)
            if trace is not None and trace.user is None and self._options()["capture_user"]:
                trace.user = user_of(metadata)

    def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        name: str | None = None,
        run_type: str | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        with guarded:
            told = metadata or _NOTHING
            name = name or _name(serialized)
            is_node = "langgraph_node" in told and graph.is_node(name, tags, told)
            is_agent = not is_node and graph.is_agent(name, told)
            kind = SpanType.TASK if is_node else SpanType.AGENT if is_agent else _TYPES.get(run_type or "")
            run = self._begin(name, kind or SpanType.CHAIN, run_id, parent_run_id, tags, told)
            if run is None:
                return
            span = run.span
            if span.is_recording():
                span._inputs = _snapshot(inputs)
            if is_node:
                graph.begin_node(run, name, told)
            elif is_agent:
                graph.begin_agent(span)
            elif kind is SpanType.PROMPT:
                span.defer(partial(_read_template, serialized))
            if run.parent is None and span._context is not None and span._context.session is not None:
                graph.link_resumed(span, inputs, span._context.session)

    def on_chat_model_start(
        self,
        serialized: Any,
        messages: list[list[Any]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        name: str | None = None,
        batch_size: int = 1,
        **kwargs: Any,
    ) -> None:
        with guarded:
            asked = capture.snapshot({"messages": messages[0] if messages else []})
            run = self._begin(
                name or _name(serialized),
                SpanType.CHAT_MODEL,
                run_id,
                parent_run_id,
                tags,
                metadata or _NOTHING,
                is_one_of_many=batch_size > 1,
            )
            if run is not None:
                self._begin_model(run, asked, "chat", metadata, kwargs)
                if batch_size > 1:
                    _join_batch(run, run_id, batch_size)

    def on_llm_start(
        self,
        serialized: Any,
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        with guarded:
            run = self._begin(
                name or _name(serialized),
                SpanType.LLM,
                run_id,
                parent_run_id,
                tags,
                metadata or _NOTHING,
                is_one_of_many=kwargs.get("batch_size", 1) > 1,
            )
            if run is not None:
                asked = {"prompt": prompts[0] if len(prompts) == 1 else list(prompts)}
                self._begin_model(run, asked, "text_completion", metadata, kwargs)

    def _begin_model(
        self, run: Run, asked: Any, operation: str, metadata: Metadata | None, details: Mapping[str, Any]
    ) -> None:
        run.span.is_framework_call = True
        enter_model(run)
        request = read.Request(
            asked,
            details.get("invocation_params") or _NOTHING,
            details.get("options") or _NOTHING,
            metadata or _NOTHING,
            operation,
        )
        run.span.defer(request.describe)

    def on_tool_start(
        self,
        serialized: Any,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        inputs: dict[str, Any] | None = None,
        name: str | None = None,
        tool_call_id: str | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        with guarded:
            name = name or _name(serialized)
            run = self._begin(name, SpanType.TOOL, run_id, parent_run_id, tags, metadata or _NOTHING)
            if run is None:
                return
            span = run.span
            span.set_inputs(input_str if inputs is None else _of_the_model(inputs))
            span.set_attribute(semconv.OPERATION, "execute_tool")
            span.set_attribute(semconv.TOOL_NAME, name)
            span.set_attribute(semconv.TOOL_CALL_ID, tool_call_id)
            span.set_attribute(semconv.TOOL_DESCRIPTION, (serialized or _NOTHING).get("description"))

    def on_retriever_start(
        self,
        serialized: Any,
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        name: str | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        with guarded:
            run = self._begin(
                name or _name(serialized), SpanType.RETRIEVER, run_id, parent_run_id, tags, metadata or _NOTHING
            )
            if run is not None:
                enter_retriever(run)
                run.span.set_attribute(semconv.OPERATION, "retrieval")
                run.span.set_inputs({"query": query})

    # --- meanwhile -------------------------------------------------------------------------------

    def on_llm_new_token(self, token: Any, *, run_id: UUID, chunk: Any = None, **kwargs: Any) -> None:  # noqa: ARG002
        run = runs.get(run_id)
        if run is not None:
            run.was_streamed = True
            if run.first_token_ns is None and (token or _says_something(chunk)):
                run.first_token_ns = now_ns()

    def on_stream_event(self, event: Any, *, run_id: UUID, **kwargs: Any) -> None:  # noqa: ARG002
        run = runs.get(run_id)
        if run is not None:
            run.was_streamed = True
            if run.first_token_ns is None and isinstance(event, Mapping) and "delta" in str(event.get("event")):
                run.first_token_ns = now_ns()

    def on_custom_event(self, name: str, data: Any, *, run_id: UUID, **kwargs: Any) -> None:  # noqa: ARG002
        with guarded:
            run = runs.get(run_id)
            if run is not None:
                run.span.add_event(name, {"data": data})

    def on_retry(self, retry_state: Any, *, run_id: UUID, **kwargs: Any) -> None:  # noqa: ARG002
        with guarded:
            run = runs.get(run_id)
            if run is not None:
                run.span.add_event(semconv.RETRY_EVENT, {semconv.RETRY_ATTEMPT: retry_state.attempt_number})

    # --- ending ----------------------------------------------------------------------------------

    def on_chain_end(self, outputs: Any, *, run_id: UUID, inputs: Any = None, **kwargs: Any) -> None:  # noqa: ARG002
        with guarded:
            run = runs.end(run_id)
            if run is None:
                return
            span = run.span
            if span.is_recording():
                if inputs is not None:
                    span._inputs = _snapshot(inputs)  # of a stream, known only when it is over
                span._outputs = _snapshot(outputs)
            if run.interrupts is not None and run.parent is None:
                span.add_event(semconv.INTERRUPT_EVENT, {"value": run.interrupts})
                graph.end_interrupted(run, _thread(span))
            span.end()

    def on_llm_end(self, response: Any, *, run_id: UUID, **kwargs: Any) -> None:  # noqa: ARG002
        with guarded:
            run = runs.end(run_id)
            if run is None:
                return
            answer = read.Answer.of(response, run.first_token_ns)
            if answer is not None:
                run.span.defer(answer.describe)
            run.span.end()

    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:  # noqa: ARG002
        with guarded:
            run = runs.end(run_id)
            if run is None:
                return
            span = run.span
            span.set_outputs(output)
            call_id = getattr(output, "tool_call_id", None)
            if isinstance(call_id, str):
                span.set_attribute(semconv.TOOL_CALL_ID, call_id)  # which old versions don't tell at the start
            if call_id is not None and getattr(output, "status", None) == "error":
                # The tool failed, and its message to the model says so.
                span.set_attribute(semconv.ERROR_TYPE, "ToolError")
                span.set_status(Status(StatusCode.ERROR, read.error_text(output.content)))
            span.end()

    def on_retriever_end(self, documents: Any, *, run_id: UUID, **kwargs: Any) -> None:  # noqa: ARG002
        with guarded:
            run = runs.end(run_id)
            if run is not None:
                run.span.set_outputs({"documents": shown(documents, run.scores)})
                run.span.end()

    def _fail(self, error: BaseException, *, run_id: UUID, response: Any = None, **kwargs: Any) -> None:  # noqa: ARG002
        with guarded:
            run = runs.end(run_id)
            if run is None:
                return
            span = run.span
            if graph.is_control(error):
                graph.note_control(run, error)
            elif isinstance(error, GeneratorExit):
                span.set_status(Status.CANCELLED)  # left by whoever read it, which is no error
            else:
                span.record_failure(error)
            if response is not None:
                answer = read.failed_answer(response, run.first_token_ns)
                if answer is not None:
                    span.defer(answer.describe)
            span.end()

    on_chain_error = on_llm_error = on_tool_error = on_retriever_error = _fail


def _name(serialized: Any) -> str:
    if not serialized:
        return "run"
    name = serialized.get("name")
    if name is None:
        parts = serialized.get("id")
        name = parts[-1] if parts else "run"
    return str(name)


def _of_the_model(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a tool is given by the model, without what old versions add for themselves: all that there is."""
    if "runtime" not in inputs:
        return inputs
    return {name: value for name, value in inputs.items() if type(value).__name__ != "ToolRuntime"}


# What LangChain and LangGraph add for themselves; what they say of a run is on its span under names of its own.
_THEIRS = ("ls_", "lc_", "langgraph_", "checkpoint", "__")


def _own(metadata: Metadata) -> dict[str, Any]:
    """Return what the program itself put into a run's metadata."""
    return {key: value for key, value in metadata.items() if not key.startswith(_THEIRS)}


def _thread(span: Span) -> str | None:
    return None if span.trace_context is None else span.trace_context.session


def _read_template(serialized: Any, span: Span) -> None:
    span.set_attribute(semconv.PROMPT_TEMPLATE, read.prompt_template(serialized))
    span.set_attribute(semconv.PROMPT_VARIABLES, span.inputs)


def _says_something(chunk: Any) -> bool:
    message = getattr(chunk, "message", None)
    return bool(getattr(message, "content", None) or getattr(message, "tool_call_chunks", None))


# The runs of the call with several prompts that starts here: LangChain starts them one right after the other.
_NO_BATCH: tuple[list[UUID], int] = ([], 0)
_starting: ContextVar[tuple[list[UUID], int]] = ContextVar("autolog-langchain-batch", default=_NO_BATCH)


def _join_batch(run: Run, run_id: UUID, size: int) -> None:
    """Put a run together with the others of its call."""
    batch, wanted = _starting.get()
    if wanted != size:
        batch = []
        _starting.set((batch, size))
    batch.append(run_id)
    run.batch = batch
    if len(batch) == size:
        _starting.set(_NO_BATCH)  # whoever holds the ids of ended runs keeps those
