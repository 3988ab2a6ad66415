"""Who is measured: autolog, nobody, and the libraries that do the like, each set up as its documentation says."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

OpenSpan = Callable[[], AbstractContextManager[Any]]
Decorate = Callable[[Callable[..., Any]], Callable[..., Any]]
Fill = Callable[[Any, Any, Any], object]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a peer has recorded."""

    flush: Callable[[], object]
    """Wait until all of it is where it is kept."""
    count: Callable[[], int]
    """Return how many spans are there."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One column of the results. Its functions import their library only when they are called."""

    title: str
    keeps: str
    """Where its spans end up; empty if it makes none."""
    set_up: Callable[[Path], Kept]
    """Keep what there is to keep in the folder; nothing is traced yet."""
    traces: Mapping[str, Callable[[], object]]
    """By library, what traces it from now on. It is measured with these."""
    open_span: Callable[[], OpenSpan] | None = None
    """Return a function that opens a span of the peer's own; it was set up before."""
    decorate: Callable[[], Decorate] | None = None
    """Return the peer's decorator of functions; it was set up before."""
    fill: Fill | None = None
    """Record inputs and outputs of an open span of the peer's own."""
    statement: str = "pass"
    """What a program writes to import it."""
    distributions: Sequence[str] = ()
    """What is installed of it."""
    environment: str = ""
    """The peer whose packages it runs with, where not its own."""
    variables: Mapping[str, str] = field(default_factory=dict)


LIBRARIES = ("openai", "langchain", "llama_index")
"""What peers trace."""


def _nothing() -> None:
    pass


def _nobody(folder: Path) -> Kept:  # noqa: ARG001
    return Kept(_nothing, lambda: 0)


def _autolog(folder: Path) -> Kept:
    import autolog

    autolog.set_store(str(folder / "traces.db"))
    return Kept(autolog.flush, lambda: autolog.stats().stored)


def _autolog_traces(library: str) -> None:
    import autolog

    autolog.autolog(library)


def _autolog_span() -> OpenSpan:
    import autolog

    return partial(autolog.start_span, "step")


def _autolog_decorator() -> Decorate:
    import autolog

    return autolog.trace


def _set_inputs_and_outputs(span: Any, inputs: Any, outputs: Any) -> None:
    span.set_inputs(inputs)
    span.set_outputs(outputs)


def _mlflow(folder: Path) -> Kept:
    import mlflow

    file = folder / "mlflow.db"
    mlflow.set_tracking_uri(f"sqlite:///{file}")
    mlflow.set_experiment("benchmark")
    mlflow.config.enable_async_logging()

    def count() -> int:
        with sqlite3.connect(file) as connection:
            (spans,) = connection.execute("SELECT count(*) FROM spans").fetchone()
        return int(spans)

    return Kept(mlflow.flush_trace_async_logging, count)


def _mlflow_traces(library: str) -> None:
    import_module(f"mlflow.{library}").autolog()


def _mlflow_span() -> OpenSpan:
    import mlflow

    return partial(mlflow.start_span, "step")


def _mlflow_decorator() -> Decorate:
    import mlflow

    return mlflow.trace


def _nowhere() -> Any:
    """Return an OpenTelemetry exporter that counts spans and throws them away."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        spans = 0

        def export(self, spans: Any) -> SpanExportResult:
            self.spans += len(spans)
            return SpanExportResult.SUCCESS

    return Nowhere()


def _opentelemetry(folder: Path) -> Kept:  # noqa: ARG001
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import set_tracer_provider

    provider, exporter = TracerProvider(), _nowhere()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    set_tracer_provider(provider)
    return Kept(provider.force_flush, lambda: exporter.spans)


def _instrument(module: str, name: str) -> None:
    getattr(import_module(module), name)().instrument()


def _opentelemetry_span() -> OpenSpan:
    from opentelemetry.trace import get_tracer

    return partial(get_tracer("benchmark").start_as_current_span, "step")


def _openinference_decorator() -> Decorate:
    from openinference.instrumentation import OITracer, TraceConfig
    from opentelemetry.trace import get_tracer

    decorate: Decorate = OITracer(get_tracer("benchmark"), config=TraceConfig()).chain
    return decorate


def _set_json(span: Any, inputs: Any, outputs: Any) -> None:
    span.set_attribute("input.value", json.dumps(inputs))
    span.set_attribute("output.value", json.dumps(outputs))


def _logfire(folder: Path) -> Kept:  # noqa: ARG001
    import logfire
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = _nowhere()
    processors = [BatchSpanProcessor(exporter)]
    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=processors)
    return Kept(logfire.force_flush, lambda: exporter.spans)


def _logfire_traces_openai() -> None:
    import logfire

    logfire.instrument_openai()


def _logfire_span() -> OpenSpan:
    import logfire

    def open_span() -> Any:
        return logfire.span("step")  # which looks at the source of the line that calls it

    return open_span


def _logfire_decorator() -> Decorate:
    import logfire

    return logfire.instrument("step", extract_args=True, record_return=True)


def _set_values(span: Any, inputs: Any, outputs: Any) -> None:
    span.set_attributes({"inputs": inputs, "outputs": outputs})


def _langfuse(folder: Path) -> Kept:  # noqa: ARG001
    import langfuse

    exporter = _nowhere()
    client = langfuse.Langfuse(public_key="pk-none", secret_key="sk-none", span_exporter=exporter)
    return Kept(client.flush, lambda: exporter.spans)


def _langfuse_traces_langchain() -> None:
    from langfuse.langchain import CallbackHandler
    from programs_langchain import CALLBACKS

    CALLBACKS.append(CallbackHandler())


_AUTOLOG = {library: partial(_autolog_traces, library) for library in LIBRARIES}

PEERS: Mapping[str, Peer] = {
    "none": Peer(
        "no tracing",
        "",
        _nobody,
        dict.fromkeys(LIBRARIES, _nothing),
        lambda: nullcontext,
        distributions=("openai", "langchain", "langchain-core", "langgraph", "llama-index-core"),
    ),
    "autolog": Peer(
        "autolog",
        "SQLite",
        _autolog,
        _AUTOLOG,
        _autolog_span,
        _autolog_decorator,
        _set_inputs_and_outputs,
        "import autolog",
        ("autolog-tracing",),
    ),
    "off": Peer(
        "autolog, switched off",
        "",
        _autolog,
        _AUTOLOG,
        _autolog_span,
        _autolog_decorator,
        _set_inputs_and_outputs,
        environment="autolog",
        variables={"AUTOLOG_TRACING": "false"},
    ),
    "mlflow": Peer(
        "MLflow",
        "SQLite",
        _mlflow,
        {library: partial(_mlflow_traces, library) for library in LIBRARIES},
        _mlflow_span,
        _mlflow_decorator,
        _set_inputs_and_outputs,
        "import mlflow",
        ("mlflow",),
        variables={"MLFLOW_DISABLE_TELEMETRY": "true"},
    ),
    "openinference": Peer(
        "OpenInference",
        "nowhere",
        _opentelemetry,
        {
            "openai": partial(_instrument, "openinference.instrumentation.openai", "OpenAIInstrumentor"),
            "langchain": partial(_instrument, "openinference.instrumentation.langchain", "LangChainInstrumentor"),
            "llama_index": partial(_instrument, "openinference.instrumentation.llama_index", "LlamaIndexInstrumentor"),
        },
        _opentelemetry_span,
        _openinference_decorator,
        _set_json,
        "import openinference.instrumentation.openai, opentelemetry.sdk.trace.export",
        (
            "openinference-instrumentation-openai",
            "openinference-instrumentation-langchain",
            "openinference-instrumentation-llama-index",
        ),
    ),
    "openllmetry": Peer(
        "OpenLLMetry",
        "nowhere",
        _opentelemetry,
        {
            "openai": partial(_instrument, "opentelemetry.instrumentation.openai", "OpenAIInstrumentor"),
            "langchain": partial(_instrument, "opentelemetry.instrumentation.langchain", "LangchainInstrumentor"),
            "llama_index": partial(_instrument, "opentelemetry.instrumentation.llamaindex", "LlamaIndexInstrumentor"),
        },
        _opentelemetry_span,
        None,
        _set_json,
        "import opentelemetry.instrumentation.openai, opentelemetry.sdk.trace.export",
        (
            "opentelemetry-instrumentation-openai",
            "opentelemetry-instrumentation-langchain",
            "opentelemetry-instrumentation-llamaindex",
        ),
    ),
    "logfire": Peer(
        "Logfire",
        "nowhere",
        _logfire,
        {"openai": _logfire_traces_openai},
        _logfire_span,
        _logfire_decorator,
        _set_values,
        "import logfire",
        ("logfire",),
    ),
    # Of LlamaIndex it documents OpenInference's instrumentor, whose column stands for both.
    "langfuse": Peer(
        "Langfuse",
        "nowhere",
        _langfuse,
        {"langchain": _langfuse_traces_langchain},
        distributions=("langfuse",),
    ),
}
