"""Models for programs that use LlamaIndex: its own OpenAI classes over the fake server, and one that calls tools."""

from __future__ import annotations

import json
from typing import Any

from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.llms import ChatMessage
from llama_index.core.schema import TextNode

from tests.fakes import openai_answers as answers
from tests.fakes.openai_server import API_KEY, Answer, FakeOpenAI, _AsyncTransport, _Transport, httpx, stream_answer

USAGE = {"stream_options": {"include_usage": True}}
HELLO = [ChatMessage(role="user", content="Hello")]
EMBEDDING = MockEmbedding(embed_dim=3)
TEXTS = {"a": "Ada wrote the first program.", "b": "Bob wrote the second one."}


def openai(server: FakeOpenAI, kind: Any = None, **details: Any) -> Any:
    """Return LlamaIndex's model of OpenAI, or one of a `kind` that extends it, which talks to the server."""
    from llama_index.llms.openai import OpenAI

    return (kind or OpenAI)(
        **{
            "model": "gpt-4o",
            "api_key": API_KEY,
            "max_retries": 0,
            "http_client": httpx.Client(transport=_Transport(server)),
            "async_http_client": httpx.AsyncClient(transport=_AsyncTransport(server)),
            "reuse_client": True,
            **details,
        }
    )


def embedding(server: FakeOpenAI, **details: Any) -> Any:
    """Return LlamaIndex's embedding of OpenAI, which talks to the server."""
    from llama_index.embeddings.openai import OpenAIEmbedding

    return OpenAIEmbedding(
        **{
            "api_key": API_KEY,
            "max_retries": 0,
            "http_client": httpx.Client(transport=_Transport(server)),
            "async_http_client": httpx.AsyncClient(transport=_AsyncTransport(server)),
            **details,
        }
    )


def index(embed_model: Any = EMBEDDING) -> VectorStoreIndex:
    """Return an index of two texts, made where nothing is traced."""
    from autolog.context import suppress

    with suppress():
        nodes = [TextNode(id_=name, text=text, metadata={"name": name}) for name, text in TEXTS.items()]
        return VectorStoreIndex(nodes, embed_model=embed_model)


def streams(*words: str) -> Answer:
    """Answer a streamed chat with these words, and with usage, as asked for."""
    chunks = [answers.chat_delta({"role": "assistant", "content": ""})]
    chunks += [answers.chat_delta({"content": word}) for word in words]
    chunks += [answers.chat_delta({}, finish_reason="stop"), answers.chat_chunk([], usage=answers.CHAT_USAGE)]
    return stream_answer(chunks)


def streams_calls(*calls: tuple[str, dict[str, Any]]) -> Answer:
    """Answer a streamed chat with calls of tools."""
    chunks = [answers.chat_delta({"role": "assistant", "content": None})]
    for number, (name, arguments) in enumerate(calls):
        head = {
            "index": number,
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        chunks.append(answers.chat_delta({"tool_calls": [head]}))
        told = json.dumps(arguments)
        for part in (told[:4], told[4:]):
            chunks.append(answers.chat_delta({"tool_calls": [{"index": number, "function": {"arguments": part}}]}))
    chunks += [answers.chat_delta({}, finish_reason="tool_calls"), answers.chat_chunk([], usage=answers.CHAT_USAGE)]
    return stream_answer(chunks)
