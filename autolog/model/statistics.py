"""How traces go over time: how many there were and failed, how long they took, what they used and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from autolog.model.run import Run

COLUMNS = ("requests", "errors", "p50_ns", "p95_ns", "p99_ns", "input_tokens", "output_tokens", "cost")


@dataclass(frozen=True, slots=True)
class Figures:
    """What traces, or calls of models, come to. What none of them knows is `None`, not 0."""

    requests: int = 0
    errors: int = 0
    p50_ns: int | None = None
    """The duration that half of those that ended did not exceed: one that occurred, nothing in between."""
    p95_ns: int | None = None
    p99_ns: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    """US dollars."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {name: getattr(self, name) for name in COLUMNS}


@dataclass(frozen=True, slots=True)
class Group:
    """The traces that have something in common."""

    key: str | None
    """What they have in common; `None` for those without it, and where nothing is grouped."""
    series: Sequence[Figures]
    """A bucket of time after the other."""
    totals: Figures
    is_other: bool = False
    """Whether these are all that are not among the largest groups."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it: of each figure a list, with a value a bucket."""
        columns = {name: [getattr(figures, name) for figures in self.series] for name in COLUMNS}
        return {"key": self.key, "is_other": self.is_other, **columns, "totals": self.totals.to_dict()}


@dataclass(frozen=True, slots=True)
class Statistics:
    """The figures of the traces that started from one time to another, in buckets of time."""

    since_ns: int
    until_ns: int
    step_ns: int
    """How long a bucket is."""
    buckets: Sequence[int]
    """When each begins; the first may begin before `since_ns`, and has what is from there on."""
    groups: Sequence[Group]
    """The largest first, and the rest as one at the end."""
    share: int = 1
    """One trace in so many was looked at, and the figures are multiplied by it."""

    @property
    def is_sampled(self) -> bool:
        """Whether these are estimates, for there were too many traces to look at all."""
        return self.share > 1

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "since_ns": self.since_ns,
            "until_ns": self.until_ns,
            "step_ns": self.step_ns,
            "buckets": list(self.buckets),
            "groups": [group.to_dict() for group in self.groups],
            "is_sampled": self.is_sampled,
            "share": self.share,
        }


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """An exception's type, and how many traces met it."""

    type: str
    traces: int
    last_ns: int
    """When the latest of these started."""
    trace_id: str
    """The latest of these."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"type": self.type, "traces": self.traces, "last_ns": self.last_ns, "trace_id": self.trace_id}


@dataclass(frozen=True, slots=True)
class Step:
    """The spans of a name and a type, and how long they took."""

    name: str
    span_type: str
    spans: int
    errors: int
    p50_ns: int | None
    p95_ns: int | None
    total_ns: int
    """What all of them took together."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "name": self.name, "type": self.span_type, "spans": self.spans, "errors": self.errors,
            "p50_ns": self.p50_ns, "p95_ns": self.p95_ns, "total_ns": self.total_ns,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class FeedbackFigures:
    """What feedback of one name comes to."""

    name: str
    count: int
    mean: float | None
    """Of the values that are numbers, true being 1 and false 0."""
    means: Sequence[float | None] = ()
    """The mean a bucket."""
    values: Mapping[str, int] = field(default_factory=dict)
    """How often the most frequent texts were given."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "name": self.name, "count": self.count, "mean": self.mean, "means": list(self.means),
            "values": dict(self.values),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Details:
    """Where errors and time come from, and what people say of it."""

    errors: Sequence[ErrorCount]
    """The most frequent first."""
    steps: Sequence[Step]
    """Those first that took most time together."""
    feedback: Sequence[FeedbackFigures]
    step_ns: int
    buckets: Sequence[int]
    share: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "errors": [error.to_dict() for error in self.errors],
            "steps": [step.to_dict() for step in self.steps],
            "feedback": [feedback.to_dict() for feedback in self.feedback],
            "step_ns": self.step_ns,
            "buckets": list(self.buckets),
            "is_sampled": self.share > 1,
            "share": self.share,
        }


@dataclass(frozen=True, slots=True)
class ExperimentSummary:
    """An experiment, and what its traces come to."""

    name: str
    traces: int
    runs: int
    last_ns: int | None
    """When its latest trace started."""
    figures: Figures
    is_sampled: bool = False
    """Whether the figures are estimates; the number of traces never is."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "name": self.name, "traces": self.traces, "runs": self.runs, "last_ns": self.last_ns,
            **summary(self.figures), "is_sampled": self.is_sampled,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run, and what its traces come to."""

    run: Run
    figures: Figures
    feedback: Mapping[str, float]
    """The mean of each feedback that is a number, true being 1 and false 0."""
    is_sampled: bool = False
    """Whether the figures are estimates."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        run = self.run
        return {
            "run_id": run.run_id, "name": run.name, "experiment": run.experiment, "status": str(run.status),
            "start_time_ns": run.start_time_ns, "end_time_ns": run.end_time_ns, "tags": dict(run.tags),
            "traces": self.figures.requests, **summary(self.figures), "feedback": dict(self.feedback),
            "is_sampled": self.is_sampled,
        }  # fmt: skip


def summary(figures: Figures) -> dict[str, Any]:
    """Return figures as rows of a table have them, which count their requests elsewhere."""
    tokens = [count for count in (figures.input_tokens, figures.output_tokens) if count is not None]
    found = {name: value for name, value in figures.to_dict().items() if name != "requests"}
    return {**found, "tokens": sum(tokens) if tokens else None}


def percentile(ordered: Sequence[int], share: float) -> int | None:
    """Return the least of the ordered values that at least such a share of them does not exceed."""
    return ordered[max(ceil(share * len(ordered)) - 1, 0)] if ordered else None


_SECOND = 1_000_000_000
_MINUTE, _HOUR, _DAY = 60 * _SECOND, 3_600 * _SECOND, 86_400 * _SECOND
_STEPS = (
    *(number * 10**power for power in range(9) for number in (1, 2, 5)),
    *(number * _SECOND for number in (1, 2, 5, 10, 15, 30)),
    *(number * _MINUTE for number in (1, 2, 5, 10, 15, 30)),
    *(number * _HOUR for number in (1, 2, 3, 6, 12)),
    *(number * _DAY for number in (1, 2, 7, 14, 30, 90, 365)),
)


def buckets_of(since_ns: int, until_ns: int, most: int) -> tuple[int, list[int]]:
    """Return how long a bucket is, a round number, and when each begins: at most `most`, or one more."""
    span = max(until_ns - since_ns, 1)
    wanted = -(-span // max(most, 1))
    step = next((step for step in _STEPS if step >= wanted), -(-wanted // (365 * _DAY)) * 365 * _DAY)
    first = since_ns // step * step
    return step, list(range(first, max(until_ns, since_ns + 1), step))
