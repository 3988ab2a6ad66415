"""What people, programs and models say of traces: the functions of the package over the client that they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autolog.client import default_client
from autolog.errors import InvalidAssessment
from autolog.model.assessment import Assessment, AssessmentSource, Expectation, Feedback, SourceType
from autolog.tracer import current_span

_CODE = AssessmentSource(SourceType.CODE)
_HUMAN = AssessmentSource(SourceType.HUMAN)


def log_feedback(
    *,
    trace_id: str | None = None,
    name: str = "feedback",
    value: Any = None,
    source: AssessmentSource | None = None,
    error: BaseException | str | None = None,
    rationale: str | None = None,
    metadata: Mapping[str, str] | None = None,
    span_id: str | None = None,
) -> Assessment:
    """Say how good a trace is, by default the one that runs here, or one of its spans.

    `value` is anything that JSON has, or `error` says why there is none. Raises `NotFound` for an unknown trace.
    """
    feedback = Feedback(
        name=name, value=value, source=source or _CODE, error=error, rationale=rationale, metadata=metadata or {},
        span_id=span_id,
    )  # fmt: skip
    return log_assessment(trace_id, feedback)


def log_expectation(
    *,
    trace_id: str | None = None,
    name: str,
    value: Any,
    source: AssessmentSource | None = None,
    metadata: Mapping[str, str] | None = None,
    span_id: str | None = None,
) -> Assessment:
    """Say what ought to have come out of a trace, by default the one that runs here, or of one of its spans."""
    expectation = Expectation(name=name, value=value, source=source or _HUMAN, metadata=metadata or {}, span_id=span_id)
    return log_assessment(trace_id, expectation)


def log_assessment(trace_id: str | None, assessment: Assessment) -> Assessment:
    """Keep feedback or an expectation with its trace, by default the one that runs here; return it as it is kept."""
    if trace_id is None:
        span = current_span()
        if span is None:
            raise InvalidAssessment("no trace runs here: say which one is meant, with trace_id=…")
        trace_id = span.trace_id
    return default_client().log_assessment(trace_id, assessment)


def get_assessment(trace_id: str, assessment_id: str) -> Assessment:
    """Return one of the trace's assessments; raise `NotFound` where it has none of this id."""
    return default_client().get_assessment(trace_id, assessment_id)


def update_assessment(trace_id: str, assessment_id: str, assessment: Assessment) -> Assessment:
    """Put `assessment` in place of the trace's one of this id, which keeps its id and the time of its making."""
    return default_client().update_assessment(trace_id, assessment_id, assessment)


def override_feedback(
    *,
    trace_id: str,
    assessment_id: str,
    value: Any,
    rationale: str | None = None,
    source: AssessmentSource | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Assessment:
    """Correct feedback: the new one is kept beside the old one, which is valid no more."""
    client = default_client()
    known = client.get_assessment(trace_id, assessment_id)
    feedback = Feedback(
        name=known.name, value=value, source=source or _CODE, rationale=rationale, metadata=metadata or {},
        span_id=known.span_id,
    )  # fmt: skip
    return client.override_assessment(trace_id, assessment_id, feedback)


def delete_assessment(trace_id: str, assessment_id: str) -> None:
    """Delete one of the trace's assessments; one that it had overridden is valid again."""
    default_client().delete_assessment(trace_id, assessment_id)
