"""Models for LangChain: the real `ChatOpenAI` over the fake OpenAI server, and one that says what it is given to say.

server = FakeOpenAI()
chat(server).invoke("Hello")                            # over the real SDK, sync and async
server.script(says(calls=[call("weather", city="Rome")]), says("Sunny"))    # what an agent is told, streamed or not
Parrot(says=[AIMessage("Hello", usage_metadata={…})])   # no SDK, no server
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from tests.fakes import openai_answers as answers

with suppress(ImportError):  # without openai there is no server, and what needs it is skipped
    from tests.fakes.openai_server import API_KEY, Answer, FakeOpenAI, Received, httpx, json_answer, stream_answer
    from tests.fakes.openai_server import _AsyncTransport as AsyncTransport
    from tests.fakes.openai_server import _Transport as Transport


def transports(server: FakeOpenAI) -> dict[str, Any]:
    """Return the arguments that have a class of langchain-openai talk to the server."""
    return {
        "api_key": API_KEY,
        "http_client": httpx.Client(transport=Transport(server)),
        "http_async_client": httpx.AsyncClient(transport=AsyncTransport(server)),
    }


def chat(server: FakeOpenAI, **options: Any) -> Any:
    """Return a `ChatOpenAI` that talks to the server and counts the tokens of streams."""
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(**{"model": "gpt-4o", "stream_usage": True, "max_retries": 0, **transports(server), **options})


def embeddings(server: FakeOpenAI) -> Any:
    """Return an `OpenAIEmbeddings` that talks to the server, and counts no tokens itself, for which it would download."""
    from langchain_openai import OpenAIEmbeddings

    return OpenAIEmbeddings(check_embedding_ctx_length=False, max_retries=0, **transports(server))


def call(name: str, number: int = 0, /, **arguments: Any) -> dict[str, Any]:
    """Return a tool call as the server writes it."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"id": f"call_{name}_{number}", "type": "function", "function": function}


def says(
    text: str | None = None,
    *,
    calls: Sequence[dict[str, Any]] = (),
    reason: str | None = None,
    usage: dict[str, Any] | None = None,
) -> Callable[[Received], Answer]:
    """Return a step of the server's script: this text or these tool calls, streamed where it is asked to stream."""
    reason = reason or ("tool_calls" if calls else "stop")
    used = usage or answers.CHAT_USAGE

    def answer(received: Received) -> Answer:
        if not received.body.get("stream"):
            message = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
            if calls:
                message["tool_calls"] = list(calls)
            choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
            return json_answer({**answers.chat(received.body), "choices": [choice], "usage": used})
        chunks = [answers.chat_delta({"role": "assistant", "content": ""})]
        for place, one in enumerate(calls):
            half = len(one["function"]["arguments"]) // 2
            begin, end = one["function"]["arguments"][:half], one["function"]["arguments"][half:]
            first = {**one, "index": place, "function": {"name": one["function"]["name"], "arguments": begin}}
            chunks.append(answers.chat_delta({"tool_calls": [first]}))
            chunks.append(answers.chat_delta({"tool_calls": [{"index": place, "function": {"arguments": end}}]}))
        chunks += [answers.chat_delta({"content": word}) for word in re.findall(r"\S+\s*", text or "")]
        chunks.append(answers.chat_delta({}, finish_reason=reason))
        if (received.body.get("stream_options") or {}).get("include_usage"):
            chunks.append(answers.chat_chunk([], usage=used))
        return stream_answer(chunks)

    return answer


def echo(received: Received) -> Answer:
    """A step of the server's script: what it was asked last."""
    return says(f"you said {received.body['messages'][-1]['content']}")(received)


class Parrot(BaseChatModel):
    """Says one message after the other, the last one for ever; streams it word by word, the counts last."""

    says: list[Any]
    position: int = 0

    @property
    def _llm_type(self) -> str:
        return "parrot"

    def _next(self) -> Any:
        said = self.says[min(self.position, len(self.says) - 1)]
        self.position += 1
        if isinstance(said, BaseException):
            raise said
        return said.model_copy(deep=True)

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        from langchain_core.utils.function_calling import convert_to_openai_tool

        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next())])

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        said: AIMessage = self._next()
        pieces = [AIMessageChunk(content=word) for word in str(said.content).split(" ")]
        calls = [
            {"id": one["id"], "name": one["name"], "args": json.dumps(one["args"]), "index": place}
            for place, one in enumerate(said.tool_calls)
        ]
        pieces.append(
            AIMessageChunk(
                content="",
                tool_call_chunks=calls,
                usage_metadata=said.usage_metadata,
                response_metadata=said.response_metadata,
            )
        )
        for piece in pieces:
            chunk = ChatGenerationChunk(message=piece)
            if run_manager:
                run_manager.on_llm_new_token(str(piece.content), chunk=chunk)
            yield chunk
