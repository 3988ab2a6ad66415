"""Chat engines: answers whole and streamed, written to the history by a thread or a task of LlamaIndex's own."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from llama_index.core.chat_engine import CondensePlusContextChatEngine, ContextChatEngine, SimpleChatEngine

from tests.fakes import openai_answers as answers
from tests.fakes.llama_index_models import USAGE, index, openai
from tests.fakes.openai_server import json_answer
from tests.integrations.llama_index.programs.program import LATER, OPENAI, gives


def model(server):
    return openai(server, additional_kwargs=USAGE)


def read(response):
    """Read a streamed answer, and wait for the thread that writes it to the history: not all versions do."""
    try:
        return list(response.response_gen)
    finally:
        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.current_thread():
                thread.join()


async def read_async(response):
    tokens = [token async for token in response.async_response_gen()]
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
    return tokens


def simple(server):
    return SimpleChatEngine.from_defaults(llm=model(server))


def context(server):
    return ContextChatEngine.from_defaults(retriever=index().as_retriever(), llm=model(server))


def condensing(server):
    return CondensePlusContextChatEngine.from_defaults(retriever=index().as_retriever(), llm=model(server))


@gives(
    """
    OK 11>7
    CHAIN SimpleChatEngine.chat
      CHAT_MODEL OpenAI.chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def simple_chat(server):
    engine = simple(server)
    return str(engine.chat("Hello")), len(engine.chat_history)


@gives(
    """
    OK 11>7
    CHAIN SimpleChatEngine.achat
      CHAT_MODEL OpenAI.achat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
async def simple_chat_async(server):
    return str(await simple(server).achat("Hello"))


@gives(
    """
    OK 11>7
    CHAIN SimpleChatEngine.stream_chat
      CHAT_MODEL OpenAI.stream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      MEMORY StreamingAgentChatResponse.write_response_to_history
    """,
    needs=OPENAI,
)
def simple_chat_streamed(server):
    engine = simple(server)
    return read(engine.stream_chat("Hello")), [message.content for message in engine.chat_history]


@gives(
    """
    OK 11>7
    CHAIN SimpleChatEngine.astream_chat
      CHAT_MODEL OpenAI.astream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      MEMORY StreamingAgentChatResponse.awrite_response_to_history
    """,
    needs=OPENAI,
)
async def simple_chat_streamed_async(server):
    engine = simple(server)
    response = await engine.astream_chat("Hello")
    return await read_async(response), len(engine.chat_history)


@gives(
    """
    OK 11>7
    CHAIN ContextChatEngine.chat
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      CHAIN CompactAndRefine.synthesize
        CHAT_MODEL OpenAI.chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def context_chat(server):
    return str(context(server).chat("Hello"))


@gives(
    """
    OK 11>7
    CHAIN ContextChatEngine.stream_chat
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      CHAIN CompactAndRefine.synthesize
        CHAT_MODEL OpenAI.stream_chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      MEMORY StreamingAgentChatResponse.write_response_to_history
    """,
    needs=(*OPENAI, LATER),
)
def context_chat_streamed(server):
    return read(context(server).stream_chat("Hello"))


@gives(
    """
    OK 11>7
    CHAIN ContextChatEngine.astream_chat
      RETRIEVER VectorIndexRetriever.aretrieve
        EMBEDDING MockEmbedding.aget_query_embedding
      CHAIN CompactAndRefine.asynthesize
        CHAT_MODEL OpenAI.astream_chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      MEMORY StreamingAgentChatResponse.awrite_response_to_history
    """,
    needs=(*OPENAI, LATER),
)
async def context_chat_streamed_async(server):
    response = await context(server).astream_chat("Hello")
    return await read_async(response)


@gives(
    """
    OK 11>7
    CHAIN CondensePlusContextChatEngine.chat
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      CHAIN CompactAndRefine.synthesize
        CHAT_MODEL OpenAI.chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)

    OK 22>14
    CHAIN CondensePlusContextChatEngine.chat
      LLM OpenAI.complete 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      CHAIN CompactAndRefine.synthesize
        CHAT_MODEL OpenAI.chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def chat_that_condenses_its_history(server):
    engine = condensing(server)
    return str(engine.chat("Hello")), str(engine.chat("And then?"))


@gives(
    """
    OK 11>7
    CHAIN CondensePlusContextChatEngine.chat
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      CHAIN CompactAndRefine.synthesize
        CHAT_MODEL OpenAI.chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)

    OK 22>14
    CHAIN CondensePlusContextChatEngine.stream_chat
      LLM OpenAI.complete 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      CHAIN CompactAndRefine.synthesize
        CHAT_MODEL OpenAI.stream_chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      MEMORY StreamingAgentChatResponse.write_response_to_history
    """,
    needs=(*OPENAI, LATER),
)
def streamed_chat_that_condenses_its_history(server):
    server.script(json_answer(answers.chat({})))
    engine = condensing(server)
    return str(engine.chat("Hello")), read(engine.stream_chat("And then?"))


@gives(
    """
    ERROR
    CHAIN SimpleChatEngine.stream_chat ERROR InternalServerError
      CHAT_MODEL OpenAI.stream_chat ERROR InternalServerError
        CHAT_MODEL chat gpt-4o ERROR InternalServerError (duplicate)
      MEMORY StreamingAgentChatResponse.write_response_to_history ERROR InternalServerError
    """,
    needs=OPENAI,
)
def streamed_chat_that_fails(server):
    server.script(500)
    with pytest.raises(Exception, match="fake error 500"):
        read(simple(server).stream_chat("Hello"))


class Hasty(SimpleChatEngine):
    """A chat engine whose answer is written to the history before it returns."""

    def stream_chat(self, message, chat_history=None):
        response = super().stream_chat(message, chat_history)
        while not response.is_done:
            time.sleep(0.001)
        return response


@gives(
    """
    OK 11>7
    CHAIN Hasty.stream_chat
      CHAT_MODEL OpenAI.stream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      MEMORY StreamingAgentChatResponse.write_response_to_history
    """,
    needs=OPENAI,
)
def streamed_chat_that_is_written_before_it_returns(server):
    return read(Hasty.from_defaults(llm=model(server)).stream_chat("Hello"))
