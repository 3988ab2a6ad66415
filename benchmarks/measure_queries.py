"""Milliseconds to find traces in a large store: newest, by id, and by each filter."""

from __future__ import annotations

import json
import random
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure_ingest import record
from workload import Workload

from autolog import Client, Span
from autolog.tracer import Tracer

_MADE = 10_000
"""Traces that are made one by one; the others are copies of them, later and with ids of their own."""
_STEP_NS = 60_000_000_000
_RUNS = 25


def build(path: Path, traces: int) -> None:
    """Make a store of that many traces, a minute's worth after another."""
    client = Client(str(path))
    ended: list[Span] = []
    tracer = Tracer(lambda _: None, ended.append)
    made = min(_MADE, traces)
    for job in Workload().jobs(made):
        record(tracer, job)
        if len(ended) > 5_000:
            client._store.write(ended)
            ended.clear()
    client._store.write(ended)
    client.close()
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for number in range(1, traces // made):
            _copy(connection, made, number)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copy(connection: sqlite3.Connection, made: int, number: int) -> None:
    by, later = number * made, number * _STEP_NS
    changed = {
        "rid": f"rid + {by}",
        "trace_id": "randomblob(16)",
        "start_ns": f"start_ns + {later}",
        "end_ns": f"end_ns + {later}",
        "session": f"session || '-{number}'",
        "id": "NULL",
    }
    connection.execute("BEGIN")
    for table in ("traces", "spans", "payloads", "labels"):
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        values = ", ".join(changed.get(column, column) for column in columns)
        connection.execute(f"INSERT INTO {table} SELECT {values} FROM {table} WHERE rid <= {made}")
    connection.execute("COMMIT")


def _searches(client: Client, trace_ids: list[str]) -> dict[str, Callable[[], Any]]:
    def search(**conditions: Any) -> Callable[[], Any]:
        return lambda: client.search_traces(**conditions, max_results=50, include_spans=False, return_type="list")

    ids = random.Random(1)
    return {
        "newest 50": search(),
        "one trace by id, with its spans": lambda: client.get_trace(ids.choice(trace_ids)),
        "status": search(status="ERROR"),
        "a status that none has": search(status="IN_PROGRESS"),
        "name": search(name="triage"),
        "a name that there is not": search(name="nothing"),
        "experiment": search(experiment="nightly"),
        "session": search(session="s77-3"),
        "tag that a third has": search(tags={"env": "prod"}),
        "tag that few have": search(tags={"incident": "i7"}),
        "model": search(model="gpt-5"),
        "status and name": search(status="ERROR", name="weekly-report"),
        "experiment and name": search(experiment="nightly", name="weekly-report"),
        "status and tag": search(status="ERROR", tags={"incident": "i7"}),
        "model and tag": search(model="gpt-5", tags={"incident": "i7"}),
    }


def main() -> None:
    """Build the store, and ask."""
    traces = int(sys.argv[1])
    path = Path("queries.db")
    if not path.exists():
        build(path, traces)
    with sqlite3.connect(path) as connection:
        (spans,) = connection.execute("SELECT count(*) FROM spans").fetchone()
        rids = [rid * traces // 500 + 1 for rid in range(500)]
        sql = f"SELECT lower(hex(trace_id)) FROM traces WHERE rid IN ({','.join(map(str, rids))})"
        trace_ids = [trace_id for (trace_id,) in connection.execute(sql)]
    client = Client(str(path))
    found = {}
    for name, ask in _searches(client, trace_ids).items():
        times = []
        for _ in range(_RUNS):
            began = time.perf_counter()
            ask()
            times.append(time.perf_counter() - began)
        found[name] = {"median": statistics.median(times) * 1e3, "max": max(times) * 1e3}
    client.close()
    print(json.dumps({"traces": traces, "spans": spans, "bytes": path.stat().st_size, "searches": found}))


if __name__ == "__main__":
    main()
