"""Milliseconds to sum up a large store: figures over time, sessions, experiments, runs, values of fields."""

from __future__ import annotations

import json
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure_queries import build

from autolog import Client

_RUNS = 7
_USED = """
UPDATE traces SET usage = '{"input_tokens": ' || (abs(random()) % 9000) || ', "output_tokens": ' || (abs(random()) % 900) || '}',
  total_tokens = abs(random()) % 9900, cost_total = (abs(random()) % 1000) / 1e5, run = 'r' || (rid % 40)
"""


def _questions(client: Client, newest_ns: int) -> dict[str, Callable[[], Any]]:
    figures, sessions = client.statistics, client.search_sessions
    page = sessions(max_results=60)
    return {
        "figures of all": figures,
        "figures of the newest hour": lambda: figures(since=newest_ns - 3_600_000_000_000),
        **{f"figures by {by}": (lambda by=by: figures(group_by=by)) for by in ("name", "tags.env", "session", "model")},
        "figures of tags.env = 'prod', a third": lambda: figures("tags.env = 'prod'"),
        "figures of tags.incident = 'i7', few": lambda: figures("tags.incident = 'i7'"),
        "figures of name LIKE '%port', scanned": lambda: figures("name LIKE '%port'"),
        "figures of text CONTAINS 'zebrafish', few": lambda: figures("text CONTAINS 'zebrafish'"),
        "figures of an attribute, in payloads": lambda: figures("span.attributes.gen_ai.request.model = 'gpt-5'"),
        "errors, steps and feedback": client.statistics_details,
        "60 sessions": lambda: sessions(max_results=60),
        "the next 60": lambda: sessions(max_results=60, page_token=page.token),
        "60 sessions of tags.env = 'prod'": lambda: sessions("tags.env = 'prod'", max_results=60),
        "60 sessions of name LIKE '%nothing%', none": lambda: sessions("name LIKE '%nothing%'", max_results=60),
        "experiments": client.summarize_experiments,
        "40 runs": client.summarize_runs,
        "values of session that begin with s7": lambda: client.list_values("session", "s7"),
        "values of tags.env": lambda: client.list_values("tags.env"),
        "values of model": lambda: client.list_values("model"),
    }


def main() -> None:
    """Build the store, and ask."""
    traces = int(sys.argv[1])
    path = Path(f"summaries-{traces}.db")
    if not path.exists():
        build(path, traces)
        with sqlite3.connect(path) as connection:
            connection.execute(_USED)
            for number in range(40):
                connection.execute(
                    "INSERT INTO runs VALUES (?, ?, 'default', 'FINISHED', ?, NULL, NULL)",
                    (f"r{number}", f"run {number}", number),
                )
    client = Client(str(path))
    client._store._index_words(3_600.0)
    with sqlite3.connect(path) as connection:
        (newest_ns,) = connection.execute("SELECT max(start_ns) FROM traces").fetchone()
    found = {}
    for name, ask in _questions(client, newest_ns).items():
        times = []
        for _ in range(_RUNS):
            began = time.perf_counter()
            ask()
            times.append(time.perf_counter() - began)
        found[name] = {"median": statistics.median(times) * 1e3, "min": min(times) * 1e3}
    client.close()
    print(json.dumps({"traces": traces, "bytes": path.stat().st_size, "milliseconds": found}))


if __name__ == "__main__":
    main()
