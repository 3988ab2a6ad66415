"""Requests to the server, and what is said where one fails."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from autolog import capture, errors
from autolog.context import suppress
from autolog.errors import AutologError, InvalidSetting, StoreError, Unavailable
from autolog.fork import call_in_child
from autolog.guard import attempt
from autolog.redact import redact_keys, remember_secret
from autolog.stores import compression

if TYPE_CHECKING:
    import urllib3

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 30.0
_CONNECTIONS = 4
_LONGEST_REASON = 300
_HEADERS: Mapping[str, str] = {"User-Agent": "autolog", "Accept-Encoding": "gzip"}
# What may go well another time: too slow, too busy, or not there for the moment.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_UNKNOWN = frozenset({404, 405})
_MISSING = "a store at a URL needs urllib3: pip install 'autolog-tracing[remote]'"


class Away(StoreError):
    """The server can't be reached, or has no time; another attempt may go well."""

    def __init__(self, message: str, wait: float | None = None, *, is_broken: bool = False) -> None:
        super().__init__(message)
        self.wait = wait
        """Seconds after which it wants to be asked again."""
        self.is_broken = is_broken
        """Whether it failed inside itself, perhaps over just this request."""


class Refused(StoreError):
    """The server does not take this, and never will."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is."""

    url: str
    """Without a slash at its end."""
    host: str


def address_of(given: str) -> Address:
    """Return a store's URL as it is used; raise `InvalidSetting` for one that can't be, `Unavailable` without urllib3."""
    shown = redact_keys(given)
    try:
        parts = urlsplit(given)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidSetting(f"{shown!r} is not a URL such as http://localhost:4321: {error}") from None
    if not host or parts.query or parts.fragment:
        raise InvalidSetting(f"a store's URL is a server's address such as http://localhost:4321, not {shown!r}")
    if parts.username is not None or parts.password is not None:
        raise InvalidSetting(
            "a store's URL has no user and password; AUTOLOG_TOKEN has the token that the server asks for"
        )
    if importlib.util.find_spec("urllib3") is None:
        raise Unavailable(_MISSING)
    return Address(given.strip().rstrip("/"), host)


class Connection:
    """Asks one server. Safe to use from any thread; nothing of it is traced."""

    def __init__(self, address: Address, token: str | None) -> None:
        self.address = address
        self._token = token
        remember_secret(token)
        self._pool: urllib3.PoolManager | None = None
        call_in_child(self._begin_anew)

    def _begin_anew(self) -> None:
        self._pool = None  # its connections are the parent's

    def close(self) -> None:
        """Close connections; the next request opens new ones."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.clear()

    def send(self, data: bytes, media_type: str, path: str, seconds: float | None = None) -> None:
        """Hand over what `compress` returned; raise `Away` where another attempt may go well, else `Refused`."""
        headers = {"Content-Type": media_type, "Content-Encoding": "zstd"}
        self._request("POST", path, data, headers, seconds)

    def call(self, path: str, arguments: Mapping[str, Any]) -> Any:
        """Ask for something; return what is answered in JSON. Raises what the server raised, else `StoreError`."""
        data = compression.compress(capture.json_bytes(arguments))
        answer = self._request(
            "POST", path, data, {"Content-Type": "application/json", "Content-Encoding": "zstd"}, None
        )
        try:
            return json.loads(answer)
        except ValueError:
            raise Refused(f"{self.address.url} does not answer as an autolog server does; is it one?") from None

    def _request(self, method: str, path: str, data: bytes, headers: Mapping[str, str], seconds: float | None) -> bytes:
        import urllib3

        given = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        longest = _READ_SECONDS if seconds is None else min(max(seconds, 0.1), _READ_SECONDS)
        timeout = urllib3.Timeout(connect=min(longest, _CONNECT_SECONDS), read=longest)

        def ask() -> urllib3.BaseHTTPResponse:
            return self._opened().request(
                method, f"{self.address.url}/{path}", body=data, headers={**_HEADERS, **headers, **given}, timeout=timeout,
                retries=False, redirect=False,
            )  # fmt: skip

        try:
            with suppress():
                try:
                    response = ask()
                except urllib3.exceptions.ProtocolError:
                    # A connection that was kept may be closed by the server at any moment. Asking twice changes nothing.
                    response = ask()
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error, longest) from error
        if response.status < 300:
            return response.data
        raise self._failed(response)

    def _opened(self) -> urllib3.PoolManager:
        if self._pool is None:
            import urllib3

            proxy = _proxy_of(self.address)
            self._pool = (
                urllib3.PoolManager(maxsize=_CONNECTIONS)
                if proxy is None
                else urllib3.ProxyManager(proxy, maxsize=_CONNECTIONS)
            )
        return self._pool

    def _unreachable(self, error: Exception, seconds: float) -> StoreError:
        import urllib3.exceptions as known

        reason = getattr(error, "reason", None) or error
        url = self.address.url
        if isinstance(reason, known.SSLError):
            return Away(
                f"{url} has a certificate that is not trusted ({_said(reason)}). SSL_CERT_FILE names others to trust."
            )
        if isinstance(reason, known.TimeoutError) and not isinstance(reason, known.NewConnectionError):
            return Away(f"{url} did not answer within {seconds:.0f} s.")
        return Away(f"no server answers at {url} ({_said(reason)}). Start one with `autolog ui`, or set AUTOLOG_STORE.")

    def _failed(self, response: urllib3.BaseHTTPResponse) -> AutologError:
        status, url = response.status, self.address.url
        told = attempt(json.loads, response.data, default=None)
        told = told if isinstance(told, dict) else {}
        said = redact_keys(str(told.get("message") or told.get("detail") or ""))[:_LONGEST_REASON]
        if status in (401, 403):
            given = "another token than this" if self._token else "a token"
            return Refused(
                f"{url} wants {given} ({status}{': ' + said if said else ''}). AUTOLOG_TOKEN is where it is set."
            )
        if 300 <= status < 400:
            place = redact_keys(str(response.headers.get("location")))
            return Refused(f"{url} sends to {place}. Set AUTOLOG_STORE to the address of the server itself.")
        if status in _PASSING:
            wait = attempt(lambda: float(response.headers["retry-after"]), default=None)
            return Away(f"{url} failed ({status}{': ' + said if said else ''}).", wait, is_broken=status == 500)
        kind = getattr(errors, str(told.get("error")), None)
        if isinstance(kind, type) and issubclass(kind, AutologError):
            return kind(said) if kind is not StoreError else Refused(said)
        if status in _UNKNOWN:
            return Refused(f"{url} does not know this request ({status}): it is no autolog server, or an older one.")
        return Refused(f"{url} refused this ({status}{': ' + said if said else ''}).")


def _said(error: object) -> str:
    text = str(error).rpartition(": ")[2] or type(error).__name__
    return redact_keys(text)[:_LONGEST_REASON]


def _proxy_of(address: Address) -> str | None:
    """Return the proxy that the environment names for this address, as for all of Python's programs."""
    from urllib.request import getproxies, proxy_bypass

    proxy = getproxies().get(urlsplit(address.url).scheme)
    return None if proxy is None or proxy_bypass(address.host) else proxy
