"""Go on with the caller's trace in a web service: middleware for ASGI and for WSGI, whichever framework is inside."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Generic, TypeVar

from opentelemetry.context import Context
from opentelemetry.trace import get_current_span

from autolog import semconv
from autolog.client import default_client
from autolog.context import _get_current, attach, come_back, enter
from autolog.guard import attempt, guarded
from autolog.model.span import Span, SpanType, Status, StatusCode
from autolog.model.unrecorded import NO_SPAN
from autolog.propagation import received
from autolog.texts import strings
from autolog.tracer import with_ambient

logger = logging.getLogger("autolog")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_METHOD, _PATH = "http.request.method", "url.path"


App = TypeVar("App")


class _Middleware(Generic[App]):
    def __init__(
        self,
        app: App,
        *,
        spans: bool = False,
        session: Callable[[Any], str | None] | None = None,
        user: Callable[[Any], str | None] | None = None,
        tags: Callable[[Any], Mapping[str, str] | None] | None = None,
    ) -> None:
        self._app = app
        self._spans = spans
        self._asks = {"session": session, "user": user, "tags": tags}
        self._complained: set[str] = set()

    def _arrive(self, headers: Any, request: Any, method: str, path: str) -> tuple[Context, Exchange | None]:
        """Return the context that a request is served in, and what becomes of the request's span, if it has one."""
        span = NO_SPAN
        token = enter(_remote(headers))
        with guarded:
            fields = {name: self._ask(name, ask, request) for name, ask in self._asks.items() if ask is not None}
            if fields:
                with_ambient(**fields)
            if self._spans:
                attributes = {_METHOD: method, _PATH: path}
                span = default_client().tracer.start_span(f"{method} {path}", SpanType.TASK, attributes=attributes)
            if span is not NO_SPAN:
                attach(span)
        return come_back(token), None if span is NO_SPAN else Exchange(span)

    def _ask(self, name: str, ask: Callable[[Any], Any], request: Any) -> Any:
        said = attempt(lambda: _given(ask(request), _READ[name]), default=_FAILED)
        if said is not _FAILED:
            return said
        if name not in self._complained:
            self._complained.add(name)
            logger.warning("the middleware's %s=%r failed on a request, which is traced without", name, ask)
        return None


def _given(said: Any, read: Callable[[Any], Any]) -> Any:
    return None if said is None else read(said)


_FAILED: Any = object()
_READ: Mapping[str, Callable[[Any], Any]] = {
    "session": str,
    "user": str,
    "tags": strings,
}


def _remote(headers: Any) -> Context:
    """Return the context of the caller, unless we are in its trace already: a server's own span is below the caller's."""
    current = _get_current()
    context = received(headers)
    if context is None:
        return current
    ids, remote = get_current_span(current).get_span_context(), get_current_span(context).get_span_context()
    return current if ids.is_valid and ids.trace_id == remote.trace_id else context


class Exchange:
    """A request and its response, as its span tells of them."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.status: int | None = None
        self.is_complete = False
        """Whether the whole response was sent."""
        self.has_left = False
        """Whether the client left before that."""

    @property
    def has_failed(self) -> bool:
        """Whether the response says so. Who sends that mostly raises the exception afterwards."""
        return self.status is not None and self.status >= 500

    def end(self, error: BaseException | None = None) -> None:
        """End the span, once; `error` is what the application raised."""
        span = self._span
        if not span.is_recording():
            return
        with guarded:
            span.set_attribute(semconv.HTTP_STATUS, self.status)
            if error is not None and not self.has_left:
                span.left_by(error)
            elif self.has_left:
                span.set_status(Status.CANCELLED)
            elif self.has_failed:
                span.set_status(Status(StatusCode.ERROR, f"HTTP {self.status}"))
            elif not self.is_complete:
                span.set_status(Status(StatusCode.ERROR, "the application did not complete its response"))
            span.end()


class AsgiMiddleware(_Middleware[AsgiApp]):
    """Serve each HTTP request of an ASGI application below the span whose `traceparent` it came with.

    `session`, `user` and `tags` are asked of each request's scope, for the traces that start in it. With `spans` each
    request makes a span, `POST /chat`, until its response is sent or the client leaves. Of the request its method and
    its path are recorded: no header, no query, no body. Other scopes pass through.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context, exchange = self._arrive(scope["headers"], scope, scope["method"], scope["path"])
        if exchange is not None:
            receive, send = _watched_receive(receive, exchange), _watched_send(send, exchange)
        token = enter(context)
        try:
            await self._app(scope, receive, send)
        except BaseException as error:
            if exchange is not None:
                exchange.end(error)
            raise
        finally:
            come_back(token)
        if exchange is not None:
            exchange.end()


def _watched_receive(receive: Receive, exchange: Exchange) -> Receive:
    async def watched() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect" and not exchange.is_complete:
            exchange.has_left = True
        return message

    return watched


def _watched_send(send: Send, exchange: Exchange) -> Send:
    async def watched(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
        elif message["type"] == "http.response.body":
            exchange.is_complete = not message.get("more_body", False)
        try:
            await send(message)
        except OSError:  # as ASGI has it, since 2.4: the client is not there
            exchange.has_left = True
            raise
        if exchange.is_complete and not exchange.has_failed:
            exchange.end()

    return watched


class WsgiMiddleware(_Middleware[WsgiApp]):
    """Serve each request of a WSGI application below the span whose `traceparent` it came with.

    `session`, `user` and `tags` are asked of each request's environment; the rest is as with `AsgiMiddleware`. What
    the application computes while its response is read from it counts as its work.
    """

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        path = str(environ.get("SCRIPT_NAME", "")) + str(environ.get("PATH_INFO", ""))
        path = attempt(_as_utf8, path, default=path)
        context, exchange = self._arrive(environ, environ, environ["REQUEST_METHOD"], path)
        if exchange is not None:
            start_response = _watched_start(start_response, exchange)
        elif context is _get_current():
            return self._app(environ, start_response)
        token = enter(context)
        try:
            body = self._app(environ, start_response)
        except BaseException as error:
            if exchange is not None:
                exchange.end(error)
            raise
        finally:
            context = come_back(token)
        # Servers send lists and files in ways of their own.
        file_wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(body, (list, tuple)) or (isinstance(file_wrapper, type) and isinstance(body, file_wrapper)):
            if exchange is not None:
                exchange.is_complete = True
                exchange.end()
            return body
        return Body(body, context, exchange)


def _as_utf8(text: str) -> str:
    """Return what WSGI, which knows Latin-1 only, hands over as such."""
    return text.encode("latin-1").decode("utf-8", "replace")


def _watched_start(start_response: Callable[..., Any], exchange: Exchange) -> Callable[..., Any]:
    def watched(status: str, *args: Any, **kwargs: Any) -> Any:
        exchange.status = attempt(lambda: int(status[:3]), default=None)
        return start_response(status, *args, **kwargs)

    return watched


class Body:
    """A response that is computed as it is read, in the context of its request, which nobody else is in meanwhile."""

    def __init__(self, body: Iterable[bytes], context: Context, exchange: Exchange | None) -> None:
        self._body = body
        self._context = context
        self._exchange = exchange
        self._pieces: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        token = enter(self._context)
        try:
            if self._pieces is None:
                self._pieces = iter(self._body)
            return next(self._pieces)
        except StopIteration:
            if self._exchange is not None:
                self._exchange.is_complete = True
            raise
        except BaseException as error:
            if self._exchange is not None:
                self._exchange.end(error)
            raise
        finally:
            self._context = come_back(token)

    def close(self) -> None:
        """Let the application clean up; called by the server, whatever became of the response."""
        token = enter(self._context)
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        except BaseException as error:
            if self._exchange is not None:
                self._exchange.end(error)
            raise
        finally:
            come_back(token)
        if self._exchange is not None:
            self._exchange.has_left = not self._exchange.is_complete and self._pieces is not None
            self._exchange.is_complete = True
            self._exchange.end()
