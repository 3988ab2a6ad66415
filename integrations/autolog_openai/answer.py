"""Read the body of an answer, whole or streamed, into the span. Runs on the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autolog import Span, capture, semconv
from autolog.guard import attempt
from autolog.instrumentation import ResponseWatch
from autolog_openai import merge, read
from autolog_openai.scrub import remember_secrets, take_user, without_credentials

if TYPE_CHECKING:
    from autolog_openai.recording import Recording


def read_head(recording: Recording, status: int, headers: Any, span: Span) -> None:
    """Read what is known before any of the body."""
    span.set_attribute(semconv.HTTP_STATUS, status)
    span.set_attribute(semconv.REQUEST_ID, headers.get("x-request-id") or headers.get("apim-request-id"))
    if recording.retries:
        span.set_attribute(semconv.HTTP_RESEND_COUNT, recording.retries)


def read_answer(recording: Recording, status: int, headers: Any, content: bytes, span: Span) -> None:
    """Read an answer whose body the SDK had read whole."""
    read_head(recording, status, headers, span)
    _read_body(recording, content, headers.get("content-type", ""), span)
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


def read_stream(recording: Recording, watch: ResponseWatch, span: Span) -> None:
    """Read what the program had read of a response when it ended."""
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
