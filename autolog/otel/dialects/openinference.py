"""OpenInference, which Arize's instrumentations and Phoenix speak: lists are flattened into the names of attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autolog import semconv
from autolog.model.chat import ChatMessage, answered, message
from autolog.model.parts import decoded, part, text_part
from autolog.model.span import SpanType
from autolog.model.usage import Cost
from autolog.otel.given import Found, Given, fields, is_conversation, items

TYPES: Mapping[str, SpanType] = {
    "LLM": SpanType.CHAT_MODEL,
    "CHAIN": SpanType.CHAIN,
    "AGENT": SpanType.AGENT,
    "TOOL": SpanType.TOOL,
    "RETRIEVER": SpanType.RETRIEVER,
    "RERANKER": SpanType.RERANKER,
    "EMBEDDING": SpanType.EMBEDDING,
    "GUARDRAIL": SpanType.GUARDRAIL,
    "EVALUATOR": SpanType.EVALUATOR,
    "PROMPT": SpanType.PROMPT,
    "DECISION": SpanType.LLM,
}
# As the GenAI conventions name those who serve models.
PROVIDERS: Mapping[str, str] = {
    "azure": "azure.ai.openai",
    "aws": "aws.bedrock",
    "google": "gcp.gen_ai",
    "xai": "x_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
}
_COUNTS: Mapping[str, str] = {
    "prompt": "input_tokens",
    "completion": "output_tokens",
    "total": "total_tokens",
    "prompt_details.cache_read": "cache_read_tokens",
    "prompt_details.cache_write": "cache_write_tokens",
    "prompt_details.audio": "input_audio_tokens",
    "completion_details.reasoning": "reasoning_tokens",
    "completion_details.audio": "output_audio_tokens",
}


def read(given: Given, found: Found) -> None:
    """Read what there is of it."""
    kind = given.text("openinference.span.kind")
    if kind is None and not any(name.startswith(("llm.input_messages.", "llm.token_count.")) for name in given.left):
        return
    operation = TYPES.get((kind or "LLM").upper())
    if operation is SpanType.CHAT_MODEL and any(name.startswith("llm.prompts.") for name in given.left):
        operation = SpanType.LLM
    found.is_of(operation)
    _read_trace(given, found)
    _read_model(given, found)
    _READERS.get(found.span_type or SpanType.UNKNOWN, _read_others)(given, found)
    _read_values(given, found)


def _read_trace(given: Given, found: Found) -> None:
    found.belongs_to(given.take("session.id"), given.take("user.id"))
    found.is_tagged(given.take("tag.tags"))
    metadata = given.json("metadata")
    if isinstance(metadata, Mapping):
        found.has(semconv.METADATA, dict(metadata))
    found.has(semconv.AGENT_NAME, given.text("agent.name"))
    found.has(semconv.PROMPT_TEMPLATE, given.text("llm.prompt_template.template"))
    found.has(semconv.PROMPT_VARIABLES, given.json("llm.prompt_template.variables"))
    found.has(semconv.PROMPT_VERSION, given.text("llm.prompt_template.version"))


def _read_model(given: Given, found: Found) -> None:
    asked = given.text("llm.request.model_name", "embedding.model_name", "reranker.model_name")
    found.has(semconv.REQUEST_MODEL, asked)
    found.has(semconv.RESPONSE_MODEL, given.text("llm.response.model_name", "llm.model_name"))
    given.take("llm.model_name")
    provider, system = given.text("llm.provider"), given.text("llm.system")
    name = provider or system
    found.has(semconv.PROVIDER, None if name is None else PROVIDERS.get(name, name))
    reason = given.text("llm.finish_reason")
    found.has(semconv.RESPONSE_FINISH_REASONS, None if reason is None else [reason])
    for told, count in _COUNTS.items():
        found.used(**{count: given.count(f"llm.token_count.{told}")})
    amounts = [given.amount(f"llm.cost.{name}") for name in ("prompt", "completion", "total")]
    if found.cost is None and any(amount is not None for amount in amounts):
        into, out, total = (amount or 0.0 for amount in amounts)
        found.cost = Cost(into, out, total or into + out)


def _read_llm(given: Given, found: Found) -> None:
    parameters = given.json("llm.invocation_parameters")
    more = found.parameters(parameters)
    if not isinstance(parameters, Mapping) and parameters is not None:
        more = {"invocation_parameters": parameters}
    turns = [_message(turn) for turn in items(given.tree("llm.input_messages"))]
    prompts = items(given.tree("llm.prompts"))
    turns += [ChatMessage("user", (text_part(str(_inner(one, "prompt").get("text") or "")),)) for one in prompts]
    tools = [decoded(_inner(one, "tool").get("json_schema")) for one in items(given.tree("llm.tools"))]
    said = [_message(turn, "assistant") for turn in items(given.tree("llm.output_messages"))]
    texts = [_inner(one, "completion").get("text") for one in items(given.tree("llm.choices"))]
    said += [ChatMessage("assistant", (text_part(str(text or "")),)) for text in texts]
    # What was sent and what came, where it is told whole, has more in it than what was flattened.
    sent, came = given.json("input.value"), given.json("output.value")
    if is_conversation(sent):
        found.parameters(sent)
        found.went_in(sent)
    elif turns or tools:
        found.asked(turns, tools=tools, **_without(more, "tools"))
    elif sent is not None:
        found.went_in(sent)
    if isinstance(came, Mapping) and answered(came):
        found.came_out(came)
    elif said:
        found.answered(said)
    elif came is not None:
        found.came_out(came)


def _without(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in (*names, "messages")}


def _inner(value: Any, name: str) -> Mapping[str, Any]:
    return fields(fields(value).get(name))


def _message(turn: Any, role: str = "user") -> ChatMessage:
    told = dict(_inner(turn, "message"))
    contents = [_content(_inner(one, "message_content")) for one in items(told.pop("contents", None))]
    calls = [_inner(one, "tool_call") for one in items(told.pop("tool_calls", None))]
    name, arguments = told.pop("function_call_name", None), told.pop("function_call_arguments_json", None)
    if name is not None:
        calls.append({"function": {"name": name, "arguments": arguments}})
    if contents and "content" not in told:
        told["content"] = contents
    return message({**told, **({"tool_calls": calls} if calls else {})}, role)


def _content(told: Mapping[str, Any]) -> Any:
    kind = told.get("type")
    for medium in ("image", "audio", "video", "document"):
        inner = fields(fields(told.get(medium)).get(medium))
        if inner:
            return part({"type": medium, ("file" if medium == "document" else medium): dict(inner)})
    return {**told, "type": kind or "text"}


def _read_retriever(given: Given, found: Found) -> None:
    found.has(semconv.OPERATION, "retrieval")
    query = given.take("input.value", "input.mime_type")
    if query is not None:
        asked = decoded(query)
        found.went_in(asked if isinstance(asked, Mapping) else {"query": asked})
    documents = [_document(one) for one in items(given.tree("retrieval.documents"))]
    if documents:
        given.take("output.value", "output.mime_type")
        found.came_out({"documents": documents})


def _read_reranker(given: Given, found: Found) -> None:
    found.has(semconv.RETRIEVAL_TOP_K, given.count("reranker.top_k"))
    query = given.text("reranker.query")
    before = [_document(one) for one in items(given.tree("reranker.input_documents"))]
    after = [_document(one) for one in items(given.tree("reranker.output_documents"))]
    if query is not None or before:
        given.take("input.value")
        found.went_in({name: value for name, value in (("query", query), ("documents", before)) if value})
    if after:
        given.take("output.value")
        found.came_out({"documents": after})


def _document(value: Any) -> dict[str, Any]:
    told = _inner(value, "document")
    known = {name: told.get(name) for name in ("id", "content", "score")}
    known["metadata"] = decoded(told.get("metadata"))
    return {name: item for name, item in known.items() if item is not None}


def _read_embedding(given: Given, found: Found) -> None:
    found.has(semconv.OPERATION, "embeddings")
    found.parameters(given.json("embedding.invocation_parameters", "llm.invocation_parameters"))
    embeddings = [_inner(one, "embedding") for one in items(given.tree("embedding.embeddings"))]
    texts = [one["text"] for one in embeddings if isinstance(one.get("text"), str)]
    vectors = [one["vector"] for one in embeddings if isinstance(one.get("vector"), (list, tuple))]
    sent = given.json("input.value")
    found.went_in(sent if isinstance(sent, Mapping) else {"input": texts or sent} if texts or sent else None)
    given.take("output.value", "output.mime_type")  # the vectors once more
    if embeddings:
        size = len(vectors[0]) if vectors else None
        found.has(semconv.EMBEDDING_DIMENSION, size)
        found.came_out({"embeddings": {"count": len(embeddings), "dimension": size}})


def _read_tool(given: Given, found: Found) -> None:
    found.has(semconv.OPERATION, "execute_tool")
    found.has(semconv.TOOL_NAME, given.text("tool.name"))
    found.has(semconv.TOOL_DESCRIPTION, given.text("tool.description"))
    found.has(semconv.TOOL_CALL_ID, given.text("tool.id"))
    found.went_in(given.json("input.value"))
    given.take("tool.parameters")


def _read_others(given: Given, found: Found) -> None:
    if any(name.startswith("llm.input_messages.") for name in given.left):  # of an agent
        _read_llm(given, found)


def _read_values(given: Given, found: Found) -> None:
    """Take what is left of the inputs and the outputs, in whichever form."""
    into, out = given.json("input.value"), given.json("output.value")
    given.take("input.mime_type", "output.mime_type")
    if into is not None:
        found.went_in(into)
    if out is not None:
        found.came_out(out)


_READERS = {
    SpanType.CHAT_MODEL: _read_llm,
    SpanType.LLM: _read_llm,
    SpanType.RETRIEVER: _read_retriever,
    SpanType.RERANKER: _read_reranker,
    SpanType.EMBEDDING: _read_embedding,
    SpanType.TOOL: _read_tool,
}
