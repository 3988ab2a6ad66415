"""What a cassette keeps of the traffic, where it lies, and how it is read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import vcr  # type: ignore[import-untyped]
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vcr.request import Request  # type: ignore[import-untyped]

RECORDED_URL = "http://127.0.0.1:8102/v1"
RECORDED_EMBEDDING_URL = "http://127.0.0.1:8103/v1"
"""The base URLs in every cassette, wherever the two servers listened when it was recorded."""

KEPT_REQUEST_HEADERS = frozenset({"accept", "content-type"})
KEPT_RESPONSE_HEADERS = frozenset({"content-type", "openai-processing-ms", "retry-after", "x-request-id"})


def keep_request(request: Request) -> Request:
    """Keep the headers that say what the body is: keys, cookies and the caller's machine are not for a repository."""
    request.headers = {name: value for name, value in request.headers.items() if name.lower() in KEPT_REQUEST_HEADERS}
    return request


def keep_response(response: dict[str, Any]) -> dict[str, Any]:
    """Keep the headers that a client reads."""
    headers = {name: value for name, value in response["headers"].items() if name.lower() in KEPT_RESPONSE_HEADERS}
    return {**response, "headers": headers}


# vcrpy compares two bodies as parsed JSON when both requests have kept their content-type. A wrong body fails here
# where matching by URL alone would hand out the answer to another question.
RECORDER = vcr.VCR(
    record_mode="none",
    match_on=("method", "scheme", "host", "port", "path", "query", "body"),
    decode_compressed_response=True,
    before_record_request=keep_request,
    before_record_response=keep_response,
)


def path_of(name: str) -> Path:
    """Return where the cassette of a scenario lies: those of OpenAI itself go by a plain name."""
    return Path(__file__).parent / f"{name if '/' in name else f'openai/{name}'}.yaml"


@dataclass(frozen=True, slots=True)
class Interaction:
    """One request and what came back, as a test wants to read it."""

    path: str
    request: dict[str, Any]
    status: int
    bodies: tuple[dict[str, Any], ...]
    """The JSON of the answer: one for a plain answer, one for each event of a stream."""

    @property
    def usage(self) -> dict[str, Any] | None:
        """The tokens that the server counted, or None where it sent no count."""
        for body in reversed(self.bodies):
            usage: dict[str, Any] | None = body.get("usage") or body.get("response", {}).get("usage")
            if usage:
                return usage
        return None


def interactions(name: str) -> list[Interaction]:
    """Read the cassette of a scenario."""
    return [
        Interaction(
            path=urlsplit(recorded["request"]["uri"]).path,
            request=json.loads(recorded["request"]["body"]),
            status=recorded["response"]["status"]["code"],
            bodies=tuple(json_of(recorded["response"]["body"]["string"])),
        )
        for recorded in yaml.safe_load(path_of(name).read_text())["interactions"]
    ]


def json_of(body: str) -> Iterator[dict[str, Any]]:
    """Yield the one JSON value of a plain body, or that of each event of a stream."""
    if body.startswith("{"):
        yield json.loads(body)
        return
    for line in body.splitlines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))
