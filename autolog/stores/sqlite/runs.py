"""Runs and experiments in the SQLite store."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from autolog.model.run import Run, RunStatus
from autolog.stores.sqlite.rows import text

_COLUMNS = "id, name, experiment, status, start_ns, end_ns, tags"


def put_run(run: Run, connection: sqlite3.Connection) -> None:
    """Keep a run, in place of one of the same id."""
    values = (
        text(run.run_id), text(run.name), text(run.experiment), str(run.status), run.start_time_ns, run.end_time_ns,
        json.dumps(dict(run.tags)) if run.tags else None,
    )  # fmt: skip
    connection.execute(f"INSERT OR REPLACE INTO runs({_COLUMNS}) VALUES (?,?,?,?,?,?,?)", values)


def read_run(run_id: str, connection: sqlite3.Connection) -> Run | None:
    """Return the run, or `None`."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM runs WHERE id = ?", (text(run_id),)).fetchone()
    return None if row is None else _run(row)


def read_runs(experiment: str | None, most: int, connection: sqlite3.Connection) -> list[Run]:
    """Return the newest runs, of one experiment or of all."""
    condition, values = ("1", ()) if experiment is None else ("experiment = ?", (text(experiment),))
    sql = f"SELECT {_COLUMNS} FROM runs WHERE {condition} ORDER BY start_ns DESC, id DESC LIMIT ?"
    return [_run(row) for row in connection.execute(sql, (*values, most))]


def _run(row: Sequence[Any]) -> Run:
    run_id, name, experiment, status, start_ns, end_ns, tags = row
    return Run(
        run_id=run_id,
        name=name,
        experiment=experiment,
        status=RunStatus(status),
        start_time_ns=start_ns,
        end_time_ns=end_ns,
        tags=json.loads(tags or "{}"),
    )


def set_run(trace_ids: Sequence[bytes], run_id: str | None, connection: sqlite3.Connection) -> int:
    """Make traces belong to a run, or to none; return how many there are of them."""
    sql = "UPDATE traces SET run = ? WHERE trace_id = ?"
    return sum(connection.execute(sql, (text(run_id), trace_id)).rowcount for trace_id in trace_ids)


def experiments(connection: sqlite3.Connection) -> list[str]:
    """Return the names of all experiments, in order of the alphabet."""
    # Jumps along the index from name to name: DISTINCT would walk over every trace.
    jumps = """
    WITH RECURSIVE names(name) AS (
      SELECT min(experiment) FROM traces
      UNION ALL SELECT (SELECT min(experiment) FROM traces WHERE experiment > names.name) FROM names WHERE name NOTNULL
    ) SELECT name FROM names WHERE name NOTNULL
    """
    known = {row[0] for row in connection.execute(jumps)}
    return sorted(known | {row[0] for row in connection.execute("SELECT DISTINCT experiment FROM runs")})
