"""The bodies of requests, as they were before compression, and never larger than a limit: neither on the way nor unpacked."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from autolog.stores import compression

MOST_SENT = 64_000_000
"""Bytes of a body as it is sent."""
MOST_EXPANDED = 256_000_000
"""Bytes of a body once it is unpacked."""


class BodyError(Exception):
    """A body that can't be read; `status` is what it is answered with."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Body:
    """A body as it was sent."""

    sent: bytes | None
    """`None` where it is too large."""
    encoding: str

    def expanded(self) -> bytes:
        """Return it unpacked; raise `BodyError` for one that is too large, damaged, or packed in an unknown way."""
        if self.sent is None:
            raise BodyError(413, f"a request has at most {MOST_SENT:,} bytes; send less at once")
        read = _READERS.get(self.encoding)
        if read is None:
            raise BodyError(415, f"Content-Encoding {self.encoding[:40]!r} is not known; use {', '.join(_NAMED)}")
        try:
            data = read(self.sent, MOST_EXPANDED)
        except ValueError as error:
            raise BodyError(
                400, f"the body is not what its Content-Encoding, {self.encoding}, says: {error}"
            ) from error
        if len(data) > MOST_EXPANDED:
            raise BodyError(413, f"a request has at most {MOST_EXPANDED:,} bytes unpacked; send less at once")
        return data


async def _body(request: Request) -> Body:
    """Read a body, and no more of it than there is room for."""
    encoding = request.headers.get("content-encoding", "").strip().lower()
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_SENT:
            return Body(None, encoding)
        parts.append(part)
    return Body(b"".join(parts), encoding)


TheBody = Annotated[Body, Depends(_body)]


def _zlib(data: bytes, most: int) -> bytes:
    # 32 more than the window: gzip or zlib, whichever it begins as.
    reader = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        expanded = reader.decompress(data, most + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(expanded) <= most and not reader.eof:
        raise ValueError("it ends too early")
    return expanded


_READERS: Mapping[str, Callable[[bytes, int], bytes]] = {
    "": lambda data, _: data,
    "identity": lambda data, _: data,
    "gzip": _zlib,
    "deflate": _zlib,
    "zstd": compression.decompress_within,
}
_NAMED = ("gzip", "deflate", "zstd")
