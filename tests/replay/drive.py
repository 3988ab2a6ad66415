"""Make recorded calls again through the OpenAI SDK, as the programs that were recorded may have made them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI, OpenAIError

from tests.replay.corpus import Exchange

try:
    import httpx2 as httpx  # openai 3
except ImportError:
    import httpx

# Which of the SDK's methods makes a request; `*` stands for an id, of the thread first and then of the run.
_METHODS: Mapping[tuple[str, ...], str] = {
    ("post", "chat", "completions"): "chat.completions.create",
    ("post", "completions"): "completions.create",
    ("post", "responses"): "responses.create",
    ("post", "embeddings"): "embeddings.create",
    ("post", "moderations"): "moderations.create",
    ("post", "images", "generations"): "images.generate",
    ("post", "audio", "speech"): "audio.speech.create",
    ("post", "audio", "transcriptions"): "audio.transcriptions.create",
    ("post", "assistants"): "beta.assistants.create",
    ("post", "threads"): "beta.threads.create",
    ("post", "threads", "*", "messages"): "beta.threads.messages.create",
    ("get", "threads", "*", "messages"): "beta.threads.messages.list",
    ("post", "threads", "*", "runs"): "beta.threads.runs.create",
    ("get", "threads", "*", "runs", "*"): "beta.threads.runs.retrieve",
    ("post", "threads", "*", "runs", "*", "submit_tool_outputs"): "beta.threads.runs.submit_tool_outputs",
}
_LONGEST_FIRST = sorted(_METHODS, key=len, reverse=True)
_SOUND = ("audio.wav", b"RIFF\x00\x00\x00\x00WAVE")


@dataclass(frozen=True, slots=True)
class Call:
    """A recorded exchange, and how it is made again."""

    exchange: Exchange
    method: str
    """The SDK's method, as a path from the client."""
    ids: Mapping[str, str]
    """What stands in the URL between the names."""
    base_url: str
    deployment: str | None
    """Azure's name of the model, where the server is Azure."""

    @property
    def arguments(self) -> dict[str, Any]:
        """What the method is given: the recorded JSON, but for what must be in it and is not."""
        arguments = dict(self.exchange.body or {})
        if self.method == "audio.transcriptions.create":
            arguments = {"model": "gpt-4o-transcribe", "file": _SOUND}
        if self.deployment is not None:
            arguments["model"] = self.deployment
        return arguments

    def start(self, client: Any, flavour: str) -> Any:
        """Make the call; with an async client what is returned must be awaited."""
        *path, name = self.method.split(".")
        resource = client
        for step in path:
            resource = getattr(resource, step)
        method = getattr(resource.with_raw_response if flavour == "raw" else resource, name)
        known = inspect.signature(getattr(resource, name)).parameters
        arguments = self.arguments
        unknown = {key: arguments.pop(key) for key in list(arguments) if key not in known}
        return method(**arguments, **self.ids, **({"extra_body": unknown} if unknown else {}))


def calls(exchanges: Sequence[Exchange]) -> list[Call]:
    """Return the exchanges that can be made again: those with an endpoint that the SDK has."""
    found = [_call(exchange) for exchange in exchanges if exchange.is_readable]
    return [call for call in found if call is not None]


def _call(exchange: Exchange) -> Call | None:
    url = urlsplit(exchange.url)
    parts = url.path.strip("/").split("/")
    for key in _LONGEST_FIRST:
        method, *pattern = key
        head, tail = parts[: -len(pattern)], parts[-len(pattern) :]
        if method == exchange.method and len(tail) == len(pattern) and _fits(pattern, tail):
            ids = [part for want, part in zip(pattern, tail, strict=True) if want == "*"]
            deployment = head[-1] if "deployments" in head else None
            base_url = f"{url.scheme}://{url.netloc}/{'/'.join(head)}"
            return Call(exchange, _METHODS[key], dict(zip(("thread_id", "run_id"), ids)), base_url, deployment)
    return None


def _fits(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    return all(want in ("*", part) for want, part in zip(pattern, parts, strict=True))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call, for the server and for the program."""

    sent: list[tuple[Any, ...]]
    """The requests, whole, that the server received."""
    result: Any
    """What the program received: plain values, each with the type of the object that it is of."""
    error: tuple[str, int | None, str] | None = None
    """Type, HTTP status and text of the exception that the program received."""
    is_parsing: bool = False
    """Whether the call had returned when the program failed to parse a raw answer."""


Around = Callable[[Call], AbstractContextManager[Any]]
FLAVOURS = ("sync", "async", "raw", "whole")
_PIECE = 997


def replay(calls: Sequence[Call], flavour: str, around: Around) -> list[Outcome]:
    """Make calls one after the other, each inside `around(call)`, and read what they return to the end.

    `flavour` is "sync" or "async"; "raw" for `with_raw_response`, where the program parses the answer; or "whole",
    where the answer was read before the SDK has it, as the transports of testing libraries do.
    """
    server = _Server(is_whole=flavour == "whole")
    if flavour == "async":
        return asyncio.run(_replay_async(calls, server, around))
    with httpx.Client(transport=httpx.MockTransport(server.answer)) as http_client:
        clients = _Clients(http_client, OpenAI, AzureOpenAI)
        return [_play(call, clients, server, flavour, around) for call in calls]


def _play(call: Call, clients: _Clients, server: _Server, flavour: str, around: Around) -> Outcome:
    client = clients.of(call)
    server.exchange, server.sent = call.exchange, []
    is_parsing = False
    with around(call):
        try:
            result = call.start(client, flavour)
            is_parsing = flavour == "raw"
            result = result.parse() if is_parsing else result
            is_parsing = is_parsing and not _is_stream(result)
            seen = [_seen(item) for item in result] if _is_stream(result) else _seen(result)
        except (OpenAIError, ValueError) as error:
            return Outcome(server.sent, None, _seen_error(error), is_parsing)
    return Outcome(server.sent, seen)


async def _replay_async(calls: Sequence[Call], server: _Server, around: Around) -> list[Outcome]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(server.answer)) as http_client:
        clients = _Clients(http_client, AsyncOpenAI, AsyncAzureOpenAI)
        return [await _play_async(call, clients, server, around) for call in calls]


async def _play_async(call: Call, clients: _Clients, server: _Server, around: Around) -> Outcome:
    client = clients.of(call)
    server.exchange, server.sent = call.exchange, []
    with around(call):
        try:
            result = await call.start(client, "async")
            seen = [_seen(item) async for item in result] if _is_stream(result) else _seen(result)
        except (OpenAIError, ValueError) as error:
            return Outcome(server.sent, None, _seen_error(error))
    return Outcome(server.sent, seen)


class _Server:
    """Gives the recorded answer, whatever it is asked."""

    def __init__(self, *, is_whole: bool) -> None:
        self._is_whole = is_whole
        self.exchange: Exchange | None = None
        self.sent: list[tuple[Any, ...]] = []

    def answer(self, request: Any) -> Any:
        is_form = request.headers.get("content-type", "").startswith("multipart/")
        # What divides a form's parts is made up anew for each request.
        headers = [item for item in request.headers.multi_items() if not (is_form and item[0] == "content-type")]
        self.sent.append(
            (request.method, str(request.url), headers, len(request.content) if is_form else request.content)
        )
        exchange = self.exchange
        if self._is_whole:
            return httpx.Response(exchange.status, headers=exchange.headers, content=exchange.content)
        return httpx.Response(exchange.status, headers=exchange.headers, stream=_Pieces(exchange.content))


class _Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """An answer that arrives bit by bit, cut anywhere."""

    def __init__(self, content: bytes) -> None:
        self._pieces = [content[start : start + _PIECE] for start in range(0, len(content), _PIECE)]

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


class _Clients:
    """One client for each server of the recordings."""

    def __init__(self, http_client: Any, kind: Any, azure: Any) -> None:
        self._options = {"api_key": "sk-nobody", "max_retries": 0, "http_client": http_client}
        self._kind = kind
        self._azure = azure
        self._made: dict[str, Any] = {}

    def of(self, call: Call) -> Any:
        if call.base_url not in self._made:
            self._made[call.base_url] = self._make(call)
        return self._made[call.base_url]

    def _make(self, call: Call) -> Any:
        if call.deployment is None:
            return self._kind(base_url=call.base_url, **self._options)
        url = urlsplit(call.exchange.url)
        version = parse_qs(url.query)["api-version"][0]
        return self._azure(azure_endpoint=f"{url.scheme}://{url.netloc}", api_version=version, **self._options)


def _is_stream(result: Any) -> bool:
    return type(result).__name__ in ("Stream", "AsyncStream")


def _seen(item: Any) -> Any:
    if hasattr(item, "model_dump"):
        return type(item).__name__, item.model_dump(warnings=False)
    content = getattr(item, "content", None)
    return type(item).__name__, item if content is None else content


def _seen_error(error: Exception) -> tuple[str, int | None, str]:
    return type(error).__name__, getattr(error, "status_code", None), str(error)
