"""One call while it runs: joins what the observers see of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from autolog import Span, semconv
from autolog.guard import attempt
from autolog.instrumentation import ResponseWatch
from autolog.model.span import SpanEvent, exception_event
from autolog.redact import remember_secret
from autolog_openai.answer import read_answer, read_head, read_stream
from autolog_openai.endpoints import Endpoint
from autolog_openai.inject import UsageFilter
from autolog_openai.scrub import remember_secrets

# The SDK's modules that read streams.
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
        self.request = None
        response = self.response if self.response is not None else _response_of(result)
        if response is None:
            self.span.end()
            return
        content = getattr(response, "_content", None)
        if content is None:
            self._watch(response)
            return
        self._defer_reading(response, content)
        self.span.end()

    def fail(self, error: BaseException, client: Any) -> None:
        """Note the exception, and what the server had answered already."""
        self.request = None
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
            self._defer_reading(self.response, content)
        span.end()

    def _defer_reading(self, response: Any, content: bytes) -> None:
        # Not the response itself: it holds the request as it was sent, body and all, until the worker has read it.
        self.response = None
        self.span.defer(partial(read_answer, self, response.status_code, response.headers, content))

    def _watch(self, response: Any) -> None:
        span = self.span
        # Not the response itself: it must end when the program lets go of it.
        span.defer(partial(read_head, self, response.status_code, response.headers))
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
        span.defer(partial(read_stream, self, watch))


def _request_id(error: Any) -> str | None:
    request_id: str | None = error.response.headers.get("x-request-id")  # `error.request_id` came after 1.3
    return request_id


def _response_of(result: Any) -> Any:
    """Return the HTTP response of a result, for versions whose `_process_response` is not there to see it."""
    return getattr(result, "http_response", None) or getattr(result, "response", None)
