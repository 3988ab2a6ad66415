"""Langfuse."""

from __future__ import annotations

from collections.abc import Mapping

from autolog import semconv
from autolog.model.chat import answered
from autolog.model.span import SpanType
from autolog.model.usage import Cost
from autolog.otel.given import Found, Given, fields, is_conversation, items, whole

TYPES: Mapping[str, SpanType] = {
    "generation": SpanType.CHAT_MODEL,
    "agent": SpanType.AGENT,
    "tool": SpanType.TOOL,
    "chain": SpanType.CHAIN,
    "retriever": SpanType.RETRIEVER,
    "evaluator": SpanType.EVALUATOR,
    "embedding": SpanType.EMBEDDING,
    "guardrail": SpanType.GUARDRAIL,
}
_COUNTS: Mapping[str, tuple[str, ...]] = {
    "input_tokens": ("input", "input_tokens", "prompt_tokens", "promptTokens"),
    "output_tokens": ("output", "output_tokens", "completion_tokens", "completionTokens"),
    "total_tokens": ("total", "total_tokens", "totalTokens"),
    "cache_read_tokens": ("input_cache_read", "input_cached_tokens", "cache_read_input_tokens", "cache_read"),
    "cache_write_tokens": ("input_cache_creation", "cache_creation_input_tokens", "cache_write"),
    "reasoning_tokens": ("output_reasoning_tokens", "output_reasoning"),
}


def read(given: Given, found: Found) -> None:
    """Read what there is of it."""
    if not any(name.startswith("langfuse.") for name in given.left):
        return
    found.is_of(TYPES.get(given.text("langfuse.observation.type") or ""))
    into, out = given.json("langfuse.observation.input"), given.json("langfuse.observation.output")
    if isinstance(into, list) and found.span_type is SpanType.CHAT_MODEL and is_conversation({"messages": into}):
        into = {"messages": into}
    if isinstance(out, list) and found.span_type is SpanType.CHAT_MODEL and answered(out):
        out = out[0] if len(out) == 1 else {"choices": out}
    found.went_in(into)
    found.came_out(out)
    found.has(semconv.REQUEST_MODEL, given.text("langfuse.observation.model.name"))
    found.parameters(given.json("langfuse.observation.model.parameters"))
    usage = fields(given.json("langfuse.observation.usage_details"))
    for count, names in _COUNTS.items():
        found.used(**{count: next((n for name in names if (n := whole(usage.get(name))) is not None), None)})
    cost = fields(given.json("langfuse.observation.cost_details"))
    if cost and found.cost is None:
        into_cost, out_cost, total = (
            float(cost[name]) if isinstance(cost.get(name), (int, float)) else 0.0
            for name in ("input", "output", "total")
        )
        found.cost = Cost(into_cost, out_cost, total or into_cost + out_cost)
    found.has(semconv.PROMPT_NAME, given.text("langfuse.observation.prompt.name"))
    found.belongs_to(given.take("langfuse.session.id", "session.id"), given.take("langfuse.user.id", "user.id"))
    found.is_tagged(items(given.take("langfuse.trace.tags")))
    found.is_described(given.below("langfuse.trace.metadata."))
    metadata = given.below("langfuse.observation.metadata.")
    found.has(semconv.METADATA, metadata or None)
