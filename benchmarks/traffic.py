"""An OpenAI client whose server is a function in this process: fixed answers, no sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
from workload import Workload

_HEADERS = {"content-type": "application/json", "x-request-id": "req_1"}
_USAGE = {"prompt_tokens": 2_500, "completion_tokens": 150, "total_tokens": 2_650}
_HEAD = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": "gpt-4o-mini-2024-07-18"}
_ANSWER = "The answer is written in words of some length, as they are. " * 10


class FixedAnswers(httpx2.BaseTransport):
    """Answers every request with one chat completion, or with one stream of `chunks` pieces."""

    def __init__(self, chunks: int = 0) -> None:
        message = {"role": "assistant", "content": _ANSWER}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self._body = json.dumps({**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}).encode()
        self._pieces = _pieces(chunks)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer; a request over the wire would have been read to its end too."""
        request.read()
        if self._pieces:
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=_Stream(self._pieces))
        return httpx2.Response(200, headers=_HEADERS, content=self._body)


class _Stream(httpx2.SyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)


def _pieces(chunks: int) -> list[bytes]:
    if not chunks:
        return []
    deltas: list[dict[str, Any]] = [{"content": f"word{number} "} for number in range(chunks)]
    choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    events = [{**_HEAD, "object": "chat.completion.chunk", "choices": choice} for choice in choices]
    return [f"data: {json.dumps(event)}\n\n".encode() for event in events] + [b"data: [DONE]\n\n"]


def client(chunks: int = 0) -> openai.OpenAI:
    """Return a client of the SDK as a program makes it, but for its transport."""
    return openai.OpenAI(
        api_key="sk-none", max_retries=0, http_client=httpx2.Client(transport=FixedAnswers(chunks=chunks))
    )


def conversation(messages: int) -> list[dict[str, str]]:
    """Return a conversation of messages of 2 KB each."""
    text = Workload().text
    return [{"role": "user" if number % 2 else "assistant", "content": text(400)[:2_000]} for number in range(messages)]
