"""Streams: when the first word came, what there was of one that is left, and whose spans lie between two chunks."""

from __future__ import annotations

import asyncio
import gc

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from autolog import StatusCode, autolog, start_span
from autolog.testing import spans, traces
from autolog_langchain.runs import runs
from tests.fakes import openai_answers as answers
from tests.fakes.langchain_models import Parrot, chat, says
from tests.fakes.openai_server import httpx, stream_answer
from tests.integrations.langchain.programs import chains, models
from tests.integrations.langchain.programs.program import Program, ask
from tests.trees import forest, the

pytest.importorskip("langchain_openai", reason="needs langchain-openai")

FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
has_v3 = pytest.mark.skipif(not hasattr(BaseChatModel, "stream_events"), reason="no stream_events")


def first_word_of(client, name="ChatOpenAI"):
    """Return when the first word came, in nanoseconds, as the event says; it must agree with the attribute."""
    span = the(client, name)
    [event] = [event for event in span.events if event.name == "gen_ai.first_token"]
    assert (event.timestamp_ns - span.start_time_ns) / 1e9 == span.get_attribute(FIRST_CHUNK)
    return event.timestamp_ns


def test_the_first_token_is_the_first_that_says_something(traced, server):
    stream = chat(server).stream("Hello")
    assert next(stream).content == ""
    with start_span("between"):
        pass
    assert next(stream).content == "Hello"
    with start_span("after"):
        pass
    list(stream)

    assert the(traced, "between").end_time_ns <= first_word_of(traced) <= the(traced, "after").start_time_ns


def test_the_first_token_of_an_async_stream_is_the_first_that_says_something(traced, server):
    async def read():
        return [chunk async for chunk in chat(server).astream("Hello")]

    asyncio.run(read())
    assert first_word_of(traced)


def test_the_first_token_of_a_stream_of_tool_calls_is_told(traced, server):
    models.tools_bound_and_streamed(server)

    assert first_word_of(traced)


def test_the_first_token_of_a_model_that_streams_by_itself_is_told(traced, server):
    models.model_that_streams_by_itself(server)

    assert first_word_of(traced)


def test_the_first_token_of_a_completion_is_told(traced, server):
    models.completion_streamed(server)

    assert first_word_of(traced, "OpenAI")


def test_an_answer_in_one_piece_has_no_first_token(traced, server):
    chat(server).invoke("Hello")

    assert the(traced, "ChatOpenAI").get_attribute(FIRST_CHUNK) is None


def test_a_stream_says_how_fast_it_was(traced, server):
    list(chat(server).stream("Hello"))

    assert the(traced, "ChatOpenAI").get_attribute("autolog.output_tokens_per_second") > 0


# --- what a stream says is what the answer in one piece says -----------------------------------------------------


@pytest.mark.parametrize("stream", ["stream", "astream"])
def test_a_stream_of_a_model_is_told_as_the_answer_in_one_piece(traced, server, stream):
    model = chat(server)
    model.invoke("Hello")
    asyncio.run(models.model_streamed_async(server)) if stream == "astream" else list(model.stream("Hello"))

    whole, streamed = (trace.root for trace in traces(traced))
    assert streamed.inputs["messages"] == whole.inputs["messages"]
    assert streamed.outputs["content"] == whole.outputs["content"] == "Hello there, world"
    assert streamed.get_attribute("gen_ai.response.finish_reasons") == ["stop"]
    assert streamed.get_attribute("gen_ai.response.model") == "gpt-4o-mini-2024-07-18"


@pytest.mark.parametrize("program", ["sequence_streamed", "sequence_streamed_async", "sequence_transforming_a_stream"])
def test_a_stream_of_a_sequence_has_the_real_input_and_the_whole_output(traced, program):
    Program(getattr(chains, program), "", is_parallel=False).play()

    [trace] = traces(traced)
    assert trace.root.inputs == chains.ASKED
    assert trace.root.outputs == "Hello there, world"
    assert the(traced, "ChatPromptTemplate").inputs == chains.ASKED
    assert the(traced, "StrOutputParser").outputs == "Hello there, world"


# --- streams that are left -----------------------------------------------------------------------------------------


def test_a_stream_of_a_model_that_is_left_keeps_what_was_said(traced, server):
    models.model_stream_that_is_left(server)

    span = the(traced, "ChatOpenAI")
    assert span.status.code is StatusCode.CANCELLED
    assert span.outputs["content"] == "Hello"
    assert [event.name for event in span.events] == ["gen_ai.first_token"]


def test_an_async_stream_of_a_model_that_is_left_keeps_what_was_said(traced, server):
    asyncio.run(models.model_stream_that_is_left_async(server))

    span = the(traced, "ChatOpenAI")
    assert span.status.code is StatusCode.CANCELLED
    assert span.outputs["content"] == "Hello"


def test_a_stream_of_a_sequence_that_is_left_keeps_what_the_model_said_later(traced, server):
    chains.sequence_stream_that_is_left(server)

    [trace] = traces(traced)
    assert trace.root.end_time_ns is not None
    assert the(traced, "ChatOpenAI").outputs["content"] == "Hello there, world"


def test_a_stream_that_is_dropped_unread_ends(traced, server):
    stream = chat(server).stream("Hello")
    next(stream)
    del stream
    gc.collect()

    assert len(runs) == 0
    assert [span.end_time_ns is not None for span in spans(traced)] == [True, True]


def test_a_stream_that_nobody_reads_is_no_call(traced, server):
    chat(server).stream("Hello")

    assert spans(traced) == []
    assert server.requests == []


def test_a_stream_that_breaks_off_is_an_error_with_what_was_said(client, server):
    chunks = [answers.chat_delta({"role": "assistant", "content": ""}), answers.chat_delta({"content": "Once"})]
    cut = stream_answer(chunks, is_done=False, error=httpx.ReadError("cut"))
    server.script(cut, cut)

    def read():
        with pytest.raises(Exception) as caught:
            list(chat(server).stream("Hello"))
        return type(caught.value), str(caught.value)

    untraced = read()
    autolog()

    assert read() == untraced
    span = the(client, "ChatOpenAI")
    assert span.status.code is StatusCode.ERROR
    assert span.outputs["content"] == "Once"


def test_a_task_that_is_cancelled_while_it_reads_a_stream_ends_its_spans(traced, server):
    async def read(reached):
        async for chunk in (ChatPromptTemplate.from_template("{q}") | chat(server) | StrOutputParser()).astream("Hi"):
            if chunk:
                reached.set()
                await asyncio.Event().wait()

    async def cancel():
        reached = asyncio.Event()
        task = asyncio.create_task(read(reached))
        await reached.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(cancel())

    assert len(runs) == 0
    assert [span.end_time_ns is not None for span in spans(traced)] == [True] * 5


# --- stream_events -------------------------------------------------------------------------------------------------

ONE = "OK 11>7\nCHAT_MODEL ChatOpenAI 11>7\n  CHAT_MODEL chat gpt-4o 11>7 (duplicate)"


@has_v3
@pytest.mark.filterwarnings("ignore:.*beta")
def test_events_of_the_third_version_are_the_same_and_tell_the_first_token(client, server):
    def read():
        return [event["event"] for event in chat(server).stream_events("Hello", version="v3")]

    untraced = read()
    autolog()

    assert read() == untraced
    assert forest(client) == ONE
    assert first_word_of(client)


@has_v3
@pytest.mark.filterwarnings("ignore:.*beta")
def test_async_events_of_the_third_version_are_the_same_and_tell_the_first_token(client, server):
    async def read():
        return [event["event"] async for event in await chat(server).astream_events("Hello", version="v3")]

    untraced = asyncio.run(read())
    autolog()

    assert asyncio.run(read()) == untraced
    assert forest(client) == ONE
    assert first_word_of(client)


@has_v3
@pytest.mark.filterwarnings("ignore:.*beta")
def test_the_text_of_events_of_the_third_version_is_what_the_model_answered(traced, server):
    assert str(chat(server).stream_events("Hello", version="v3").text) == "Hello there, world"

    span = the(traced, "ChatOpenAI")
    assert "Hello there, world" in str(span.outputs["content"])


# --- between two chunks --------------------------------------------------------------------------------------------


def test_what_the_program_does_between_two_chunks_is_its_own(traced, server):
    model = Parrot(says=[AIMessage("one two")])
    server.script(says("mine"), says("mine"))
    for chunk in (model | StrOutputParser()).stream("Hello"):
        if chunk:
            ask(server)

    roots = [trace.root.name for trace in traces(traced)]
    assert sorted(roots) == ["RunnableSequence", "chat gpt-4o", "chat gpt-4o"]


def test_two_streams_read_in_turns_do_not_mix(traced, server):
    chain = ChatPromptTemplate.from_template("{q}") | chat(server) | StrOutputParser()
    with start_span("request"):
        pairs = list(zip(chain.stream("a"), chain.stream("b")))

    assert len(pairs) > 4
    branch = (
        "  CHAIN RunnableSequence\n    PROMPT ChatPromptTemplate\n    CHAT_MODEL ChatOpenAI{}\n"
        "      CHAT_MODEL chat gpt-4o{} (duplicate)\n    PARSER StrOutputParser"
    )
    drawn = forest(traced)
    assert drawn.startswith("OK 22>14\nUNKNOWN request\n")
    assert drawn.count(branch.format(" 11>7", " 11>7")) == 2
