"""Recorded traffic between OpenAI clients and servers: the cassettes of vcrpy below a folder, read without vcrpy."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

ROOT = Path(os.environ.get("AUTOLOG_CASSETTES") or Path(__file__).parents[3] / "shared" / "cassettes")
"""Where the cassettes lie: outside of the repository, since other projects recorded them."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_GZIP = b"\x1f\x8b"
# Nothing that is kept of these fits an answer that is decoded, or is of use without a connection.
_DROPPED_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection"})


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recorded request, and the answer to it."""

    place: str
    """The cassette's path and the number in it."""
    method: str
    url: str
    body: dict[str, Any] | None
    """The JSON that was sent, or `None` where there was no JSON."""
    status: int
    headers: dict[str, str]
    content: bytes
    """The answer as it came over the wire, compressed or not."""
    is_compressed: bool

    @property
    def path(self) -> str:
        """The path without the query."""
        return urlsplit(self.url).path

    @property
    def is_readable(self) -> bool:
        """Whether the answer is in an encoding that every client reads; brotli needs a package of its own."""
        return self.headers.get("content-encoding") in (None, "gzip")

    @property
    def text(self) -> str:
        """The answer, decompressed."""
        content = gzip.decompress(self.content) if self.is_compressed else self.content
        return content.decode("utf-8", "replace")


def projects() -> list[str]:
    """Return the owners of the repositories that the cassettes are from."""
    return sorted(path.name for path in ROOT.iterdir() if path.is_dir()) if ROOT.is_dir() else []


@cache
def exchanges(project: str) -> tuple[Exchange, ...]:
    """Read every cassette of a project."""
    files = sorted((ROOT / project).rglob("*.yaml")) + sorted((ROOT / project).rglob("*.yml"))
    return tuple(exchange for file in files for exchange in _read(file))


def _read(file: Path) -> Iterator[Exchange]:
    place = file.relative_to(ROOT).as_posix()
    for number, recorded in enumerate(yaml.load(file.read_bytes(), Loader=_Loader)["interactions"]):
        request, response = recorded["request"], recorded["response"]
        content = _bytes_of(response["body"])
        is_compressed = content.startswith(_GZIP)
        headers = {name.lower(): _first(value) for name, value in (response["headers"] or {}).items()}
        dropped = _DROPPED_HEADERS if _is_decoded(headers, content) else _DROPPED_HEADERS - {"content-encoding"}
        yield Exchange(
            place=f"{place}#{number}",
            method=request["method"].lower(),
            url=request["uri"],
            body=_json_of(_bytes_of(request["body"])),
            status=response["status"]["code"],
            headers={name: value for name, value in headers.items() if name not in dropped},
            content=content,
            is_compressed=is_compressed,
        )


def _is_decoded(headers: dict[str, str], content: bytes) -> bool:
    return headers.get("content-encoding") == "gzip" and not content.startswith(_GZIP)


def _bytes_of(body: Any) -> bytes:
    """Return a body in any form that vcrpy writes."""
    if isinstance(body, dict):
        if "base64_string" in body:
            return base64.b64decode(body["base64_string"])
        body = body.get("string")
    if body is None:
        return b""
    return body if isinstance(body, bytes) else str(body).encode()


def _first(value: Any) -> str:
    return str(value[0] if isinstance(value, list) else value)


def _json_of(content: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
