"""Trace every LLM call of a program with one line: `autolog()`."""

from __future__ import annotations

from typing import Any

from autolog.client import Client
from autolog.errors import (
    AutologError,
    InvalidQuery,
    InvalidSetting,
    NotFound,
    StoreError,
    Unavailable,
    UnknownIntegration,
)
from autolog.fluent import (
    autolog,
    context,
    delete_traces,
    flush,
    get_current_active_span,
    get_last_active_trace_id,
    get_trace,
    integrations,
    search_traces,
    set_experiment,
    set_store,
    start_span,
    stats,
    store_location,
    update_current_trace,
)
from autolog.model.span import Link, Span, SpanEvent, SpanType, Status, StatusCode
from autolog.model.trace import Trace, TraceInfo, TraceState
from autolog.model.usage import Cost, TokenUsage
from autolog.pipeline import Stats
from autolog.settings import from_environment as _settings

__version__ = "0.1.0"

__all__ = [
    "AutologError",
    "Client",
    "Cost",
    "InvalidQuery",
    "InvalidSetting",
    "Link",
    "NotFound",
    "Span",
    "SpanEvent",
    "SpanType",
    "Stats",
    "Status",
    "StatusCode",
    "StoreError",
    "TokenUsage",
    "Trace",
    "TraceInfo",
    "TraceState",
    "Unavailable",
    "UnknownIntegration",
    "autolog",
    "context",
    "delete_traces",
    "flush",
    "get_current_active_span",
    "get_last_active_trace_id",
    "get_trace",
    "integrations",
    "search_traces",
    "set_experiment",
    "set_store",
    "start_span",
    "stats",
    "store_location",
    "update_current_trace",
]


def __getattr__(name: str) -> Any:
    # `autolog.openai`, `autolog.langchain`, …: a handle for each integration there is.
    try:
        return getattr(autolog, name)
    except AttributeError:
        raise AttributeError(f"module 'autolog' has no attribute {name!r}") from None


if _settings().tracing:
    autolog()
