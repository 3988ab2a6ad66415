"""Who may do what: tokens, and what each of them allows."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from autolog.errors import InvalidSetting

SHORTEST = 16
"""Characters of a token: what is shorter can be guessed."""


class Right(Enum):
    """What a request needs."""

    READ = "read"
    """To see traces."""
    SEND = "send"
    """To hand in traces, and to see none."""
    WRITE = "write"
    """To change and delete traces."""


_ALL = frozenset(Right)
_RIGHTS: Mapping[str, frozenset[Right]] = {
    "read": frozenset({Right.READ}),
    "send": frozenset({Right.SEND}),
    "write": _ALL,
}


@dataclass(frozen=True, slots=True)
class Access:
    """What somebody may do, where, and who that is."""

    rights: frozenset[Right] = frozenset()
    experiment: str | None = None
    """The one experiment that there is for them, or `None` for all."""
    name: str | None = None


EVERYTHING = Access(_ALL)
NOTHING = Access()


@dataclass(frozen=True, slots=True)
class Token:
    """A secret, and what it allows. Written as `read:SECRET`, `send:SECRET:experiment` or `ada=write:SECRET`."""

    secret: str = field(repr=False)
    may: str
    """`read`, `send`, or `write`, which allows all three."""
    experiment: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if self.may not in _RIGHTS:
            raise InvalidSetting(f"a token is for {', '.join(_RIGHTS)}, not for {self.may!r}")
        if not _SECRET.fullmatch(self.secret) or len(self.secret) < SHORTEST:
            raise InvalidSetting(
                f"a token has {SHORTEST} letters, digits and signs of -._~+/ or more; make one: "
                'python -c "import secrets; print(secrets.token_urlsafe())"'
            )

    @property
    def access(self) -> Access:
        """What it allows."""
        return Access(_RIGHTS[self.may], self.experiment, self.name)


_SECRET = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_WRITTEN = re.compile(r"(?:(?P<name>[^=:\s]+)=)?(?P<may>\w+):(?P<secret>[^:\s]*)(?::(?P<experiment>.+))?")


def parse_tokens(text: str) -> list[Token]:
    """Read tokens, a line each, or separated by semicolons; what follows a # is a comment. Raises `InvalidSetting`."""
    lines = [line.partition("#")[0].strip() for part in text.splitlines() for line in part.split(";")]
    return [_token(line) for line in lines if line]


def _token(line: str) -> Token:
    written = _WRITTEN.fullmatch(line)
    if written is None:
        # Without the line itself: it has a secret in it.
        raise InvalidSetting(
            "a token is written as read:SECRET, send:SECRET or write:SECRET; with :EXPERIMENT behind it for one "
            "experiment, with NAME= before it for a person's name"
        )
    return Token(written["secret"], written["may"], written["experiment"], written["name"])


def read_tokens(path: str | Path) -> list[Token]:
    """Read the tokens of a file; raise `InvalidSetting` where it can't be read."""
    try:
        return parse_tokens(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"the tokens of {path} can't be read: {error}") from None


def tokens_of_environment() -> list[Token]:
    """Return the tokens of `AUTOLOG_SERVER_TOKENS`: a command line's would be seen by everybody on the machine."""
    return parse_tokens(os.environ.get("AUTOLOG_SERVER_TOKENS", ""))


class Tokens:
    """The tokens of a server; without any, everybody may do everything."""

    def __init__(self, tokens: Iterable[Token] = ()) -> None:
        self._tokens = tuple(tokens)
        secrets = [token.secret for token in self._tokens]
        if len(set(secrets)) < len(secrets):
            raise InvalidSetting("two tokens are the same")
        self._by_secret = [(_digest(token.secret), token.access) for token in self._tokens]
        self._by_cookie = [(_digest(cookie_of(token.secret)), token.access) for token in self._tokens]
        # Servers at other ports of this host get the same cookies.
        self.cookie = f"autolog-{_digest(' '.join(secrets)).hex()[:8]}"

    def __bool__(self) -> bool:
        return bool(self._tokens)

    def of_secret(self, secret: str) -> Access | None:
        """Return what a secret allows, or `None` for an unknown one; how long that takes tells nothing."""
        return _found(secret, self._by_secret)

    def of_request(self, headers: Headers) -> Access | None:
        """Return what a request's token or cookie allows; `NOTHING` without one, `None` for an unknown token."""
        if not self._tokens:
            return EVERYTHING
        kind, _, secret = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":  # others are for a proxy on the way
            return self.of_secret(secret.strip())
        cookie = cookie_parser(headers.get("cookie", "")).get(self.cookie, "")
        return _found(cookie, self._by_cookie) or NOTHING


def cookie_of(secret: str) -> str:
    """Return what a browser keeps of a token: it opens the page and nothing else."""
    return hmac.new(secret.encode(), b"autolog page", hashlib.sha256).hexdigest()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _found(given: str, known: Sequence[tuple[bytes, Access]]) -> Access | None:
    digest, found = _digest(given), None
    for one, access in known:
        if hmac.compare_digest(digest, one):
            found = access
    return found
