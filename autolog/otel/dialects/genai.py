"""OpenTelemetry's GenAI conventions, of all ages: names that are no more, messages as events, messages as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autolog import semconv
from autolog.model.chat import ChatMessage, answered, asked, message
from autolog.model.parts import decoded
from autolog.model.span import SpanType
from autolog.otel.given import Found, Given, fields, items

TYPES: Mapping[str, SpanType] = {
    "chat": SpanType.CHAT_MODEL,
    "generate_content": SpanType.CHAT_MODEL,
    "text_completion": SpanType.LLM,
    "embeddings": SpanType.EMBEDDING,
    "retrieval": SpanType.RETRIEVER,
    "rerank": SpanType.RERANKER,
    "execute_tool": SpanType.TOOL,
    "invoke_agent": SpanType.AGENT,
    "create_agent": SpanType.AGENT,
    "invoke_workflow": SpanType.WORKFLOW,
    "plan": SpanType.TASK,
    "search_memory": SpanType.MEMORY,
    "update_memory": SpanType.MEMORY,
}
RENAMED: Mapping[str, str] = {
    "gen_ai.system": semconv.PROVIDER,
    "gen_ai.openai.request.seed": semconv.REQUEST_SEED,
    "gen_ai.request.n": semconv.REQUEST_CHOICE_COUNT,
    "gen_ai.request.max_completion_tokens": semconv.REQUEST_MAX_TOKENS,
    "gen_ai.request.reasoning_effort": semconv.REQUEST_REASONING_LEVEL,
    "gen_ai.request.is_stream": semconv.REQUEST_STREAM,
    "gen_ai.openai.request.service_tier": semconv.OPENAI_REQUEST_TIER,
    "gen_ai.openai.response.service_tier": semconv.OPENAI_RESPONSE_TIER,
    "gen_ai.openai.response.system_fingerprint": semconv.OPENAI_FINGERPRINT,
    "gen_ai.openai.system_fingerprint": semconv.OPENAI_FINGERPRINT,
}
_PROVIDERS: Mapping[str, str] = {
    "az.ai.openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "xai": "x_ai",
    "vertex_ai": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
}
_COUNTS: Mapping[str, tuple[str, ...]] = {
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    "total_tokens": ("gen_ai.usage.total_tokens",),
    "cache_read_tokens": (semconv.USAGE_CACHE_READ, "gen_ai.usage.cache_read_input_tokens"),
    "cache_write_tokens": (
        semconv.USAGE_CACHE_WRITE,
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
    ),
    "reasoning_tokens": (
        semconv.USAGE_REASONING,
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
    ),
    "input_audio_tokens": (semconv.USAGE_INPUT_AUDIO, "gen_ai.usage.details.input_audio_tokens"),
    "output_audio_tokens": (semconv.USAGE_OUTPUT_AUDIO, "gen_ai.usage.details.output_audio_tokens"),
    "input_text_tokens": (semconv.USAGE_INPUT_TEXT,),
    "output_text_tokens": (semconv.USAGE_OUTPUT_TEXT,),
    "input_image_tokens": (semconv.USAGE_INPUT_IMAGE,),
    "output_image_tokens": (semconv.USAGE_OUTPUT_IMAGE,),
}
# Events of the conventions before their messages were attributes: each is one message.
_TURNS: Mapping[str, str] = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_DETAILS = "gen_ai.client.inference.operation.details"


def read(given: Given, found: Found) -> None:
    """Read what there is of it."""
    if not any(name.startswith("gen_ai.") for name in (*given.left, *(event.name for event in given.events))):
        return
    operation = given.get(semconv.OPERATION)
    found.is_of(TYPES.get(operation) if isinstance(operation, str) else None)
    for old, new in RENAMED.items():
        found.has(new, given.take(old))
    provider = found.attributes.get(semconv.PROVIDER)
    if isinstance(provider, str):
        found.attributes[semconv.PROVIDER] = _PROVIDERS.get(provider, provider)
    given.take("gen_ai.headers", "gen_ai.token.type")
    for count, names in _COUNTS.items():
        found.used(**{count: given.count(*names)})
    session = given.get(semconv.CONVERSATION_ID)
    found.belongs_to(session, given.text("gen_ai.user"))
    for event in given.take_event(_DETAILS):
        for name, value in event.attributes.items():
            given.left.setdefault(name, value)
    _read_messages(given, found)
    _read_tool(given, found)
    _read_documents(given, found)
    if found.span_type is None and found.usage is not None:
        found.is_of(SpanType.CHAT_MODEL)


def _read_messages(given: Given, found: Found) -> None:
    turns = turns_of(given.json(semconv.INPUT_MESSAGES), "user")
    said = turns_of(given.json(semconv.OUTPUT_MESSAGES), "assistant")
    instructions = given.json(semconv.SYSTEM_INSTRUCTIONS)
    tools = given.json(semconv.TOOL_DEFINITIONS)
    turns += [
        message({"role": _TURNS[event.name], **_told(event.attributes)}, _TURNS[event.name])
        for event in _taken(given, *_TURNS)
    ]
    turns += turns_of(_only(given, "gen_ai.content.prompt", "gen_ai.prompt"), "user")
    said += turns_of(_only(given, "gen_ai.content.completion", "gen_ai.completion"), "assistant")
    said += answered({"choices": [_told(event.attributes) for event in _taken(given, "gen_ai.choice")]})
    if found.span_type is SpanType.EMBEDDING and turns and not said:
        found.went_in({"input": [turn.text for turn in turns]})
        return
    found.asked(turns, instructions=instructions_of(instructions), tools=items(tools))
    found.answered(said)


def turns_of(value: Any, role: str) -> list[ChatMessage]:
    """Read messages, whatever they are in: a list of them, one, or a text."""
    if isinstance(value, str):
        return list(asked([{"role": role, "content": value}]).messages)
    if isinstance(value, Mapping):
        value = value.get("messages", [value])
    return [message(turn, role) for turn in items(value) if isinstance(turn, Mapping)]


def instructions_of(value: Any) -> Any:
    """Return instructions as the text that they are, or in parts where they are more than text."""
    parts = items(value)
    texts = [fields(part).get("content") for part in parts]
    # A text where it is nothing but text, as whoever called the model gave it.
    return "\n".join(map(str, texts)) if parts and all(isinstance(text, str) for text in texts) else value


def _told(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an event of one message tells, some of it in JSON."""
    told = {name.removeprefix("gen_ai.event."): decoded(value) for name, value in attributes.items()}
    if "id" in told and told.get("role") == "tool":
        told.setdefault("tool_call_id", told["id"])
    return {name: value for name, value in told.items() if name not in ("gen_ai.system", "event.name")}


def _taken(given: Given, *names: str) -> list[Any]:
    found = [event for event in given.events if event.name in names]
    for name in names:
        given.take_event(name)
    return found


def _only(given: Given, event: str, name: str) -> Any:
    """Take a text or JSON that older versions have in an event, or in an attribute of that name."""
    told = [decoded(one.attributes.get(name)) for one in given.take_event(event)]
    return told[0] if told else given.json(name)


def _read_tool(given: Given, found: Found) -> None:
    if semconv.TOOL_CALL_ARGUMENTS in given:
        found.went_in(given.json(semconv.TOOL_CALL_ARGUMENTS))
    if semconv.TOOL_CALL_RESULT in given:
        found.came_out(given.json(semconv.TOOL_CALL_RESULT))


def _read_documents(given: Given, found: Found) -> None:
    query = given.text(semconv.RETRIEVAL_QUERY)
    if query is not None:
        found.went_in({"query": query})
    documents = given.json(semconv.RETRIEVAL_DOCUMENTS)
    if isinstance(documents, list):
        found.came_out({"documents": documents})
