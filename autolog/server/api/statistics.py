"""How traces go over time, and where errors and time come from."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from autolog.server.api.common import Asked, Json, TheClient

router = APIRouter(tags=["statistics"])

_GroupBy = Annotated[
    str, Query(description="`none`, `name`, `version`, `experiment`, `user`, `tags.<key>`, …, or `model` for its calls")
]
_Buckets = Annotated[int, Query(ge=1, le=1_000, description="About how many")]


@router.get("/statistics")
def get_statistics(client: TheClient, asked: Asked, group_by: _GroupBy = "none", buckets: _Buckets = 60) -> Json:
    """Return requests, errors, latency, tokens and cost of the traces that meet the filter, in buckets of time.

    Of very many traces a sample is looked at: then `is_sampled` is true, and the figures are estimates.
    """
    found = client.statistics(asked.filter, group_by=group_by, buckets=buckets, **asked.conditions)
    return Json(found.to_dict())


@router.get("/statistics/details")
def get_details(client: TheClient, asked: Asked, buckets: _Buckets = 60) -> Json:
    """Return the most frequent errors of these traces, the steps that take most time, and what feedback comes to."""
    return Json(client.statistics_details(asked.filter, buckets=buckets, **asked.conditions).to_dict())
