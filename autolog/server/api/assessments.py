"""Feedback and expectations that people give."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from autolog.model.assessment import KINDS, Assessment, AssessmentSource, SourceType
from autolog.server.api.common import Json, TheClient, TraceId, access_of

router = APIRouter(tags=["assessments"])


class Said(BaseModel):
    """What a person says of a trace, or of one of its spans."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["feedback", "expectation"] = "feedback"
    name: str = Field(max_length=1_000)
    value: Any
    rationale: str | None = None
    span_id: str | None = None
    user: str | None = Field(None, max_length=1_000, description="Who says it, unless the token has a name")


class Changed(BaseModel):
    """What is said instead; what is left out stays as it was."""

    model_config = ConfigDict(extra="forbid")

    value: Any = None
    rationale: str | None = None
    user: str | None = Field(None, max_length=1_000, description="Who says it, unless the token has a name")


def _token_name(request: Request) -> str | None:
    return access_of(request).name


TokenName = Annotated[str | None, Depends(_token_name)]


def _person(token_name: str | None, given: str | None) -> AssessmentSource:
    """Return who speaks: whose token it is, or where it is nobody's, who is given."""
    return AssessmentSource(SourceType.HUMAN, token_name or given or "default")


@router.post("/traces/{trace_id}/assessments", status_code=201)
def add_assessment(client: TheClient, token_name: TokenName, trace_id: TraceId, said: Said) -> Json:
    """Keep feedback or an expectation with its trace; it is a person's."""
    source = _person(token_name, said.user)
    assessment = KINDS[said.kind](
        name=said.name, value=said.value, rationale=said.rationale, span_id=said.span_id, source=source
    )
    return Json(client.log_assessment(trace_id, assessment).to_dict(), 201)


@router.patch("/traces/{trace_id}/assessments/{assessment_id}")
def change_assessment(
    client: TheClient, token_name: TokenName, trace_id: TraceId, assessment_id: str, changed: Changed
) -> Json:
    """Change what a person said; what a program or a model said is overridden instead, and kept beside it."""
    known = client.get_assessment(trace_id, assessment_id)
    told = changed.model_dump(include={"value", "rationale"} & changed.model_fields_set)
    source = _person(token_name, changed.user)
    if known.source.source_type is SourceType.HUMAN:
        return Json(client.update_assessment(trace_id, assessment_id, known.replace(**told, source=source)).to_dict())
    new: Assessment = KINDS[known.kind](
        **{"name": known.name, "value": known.value, "span_id": known.span_id, "source": source, **told}
    )
    return Json(client.override_assessment(trace_id, assessment_id, new).to_dict())


@router.delete("/traces/{trace_id}/assessments/{assessment_id}", status_code=204)
def delete_assessment(client: TheClient, trace_id: TraceId, assessment_id: str) -> Response:
    """Delete an assessment; one that it had overridden is valid again."""
    client.delete_assessment(trace_id, assessment_id)
    return Response(status_code=204)
