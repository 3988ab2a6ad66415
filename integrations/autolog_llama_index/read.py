"""Read what a step is given and what it returns into its span. Runs on the traced call, so it only takes pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from inspect import BoundArguments, Parameter
from typing import Any

from autolog import Span, Status, StatusCode, capture, semconv
from autolog.guard import attempt
from autolog.redact import redact_keys
from autolog_llama_index import models
from autolog_llama_index.pictures import document, event_fields, events_in, field, sources, tool_output
from autolog_llama_index.step import Step

Begin = Callable[[Step, BoundArguments], None]
Finish = Callable[[Step, Any], Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a kind of step is read: `begin` when it starts, `finish` when it returned; what that returns is its output."""

    begin: Begin
    finish: Finish


def flat(bound: BoundArguments) -> dict[str, Any]:
    """Return the arguments of a call by their names, those in `**kwargs` among them."""
    arguments: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is Parameter.VAR_KEYWORD:
            arguments.update(value)
        elif kind is not Parameter.VAR_POSITIONAL or value:
            arguments[name] = value
    return arguments


def _nothing(_step: Step, _bound: BoundArguments) -> None:
    return None


def _as_it_is(_step: Step, result: Any) -> Any:
    return result


# --- anything ----------------------------------------------------------------------------------------


def _begin_anything(step: Step, bound: BoundArguments) -> None:
    step.span.set_inputs(flat(bound))


ANYTHING = Reading(_begin_anything, _as_it_is)


# --- queries and chats -------------------------------------------------------------------------------


def _text_of(query: Any) -> Any:
    return query if isinstance(query, str) else field(query, "query_str")


def _begin_query(step: Step, bound: BoundArguments) -> None:
    step.span.set_inputs({"query": _text_of(bound.arguments.get("str_or_query_bundle"))})


def _begin_synthesis(step: Step, bound: BoundArguments) -> None:
    arguments = bound.arguments
    step.span.set_inputs({"query": _text_of(arguments.get("query")), "documents": sources(arguments.get("nodes"))})


def response(_step: Step, result: Any) -> Any:
    """Return the text of a response, or its object, and where it comes from."""
    if not hasattr(result, "source_nodes"):
        return result
    fields = vars(result)
    said = fields.get("response")
    told = {"text": said} if said is None or isinstance(said, str) else {"data": said}
    return {**told, "sources": sources(fields["source_nodes"])}


def _begin_chat_engine(step: Step, bound: BoundArguments) -> None:
    arguments = bound.arguments
    history = arguments.get("chat_history")
    step.span.set_inputs({"input": arguments.get("message"), **({"chat_history": history} if history else {})})


def _finish_writer(step: Step, _result: Any) -> Any:
    chat = None if step.parent is None else step.parent.shown.said
    return {"text": str(step.instance.response or chat or "")}


QUERY = Reading(_begin_query, response)
SYNTHESIS = Reading(_begin_synthesis, response)
CHAT_ENGINE = Reading(_begin_chat_engine, response)
WRITER = Reading(_nothing, _finish_writer)


# --- retrieval ---------------------------------------------------------------------------------------


def _begin_retriever(step: Step, bound: BoundArguments) -> None:
    span, arguments = step.span, bound.arguments
    span.set_attribute(semconv.OPERATION, "retrieval")
    top_k = getattr(step.instance, "__dict__", {}).get("_similarity_top_k")
    span.set_attribute(semconv.RETRIEVAL_TOP_K, top_k if isinstance(top_k, int) else None)
    query = next(iter(arguments.values()), None)
    span.set_inputs({"query": _text_of(query)})


def _documents(_step: Step, nodes: Any) -> Any:
    return {"documents": [document(node) for node in nodes or ()]}


def _begin_reranker(step: Step, bound: BoundArguments) -> None:
    arguments = bound.arguments
    query = arguments.get("query_bundle")
    asked = {"query": _text_of(query)} if query is not None else {}
    step.span.set_inputs({**asked, **_documents(step, arguments.get("nodes"))})


def read_rerank_event(step: Step, event: Any) -> None:
    """Take what only the event tells of a reranker."""
    span = step.span
    span.set_attribute(semconv.REQUEST_MODEL, event.model_name or None)
    span.set_attribute(semconv.RETRIEVAL_TOP_K, event.top_n)
    if isinstance(span._inputs, dict) and "query" not in span._inputs:
        span.set_inputs({"query": _text_of(event.query), **span._inputs})


RETRIEVER = Reading(_begin_retriever, _documents)
RERANKER = Reading(_begin_reranker, _documents)


def _begin_embedding(step: Step, bound: BoundArguments) -> None:
    span = step.span
    fields = step.instance.__dict__
    span.set_attribute(semconv.OPERATION, "embeddings")
    span.set_attribute(semconv.PROVIDER, models.provider_of(step.instance.__class__))
    model = fields.get("model_name")
    # The default of the base class, which says nothing.
    span.set_attribute(semconv.REQUEST_MODEL, model if isinstance(model, str) and model != "unknown" else None)
    span.set_inputs({"input": next(iter(bound.arguments.values()), None)})


def _finish_embedding(step: Step, result: Any) -> Any:
    vectors = result if step.name.endswith("_batch") else [result]
    size = attempt(len, vectors[0], default=None) if vectors else None
    step.span.set_attribute(semconv.EMBEDDING_DIMENSION, size)
    outputs: dict[str, Any] = {"embeddings": {"count": len(vectors), "dimension": size}}
    if step.options["capture_embeddings"]:
        outputs["vectors"] = vectors
    return outputs


EMBEDDING = Reading(_begin_embedding, _finish_embedding)


# --- documents on their way in -----------------------------------------------------------------------


def _begin_transformation(step: Step, bound: BoundArguments) -> None:
    given = bound.arguments
    counts = {name: len(given[name]) for name in ("documents", "nodes") if isinstance(given.get(name), (list, tuple))}
    step.span.set_inputs(counts)


def _finish_transformation(_step: Step, result: Any) -> Any:
    return {"nodes": len(result)} if isinstance(result, (list, tuple)) else None


TRANSFORMATION = Reading(_begin_transformation, _finish_transformation)


# --- models ------------------------------------------------------------------------------------------

CHAT = Reading(models.begin_chat, models.finish)
COMPLETION = Reading(models.begin_completion, models.finish)
STRUCTURED_CHAT = Reading(models.begin_structured, models.finish)


def prompt_of(bound: BoundArguments) -> tuple[Any, dict[str, Any]]:
    """Return the template and the variables that a prediction is given."""
    return bound.arguments.get("prompt"), dict(bound.arguments.get("prompt_args") or {})


def _begin_prediction(step: Step, bound: BoundArguments) -> None:
    step.prompt = prompt_of(bound)
    step.span.set_inputs(step.prompt[1])
    step.span.defer(partial(models.read_prompt, step.prompt, step.instance))


def _begin_structured(step: Step, bound: BoundArguments) -> None:
    _begin_prediction(step, bound)
    step.span.defer(partial(_read_schema, bound.arguments.get("output_cls")))


def _begin_program(step: Step, bound: BoundArguments) -> None:
    step.span.set_inputs(flat(bound))
    step.span.defer(partial(_read_schema, getattr(step.instance, "output_cls", None)))


def _read_schema(output: Any, span: Span) -> None:
    schema = getattr(output, "model_json_schema", None)
    if schema is not None:
        span.set_attribute(semconv.OUTPUT_SCHEMA, attempt(schema, default=None))


PREDICTION = Reading(_begin_prediction, _as_it_is)
STRUCTURED = Reading(_begin_structured, _as_it_is)
PROGRAM = Reading(_begin_program, _as_it_is)


def _begin_parser(step: Step, bound: BoundArguments) -> None:
    step.span.set_inputs({"text": bound.arguments.get("output")})


PARSER = Reading(_begin_parser, _as_it_is)


# --- tools -------------------------------------------------------------------------------------------


def _begin_tool(step: Step, bound: BoundArguments) -> None:
    span, metadata = step.span, attempt(lambda: step.instance.metadata, default=None)
    _name_tool(span, field(metadata, "name"))
    span.set_attribute(semconv.TOOL_DESCRIPTION, field(metadata, "description"))
    span.set_inputs(flat(bound))


def _name_tool(span: Span, name: Any) -> None:
    span.set_attribute(semconv.OPERATION, "execute_tool")
    if isinstance(name, str):
        span.name = name
        span.set_attribute(semconv.TOOL_NAME, name)


def _finish_tool(step: Step, result: Any) -> Any:
    if not hasattr(result, "raw_output"):
        return result
    if result.is_error and not step.span.status.is_error:
        step.span.set_attribute(semconv.ERROR_TYPE, "ToolError")
        step.span.set_status(Status(StatusCode.ERROR, redact_keys(str(result.content))))
    return tool_output(result)


def _begin_tool_call(step: Step, bound: BoundArguments) -> None:
    event = bound.arguments["ev"]
    _name_tool(step.span, event.tool_name)
    step.span.set_attribute(semconv.TOOL_CALL_ID, event.tool_id)
    step.span.set_inputs(event.tool_kwargs)


def _finish_tool_call(step: Step, result: Any) -> Any:
    if result is None:
        return None
    output = _finish_tool(step, result.tool_output)
    # How one of several agents passes on to another.
    if result.tool_name == "handoff" and "to_agent" in result.tool_kwargs and not step.span.status.is_error:
        details = {"to": result.tool_kwargs["to_agent"], "reason": result.tool_kwargs.get("reason")}
        step.span.add_event(semconv.HANDOFF_EVENT, details)
    return output


TOOL = Reading(_begin_tool, _finish_tool)
TOOL_CALL = Reading(_begin_tool_call, _finish_tool_call)


# --- workflows and agents ----------------------------------------------------------------------------


def _begin_step(step: Step, bound: BoundArguments) -> None:
    events = events_in(bound.arguments)
    step.span.set_inputs(next(iter(events.values())) if len(events) == 1 else events)


def _begin_run(step: Step, bound: BoundArguments) -> None:
    event = bound.arguments.get("start_event")
    fields = dict(bound.arguments.get("kwargs") or {}) if event is None else event_fields(event)
    if not fields:
        return
    asked = fields.pop("user_msg", None)  # of an agent, or of several
    step.span.set_inputs(fields if asked is None else {"input": asked, **fields})


def _result(event: Any) -> Any:
    """Return what the event says that ends a run."""
    if not hasattr(event, "_data") or hasattr(event, "current_agent_name"):
        return event
    result = getattr(event, "_result", None)
    return event_fields(event) if result is None else result


def _begin_agent_run(step: Step, bound: BoundArguments) -> None:
    span, name = step.span, step.instance.name
    span.name = name
    span.set_attribute(semconv.OPERATION, "invoke_agent")
    span.set_attribute(semconv.AGENT_NAME, name)
    _begin_run(step, bound)


def _begin_agent_turn(step: Step, bound: BoundArguments) -> None:
    event = bound.arguments["ev"]
    step.span.name = event.current_agent_name
    step.span.set_attribute(semconv.OPERATION, "invoke_agent")
    step.span.set_attribute(semconv.AGENT_NAME, event.current_agent_name)
    step.span.set_inputs({"messages": event.input})


def _said(output: Any) -> Any:
    """Return what an agent said in the end, and the tools that it called for it."""
    if not hasattr(output, "current_agent_name"):
        return output
    said = dict(capture.snapshot(output.response))
    called = output.tool_calls or ()
    calls = [{"id": call.tool_id, "name": call.tool_name, "arguments": call.tool_kwargs} for call in called]
    structured = getattr(output, "structured_response", None)
    said.update({"tool_calls": calls} if calls else {})
    return {**said, **({"structured_response": structured} if structured is not None else {})}


def _finish_run(_step: Step, result: Any) -> Any:
    return _said(_result(result))


def _finish_agent_turn(_step: Step, result: Any) -> Any:
    return _said(result)


STEP = Reading(_begin_step, _as_it_is)
RUN = Reading(_begin_run, _finish_run)
AGENT_RUN = Reading(_begin_agent_run, _finish_run)
AGENT_TURN = Reading(_begin_agent_turn, _finish_agent_turn)
