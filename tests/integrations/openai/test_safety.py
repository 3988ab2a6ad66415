"""Tracing never changes the program: what it sends, what it gets, when it gets it."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import io
import pickle
import sys

import openai
import pytest
from openai import resources, types
from openai._base_client import AsyncAPIClient, SyncAPIClient

from autolog import StatusCode, autolog, get_current_active_span
from autolog.guard import guarded
from autolog.testing import spans
from tests.fakes import openai_answers as answers
from tests.fakes.openai_server import content_answer, httpx, stream_answer

HELLO = [{"role": "user", "content": "Hello"}]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]

needs_responses = pytest.mark.skipif(not hasattr(openai.OpenAI, "responses"), reason="no Responses API")
needs_streaming_response = pytest.mark.skipif(
    not hasattr(resources.chat.Completions, "with_streaming_response"), reason="no with_streaming_response"
)

takes_generators = pytest.mark.skipif(
    openai.__version__.startswith("1.3."), reason="the SDK itself cannot send a generator"
)

COMPLETION = types.chat.ChatCompletion

CALLS = {
    "chat": lambda it: it.chat.completions.create(model="gpt-4o", messages=HELLO, temperature=0.5),
    "chat with tools": lambda it: it.chat.completions.create(model="gpt-4o", messages=HELLO, tools=TOOLS, n=2),
    "chat stream": lambda it: list(it.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)),
    "chat raw": lambda it: it.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO).parse(),
    "chat with extras": lambda it: it.chat.completions.create(
        model="gpt-4o",
        messages=HELLO,
        extra_headers={"x-mine": "1"},
        extra_query={"q": "2"},
        extra_body={"model": "gpt-4.1"},
    ),
    "completion": lambda it: it.completions.create(model="gpt-3.5-turbo-instruct", prompt="Hello"),
    "embeddings": lambda it: it.embeddings.create(model="text-embedding-3-small", input=["a", "b"]),
    "image": lambda it: it.images.generate(prompt="a cat"),
    "moderation": lambda it: it.moderations.create(input="Hello"),
    "models": lambda it: it.models.list().data,
    "speech": lambda it: it.audio.speech.create(model="tts-1", input="Hello", voice="alloy").content,
    "own request": lambda it: it.post("/chat/completions", body={"model": "m", "messages": HELLO}, cast_to=COMPLETION),
}
RESPONSES_CALLS = {
    "response": lambda it: it.responses.create(model="gpt-4o", input="Hello"),
    "response stream": lambda it: list(it.responses.create(model="gpt-4o", input="Hello", stream=True)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_program_sends_and_gets_the_same_with_and_without_tracing(client, server, call):
    without = call(server.client())
    autolog()
    with_tracing = call(server.client())

    before, after = server.requests
    own = {"idempotency-key"}  # random in every call of some versions
    assert (after.method, after.path, after.query, after.content) == (
        before.method,
        before.path,
        before.query,
        before.content,
    )
    assert {k: v for k, v in after.headers.items() if k not in own} == {
        k: v for k, v in before.headers.items() if k not in own
    }
    assert list(after.headers) == list(before.headers)
    assert type(with_tracing) is type(without)
    assert with_tracing == without


@needs_responses
@pytest.mark.parametrize("call", RESPONSES_CALLS.values(), ids=RESPONSES_CALLS)
def test_responses_are_the_same_with_and_without_tracing(client, server, call):
    without = call(server.client())
    autolog()

    assert call(server.client()) == without
    assert server.requests[0].content == server.requests[1].content
    assert list(server.requests[0].headers) == list(server.requests[1].headers)


# --- arguments -------------------------------------------------------------------------------------------


@takes_generators
def test_messages_from_a_generator_reach_the_server_and_the_span(traced, server, openai_client):
    openai_client.chat.completions.create(model="gpt-4o", messages=(message for message in HELLO))

    assert server.requests[0].body["messages"] == HELLO
    [span] = spans(traced)
    assert span.inputs["messages"] == HELLO


@takes_generators
@pytest.mark.asyncio
async def test_messages_from_a_generator_reach_the_server_and_the_span_async(traced, server, async_client):
    await async_client.chat.completions.create(model="gpt-4o", messages=(message for message in HELLO), stream=True)

    assert server.requests[0].body["messages"] == HELLO
    [span] = spans(traced)
    assert span.inputs["messages"] == HELLO


def test_the_callers_objects_are_not_changed(traced, server, openai_client):
    messages = copy.deepcopy(HELLO)
    headers, query, body, tools = {"x-mine": "1"}, {"q": "2"}, {"seed": 3}, copy.deepcopy(TOOLS)
    autolog.openai(inject_stream_usage=True)

    openai_client.chat.completions.create(
        model="gpt-4o",
        messages=messages,
        tools=tools,
        stream=True,
        extra_headers=headers,
        extra_query=query,
        extra_body=body,
    )

    assert (messages, tools, headers, query, body) == (HELLO, TOOLS, {"x-mine": "1"}, {"q": "2"}, {"seed": 3})
    autolog.openai(inject_stream_usage=False)


def test_the_span_has_what_was_sent_even_where_the_caller_changes_it_afterwards(traced, openai_client):
    messages = [{"role": "user", "content": "Hello"}]
    openai_client.chat.completions.create(model="gpt-4o", messages=messages)
    messages[0]["content"] = "changed"
    messages.append({"role": "user", "content": "more"})

    [span] = spans(traced)
    assert span.inputs["messages"] == HELLO


def test_no_header_is_added(traced, server, openai_client):
    openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)

    assert not {"traceparent", "tracestate", "baggage"} & set(server.requests[0].headers)


def test_a_file_without_a_descriptor_is_sent_and_the_span_ends(traced, server, openai_client):
    file = io.BufferedReader(io.BytesIO(b"RIFF"))
    openai_client.audio.transcriptions.create(model="whisper-1", file=("a.wav", file))

    assert server.requests[0].body["file"] == b"RIFF"
    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert span.inputs["files"][0]["name"] == "a.wav"


# --- results ---------------------------------------------------------------------------------------------


def test_a_stream_is_the_sdks_own(traced, openai_client):
    stream = openai_client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)

    assert type(stream) is openai.Stream
    assert type(stream.response) is httpx.Response
    assert set(vars(stream)) == set(vars(openai_client.completions.create(model="m", prompt="p", stream=True)))
    assert stream.__next__.__func__ is openai.Stream.__next__
    assert stream.__iter__.__func__ is openai.Stream.__iter__
    assert inspect.isgenerator(stream._iterator)
    assert [chunk.choices[0].delta.content for chunk in stream][1:-1] == list(answers.WORDS)


@pytest.mark.asyncio
async def test_an_async_stream_is_the_sdks_own(traced, async_client):
    stream = await async_client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)

    assert type(stream) is openai.AsyncStream
    assert type(stream.response) is httpx.Response
    assert stream.__anext__.__func__ is openai.AsyncStream.__anext__
    assert inspect.isasyncgen(stream._iterator)
    assert [chunk.choices[0].delta.content async for chunk in stream][1:-1] == list(answers.WORDS)


def test_a_response_has_its_own_methods_back_once_it_is_read(traced, openai_client):
    stream = openai_client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    for _ in stream:
        pass

    assert not {"iter_bytes", "aiter_bytes", "close", "aclose"} & set(vars(stream.response))


def test_a_raw_response_is_the_sdks_own_and_parses_once(client, server):
    without = server.client().chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
    autolog()
    raw = server.client().chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)

    assert type(raw) is type(without)
    assert raw.headers["x-request-id"] == "req_1"
    assert raw.http_response.content == without.http_response.content
    assert type(raw.parse()) is type(without.parse())
    assert raw.parse() is raw.parse()
    assert set(vars(raw)) == set(vars(without))
    [span] = spans(client)
    assert span.outputs["choices"][0]["message"]["content"] == answers.TEXT
    assert span.usage.total_tokens == 18


def test_a_raw_response_of_a_stream_is_the_sdks_own(traced, openai_client):
    raw = openai_client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO, stream=True)
    stream = raw.parse()

    assert type(stream) is openai.Stream
    assert raw.parse() is stream
    assert len(list(stream)) == 6
    [span] = spans(traced)
    assert span.outputs["choices"][0]["message"]["content"] == answers.TEXT


@pytest.mark.asyncio
async def test_an_async_raw_response_is_the_sdks_own(traced, async_client):
    raw = await async_client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
    assert raw.parse() is raw.parse()
    raw = await async_client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO, stream=True)
    assert type(raw.parse()) is openai.AsyncStream
    assert len([chunk async for chunk in raw.parse()]) == 6

    for span in spans(traced):
        assert span.outputs["choices"][0]["message"]["content"] == answers.TEXT


@pytest.mark.parametrize("method", ["create", "parse"])
def test_results_can_be_pickled_and_copied(traced, openai_client, method):
    if not hasattr(openai_client.chat.completions, method):
        pytest.skip(f"no chat.completions.{method}")
    result = getattr(openai_client.chat.completions, method)(model="gpt-4o", messages=HELLO)

    if method == "create":
        assert pickle.loads(pickle.dumps(result)) == result
    assert copy.deepcopy(result) == result


# --- laziness --------------------------------------------------------------------------------------------


@needs_streaming_response
def test_speech_is_downloaded_only_as_the_program_reads_it(traced, server, openai_client):
    speech = openai_client.audio.speech.with_streaming_response
    with speech.create(model="tts-1", input="Hello", voice="alloy") as response:
        [body] = server.bodies
        assert body.pulled == 0
        pieces = response.iter_bytes()
        first = next(pieces)
        assert body.pulled == 1
        rest = list(pieces)

    assert [first, *rest] == list(body.pieces)
    assert body.pulled == 10
    [span] = spans(traced)
    assert span.outputs["media"]["bytes"] == 1000
    assert span.get_attribute("autolog.stream.completed") is True


@needs_streaming_response
@pytest.mark.asyncio
async def test_speech_is_downloaded_only_as_the_program_reads_it_async(traced, server, async_client):
    speech = async_client.audio.speech.with_streaming_response
    async with speech.create(model="tts-1", input="Hello", voice="alloy") as response:
        [body] = server.bodies
        assert body.pulled == 0
        pieces = [piece async for piece in response.iter_bytes()]

    assert pieces == list(body.pieces)
    [span] = spans(traced)
    assert span.outputs["media"]["bytes"] == 1000


@needs_streaming_response
def test_speech_left_early_is_recorded_as_far_as_it_was_read(traced, server, openai_client):
    speech = openai_client.audio.speech.with_streaming_response
    with speech.create(model="tts-1", input="Hello", voice="alloy") as response:
        next(response.iter_bytes())

    assert server.bodies[0].pulled == 1
    [span] = spans(traced)
    assert span.status.code is StatusCode.OK
    assert span.outputs["media"]["bytes"] == 100
    assert span.get_attribute("autolog.stream.completed") is False


@needs_streaming_response
def test_an_answer_that_the_program_never_reads_is_not_read(traced, server, openai_client):
    chat = openai_client.chat.completions.with_streaming_response
    with chat.create(model="gpt-4o", messages=HELLO) as response:
        assert response.headers["x-request-id"] == "req_1"

    assert server.bodies[0].pulled == 0
    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert span.get_attribute("http.response.status_code") == 200


@needs_streaming_response
@pytest.mark.parametrize("read", ["read", "text", "json", "parse"])
def test_a_streaming_response_that_is_read_whole_is_recorded(traced, openai_client, read):
    chat = openai_client.chat.completions.with_streaming_response
    with chat.create(model="gpt-4o", messages=HELLO) as response:
        assert getattr(response, read)()

    [span] = spans(traced)
    assert span.outputs["choices"][0]["message"]["content"] == answers.TEXT
    assert span.usage.total_tokens == 18


@needs_streaming_response
@pytest.mark.parametrize("read", ["iter_bytes", "iter_text", "iter_lines"])
def test_a_streaming_response_is_recorded_however_it_is_read(client, server, read):
    def read_all():
        chat = server.client().chat.completions.with_streaming_response
        with chat.create(model="gpt-4o", messages=HELLO, stream=True) as response:
            return list(getattr(response, read)())

    without = read_all()
    autolog()

    assert read_all() == without
    [span] = spans(client)
    assert span.outputs["choices"][0]["message"]["content"] == answers.TEXT
    assert span.get_attribute("autolog.stream.completed") is True


@needs_streaming_response
@pytest.mark.parametrize("read", ["iter_bytes", "iter_text", "iter_lines"])
def test_a_streaming_response_is_recorded_however_it_is_read_async(client, server, read):
    async def read_all():
        chat = server.async_client().chat.completions.with_streaming_response
        async with chat.create(model="gpt-4o", messages=HELLO, stream=True) as response:
            return [piece async for piece in getattr(response, read)()]

    without = asyncio.run(read_all())
    autolog()

    assert asyncio.run(read_all()) == without
    [span] = spans(client)
    assert span.outputs["choices"][0]["message"]["content"] == answers.TEXT


@needs_responses
@pytest.mark.asyncio
async def test_parse_of_an_async_streaming_response_is_still_awaited_by_the_program(traced, async_client):
    """The path of the agents SDK."""
    responses = async_client.responses.with_streaming_response
    async with responses.create(model="gpt-4o", input="Hello", stream=True) as response:
        parsed = response.parse()
        assert inspect.iscoroutine(parsed)
        stream = await parsed
        assert type(stream) is openai.AsyncStream
        events = [event.type async for event in stream]

    assert events[-1] == "response.completed"
    [span] = spans(traced)
    assert span.outputs["output"][0]["content"][0]["text"] == answers.TEXT
    assert span.usage.total_tokens == 18


@needs_streaming_response
def test_a_response_may_be_dropped_by_who_keeps_only_its_methods(traced, openai_client):
    """As with any bound method, `response.close` handed to someone else keeps the response."""
    stream = openai_client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    close, read = stream.response.close, stream.response.iter_bytes
    del stream
    gc.collect()

    assert b"".join(read()).endswith(b"data: [DONE]\n\n")
    close()


def test_a_page_in_place_of_an_answer_is_given_to_the_program_as_without_tracing(client, server):
    page = content_answer(b"<html>Bad gateway</html>", content_type="text/html")
    server.script(page, page)
    without = server.client().chat.completions.create(model="gpt-4o", messages=HELLO)
    autolog()

    assert server.client().chat.completions.create(model="gpt-4o", messages=HELLO) == without
    [span] = spans(client)
    assert span.outputs == {"text": "<html>Bad gateway</html>"}
    assert span.end_time_ns is not None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"[]", b"3", b"\xff\xfe", b'{"choices": null}', b'{"usage": 7}']
)
def test_an_odd_body_does_what_it_does_without_tracing(client, server, content):
    page = content_answer(content, content_type="application/json")
    server.script(page, page)

    def call():
        try:
            return server.client().chat.completions.create(model="gpt-4o", messages=HELLO)
        except Exception as error:
            return type(error), str(error)

    without = call()
    autolog()

    assert call() == without
    [span] = spans(client)
    assert span.end_time_ns is not None


ODD_EVENTS = {
    "not json": b"data: {\n\n",
    "not an object": b"data: [1, 2]\n\n",
    "choices null": b'data: {"choices": null}\n\n',
    "choices of odd things": b'data: {"choices": [1, null, {"index": 0}]}\n\n',
    "delta null": b'data: {"choices": [{"index": 0, "delta": null}]}\n\n',
    "index null": b'data: {"choices": [{"index": null, "delta": {"content": "a"}}]}\n\n',
    "tool calls of odd things": b'data: {"choices": [{"index": 0, "delta": {"tool_calls": [null, 1, {}]}}]}\n\n',
    "types change": b'data: {"choices": [{"index": 0, "delta": {"content": 3, "tool_calls": "x"}}]}\n\n',
    "usage is a word": b'data: {"choices": [], "usage": "many"}\n\n',
    "comment": b": ping\n\n",
    "blank lines": b"\n\n\n",
    "only an id": b"id: 7\n\n",
    "not utf-8": b"data: \xff\xfe\n\n",
    "carriage returns": b'data: {"choices": []}\r\n\r\n',
    "nothing": b"",
}


@pytest.mark.parametrize("event", ODD_EVENTS.values(), ids=ODD_EVENTS)
def test_an_odd_event_does_what_it_does_without_tracing(client, server, event):
    # What our own code makes of it is raised by the test suite's guard.
    chunk = answers.chat_delta({"content": "Hello", "tool_calls": [{"index": 0, "id": "call_0"}]})
    odd = stream_answer([chunk, event, answers.chat_delta({"content": " again"}, finish_reason="stop")])
    server.script(odd, odd)

    def read():
        seen = []
        try:
            for each in server.client().chat.completions.create(model="gpt-4o", messages=HELLO, stream=True):
                seen.append(each)
        except Exception as error:
            seen.append((type(error), str(error)))
        return seen

    without = read()
    autolog()

    assert read() == without
    gc.collect()  # some versions do not close a response that they could not read
    [span] = spans(client)
    assert span.end_time_ns is not None
    assert span.outputs["choices"][0]["message"]["content"]


# --- our own mistakes ------------------------------------------------------------------------------------

OWN_CODE = [
    "autolog_openai.observe._request",
    "autolog_openai.observe._snapshot",
    "autolog_openai.recording.read_head",
    "autolog_openai.request.Request.describe",
    "autolog_openai.recording.Recording.succeed",
    "autolog.model.span.Span.set_attribute",
]


@pytest.mark.parametrize("own", [*OWN_CODE, "autolog_openai.answer._read_body"])
def test_a_mistake_of_ours_does_not_reach_the_call(traced, monkeypatch, openai_client, own):
    monkeypatch.setattr(guarded, "reraise", False)
    monkeypatch.setattr(own, lambda *args, **kwargs: 1 / 0)

    result = openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)

    assert result.choices[0].message.content == answers.TEXT
    assert get_current_active_span() is None
    monkeypatch.undo()
    [span] = spans(traced)
    assert span.end_time_ns is not None


@pytest.mark.asyncio
@pytest.mark.parametrize("own", [*OWN_CODE, "autolog_openai.answer._read_body"])
async def test_a_mistake_of_ours_does_not_reach_the_async_call(traced, monkeypatch, async_client, own):
    monkeypatch.setattr(guarded, "reraise", False)
    monkeypatch.setattr(own, lambda *args, **kwargs: 1 / 0)

    result = await async_client.chat.completions.create(model="gpt-4o", messages=HELLO)

    assert result.choices[0].message.content == answers.TEXT
    assert get_current_active_span() is None
    monkeypatch.undo()
    [span] = spans(traced)
    assert span.end_time_ns is not None


OWN_STREAM_CODE = [
    "autolog_openai.recording.read_stream",
    "autolog_openai.merge.events",
    "autolog_openai.recording.Recording._stream_ended",
    "autolog.instrumentation.http_response.ResponseWatch.saw",
]


@pytest.mark.parametrize("own", [*OWN_CODE, *OWN_STREAM_CODE])
def test_a_mistake_of_ours_does_not_reach_the_stream(traced, monkeypatch, openai_client, own):
    monkeypatch.setattr(guarded, "reraise", False)
    monkeypatch.setattr(own, lambda *args, **kwargs: 1 / 0)

    chunks = list(openai_client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True))

    assert [chunk.choices[0].delta.content for chunk in chunks][1:-1] == list(answers.WORDS)
    monkeypatch.undo()
    [span] = spans(traced)
    assert span.end_time_ns is not None


@pytest.mark.parametrize("own", ["autolog_openai.recording.Recording.fail", "autolog.model.span.Span.record_exception"])
def test_a_mistake_of_ours_does_not_hide_the_error_of_the_call(traced, monkeypatch, server, openai_client, own):
    monkeypatch.setattr(guarded, "reraise", False)
    monkeypatch.setattr(own, lambda *args, **kwargs: 1 / 0)
    server.script(400)

    with pytest.raises(openai.BadRequestError) as caught:
        openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)

    assert caught.value.__context__ is None or not isinstance(caught.value.__context__, ZeroDivisionError)
    monkeypatch.undo()
    [span] = spans(traced)
    assert span.end_time_ns is not None


def test_a_mistake_of_ours_before_the_call_leaves_it_untraced(traced, monkeypatch, openai_client):
    monkeypatch.setattr(guarded, "reraise", False)
    monkeypatch.setattr("autolog_openai.observe.find", lambda *args: 1 / 0)

    assert openai_client.chat.completions.create(model="gpt-4o", messages=HELLO).id == "chatcmpl-1"
    assert traced.stats().internal_errors > 0
    assert spans(traced) == []


# --- introspection ---------------------------------------------------------------------------------------


def _described():
    """How every public function of the SDK's resources looks, and the functions that all requests go through."""
    modules = [module for name, module in sorted(sys.modules.items()) if name.startswith("openai.resources.")]
    kinds = {value for module in modules for value in vars(module).values() if type(value) is type}
    functions = [
        value
        for kind in kinds
        if kind.__module__.startswith("openai.resources.")
        for name, value in vars(kind).items()
        if inspect.isfunction(value) and not name.startswith("_")
    ]
    functions += [
        getattr(kind, name)
        for kind in (SyncAPIClient, AsyncAPIClient, openai.OpenAI, openai.AsyncOpenAI)
        for name in ("request", "post", "get", "_process_response", "_sleep_for_retry", "_retry_request")
        if hasattr(kind, name)
    ]
    return {
        (function.__module__, function.__qualname__): (
            inspect.signature(function),
            inspect.iscoroutinefunction(function),
            asyncio.iscoroutinefunction(function),
            function.__doc__,
            function.__name__,
            inspect.getsourcefile(inspect.unwrap(function)),
        )
        for function in functions
    }


def test_functions_look_the_same_with_and_without_tracing(client):
    without = _described()
    autolog()

    assert len(without) > 50
    assert _described() == without


def test_methods_of_a_client_look_the_same_with_and_without_tracing(client, server):
    plain, plain_async = server.client(), server.async_client()
    without = [
        (inspect.signature(it.request), inspect.iscoroutinefunction(it.request), it.request.__name__)
        for it in (plain, plain_async)
    ]
    autolog()

    assert [
        (inspect.signature(it.request), inspect.iscoroutinefunction(it.request), it.request.__name__)
        for it in (plain, plain_async)
    ] == without
    assert plain.request.__self__ is plain
