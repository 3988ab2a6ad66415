"""A model call that LangChain and the SDK both report is one call: `duplicates` says what becomes of the SDK's span."""

from __future__ import annotations

import asyncio

import pytest

import autolog
from autolog.testing import traces
from tests.fakes.langchain_models import chat, embeddings, says
from tests.integrations.langchain.programs.program import ask
from tests.trees import forest, the

pytest.importorskip("langchain_openai", reason="needs langchain-openai")

NEST = "OK 11>7\nCHAT_MODEL ChatOpenAI 11>7\n  CHAT_MODEL chat gpt-4o 11>7 (duplicate)"
ALONE = "OK 11>7\nCHAT_MODEL ChatOpenAI 11>7"


async def collected(stream):
    return [chunk async for chunk in stream]


WAYS = {
    "invoke": lambda model: model.invoke("Hello"),
    "ainvoke": lambda model: asyncio.run(model.ainvoke("Hello")),
    "stream": lambda model: list(model.stream("Hello")),
    "astream": lambda model: asyncio.run(collected(model.astream("Hello"))),
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@each_way
@pytest.mark.parametrize(("duplicates", "drawn"), [("nest", NEST), ("merge", ALONE), ("drop", ALONE)])
def test_a_call_counts_once(client, server, way, duplicates, drawn):
    autolog.autolog(duplicates=duplicates)
    way(chat(server))

    assert forest(client) == drawn
    [trace] = traces(client)
    assert (trace.usage.input_tokens, trace.usage.output_tokens, trace.usage.total_tokens) == (11, 7, 18)


@each_way
def test_what_only_the_sdk_knows_is_merged_into_the_span_of_langchain(client, server, way):
    server.script(429)
    autolog.autolog(duplicates="merge")
    way(chat(server, max_retries=1))

    span = the(client, "ChatOpenAI")
    assert forest(client) == ALONE
    assert span.get_attribute("http.request.resend_count") == 1
    assert span.get_attribute("http.response.status_code") == 200
    assert "retry" in [event.name for event in span.events]
    assert span.get_attribute("autolog.duplicate_of") is None


@each_way
def test_usage_that_only_the_sdk_knows_is_merged(client, server, way):
    autolog.autolog(duplicates="merge")
    autolog.openai(inject_stream_usage=True)
    try:
        way(chat(server, stream_usage=False))
    finally:
        autolog.openai(inject_stream_usage=False)

    assert forest(client) == ALONE


@pytest.mark.parametrize("duplicates", ["nest", "merge", "drop"])
def test_a_batch_counts_each_call_once(client, server, duplicates):
    autolog.autolog(duplicates=duplicates)
    with autolog.start_span("request"):
        chat(server).batch(["one", "two", "three"])

    [trace] = traces(client)
    assert (trace.usage.input_tokens, trace.usage.output_tokens) == (33, 21)
    assert len(trace.spans) == (7 if duplicates == "nest" else 4)


@pytest.mark.parametrize(
    ("duplicates", "drawn"),
    [
        ("nest", "  EMBEDDING embeddings text-embedding-ada-002 5>None (duplicate)"),
        ("merge", None),
    ],
)
def test_an_embedding_counts_once(client, server, duplicates, drawn):
    autolog.autolog(duplicates=duplicates)
    embeddings(server).embed_query("one")

    lines = ["OK 5>None", "EMBEDDING OpenAIEmbeddings.embed_query 5>None", *([drawn] if drawn else [])]
    assert forest(client) == "\n".join(lines)


@pytest.mark.parametrize("duplicates", ["merge", "drop"])
def test_a_call_of_the_programs_own_is_no_duplicate(client, server, duplicates):
    from langchain_core.runnables import RunnableLambda

    autolog.autolog(duplicates=duplicates)
    (RunnableLambda(lambda x: ask(server), name="own") | chat(server)).invoke("Hello")

    assert forest(client) == (
        "OK 22>14\nCHAIN RunnableSequence\n  CHAIN own\n    CHAT_MODEL chat gpt-4o 11>7\n  CHAT_MODEL ChatOpenAI 11>7"
    )


@pytest.mark.parametrize("duplicates", ["nest", "merge", "drop"])
def test_a_failed_call_is_told_by_the_span_of_langchain(client, server, duplicates):
    server.script(400)
    autolog.autolog(duplicates=duplicates)
    with pytest.raises(Exception):
        chat(server).invoke("Hello")

    span = the(client, "ChatOpenAI")
    assert span.status.is_error
    assert "400" in span.status.description
    assert [len(trace.spans) for trace in traces(client)] == [2 if duplicates == "nest" else 1]


@pytest.mark.parametrize("duplicates", ["nest", "merge", "drop"])
def test_the_program_gets_the_same_whatever_becomes_of_duplicates(client, server, duplicates):
    model = chat(server)
    server.script(says("one two"), says("one two"))
    untraced = [chunk.content for chunk in model.stream("Hello")]
    autolog.autolog(duplicates=duplicates)

    assert [chunk.content for chunk in model.stream("Hello")] == untraced
    assert server.requests[0].content == server.requests[1].content


@pytest.mark.parametrize("only", ["openai", "langchain"])
def test_each_integration_works_alone(client, server, only):
    autolog.autolog(only)
    chat(server).invoke("Hello")

    name = "chat gpt-4o" if only == "openai" else "ChatOpenAI"
    assert forest(client) == f"OK 11>7\nCHAT_MODEL {name} 11>7"
