"""However a stream is read, left or broken off: one span, ended once, with what came."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import subprocess
import sys
import threading
import weakref

import openai
import pytest
from openai import resources

from autolog import Client, StatusCode, autolog, context, get_current_active_span, start_span
from autolog.testing import spans, traces
from tests.fakes import openai_answers as answers
from tests.fakes.openai_server import FakeOpenAI, Gate, httpx, json_answer, stream_answer

HELLO = [{"role": "user", "content": "Hello"}]
CHAT = {"model": "gpt-4o", "messages": HELLO, "stream": True}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]

needs_responses = pytest.mark.skipif(not hasattr(openai.OpenAI, "responses"), reason="no Responses API")
needs_stream_method = pytest.mark.skipif(
    not hasattr(resources.chat.Completions, "stream"), reason="no chat.completions.stream"
)
needs_with = pytest.mark.skipif(not hasattr(openai.Stream, "__enter__"), reason="streams are no context managers")
closes_on_error = pytest.mark.skipif(
    openai.__version__.startswith("1."), reason="a stream that failed stays open until it is dropped"
)


def text_of(span):
    return span.outputs["choices"][0]["message"].get("content")


# --- read to the end -------------------------------------------------------------------------------------


def test_a_stream_read_to_its_end_is_one_whole_span(traced, openai_client):
    for _ in openai_client.chat.completions.create(**CHAT):
        pass

    [span] = spans(traced)
    assert text_of(span) == answers.TEXT
    assert span.status.code is StatusCode.OK
    assert span.get_attribute("gen_ai.response.finish_reasons") == ["stop"]
    assert span.get_attribute("gen_ai.response.model") == answers.MODEL
    assert span.get_attribute("autolog.stream.completed") is True
    assert span.get_attribute("gen_ai.response.time_to_first_chunk") > 0
    [first] = [event for event in span.events if event.name == "gen_ai.first_token"]
    assert span.start_time_ns < first.timestamp_ns <= span.end_time_ns


@pytest.mark.asyncio
async def test_an_async_stream_read_to_its_end_is_one_whole_span(traced, async_client):
    async for _ in await async_client.chat.completions.create(**CHAT):
        pass

    [span] = spans(traced)
    assert text_of(span) == answers.TEXT
    assert span.status.code is StatusCode.OK
    assert span.get_attribute("gen_ai.response.finish_reasons") == ["stop"]
    assert span.get_attribute("autolog.stream.completed") is True
    assert span.get_attribute("gen_ai.response.time_to_first_chunk") > 0


def test_the_span_ends_after_the_last_chunk(traced, openai_client):
    stream = openai_client.chat.completions.create(**CHAT)
    with start_span("between") as between:
        for _ in stream:
            pass

    model, between = sorted(spans(traced), key=lambda span: span.name != "chat gpt-4o")
    assert between.name == "between"
    assert model.start_time_ns < between.start_time_ns < model.end_time_ns


@needs_stream_method
def test_the_stream_helper_gives_one_span_and_its_final_completion(traced, openai_client):
    with openai_client.chat.completions.stream(model="gpt-4o", messages=HELLO) as stream:
        completion = stream.get_final_completion()

    assert completion.choices[0].message.content == answers.TEXT
    [span] = spans(traced)
    assert text_of(span) == answers.TEXT


@needs_stream_method
@pytest.mark.asyncio
async def test_the_async_stream_helper_gives_one_span_and_its_final_completion(traced, async_client):
    async with async_client.chat.completions.stream(model="gpt-4o", messages=HELLO) as stream:
        completion = await stream.get_final_completion()

    assert completion.choices[0].message.content == answers.TEXT
    [span] = spans(traced)
    assert text_of(span) == answers.TEXT


@needs_stream_method
@pytest.mark.asyncio
async def test_an_async_stream_helper_that_is_never_entered_makes_no_span(traced, async_client):
    manager = async_client.chat.completions.stream(model="gpt-4o", messages=HELLO)
    for value in vars(manager).values():
        if asyncio.iscoroutine(value):
            value.close()

    assert spans(traced) == []


def test_a_stream_of_the_legacy_completions_is_one_whole_span(traced, openai_client):
    for _ in openai_client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Hello", stream=True):
        pass

    [span] = spans(traced)
    assert span.outputs["choices"][0]["text"] == answers.TEXT
    assert span.get_attribute("gen_ai.response.finish_reasons") == ["stop"]


@pytest.mark.parametrize("size", [1, 7, 64, 1_000_000])
def test_how_the_network_cuts_a_stream_makes_no_difference(traced, server, openai_client, size):
    server.script(stream_answer(answers.chat_stream({"tools": TOOLS}), piece_size=size))
    for _ in openai_client.chat.completions.create(tools=TOOLS, **CHAT):
        pass

    [span] = spans(traced)
    calls = span.outputs["choices"][0]["message"]["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == ['{"city": "Paris"}', '{"city": "Rome"}']
    assert span.get_attribute("autolog.stream.completed") is True


# --- left early ------------------------------------------------------------------------------------------


@needs_with
def test_a_stream_left_in_its_with_block_ends_at_once_and_keeps_what_was_read(traced, openai_client):
    with openai_client.chat.completions.create(**CHAT) as stream:
        for chunk in stream:
            if chunk.choices[0].delta.content == " there":
                break

    [span] = spans(traced)
    assert stream is not None
    assert span.end_time_ns is not None
    assert text_of(span) == "Hello there"
    assert span.status.code is StatusCode.OK
    assert span.get_attribute("autolog.stream.completed") is False
    assert traced.stats().open == 0


@needs_with
@pytest.mark.asyncio
async def test_an_async_stream_left_in_its_with_block_ends_at_once_and_keeps_what_was_read(traced, async_client):
    async with await async_client.chat.completions.create(**CHAT) as stream:
        async for chunk in stream:
            if chunk.choices[0].delta.content == " there":
                break

    [span] = spans(traced)
    assert stream is not None
    assert span.end_time_ns is not None
    assert text_of(span) == "Hello there"
    assert span.status.code is StatusCode.OK
    assert span.get_attribute("autolog.stream.completed") is False


@needs_stream_method
def test_a_stream_helper_left_early_ends_at_once_and_keeps_what_was_read(traced, openai_client):
    with openai_client.chat.completions.stream(model="gpt-4o", messages=HELLO) as stream:
        for event in stream:
            if event.type == "content.delta" and event.delta == " there":
                break

    [span] = spans(traced)
    assert stream is not None
    assert span.end_time_ns is not None
    assert text_of(span) == "Hello there"
    assert span.get_attribute("autolog.stream.completed") is False


@needs_stream_method
@pytest.mark.asyncio
async def test_an_async_stream_helper_left_early_ends_at_once_and_keeps_what_was_read(traced, async_client):
    async with async_client.chat.completions.stream(model="gpt-4o", messages=HELLO) as stream:
        async for event in stream:
            if event.type == "content.delta" and event.delta == " there":
                break

    [span] = spans(traced)
    assert stream is not None
    assert span.end_time_ns is not None
    assert text_of(span) == "Hello there"


@needs_responses
def test_a_responses_stream_left_early_ends_at_once_and_keeps_what_was_read(traced, openai_client):
    with openai_client.responses.stream(model="gpt-4o", input="Hello") as stream:
        for event in stream:
            if event.type == "response.output_text.delta" and event.delta == " there":
                break

    [span] = spans(traced)
    assert stream is not None
    assert span.end_time_ns is not None
    assert span.outputs["output"][0]["content"][0]["text"] == "Hello there"
    assert span.get_attribute("autolog.stream.completed") is False
    assert span.usage is None


@needs_responses
@pytest.mark.asyncio
async def test_an_async_responses_stream_left_early_ends_at_once_and_keeps_what_was_read(traced, async_client):
    async with async_client.responses.stream(model="gpt-4o", input="Hello") as stream:
        async for event in stream:
            if event.type == "response.output_text.delta" and event.delta == " there":
                break

    [span] = spans(traced)
    assert stream is not None
    assert span.end_time_ns is not None
    assert span.outputs["output"][0]["content"][0]["text"] == "Hello there"


def test_a_stream_that_is_left_and_taken_up_again_is_one_whole_span(traced, openai_client):
    stream = openai_client.chat.completions.create(**CHAT)
    for chunk in stream:
        if chunk.choices[0].delta.content == "Hello":
            break
    [span] = spans(traced)
    assert span.end_time_ns is None
    for _ in stream:
        pass

    [span] = spans(traced)
    assert text_of(span) == answers.TEXT
    assert span.get_attribute("autolog.stream.completed") is True


@pytest.mark.asyncio
async def test_an_async_stream_that_is_left_and_taken_up_again_is_one_whole_span(traced, async_client):
    stream = await async_client.chat.completions.create(**CHAT)
    async for chunk in stream:
        if chunk.choices[0].delta.content == "Hello":
            break
    async for _ in stream:
        pass

    [span] = spans(traced)
    assert text_of(span) == answers.TEXT


def test_a_stream_read_by_next_alone_is_one_whole_span(traced, openai_client):
    stream = openai_client.chat.completions.create(**CHAT)
    while next(stream, None) is not None:
        pass

    [span] = spans(traced)
    assert text_of(span) == answers.TEXT
    assert span.end_time_ns is not None


@pytest.mark.parametrize("pulled", [0, 1, 3])
def test_closing_a_stream_ends_the_span(traced, openai_client, pulled):
    stream = openai_client.chat.completions.create(**CHAT)
    for _ in range(pulled):
        next(stream)
    (stream.close if hasattr(stream, "close") else stream.response.close)()

    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert span.get_attribute("autolog.stream.completed") is False


def test_closing_the_http_response_of_a_stream_ends_the_span(traced, openai_client):
    stream = openai_client.chat.completions.create(**CHAT)
    next(stream)
    stream.response.close()

    [span] = spans(traced)
    assert span.end_time_ns is not None


@pytest.mark.asyncio
@pytest.mark.parametrize("close", ["close", "aclose", "response"])
async def test_closing_an_async_stream_ends_the_span(traced, async_client, close):
    stream = await async_client.chat.completions.create(**CHAT)
    await stream.__anext__()
    if close != "response" and not hasattr(stream, close):
        pytest.skip(f"no AsyncStream.{close}")
    await (stream.response.aclose if close == "response" else getattr(stream, close))()

    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert span.get_attribute("autolog.stream.completed") is False


def test_closing_twice_ends_the_span_once(traced, openai_client):
    stream = openai_client.chat.completions.create(**CHAT)
    next(stream)
    stream.response.close()
    [before] = spans(traced)
    stream.response.close()

    [after] = spans(traced)
    assert after == before


def test_a_raw_response_that_is_never_parsed_ends_when_it_is_closed(traced, openai_client):
    raw = openai_client.chat.completions.with_raw_response.create(**CHAT)
    raw.http_response.close()

    [span] = spans(traced)
    assert span.end_time_ns is not None


# --- dropped, kept ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("pulled", [0, 2])
def test_a_stream_that_is_dropped_ends_when_it_is_collected(traced, openai_client, pulled):
    stream = openai_client.chat.completions.create(**CHAT)
    for _ in range(pulled):
        next(stream)
    del stream
    gc.collect()

    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert span.status.code is StatusCode.OK
    assert traced.stats().open == 0


def test_a_stream_that_is_dropped_ends_even_if_it_was_seen_while_it_ran(traced, openai_client):
    stream = openai_client.chat.completions.create(**CHAT)
    next(stream)
    assert traced.flush()
    del stream
    gc.collect()

    [span] = spans(traced)
    assert span.end_time_ns is not None


def test_a_stream_that_is_dropped_while_an_exception_is_handled_ends_when_it_is_collected(traced, openai_client):
    def fall_back():
        try:
            raise KeyError("older")
        except KeyError:
            stream = openai_client.chat.completions.create(**CHAT)
            next(stream)

    fall_back()
    gc.collect()

    [span] = spans(traced)
    assert span.end_time_ns is not None


@pytest.mark.parametrize("is_raw", [False, True])
def test_a_stream_that_broke_off_and_is_dropped_ends_with_its_error(traced, server, openai_client, is_raw):
    """Some versions of the SDK do not close the response then, nor does whoever reads its bytes alone."""

    def read():
        events = answers.chat_stream({})[:3]
        server.script(stream_answer(events, is_done=False, error=httpx.ReadError("broken off")))
        stream = openai_client.chat.completions.create(**CHAT)
        with pytest.raises((openai.APIConnectionError, httpx.ReadError)):
            list(stream.response.iter_bytes() if is_raw else stream)

    read()
    gc.collect()

    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert span.status.code is StatusCode.ERROR
    assert text_of(span) == "Hello there"


@pytest.mark.asyncio
async def test_an_async_stream_that_is_dropped_ends_when_it_is_collected(traced, async_client):
    stream = await async_client.chat.completions.create(**CHAT)
    await stream.__anext__()
    del stream
    for _ in range(10):  # the loop closes what was collected, one generator inside another
        gc.collect()
        await asyncio.sleep(0)

    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert traced.stats().open == 0


def test_tracing_does_not_keep_a_response_alive(client, openai_client):
    def watched():
        stream = openai_client.chat.completions.create(**CHAT)
        next(stream)
        return weakref.ref(stream.response)

    autolog()
    reference = watched()
    gc.collect()

    assert reference() is None


def test_a_stream_that_is_kept_is_seen_in_progress(traced, openai_client):
    stream = openai_client.chat.completions.create(**CHAT)
    next(stream)
    next(stream)
    assert traced.flush()

    [span] = spans(traced)
    assert span.end_time_ns is None
    assert span.status.code is StatusCode.UNSET
    assert span.inputs["messages"] == HELLO
    assert stream is not None


AT_EXIT = """
import sys
import autolog
from tests.fakes.openai_server import FakeOpenAI

autolog.autolog(store=sys.argv[1])
openai = FakeOpenAI().client()
stream = openai.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hello"}], stream=True)
for chunk in stream:
    if chunk.choices[0].delta.content == " there":
        break
"""


def test_a_stream_that_is_kept_until_the_interpreter_exits_is_ended_and_stored(tmp_path):
    store = tmp_path / "traces.db"
    path = os.pathsep.join(entry for entry in sys.path if entry)
    result = subprocess.run(
        [sys.executable, "-c", AT_EXIT, str(store)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0
    assert "autolog" not in result.stderr  # the SDK itself complains of its own open generator
    reader = Client(str(store))
    [span] = spans(reader)
    reader.close()
    assert span.end_time_ns is not None
    assert text_of(span) == "Hello there"
    assert span.get_attribute("autolog.stream.completed") is False


COLLECTED_ANYWHERE = """
import faulthandler, gc, sys, threading
import autolog
from autolog.settings import Settings
from autolog.testing import fresh_client
from tests.fakes.openai_server import FakeOpenAI

faulthandler.dump_traceback_later(20, exit=True)
with fresh_client(flush_interval=0.0) as client:
    autolog.autolog()
    openai = FakeOpenAI().client()
    gc.set_threshold(1)  # a collection at nearly every allocation, in whichever thread that is
    for _ in range(300):
        next(openai.chat.completions.create(model="m", messages=[], stream=True))
    while client.stats().open:  # does nothing while another thread collects
        gc.collect()
    assert client.flush()
    assert client.stats().stored == 300, client.stats()
"""


def test_streams_may_be_collected_at_any_moment_in_any_thread():
    """A finalizer runs wherever the collector runs: also inside our own worker, while it holds its locks."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    result = subprocess.run(
        [sys.executable, "-c", COLLECTED_ANYWHERE],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.returncode, result.stderr) == (0, "")


# --- broken off ------------------------------------------------------------------------------------------


def type_raised_by(read, *arguments):
    """What `read` raises. The exception itself is let go of, for old versions leave a broken response open."""
    try:
        read(*arguments)
    except Exception as error:
        return f"{type(error).__module__.partition('.')[0]}.{type(error).__qualname__}"
    raise AssertionError("it did not fail")


@pytest.mark.parametrize("name", ["ReadError", "ReadTimeout", "RemoteProtocolError"])
def test_a_stream_that_breaks_off_fails_with_the_programs_exception(traced, server, openai_client, name):
    def read():
        for _ in openai_client.chat.completions.create(**CHAT):
            pass

    broken = getattr(httpx, name)
    server.script(stream_answer(answers.chat_stream({})[:3], is_done=False, error=broken("broken off")))
    kind = type_raised_by(read)
    gc.collect()

    [span] = spans(traced)
    assert span.status.code is StatusCode.ERROR
    assert span.get_attribute("error.type") == kind
    assert text_of(span) == "Hello there"
    assert span.get_attribute("autolog.stream.completed") is False
    assert span.get_attribute("autolog.stream.consumer_error") is None
    assert [event.name for event in span.events].count("exception") == 1


@pytest.mark.parametrize("name", ["ReadError", "ReadTimeout", "RemoteProtocolError"])
def test_an_async_stream_that_breaks_off_fails_with_the_programs_exception(traced, server, name):
    async def read():
        async for _ in await server.async_client().chat.completions.create(**CHAT):
            pass

    broken = getattr(httpx, name)
    server.script(stream_answer(answers.chat_stream({})[:3], is_done=False, error=broken("broken off")))
    kind = type_raised_by(lambda: asyncio.run(read()))
    gc.collect()

    [span] = spans(traced)
    assert span.status.code is StatusCode.ERROR
    assert span.get_attribute("error.type") == kind
    assert text_of(span) == "Hello there"
    assert span.get_attribute("autolog.stream.consumer_error") is None


ERROR_EVENT = {"error": {"message": "the server exploded", "type": "server_error", "code": "boom"}}


def test_an_error_that_the_server_sends_inside_the_stream_fails_the_span(traced, server, openai_client):
    server.script(stream_answer([*answers.chat_stream({})[:3], ERROR_EVENT], is_done=False))
    stream = openai_client.chat.completions.create(**CHAT)
    with pytest.raises(openai.APIError):
        for _ in stream:
            pass
    stream.response.close()

    [span] = spans(traced)
    assert span.status.code is StatusCode.ERROR
    assert "exploded" in span.status.description or "streaming" in span.status.description
    assert text_of(span) == "Hello there"


@closes_on_error
def test_an_error_inside_the_stream_is_recorded_as_the_programs_exception(traced, server, openai_client):
    server.script(stream_answer([*answers.chat_stream({})[:3], ERROR_EVENT], is_done=False))
    with pytest.raises(openai.APIError):
        for _ in openai_client.chat.completions.create(**CHAT):
            pass

    [span] = spans(traced)
    assert span.get_attribute("error.type") == "openai.APIError"
    assert span.get_attribute("autolog.error.code") == "boom"
    [event] = [event for event in span.events if event.name == "exception"]
    assert event.attributes["exception.message"] == "the server exploded"


@closes_on_error
@pytest.mark.asyncio
async def test_an_error_inside_the_async_stream_is_recorded_as_the_programs_exception(traced, server, async_client):
    server.script(stream_answer([*answers.chat_stream({})[:3], ERROR_EVENT], is_done=False))
    with pytest.raises(openai.APIError):
        async for _ in await async_client.chat.completions.create(**CHAT):
            pass

    [span] = spans(traced)
    assert span.get_attribute("error.type") == "openai.APIError"
    assert text_of(span) == "Hello there"


def test_a_stream_that_ends_without_its_end_is_still_recorded(traced, server, openai_client):
    server.script(stream_answer(answers.chat_stream({})[:3], is_done=False))
    for _ in openai_client.chat.completions.create(**CHAT):
        pass

    [span] = spans(traced)
    assert text_of(span) == "Hello there"
    assert span.end_time_ns is not None


# --- the program's own mistakes --------------------------------------------------------------------------


@needs_with
def test_an_exception_of_the_program_ends_the_span_and_is_not_the_models(traced, openai_client):
    with pytest.raises(KeyError), openai_client.chat.completions.create(**CHAT) as stream:
        for _ in stream:
            raise KeyError("mine")

    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert span.status.code is StatusCode.OK
    assert span.get_attribute("error.type") is None
    assert span.get_attribute("autolog.stream.consumer_error") == "KeyError"


@needs_with
@pytest.mark.asyncio
async def test_an_exception_of_the_program_ends_the_async_span_and_is_not_the_models(traced, async_client):
    with pytest.raises(KeyError):
        async with await async_client.chat.completions.create(**CHAT) as stream:
            async for _ in stream:
                raise KeyError("mine")

    [span] = spans(traced)
    assert span.status.code is StatusCode.OK
    assert span.get_attribute("autolog.stream.consumer_error") == "KeyError"


@needs_stream_method
def test_an_exception_of_the_program_inside_the_stream_helper_is_not_the_models(traced, openai_client):
    with (
        pytest.raises(KeyError),
        openai_client.chat.completions.stream(model="gpt-4o", messages=HELLO) as stream,
    ):
        for _ in stream:
            raise KeyError("mine")

    [span] = spans(traced)
    assert span.status.code is StatusCode.OK
    assert span.get_attribute("autolog.stream.consumer_error") == "KeyError"


@needs_with
def test_a_stream_that_breaks_off_inside_the_loop_of_another_fails_alone(traced, server, openai_client):
    broken = httpx.ReadError("broken off")
    whole = stream_answer(answers.chat_stream({}))
    server.script(whole, stream_answer(answers.chat_stream({})[:3], is_done=False, error=broken))
    with (
        pytest.raises((openai.APIConnectionError, httpx.ReadError)),
        openai_client.chat.completions.create(**{**CHAT, "model": "outer"}) as outer,
    ):
        for _ in outer:
            with openai_client.chat.completions.create(**{**CHAT, "model": "inner"}) as inner:
                for _ in inner:
                    pass

    found = {span.name: span for span in spans(traced)}
    assert found["chat inner"].status.code is StatusCode.ERROR
    assert found["chat outer"].status.code is StatusCode.OK
    assert found["chat outer"].get_attribute("autolog.stream.consumer_error").endswith("Error")


def test_a_stream_read_while_the_program_handles_an_older_exception_has_no_error(traced, openai_client):
    try:
        raise KeyError("older")
    except KeyError:
        for _ in openai_client.chat.completions.create(**CHAT):
            pass

    [span] = spans(traced)
    assert span.status.code is StatusCode.OK
    assert text_of(span) == answers.TEXT
    assert span.get_attribute("autolog.stream.consumer_error") is None


@pytest.mark.asyncio
async def test_an_async_stream_read_while_the_program_handles_an_older_exception_has_no_error(traced, async_client):
    try:
        raise KeyError("older")
    except KeyError:
        async for _ in await async_client.chat.completions.create(**CHAT):
            pass

    [span] = spans(traced)
    assert span.status.code is StatusCode.OK
    assert span.get_attribute("autolog.stream.consumer_error") is None


def test_a_stream_read_as_a_fallback_for_a_failed_call_does_not_fail_with_it(traced, server, openai_client):
    server.script(400)
    try:
        openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)
    except openai.BadRequestError:
        for _ in openai_client.chat.completions.create(**CHAT):
            pass

    failed, fallback = spans(traced)
    assert failed.status.code is StatusCode.ERROR
    assert fallback.status.code is StatusCode.OK
    assert fallback.get_attribute("autolog.stream.consumer_error") is None


# --- cancelled -------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_task_cancelled_while_it_waits_for_a_chunk_ends_the_span(traced, server, async_client):
    gate = Gate()
    server.script(stream_answer(answers.chat_stream({}), gate=gate, gate_at=3))

    async def read():
        async for _ in await async_client.chat.completions.create(**CHAT):
            pass

    task = asyncio.create_task(read())
    await gate.reached.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    del task
    for _ in range(500):
        gc.collect()  # some versions leave the response open
        await asyncio.sleep(
            0.01
        )  # and asyncio closes what reads it, one in the other, in tasks that wait for the socket
        if spans(traced)[0].end_time_ns is not None:
            break
    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert span.status.code is StatusCode.CANCELLED
    assert span.get_attribute("error.type").endswith("CancelledError")
    assert span.get_attribute("autolog.stream.consumer_error") is None
    assert text_of(span) == "Hello there"


@needs_with
@pytest.mark.asyncio
async def test_a_task_cancelled_between_two_chunks_ends_the_span(traced, async_client):
    reached = asyncio.Event()

    async def read():
        async with await async_client.chat.completions.create(**CHAT) as stream:
            async for _ in stream:
                reached.set()
                await asyncio.Event().wait()

    task = asyncio.create_task(read())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert span.get_attribute("autolog.stream.completed") is False
    assert span.get_attribute("autolog.stream.consumer_error") == "CancelledError"


# --- what chunks are made of -----------------------------------------------------------------------------


def read(server, client, events, **arguments):
    server.script(stream_answer(events))
    return list(client.chat.completions.create(**{**CHAT, **arguments}))


def test_interleaved_pieces_of_parallel_tool_calls_are_put_together(traced, openai_client):
    for _ in openai_client.chat.completions.create(tools=TOOLS, **CHAT):
        pass

    [span] = spans(traced)
    [choice] = span.outputs["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert [(call["id"], call["type"], call["function"]) for call in choice["message"]["tool_calls"]] == [
        ("call_0", "function", {"name": "weather", "arguments": '{"city": "Paris"}'}),
        ("call_1", "function", {"name": "weather", "arguments": '{"city": "Rome"}'}),
    ]


def test_choices_are_put_together_one_by_one(traced, openai_client):
    for _ in openai_client.chat.completions.create(n=2, **CHAT):
        pass

    [span] = spans(traced)
    assert [choice["message"]["content"] for choice in span.outputs["choices"]] == [answers.TEXT] * 2
    assert span.get_attribute("gen_ai.response.finish_reasons") == ["stop", "stop"]


def test_every_kind_of_delta_is_put_together(traced, server, openai_client):
    deltas = [
        {"role": "assistant", "refusal": "I can"},
        {"refusal": "not"},
        {"function_call": {"name": "weather", "arguments": '{"ci'}},
        {"function_call": {"arguments": 'ty"}'}},
        {"audio": {"id": "audio_1", "transcript": "Hel"}},
        {"audio": {"transcript": "lo"}},
        {"tool_calls": [{"index": 0, "id": "call_0", "type": "custom", "custom": {"name": "sql", "input": "select"}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": " 1"}}]},
        {"reasoning_content": "Let me"},
        {"reasoning_content": " think"},
    ]
    logprobs = {"content": [{"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}], "refusal": None}
    events = [answers.chat_delta(delta) for delta in deltas]
    for event in events[:2]:
        event["choices"][0]["logprobs"] = logprobs
    read(server, openai_client, [*events, answers.chat_delta({}, finish_reason="stop")])

    [span] = spans(traced)
    [choice] = span.outputs["choices"]
    message = choice["message"]
    assert message["role"] == "assistant"
    assert message["refusal"] == "I cannot"
    assert message["function_call"] == {"name": "weather", "arguments": '{"city"}'}
    assert message["audio"]["id"] == "audio_1"
    assert message["audio"]["transcript"] == "Hello"
    assert message["tool_calls"][0]["custom"] == {"name": "sql", "input": "select 1"}
    assert message["reasoning_content"] == "Let me think"
    assert len(choice["logprobs"]["content"]) == 2


@needs_stream_method
@pytest.mark.parametrize("arguments", [{}, {"tools": TOOLS}, {"n": 2}], ids=["text", "tools", "choices"])
def test_chunks_are_put_together_as_the_sdk_itself_does(traced, openai_client, arguments):
    with openai_client.chat.completions.stream(model="gpt-4o", messages=HELLO, **arguments) as stream:
        completion = stream.get_final_completion()

    [span] = spans(traced)
    for choice, expected in zip(span.outputs["choices"], completion.choices, strict=True):
        assert choice["finish_reason"] == expected.finish_reason
        assert choice["message"].get("content") == expected.message.content
        calls = choice["message"].get("tool_calls") or []
        for call, wanted in zip(calls, expected.message.tool_calls or [], strict=True):
            assert (call["id"], call["function"]["name"]) == (wanted.id, wanted.function.name)
            assert call["function"]["arguments"] == wanted.function.arguments


def test_chunks_of_azures_filters_and_empty_ones_change_nothing(traced, server, openai_client):
    events = answers.chat_stream({})
    azure = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}
    asynchronous = {"id": "", "object": "", "created": 0, "model": "", "choices": [{"index": 0, "finish_reason": None}]}
    asynchronous["choices"][0]["content_filter_results"] = {"hate": {"filtered": False, "severity": "safe"}}
    padded = [{**event, "obfuscation": "x" * 16} for event in events]
    chunks = read(server, openai_client, [azure, *padded, asynchronous])

    assert len(chunks) == len(events) + 2
    [span] = spans(traced)
    assert text_of(span) == answers.TEXT
    assert span.get_attribute("gen_ai.response.model") == answers.MODEL
    assert span.get_attribute("gen_ai.response.id") == "chatcmpl-1"
    assert span.get_attribute("gen_ai.response.finish_reasons") == ["stop"]
    assert span.outputs["object"] == "chat.completion"
    assert "obfuscation" not in span.outputs


# --- usage -----------------------------------------------------------------------------------------------


def test_usage_that_was_asked_for_is_recorded(traced, openai_client):
    chunks = list(openai_client.chat.completions.create(extra_body={"stream_options": {"include_usage": True}}, **CHAT))

    assert chunks[-1].choices == []
    [span] = spans(traced)
    assert span.usage.input_tokens == 11
    assert span.usage.output_tokens == 7
    assert span.usage.cache_read_tokens == 3
    assert text_of(span) == answers.TEXT


def test_usage_that_was_not_asked_for_is_unknown_and_not_zero(traced, server, openai_client):
    for _ in openai_client.chat.completions.create(**CHAT):
        pass

    assert "stream_options" not in server.requests[0].body
    [span] = spans(traced)
    assert span.usage is None


@pytest.fixture
def injected(client):
    autolog.openai(inject_stream_usage=True)
    yield client
    autolog.openai(inject_stream_usage=False)


@pytest.mark.parametrize("size", [None, 1, 50, 1_000_000])
@pytest.mark.parametrize("arguments", [{}, {"n": 2}, {"tools": TOOLS}], ids=["text", "choices", "tools"])
def test_injected_usage_is_recorded_and_the_program_sees_the_same_chunks(client, server, arguments, size):
    server.script(stream_answer(answers.chat_stream(arguments), piece_size=size))
    without = list(server.client().chat.completions.create(**CHAT, **arguments))
    autolog.openai(inject_stream_usage=True)
    asked = {**arguments, "stream_options": {"include_usage": True}}
    server.script(stream_answer(answers.chat_stream(asked), piece_size=size))

    assert list(server.client().chat.completions.create(**CHAT, **arguments)) == without
    assert [chunk.model_dump_json(exclude_unset=True) for chunk in without]
    assert server.requests[1].body["stream_options"] == {"include_usage": True}
    [span] = spans(client)
    assert span.usage.total_tokens == 18
    assert "stream_options" not in span.inputs
    autolog.openai(inject_stream_usage=False)


def test_with_injected_usage_the_fields_of_each_chunk_are_those_without(client, server):
    without = list(server.client().chat.completions.create(**CHAT))
    autolog.openai(inject_stream_usage=True)
    chunks = list(server.client().chat.completions.create(**CHAT))

    assert [chunk.model_dump(exclude_unset=True) for chunk in chunks] == [
        chunk.model_dump(exclude_unset=True) for chunk in without
    ]
    autolog.openai(inject_stream_usage=False)


@pytest.mark.asyncio
async def test_with_injected_usage_an_async_program_sees_the_same_chunks(injected, async_client):
    chunks = [chunk async for chunk in await async_client.chat.completions.create(**CHAT)]

    assert [chunk.choices[0].delta.content for chunk in chunks][1:-1] == list(answers.WORDS)
    [span] = spans(injected)
    assert span.usage.total_tokens == 18


@needs_stream_method
def test_with_injected_usage_the_stream_helper_is_as_without(injected, openai_client):
    with openai_client.chat.completions.stream(model="gpt-4o", messages=HELLO) as stream:
        completion = stream.get_final_completion()

    assert completion.usage is None
    assert completion.choices[0].message.content == answers.TEXT
    [span] = spans(injected)
    assert span.usage.total_tokens == 18


def test_usage_that_the_program_asks_for_itself_is_left_to_it(injected, server, openai_client):
    asked = {"stream_options": {"include_usage": True}}
    chunks = list(openai_client.chat.completions.create(extra_body=asked, **CHAT))

    assert chunks[-1].choices == []
    assert '"total_tokens":18' in chunks[-1].model_dump_json()
    [span] = spans(injected)
    assert span.usage.total_tokens == 18


def test_usage_that_the_program_declines_is_not_injected(injected, server, openai_client):
    for _ in openai_client.chat.completions.create(extra_body={"stream_options": {"include_usage": False}}, **CHAT):
        pass

    assert server.requests[0].body["stream_options"] == {"include_usage": False}


def test_usage_is_injected_in_no_call_that_does_not_stream(injected, server, openai_client):
    openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)
    openai_client.embeddings.create(model="m", input="a")

    assert not any("stream_options" in request.body for request in server.requests)


@needs_responses
def test_usage_is_not_injected_into_responses(injected, server, openai_client):
    for _ in openai_client.responses.create(model="gpt-4o", input="Hello", stream=True):
        pass

    assert "stream_options" not in server.requests[0].body


@needs_with
def test_with_injected_usage_a_stream_left_early_is_as_without(injected, openai_client):
    with openai_client.chat.completions.create(**CHAT) as stream:
        assert next(stream).choices[0].delta.role == "assistant"

    [span] = spans(injected)
    assert span.get_attribute("autolog.stream.completed") is False


# --- responses -------------------------------------------------------------------------------------------


@needs_responses
@pytest.mark.parametrize(
    ("status", "code", "reasons"),
    [("completed", StatusCode.OK, ["stop"]), ("incomplete", StatusCode.OK, ["length"])],
)
def test_a_responses_stream_tells_how_it_ended(traced, server, openai_client, status, code, reasons):
    server.script(stream_answer(answers.response_stream({}, status), is_done=False))
    for _ in openai_client.responses.create(model="gpt-4o", input="Hello", stream=True):
        pass

    [span] = spans(traced)
    assert span.status.code is code
    assert span.get_attribute("gen_ai.response.status") == status
    assert span.get_attribute("gen_ai.response.finish_reasons") == reasons
    assert span.usage.total_tokens == 18
    assert span.usage.reasoning_tokens == 4
    assert span.outputs["output"][0]["content"][0]["text"] == answers.TEXT
    assert span.get_attribute("autolog.stream.completed") is True


@needs_responses
def test_a_responses_stream_that_fails_fails_the_span_although_http_went_well(traced, server, openai_client):
    server.script(stream_answer(answers.response_stream({}, "failed"), is_done=False))
    events = list(openai_client.responses.create(model="gpt-4o", input="Hello", stream=True))

    assert events[-1].type == "response.failed"
    [span] = spans(traced)
    assert span.status.code is StatusCode.ERROR
    assert span.get_attribute("error.type") == "server_error"
    assert span.get_attribute("http.response.status_code") == 200
    assert "the model failed" in span.status.description


@needs_responses
def test_an_error_event_of_a_responses_stream_fails_the_span(traced, server, openai_client):
    error = {"type": "error", "code": "rate_limit", "message": "slow down", "param": None, "sequence_number": 3}
    server.script(stream_answer([*answers.response_stream({})[:6], error], is_done=False))
    for _ in openai_client.responses.create(model="gpt-4o", input="Hello", stream=True):
        pass

    [span] = spans(traced)
    assert span.status.code is StatusCode.ERROR
    assert span.get_attribute("error.type") == "rate_limit"
    assert span.outputs["output"][0]["content"][0]["text"] == "Hello there"


@needs_responses
@pytest.mark.asyncio
async def test_the_async_responses_helper_gives_one_whole_span(traced, async_client):
    async with async_client.responses.stream(model="gpt-4o", input="Hello", tools=[]) as stream:
        response = await stream.get_final_response()

    assert response.output_text == answers.TEXT
    [span] = spans(traced)
    assert span.outputs["output"][0]["content"][0]["text"] == answers.TEXT
    assert span.usage.total_tokens == 18


@needs_responses
def test_tool_calls_of_a_responses_stream_are_recorded_even_if_it_is_left_early(traced, server, openai_client):
    tools = [{"type": "function", "name": "weather", "parameters": {}, "strict": False}]
    with openai_client.responses.create(model="gpt-4o", input="Hello", tools=tools, stream=True) as stream:
        for event in stream:
            if event.type == "response.function_call_arguments.delta" and event.output_index == 1:
                break

    [span] = spans(traced)
    first, second = span.outputs["output"]
    assert (first["name"], first["arguments"]) == ("weather", '{"city": "Paris"}')
    assert second["arguments"] == '{"ci'


# --- contexts --------------------------------------------------------------------------------------------


def test_inside_the_loop_the_current_span_is_the_programs(traced, openai_client):
    with start_span("mine") as mine:
        for _ in openai_client.chat.completions.create(**CHAT):
            assert get_current_active_span() is mine
            with start_span("step"):
                pass

    found = spans(traced)
    assert {span.parent_id for span in found[1:]} == {found[0].span_id}


def test_a_stream_read_in_another_thread_belongs_to_who_asked_for_it(traced, openai_client):
    with start_span("asker") as asker:
        stream = openai_client.chat.completions.create(**CHAT)
    seen = []

    def read_all():
        with start_span("reader"):
            seen.extend(stream)
            seen.append(get_current_active_span().name)

    thread = threading.Thread(target=read_all)
    thread.start()
    thread.join()

    assert seen[-1] == "reader"
    found = {span.name: span for span in spans(traced)}
    assert found["chat gpt-4o"].parent_id == asker.span_id
    assert found["reader"].trace_id != asker.trace_id
    assert text_of(found["chat gpt-4o"]) == answers.TEXT


@pytest.mark.asyncio
async def test_an_async_stream_read_in_another_task_belongs_to_who_asked_for_it(traced, async_client, caplog):
    async def ask():
        with start_span("asker"):
            return await async_client.chat.completions.create(**CHAT)

    async def read_all(stream):
        with start_span("reader") as reader:
            async for _ in stream:
                assert get_current_active_span() is reader

    stream = await asyncio.create_task(ask())
    await asyncio.create_task(read_all(stream), context=contextvars.Context()) if sys.version_info >= (
        3,
        11,
    ) else await asyncio.create_task(read_all(stream))

    found = {span.name: span for span in spans(traced)}
    assert found["chat gpt-4o"].parent_id == found["asker"].span_id
    assert found["reader"].parent_id is None
    assert text_of(found["chat gpt-4o"]) == answers.TEXT
    assert caplog.records == []


@pytest.mark.asyncio
async def test_a_generator_of_the_programs_that_is_closed_elsewhere_leaves_no_error(traced, async_client, caplog):
    async def words():
        async for chunk in await async_client.chat.completions.create(**CHAT):
            yield chunk.choices[0].delta.content

    async def first():
        generator = words()
        await generator.__anext__()
        return generator

    generator = await asyncio.create_task(first())
    await asyncio.create_task(generator.aclose())
    del generator
    for _ in range(10):  # the loop closes what was collected, one generator inside another
        gc.collect()
        await asyncio.sleep(0)

    assert get_current_active_span() is None
    assert caplog.records == []
    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert span.status.code is StatusCode.OK


def test_nothing_is_recorded_where_recording_is_off(traced, openai_client):
    with context(enabled=False):
        for _ in openai_client.chat.completions.create(**CHAT):
            pass

    assert traces(traced) == []


# --- long ones -------------------------------------------------------------------------------------------


def test_of_a_very_long_stream_a_bounded_part_is_kept_and_the_rest_is_counted(client, server, openai_client):
    autolog.openai(max_stream=50_000)
    words = [answers.chat_delta({"content": f"word{number} "}) for number in range(10_000)]
    whole = stream_answer([*words, answers.chat_delta({}, finish_reason="stop")])
    server.script(whole)
    count = sum(1 for _ in openai_client.chat.completions.create(**CHAT))
    autolog.openai(max_stream=16_000_000)

    assert count == 10_001
    [span] = spans(client)
    size = sum(len(piece) for piece in whole.pieces)
    dropped = span.get_attribute("autolog.stream.dropped_bytes")
    assert 0 < size - dropped <= 100_000 + len(whole.pieces[0])
    assert text_of(span).startswith("word0 word1 ")
    assert text_of(span).endswith("word9999 ")
    assert span.get_attribute("gen_ai.response.finish_reasons") == ["stop"]
    assert span.get_attribute("autolog.stream.completed") is True


def test_a_long_stream_is_kept_whole_by_default(traced, server, openai_client):
    words = [answers.chat_delta({"content": "word "}) for _ in range(10_000)]
    server.script(stream_answer([*words, answers.chat_delta({}, finish_reason="stop")]))
    for _ in openai_client.chat.completions.create(**CHAT):
        pass

    [span] = spans(traced)
    assert text_of(span) == "word " * 10_000


# --- answers that are not what was asked for -------------------------------------------------------------


def test_an_answer_in_one_piece_to_a_request_for_a_stream_is_recorded(client, server):
    """Some servers ignore `stream`."""
    server.script(json_answer(answers.chat({})), json_answer(answers.chat({})))
    without = list(server.client().chat.completions.create(**CHAT))
    autolog()

    assert list(server.client().chat.completions.create(**CHAT)) == without
    [span] = spans(client)
    assert text_of(span) == answers.TEXT
    assert span.usage.total_tokens == 18


def test_each_of_many_open_streams_has_a_span_of_its_own(traced, server):
    openai_client = FakeOpenAI().client()
    streams = [openai_client.chat.completions.create(**{**CHAT, "model": f"m{number}"}) for number in range(20)]
    for _ in range(3):
        for stream in streams:
            next(stream)
    for stream in reversed(streams):
        for _ in stream:
            pass

    found = spans(traced)
    assert {span.name for span in found} == {f"chat m{number}" for number in range(20)}
    assert {text_of(span) for span in found} == {answers.TEXT}
