"""Experiments, and the runs in them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from autolog.server.api.common import Json, TheClient

router = APIRouter(tags=["experiments"])


@router.get("/experiments")
def list_experiments(client: TheClient) -> Json:
    """Return all experiments with what their traces come to, those first that were active last."""
    return Json([experiment.to_dict() for experiment in client.summarize_experiments()])


@router.get("/runs")
def list_runs(
    client: TheClient, experiment: str | None = None, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> Json:
    """Return the newest runs, of one experiment or of all, with what their traces come to."""
    return Json([run.to_dict() for run in client.summarize_runs(experiment or None, limit)])
