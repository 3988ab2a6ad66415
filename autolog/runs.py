"""Runs: what a program does from `start_run()` to its end, and the traces that it makes meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from autolog.client import default_client
from autolog.context import Block, end_block
from autolog.errors import InvalidSetting, StoreError
from autolog.ids import format_trace_id, new_trace_id, now_ns
from autolog.model.run import Run, RunStatus
from autolog.texts import strings, text
from autolog.tracer import ambient, with_ambient

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger("autolog")


class ActiveRun:
    """The run that traces belong to from here on: until its block ends, or until `end_run()`."""

    def __init__(self, run: Run, block: Block, above: ActiveRun | None) -> None:
        self.info = run
        self._block = block
        self._above = above

    @property
    def run_id(self) -> str:
        """The id that its traces name it by."""
        return self.info.run_id

    def end(self, status: RunStatus | str = RunStatus.FINISHED) -> None:
        """End it; traces that start from here on belong to the run around it, or to none. Once is enough."""
        global _active
        if self.info.end_time_ns is not None:
            return
        self.info = Run(
            run_id=self.info.run_id, name=self.info.name, experiment=self.info.experiment, tags=self.info.tags,
            start_time_ns=self.info.start_time_ns, end_time_ns=now_ns(), status=_status(status),
        )  # fmt: skip
        while _active is not None and _active.info.end_time_ns is not None:
            _active = _active._above
        # A run that began inside of it and has not ended goes on.
        end_block(self._block, around_others=active_run_id() != self.run_id)
        _keep(self.info)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(RunStatus.FINISHED if error is None else RunStatus.FAILED)

    def __repr__(self) -> str:
        return f"ActiveRun({self.info.name!r}, {self.run_id})"


_active: ActiveRun | None = None
"""The run that was started last and has not ended: what `end_run()` ends."""


def start_run(
    run_name: str | None = None,
    *,
    run_id: str | None = None,
    experiment: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> ActiveRun:
    """Start a run, or with `run_id` go on with one: traces that start from here on belong to it.

    As a context manager it ends with the block, failed where the block raised. Else it lasts until `end_run()`.
    """
    global _active
    client = default_client()
    experiment = text(experiment or client.tracer.experiment)
    run_id = text(run_id or format_trace_id(new_trace_id()))
    run = Run(
        run_id=run_id,
        name=text(run_name or run_id[:8]),
        experiment=experiment,
        start_time_ns=now_ns(),
        tags=strings(tags),
    )
    _keep(run)
    _active = ActiveRun(run, with_ambient(run=run_id, experiment=experiment), _active)
    return _active


def end_run(status: RunStatus | str = RunStatus.FINISHED) -> None:
    """End the run that was started last; does nothing where there is none."""
    if _active is not None:
        _active.end(status)


def active_run_id() -> str | None:
    """Return the id of the run that a trace would belong to that starts here, or `None`."""
    found = ambient().get("run")
    return found if isinstance(found, str) else None


def _status(status: RunStatus | str) -> RunStatus:
    try:
        return RunStatus(str(status).upper())
    except ValueError:
        known = ", ".join(RunStatus.__members__)
        raise InvalidSetting(f"{status!r} is not a status of a run; there are: {known}") from None


def _keep(run: Run) -> None:
    try:
        default_client().put_run(run)
    except StoreError as error:
        logger.warning("run %r can't be stored: %s Your program goes on.", run.name, error)


def get_run(run_id: str) -> Run:
    """Return the run; raise `NotFound` where the store has none of this id."""
    return default_client().get_run(run_id)


def list_runs(experiment: str | None = None, max_results: int = 100) -> list[Run]:
    """Return runs, newest first, of one experiment or of all."""
    return default_client().list_runs(experiment, max_results)


def list_experiments() -> list[str]:
    """Return the names of the experiments that there are traces or runs of, in order of the alphabet."""
    return default_client().list_experiments()
