"""A run: one go of a program, an experiment or an evaluation, that traces belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class RunStatus(str, Enum):
    """Where a run stands."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"

    __str__ = str.__str__


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One go of a program that traces belong to. Traces name it by its id."""

    run_id: str
    """32 hex digits, or whatever the program gave."""
    name: str
    experiment: str
    status: RunStatus = RunStatus.RUNNING
    start_time_ns: int
    end_time_ns: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
