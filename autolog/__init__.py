"""Trace every LLM call of a program with one line: `autolog()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autolog.assessments import (
    delete_assessment,
    get_assessment,
    log_assessment,
    log_expectation,
    log_feedback,
    override_feedback,
    update_assessment,
)
from autolog.client import Client
from autolog.counters import ExportStats, Stats
from autolog.decorator import trace
from autolog.errors import (
    AutologError,
    InvalidAssessment,
    InvalidDataset,
    InvalidQuery,
    InvalidSetting,
    InvalidTrace,
    NotFound,
    StoreError,
    Unavailable,
    UnknownIntegration,
)
from autolog.fluent import (
    add_trace,
    autolog,
    collect_otel,
    configure,
    context,
    delete_trace_tag,
    delete_traces,
    export_otlp,
    flush,
    get_active_trace_id,
    get_current_active_span,
    get_last_active_trace_id,
    get_trace,
    integrations,
    search_traces,
    set_experiment,
    set_store,
    set_trace_tag,
    start_span,
    start_span_no_context,
    stats,
    store_location,
    update_current_trace,
)
from autolog.middleware import AsgiMiddleware, WsgiMiddleware
from autolog.model.assessment import Assessment, AssessmentSource, Expectation, Feedback, SourceType
from autolog.model.run import Run, RunStatus
from autolog.model.span import Link, Span, SpanEvent, SpanType, Status, StatusCode
from autolog.model.trace import Trace, TraceInfo, TraceState
from autolog.model.usage import Cost, TokenUsage
from autolog.propagation import carry, extract, inject
from autolog.runs import ActiveRun, active_run_id, end_run, get_run, list_experiments, list_runs, start_run
from autolog.sampling import Sampling
from autolog.settings import from_environment as _settings

if TYPE_CHECKING:
    from autolog.compare import Comparison, compare_traces
    from autolog.datasets import Dataset, create_dataset, delete_dataset, get_dataset, list_datasets
    from autolog.model.dataset import DatasetRecord

__version__ = "0.1.0"

__all__ = [
    "ActiveRun",
    "AsgiMiddleware",
    "Assessment",
    "AssessmentSource",
    "AutologError",
    "Client",
    "Comparison",
    "Cost",
    "Dataset",
    "DatasetRecord",
    "Expectation",
    "ExportStats",
    "Feedback",
    "InvalidAssessment",
    "InvalidDataset",
    "InvalidQuery",
    "InvalidSetting",
    "InvalidTrace",
    "Link",
    "NotFound",
    "Run",
    "RunStatus",
    "Sampling",
    "SourceType",
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
    "WsgiMiddleware",
    "active_run_id",
    "add_trace",
    "autolog",
    "carry",
    "collect_otel",
    "compare_traces",
    "configure",
    "context",
    "create_dataset",
    "delete_assessment",
    "delete_dataset",
    "delete_trace_tag",
    "delete_traces",
    "end_run",
    "export_otlp",
    "extract",
    "flush",
    "get_active_trace_id",
    "get_assessment",
    "get_current_active_span",
    "get_dataset",
    "get_last_active_trace_id",
    "get_run",
    "get_trace",
    "inject",
    "integrations",
    "list_datasets",
    "list_experiments",
    "list_runs",
    "log_assessment",
    "log_expectation",
    "log_feedback",
    "override_feedback",
    "search_traces",
    "set_experiment",
    "set_store",
    "set_trace_tag",
    "start_run",
    "start_span",
    "start_span_no_context",
    "stats",
    "store_location",
    "trace",
    "update_assessment",
    "update_current_trace",
]


def load_ipython_extension(_shell: Any) -> None:
    """Do as `autolog()`, for `%load_ext autolog`."""
    autolog()


def unload_ipython_extension(_shell: Any) -> None:
    """Trace no more, for `%unload_ext autolog`."""
    from autolog.notebook import unfollow

    autolog(log_traces=False)
    unfollow()


# Imported when they are first asked for: programs that only record never do.
_LATER = {
    **dict.fromkeys(("Comparison", "compare_traces"), "autolog.compare"),
    **dict.fromkeys(
        ("Dataset", "create_dataset", "delete_dataset", "get_dataset", "list_datasets"), "autolog.datasets"
    ),
    "DatasetRecord": "autolog.model.dataset",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        import importlib

        return getattr(importlib.import_module(_LATER[name]), name)
    # `autolog.openai`, `autolog.langchain`, …: a handle for each integration there is.
    try:
        return getattr(autolog, name)
    except AttributeError:
        raise AttributeError(f"module 'autolog' has no attribute {name!r}") from None


if _settings().tracing:
    autolog()
