"""The functions of the package, over the client that they share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from autolog.client import AS_BEFORE, Changed, default_client
from autolog.context import end_block
from autolog.context import suppress as _suppress
from autolog.counters import Stats
from autolog.errors import InvalidSetting, Unavailable
from autolog.instrumentation.registry import IntegrationStatus, registry
from autolog.model.span import Link, Span, SpanType
from autolog.model.trace import Trace, TraceInfo, TraceState
from autolog.model.unrecorded import NO_SPAN
from autolog.processing import Processor
from autolog.sampling import Sampling
from autolog.texts import strings, text, text_or_none
from autolog.tracer import current_span, with_ambient

if TYPE_CHECKING:
    import pandas as pd
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import TracerProvider

    from autolog.search.page import PagedList
    from autolog.search.query import Moment


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
        store: str | os.PathLike[str] | None = None,
        experiment: str | None = None,
        duplicates: Literal["nest", "merge", "drop"] | None = None,
        display: bool | None = None,
    ) -> None:
        """Trace all supported libraries, or those named, except those in `exclude`.

        Works before or after a library's import and imports none. Calling it again changes nothing but what is
        asked for anew. With `log_traces=False` (or MLflow's `disable=True`) the libraries' own functions are put
        back. `store` and `experiment` are as in `set_store` and `set_experiment`. A model call that a framework and
        the SDK below it both report is one call: `duplicates` says what becomes of the SDK's span, which is to
        `"nest"` below the framework's, to `"merge"` into it, or to `"drop"`. In a notebook the traces of a cell show
        below it, but not with `display=False`. `AUTOLOG_TRACING=false` in the environment makes it do nothing.

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
            default_client().configure(duplicates=duplicates)
        if display is not None:
            default_client().configure(display=display)
        if _is_in_ipython():
            _follow_cells()
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


def _is_in_ipython() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return shell is not None and shell() is not None


def _follow_cells() -> None:
    from autolog.notebook import follow

    if default_client().settings.tracing is not False:
        follow()


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
    links: Sequence[Link] = (),
) -> Span:
    """Start a span below the current one, or the root of a new trace.

    As a context manager it is the current span inside the block and ends with it, failed where the block raised.
    Without a block it is not current, and ends with `span.end()`.
    """
    tracer = default_client().tracer
    if not tracer.enabled:
        return NO_SPAN
    kind = span_type if type(span_type) is SpanType else SpanType(span_type)
    name = name if type(name) is str else text(name)
    if inputs is None:
        span = tracer.start_span(name, kind, attributes=attributes)
    else:
        span = tracer.start_span(name, kind, inputs=inputs, attributes=attributes)
    if links:
        span.set_links(links)
    return span


def start_span_no_context(
    name: str,
    span_type: SpanType | str = SpanType.UNKNOWN,
    parent_span: Span | None = None,
    inputs: Any = None,
    attributes: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
    *,
    start_time_ns: int | None = None,
) -> Span:
    """Start a span below `parent_span`, or the root of a new trace, whatever runs here; end it with `span.end()`."""
    client = default_client()
    if parent_span is None:
        return client.start_trace(
            name, span_type, inputs=inputs, attributes=attributes, start_time_ns=start_time_ns, tags=tags,
            metadata=metadata,
        )  # fmt: skip
    return client.start_span(
        name, parent_span, span_type, inputs=inputs, attributes=attributes, start_time_ns=start_time_ns
    )


def get_current_active_span() -> Span | None:
    """Return the span that code here would nest under, or `None`."""
    return current_span()


def get_active_trace_id() -> str | None:
    """Return the id of the trace that runs here, or `None`."""
    span = current_span()
    return None if span is None else span.trace_id


def update_current_trace(
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
    client_request_id: str | None = None,
    request_preview: str | None = None,
    response_preview: str | None = None,
    state: TraceState | str | None = None,
    *,
    session_id: str | None = None,
    user: str | None = None,
    version: str | None = None,
) -> None:
    """Change what is recorded of the trace that runs here; does nothing outside of one.

    Tags and metadata are added to those that it has. `state`, `"OK"` or `"ERROR"`, is what the trace ends as, whatever
    its root says. Raises `InvalidSetting` for any other.
    """
    ends_as = _final_state(state)
    span = current_span()
    if span is None or span.trace_context is None:
        return
    context = span.trace_context
    context.change(tags=strings(tags), metadata=strings(metadata))
    if ends_as is not None:
        context.state = ends_as
    given = {
        "client_request_id": client_request_id,
        "request_preview": request_preview,
        "response_preview": response_preview,
        "session": session_id,
        "user": user,
        "version": version,
    }
    for name, value in given.items():
        if value is not None:
            setattr(context, name, text(value))


def _final_state(state: TraceState | str | None) -> TraceState | None:
    if state is None:
        return None
    found = TraceState.__members__.get(text(state).upper())
    if found is None or found is TraceState.IN_PROGRESS:
        raise InvalidSetting(f"a trace can't be made to end as {state!r}; there are: OK, ERROR, CANCELLED")
    return found


@contextmanager
def context(
    *,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
    session_id: str | None = None,
    user: str | None = None,
    experiment: str | None = None,
    version: str | None = None,
    enabled: bool = True,
) -> Iterator[None]:
    """Set tags, metadata, session, user, experiment and version of every trace that starts inside the block.

    With `enabled=False` nothing is recorded inside it.
    """
    block = with_ambient(
        tags=strings(tags) or None, metadata=strings(metadata) or None, session=text_or_none(session_id),
        user=text_or_none(user), experiment=text_or_none(experiment), version=text_or_none(version),
    )  # fmt: skip
    try:
        if enabled:
            yield
        else:
            with _suppress():
                yield
    finally:
        end_block(block)


def configure(
    *,
    span_processors: Iterable[Processor] | None = AS_BEFORE,
    sampling: Sampling | None = AS_BEFORE,
    **settings: Any,
) -> Changed:
    """Change settings from now on, or in a `with` block; see `Client.configure`.

    `tracing=False` records nothing until `tracing=True`, whatever is patched.
    """
    return default_client().configure(span_processors=span_processors, sampling=sampling, **settings)


def set_experiment(experiment_name: str) -> None:
    """Make this the experiment that traces belong to from now on."""
    default_client().configure(experiment=experiment_name)


def set_store(address: str | os.PathLike[str] | None) -> None:
    """Store traces at `address` from now on: a path, `sqlite:///path`, `memory:`; `None` for the default place."""
    default_client().set_store(address)


def store_location() -> str:
    """Return where traces are stored, for a person to read."""
    return default_client().location


def get_trace(trace_id: str) -> Trace:
    """Return the trace with its spans; raise `NotFound` where the store has none of this id."""
    return default_client().get_trace(trace_id)


def get_last_active_trace_id(*, thread_local: bool = False) -> str | None:
    """Return the id of the trace that was started last in this process, or in this thread, or `None`."""
    return default_client().get_last_active_trace_id(thread_local=thread_local)


def set_trace_tag(trace_id: str, key: str, value: str) -> None:
    """Set a tag of a trace, running or stored; raise `NotFound` where there is no such trace."""
    default_client().set_trace_tag(trace_id, key, value)


def delete_trace_tag(trace_id: str, key: str) -> None:
    """Take a tag away from a trace, running or stored; raise `NotFound` where there is no such trace."""
    default_client().delete_trace_tag(trace_id, key)


def add_trace(trace: Trace | Mapping[str, Any], target: Span | None = None) -> str:
    """Add a finished trace of elsewhere: below `target`, or else below what runs here; return the id it has here.

    Where nothing runs here it is added as the trace that it is. Raises `InvalidTrace` where it is none, or has not ended.
    """
    return default_client().add_trace(trace, target or current_span())


def search_traces(
    filter_string: str | None = None,
    *,
    max_results: int = 100,
    order_by: Sequence[str] | str | None = None,
    page_token: str | None = None,
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
    include_spans: bool = True,
    return_type: Literal["pandas", "list"] | None = None,
) -> pd.DataFrame | PagedList[Trace] | PagedList[TraceInfo]:
    """Return the traces that meet the filter and every condition given, newest first; see `Client.search_traces`."""
    return default_client().search_traces(
        filter_string, max_results=max_results, order_by=order_by, page_token=page_token, status=status, name=name,
        since=since, until=until, tags=tags, experiment=experiment, run=run, session=session, user=user, model=model,
        include_spans=include_spans, return_type=return_type,
    )  # fmt: skip


def delete_traces(
    trace_ids: str | Sequence[str] | None = None,
    *,
    filter_string: str | None = None,
    experiment: str | None = None,
    before: Moment | None = None,
    max_traces: int | None = None,
) -> int:
    """Delete the traces that meet every condition given, oldest first; see `Client.delete_traces`."""
    return default_client().delete_traces(
        trace_ids, filter_string=filter_string, experiment=experiment, before=before, max_traces=max_traces
    )


def export_otlp(
    endpoint: str | None = None,
    *,
    protocol: Literal["http/protobuf", "grpc"] | None = None,
    headers: Mapping[str, str] | None = None,
    conventions: Literal["gen_ai", "openinference"] = "gen_ai",
    collected: bool = True,
) -> Callable[[], None]:
    """Send each span by OTLP too, from now on; return what ends that. See `Client.export_otlp`."""
    return default_client().export_otlp(
        endpoint, protocol=protocol, headers=headers, conventions=conventions, collected=collected
    )


def collect_otel(
    tracer_provider: TracerProvider | None = None,
    *,
    only: Sequence[str] | Callable[[ReadableSpan], bool] | None = None,
) -> Callable[[], None]:
    """Take the spans of OpenTelemetry's instrumentations into the same traces and the store; return what ends that.

    They are those of the given provider, or of the global one, which is made where there is none yet. `only` takes some
    of them: the names that their scopes begin with, or a function of the span that has just started, such as
    `autolog.otel.is_llm_span`. Calling it again changes `only`. Raises `Unavailable` where the extra `otel` is not
    installed.
    """
    try:
        from autolog.otel.processor import collect
    except ImportError as error:
        raise Unavailable(
            f"taking spans in needs OpenTelemetry's SDK: pip install 'autolog-tracing[otel]' ({error})"
        ) from error
    return collect(tracer_provider, only=only, is_traced=registry.is_on)


def flush(timeout: float = 30.0) -> bool:
    """Store everything recorded so far, and send it where it is sent too; return whether that worked in `timeout` seconds."""
    return default_client().flush(timeout)


def stats() -> Stats:
    """Return what became of the spans of this process: stored, waiting, dropped and why."""
    return default_client().stats()
