"""Spans a second from the program into SQLite: by one process, and by four into one file."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from workload import SPANS_A_TRACE, Job, Step, Workload

from autolog import Client, Span, TokenUsage
from autolog.model.span import SpanType
from autolog.settings import from_environment
from autolog.tracer import Tracer

_PROCESSES = 4
# A program that makes spans only, and nothing else, is faster than any disk: it waits when this many are waiting.
_MOST_WAITING = 20_000


def record(tracer: Tracer, job: Job) -> list[Span]:
    """Record a job as a program does, each step inside its parent; return the spans."""
    tracer.experiment = job.experiment
    spans: list[Span] = []
    for step in job.steps:
        parent = None if step.parent is None else spans[step.parent]
        span = tracer.start_span(step.name, SpanType(step.span_type), parent=parent, inputs=step.inputs)
        spans.append(span)
        if step.parent is None and span.trace_context is not None:
            span.trace_context.session, span.trace_context.tags = job.session, job.tags
    for span, step in reversed(list(zip(spans, job.steps, strict=True))):
        _end(span, step, job)
    return spans


def _end(span: Span, step: Step, job: Job) -> None:
    span.set_outputs(step.outputs)
    span.set_attributes(step.attributes)
    if step.usage is not None:
        span.set_usage(TokenUsage(**step.usage))
    if job.fails and step.name in ("lookup", job.steps[0].name):
        span.set_status("ERROR", "the tool did not answer")
    span.end(span.start_time_ns + step.duration_ns)


def _pipeline(jobs: list[Job], path: Path) -> dict[str, float]:
    client = Client(str(path))
    rates = _timed(lambda: _send(client, jobs), len(jobs))
    stats = client.stats()
    client.close()
    return {**rates, "lost": stats.started - stats.stored, "errors": stats.store_errors + stats.internal_errors}


def _send(client: Client, jobs: list[Job]) -> None:
    for job in jobs:
        while client.stats().waiting > _MOST_WAITING:
            time.sleep(0.002)
        record(client.tracer, job)
    client.flush()


def _store_alone(jobs: list[Job], path: Path) -> dict[str, float]:
    """Measure what the worker does, without the program that shares the interpreter with it."""
    ended: list[Span] = []
    tracer = Tracer(lambda _: None, ended.append)
    for job in jobs:
        record(tracer, job)
    client = Client(str(path), from_environment().replace(flush_interval=3_600.0, queue_spans=len(ended)))
    for span in ended:
        client._pipeline.started(span)
        client._pipeline.ended(span)
    rates = _timed(client.flush, len(jobs))
    client.close()
    return rates


def _timed(work: Callable[[], object], jobs: int) -> dict[str, float]:
    began, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"per_second": jobs * SPANS_A_TRACE / wall, "per_cpu_second": jobs * SPANS_A_TRACE / cpu}


def _bytes_a_span(path: Path) -> float:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (spans,) = connection.execute("SELECT count(*) FROM spans").fetchone()
    return path.stat().st_size / spans


def _together(traces: int, path: Path) -> dict[str, float]:
    command = [sys.executable, __file__, str(traces), str(path)]
    began = time.perf_counter()
    writers = [subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE) for seed in range(_PROCESSES)]
    found = [json.loads(writer.communicate()[0]) for writer in writers]
    wall = time.perf_counter() - began
    with sqlite3.connect(path) as connection:
        (stored,) = connection.execute("SELECT count(*) FROM spans").fetchone()
    sent = traces * SPANS_A_TRACE * _PROCESSES
    return {
        "per_second": sum(one["per_second"] for one in found),
        "wall": wall,
        "lost": sent - stored,
        "errors": sum(one["errors"] for one in found),
    }


def main() -> None:
    """Measure all, or be one of the four writers."""
    traces = int(sys.argv[1])
    if len(sys.argv) > 2:
        jobs = list(Workload(int(sys.argv[3])).jobs(traces))
        print(json.dumps(_pipeline(jobs, Path(sys.argv[2]))))
        return
    jobs = list(Workload().jobs(traces))
    found = {
        "pipeline": _pipeline(jobs, Path("pipeline.db")),
        "store": _store_alone(jobs, Path("store.db")),
        "bytes": _bytes_a_span(Path("pipeline.db")),
        "together": _together(traces, Path("together.db")),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
