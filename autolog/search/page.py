"""Pages of a result: a list that knows where the next one begins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from autolog.errors import InvalidQuery
from autolog.guard import guarded

T = TypeVar("T")

Place = tuple[int | float | str | None, ...]
"""Where a page ended: what its last trace was sorted by, and a number of the store's own that tells it from all others."""
_CHECK = 6
_LONGEST = 100_000


class PagedList(list[T]):
    """A list of results. `token` gets the next ones, from the same search; it is `None` where there are no more."""

    def __init__(self, found: Iterable[T] = (), token: str | None = None) -> None:
        super().__init__(found)
        self.token = token

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Return what a notebook shows of a list of traces: a table."""
        from autolog.model.trace import Trace, TraceInfo
        from autolog.viewer.table import mimebundle

        with guarded:
            if all(isinstance(one, (Trace, TraceInfo)) for one in self):
                return mimebundle(self, has_more=self.token is not None)
        return {}

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        # IPython has a way of its own to print lists, which goes before what is above.
        printer.text(repr(self) if cycle else self._repr_mimebundle_().get("text/plain") or repr(self))


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a page token says."""

    search: str
    """A digest of the search that it belongs to."""
    now_ns: int
    """What `now()` means in all pages of one search."""
    place: Place

    def token(self) -> str:
        """Return it as text, for a user to hand back."""
        import base64
        import json

        body = json.dumps([self.search, self.now_ns, *self.place]).encode()
        return base64.urlsafe_b64encode(_check(body) + body).decode()

    @classmethod
    def of(cls, token: str) -> Cursor:
        """Read a token; raise `InvalidQuery` where it is none."""
        import base64
        import binascii
        import json

        damaged = InvalidQuery("page_token is not what `token` of the page before was; leave it out for the first page")
        if not isinstance(token, str) or len(token) > _LONGEST:
            raise damaged
        try:
            raw = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
            search, now, *place = json.loads(raw[_CHECK:])
        except (ValueError, TypeError, RecursionError, binascii.Error):
            raise damaged from None
        if _check(raw[_CHECK:]) != raw[:_CHECK] or not _is_sound(search, now, place):
            raise damaged
        return cls(search, now, tuple(place))


def digest(parts: Sequence[Any]) -> str:
    """Return what tells one search from another."""
    import hashlib

    return hashlib.blake2b(repr(parts).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def _check(body: bytes) -> bytes:
    import hashlib

    return hashlib.blake2b(body, digest_size=_CHECK).digest()


def _is_sound(search: object, now: object, place: Sequence[object]) -> bool:
    numbers = [value for value in (now, *place) if not isinstance(value, (str, float)) and value is not None]
    return (
        isinstance(search, str)
        and isinstance(now, int)
        and len(place) > 1
        and all(isinstance(value, int) and abs(value) < 2**63 for value in numbers)
    )
