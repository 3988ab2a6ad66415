"""Experiments, and the runs in them."""

from __future__ import annotations

from fastapi import APIRouter

from autolog.server.api.common import Json, Limit, TheClient

router = APIRouter(tags=["experiments"])


@router.get("/experiments")
def list_experiments(client: TheClient) -> Json:
    """Return all experiments with what their traces come to, those first that were active last."""
    return Json({"experiments": [experiment.to_dict() for experiment in client.summarize_experiments()]})


@router.get("/runs")
def list_runs(client: TheClient, experiment: str | None = None, limit: Limit = 100) -> Json:
    """Return the newest runs, of one experiment or of all, with what their traces come to."""
    return Json({"runs": [run.to_dict() for run in client.summarize_runs(experiment or None, limit)]})
