"""The observers of the SDK's three functions, and the recording that joins what they see of one call."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from functools import partial
from typing import Any

from opentelemetry.context import Context

from autolog import Span, capture, semconv
from autolog.context import attach, detach
from autolog.guard import attempt
from autolog.ids import now_ns
from autolog.instrumentation import Call, Observer, ResponseWatch
from autolog.model.span import NO_SPAN, SpanEvent, exception_event
from autolog.redact import remember_secret
from autolog_openai import merge, read
from autolog_openai.endpoints import Endpoint, find
from autolog_openai.inject import UsageFilter, with_usage
from autolog_openai.request import Request, describe_files
from autolog_openai.scrub import remember_secrets, take_user, without_credentials

_snapshot = capture.snapshot
_READERS = ("openai._streaming", "openai.lib.streaming")


class Recording:
    """One call while it runs."""

    __slots__ = ("edit", "endpoint", "options", "request", "response", "retries", "sent_headers", "span")

    def __init__(self, span: Span, endpoint: Endpoint, options: Mapping[str, Any], request: Any) -> None:
        self.span = span
        self.endpoint = endpoint
        self.options = options
        self.request = request
        self.response: Any = None
        self.retries = 0
        self.sent_headers: Any = None
        self.edit: UsageFilter | None = None

    def succeed(self, result: Any) -> None:
        """Note the answer: its body where that was read already, else what the program will read of it."""
        response = self.response if self.response is not None else _response_of(result)
        if response is None:
            self.span.end()
            return
        content = getattr(response, "_content", None)
        if content is None:
            self._watch(response)
            return
        self.span.defer(partial(_read_answer, self, response, content))
        self.span.end()

    def fail(self, error: BaseException, client: Any) -> None:
        """Note the exception, and what the server had answered already."""
        span = self.span
        request = attempt(lambda: error.request, default=None)  # type: ignore[attr-defined]
        remember_secret(getattr(client, "api_key", None))
        remember_secrets(getattr(request, "headers", None))
        span.record_exception(error)
        span.set_attribute(semconv.HTTP_STATUS, getattr(error, "status_code", None))
        span.set_attribute(semconv.REQUEST_ID, attempt(_request_id, error, default=None))
        span.set_attribute(semconv.ERROR_CODE, getattr(error, "code", None))
        if request is not None:
            self.retries = self.retries or attempt(int, request.headers.get("x-stainless-retry-count"), default=0)
        if self.retries:
            span.set_attribute(semconv.HTTP_RESEND_COUNT, self.retries)
        content = getattr(self.response, "_content", None)
        if content is not None:
            # The answer came, was billed, and could not be parsed.
            span.defer(partial(_read_answer, self, self.response, content))
        span.end()

    def _watch(self, response: Any) -> None:
        span = self.span
        # Not the response itself: it must end when the program lets go of it.
        span.defer(partial(_read_head, self, response.status_code, response.headers))
        self.sent_headers = attempt(lambda: response.request.headers, default=None)
        self.response = None
        watch = ResponseWatch(
            response,
            span,
            self._stream_ended,
            readers=_READERS,
            describe=self._describe,
            keep=self.options["max_stream"],
            edit=self.edit,
        )
        span.abandon = watch.finish

    def _describe(self, error: BaseException) -> SpanEvent:
        remember_secrets(self.sent_headers)
        return exception_event(error)

    def _stream_ended(self, watch: ResponseWatch) -> None:
        span = self.span
        span.defer(partial(_read_stream, self, watch))


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
    settings = call.options
    recording = Recording(span, endpoint, settings, options)
    span.defer(_request(call, options, endpoint, settings).describe)
    if settings["inject_stream_usage"]:
        recording.edit = _inject_usage(call, options, endpoint)
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


def _inject_usage(call: Call, options: Any, endpoint: Endpoint) -> UsageFilter | None:
    changed = with_usage(options) if endpoint.operation in ("chat", "text_completion") else None
    if changed is None or endpoint.api == "responses":
        return None
    if len(call.args) > 1:
        call.args = (call.args[0], changed, *call.args[2:])
    else:
        call.kwargs = {**call.kwargs, "options": changed}
    return UsageFilter()


def _request_id(error: Any) -> str | None:
    request_id: str | None = error.response.headers.get("x-request-id")  # `error.request_id` came after 1.3
    return request_id


def _response_of(result: Any) -> Any:
    """Return the HTTP response of a result, for versions whose `_process_response` is not there to see it."""
    return getattr(result, "http_response", None) or getattr(result, "response", None)


# --- on the worker ---------------------------------------------------------------------------------------


def _read_head(recording: Recording, status: int, headers: Any, span: Span) -> None:
    span.set_attribute(semconv.HTTP_STATUS, status)
    span.set_attribute(semconv.REQUEST_ID, headers.get("x-request-id") or headers.get("apim-request-id"))
    if recording.retries:
        span.set_attribute(semconv.HTTP_RESEND_COUNT, recording.retries)


def _read_answer(recording: Recording, response: Any, content: bytes, span: Span) -> None:
    _read_head(recording, response.status_code, response.headers, span)
    _read_body(recording, content, response.headers.get("content-type", ""), span)
    tokens = span.usage.output_tokens if span.usage else None
    if tokens and span.duration_ns:
        span.set_attribute(semconv.TOKENS_PER_SECOND, round(tokens / (span.duration_ns / 1e9), 3))


def _read_body(recording: Recording, content: bytes, kind: str, span: Span) -> None:
    endpoint = recording.endpoint
    body = attempt(_loads, content, default=None)
    if isinstance(body, dict):
        _read_answer_body(recording, body, span)
    elif _is_event_stream(content):
        _read_answer_body(recording, endpoint.merge(list(merge.events(content))), span)
    elif endpoint.is_media:
        span.set_outputs(_media(content, kind))
    elif body is not None:
        span.set_outputs(body)
    elif content:
        # Plain transcripts and subtitles; or a proxy's page in place of an answer.
        span.set_outputs({"text": content.decode("utf-8", "replace")})


def _read_answer_body(recording: Recording, body: dict[str, Any], span: Span) -> None:
    if not recording.options["capture_user"]:
        body = dict(body)
        take_user(body)
    recording.endpoint.read(span, without_credentials(body), recording.options)


def _is_event_stream(content: bytes) -> bool:
    return content.lstrip()[:6].startswith((b"data:", b"event:", b":", b"id:", b"retry:"))


def _loads(content: bytes) -> Any:
    import orjson

    return orjson.loads(content)


def _media(content: bytes, kind: str) -> dict[str, Any]:
    return capture.media(content, kind.partition(";")[0] or None)


def _read_stream(recording: Recording, watch: ResponseWatch, span: Span) -> None:
    content = watch.body
    if watch.dropped:
        span.set_attribute(semconv.STREAM_DROPPED_BYTES, watch.dropped)
    if watch.consumer_error is not None:
        span.set_attribute(semconv.STREAM_CONSUMER_ERROR, watch.consumer_error)
    if not _is_event_stream(content):
        _read_whole(recording, watch, content, span)
        return
    found = list(merge.events(content))
    body = recording.endpoint.merge([event for event in found if not _is_error(event)])
    error = merge.error_of(found)
    if error is not None:
        remember_secrets(recording.sent_headers)
    completed = error is None and watch.failure is None and (watch.exhausted or merge.is_done(content))
    span.set_attribute(semconv.STREAM_COMPLETED, completed or _is_terminal(found))
    _read_answer_body(recording, body, span)
    if error is not None:
        span.set_attribute(semconv.ERROR_CODE, error.get("code"))
        read.fail(span, error.get("code") or error.get("type") or "error", error.get("message") or "")
    _read_times(watch, found, span)


def _read_whole(recording: Recording, watch: ResponseWatch, content: bytes, span: Span) -> None:
    """Read an answer that is no stream of events, and that the program read piece by piece."""
    span.set_attribute(semconv.STREAM_COMPLETED, watch.exhausted)
    if recording.endpoint.is_media:
        described = _media(content, "") if not watch.dropped else {"media": {}}
        described["media"]["bytes"] = watch.size
        span.set_outputs(described)
    elif content:
        _read_body(recording, content, "", span)
    if watch.times_ns:
        span.set_attribute(semconv.RESPONSE_TIME_TO_FIRST_CHUNK, (watch.times_ns[0] - span.start_time_ns) / 1e9)


def _is_error(event: merge.Event) -> bool:
    return bool(event.data.get("error")) and event.data.get("object") != "response" and "choices" not in event.data


def _is_terminal(found: list[merge.Event]) -> bool:
    return bool(found) and str(found[-1].data.get("type", "")).endswith((".completed", ".incomplete", ".done"))


def _read_times(watch: ResponseWatch, found: list[merge.Event], span: Span) -> None:
    if not watch.times_ns:
        return
    span.set_attribute(semconv.RESPONSE_TIME_TO_FIRST_CHUNK, (watch.times_ns[0] - span.start_time_ns) / 1e9)
    first = next((event for event in found if merge.is_content(event)), None)
    if first is None:
        return
    arrived = _time_of(watch, first.end)
    span.add_event(semconv.FIRST_TOKEN_EVENT, timestamp=arrived)
    tokens = span.usage.output_tokens if span.usage else None
    if tokens and watch.last_ns and watch.last_ns > arrived:
        span.set_attribute(semconv.TOKENS_PER_SECOND, round(tokens / ((watch.last_ns - arrived) / 1e9), 3))


def _time_of(watch: ResponseWatch, offset: int) -> int:
    """Return when the byte before `offset` arrived."""
    seen = 0
    for piece, time_ns in zip(watch.pieces, watch.times_ns, strict=False):
        seen += len(piece)
        if seen >= offset:
            return time_ns
    return watch.times_ns[-1]
