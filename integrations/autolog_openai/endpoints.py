"""Which requests are traced, and as what. What is not in the tables makes no span."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from autolog import Span, SpanType
from autolog_openai import merge, read

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One kind of request: its GenAI operation, the span's type, and how its answer is read."""

    operation: str
    span_type: SpanType
    read: Callable[[Span, Body, Mapping[str, Any]], None]
    merge: Callable[[list[merge.Event]], Body] = merge.last
    is_media: bool = False
    """Whether the answer is audio or the like, of which only the size is recorded."""
    api: str | None = None
    output: str | None = None


_CHAT = Endpoint("chat", SpanType.CHAT_MODEL, read.chat, merge.chat, api="chat_completions")
_RESPONSES = Endpoint("chat", SpanType.CHAT_MODEL, read.response, merge.response, api="responses")
_FETCH = Endpoint("fetch_response", SpanType.TASK, read.fetched, merge.response, api="responses")
_IMAGE = Endpoint("generate_content", SpanType.LLM, read.images, merge.images, output="image")
_TRANSCRIPT = Endpoint("generate_content", SpanType.LLM, read.plain, merge.transcript, output="text")
_RUN = Endpoint("invoke_agent", SpanType.AGENT, read.run, merge.run)
_VIDEO = Endpoint("generate_content", SpanType.LLM, read.plain, output="video")

_EXACT: Mapping[tuple[str, str], Endpoint] = {
    ("post", "/chat/completions"): _CHAT,
    ("post", "/responses"): _RESPONSES,
    ("post", "/responses/compact"): Endpoint("compact", SpanType.CHAT_MODEL, read.response, api="responses"),
    ("post", "/responses/input_tokens"): Endpoint("count_tokens", SpanType.TASK, read.plain, api="responses"),
    ("post", "/completions"): Endpoint("text_completion", SpanType.LLM, read.chat, merge.completion),
    ("post", "/embeddings"): Endpoint("embeddings", SpanType.EMBEDDING, read.embeddings),
    ("post", "/images/generations"): _IMAGE,
    ("post", "/images/edits"): _IMAGE,
    ("post", "/images/variations"): _IMAGE,
    ("post", "/audio/speech"): Endpoint(
        "generate_content", SpanType.LLM, read.plain, merge.speech, is_media=True, output="speech"
    ),
    ("post", "/audio/transcriptions"): _TRANSCRIPT,
    ("post", "/audio/translations"): _TRANSCRIPT,
    ("post", "/moderations"): Endpoint("moderation", SpanType.GUARDRAIL, read.plain),
    ("post", "/decisions"): Endpoint("decisions", SpanType.LLM, read.plain),
    ("post", "/videos"): _VIDEO,
    ("post", "/videos/edits"): _VIDEO,
    ("post", "/videos/extensions"): _VIDEO,
    ("post", "/batches"): Endpoint("create_batch", SpanType.TASK, read.plain),
    ("post", "/fine_tuning/jobs"): Endpoint("create_fine_tuning_job", SpanType.TASK, read.plain),
    ("post", "/threads/runs"): _RUN,
}

# Paths with ids in them; `*` stands for one id.
_WITH_IDS: Mapping[tuple[str, ...], Endpoint] = {
    ("get", "responses", "*"): _FETCH,
    ("post", "responses", "*", "cancel"): Endpoint("cancel_response", SpanType.TASK, read.fetched, api="responses"),
    ("get", "chat", "completions", "*"): Endpoint(
        "fetch_response", SpanType.TASK, read.fetched, api="chat_completions"
    ),
    ("post", "vector_stores", "*", "search"): Endpoint("retrieval", SpanType.RETRIEVER, read.documents),
    ("post", "threads", "*", "runs"): _RUN,
    ("post", "threads", "*", "runs", "*", "submit_tool_outputs"): _RUN,
    ("get", "threads", "*", "runs", "*"): Endpoint("fetch_run", SpanType.TASK, read.fetched),
    ("post", "evals", "*", "runs"): Endpoint("evaluate", SpanType.EVALUATOR, read.plain),
    ("post", "videos", "*", "remix"): _VIDEO,
}
# A GET of these is a list or a setting, not an answer.
_NOT_IDS = frozenset({"input_tokens", "compact"})


def find(method: str, url: str, client: Any) -> Endpoint | None:
    """Return what a request is traced as, or `None`. `url` is the path below the client's base URL, or a whole one."""
    method = method.lower()
    found = _EXACT.get((method, url))
    if found is not None:
        return found
    path = _path(url, client)
    found = _EXACT.get((method, f"/{path}"))
    if found is not None:
        return found
    parts = path.split("/")
    for pattern, endpoint in _WITH_IDS.items():
        if pattern[0] == method and len(parts) == len(pattern) - 1 and _fits(pattern[1:], parts):
            return endpoint
    return None


def _path(url: str, client: Any) -> str:
    path = url.partition("?")[0].strip("/")
    base = str(getattr(client, "_base_url", "")).strip("/")
    return path.removeprefix(f"{base}/") if "://" in path else path


def _fits(pattern: tuple[str, ...], parts: list[str]) -> bool:
    return all(
        want == part or (want == "*" and part and part not in _NOT_IDS)
        for want, part in zip(pattern, parts, strict=True)
    )
