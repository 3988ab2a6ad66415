"""Milliseconds that the server takes: to start, and to answer over HTTP, on stores of 10,000 and, with `--million`, 1,000,000 traces.

`python benchmarks/measure_server.py [--million] [--keep FOLDER]`. MLflow's and Phoenix's figures beside it are those of
docs/benchmarks-pages.md, which `make bench-pages` measures anew.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import psutil
import urllib3
from measure_queries import build

from autolog import Client

_STARTS = 7
_RUNS = 15
_FEW_RUNS = 3
_SLOW = 0.5
_WORD = urlencode({"filter": "text CONTAINS 'zebrafish'"})
_BUDGET = {"start to first answer (s)": "   at most 1.0", "memory, idle (MB)": "   at most 90"}


@contextmanager
def running(store: Path) -> Iterator[tuple[str, psutil.Process, float]]:
    """Start a server; yield its address, its process and the seconds to its first answer."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AUTOLOG_")}
    command = [sys.executable, "-m", "autolog", "ui", "--no-browser", "--port", "0", "--store", str(store)]
    began = time.perf_counter()
    with subprocess.Popen(command, env={**own, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True) as process:
        address = process.stdout.readline().split()[0].rstrip("/")
        urllib3.request("GET", f"{address}/api/traces?limit=50")
        took = time.perf_counter() - began
        yield address, psutil.Process(process.pid), took
        process.send_signal(signal.SIGTERM)


def starts(store: Path) -> dict[str, float]:
    """Start it again and again, with warm bytecode."""
    seconds, busy, memory, processes = [], [], [], 0
    for _ in range(_STARTS):
        with running(store) as (_, process, took):
            seconds.append(took)
            busy.append(sum(process.cpu_times()[:2]))
            memory.append(process.memory_info().rss / 1e6)
            processes = 1 + len(process.children(recursive=True))
    return {
        "start to first answer (s)": statistics.median(seconds[1:]),
        "of which it computes (s)": statistics.median(busy[1:]),
        "memory, idle (MB)": statistics.median(memory),
        "processes": processes,
    }


def asked(http: urllib3.PoolManager, address: str) -> dict[str, str]:
    """Return what the page asks for, by what it is called."""
    newest = http.request("GET", f"{address}/api/traces?limit=1000").json()["traces"]
    trace, since = newest[0]["trace_id"], newest[-1]["start_time_ns"]

    def traces(**params: str) -> str:
        return f"/api/traces?{urlencode({'limit': 50, **params})}"

    def count(text: str = "") -> str:
        return f"/api/count?{urlencode({'filter': text})}"

    return {
        "list, newest 50": traces(),
        "list, slowest 50": traces(order_by="duration DESC"),
        "list, failed": traces(filter="status = 'ERROR'"),
        "list, a rare word": traces(filter="text CONTAINS 'zebrafish'"),
        "list, a tag": traces(filter="tags.env = 'prod'"),
        "list, a filter without index": traces(filter="duration > 100ms AND tokens > 5000"),
        "count, all": count(),
        "count, failed": count("status = 'ERROR'"),
        "count, a rare word": count("text CONTAINS 'zebrafish'"),
        "count, a filter without index": count("name LIKE '%port'"),
        "a trace": f"/api/traces/{trace}",
        "fields": "/api/fields",
        "sessions": "/api/sessions?limit=50",
        "statistics of all": "/api/statistics?buckets=60&group_by=model",
        "export of 1,000 as CSV": f"/api/export?format=csv&since={since}",
        "export of 1,000, whole": f"/api/export?format=jsonl&since={since}",
    }


def answers(store: Path) -> dict[str, tuple[float, int]]:
    """Return the median milliseconds of each answer, and its bytes."""
    found = {}
    http = urllib3.PoolManager()
    with running(store) as (address, process, _):
        http.request("GET", f"{address}/api/traces?{_WORD}")
        for name, path in asked(http, address).items():
            times = []
            while len(times) < (_FEW_RUNS if times and times[0] > _SLOW else _RUNS):
                began = time.perf_counter()
                answer = http.request("GET", f"{address}{path}", headers={"Accept-Encoding": "gzip"}, timeout=120)
                times.append(time.perf_counter() - began)
                if answer.status != 200:
                    raise SystemExit(f"{path}: {answer.status} {answer.data!r}")
            found[name] = statistics.median(times) * 1e3, len(answer.data)
        found["memory after this (MB)"] = process.memory_info().rss / 1e6, 0
    return found


def main() -> None:
    """Build what is not there, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--million", action="store_true", help="a store of 1,000,000 traces too, which takes minutes to make"
    )
    parser.add_argument("--keep", type=Path, help="a folder where stores are kept for the next time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        for name, value in starts(folder / "empty.db").items():
            print(f"{name:36} {value:8.2f}{_BUDGET.get(name, '')}")
        for traces in (10_000, 1_000_000) if options.million else (10_000,):
            store = folder / f"{traces}.db"
            if not store.exists():
                build(store, traces)
            client = Client(str(store))
            client._store._index_words(3_600.0)  # as it is done while nothing is written
            client.close()
            print(f"\n{traces:,} traces, {store.stat().st_size / 1e6:,.0f} MB")
            for name, (took, size) in answers(store).items():
                print(f"{name:36} {took:8.1f} {'ms' if size else '  '} {size or '':>10}")


if __name__ == "__main__":
    main()
