"""Programs of LlamaIndex: chats, structured answers, agents, query and chat engines, ingestion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
from llama_index.core import Document, PromptTemplate, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.llms import ChatMessage
from llama_index.core.node_parser import TokenTextSplitter
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai_like import OpenAILike

from cassettes.scenarios.scenario import (
    ALICE,
    EMBEDDING_MODEL,
    MODEL,
    NOTES,
    QUESTION,
    Person,
    Scenario,
    Servers,
    get_population,
    get_weather,
    load_example,
)

if TYPE_CHECKING:
    from llama_index.core.llms import ChatResponse, CompletionResponse
    from llama_index.core.schema import BaseNode

MESSAGES = [ChatMessage(role="user", content=QUESTION)]
WITH_USAGE = {"stream_options": {"include_usage": True}}
WHEN = "When is the observatory open?"


def chat_model(servers: Servers, **options: Any) -> OpenAILike:
    """Make the chat model of every scenario. It never tries twice: a second request is not in the cassette."""
    return OpenAILike(
        **{
            "model": MODEL,
            "api_base": servers.chat_url,
            "api_key": servers.api_key,
            "is_chat_model": True,
            "is_function_calling_model": True,
            "max_retries": 0,
            "temperature": 0,
            "max_tokens": 48,
            **options,
        }
    )


def embedding_model(servers: Servers) -> OpenAIEmbedding:
    """Make the embedding model of every scenario."""
    return OpenAIEmbedding(
        model_name=EMBEDDING_MODEL, api_base=servers.embedding_url, api_key=servers.api_key, max_retries=0
    )


# Chats and completions


def chat(servers: Servers) -> ChatResponse:
    """One question, one answer."""
    return chat_model(servers).chat(MESSAGES)


async def achat(servers: Servers) -> ChatResponse:
    """The same, awaited."""
    return await chat_model(servers).achat(MESSAGES)


def stream_chat(servers: Servers) -> list[ChatResponse]:
    """The answer in pieces; the last chunk carries the usage."""
    return list(chat_model(servers, additional_kwargs=WITH_USAGE).stream_chat(MESSAGES))


async def astream_chat(servers: Servers) -> list[ChatResponse]:
    """The same, awaited."""
    pieces = await chat_model(servers, additional_kwargs=WITH_USAGE).astream_chat(MESSAGES)
    return [piece async for piece in pieces]


def stream_chat_without_usage(servers: Servers) -> list[ChatResponse]:
    """Nothing carries the usage."""
    return list(chat_model(servers).stream_chat(MESSAGES))


def complete(servers: Servers) -> CompletionResponse:
    """A text to go on with, which a chat model is sent as a message."""
    return chat_model(servers).complete(QUESTION)


def complete_plain(servers: Servers) -> CompletionResponse:
    """The endpoint before chats."""
    return chat_model(servers, is_chat_model=False).complete("The three primary colours are")


def error_401(servers: Servers) -> ChatResponse:
    """The key is wrong."""
    return chat_model(servers, api_key="sk-wrong").chat(MESSAGES)


# Structured answers


def structured_tool(servers: Servers) -> Any:
    """An object made of the arguments of a tool call."""
    return chat_model(servers).structured_predict(Person, PromptTemplate("{text}"), text=ALICE)


def structured_schema(servers: Servers) -> Any:
    """An object made of an answer that must fit a schema."""
    llm = chat_model(servers, should_use_structured_outputs=True).as_structured_llm(Person)
    return llm.complete(ALICE).raw


# Tools


def tool_call(servers: Servers) -> Any:
    """The model calls a tool, and its result is the answer."""
    tool = FunctionTool.from_defaults(get_population)
    return chat_model(servers).predict_and_call([tool], "How many people live in Tokyo?")


async def agent(servers: Servers) -> Any:
    """The model calls one of two tools, is told the result, and answers."""
    guide = FunctionAgent(name="guide", tools=[get_weather, get_population], llm=chat_model(servers), streaming=False)
    return await guide.run("What is the weather in Paris?")


async def agent_stream(servers: Servers) -> list[Any]:
    """The other of the two tools; the events as they come."""
    llm = chat_model(servers, additional_kwargs=WITH_USAGE)
    guide = FunctionAgent(name="guide", tools=[get_weather, get_population], llm=llm)
    handler = guide.run("How many people live in Tokyo?")
    events = [event async for event in handler.stream_events()]
    return [*events, await handler]


# Retrieval


def index_of(servers: Servers) -> VectorStoreIndex:
    """Embed the notes."""
    documents = [Document(text=note, id_=f"note {number}") for number, note in enumerate(NOTES, 1)]
    return VectorStoreIndex.from_documents(documents, embed_model=embedding_model(servers))


def query(servers: Servers) -> Any:
    """Notes are embedded, two of them found by a question, and the question answered from them."""
    return index_of(servers).as_query_engine(llm=chat_model(servers), similarity_top_k=2).query(WHEN)


def query_stream(servers: Servers) -> list[str]:
    """The answer in pieces."""
    llm = chat_model(servers, additional_kwargs=WITH_USAGE)
    engine = index_of(servers).as_query_engine(llm=llm, similarity_top_k=2, streaming=True)
    return list(engine.query(WHEN).response_gen)


async def query_async(servers: Servers) -> Any:
    """The question embedded and answered in a running loop."""
    return await index_of(servers).as_query_engine(llm=chat_model(servers), similarity_top_k=2).aquery(WHEN)


def chat_engine(servers: Servers) -> list[Any]:
    """Two turns: the second question is put anew, so that it can be understood by itself, before notes are found."""
    engine = index_of(servers).as_chat_engine("condense_plus_context", llm=chat_model(servers), similarity_top_k=2)
    return [engine.chat(WHEN), engine.chat("And how much is a ticket?")]


def chat_engine_stream(servers: Servers) -> list[str]:
    """One turn in pieces."""
    llm = chat_model(servers, additional_kwargs=WITH_USAGE)
    engine = index_of(servers).as_chat_engine("condense_plus_context", llm=llm, similarity_top_k=2)
    return list(engine.stream_chat(WHEN).response_gen)


def ingestion(servers: Servers) -> list[BaseNode]:
    """A text is cut into pieces and the pieces are embedded."""
    # Not SentenceSplitter: nltk refuses to open its files where an installer has hard-linked them (nltk/pathsec.py).
    splitter = TokenTextSplitter(chunk_size=60, chunk_overlap=0)
    pipeline = IngestionPipeline(transformations=[splitter, embedding_model(servers)])
    return list(pipeline.run(documents=[Document(text=" ".join(NOTES * 2))]))


def rag_qdrant(servers: Servers) -> str:
    """The retrieval of the examples, whole: documents in Qdrant, the answer streamed."""
    example = load_example("rag_llama_index")
    llm = OpenAILike(
        model=MODEL,
        api_base=servers.chat_url,
        api_key=servers.api_key,
        is_chat_model=True,
        max_retries=0,
        additional_kwargs=WITH_USAGE,
    )
    answer: str = example.answer(llm, embedding_model(servers), example.QUESTION)
    return answer


PARALLEL = ("llama-index-llms-openai>=0.7",)  # older ones don't say whether several tools may be called

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(chat, "llama_index"),
        Scenario(achat, "llama_index"),
        Scenario(stream_chat, "llama_index"),
        Scenario(astream_chat, "llama_index"),
        Scenario(stream_chat_without_usage, "llama_index"),
        Scenario(complete, "llama_index"),
        Scenario(complete_plain, "llama_index"),
        Scenario(error_401, "llama_index", error=(openai.AuthenticationError,)),
        Scenario(structured_tool, "llama_index", needs=PARALLEL),
        Scenario(structured_schema, "llama_index", needs=("llama-index-llms-openai>=0.6",)),
        Scenario(tool_call, "llama_index", needs=PARALLEL),
        Scenario(agent, "llama_index", needs=PARALLEL),
        Scenario(agent_stream, "llama_index", needs=PARALLEL),
        Scenario(query, "llama_index"),
        Scenario(query_stream, "llama_index"),
        Scenario(query_async, "llama_index"),
        Scenario(chat_engine, "llama_index"),
        Scenario(chat_engine_stream, "llama_index"),
        Scenario(ingestion, "llama_index"),
        Scenario(rag_qdrant, "llama_index", needs=("llama-index-vector-stores-qdrant",)),
    )
}
