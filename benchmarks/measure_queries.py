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

from autolog import Client, Feedback, Span
from autolog.tracer import Tracer

_MADE = 10_000
"""Traces that are made one by one; the others are copies of them, later and with ids of their own."""
_STEP_NS = 60_000_000_000
_RUNS = 25
_FEW_RUNS = 3
_SLOW = 0.5
"""Seconds: what takes longer is run but a few times."""
_NEEDLE_EVERY = 2_000


def build(path: Path, traces: int) -> None:
    """Make a store of that many traces, a minute's worth after another."""
    client = Client(str(path))
    ended: list[Span] = []
    tracer = Tracer(lambda _: None, ended.append)
    made = min(_MADE, traces)
    for number, job in enumerate(Workload().jobs(made)):
        if number % _NEEDLE_EVERY == 0:
            job.steps[0].inputs["question"] += " about a zebrafish in Ulm"
        record(tracer, job)
        if len(ended) > 5_000:
            client._store.write(ended)
            ended.clear()
    client._store.write(ended)
    for span in ended[:8:7]:
        client.log_assessment(span.trace_id, Feedback(name="score", value=5))
    client.close()
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for number in range(1, traces // made):
            _copy(connection, made, number)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    client = Client(str(path))
    while client._store.tidy():
        pass
    client.close()


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
    def search(filter_string: str | None = None, order_by: str | None = None) -> Callable[[], Any]:
        return lambda: client.search_traces(
            filter_string, order_by=order_by, max_results=50, include_spans=False, return_type="list"
        )

    ids = random.Random(1)
    words = Workload()._words
    return {
        "newest 50": search(),
        "one trace by id, with its spans": lambda: client.get_trace(ids.choice(trace_ids)),
        **{title or text: search(text, order_by) for title, text, order_by in _filters(words)},
    }


def _filters(words: list[str]) -> list[tuple[str, str | None, str | None]]:
    """Return filters and orders, each with what it is called where its text does not tell."""
    return [
        ("", "status = 'ERROR'", None),
        ("status = 'IN_PROGRESS', which none has", "status = 'IN_PROGRESS'", None),
        ("", "name = 'triage'", None),
        ("", "name = 'nothing'", None),
        ("", "name IN ('triage', 'weekly-report')", None),
        ("", "name = 'triage' OR tags.env = 'prod'", None),
        ("", "experiment = 'nightly'", None),
        ("", "session = 's77-3'", None),
        ("tags.env = 'prod', which a third has", "tags.env = 'prod'", None),
        ("tags.incident = 'i7', which few have", "tags.incident = 'i7'", None),
        ("", "model = 'gpt-5'", None),
        ("span.type = 'TOOL', which all have", "span.type = 'TOOL'", None),
        ("span.type = 'GUARDRAIL', which none has", "span.type = 'GUARDRAIL'", None),
        ("", "span.name = 'lookup' AND span.status = 'ERROR'", None),
        ("", "span.name = 'lookup' AND span.duration > 120ms", None),
        ("", "status = 'ERROR' AND name = 'weekly-report'", None),
        ("", "experiment = 'nightly' AND name = 'weekly-report'", None),
        ("", "status = 'ERROR' AND tags.incident = 'i7'", None),
        ("", "model = 'gpt-5' AND tags.incident = 'i7'", None),
        ("", "NOT status = 'OK'", None),
        ("", "duration > 100ms AND tokens > 5000", None),
        ("newest 50 of a time", "timestamp > now() - 1d AND timestamp < now() + 5m", None),
        ("slowest 50", None, "duration DESC"),
        ("50 of most tokens", None, "tokens DESC"),
        ("slowest 50 of a name", "name = 'weekly-report'", "duration DESC"),
        ("slowest 50 of a rare tag", "tags.incident = 'i7'", "duration DESC"),
        ("feedback.score > 3, which few have", "feedback.score > 3", None),
        ("name LIKE '%port', scanned", "name LIKE '%port'", None),
        ("name LIKE '%nothing%', scanned", "name LIKE '%nothing%'", None),
        ("text CONTAINS a word that all have", f"text CONTAINS '{words[0]}'", None),
        ("text CONTAINS a word of middling rank", f"text CONTAINS '{words[400]}'", None),
        ("text CONTAINS the rarest word of the vocabulary", f"text CONTAINS '{words[-1]}'", None),
        ("", "text CONTAINS 'zebrafish'", None),
        ("", "inputs CONTAINS 'zebrafish in Ulm' AND name = 'triage'", None),
        ("text CONTAINS a phrase of common words that none has", f"text CONTAINS '{' '.join([words[3]] * 6)}'", None),
        ("span.type = 'CHAT_MODEL' AND span.outputs CONTAINS a common word",
         f"span.type = 'CHAT_MODEL' AND span.outputs CONTAINS '{words[3]}'", None),
        ("", "span.attributes.gen_ai.request.model = 'gpt-5'", None),
        ("text LIKE '%zebrafish%', scanned", "text LIKE '%zebrafish%'", None),
    ]  # fmt: skip


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
    client._store._index_words(3_600.0)  # as the first searches for words do, a second each
    found = {}
    for name, ask in _searches(client, trace_ids).items():
        times = []
        while len(times) < (_FEW_RUNS if times and times[0] > _SLOW else _RUNS):
            began = time.perf_counter()
            ask()
            times.append(time.perf_counter() - began)
        found[name] = {"median": statistics.median(times) * 1e3, "max": max(times) * 1e3}
    client.close()
    print(json.dumps({"traces": traces, "spans": spans, "bytes": path.stat().st_size, "searches": found}))


if __name__ == "__main__":
    main()
