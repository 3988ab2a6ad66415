"""LangSmith."""

from __future__ import annotations

from collections.abc import Mapping

from autolog import semconv
from autolog.model.provider_usage import usage_of
from autolog.model.span import SpanType
from autolog.model.trace import first_named
from autolog.model.usage import COUNTS
from autolog.otel.given import Found, Given, fields, items

TYPES: Mapping[str, SpanType] = {
    "llm": SpanType.CHAT_MODEL,
    "chain": SpanType.CHAIN,
    "tool": SpanType.TOOL,
    "retriever": SpanType.RETRIEVER,
    "embedding": SpanType.EMBEDDING,
    "prompt": SpanType.PROMPT,
    "parser": SpanType.PARSER,
}


def read(given: Given, found: Found) -> None:
    """Read what there is of it."""
    if not any(name.startswith("langsmith.") for name in given.left):
        return
    found.is_of(TYPES.get(given.text("langsmith.span.kind") or ""))
    metadata = given.below("langsmith.metadata.")
    found.has(semconv.REQUEST_MODEL, metadata.pop("ls_model_name", None))
    found.has(semconv.PROVIDER, metadata.pop("ls_provider", None))
    found.belongs_to(first_named(metadata, ("session_id", "thread_id", "conversation_id")))
    found.belongs_to(user=first_named(metadata, ("user_id",)))
    found.is_described(metadata)
    tags = given.take("langsmith.span.tags")
    found.is_tagged([tag.strip() for tag in tags.split(",") if tag.strip()] if isinstance(tags, str) else items(tags))
    told = fields(given.json("langsmith.usage_metadata"))
    usage = usage_of(told)
    if usage is not None:
        into, out = fields(told.get("input_token_details")), fields(told.get("output_token_details"))
        details = {"cache_read_tokens": into.get("cache_read"), "reasoning_tokens": out.get("reasoning")}
        found.used(**{name: count for name, count in details.items() if isinstance(count, int)})
        found.used(**{name: getattr(usage, name) for name in COUNTS if isinstance(getattr(usage, name), int)})
