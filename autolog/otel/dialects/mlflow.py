"""MLflow, whose attributes are all JSON."""

from __future__ import annotations

from collections.abc import Mapping

from autolog import semconv
from autolog.model.parts import decoded
from autolog.model.span import SpanType
from autolog.model.usage import Cost
from autolog.otel.given import Found, Given, fields, items, whole

_PREFIX = "mlflow."
_COUNTS: Mapping[str, str] = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "total_tokens": "total_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
}


def read(given: Given, found: Found) -> None:
    """Read what there is of it."""
    if not any(name.startswith(_PREFIX) for name in given.left):
        return
    kind = _json(given, "mlflow.spanType")
    if isinstance(kind, str):
        name = kind.upper()
        found.is_of(SpanType.__members__.get(name, SpanType.UNKNOWN))
    into, out = _json(given, "mlflow.spanInputs"), _json(given, "mlflow.spanOutputs")
    tools = _json(given, "mlflow.chat.tools")
    if isinstance(into, Mapping) and tools:
        into = {"tools": items(tools), **into}
    found.went_in(into)
    if isinstance(out, list) and found.span_type in (SpanType.RETRIEVER, SpanType.RERANKER):
        out = {"documents": [_document(one) for one in out if isinstance(one, Mapping)]}
    found.came_out(out)
    usage = fields(_json(given, "mlflow.chat.tokenUsage"))
    for told, count in _COUNTS.items():
        found.used(**{count: whole(usage.get(told))})
    cost = fields(_json(given, "mlflow.llm.cost"))
    if cost and found.cost is None:
        amounts = [cost.get(name) for name in ("input_cost", "output_cost", "total_cost")]
        if all(isinstance(amount, (int, float)) for amount in amounts):
            found.cost = Cost(*(float(amount) for amount in amounts if amount is not None))
    model = _json(given, "mlflow.llm.model")
    found.has(semconv.REQUEST_MODEL, model if isinstance(model, str) else None)
    provider = _json(given, "mlflow.llm.provider")
    found.has(semconv.PROVIDER, provider if isinstance(provider, str) else None)
    found.belongs_to(_json(given, "mlflow.trace.session"), _json(given, "mlflow.trace.user"))
    given.take("mlflow.traceRequestId", "mlflow.message.format")


def _json(given: Given, name: str) -> object:
    """Take an attribute, whose strings are quoted."""
    value = given.take(name)
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        unquoted = decoded(f"[{value}]")
        return unquoted[0] if isinstance(unquoted, list) else value
    return decoded(value)


def _document(told: Mapping[str, object]) -> dict[str, object]:
    known = {
        "id": told.get("id"),
        "content": told.get("page_content", told.get("content")),
        "metadata": told.get("metadata"),
    }
    return {name: value for name, value in known.items() if value is not None}
