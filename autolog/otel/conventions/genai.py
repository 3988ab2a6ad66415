"""Tell a span by OpenTelemetry's GenAI conventions: messages, tools and documents as JSON in the form of their schemas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autolog import semconv
from autolog.model.chat import ChatMessage, documents
from autolog.model.span import Span, SpanType
from autolog.model.usage import Cost, TokenUsage
from autolog.otel.conventions.values import Attributes, Told, json_text, text_or_json

_OPERATIONS: Mapping[SpanType, str] = {
    SpanType.CHAT_MODEL: "chat",
    SpanType.LLM: "text_completion",
    SpanType.EMBEDDING: "embeddings",
    SpanType.RETRIEVER: "retrieval",
    SpanType.TOOL: "execute_tool",
    SpanType.AGENT: "invoke_agent",
    SpanType.WORKFLOW: "invoke_workflow",
}
USAGE: Mapping[str, str] = {
    "input_tokens": semconv.USAGE_INPUT,
    "output_tokens": semconv.USAGE_OUTPUT,
    "cache_read_tokens": semconv.USAGE_CACHE_READ,
    "cache_write_tokens": semconv.USAGE_CACHE_WRITE,
    "reasoning_tokens": semconv.USAGE_REASONING,
    "input_text_tokens": semconv.USAGE_INPUT_TEXT,
    "input_audio_tokens": semconv.USAGE_INPUT_AUDIO,
    "input_image_tokens": semconv.USAGE_INPUT_IMAGE,
    "output_text_tokens": semconv.USAGE_OUTPUT_TEXT,
    "output_audio_tokens": semconv.USAGE_OUTPUT_AUDIO,
    "output_image_tokens": semconv.USAGE_OUTPUT_IMAGE,
}


def attributes(told: Told) -> Attributes:
    """Return what the conventions have a name for."""
    span = told.span
    found: Attributes = {semconv.OPERATION: _OPERATIONS.get(span.span_type)}
    _READERS.get(span.span_type, _tell_any)(told, found)
    return found


def usage(counts: TokenUsage) -> Attributes:
    """Return token counts. There is no name for their sum."""
    return {name: getattr(counts, count) for count, name in USAGE.items()}


def cost(amount: Cost) -> Attributes:
    """Return US dollars, for which the conventions have no name."""
    return {f"{semconv.COST}.{name}": value for name, value in amount.to_dict().items()}


def trace(span: Span) -> Attributes:
    """Return what a root tells of its trace."""
    context = span.trace_context
    if context is None:
        return {}
    return {
        semconv.EXPERIMENT: context.experiment,
        semconv.RUN: context.run,
        semconv.VERSION: context.version,
        semconv.TRACE_TAGS: context.tags or None,
        semconv.TRACE_METADATA: context.metadata or None,
    }


def _tell_model(told: Told, found: Attributes) -> None:
    asked, answered = told.asked, told.answered
    if asked.messages:
        found[semconv.INPUT_MESSAGES] = json_text([message.to_dict() for message in asked.messages])
    elif told.inputs is not None:
        found[semconv.INPUTS] = text_or_json(told.inputs)
    if asked.instructions:
        found[semconv.SYSTEM_INSTRUCTIONS] = json_text([dict(part) for part in asked.instructions])
    if asked.tools:
        found[semconv.TOOL_DEFINITIONS] = json_text([dict(tool) for tool in asked.tools])
    if answered:
        found[semconv.OUTPUT_MESSAGES] = json_text([_with_reason(message) for message in answered])
    elif told.outputs is not None:
        found[semconv.OUTPUTS] = text_or_json(told.outputs)


def _with_reason(message: ChatMessage) -> dict[str, Any]:
    known = message.to_dict()
    reason = _REASONS.get(str(message.finish_reason), message.finish_reason)
    return known if reason is None else {**known, "finish_reason": reason}


_REASONS = {"tool_calls": "tool_call", "function_call": "tool_call"}


def _tell_tool(told: Told, found: Attributes) -> None:
    found[semconv.TOOL_NAME] = told.span._attributes.get(semconv.TOOL_NAME) or told.span.name
    found[semconv.TOOL_TYPE] = "function"
    if told.inputs is not None:
        found[semconv.TOOL_CALL_ARGUMENTS] = text_or_json(told.inputs)
    if told.outputs is not None:
        found[semconv.TOOL_CALL_RESULT] = text_or_json(told.outputs)


def _tell_documents(told: Told, found: Attributes) -> None:
    query = told.query
    if query is not None:
        found[semconv.RETRIEVAL_QUERY] = query
    if told.inputs is not None and (query is None or told.inputs not in (query, {"query": query})):
        found[semconv.INPUTS] = text_or_json(told.inputs)
    listed = documents(told.outputs)
    if listed:
        found[semconv.RETRIEVAL_DOCUMENTS] = json_text(listed)
    elif told.outputs is not None:
        found[semconv.OUTPUTS] = text_or_json(told.outputs)


def _tell_agent(told: Told, found: Attributes) -> None:
    name = told.span._attributes.get(semconv.AGENT_NAME) or told.span.name
    found[semconv.AGENT_NAME if told.span.span_type is SpanType.AGENT else semconv.WORKFLOW_NAME] = name
    _tell_any(told, found)


def _tell_any(told: Told, found: Attributes) -> None:
    if told.inputs is not None:
        found[semconv.INPUTS] = text_or_json(told.inputs)
    if told.outputs is not None:
        found[semconv.OUTPUTS] = text_or_json(told.outputs)


_READERS: Mapping[SpanType, Callable[[Told, Attributes], Any]] = {
    SpanType.CHAT_MODEL: _tell_model,
    SpanType.LLM: _tell_model,
    SpanType.TOOL: _tell_tool,
    SpanType.RETRIEVER: _tell_documents,
    SpanType.RERANKER: _tell_documents,
    SpanType.AGENT: _tell_agent,
    SpanType.WORKFLOW: _tell_agent,
}
