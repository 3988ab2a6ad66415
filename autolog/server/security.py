"""What every request passes first: is it for us, from whom, may they, and is it small enough; and what every answer says.

A server on localhost is reached by every page that its user opens. Pages of others may send requests, and read no answer
without our leave, which nobody has; here it is seen to that they change nothing (Origin, content type), and that they do
not become pages of ours by giving our address a name of theirs (Host).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autolog.context import suppress
from autolog.server.access import NOTHING, Access, Right, Tokens

MOST_BYTES = 10_000_000
"""Bytes of a request; what takes traces has limits of its own."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_SENDING = frozenset({"/v1/traces", "/api/spans"})
_PUBLIC = frozenset({"/api/health", "/api/session"})
"""What tells nothing of traces, as the page without any, which asks for a token."""
# What a page of others can send without asking first.
_UNASKED = frozenset({"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"})

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Hosts:
    """The names that the server goes by. Of others, a page somewhere may have made one of its own."""

    def __init__(self, bound: str = "127.0.0.1", allowed: Iterable[str] = ()) -> None:
        self.allowed = frozenset(name.lower().strip("[]") for name in allowed)
        names = {"localhost", "127.0.0.1", "::1", bound.lower().strip("[]")}
        if not is_loopback(bound):
            names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        self._names = frozenset(names)
        # An address is no name: nobody can have it point elsewhere later.
        self._any_address = not is_loopback(bound)

    def has(self, host: str) -> bool:
        """Whether `host`, as a request names it, is the server."""
        name = name_of(host)
        return name in self._names or (self._any_address and _is_address(name)) or self.has_allowed(name)

    def has_allowed(self, name: str) -> bool:
        """Whether the server's owner said that it goes by this name."""
        return "*" in self.allowed or name in self.allowed or f"*.{name.partition('.')[2]}" in self.allowed


def name_of(host: str) -> str:
    """Return the name in a `Host` header, without the port."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    return host.lower() == "localhost" or (
        _is_address(host.strip("[]")) and ipaddress.ip_address(host.strip("[]")).is_loopback
    )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered."""

    status: int
    error: str
    message: str
    headers: Mapping[str, str] | None = None

    def response(self) -> Response:
        """Return the answer that says so."""
        return JSONResponse({"error": self.error, "message": self.message}, self.status, dict(self.headers or {}))


class Guard:
    """The application, behind all of this."""

    def __init__(self, app: ASGIApp, tokens: Tokens, hosts: Hosts) -> None:
        self._app = app
        self._tokens = tokens
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        path = path_of(scope)
        answer = _with_headers(send, path)
        headers = Headers(scope=scope)
        access = self._tokens.of_request(headers)
        refusal = self._refusal(scope["method"], path, headers, access)
        if refusal is not None:
            await refusal.response()(scope, receive, answer)
            return
        scope.setdefault("state", {})["access"] = access or NOTHING
        with suppress():  # looking at traces makes none
            await self._app(scope, receive if path in _SENDING else _limited(receive), answer)

    def _refusal(self, method: str, path: str, headers: Headers, access: Access | None) -> Refusal | None:
        host = headers.get("host", "")
        if not self._hosts.has(host):
            return Refusal(
                403, "UnknownHost",
                f"this server does not go by the name {name_of(host)[:200]!r}; --allow-host lets it go by that name",
            )  # fmt: skip
        if _length(headers) > MOST_BYTES and path not in _SENDING:
            return _TOO_LARGE
        # Reading too: how long an answer takes would tell a page of others what is in the traces.
        if (
            not (_is_page(path) and method in _SAFE)
            and not _is_of_page(headers, self._hosts)
            and not _has_token(headers)
        ):
            return Refusal(403, "OtherOrigin", "a page of another origin can't ask or change anything here")
        is_change = method not in _SAFE and path.startswith("/api/")
        if is_change and _has_body(headers) and _content_type(headers) in _UNASKED:
            return Refusal(415, "UnknownContent", "a body is JSON, and says so: Content-Type: application/json")
        return self._denial(method, path, access)

    @staticmethod
    def _denial(method: str, path: str, access: Access | None) -> Refusal | None:
        if access is None:
            return Refusal(401, "UnknownToken", "this token is not known here", {"WWW-Authenticate": "Bearer"})
        needed = _needed(method, path)
        if needed is None or needed in access.rights:
            return None
        if not access.rights:
            return Refusal(
                401, "TokenNeeded",
                "a token is needed: as Authorization: Bearer …, or once as ?token=… in the page's address",
                {"WWW-Authenticate": "Bearer"},
            )  # fmt: skip
        return Refusal(403, "NotAllowed", f"this token does not allow to {needed.value}")


_TOO_LARGE = Refusal(
    413, "TooLarge", f"a request has at most {MOST_BYTES:,} bytes; ask for less at once",
    {"Connection": "close"},  # or the rest of it would be read all the same
)  # fmt: skip


def path_of(scope: Scope) -> str:
    """Return the path below the one that the application is mounted at."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"


_STORE = "/api/store/"
# A program whose store is this server asks for everything by POST.
_OF_STORE: Mapping[str, Right] = {
    **dict.fromkeys(
        ("get_trace", "get_outline", "get_span", "search", "count", "version", "get_run", "list_runs",
         "list_experiments", "statistics", "details", "sessions", "values", "summarize_experiments", "summarize_runs",
         "get_dataset", "list_datasets", "list_records"),
        Right.READ,
    ),
    "put_run": Right.SEND,
}  # fmt: skip


def _needed(method: str, path: str) -> Right | None:
    """Return what a request needs; whatever is not known to need less needs the most."""
    if path in _PUBLIC or _is_page(path):
        return None
    if path in _SENDING:
        return Right.SEND
    if path.startswith(_STORE):
        return _OF_STORE.get(path.removeprefix(_STORE), Right.WRITE)
    return Right.READ if method in _SAFE else Right.WRITE


def _is_page(path: str) -> bool:
    return path == "/" or path.startswith("/static/")


def _has_token(headers: Headers) -> bool:
    """Whether there is a token that no browser adds by itself, as it does with a proxy's password."""
    return headers.get("authorization", "").lower().startswith("bearer ")


def _is_of_page(headers: Headers, hosts: Hosts) -> bool:
    """Whether a request may be of our own page, or of no page at all: browsers say which page it is of."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        there = urlsplit(origin)
        name = there.hostname
    except ValueError:
        return False
    # A proxy may have put a name of its own into Host.
    return name is not None and (there.netloc.lower() == headers.get("host", "").lower() or name in hosts.allowed)


def _length(headers: Headers) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip("0") != ""


def _content_type(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _limited(receive: Receive) -> Receive:
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MOST_BYTES:
            raise HTTPException(_TOO_LARGE.status, _TOO_LARGE.message, _TOO_LARGE.headers)
        return message

    return limited


def _with_headers(send: Send, path: str) -> Send:
    is_page = _is_page(path)

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("Content-Security-Policy", _PAGE_POLICY if is_page else _DATA_POLICY)
            headers.setdefault("Cache-Control", "no-cache" if is_page else "no-store")
        await send(message)

    return sent
