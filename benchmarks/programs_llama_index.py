"""Programs of LlamaIndex whose models are functions in this process: fixed answers, no sockets."""

# ruff: noqa: ARG002 - the signatures are LlamaIndex'
from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

from llama_index.core import VectorStoreIndex
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import LLM
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.schema import TextNode
from workload import Workload

_ANSWER = "The answer is written in words of some length, as they are. " * 10
_CHUNKS = 20
_QUESTION = "What is to be done about the late orders of last week?"
_RAW = {
    "model": "gpt-4o-mini-2024-07-18",
    "usage": {"prompt_tokens": 250, "completion_tokens": 150, "total_tokens": 400},
}
_NODES = 20
_DIMENSIONS = 64


class FixedAnswers(LLM):
    """A chat model that answers at once, made as those of providers are."""

    @property
    def metadata(self) -> LLMMetadata:
        """Tell of the model."""
        return LLMMetadata(model_name="gpt-4o-mini", is_chat_model=True, context_window=128_000)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return _answer(_ANSWER)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return _answer(_ANSWER)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        def chunks() -> ChatResponseGen:
            text = ""
            for number in range(_CHUNKS):
                word = f"word{number} "
                text += word
                yield _answer(text, word)

        return chunks()

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        raise NotImplementedError

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise NotImplementedError

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise NotImplementedError

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        raise NotImplementedError

    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        raise NotImplementedError


def _answer(text: str, delta: str | None = None) -> ChatResponse:
    return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=text), delta=delta, raw=_RAW)


class FixedVectors(BaseEmbedding):
    """Embeds a text as numbers drawn by it, the same each time."""

    def _get_text_embedding(self, text: str) -> list[float]:
        draw = random.Random(text).random
        return [draw() for _ in range(_DIMENSIONS)]

    _get_query_embedding = _get_text_embedding

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def programs() -> dict[str, Callable[[], object]]:
    """Return each program by its name."""
    llm, text = FixedAnswers(), Workload().text
    nodes = [TextNode(text=text(100), metadata={"file": f"orders-{number}.txt"}) for number in range(_NODES)]
    index = VectorStoreIndex(nodes, embed_model=FixedVectors())
    engine, streaming = index.as_query_engine(llm=llm), index.as_query_engine(llm=llm, streaming=True)
    loop = asyncio.new_event_loop()
    asked = [ChatMessage(role=MessageRole.USER, content=_QUESTION)]

    def stream() -> None:
        response: Any = streaming.query(_QUESTION)
        for _ in response.response_gen:
            pass

    return {
        "query": lambda: engine.query(_QUESTION),
        "aquery": lambda: loop.run_until_complete(engine.aquery(_QUESTION)),
        "streaming query": stream,
        "chat": lambda: llm.chat(asked),
    }
