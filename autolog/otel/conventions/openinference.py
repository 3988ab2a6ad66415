"""Tell a span by OpenInference's conventions, which Phoenix and Arize read: lists are flattened into names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from autolog import semconv
from autolog.model.chat import ChatMessage, documents
from autolog.model.parts import Part
from autolog.model.span import Span, SpanType
from autolog.model.usage import Cost, TokenUsage
from autolog.otel.conventions.values import Attributes, Told, json_text, text_or_json
from autolog.otel.dialects.openinference import PROVIDERS

_KINDS: Mapping[SpanType, str] = {
    SpanType.CHAT_MODEL: "LLM",
    SpanType.LLM: "LLM",
    SpanType.AGENT: "AGENT",
    SpanType.TOOL: "TOOL",
    SpanType.RETRIEVER: "RETRIEVER",
    SpanType.RERANKER: "RERANKER",
    SpanType.EMBEDDING: "EMBEDDING",
    SpanType.PROMPT: "PROMPT",
    SpanType.GUARDRAIL: "GUARDRAIL",
    SpanType.EVALUATOR: "EVALUATOR",
    SpanType.CHAIN: "CHAIN",
    SpanType.WORKFLOW: "CHAIN",
    SpanType.TASK: "CHAIN",
    SpanType.PARSER: "CHAIN",
    SpanType.MEMORY: "CHAIN",
    SpanType.UNKNOWN: "UNKNOWN",
}
USAGE: Mapping[str, str] = {
    "input_tokens": "llm.token_count.prompt",
    "output_tokens": "llm.token_count.completion",
    "total_tokens": "llm.token_count.total",
    "cache_read_tokens": "llm.token_count.prompt_details.cache_read",
    "cache_write_tokens": "llm.token_count.prompt_details.cache_write",
    "input_audio_tokens": "llm.token_count.prompt_details.audio",
    "reasoning_tokens": "llm.token_count.completion_details.reasoning",
    "output_audio_tokens": "llm.token_count.completion_details.audio",
}
_PROVIDERS = {ours: theirs for theirs, ours in PROVIDERS.items()}
_PARAMETERS: Mapping[str, str] = {
    semconv.REQUEST_TEMPERATURE: "temperature",
    semconv.REQUEST_TOP_P: "top_p",
    semconv.REQUEST_MAX_TOKENS: "max_tokens",
    semconv.REQUEST_SEED: "seed",
    semconv.REQUEST_FREQUENCY_PENALTY: "frequency_penalty",
    semconv.REQUEST_PRESENCE_PENALTY: "presence_penalty",
    semconv.REQUEST_STOP: "stop",
    semconv.REQUEST_CHOICE_COUNT: "n",
    semconv.REQUEST_STREAM: "stream",
    semconv.REQUEST_REASONING_LEVEL: "reasoning_effort",
}
_JSON, _TEXT = "application/json", "text/plain"


def attributes(told: Told) -> Attributes:
    """Return what the conventions have a name for."""
    span = told.span
    found: Attributes = {"openinference.span.kind": _KINDS[span.span_type]}
    _tell_value(found, "input", told.inputs)
    _tell_value(found, "output", told.outputs)
    _READERS.get(span.span_type, _tell_nothing)(told, found)
    known = span._attributes
    found["agent.name"] = known.get(semconv.AGENT_NAME)
    found["llm.prompt_template.template"] = _json(known.get(semconv.PROMPT_TEMPLATE))
    found["llm.prompt_template.variables"] = _json(known.get(semconv.PROMPT_VARIABLES))
    found["llm.prompt_template.version"] = known.get(semconv.PROMPT_VERSION)
    return found


def usage(counts: TokenUsage) -> Attributes:
    """Return token counts."""
    return {name: getattr(counts, count) for count, name in USAGE.items()}


def cost(amount: Cost) -> Attributes:
    """Return US dollars."""
    return {
        "llm.cost.prompt": amount.input,
        "llm.cost.completion": amount.output,
        "llm.cost.total": amount.total,
    }


def trace(span: Span) -> Attributes:
    """Return what a root tells of its trace. Tags have no values there: those that have are in the metadata too."""
    context = span.trace_context
    if context is None:
        return {}
    tags = context.tags or {}
    metadata = {**tags, **(context.metadata or {}), "experiment": context.experiment, "run": context.run}
    return {
        "metadata": json_text({name: value for name, value in metadata.items() if value is not None}),
        "tag.tags": [name if value in ("", "true") else f"{name}:{value}" for name, value in tags.items()],
        semconv.EXPERIMENT: context.experiment,
        semconv.RUN: context.run,
        semconv.VERSION: context.version,
        semconv.TRACE_TAGS: tags or None,
        semconv.TRACE_METADATA: context.metadata or None,
    }


def _json(value: Any) -> str | None:
    return None if value is None else text_or_json(value)


def _tell_value(found: Attributes, name: str, value: Any) -> None:
    if value is not None:
        found[f"{name}.value"] = text_or_json(value)
        found[f"{name}.mime_type"] = _TEXT if isinstance(value, str) else _JSON


def _tell_nothing(_told: Told, _found: Attributes) -> None:
    return None


def _tell_model(told: Told, found: Attributes) -> None:
    known = told.span._attributes
    found["llm.model_name"] = told.span.model
    found["llm.request.model_name"] = known.get(semconv.REQUEST_MODEL)
    found["llm.response.model_name"] = known.get(semconv.RESPONSE_MODEL)
    provider = told.span.provider
    found["llm.provider"] = None if provider is None else _PROVIDERS.get(provider, provider)
    found["llm.system"] = "openai" if semconv.OPENAI_API in known else None
    parameters = {name: known[attribute] for attribute, name in _PARAMETERS.items() if attribute in known}
    found["llm.invocation_parameters"] = json_text(parameters) if parameters else None
    reasons = known.get(semconv.RESPONSE_FINISH_REASONS)
    found["llm.finish_reason"] = str(reasons[0]) if isinstance(reasons, list) and reasons else None
    asked = told.asked
    turns = list(asked.messages)
    if asked.instructions:
        turns.insert(0, ChatMessage("system", asked.instructions))
    _tell_messages(found, "llm.input_messages", turns)
    _tell_messages(found, "llm.output_messages", told.answered)
    for at, tool in enumerate(asked.tools):
        kind = tool.get("type")
        function = {name: value for name, value in tool.items() if name != "type"}
        schema = {"type": kind, "function": function} if kind == "function" else tool
        found[f"llm.tools.{at}.tool.json_schema"] = json_text(schema)


def _tell_messages(found: Attributes, name: str, messages: Iterable[ChatMessage]) -> None:
    at = 0
    for message in messages:
        for turn in _turns(message):
            for key, value in turn.items():
                found[f"{name}.{at}.message.{key}"] = value
            at += 1


def _turns(message: ChatMessage) -> Iterable[Attributes]:
    """Flatten a message. What several tools answered is a message each there."""
    answers = [part for part in message.parts if part.get("type") == "tool_call_response"]
    for answer in answers:
        yield {
            "role": "tool",
            "tool_call_id": answer.get("id"),
            "content": None if answer.get("response") is None else text_or_json(answer["response"]),
            "name": message.name,
        }
    said = [part for part in message.parts if part.get("type") not in ("tool_call", "tool_call_response")]
    if answers and not said and not message.tool_calls:
        return
    turn: Attributes = {"role": message.role, "name": message.name}
    if len(said) == 1 and said[0].get("type") == "text":
        turn["content"] = said[0].get("content")
    else:
        for at, part in enumerate(said):
            for key, value in _content(part).items():
                turn[f"contents.{at}.message_content.{key}"] = value
    for at, call in enumerate(message.tool_calls):
        turn[f"tool_calls.{at}.tool_call.id"] = call.id
        turn[f"tool_calls.{at}.tool_call.function.name"] = call.name
        given = None if call.arguments is None else text_or_json(call.arguments)
        turn[f"tool_calls.{at}.tool_call.function.arguments"] = given
    yield turn


_MEDIA = {"image": "image", "audio": "audio", "video": "video", "file": "document"}


def _content(part: Part) -> Attributes:
    """Tell one part of a message."""
    kind = str(part.get("type"))
    medium = _MEDIA.get(str(part.get("modality")))
    if kind in ("text", "reasoning"):
        return {"type": kind, "text": part.get("content")}
    if medium is not None:
        place = part.get("uri")
        if place is None and isinstance(part.get("content"), str):
            place = f"data:{part.get('mime_type') or ''};base64,{part['content']}"
        found = {"type": medium, f"{medium}.{medium}.url": place, "id": part.get("file_id")}
        if medium != "image":
            found[f"{medium}.{medium}.mime_type"] = part.get("mime_type")
        return found
    return {"type": kind, "text": json_text({name: value for name, value in part.items() if name != "type"})}


def _tell_documents(found: Attributes, name: str, listed: Iterable[Mapping[str, Any]]) -> None:
    for at, document in enumerate(listed):
        score = document.get("score")
        known = {
            "id": None if document.get("id") is None else str(document["id"]),
            "content": _json(document.get("content")),
            "score": float(score) if isinstance(score, (int, float)) else None,
            "metadata": _json(document.get("metadata")),
        }
        for key, value in known.items():
            found[f"{name}.{at}.document.{key}"] = value


def _tell_retriever(told: Told, found: Attributes) -> None:
    if told.query is not None:
        _tell_value(found, "input", told.query)
    _tell_documents(found, "retrieval.documents", documents(told.outputs))


def _tell_reranker(told: Told, found: Attributes) -> None:
    found["reranker.query"] = told.query
    found["reranker.top_k"] = told.span._attributes.get(semconv.RETRIEVAL_TOP_K)
    found["reranker.model_name"] = told.span.model
    _tell_documents(found, "reranker.input_documents", documents(told.inputs))
    _tell_documents(found, "reranker.output_documents", documents(told.outputs))


def _tell_embedding(told: Told, found: Attributes) -> None:
    found["embedding.model_name"] = told.span.model
    given = told.inputs if isinstance(told.inputs, Mapping) else {"input": told.inputs}
    texts = next((given[name] for name in ("input", "texts", "text", "query") if given.get(name)), None)
    for at, text in enumerate([texts] if isinstance(texts, str) else texts if isinstance(texts, list) else ()):
        if isinstance(text, str):
            found[f"embedding.embeddings.{at}.embedding.text"] = text
    vectors = told.outputs.get("vectors") if isinstance(told.outputs, Mapping) else None
    for at, vector in enumerate(vectors if isinstance(vectors, list) else ()):
        found[f"embedding.embeddings.{at}.embedding.vector"] = vector


def _tell_tool(told: Told, found: Attributes) -> None:
    known = told.span._attributes
    found["tool.name"] = known.get(semconv.TOOL_NAME) or told.span.name
    found["tool.description"] = known.get(semconv.TOOL_DESCRIPTION)
    found["tool.id"] = known.get(semconv.TOOL_CALL_ID)
    found["tool.parameters"] = _json(told.inputs)


_READERS: Mapping[SpanType, Callable[[Told, Attributes], Any]] = {
    SpanType.CHAT_MODEL: _tell_model,
    SpanType.LLM: _tell_model,
    SpanType.RETRIEVER: _tell_retriever,
    SpanType.RERANKER: _tell_reranker,
    SpanType.EMBEDDING: _tell_embedding,
    SpanType.TOOL: _tell_tool,
}
