"""What a process does first that `autolog run` started, or that was started by one of these."""

from __future__ import annotations

import atexit
import json
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Turns tracing on, as AUTOLOG_TRACING says.
import autolog
from autolog.client import default_client
from autolog.errors import AutologError
from autolog.guard import guarded
from autolog.ids import now_ns
from autolog.tracer import with_ambient

if TYPE_CHECKING:
    from autolog.context import Block

TELLS = "AUTOLOG_RUN_TELLS"
"""Set for the first process only: at its end, it tells what was recorded."""
LABELS = "AUTOLOG_RUN_LABELS"
"""The session and the tags of every trace, as JSON."""

_labelled: list[Block] = []
_MOST = 10_000


def begin() -> None:
    """Label what will be recorded, and have the first process tell of it at its end."""
    with guarded:
        labels = os.environ.get(LABELS)
        if labels:
            told: Mapping[str, Any] = json.loads(labels)
            _labelled.append(with_ambient(**told))  # until the process ends
        if os.environ.pop(TELLS, None):
            atexit.register(partial(_tell, os.getpid(), now_ns()))


def _tell(pid: int, since: int) -> None:
    """Say on stderr how many traces there are that began since."""
    if os.getpid() != pid or default_client().settings.tracing is False:  # the child of a fork
        return
    with guarded:
        try:
            said = _said(since)
        except AutologError as error:
            said = str(error)
        sys.stdout.flush()
        sys.stderr.write(f"autolog: {said}\n")


def _said(since: int) -> str:
    client = default_client()
    client.flush(client.settings.exit_timeout)
    stats = autolog.stats()
    lost = sum(stats.dropped.values()) + stats.waiting
    if lost and stats.last_store_error:
        return f"{lost} spans could not be stored: {stats.last_store_error}"
    found: Any = client.search_traces(since=since, max_results=_MOST, include_spans=False, return_type="list")
    if not found:
        return "no traces; this program called nothing that is traced"
    counted = f"{len(found):,}{'+' if found.token else ''} trace{'' if len(found) == 1 else 's'}"
    more = f" ({lost} spans were lost)" if lost else ""
    return f"{counted}{more} → {_place(client.location)}; autolog traces show last"


def _place(location: str) -> str:
    """Return where the store is, seen from here."""
    path = Path(location)
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else location
