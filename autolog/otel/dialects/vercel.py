"""Vercel's AI SDK, for programs that send their spans here from TypeScript."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autolog import semconv
from autolog.model.chat import message
from autolog.model.parts import decoded
from autolog.model.span import SpanType
from autolog.model.trace import first_named
from autolog.otel.dialects.genai import turns_of
from autolog.otel.given import Found, Given, fields, items

TYPES: Mapping[str, SpanType] = {
    "ai.toolCall": SpanType.TOOL,
    "ai.embed": SpanType.CHAIN,
    "ai.embedMany": SpanType.CHAIN,
    "ai.embed.doEmbed": SpanType.EMBEDDING,
    "ai.embedMany.doEmbed": SpanType.EMBEDDING,
    **dict.fromkeys(("ai.generateText", "ai.streamText", "ai.generateObject", "ai.streamObject"), SpanType.CHAIN),
    **dict.fromkeys(
        (
            "ai.generateText.doGenerate",
            "ai.streamText.doStream",
            "ai.generateObject.doGenerate",
            "ai.streamObject.doStream",
        ),
        SpanType.CHAT_MODEL,
    ),
}
_COUNTS: Mapping[str, tuple[str, ...]] = {
    "input_tokens": ("ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens"),
    "output_tokens": ("ai.usage.outputTokens", "ai.usage.completionTokens"),
    "total_tokens": ("ai.usage.totalTokens",),
    "cache_read_tokens": ("ai.usage.inputTokenDetails.cacheReadTokens", "ai.usage.cachedInputTokens"),
    "cache_write_tokens": ("ai.usage.inputTokenDetails.cacheWriteTokens",),
    "reasoning_tokens": ("ai.usage.outputTokenDetails.reasoningTokens", "ai.usage.reasoningTokens"),
}
_SETTINGS: Mapping[str, str] = {
    "ai.settings.temperature": semconv.REQUEST_TEMPERATURE,
    "ai.settings.topP": semconv.REQUEST_TOP_P,
    "ai.settings.maxOutputTokens": semconv.REQUEST_MAX_TOKENS,
    "ai.settings.maxTokens": semconv.REQUEST_MAX_TOKENS,
    "ai.settings.frequencyPenalty": semconv.REQUEST_FREQUENCY_PENALTY,
    "ai.settings.presencePenalty": semconv.REQUEST_PRESENCE_PENALTY,
    "ai.settings.seed": semconv.REQUEST_SEED,
}


def read(given: Given, found: Found) -> None:
    """Read what there is of it."""
    operation = given.text("ai.operationId")
    if operation is None:
        return
    given.take("operation.name", "resource.name")
    found.is_of(TYPES.get(operation))
    found.has(semconv.REQUEST_MODEL, given.text("ai.model.id"))
    provider = given.text("ai.model.provider")
    found.has(semconv.PROVIDER, None if provider is None else provider.partition(".")[0])
    found.has(semconv.RESPONSE_MODEL, given.text("ai.response.model"))
    found.has(semconv.RESPONSE_ID, given.text("ai.response.id"))
    reason = given.text("ai.response.finishReason", "ai.finishReason")
    found.has(semconv.RESPONSE_FINISH_REASONS, None if reason is None else [reason.replace("-", "_")])
    for name, attribute in _SETTINGS.items():
        found.has(attribute, given.amount(name) if "Tokens" not in name and "seed" not in name else given.count(name))
    for count, names in _COUNTS.items():
        found.used(**{count: given.count(*names)})
    given.take("ai.usage.promptTokens", "ai.usage.completionTokens")
    metadata = given.below("ai.telemetry.metadata.")
    found.belongs_to(first_named(metadata, ("sessionId", "session_id", "langfuseSessionId")))
    found.belongs_to(user=first_named(metadata, ("userId", "user_id", "langfuseUserId")))
    found.is_described(metadata)
    if operation == "ai.toolCall":
        _read_tool(given, found)
    elif ".embed" in operation:
        _read_embedding(given, found)
    else:
        _read_messages(given, found)


def _read_tool(given: Given, found: Found) -> None:
    found.has(semconv.TOOL_NAME, given.text("ai.toolCall.name"))
    found.has(semconv.TOOL_CALL_ID, given.text("ai.toolCall.id"))
    found.went_in(given.json("ai.toolCall.args", "ai.toolCall.input"))
    found.came_out(given.json("ai.toolCall.result", "ai.toolCall.output"))


def _read_embedding(given: Given, found: Found) -> None:
    values = [decoded(value) for value in items(given.take("ai.values"))] or given.json("ai.value")
    found.went_in(None if values is None else {"input": values})
    vectors = items(given.take("ai.embeddings")) or [given.take("ai.embedding")]
    told = [vector for vector in map(decoded, vectors) if isinstance(vector, list)]
    if told:
        found.came_out({"embeddings": {"count": len(told), "dimension": len(told[0])}})


def _read_messages(given: Given, found: Found) -> None:
    prompt = given.json("ai.prompt")
    turns = turns_of(given.json("ai.prompt.messages"), "user") or turns_of(_messages_in(prompt), "user")
    tools = [decoded(tool) for tool in items(given.take("ai.prompt.tools"))]
    instructions = fields(prompt).get("system")
    found.asked(turns, instructions=instructions, tools=[tool for tool in tools if isinstance(tool, Mapping)])
    text, calls = given.text("ai.response.text", "ai.result.text"), given.json("ai.response.toolCalls")
    result = given.json("ai.response.object", "ai.result.object")
    if result is not None and text is None:
        found.came_out(result)
    said: dict[str, Any] = {"role": "assistant", "content": text, "reasoning": given.text("ai.response.reasoning")}
    said["tool_calls"] = [
        {
            "id": one.get("toolCallId"),
            "name": one.get("toolName"),
            "arguments": decoded(one.get("input", one.get("args"))),
        }
        for one in items(calls)
        if isinstance(one, Mapping)
    ]
    if text is not None or said["tool_calls"]:
        found.answered([message(said, "assistant")])


def _messages_in(prompt: Any) -> Any:
    told = fields(prompt)
    return told.get("messages") or told.get("prompt") or (prompt if isinstance(prompt, str) else None)
