"""Observe the making of an index, which LlamaIndex tells of by its parts only: each would be a trace of its own."""

from __future__ import annotations

from autolog import SpanType
from autolog.instrumentation import Call, Observer


def observe_indexing(call: Call) -> Observer:
    """Observe `BaseIndex.from_documents`."""
    documents = call.args[0] if call.args else call.kwargs.get("documents")
    with call.start_step(f"{call.instance.__name__}.from_documents", SpanType.CHAIN) as span:
        if isinstance(documents, (list, tuple)):
            span.set_inputs({"documents": len(documents)})
        yield
