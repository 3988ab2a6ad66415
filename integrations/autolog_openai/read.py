"""Read an answer's body into a span: outputs, usage, finish reasons, ids. Runs on the worker."""

from __future__ import annotations

import base64
import struct
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from autolog import Span, Status, StatusCode, capture, semconv
from autolog.model.provider_usage import usage_of
from autolog.redact import redact_keys

Body = dict[str, Any]
Options = Mapping[str, Any]


def chat(span: Span, body: Body, options: Options) -> None:
    """A chat completion, or a legacy completion."""
    _head(span, body)
    choices = [choice for choice in body.get("choices") or () if isinstance(choice, dict)]
    _mark_counted(body)
    if choices:
        # A choice that never finished is an error by the conventions.
        reasons = [choice.get("finish_reason") or "error" for choice in choices]
        span.set_attribute(semconv.RESPONSE_FINISH_REASONS, reasons)
    span.set_outputs(body)


def response(span: Span, body: Body, options: Options) -> None:
    """A response of the Responses API."""
    _head(span, body)
    _mark_counted(body)
    _response_status(span, body)
    span.set_outputs(body)


def fetched(span: Span, body: Body, options: Options) -> None:
    """An answer that was made by an earlier call. Its tokens count only where no span reported them before."""
    _head(span, body, usage=False)
    _response_status(span, body)
    if body.get("usage") and not _is_counted(body):
        span.set_usage(usage_of(body["usage"]))
        _mark_counted(body)
    span.set_outputs(body)


def run(span: Span, body: Body, options: Options) -> None:
    """A run of an assistant."""
    _head(span, body)
    _mark_counted(body)
    _response_status(span, body)
    span.set_attribute(semconv.AGENT_ID, body.get("assistant_id"))
    span.set_attribute(semconv.CONVERSATION_ID, body.get("thread_id"))
    span.set_outputs(body)


def embeddings(span: Span, body: Body, options: Options) -> None:
    """Embeddings: how many and how long, and the vectors themselves only where that is asked for."""
    _head(span, body)
    vectors = [item.get("embedding") for item in body.get("data") or () if isinstance(item, dict)]
    dimension = _dimension(vectors[0]) if vectors else None
    span.set_attribute(semconv.EMBEDDING_DIMENSION, dimension)
    outputs: Body = {"embeddings": {"count": len(vectors), "dimension": dimension}}
    if options["capture_embeddings"]:
        outputs["vectors"] = [_floats(vector) for vector in vectors]
    span.set_outputs(outputs)


def _dimension(vector: Any) -> int | None:
    if isinstance(vector, str):  # base64 of 4-byte floats, which the SDK asks for by itself
        return len(vector.rstrip("=")) * 3 // 4 // 4
    return len(vector) if isinstance(vector, list) else None


def _floats(vector: Any) -> Any:
    if not isinstance(vector, str):
        return vector
    content = base64.b64decode(vector)
    return list(struct.unpack(f"<{len(content) // 4}f", content))


def images(span: Span, body: Body, options: Options) -> None:
    """Images: their type, size and hash in place of their content."""
    _head(span, body)
    form = body.get("output_format") or "png"
    mime = "image/svg+xml" if form == "svg" else f"image/{form}"
    pictures = []
    for item in body.get("data") or ():
        content = item.get("b64_json") if isinstance(item, dict) else None
        pictures.append({**item, "b64_json": capture.media(content, mime)} if content else item)
    svg = usage_of(body.get("svg_usage"))
    if svg is not None:
        both = svg + span.usage if span.usage else svg
        span.set_usage(replace(both, raw={"usage": body.get("usage"), "svg_usage": body["svg_usage"]}))
    span.set_outputs({**body, "data": pictures})


def documents(span: Span, body: Body, options: Options) -> None:
    """The results of a search in a vector store."""
    found = []
    for item in body.get("data") or ():
        texts = [part.get("text") for part in item.get("content") or () if part.get("type") == "text"]
        found.append(
            {
                "id": item.get("file_id"),
                "score": item.get("score"),
                "content": "\n".join(text for text in texts if text),
                "metadata": {"filename": item.get("filename"), **(item.get("attributes") or {})},
            }
        )
    span.set_outputs({"documents": found, "has_more": body.get("has_more")})


def plain(span: Span, body: Body, options: Options) -> None:
    """Any other answer, as it is."""
    _head(span, body)
    _response_status(span, body)
    span.set_outputs(body)


def _head(span: Span, body: Body, *, usage: bool = True) -> None:
    """What most answers have in common."""
    span.set_attribute(semconv.RESPONSE_ID, body.get("id"))
    model = body.get("model")
    span.set_attribute(semconv.RESPONSE_MODEL, model if isinstance(model, str) else None)
    span.set_attribute(semconv.OPENAI_RESPONSE_TIER, body.get("service_tier"))
    span.set_attribute(semconv.OPENAI_FINGERPRINT, body.get("system_fingerprint"))
    if usage:
        span.set_usage(usage_of(body.get("usage")))


_UNFINISHED = {"max_output_tokens": "length", "content_filter": "content_filter"}
_FAILED = frozenset({"failed", "expired"})


def _response_status(span: Span, body: Body) -> None:
    status = body.get("status")
    if not isinstance(status, str):
        return
    span.set_attribute(semconv.RESPONSE_STATUS, status)
    error = body.get("error") or body.get("last_error")
    if status in _FAILED:
        details = error if isinstance(error, dict) else {}
        fail(span, details.get("code") or status, details.get("message") or status)
    elif status == "incomplete":
        reason = str((body.get("incomplete_details") or {}).get("reason") or "error")
        span.set_attribute(semconv.RESPONSE_FINISH_REASONS, [_UNFINISHED.get(reason, reason)])
    elif status == "completed":
        kinds = {item.get("type") for item in body.get("output") or () if isinstance(item, dict)}
        called = kinds & {"function_call", "custom_tool_call"}
        span.set_attribute(semconv.RESPONSE_FINISH_REASONS, ["tool_calls" if called else "stop"])


def fail(span: Span, kind: Any, message: Any) -> None:
    """Mark the span as failed for a reason that the answer gives; an exception that is noted already stays."""
    if span.status.is_error:
        return
    span.set_attribute(semconv.ERROR_TYPE, str(kind))
    span.set_status(Status(StatusCode.ERROR, redact_keys(f"{kind}: {message}")))


# Ids of answers whose tokens a span has reported, so that polling for them does not count them again.
_counted: OrderedDict[str, None] = OrderedDict()
_COUNTED_MOST = 10_000


def _is_counted(body: Body) -> bool:
    return body.get("id") in _counted


def _mark_counted(body: Body) -> None:
    if body.get("usage") and isinstance(body.get("id"), str):
        _counted[body["id"]] = None
        if len(_counted) > _COUNTED_MOST:
            _counted.popitem(last=False)
