"""Receivers of OTLP, over HTTP and gRPC, as real servers on ports of their own; what they answer is scripted.

with http_receiver() as receiver:
    receiver.script(429, (503, {"retry-after": "1"}), reject(2))     # one entry a request, then 200
    …
    receiver.spans()                                                 # opentelemetry.proto's own spans
    receiver.tree()                                                  # their names, indented below their parents
"""

from __future__ import annotations

import gzip
import ssl
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Reject:
    """Take the request and refuse some of its spans."""

    spans: int


def reject(spans: int) -> Reject:
    return Reject(spans)


class Receiver:
    """What was received, and what is to be answered next."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.headers: list[Mapping[str, str]] = []
        self.attempts = 0
        self.endpoint = ""
        self.gate: threading.Event | None = None
        """What every request waits for before it is answered."""
        self.arrived = threading.Condition()
        self._script: deque[Any] = deque()

    def script(self, *steps: Any) -> None:
        self._script.extend(steps)

    def next_step(self) -> Any:
        with self.arrived:
            self.attempts += 1
            self.arrived.notify_all()
        if self.gate is not None:
            self.gate.wait(30)
        return self._script.popleft() if self._script else 200

    def take(self, request: ExportTraceServiceRequest, headers: Mapping[str, str]) -> None:
        with self.arrived:
            self.requests.append(request)
            self.headers.append(headers)
            self.arrived.notify_all()

    def wait_for(self, condition: Any, timeout: float = 30.0) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: condition(self), timeout), (self.attempts, len(self.requests))

    def spans(self) -> list[Any]:
        """Every span, in the order in which they started."""
        found = [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        return sorted(found, key=lambda span: span.start_time_unix_nano)

    def resource(self) -> dict[str, Any]:
        return attributes(self.requests[0].resource_spans[0].resource)

    def the(self, name: str) -> Any:
        [found] = [span for span in self.spans() if span.name == name]
        return found

    def tree(self) -> str:
        known = {span.span_id for span in self.spans()}
        roots = [span for span in self.spans() if span.parent_span_id not in known]
        return "\n".join(line for root in roots for line in self._lines(root, 0))

    def _lines(self, span: Any, depth: int) -> Iterator[str]:
        yield "  " * depth + span.name
        for child in self.spans():
            if child.parent_span_id == span.span_id:
                yield from self._lines(child, depth + 1)


def attributes(of: Any) -> dict[str, Any]:
    """The attributes of a span, an event, a link or a resource, as plain values."""
    return {one.key: _plain(one.value) for one in of.attributes}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {one.key: _plain(one.value) for one in value.kvlist_value.values}
    return None if kind is None else getattr(value, kind)


@contextmanager
def http_receiver(certificate: tuple[str, str] | None = None) -> Iterator[Receiver]:
    """A receiver over HTTP, or over HTTPS with a certificate and its key."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                content = gzip.decompress(content)
            step = receiver.next_step()
            answer = ExportTraceServiceResponse()
            status, headers = step if isinstance(step, tuple) else (step, {})
            if isinstance(step, Reject):
                status, headers = 200, {}
                answer.partial_success.CopyFrom(ExportTracePartialSuccess(rejected_spans=step.spans))
            if status == 200:
                request = ExportTraceServiceRequest.FromString(content)
                receiver.take(request, {"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
            body = answer.SerializeToString()
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            return  # a client that does not trust it, or that went away

    server = Server(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.endpoint = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        if receiver.gate is not None:
            receiver.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def grpc_receiver() -> Iterator[Receiver]:
    """A receiver over gRPC; its script has gRPC's status codes."""
    import grpc
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
        TraceServiceServicer,
        add_TraceServiceServicer_to_server,
    )

    receiver = Receiver()

    class Servicer(TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:
            step = receiver.next_step()
            if isinstance(step, grpc.StatusCode):
                context.abort(step, "scripted")
            receiver.take(request, {one.key: one.value for one in context.invocation_metadata()})
            return ExportTraceServiceResponse()

    server = grpc.server(ThreadPoolExecutor(4))
    add_TraceServiceServicer_to_server(Servicer(), server)
    receiver.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield receiver
    finally:
        if receiver.gate is not None:
            receiver.gate.set()
        server.stop(None).wait()
