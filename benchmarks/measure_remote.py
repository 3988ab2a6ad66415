"""Spans a second into a server on this machine: in autolog's own form, and by OTLP as OpenTelemetry's exporters send it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import urllib3
from measure_ingest import record
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from workload import SPANS_A_TRACE, Workload

from autolog import Client, Span, wire
from autolog.capture import Limits
from autolog.model.trace import count_once
from autolog.otel.convert import Converter
from autolog.settings import Settings
from autolog.stores import compression
from autolog.tracer import Tracer

_BATCH = 512
"""Spans of a request, as OpenTelemetry's batch processor sends them."""
_MOST_WAITING = 20_000


class Server:
    """A server of a new file, in a process of its own."""

    def __init__(self, path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        path.unlink(missing_ok=True)
        self.address = f"http://127.0.0.1:{port}"
        program = f"from autolog import Client; from autolog.server.serve import serve; serve(Client({str(path)!r}), port={port})"
        self._process = subprocess.Popen([sys.executable, "-c", program])
        while True:
            try:
                urllib3.request("GET", f"{self.address}/api/health", retries=False)
                return
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)

    def spans(self) -> int:
        """Return how many spans it has."""
        client = Client(self.address, Settings(spool="none"))
        infos = client.search_traces(max_results=10_000_000, include_spans=False, return_type="list")
        return sum(info.span_count for info in infos)

    def cpu(self) -> float:
        """Return the seconds of processor time that it has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


def _spans(traces: int) -> list[Span]:
    ended: list[Span] = []
    tracer = Tracer(lambda _: None, ended.append)
    for job in Workload().jobs(traces):
        record(tracer, job)
    for span in ended:
        count_once(span)
    return ended


def _timed(server: Server, work: Callable[[], object], spans: int) -> dict[str, float]:
    began, cpu, there = time.perf_counter(), time.process_time(), server.cpu()
    work()
    wall, cpu, there = time.perf_counter() - began, time.process_time() - cpu, server.cpu() - there
    return {
        "per_second": spans / wall, "sender_cpu_us_a_span": cpu / spans * 1e6, "server_cpu_us_a_span": there / spans * 1e6,
    }  # fmt: skip


def _program(server: Server, traces: int) -> dict[str, float]:
    """Measure a program whose store is the server, from its first span until the server has all of them."""
    jobs = list(Workload().jobs(traces))
    client = Client(server.address, Settings(spool="spool-of-benchmark"))

    def work() -> None:
        for job in jobs:
            while client.stats().waiting > _MOST_WAITING:
                time.sleep(0.002)
            record(client.tracer, job)
        while not client.flush(60):
            pass

    rates = _timed(server, work, traces * SPANS_A_TRACE)
    stats = client.stats()
    client.close()
    return {**rates, "lost": stats.started - stats.stored, "errors": stats.store_errors + stats.internal_errors}


def _requests(server: Server, path: str, bodies: list[bytes], headers: dict[str, str], spans: int) -> dict[str, float]:
    """Measure the server alone: requests that are made beforehand, one after the other over one connection."""
    pool = urllib3.PoolManager()

    def work() -> None:
        for body in bodies:
            answer = pool.request("POST", f"{server.address}{path}", body=body, headers=headers)
            if answer.status != 200:
                raise RuntimeError(answer.data)

    size = sum(map(len, bodies))
    rates = _timed(server, work, spans)
    return {**rates, "requests": len(bodies), "kb_a_request": size / len(bodies) / 1e3, "bytes_a_span": size / spans}


def _own(spans: list[Span]) -> list[bytes]:
    batches = [spans[start : start + _BATCH] for start in range(0, len(spans), _BATCH)]
    return [compression.compress(body.data) for batch in batches for body in wire.encode(batch, Limits())]


def _otlp(spans: list[Span]) -> list[bytes]:
    import gzip

    converter = Converter("gen_ai", Resource({"service.name": "benchmark"}), Limits())
    batches = [spans[start : start + _BATCH] for start in range(0, len(spans), _BATCH)]
    return [
        gzip.compress(encode_spans([converter.convert(span) for span in batch]).SerializeToString(), 6)
        for batch in batches
    ]


def main() -> None:
    """Measure all."""
    traces = int(sys.argv[1])
    spans = _spans(traces)
    own = {"content-type": wire.MEDIA_TYPE, "content-encoding": "zstd"}
    otlp = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
    found: dict[str, dict[str, float]] = {}
    for name, measure in {
        "program": lambda server: _program(server, traces),
        "own": lambda server: _requests(server, "/api/spans", _own(spans), own, len(spans)),
        "otlp": lambda server: _requests(server, "/v1/traces", _otlp(spans), otlp, len(spans)),
    }.items():
        server = Server(Path(f"remote-{name}.db"))
        try:
            found[name] = measure(server)
            found[name]["missing"] = len(spans) - server.spans()
        finally:
            server.stop()
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
