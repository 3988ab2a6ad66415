"""The observers of the SDK's three functions."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from typing import Any

from opentelemetry.context import Context

from autolog import capture, semconv
from autolog.context import attach, detach
from autolog.ids import now_ns
from autolog.instrumentation import Call, Observer
from autolog.model.span import Span
from autolog.model.unrecorded import NO_SPAN
from autolog_openai.endpoints import Endpoint, find
from autolog_openai.inject import UsageFilter, with_trace, with_usage
from autolog_openai.recording import Recording
from autolog_openai.request import Request, describe_files

_snapshot = capture.snapshot


_current: ContextVar[Recording | None] = ContextVar("autolog_openai", default=None)


def observe_request(call: Call) -> Observer:
    """Observe `SyncAPIClient.request` and its async twin."""
    options = call.args[1] if len(call.args) > 1 else call.kwargs["options"]
    outer = _current.get()
    if outer is not None and outer.request is options:
        return  # seen already: another library's patch leads from one of our places to another
    endpoint = find(options.method, options.url, call.instance)
    if endpoint is None:
        yield from _apart(outer)
        return
    model = _model(options)
    name = f"{endpoint.operation} {model}" if model else endpoint.operation
    span = call.start_span(name, endpoint.span_type)
    if span is NO_SPAN:
        return
    if not span.is_recording():
        yield from _around(span)
        return
    settings = call.options
    recording = Recording(span, endpoint, settings, options)
    span.defer(_request(call, options, endpoint, settings).describe)
    if settings["propagate"]:
        _send_instead(call, recording, with_trace(options, call.instance, span))
    if settings["inject_stream_usage"]:
        recording.edit = _inject_usage(call, recording)
    recorded, current = _current.set(recording), attach(span)
    try:
        result = yield
    except BaseException as error:
        _leave(recorded, current)
        recording.fail(error, call.instance)
        raise
    _leave(recorded, current)
    recording.succeed(result)


def _apart(outer: Recording | None) -> Observer:
    """Keep a request that is not traced, made while one that is traced runs, from being taken for that one."""
    if outer is None:
        return
    token = _current.set(None)
    try:
        yield
    finally:
        _reset(token)


def _around(span: Span) -> Observer:
    """Tell what runs inside a call of a trace that is not recorded that it is not either."""
    current, recorded = attach(span), _current.set(None)
    try:
        yield
    finally:
        _leave(recorded, current)
        span.end()


def observe_response(call: Call) -> Observer:
    """Observe `_process_response`, which sees the HTTP response before it is parsed."""
    recording = _current.get()
    if recording is not None:
        recording.response = call.kwargs.get("response")
        recording.retries = call.kwargs.get("retries_taken") or 0
    return
    yield


def observe_retry(call: Call) -> Observer:
    """Observe the wait before a retry."""
    recording = _current.get()
    if recording is None:
        return
    began = now_ns()
    yield
    attempts = call.kwargs.get("retries_taken", recording.retries) + 1
    details = {semconv.RETRY_ATTEMPT: attempts, semconv.RETRY_DELAY: (now_ns() - began) / 1e9}
    status = getattr(call.kwargs.get("response"), "status_code", None)
    if status is not None:
        details[semconv.HTTP_STATUS] = status
    recording.retries = attempts
    recording.span.add_event(semconv.RETRY_EVENT, details, began)


def _leave(recorded: Token[Recording | None], current: Token[Context]) -> None:
    detach(current)
    _reset(recorded)


def _reset(token: Token[Recording | None]) -> None:
    try:
        _current.reset(token)
    except ValueError:  # a coroutine that was closed from another context
        return


def _model(options: Any) -> str | None:
    for body in (options.extra_json, options.json_data):
        if isinstance(body, Mapping) and isinstance(body.get("model"), str):
            model: str = body["model"]
            return model
    return None


def _request(call: Call, options: Any, endpoint: Endpoint, settings: Mapping[str, Any]) -> Request:
    headers = options.headers
    return Request(
        endpoint=endpoint,
        url=options.url,
        body=_snapshot(options.json_data),
        extra=_snapshot(options.extra_json) if options.extra_json else None,
        query=_snapshot(options.params) if options.params else None,
        files=describe_files(options.files) if options.files else None,
        client=type(call.instance),
        base_url=getattr(call.instance, "_base_url", None),
        helper=headers.get("X-Stainless-Helper-Method") if isinstance(headers, Mapping) else None,
        encoding_format=_encoding_format(options) if endpoint.operation == "embeddings" else None,
        options=settings,
    )


def _encoding_format(options: Any) -> str | None:
    """Return the format that the user asked for: the SDK's own parser knows it, the body has the SDK's wish."""
    parser = options.post_parser
    known = dict(getattr(parser, "keywords", None) or {})
    code = getattr(parser, "__code__", None)
    if code is not None:
        cells = (cell.cell_contents for cell in parser.__closure__ or ())
        known.update(zip(code.co_freevars, cells, strict=True))
    if "encoding_format" in known:
        return known["encoding_format"] if isinstance(known["encoding_format"], str) else None
    body = options.json_data
    return body.get("encoding_format") if isinstance(body, Mapping) else None


def _inject_usage(call: Call, recording: Recording) -> UsageFilter | None:
    endpoint = recording.endpoint
    if endpoint.operation not in ("chat", "text_completion") or endpoint.api == "responses":
        return None
    return UsageFilter() if _send_instead(call, recording, with_usage(recording.request)) else None


def _send_instead(call: Call, recording: Recording, options: Any) -> bool:
    """Have the SDK send these options, if any, in place of the program's; return whether it will."""
    if options is None:
        return False
    recording.request = options
    if len(call.args) > 1:
        call.args = (call.args[0], options, *call.args[2:])
    else:
        call.kwargs = {**call.kwargs, "options": options}
    return True
