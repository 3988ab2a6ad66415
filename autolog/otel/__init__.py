"""OpenTelemetry in and out: spans of other instrumentations are taken into traces, and traces are sent on by OTLP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autolog.otel.processor import SpanProcessor as SpanProcessor
    from autolog.otel.processor import is_llm_span as is_llm_span

__all__ = ["SpanProcessor", "is_llm_span"]


def __getattr__(name: str) -> Any:
    # The SDK is an optional library, and slow to import.
    if name in __all__:
        from autolog.otel import processor

        return getattr(processor, name)
    raise AttributeError(f"module 'autolog.otel' has no attribute {name!r}")
