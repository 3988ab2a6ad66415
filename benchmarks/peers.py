"""Who is measured: autolog, nobody, and the libraries that do the like, each set up as its documentation says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

Flush = Callable[[], object]
OpenSpan = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Peer:
    """One column of the results. Its functions import their library only when they are called."""

    title: str
    keeps: str
    """Where its spans end up."""
    set_up: Callable[[Path], Flush]
    """Trace OpenAI from now on, keep what there is to keep in the folder, and return what waits for all of it."""
    open_span: Callable[[], OpenSpan] | None = None
    """Return a function that opens a span of the peer's own; it was set up before."""
    statement: str = "pass"
    """What a program writes to import it."""
    distribution: str = ""
    environment: str = ""
    """The peer whose packages it runs with, where not its own."""
    variables: Mapping[str, str] = field(default_factory=dict)


def _nobody(folder: Path) -> Flush:  # noqa: ARG001
    return lambda: None


def _autolog(folder: Path) -> Flush:
    import autolog

    autolog.autolog(store=str(folder / "traces.db"))
    return autolog.flush


def _autolog_span() -> OpenSpan:
    import autolog

    return partial(autolog.start_span, "step")


def _mlflow(folder: Path) -> Flush:
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.set_experiment("benchmark")
    mlflow.config.enable_async_logging()
    mlflow.openai.autolog()
    return mlflow.flush_trace_async_logging


def _mlflow_span() -> OpenSpan:
    import mlflow

    return partial(mlflow.start_span, "step")


def _processor() -> Any:
    """Return OpenTelemetry's usual batches, into an exporter that does nothing."""
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:  # noqa: ARG002
            return SpanExportResult.SUCCESS

    return BatchSpanProcessor(Nowhere())


def _opentelemetry(instrumentor: Any) -> Flush:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import set_tracer_provider

    provider = TracerProvider()
    provider.add_span_processor(_processor())
    set_tracer_provider(provider)
    instrumentor.instrument(tracer_provider=provider)
    return provider.force_flush


def _opentelemetry_span() -> OpenSpan:
    from opentelemetry.trace import get_tracer

    return partial(get_tracer("benchmark").start_as_current_span, "step")


def _openinference(folder: Path) -> Flush:  # noqa: ARG001
    from openinference.instrumentation.openai import OpenAIInstrumentor

    return _opentelemetry(OpenAIInstrumentor())


def _openllmetry(folder: Path) -> Flush:  # noqa: ARG001
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    return _opentelemetry(OpenAIInstrumentor())


def _logfire(folder: Path) -> Flush:  # noqa: ARG001
    import logfire

    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[_processor()])
    logfire.instrument_openai()
    return logfire.force_flush


def _logfire_span() -> OpenSpan:
    import logfire

    def open_span() -> Any:
        return logfire.span("step")  # which looks at the source of the line that calls it

    return open_span


PEERS: Mapping[str, Peer] = {
    "none": Peer("no tracing", "", _nobody, lambda: nullcontext, distribution="openai"),
    "autolog": Peer("autolog", "SQLite", _autolog, _autolog_span, "import autolog", "autolog-tracing"),
    "off": Peer(
        "autolog, switched off",
        "nowhere",
        _autolog,
        _autolog_span,
        environment="autolog",
        variables={"AUTOLOG_TRACING": "false"},
    ),
    "mlflow": Peer("MLflow", "SQLite", _mlflow, _mlflow_span, "import mlflow", "mlflow"),
    "openinference": Peer(
        "OpenInference",
        "nowhere",
        _openinference,
        _opentelemetry_span,
        "import openinference.instrumentation.openai, opentelemetry.sdk.trace.export",
        "openinference-instrumentation-openai",
    ),
    "openllmetry": Peer(
        "OpenLLMetry",
        "nowhere",
        _openllmetry,
        _opentelemetry_span,
        "import opentelemetry.instrumentation.openai, opentelemetry.sdk.trace.export",
        "opentelemetry-instrumentation-openai",
    ),
    "logfire": Peer("Logfire", "nowhere", _logfire, _logfire_span, "import logfire", "logfire"),
}
