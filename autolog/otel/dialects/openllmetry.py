"""OpenLLMetry: Traceloop's own names, and the flattened ones of the GenAI conventions' first age."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autolog import semconv
from autolog.model.chat import ChatMessage, message
from autolog.model.parts import decoded
from autolog.model.span import SpanType
from autolog.model.trace import first_named
from autolog.otel.given import Found, Given, fields, items

KINDS: Mapping[str, SpanType] = {
    "workflow": SpanType.WORKFLOW,
    "task": SpanType.TASK,
    "agent": SpanType.AGENT,
    "tool": SpanType.TOOL,
}
REQUESTS: Mapping[str, SpanType] = {
    "chat": SpanType.CHAT_MODEL,
    "completion": SpanType.LLM,
    "embedding": SpanType.EMBEDDING,
    "rerank": SpanType.RERANKER,
}
_RENAMED: Mapping[str, str] = {
    "llm.frequency_penalty": semconv.REQUEST_FREQUENCY_PENALTY,
    "llm.presence_penalty": semconv.REQUEST_PRESENCE_PENALTY,
    "llm.chat.stop_sequences": semconv.REQUEST_STOP,
    "llm.request.reasoning_effort": semconv.REQUEST_REASONING_LEVEL,
    "gen_ai.is_streaming": semconv.REQUEST_STREAM,
    "llm.is_streaming": semconv.REQUEST_STREAM,
}
_WRAPPING = frozenset({"inputs", "outputs", "tags", "metadata", "kwargs"})
_SESSIONS = ("session_id", "thread_id", "conversation_id", "chat_id")
_USERS = ("user_id", "user")


def read(given: Given, found: Found) -> None:
    """Read what there is of it."""
    kind, request = given.text("traceloop.span.kind"), given.text("llm.request.type")
    found.is_of(KINDS.get(kind or ""))
    found.is_of(REQUESTS.get(request or ""))
    given.take("llm.headers", "gen_ai.headers")
    for old, new in _RENAMED.items():
        value = given.take(old)
        found.has(new, value if value is not False else None)
    found.used(
        input_tokens=given.count("llm.usage.prompt_tokens"),
        output_tokens=given.count("llm.usage.completion_tokens"),
        total_tokens=given.count("llm.usage.total_tokens"),
        reasoning_tokens=given.count("llm.usage.reasoning_tokens"),
        cache_read_tokens=given.count("gen_ai.usage.cache_read_input_tokens"),
        cache_write_tokens=given.count("gen_ai.usage.cache_creation_input_tokens"),
    )
    properties = given.below("traceloop.association.properties.")
    if properties:
        found.belongs_to(first_named(properties, _SESSIONS), first_named(properties, _USERS))
        found.is_described(properties)
    _read_messages(given, found)
    _read_entity(given, found)
    _read_vectors(given, found)


def _read_messages(given: Given, found: Found) -> None:
    turns = [_message(turn, "user") for turn in items(given.tree("gen_ai.prompt")) if isinstance(turn, Mapping)]
    said = [_message(turn, "assistant") for turn in items(given.tree("gen_ai.completion")) if isinstance(turn, Mapping)]
    tools = [
        {**one, "parameters": decoded(one.get("parameters"))}
        for one in items(given.tree("llm.request.functions"))
        if isinstance(one, Mapping)
    ]
    if turns or said:
        found.is_of(SpanType.CHAT_MODEL)
    if found.span_type is SpanType.EMBEDDING:
        found.went_in({"input": [turn.text for turn in turns]} if turns else None)
        return
    found.asked(turns, tools=tools)
    found.answered(said)
    reasons = [one.finish_reason for one in said]
    if any(reasons):
        found.has(semconv.RESPONSE_FINISH_REASONS, [reason or "error" for reason in reasons])


def _message(turn: Mapping[str, Any], role: str) -> ChatMessage:
    return message({**turn, "content": decoded(turn.get("content"))}, role)


def _read_entity(given: Given, found: Found) -> None:
    into, out = given.json("traceloop.entity.input"), given.json("traceloop.entity.output")
    if into is not None:
        found.went_in(_unwrapped(into, "inputs"))
    if out is not None:
        found.came_out(_unwrapped(out, "outputs"))
    if found.span_type is SpanType.TOOL:
        found.has(semconv.TOOL_NAME, given.get("traceloop.entity.name"))
    elif found.span_type is SpanType.AGENT:
        found.has(semconv.AGENT_NAME, given.get("traceloop.entity.name"))


def _unwrapped(value: Any, name: str) -> Any:
    told = fields(value)
    if name in told and told.keys() <= _WRAPPING:
        return decoded(told[name])
    # Of a tool of LangChain, which is given a text.
    return value if told.keys() != {"input_str"} else decoded(told["input_str"])


def _read_vectors(given: Given, found: Found) -> None:
    """Read what a vector database found, which is told by events."""
    told = [*given.take_event("db.query.result"), *given.take_event("db.search.result")]
    documents = []
    for event in told:
        one = {name.rpartition(".")[2]: value for name, value in event.attributes.items()}
        known = {
            "id": one.get("id"),
            "score": one.get("score", one.get("distance")),
            "content": one.get("document"),
            "metadata": decoded(one.get("metadata", one.get("entity"))),
        }
        documents.append({name: value for name, value in known.items() if value is not None})
    if documents:
        found.is_of(SpanType.RETRIEVER)
        found.came_out({"documents": documents})
