"""Experiments and runs in the SQLite store, each with what its traces come to."""

from __future__ import annotations

import sqlite3

from autolog.model.statistics import ExperimentSummary, Figures, RunSummary
from autolog.search.query import TraceQuery
from autolog.stores.sqlite.conditions import Sql
from autolog.stores.sqlite.functions import Functions
from autolog.stores.sqlite.readers import limited, of_one_moment
from autolog.stores.sqlite.runs import experiments, read_runs
from autolog.stores.sqlite.selection import MOST, Select, Selection, sampled
from autolog.stores.sqlite.statistics import totals

_NONE = Figures()


def experiment_summaries(connection: sqlite3.Connection, functions: Functions) -> list[ExperimentSummary]:
    """Return all experiments, those first that were active last."""
    with of_one_moment(connection), limited(connection):
        chosen = Select(TraceQuery(), connection, functions).among(MOST)
        figures = totals(chosen, "t.experiment", connection)
        found = [_experiment(name, figures.get(name, _NONE), chosen, connection) for name in experiments(connection)]
    return sorted(found, key=lambda one: (-(one.last_ns or 0), one.name))


def _experiment(name: str, figures: Figures, chosen: Selection, connection: sqlite3.Connection) -> ExperimentSummary:
    sql = "SELECT count(*), max(start_ns) FROM traces INDEXED BY traces_experiment WHERE experiment = ?"
    traces, last = connection.execute(sql, (name,)).fetchone()
    runs = connection.execute("SELECT count(*) FROM runs WHERE experiment = ?", (name,)).fetchone()[0]
    return ExperimentSummary(name, traces, runs, last, figures, chosen.share > 1)


def run_summaries(experiment: str | None, most: int, connection: sqlite3.Connection) -> list[RunSummary]:
    """Return the newest runs, of one experiment or of all."""
    with of_one_moment(connection), limited(connection):
        runs = read_runs(experiment, most, connection)
        if not runs:
            return []
        chosen = _of_runs([run.run_id for run in runs], experiment, connection)
        figures = totals(chosen, "t.run", connection)
        feedback = _feedback(chosen, connection)
    return [
        RunSummary(run, figures.get(run.run_id, _NONE), feedback.get(run.run_id, {}), chosen.share > 1) for run in runs
    ]


def _of_runs(run_ids: list[str], experiment: str | None, connection: sqlite3.Connection) -> Selection:
    tables, where = "traces t INDEXED BY traces_run", f"t.run IN ({','.join('?' * len(run_ids))})"
    count = connection.execute(f"SELECT count(*) FROM {tables} WHERE {where}", run_ids).fetchone()[0]
    share = max(-(-count // MOST), 1)
    within = Sql("1") if experiment is None else Sql("t.experiment = ?", [experiment])
    text = f"{where} AND {sampled('t.rid', share)} AND {within.text}"
    return Selection(Sql(tables), Sql(text, [*run_ids, *within.values]), share, 0, 0)


def _feedback(chosen: Selection, connection: sqlite3.Connection) -> dict[str, dict[str, float]]:
    sql, values = chosen.select(
        "t.run, a.name, avg(a.number)",
        "GROUP BY t.run, a.name ORDER BY t.run, a.name",
        "CROSS JOIN assessments a ON a.rid = t.rid AND a.kind = 0 AND a.valid AND a.number IS NOT NULL",
    )
    found: dict[str, dict[str, float]] = {}
    for run, name, mean in connection.execute(sql, values):
        found.setdefault(run, {})[name] = mean
    return found
