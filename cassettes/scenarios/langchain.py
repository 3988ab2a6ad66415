"""Programs of LangChain and LangGraph: chains, structured answers, agents, graphs, retrieval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
from langchain.agents import create_agent
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.tools import tool
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

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
    from langchain_core.documents import Document
    from langchain_core.messages import AIMessage
    from langchain_core.runnables import Runnable

WEATHER = {"messages": [{"role": "user", "content": "What is the weather in Paris?"}]}
PRICE = "How much does a ticket cost?"
POPULATION = {"messages": [{"role": "user", "content": "How many people live in Tokyo?"}]}


def chat_model(servers: Servers, **options: Any) -> ChatOpenAI:
    """Make the chat model of every scenario. It never tries twice: a second request is not in the cassette."""
    return ChatOpenAI(
        **{
            "model": MODEL,
            "base_url": servers.chat_url,
            "api_key": servers.api_key,
            "max_retries": 0,
            "temperature": 0,
            "max_tokens": 48,
            "stream_usage": True,  # not asked for by itself where a base URL is given
            **options,
        }
    )


def embedding_model(servers: Servers) -> OpenAIEmbeddings:
    """Make the embedding model of every scenario."""
    return OpenAIEmbeddings(
        model=EMBEDDING_MODEL,
        base_url=servers.embedding_url,
        api_key=servers.api_key,
        max_retries=0,
        check_embedding_ctx_length=False,  # else texts are sent as numbers of OpenAI's tokens
    )


# Chains


def chain(servers: Servers) -> Runnable[dict[str, str], str]:
    """Put a prompt, a model and a parser together."""
    prompt = ChatPromptTemplate.from_messages([("system", "Answer in one sentence."), ("user", "{question}")])
    return prompt | chat_model(servers) | StrOutputParser()


def invoke(servers: Servers) -> str:
    """One question through the chain."""
    return chain(servers).invoke({"question": QUESTION})


async def ainvoke(servers: Servers) -> str:
    """The same, awaited."""
    return await chain(servers).ainvoke({"question": QUESTION})


def stream(servers: Servers) -> list[str]:
    """The chain's answer in pieces; the last chunk of the model carries the usage."""
    return list(chain(servers).stream({"question": QUESTION}))


async def astream(servers: Servers) -> list[str]:
    """The same, awaited."""
    return [piece async for piece in chain(servers).astream({"question": QUESTION})]


def batch(servers: Servers) -> list[str]:
    """Two questions at once, each in a thread of its own."""
    return chain(servers).batch([{"question": QUESTION}, {"question": "What is the capital of Spain?"}])


async def abatch(servers: Servers) -> list[str]:
    """Two questions at once, each in a task of its own."""
    return await chain(servers).abatch([{"question": QUESTION}, {"question": "What is the capital of Spain?"}])


def fallback(servers: Servers) -> str:
    """The first model is refused for its key, so the second answers."""
    refused = chat_model(servers, api_key="sk-wrong")
    answer: str = refused.with_fallbacks([chat_model(servers)]).invoke(QUESTION).text
    return answer


def responses(servers: Servers) -> AIMessage:
    """The model by OpenAI's other endpoint."""
    return chat_model(servers, use_responses_api=True).invoke(QUESTION)


def error_401(servers: Servers) -> str:
    """The key is wrong."""
    return chain(Servers(servers.chat_url, api_key="sk-wrong")).invoke({"question": QUESTION})


# Structured answers


def structured_json_schema(servers: Servers) -> Any:
    """An object made of an answer that must fit a schema."""
    return chat_model(servers).with_structured_output(Person, method="json_schema").invoke(ALICE)


def structured_function_calling(servers: Servers) -> Any:
    """An object made of the arguments of a tool call."""
    return chat_model(servers).with_structured_output(Person, method="function_calling").invoke(ALICE)


# Tools


def bind_tools(servers: Servers) -> AIMessage:
    """The model calls a tool, which nobody runs."""
    message: AIMessage = chat_model(servers).bind_tools([tool(get_population)]).invoke("How many people live in Tokyo?")
    return message


def agent_of(servers: Servers) -> Any:
    """Make an agent with two tools."""
    return create_agent(chat_model(servers), [tool(get_weather), tool(get_population)], name="guide")


def agent(servers: Servers) -> dict[str, Any]:
    """The model calls one of two tools, is told the result, and answers."""
    answer: dict[str, Any] = agent_of(servers).invoke(WEATHER)
    return answer


async def agent_async(servers: Servers) -> dict[str, Any]:
    """The other of the two tools, awaited."""
    answer: dict[str, Any] = await agent_of(servers).ainvoke(POPULATION)
    return answer


def agent_stream(servers: Servers) -> list[Any]:
    """The model's pieces as they come, and what each step added."""
    return list(agent_of(servers).stream(WEATHER, stream_mode=["messages", "updates"]))


async def agent_astream(servers: Servers) -> list[Any]:
    """The same, awaited."""
    steps = agent_of(servers).astream(WEATHER, stream_mode=["messages", "updates"])
    return [step async for step in steps]


def agent_tool_fails(servers: Servers) -> Any:
    """The tool raises; the agent lets it through."""

    def get_weather(city: str) -> str:
        """Get the current weather in a city."""
        raise LookupError(f"no weather station in {city}")

    return create_agent(chat_model(servers), [tool(get_weather)], name="guide").invoke(WEATHER)


def graph(servers: Servers) -> list[str]:
    """The LangGraph agent of the examples, whole: two questions in a conversation that a checkpointer keeps."""
    example = load_example("langgraph_agent")
    chat = ChatOpenAI(model=MODEL, base_url=servers.chat_url, api_key=servers.api_key, max_retries=0)
    guide = example.build(chat)
    return [example.answer(guide, question) for question in example.QUESTIONS]


# Retrieval


def rag_of(servers: Servers) -> Runnable[str, str]:
    """Make a chain that answers from notes; they are embedded here."""
    store = InMemoryVectorStore.from_texts(NOTES, embedding_model(servers))

    def joined(documents: list[Document]) -> str:
        return "\n\n".join(document.page_content for document in documents)

    prompt = ChatPromptTemplate.from_messages(
        [("system", "Answer from the notes, in one sentence."), ("user", "{notes}\n\nQuestion: {question}")]
    )
    found = {"notes": store.as_retriever(search_kwargs={"k": 2}) | joined, "question": RunnablePassthrough()}
    return found | prompt | chat_model(servers) | StrOutputParser()


def rag(servers: Servers) -> str:
    """Notes are embedded, two of them found by a question, and the question answered from them."""
    return rag_of(servers).invoke(PRICE)


async def rag_async(servers: Servers) -> str:
    """The question embedded and answered in a running loop."""
    return await rag_of(servers).ainvoke(PRICE)


def rag_stream(servers: Servers) -> list[str]:
    """The answer in pieces."""
    return list(rag_of(servers).stream(PRICE))


def rag_qdrant(servers: Servers) -> str:
    """The retrieval of the examples, whole: documents in Qdrant, the answer streamed."""
    example = load_example("rag_langchain")
    chat = ChatOpenAI(model=MODEL, base_url=servers.chat_url, api_key=servers.api_key, max_retries=0, stream_usage=True)
    answer: str = example.answer(chat, embedding_model(servers), example.QUESTION)
    return answer


NAMED = ("langchain>=1.1",)  # older agents don't tell the model their name

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(invoke, "langchain"),
        Scenario(ainvoke, "langchain"),
        Scenario(stream, "langchain"),
        Scenario(astream, "langchain"),
        Scenario(batch, "langchain"),
        Scenario(abatch, "langchain"),
        Scenario(fallback, "langchain"),
        Scenario(responses, "langchain", needs=("langchain-openai>=1.1.12",)),
        Scenario(error_401, "langchain", error=(openai.AuthenticationError,)),
        Scenario(structured_json_schema, "langchain"),
        Scenario(structured_function_calling, "langchain"),
        Scenario(bind_tools, "langchain"),
        Scenario(agent, "langchain", needs=NAMED),
        Scenario(agent_async, "langchain", needs=NAMED),
        Scenario(agent_stream, "langchain", needs=NAMED),
        # Before 3.11 a task can't be given a context, so the model doesn't learn that it is to stream.
        Scenario(agent_astream, "langchain", needs=NAMED, python=(3, 11)),
        Scenario(agent_tool_fails, "langchain", error=(LookupError,)),
        Scenario(graph, "langchain"),
        Scenario(rag, "langchain"),
        Scenario(rag_async, "langchain"),
        Scenario(rag_stream, "langchain"),
        Scenario(rag_qdrant, "langchain", needs=("langchain-qdrant",)),
    )
}
