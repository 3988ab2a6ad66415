"""Send spans by OTLP, over HTTP or gRPC, with OpenTelemetry's own exporters."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opentelemetry import trace as otel
from opentelemetry.sdk.environment_variables import OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_TRACES_HEADERS
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.util.re import parse_env_headers

from autolog.capture import Limits
from autolog.delivery import Sent
from autolog.guard import attempt, guarded
from autolog.model.span import Span
from autolog.otel.convert import Converter
from autolog.otel.target import GRPC, HTTP, Target
from autolog.redact import redact_keys

if TYPE_CHECKING:
    from typing_extensions import Self

_PATH = "/v1/traces"
# What may go well another time, by OTLP's specification.
_PASSING_STATUSES = frozenset({408, 429, 502, 503, 504})
_PASSING_CODES = frozenset({"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"})
# What the SDK's exporters say of a batch that they never sent.
_UNSENDABLE = ("encode", "max_request_size", "larger than max")
_LONGEST_REASON = 500
_LOGGERS = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.exporter.otlp.proto.grpc.exporter")


class OtlpSender:
    """Sends batches with one of the SDK's exporters. Made for one thread."""

    def __init__(self, target: Target, limits: Limits) -> None:
        self._target = target
        self.place = target.place
        self._limits = limits
        self._watch = _WATCHES[self._target.protocol]()
        self._exporter: SpanExporter | None = None
        self._converter: Converter | None = None

    def open(self) -> None:
        """Make the exporter; raise what it raises for settings that can't be used."""
        if self._exporter is None:
            self._exporter = self._watch.open(self._target)
            self._converter = Converter(self._target.conventions, _resource(), self._limits)

    def send(self, spans: Sequence[Span]) -> Sent:
        """Send ended spans, and tell how that went."""
        self.open()
        exporter, converter = self._exporter, self._converter
        if exporter is None or converter is None:
            return Sent("not opened", is_final=True)
        readable = []
        for span in spans:
            with guarded:
                readable.append(converter.convert(span))
        broken = len(spans) - len(readable)
        with _Listening() as said:
            self._watch.begin()
            try:
                done = not readable or exporter.export(readable) is SpanExportResult.SUCCESS
            except OSError as error:  # which versions before 1.33 let pass where nobody answers
                self._watch.broke(error)
                done = False
        if done:
            return Sent(rejected=min(self._watch.rejected, len(readable)), broken=broken)
        sent: Sent = self._watch.failure(said)
        return replace(sent, broken=broken)

    def break_off(self) -> None:
        """Wait for nothing more."""
        if self._exporter is not None:
            attempt(self._exporter.shutdown, default=None)

    def begin_anew(self) -> None:
        """Make a new exporter when it is next needed: the old one's connections are the parent's."""
        self._exporter = self._converter = None
        self._watch = _WATCHES[self._target.protocol]()


def _resource() -> Resource:
    """Return what the program says of itself, by its own provider or else by the standard variables."""
    named = getattr(otel.get_tracer_provider(), "resource", None)
    return named if isinstance(named, Resource) else Resource.create()


class _HttpWatch:
    """Makes the exporter over HTTP, and sees the answers: the SDK tells only whether it worked."""

    def __init__(self) -> None:
        self.rejected = 0
        self._status: int | None = None
        self._wait: float | None = None
        self._error: str | None = None

    def open(self, target: Target) -> SpanExporter:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        endpoint = target.endpoint
        if endpoint is not None and not endpoint.rstrip("/").endswith(_PATH):
            endpoint = endpoint.rstrip("/") + _PATH
        # Where a variable names who brings a session with credentials, that one is used.
        is_named = any(os.environ.get(name) for name in _CREDENTIALS)
        session = None if is_named else _watched_session(self)
        return OTLPSpanExporter(endpoint=endpoint, headers=dict(target.headers or {}), session=session)

    def begin(self) -> None:
        self.rejected, self._status, self._wait, self._error = 0, None, None, None

    def answered(self, response: Any) -> None:
        """Look at an answer."""
        self._status = response.status_code
        self._wait = attempt(lambda: float(response.headers["retry-after"]), default=None)
        if response.status_code == 200 and response.content:
            self.rejected = attempt(_rejected, response.content, default=0)

    def broke(self, error: Exception) -> None:
        """Note why no answer came."""
        self._status, self._error = None, redact_keys(str(error))[:_LONGEST_REASON]

    def failure(self, said: _Listening) -> Sent:
        if self._status is not None:
            return Sent(f"HTTP {self._status}.", is_final=self._status not in _PASSING_STATUSES, wait=self._wait)
        return Sent(f"{self._error or said.last}.", is_final=said.tells_of(_UNSENDABLE))


_CREDENTIALS = (
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER",
)


def _watched_session(watch: _HttpWatch) -> Any:
    import requests

    class Session(requests.Session):
        def send(self, *args: Any, **kwargs: Any) -> requests.Response:
            try:
                response = super().send(*args, **kwargs)
            except requests.RequestException as error:
                watch.broke(error)
                raise
            watch.answered(response)
            return response

    return Session()


def _rejected(content: bytes) -> int:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    return int(ExportTraceServiceResponse.FromString(content).partial_success.rejected_spans)


class _GrpcWatch:
    """Makes the exporter over gRPC, and hears from its log why it failed."""

    def __init__(self) -> None:
        self.rejected = 0
        self._code: str | None = None

    def open(self, target: Target) -> SpanExporter:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        named = os.environ.get(OTEL_EXPORTER_OTLP_TRACES_HEADERS) or os.environ.get(OTEL_EXPORTER_OTLP_HEADERS) or ""
        headers = {**parse_env_headers(named, liberal=True), **(target.headers or {})}
        metadata = tuple((name.lower(), value) for name, value in headers.items())
        return OTLPSpanExporter(endpoint=target.endpoint, headers=metadata or None)

    def begin(self) -> None:
        return None

    def broke(self, _error: Exception) -> None:
        return None

    def failure(self, said: _Listening) -> Sent:
        names = [name for arg in said.args if isinstance(name := getattr(arg, "name", None), str)]
        # The SDK leaves out what it said a moment ago, so the last code holds on.
        self._code = names[-1] if names else self._code
        if self._code is None:
            return Sent(f"{said.last}.", is_final=said.tells_of(_UNSENDABLE))
        is_final = self._code not in (*_PASSING_CODES, "RESOURCE_EXHAUSTED") or said.tells_of(_UNSENDABLE)
        return Sent(f"gRPC {self._code}.", is_final=is_final)


_WATCHES: Mapping[str, Callable[[], Any]] = {HTTP: _HttpWatch, GRPC: _GrpcWatch}


class _Listening(logging.Filter):
    """Hears what the SDK's exporters log in this thread, and keeps it from the log: `stats()` and one warning tell it."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.args: list[Any] = []
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self._thread:
            return True
        self.texts.append(redact_keys(record.getMessage())[:_LONGEST_REASON])
        self.args.extend(record.args if isinstance(record.args, tuple) else ())
        return False

    @property
    def last(self) -> str:
        return self.texts[-1].rstrip(".") if self.texts else "no answer"

    def tells_of(self, marks: Sequence[str]) -> bool:
        return any(mark in text for mark in marks for text in self.texts)

    def __enter__(self) -> Self:
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self)
        return self

    def __exit__(self, *_: object) -> None:
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self)
