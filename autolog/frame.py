"""Found traces as a pandas DataFrame, a row a trace."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from autolog.model.trace import Trace, TraceInfo

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "trace_id", "name", "state", "request_time", "duration_ms", "experiment", "run", "session", "user", "version",
    "request", "response", "input_tokens", "output_tokens", "total_tokens", "cost", "tags", "metadata", "assessments",
    "span_count", "error_count",
)  # fmt: skip
"""What is told of a trace."""
_WITH_SPANS = (*COLUMNS, "trace", "spans")


def frame(found: Sequence[Trace | TraceInfo]) -> pd.DataFrame:
    """Return a DataFrame; with the columns `trace` and `spans` where whole traces were found."""
    import pandas as pd

    columns = COLUMNS if found and isinstance(found[0], TraceInfo) else _WITH_SPANS
    return pd.DataFrame([row(trace) for trace in found], columns=list(columns))


def row(trace: Trace | TraceInfo) -> dict[str, Any]:
    """Return the row of a trace, by the names of the columns."""
    info = trace.info if isinstance(trace, Trace) else trace
    usage = info.usage
    told = {
        "trace_id": info.trace_id,
        "name": info.name,
        "state": str(info.state),
        "request_time": datetime.fromtimestamp(info.start_time_ns / 1e9, timezone.utc),
        "duration_ms": None if info.duration_ns is None else info.duration_ns / 1e6,
        "experiment": info.experiment,
        "run": info.run,
        "session": info.session,
        "user": info.user,
        "version": info.version,
        "request": info.request_preview,
        "response": info.response_preview,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "total_tokens": usage.total_tokens if usage else None,
        "cost": info.cost.total if info.cost else None,
        "tags": dict(info.tags),
        "metadata": dict(info.metadata),
        "assessments": [assessment.to_dict() for assessment in info.assessments],
        "span_count": info.span_count,
        "error_count": info.error_count,
    }
    if isinstance(trace, Trace):
        told |= {"trace": trace, "spans": [span.to_dict() for span in trace.spans]}
    return told
