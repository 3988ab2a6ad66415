"""Observe embeddings and vector stores, which have no callbacks, wherever a subclass implements them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from autolog import Span, SpanType, capture, semconv
from autolog.context import attach, detach
from autolog.instrumentation import Call, Observer
from autolog.model.unrecorded import NO_SPAN
from autolog_langchain.runs import Run, open_retriever

# The object whose method runs here: one method of it may be made of others.
_busy: ContextVar[Any] = ContextVar("autolog-langchain-busy", default=None)


def _observer(name: str, span_type: SpanType, ask: Callable[[Call], Any], read: Callable[..., None]) -> Any:
    """Return an observer of the method `name`: `ask` pictures what it is given, `read` what it returns."""

    def observe(call: Call) -> Observer:
        if _busy.get() is call.instance:
            return
        span = call.start_step(f"{type(call.instance).__name__}.{name}", span_type)
        if span is NO_SPAN:
            return
        span.is_framework_call = span_type is SpanType.EMBEDDING
        model = getattr(call.instance, "model", None)
        if span.is_framework_call and isinstance(model, str):
            span.set_attribute(semconv.REQUEST_MODEL, model)
        span.set_inputs(ask(call))
        busy, current = _busy.set(call.instance), attach(span)
        try:
            result = yield
        except BaseException as error:
            span.record_failure(error)
            raise
        else:
            read(span, result, call)
        finally:
            detach(current)
            _leave(busy)
            span.end()

    return observe


def _leave(token: Any) -> None:
    try:
        _busy.reset(token)
    except ValueError:  # a coroutine that was closed from another context
        return


def _argument(call: Call, name: str, place: int = 0) -> Any:
    return call.args[place] if len(call.args) > place else call.kwargs.get(name)


def _texts(name: str) -> Callable[[Call], Any]:
    def ask(call: Call) -> Any:
        return {"input": _argument(call, name)}

    return ask


def _read_vectors(span: Span, vectors: Any, call: Call) -> None:
    _read_vector(span, vectors[0] if vectors else [], call, len(vectors))
    if call.options["capture_embeddings"]:
        span.set_outputs({**span.outputs, "vectors": vectors})


def _read_vector(span: Span, vector: Any, call: Call, count: int = 1) -> None:
    span.set_attribute(semconv.OPERATION, "embeddings")
    span.set_attribute(semconv.EMBEDDING_DIMENSION, len(vector) or None)
    outputs: dict[str, Any] = {"embeddings": {"count": count, "dimension": len(vector) or None}}
    if count == 1 and call.options["capture_embeddings"]:
        outputs["vectors"] = [vector]
    span.set_outputs(outputs)


EMBEDDINGS: Mapping[str, Any] = {
    name: _observer(name, SpanType.EMBEDDING, _texts(argument), read)
    for name, argument, read in (
        ("embed_documents", "texts", _read_vectors),
        ("aembed_documents", "texts", _read_vectors),
        ("embed_query", "text", _read_vector),
        ("aembed_query", "text", _read_vector),
    )
}


def _query(call: Call) -> Any:
    query = _argument(call, "query") if "query" in call.kwargs or call.args else _argument(call, "embedding")
    asked = {"query": query if isinstance(query, str) else {"dimension": len(query or ())}}
    return {**asked, **{name: call.kwargs[name] for name in ("k", "filter", "fetch_k") if name in call.kwargs}}


def shown(found: Any, scores: Mapping[int, float] | None = None) -> list[dict[str, Any]]:
    """Return documents as they are shown, with the score that each came with or that is known by its identity."""
    pictures = []
    for item in found:
        document, score = (item[0], item[1]) if isinstance(item, tuple) else (item, (scores or {}).get(id(item)))
        pictured = capture.snapshot(document)
        if isinstance(pictured, dict):
            metadata = pictured.get("metadata")
            if score is None and isinstance(metadata, dict):
                score = metadata.get("relevance_score", metadata.get("score"))
            if score is not None:
                pictured = {"id": pictured.get("id"), "score": _number(score), **pictured}
        pictures.append(pictured)
    return pictures


def _number(score: Any) -> Any:
    return score if isinstance(score, (int, float)) else capture.snapshot(score)


def _read_documents(span: Span, found: Any, call: Call) -> None:  # noqa: ARG001
    span.set_attribute(semconv.OPERATION, "retrieval")
    span.set_outputs({"documents": shown(found)})


def _added(call: Call) -> Any:
    added = call.args[0] if call.args else call.kwargs.get("documents", call.kwargs.get("texts"))
    return {"documents": added}  # which may be an iterator: a picture of it takes nothing from it


def _read_ids(span: Span, ids: Any, call: Call) -> None:  # noqa: ARG001
    span.set_outputs({"ids": ids})


def _searching(name: str) -> Any:
    search = _observer(name, SpanType.RETRIEVER, _query, _read_documents)

    def observe(call: Call) -> Observer:
        retriever = open_retriever()
        if retriever is None and _busy.get() is not call.instance:
            yield from search(call)
        elif retriever is not None:
            _take_scores(retriever, (yield))

    return observe


def _take_scores(retriever: Run, found: Any) -> None:
    """Tell the retriever, which gets documents only, what scores they were found with."""
    scores = {id(item[0]): item[1] for item in found if isinstance(item, tuple)}
    if scores:
        retriever.scores = {**(retriever.scores or {}), **scores}


_SEARCHES = (
    "similarity_search",
    "similarity_search_with_score",
    "similarity_search_by_vector",
    "similarity_search_with_score_by_vector",
    "similarity_search_with_relevance_scores",
    "max_marginal_relevance_search",
    "max_marginal_relevance_search_by_vector",
)
_ADDITIONS = ("add_documents", "add_texts")

VECTOR_STORES: Mapping[str, Any] = {
    **{prefix + name: _searching(prefix + name) for prefix in ("", "a") for name in _SEARCHES},
    **{
        prefix + name: _observer(prefix + name, SpanType.TASK, _added, _read_ids)
        for prefix in ("", "a")
        for name in _ADDITIONS
    },
}
