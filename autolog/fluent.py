"""The functions of the package, over the client that they share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from autolog.client import default_client
from autolog.context import detach
from autolog.context import suppress as _suppress
from autolog.errors import InvalidSetting
from autolog.instrumentation.registry import IntegrationStatus, registry
from autolog.model.span import NO_SPAN, Span, SpanType
from autolog.model.trace import Trace, TraceInfo, TraceState
from autolog.pipeline import Stats
from autolog.search.query import Moment
from autolog.tracer import current_span, with_ambient

if TYPE_CHECKING:
    import pandas as pd


class Handle:
    """Autologging of one library: `autolog.openai.autolog()`, or `autolog.openai()` for short."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.__doc__ = f"Trace {name}; see `autolog`."

    def autolog(self, *, log_traces: bool = True, disable: bool = False, **options: Any) -> None:
        """Trace this library, or with `log_traces=False` (or MLflow's `disable=True`) no more.

        Raises `Unavailable` where the library is not installed, `InvalidSetting` for an option that it has not.
        """
        if disable or not log_traces:
            registry.turn_off(self.name)
        else:
            _turn_on([self.name], options, asked=True)

    __call__ = autolog

    def __repr__(self) -> str:
        return f"<autolog.{self.name}>"


class Autolog:
    """Record every call of every supported library: `autolog()`.

    It carries a handle for each library too, for `from autolog import autolog` hides the package of that name:
    `autolog.openai(log_traces=False)`.
    """

    def __call__(
        self,
        *names: str,
        exclude: Sequence[str] = (),
        log_traces: bool = True,
        disable: bool = False,
        store: str | None = None,
        experiment: str | None = None,
        duplicates: Literal["nest", "merge", "drop"] | None = None,
    ) -> None:
        """Trace all supported libraries, or those named, except those in `exclude`.

        Works before or after a library's import and imports none. Calling it again changes nothing but what is
        asked for anew. With `log_traces=False` (or MLflow's `disable=True`) the libraries' own functions are put
        back. `store` and `experiment` are as in `set_store` and `set_experiment`. A model call that a framework and
        the SDK below it both report is one call: `duplicates` says what becomes of the SDK's span, which is to
        `"nest"` below the framework's, to `"merge"` into it, or to `"drop"`. `AUTOLOG_TRACING=false` in the
        environment makes it do nothing.

        Raises `UnknownIntegration` for a name that there is not, and `Unavailable` for a named library that is
        not installed.
        """
        if isinstance(exclude, str):
            exclude = (exclude,)
        registry.check([*names, *exclude])
        chosen = [name for name in names or registry.names() if name not in exclude]
        if disable or not log_traces:
            for name in chosen:
                registry.turn_off(name)
            return
        if store is not None:
            set_store(store)
        if experiment is not None:
            set_experiment(experiment)
        if duplicates is not None:
            default_client().set_duplicates(duplicates)
        _turn_on(chosen, {}, asked=bool(names))

    def __getattr__(self, name: str) -> Handle:
        if not name.startswith("_") and name in registry.names():
            return Handle(name)
        raise AttributeError(f"no integration {name!r}; there are: {', '.join(registry.names())}")

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *registry.names()]

    def __repr__(self) -> str:
        return "<function autolog>"


autolog = Autolog()


def _turn_on(names: Sequence[str], options: Mapping[str, Any], *, asked: bool) -> None:
    client = default_client()
    if client.settings.tracing is False:
        return
    for name in names:
        registry.turn_on(name, client.tracer, options, asked=asked)


def integrations() -> list[IntegrationStatus]:
    """Tell of each supported library whether it is installed, in a supported version, and traced."""
    return registry.status()


def start_span(
    name: str = "span",
    span_type: SpanType | str = SpanType.UNKNOWN,
    attributes: Mapping[str, Any] | None = None,
    *,
    inputs: Any = None,
) -> Span:
    """Start a span below the current one, or the root of a new trace.

    As a context manager it is the current span inside the block and ends with it, failed where the block raised.
    Without a block it is not current, and ends with `span.end()`.
    """
    tracer = default_client().tracer
    if not tracer.enabled:
        return NO_SPAN
    kind = span_type if type(span_type) is SpanType else SpanType(span_type)
    if inputs is None:
        return tracer.start_span(name, kind, attributes=attributes)
    return tracer.start_span(name, kind, inputs=inputs, attributes=attributes)


def get_current_active_span() -> Span | None:
    """Return the span that code here would nest under, or `None`."""
    return current_span()


def update_current_trace(
    *,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
    session_id: str | None = None,
    user: str | None = None,
    request_preview: str | None = None,
    response_preview: str | None = None,
) -> None:
    """Change what is recorded of the trace that runs here; does nothing outside of one."""
    span = current_span()
    if span is None or span.trace_context is None:
        return
    context = span.trace_context
    context.tags = {**(context.tags or {}), **_strings(tags)} or None
    context.metadata = {**(context.metadata or {}), **_strings(metadata)} or None
    context.session = session_id or context.session
    context.user = user or context.user
    context.request_preview = request_preview or context.request_preview
    context.response_preview = response_preview or context.response_preview


@contextmanager
def context(
    *,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
    session_id: str | None = None,
    user: str | None = None,
    enabled: bool = True,
) -> Iterator[None]:
    """Set tags, metadata, session and user of every trace that starts inside the block.

    With `enabled=False` nothing is recorded inside it.
    """
    token = with_ambient(
        tags=_strings(tags) or None, metadata=_strings(metadata) or None, session=session_id, user=user
    )
    try:
        if enabled:
            yield
        else:
            with _suppress():
                yield
    finally:
        detach(token)


def _strings(mapping: Mapping[str, str] | None) -> dict[str, str]:
    return {str(key): str(value) for key, value in (mapping or {}).items()}


def set_experiment(name: str) -> None:
    """Make `name` the experiment that traces belong to from now on."""
    if not isinstance(name, str) or not name.strip():
        raise InvalidSetting(f"an experiment needs a name, not {name!r}")
    default_client().tracer.experiment = name


def set_store(address: str | None) -> None:
    """Store traces at `address` from now on: a path, `sqlite:///path`, `memory:`; `None` for the default place."""
    default_client().set_store(address)


def store_location() -> str:
    """Return where traces are stored, for a person to read."""
    return default_client().location


def get_trace(trace_id: str) -> Trace:
    """Return the trace with its spans; raise `NotFound` where the store has none of this id."""
    return default_client().get_trace(trace_id)


def get_last_active_trace_id() -> str | None:
    """Return the id of the trace that was started last in this process, or `None`."""
    return default_client().get_last_active_trace_id()


def search_traces(
    *,
    status: TraceState | str | None = None,
    name: str | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    tags: Mapping[str, str] | None = None,
    experiment: str | None = None,
    run: str | None = None,
    session: str | None = None,
    user: str | None = None,
    model: str | None = None,
    max_results: int = 100,
    include_spans: bool = True,
    return_type: Literal["pandas", "list"] | None = None,
) -> pd.DataFrame | list[Trace] | list[TraceInfo]:
    """Return the traces that meet every condition given, newest first; see `Client.search_traces`."""
    return default_client().search_traces(
        status=status, name=name, since=since, until=until, tags=tags, experiment=experiment, run=run, session=session,
        user=user, model=model, max_results=max_results, include_spans=include_spans, return_type=return_type,
    )  # fmt: skip


def delete_traces(
    trace_ids: str | Sequence[str] | None = None,
    *,
    experiment: str | None = None,
    before: Moment | None = None,
    max_traces: int | None = None,
) -> int:
    """Delete the traces that meet every condition given, oldest first; see `Client.delete_traces`."""
    return default_client().delete_traces(trace_ids, experiment=experiment, before=before, max_traces=max_traces)


def flush(timeout: float = 30.0) -> bool:
    """Store everything recorded so far; return whether that worked within `timeout` seconds."""
    return default_client().flush(timeout)


def stats() -> Stats:
    """Return what became of the spans of this process: stored, waiting, dropped and why."""
    return default_client().stats()
