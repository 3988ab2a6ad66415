"""A fake OpenAI server, as transports for httpx below the real SDK: nothing above the socket is replaced.

    server = FakeOpenAI()
    openai = server.client()                                # openai.OpenAI; async: server.async_client()
    server.client(openai.AzureOpenAI, azure_endpoint=…)     # another class, any arguments of its own

It knows every endpoint that is traced (see `_ROUTES`; what the answers say is in `openai_answers`), streams one
server-sent event a piece, and keeps what it was asked and what became of its answers:

    server.requests[-1].path, .headers, .body, .content     # the body as JSON or as form fields; the bytes
    server.bodies[-1].pulled, .pieces, .closed              # how far the program read the answer

What it answers next is scripted, one entry a request, and then it is itself again:

    server.script(429, 429)                                 # two error answers, then the usual one
    server.script(httpx.ConnectTimeout("slow"))             # never answers
    server.script(json_answer({...}))                       # this body
    server.script(stream_answer([chunk, …], error=httpx.ReadError("cut")))   # a stream that breaks off
    server.script(stream_answer([…], gate=gate, gate_at=2)) # waits before its third piece
    server.script(lambda received: json_answer(…))          # as it is asked
    server.gate = Gate()                                    # every request waits before it is answered

`httpx` here is the one that the installed openai uses: import it from this module.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.parser import BytesParser
from typing import Any

import openai

from tests.fakes import openai_answers as answers

if int(openai.__version__.partition(".")[0]) >= 3:
    import httpx2 as httpx
else:
    import httpx

Body = dict[str, Any]
API_KEY = "sk-fake-0123456789abcdefghij"
REQUEST_ID = "req_1"
HEADERS = {"x-request-id": REQUEST_ID, "openai-processing-ms": "12", "x-ratelimit-remaining-requests": "99"}


class Gate:
    """Where async requests wait until the test lets them pass; `reached` is set once one of them waits."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def passed(self) -> None:
        self.reached.set()
        await self.opened.wait()


@dataclass(frozen=True)
class Answer:
    """What the server sends back, piece by piece; then it raises `error`, where there is one."""

    pieces: Sequence[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    error: BaseException | None = None
    gate: Gate | None = None
    gate_at: int = 0
    """Before which piece an async reader waits at `gate`."""


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes
    body: Body


Step = int | BaseException | Answer | Callable[[Received], Answer]


def json_answer(body: Any, status: int = 200, **headers: str) -> Answer:
    """Answer with JSON in one piece."""
    return Answer([json.dumps(body).encode()], status, {"content-type": "application/json", **headers})


def content_answer(*pieces: bytes, content_type: str = "application/octet-stream", status: int = 200) -> Answer:
    """Answer with bytes of any type: audio, subtitles, a proxy's page."""
    return Answer(pieces, status, {"content-type": content_type})


def error_answer(status: int) -> Answer:
    """Answer with OpenAI's error object."""
    error = {"message": f"fake error {status}", "type": "fake_error", "param": None, "code": f"code_{status}"}
    return json_answer({"error": error}, status, **{"retry-after-ms": "1"})


def stream_answer(
    events: Sequence[Body | tuple[str, Body] | bytes],
    *,
    is_done: bool = True,
    piece_size: int | None = None,
    error: BaseException | None = None,
    gate: Gate | None = None,
    gate_at: int = 0,
) -> Answer:
    """Answer with server-sent events, one a piece, or cut every `piece_size` bytes.

    An event is its data, or its name and its data, or bytes that are sent as they are.
    """
    pieces = [_event(event) for event in events]
    if is_done:
        pieces.append(b"data: [DONE]\n\n")
    if piece_size is not None:
        whole = b"".join(pieces)
        pieces = [whole[start : start + piece_size] for start in range(0, len(whole), piece_size)]
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    return Answer(pieces, headers=headers, error=error, gate=gate, gate_at=gate_at)


def _event(event: Body | tuple[str, Body] | bytes) -> bytes:
    if isinstance(event, bytes):
        return event
    name, data = event if isinstance(event, tuple) else (event.get("type"), event)
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


class AnswerBody(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of an answer on its way: counts what was pulled, and whether it was closed.

    As over a real connection, whoever begins to read it a second time goes on where the first one stopped.
    """

    def __init__(self, answer: Answer) -> None:
        self.pieces = answer.pieces
        self.pulled = 0
        self.closed = 0
        self._error = answer.error
        self._gate = answer.gate
        self._gate_at = answer.gate_at

    def __iter__(self) -> Iterator[bytes]:
        while self.pulled < len(self.pieces):
            self.pulled += 1
            yield self.pieces[self.pulled - 1]
        self._break_off()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.pulled < len(self.pieces):
            if self._gate is not None and self.pulled == self._gate_at:
                await self._gate.passed()
            self.pulled += 1
            yield self.pieces[self.pulled - 1]
        self._break_off()

    def _break_off(self) -> None:
        # Not kept: through its traceback it would keep alive whatever read this.
        error, self._error = self._error, None
        if error is not None:
            raise error

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


class FakeOpenAI:
    """The server; see the module."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.bodies: list[AnswerBody] = []
        self.gate: Gate | None = None
        self.barrier: threading.Barrier | None = None
        """Where sync requests wait until so many of them are there at once."""
        self._script: deque[Step] = deque()

    def client(self, kind: type[Any] = openai.OpenAI, **arguments: Any) -> Any:
        """Return a client of the SDK that talks to this server."""
        http_client = httpx.Client(transport=_Transport(self))
        return kind(**{"api_key": API_KEY, "http_client": http_client, **arguments})

    def async_client(self, kind: type[Any] = openai.AsyncOpenAI, **arguments: Any) -> Any:
        """Return an async client of the SDK that talks to this server."""
        http_client = httpx.AsyncClient(transport=_AsyncTransport(self))
        return kind(**{"api_key": API_KEY, "http_client": http_client, **arguments})

    def script(self, *steps: Step) -> None:
        """Say what comes of the next requests: an error status, an exception of the transport, or an answer."""
        self._script.extend(steps)

    def respond(self, request: httpx.Request) -> httpx.Response:
        """Answer a request whose content was read."""
        received = _received(request)
        self.requests.append(received)
        step = self._script.popleft() if self._script else _usual_answer(received)
        if isinstance(step, BaseException):
            raise step
        if callable(step):
            step = step(received)
        answer = error_answer(step) if isinstance(step, int) else step
        body = AnswerBody(answer)
        self.bodies.append(body)
        return httpx.Response(
            answer.status,
            headers={**HEADERS, **answer.headers},
            stream=body,
            extensions={"http_version": b"HTTP/1.1"},
        )


class _Transport(httpx.BaseTransport):
    def __init__(self, server: FakeOpenAI) -> None:
        self._server = server

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        if self._server.barrier is not None:
            self._server.barrier.wait()
        return self._server.respond(request)


class _AsyncTransport(httpx.AsyncBaseTransport):
    def __init__(self, server: FakeOpenAI) -> None:
        self._server = server

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        await asyncio.sleep(0)  # as a network would, it lets others run
        if self._server.gate is not None:
            await self._server.gate.passed()
        return self._server.respond(request)


def _received(request: httpx.Request) -> Received:
    return Received(
        method=request.method,
        path=request.url.path,
        query=dict(request.url.params),
        headers=dict(request.headers),
        content=request.content,
        body=_parsed(request.headers.get("content-type", ""), request.content),
    )


def _parsed(content_type: str, content: bytes) -> Body:
    if "json" in content_type and content:
        return json.loads(content)
    if content_type.startswith("multipart/"):
        form = BytesParser().parsebytes(f"content-type: {content_type}\r\n\r\n".encode() + content)
        parts = [part for part in form.walk() if not part.is_multipart()]
        return {str(part.get_param("name", header="content-disposition")): _value(part) for part in parts}
    return {}


def _value(part: Any) -> Any:
    content = part.get_payload(decode=True)
    return content if part.get_filename() else content.decode()


def _chat(received: Received) -> Answer:
    body = received.body
    return stream_answer(answers.chat_stream(body)) if body.get("stream") else json_answer(answers.chat(body))


def _response(received: Received) -> Answer:
    body = received.body
    if body.get("stream"):
        return stream_answer(answers.response_stream(body), is_done=False)
    return json_answer(answers.response(body))


def _fetched_response(received: Received) -> Answer:
    if received.query.get("stream") == "true":
        return stream_answer(answers.response_stream({}), is_done=False)
    return json_answer(answers.response({}))


def _completion(received: Received) -> Answer:
    body = received.body
    if body.get("stream"):
        return stream_answer(answers.completion_stream(body))
    return json_answer(answers.completion(body))


def _image(received: Received) -> Answer:
    kind = "image_edit" if received.path.endswith("edits") else "image_generation"
    if _is_set(received.body.get("stream")):
        return stream_answer(answers.image_stream(kind), is_done=False)
    return json_answer(answers.images(received.body))


def _speech(received: Received) -> Answer:
    if received.body.get("stream_format") == "sse":
        return stream_answer(answers.speech_stream(received.body), is_done=False)
    return content_answer(*[bytes([piece]) * 100 for piece in range(10)], content_type="audio/mpeg")


def _transcription(received: Received) -> Answer:
    wanted = received.body.get("response_format")
    if _is_set(received.body.get("stream")):
        return stream_answer(answers.transcription_stream(received.body), is_done=False)
    if wanted in ("text", "srt", "vtt"):
        return content_answer(answers.TEXT.encode(), content_type="text/plain; charset=utf-8")
    return json_answer(answers.transcription(received.body))


def _run(received: Received) -> Answer:
    body = received.body
    return stream_answer(answers.run_stream(body)) if body.get("stream") else json_answer(answers.run(body))


def _is_set(value: Any) -> bool:
    return value in (True, "true", "True")  # forms carry text


def _plain(body: Callable[[Body], Body]) -> Callable[[Received], Answer]:
    return lambda received: json_answer(body(received.body))


_ROUTES: Sequence[tuple[str, str, Callable[[Received], Answer]]] = (
    ("POST", r"/chat/completions", _chat),
    ("GET", r"/chat/completions/[^/]+", _plain(answers.chat)),
    ("POST", r"/responses", _response),
    ("POST", r"/responses/compact", _plain(answers.compacted)),
    ("POST", r"/responses/input_tokens", _plain(answers.input_tokens)),
    ("POST", r"/responses/[^/]+/cancel", lambda _: json_answer(answers.response({}, "cancelled"))),
    ("GET", r"/responses/[^/]+", _fetched_response),
    ("POST", r"/completions", _completion),
    ("POST", r"/embeddings", _plain(answers.embeddings)),
    ("POST", r"/images/(generations|edits|variations)", _image),
    ("POST", r"/audio/speech", _speech),
    ("POST", r"/audio/transcriptions", _transcription),
    ("POST", r"/audio/translations", _plain(answers.translation)),
    ("POST", r"/moderations", _plain(answers.moderation)),
    ("POST", r"/decisions", _plain(answers.decision)),
    ("POST", r"/vector_stores/[^/]+/search", _plain(answers.search_results)),
    ("POST", r"/threads/([^/]+/)?runs", _run),
    ("POST", r"/threads/[^/]+/runs/[^/]+/submit_tool_outputs", _run),
    ("GET", r"/threads/[^/]+/runs/[^/]+", _plain(answers.run)),
    ("POST", r"/videos", _plain(answers.video)),
    ("POST", r"/videos/(edits|extensions|[^/]+/remix)", _plain(answers.video)),
    ("GET", r"/videos/[^/]+", _plain(answers.video)),
    ("POST", r"/batches", _plain(answers.batch)),
    ("GET", r"/batches/[^/]+", _plain(answers.batch)),
    ("POST", r"/fine_tuning/jobs", _plain(answers.fine_tuning_job)),
    ("POST", r"/evals/[^/]+/runs", _plain(answers.eval_run)),
    ("POST", r"/conversations", _plain(answers.conversation)),
    ("GET", r"/models", _plain(answers.models)),
)


def _usual_answer(received: Received) -> Answer:
    for method, pattern, answer in _ROUTES:
        if method == received.method and re.search(f"(?:^|/v1|/openai|/deployments/[^/]+){pattern}$", received.path):
            return answer(received)
    return json_answer(answers.empty_list(received.body))
