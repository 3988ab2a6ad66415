"""Run the server: find a port, listen, and end when told to, without leaving anybody waiting."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import uvicorn
from anyio import to_thread

from autolog.errors import InvalidSetting, StoreError
from autolog.server.access import Token
from autolog.server.app import create_app
from autolog.server.security import is_loopback

if TYPE_CHECKING:
    from fastapi import FastAPI

    from autolog.client import Client

PORT = 4321
_TIDY_EVERY = 1.0
_GRACE = 5
"""Seconds that a request may take still when the server is told to end."""
_LONGEST_ADDRESS = 1_000_000
"""Bytes of a request's first line and headers: an export may name thousands of traces."""


def serve(
    client: Client,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    tokens: Iterable[Token] = (),
    allow_hosts: Iterable[str] = (),
    no_auth: bool = False,
    open_browser: bool = False,
    on_listening: Callable[[str], object] | None = None,
) -> None:
    """Serve the client's store until the process is told to end; port 0 is any free one.

    `on_listening` is called with the page's address once it answers, and the browser opened where that is asked for. The
    client is closed at the end. Raises `InvalidSetting` where the address can't be listened at, and where others than
    this machine reach it, there are no tokens, and `no_auth` does not say that this is meant.
    """
    tokens = tuple(tokens)
    if not is_loopback(host) and not tokens and not no_auth:
        raise InvalidSetting(
            f"whoever reaches {host} could read and delete every trace: give tokens (--read-token, --write-token, "
            "--token-file), or say --no-auth if that is meant"
        )
    app = create_app(client, tokens=tokens, host=host, allow_hosts=allow_hosts)
    with listening(host, port) as bound:
        _refuse_itself(client.location, bound)

        def told() -> None:
            address = address_of(host, bound)
            if on_listening is not None:
                on_listening(address)
            if open_browser:
                page = f"{address}{_login(tokens)}"
                # Some browsers are waited for, and they wait for the page.
                threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()

        try:
            with suppress(KeyboardInterrupt), _terminated_as_interrupted():
                Server(app, told).run(sockets=[bound])
        finally:
            client.close()


def _login(tokens: Sequence[Token]) -> str:
    """Return what stands behind the page's address for the one that starts the server: they may do what any token may."""
    best = sorted(
        (one for one in tokens if one.may != "send"), key=lambda one: (one.may != "write", one.experiment or "")
    )
    return f"?token={quote(best[0].secret)}" if best else ""


def _refuse_itself(location: str, bound: socket.socket) -> None:
    """Raise `InvalidSetting` where the store that is to be served is this very server."""
    there = urlsplit(location)
    port = {"http": 80, "https": 443}.get(there.scheme)
    if port is not None and is_loopback(there.hostname or "") and (there.port or port) == bound.getsockname()[1]:
        raise InvalidSetting(
            f"the store that is to be served is {location}, which would be this server; name the file that it is to keep "
            "traces in: --store traces.db, or AUTOLOG_STORE"
        )


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Have SIGTERM do as Ctrl-C: uvicorn raises again what ended it, which would end the process before we are done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Server(uvicorn.Server):
    """uvicorn's, which ends streams that would last for ever when it is told to end."""

    def __init__(self, app: FastAPI, on_listening: Callable[[], object] = lambda: None) -> None:
        super().__init__(
            uvicorn.Config(
                app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=_GRACE,
                h11_max_incomplete_event_size=_LONGEST_ADDRESS, lifespan="off", http="h11", ws="none", loop="asyncio",
            )
        )  # fmt: skip
        self._changes = app.state.changes
        self._client = app.state.client
        self._tidying: asyncio.Task[None] | None = None
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._tidying = asyncio.create_task(_tidy(self._client))
        self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was asked, and end."""
        if self._tidying is not None:
            self._tidying.cancel()
        self._changes.close()
        await super().shutdown(sockets)


async def _tidy(client: Client) -> None:
    """Index what was sent here while nobody asks: the worker that does it elsewhere is only there for own spans."""
    while True:
        await asyncio.sleep(_TIDY_EVERY)
        with suppress(StoreError):
            while await to_thread.run_sync(client._store.tidy):
                pass


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that is bound there; raise `InvalidSetting` that says what to do where that can't be."""
    if not 0 <= port <= 65_535:
        raise InvalidSetting(f"a port is a number from 0 to 65535, not {port}")
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # With the protocol named: only then asyncio turns off Nagle's algorithm, which holds each answer back for 40 ms.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise InvalidSetting(f"{host!r} is no address of this machine: {error.strerror or error}") from None
    try:
        if sys.platform != "win32":  # where it would let two servers have one port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(where)
    except OSError as error:
        bound.close()
        raise InvalidSetting(_unbound(host, port, error)) from None
    return bound


def _unbound(host: str, port: int, error: OSError) -> str:
    reasons: dict[Any, str] = {
        errno.EADDRINUSE: f"port {port} is in use, maybe by another autolog ui; choose another one, or --port 0 for any",
        errno.EACCES: f"port {port} needs privileges that this user has not; choose one above 1023",
        errno.EADDRNOTAVAIL: f"{host!r} is no address of this machine",
    }
    return reasons.get(error.errno, f"{host}:{port} can't be listened at: {error.strerror or error}")


_ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104


def address_of(host: str, bound: socket.socket) -> str:
    """Return the page's address, for a browser of this machine."""
    port = bound.getsockname()[1]
    name = _ANY.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}/"
