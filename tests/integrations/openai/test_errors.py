"""What fails: the program gets its own exception, the span says why, and what was billed is not lost."""

from __future__ import annotations

import asyncio
import gc
import traceback
import weakref

import openai
import pytest
from openai import resources
from pydantic import BaseModel

from autolog import StatusCode, autolog, get_current_active_span, start_span
from autolog.instrumentation import call
from autolog.testing import spans
from tests.fakes import openai_answers as answers
from tests.fakes.openai_server import API_KEY, Gate, httpx, json_answer, stream_answer

HELLO = [{"role": "user", "content": "Hello"}]
CHAT = {"model": "gpt-4o", "messages": HELLO}

needs_responses = pytest.mark.skipif(not hasattr(openai.OpenAI, "responses"), reason="no Responses API")
needs_parse = pytest.mark.skipif(not hasattr(resources.chat.Completions, "parse"), reason="no chat.completions.parse")
tells_retries = pytest.mark.skipif(
    not hasattr(openai._base_client.SyncAPIClient, "_sleep_for_retry"), reason="the SDK does not tell its retries"
)


def retries_of(span):
    return [event for event in span.events if event.name == "retry"]


# --- the program's exception -----------------------------------------------------------------------------

FAILURES = [
    (400, "BadRequestError"),
    (401, "AuthenticationError"),
    (403, "PermissionDeniedError"),
    (404, "NotFoundError"),
    (422, "UnprocessableEntityError"),
    (429, "RateLimitError"),
    (500, "InternalServerError"),
    (503, "InternalServerError"),
]


@pytest.mark.parametrize(("status", "name"), FAILURES)
def test_an_error_status_is_recorded_and_the_exception_is_the_sdks(traced, server, status, name):
    server.script(status)
    with pytest.raises(getattr(openai, name)) as caught:
        server.client(max_retries=0).chat.completions.create(**CHAT)

    assert type(caught.value) is getattr(openai, name)
    [span] = spans(traced)
    assert span.status.code is StatusCode.ERROR
    assert span.status.description.startswith(f"{name}: ")
    assert span.get_attribute("error.type") == f"openai.{name}"
    assert span.get_attribute("http.response.status_code") == status
    assert span.get_attribute("autolog.request.id") == "req_1"
    assert span.get_attribute("autolog.error.code") == f"code_{status}"
    assert span.inputs["messages"] == HELLO
    [event] = span.events
    assert event.attributes["exception.type"] == f"openai.{name}"
    assert "fake error" in event.attributes["exception.message"]


@pytest.mark.asyncio
@pytest.mark.parametrize(("status", "name"), FAILURES)
async def test_an_error_status_is_recorded_and_the_exception_is_the_sdks_async(traced, server, status, name):
    server.script(status)
    with pytest.raises(getattr(openai, name)):
        await server.async_client(max_retries=0).chat.completions.create(**CHAT)

    [span] = spans(traced)
    assert span.get_attribute("error.type") == f"openai.{name}"
    assert span.get_attribute("http.response.status_code") == status
    assert span.get_attribute("autolog.request.id") == "req_1"


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("error", "name"),
    [
        (httpx.ConnectError("no route"), "APIConnectionError"),
        (httpx.ConnectTimeout("slow"), "APITimeoutError"),
        (httpx.ReadTimeout("slow"), "APITimeoutError"),
        (httpx.RemoteProtocolError("cut"), "APIConnectionError"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_connection_that_fails_is_recorded(traced, server, error, name, is_stream):
    server.script(error)
    with pytest.raises(getattr(openai, name)) as caught:
        server.client(max_retries=0).chat.completions.create(**CHAT, stream=is_stream)

    assert caught.value.__cause__ is error
    [span] = spans(traced)
    assert span.get_attribute("error.type") == f"openai.{name}"
    assert span.get_attribute("http.response.status_code") is None
    assert span.end_time_ns is not None


@pytest.mark.asyncio
async def test_a_connection_that_fails_is_recorded_async(traced, server):
    error = httpx.ConnectError("no route")
    server.script(error)
    with pytest.raises(openai.APIConnectionError) as caught:
        await server.async_client(max_retries=0).chat.completions.create(**CHAT)

    assert caught.value.__cause__ is error
    [span] = spans(traced)
    assert span.get_attribute("error.type") == "openai.APIConnectionError"


def caught_from(client, **arguments):
    try:
        client.chat.completions.create(**CHAT, **arguments)
    except openai.OpenAIError as error:
        return error
    raise AssertionError("it did not fail")


@pytest.mark.parametrize("step", [400, httpx.ConnectError("no route")], ids=["status", "connection"])
def test_an_exception_is_as_without_tracing_but_for_a_few_frames_of_ours(client, server, step):
    server.script(step, step)
    without = caught_from(server.client(max_retries=0))
    autolog()
    error = caught_from(server.client(max_retries=0))

    assert type(error) is type(without)
    assert str(error) == str(without)
    assert error.__cause__ is without.__cause__
    assert type(error.__context__) is type(without.__context__)
    assert error.__suppress_context__ == without.__suppress_context__
    assert getattr(error, "__notes__", []) == []
    plain = [(frame.filename, frame.name) for frame in traceback.extract_tb(without.__traceback__)]
    traced = [(frame.filename, frame.name) for frame in traceback.extract_tb(error.__traceback__)]
    assert [frame for frame in traced if frame[0] != call.__file__] == plain
    assert len(traced) <= len(plain) + 4  # two for `request`, two for `_process_response`


def test_an_exception_raised_while_another_is_handled_keeps_that_as_its_context(traced, server):
    server.script(400)
    try:
        raise KeyError("older")
    except KeyError as older:
        error = caught_from(server.client())
        assert error.__context__ is not None
        found = [error]
        while found[-1].__context__ is not None:
            found.append(found[-1].__context__)
        assert found[-1] is older


def test_an_exception_that_is_caught_is_freed(traced, server):
    """No frame of ours keeps the program's exception, and with it all its locals, alive."""

    class Marker:
        pass

    def fail():
        marker = Marker()
        server.script(400)
        try:
            server.client().chat.completions.create(**CHAT)
        except openai.BadRequestError:
            return weakref.ref(marker)
        raise AssertionError("it did not fail")

    reference = fail()
    gc.collect()
    assert reference() is None


def test_the_same_exception_object_reaches_the_program(traced, openai_client):
    class Own(Exception):
        pass

    error = Own("mine")

    class Client(openai.OpenAI):
        def _prepare_options(self, options):
            raise error

    with pytest.raises(Own) as caught:
        Client(api_key=API_KEY).chat.completions.create(**CHAT)

    assert caught.value is error
    [span] = spans(traced)
    assert span.get_attribute("error.type").endswith("Own")


def test_an_exception_whose_text_cannot_be_had_is_raised_as_it_is(traced):
    class Broken(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    class Client(openai.OpenAI):
        def _prepare_options(self, options):
            raise Broken

    with pytest.raises(Broken):
        Client(api_key=API_KEY).chat.completions.create(**CHAT)

    [span] = spans(traced)
    assert span.status.code is StatusCode.ERROR


def test_a_failed_call_leaves_the_programs_span_current_and_unharmed(traced, server):
    server.script(400)
    with start_span("mine") as mine:
        caught_from(server.client())
        assert get_current_active_span() is mine

    parent, child = spans(traced)
    assert parent.status.code is StatusCode.OK
    assert child.status.code is StatusCode.ERROR
    assert child.parent_id == parent.span_id


def test_arguments_that_the_sdk_refuses_make_no_span(traced, server, openai_client):
    """No call was made."""
    with pytest.raises(TypeError):
        openai_client.chat.completions.create(messages=HELLO)
    with pytest.raises(TypeError):
        openai_client.chat.completions.create(model="m", messages=HELLO, no_such_argument=1)

    assert server.requests == []
    assert spans(traced) == []


# --- retries ---------------------------------------------------------------------------------------------


@tells_retries
def test_retries_that_succeed_are_one_span_that_counts_them(traced, server, openai_client):
    server.script(429, 503)
    openai_client.chat.completions.create(**CHAT)

    assert len(server.requests) == 3
    [span] = spans(traced)
    assert span.status.code is StatusCode.OK
    assert span.get_attribute("http.request.resend_count") == 2
    assert [event.attributes["http.response.status_code"] for event in retries_of(span)] == [429, 503]
    assert [event.attributes["retry.attempt"] for event in retries_of(span)] == [1, 2]
    assert all(event.attributes["retry.delay"] >= 0.001 for event in retries_of(span))
    assert span.outputs["choices"][0]["message"]["content"] == answers.TEXT


@tells_retries
@pytest.mark.asyncio
async def test_retries_that_succeed_are_one_span_that_counts_them_async(traced, server, async_client):
    server.script(429, httpx.ConnectTimeout("slow"))
    await async_client.chat.completions.create(**CHAT)

    [span] = spans(traced)
    assert span.status.code is StatusCode.OK
    assert span.get_attribute("http.request.resend_count") == 2
    assert [event.attributes.get("http.response.status_code") for event in retries_of(span)] == [429, None]


@tells_retries
def test_retries_before_a_stream_are_counted(traced, server, openai_client):
    server.script(429)
    for _ in openai_client.chat.completions.create(**CHAT, stream=True):
        pass

    [span] = spans(traced)
    assert span.status.code is StatusCode.OK
    assert span.get_attribute("http.request.resend_count") == 1
    assert len(retries_of(span)) == 1


@tells_retries
def test_retries_that_fail_are_one_span_with_the_last_error(traced, server, openai_client):
    server.script(429, 429, 429)
    with pytest.raises(openai.RateLimitError):
        openai_client.chat.completions.create(**CHAT)

    assert len(server.requests) == 3
    [span] = spans(traced)
    assert span.status.code is StatusCode.ERROR
    assert span.get_attribute("error.type") == "openai.RateLimitError"
    assert span.get_attribute("http.response.status_code") == 429
    assert span.get_attribute("autolog.error.code") == "code_429"
    assert span.get_attribute("autolog.request.id") == "req_1"
    assert span.get_attribute("http.request.resend_count") == 2
    assert len(retries_of(span)) == 2


def test_retries_are_one_span_in_every_version(traced, server, openai_client):
    server.script(500)
    openai_client.chat.completions.create(**CHAT)

    assert len(server.requests) == 2
    [span] = spans(traced)
    assert span.status.code is StatusCode.OK


def test_a_call_without_retries_counts_none(traced, openai_client):
    openai_client.chat.completions.create(**CHAT)

    [span] = spans(traced)
    assert span.get_attribute("http.request.resend_count") is None


@tells_retries
def test_the_wait_before_a_retry_lies_inside_the_span(traced, server, openai_client):
    server.script(429)
    openai_client.chat.completions.create(**CHAT)

    [span] = spans(traced)
    [retry] = retries_of(span)
    waited = retry.attributes["retry.delay"] * 1e9
    assert span.start_time_ns <= retry.timestamp_ns
    assert retry.timestamp_ns + waited <= span.end_time_ns


# --- interruptions ---------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_cancelled_call_ends_the_span(traced, server, async_client):
    server.gate = Gate()
    task = asyncio.create_task(async_client.chat.completions.create(**CHAT))
    await server.gate.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert span.status.code is StatusCode.CANCELLED
    assert span.get_attribute("error.type").endswith("CancelledError")


@pytest.mark.asyncio
async def test_a_call_that_wait_for_gives_up_ends_the_span(traced, server, async_client):
    server.gate = Gate()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(async_client.chat.completions.create(**CHAT), 0.01)

    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert span.status.code is StatusCode.CANCELLED


@pytest.mark.asyncio
async def test_a_call_cancelled_while_it_waits_for_a_retry_ends_the_span(traced, server, async_client):
    server.script(json_answer({"error": {"message": "slow"}}, 429, **{"retry-after": "30"}))
    task = asyncio.create_task(async_client.chat.completions.create(**CHAT))
    while not server.requests:
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert span.get_attribute("error.type").endswith("CancelledError")


@pytest.mark.asyncio
async def test_a_coroutine_that_is_closed_ends_the_span(traced, server, async_client):
    server.gate = Gate()
    coroutine = async_client.chat.completions.create(**CHAT)
    task = asyncio.ensure_future(coroutine)
    await server.gate.reached.wait()
    assert task.cancel()
    await asyncio.wait([task])

    assert traced.flush()
    assert traced.stats().open == 0


@pytest.mark.asyncio
async def test_a_coroutine_that_is_never_awaited_makes_no_span(traced, async_client):
    async_client.chat.completions.create(**CHAT).close()

    assert spans(traced) == []


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupted_call_ends_the_span_and_the_interrupt_goes_on(traced, server, openai_client, kind):
    error = kind()
    server.script(error)
    with pytest.raises(kind) as caught:
        openai_client.chat.completions.create(**CHAT)

    assert caught.value is error
    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert span.status.code is (StatusCode.CANCELLED if kind is GeneratorExit else StatusCode.ERROR)
    assert span.get_attribute("error.type") == kind.__name__
    assert get_current_active_span() is None


def test_an_interrupted_stream_ends_the_span(traced, server, openai_client):
    server.script(stream_answer(answers.chat_stream({})[:3], is_done=False, error=KeyboardInterrupt()))
    try:
        for _ in openai_client.chat.completions.create(**CHAT, stream=True):
            pass
    except KeyboardInterrupt:
        pass

    gc.collect()  # some versions leave the response open
    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert span.status.code is StatusCode.ERROR
    assert span.get_attribute("error.type") == "KeyboardInterrupt"
    assert span.outputs["choices"][0]["message"]["content"] == "Hello there"


# --- answers that came, were billed, and could not be used -----------------------------------------------


class Person(BaseModel):
    name: str
    age: int


def chat_with(content, finish_reason="stop"):
    body = answers.chat({})
    body["choices"][0]["message"]["content"] = content
    body["choices"][0]["finish_reason"] = finish_reason
    return json_answer(body)


@needs_parse
def test_a_parsed_answer_is_recorded_as_it_came(traced, openai_client):
    result = openai_client.chat.completions.parse(**CHAT, response_format=Person)

    assert result.choices[0].message.parsed == Person(name="Ada", age=36)
    [span] = spans(traced)
    assert span.outputs["choices"][0]["message"]["content"] == answers.JSON
    assert span.usage.total_tokens == 18


UNUSABLE = [
    ('{"name": "Ada"}', "stop", "ValidationError"),
    ('{"name": "Ada", "a', "length", "LengthFinishReasonError"),
    ("", "content_filter", "ContentFilterFinishReasonError"),
]


@needs_parse
@pytest.mark.parametrize(("content", "reason", "name"), UNUSABLE)
def test_an_answer_that_cannot_be_parsed_fails_and_keeps_output_and_usage(
    traced, server, openai_client, content, reason, name
):
    server.script(chat_with(content, reason))
    with pytest.raises(Exception) as caught:
        openai_client.chat.completions.parse(**CHAT, response_format=Person)

    assert type(caught.value).__name__ == name
    [span] = spans(traced)
    assert span.status.code is StatusCode.ERROR
    assert span.get_attribute("error.type").rpartition(".")[2] == name
    assert span.outputs["choices"][0]["message"]["content"] == content
    assert span.usage.total_tokens == 18
    assert span.get_attribute("gen_ai.response.finish_reasons") == [reason]
    assert span.get_attribute("autolog.request.id") == "req_1"
    assert span.get_attribute("http.response.status_code") == 200


@needs_parse
@pytest.mark.asyncio
@pytest.mark.parametrize(("content", "reason", "name"), UNUSABLE)
async def test_an_async_answer_that_cannot_be_parsed_fails_and_keeps_output_and_usage(
    traced, server, async_client, content, reason, name
):
    server.script(chat_with(content, reason))
    with pytest.raises(Exception) as caught:
        await async_client.chat.completions.parse(**CHAT, response_format=Person)

    assert type(caught.value).__name__ == name
    [span] = spans(traced)
    assert span.status.code is StatusCode.ERROR
    assert span.usage.total_tokens == 18
    assert span.outputs["choices"][0]["message"]["content"] == content


@needs_parse
def test_a_streamed_answer_that_is_cut_by_its_length_keeps_its_output(traced, server, openai_client):
    events = [answers.chat_delta({"content": '{"na'}), answers.chat_delta({}, finish_reason="length")]
    server.script(stream_answer(events))
    with (
        pytest.raises(openai.LengthFinishReasonError),
        openai_client.chat.completions.stream(**CHAT, response_format=Person) as stream,
    ):
        for _ in stream:
            pass

    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert span.outputs["choices"][0]["message"]["content"] == '{"na'
    assert span.get_attribute("gen_ai.response.finish_reasons") == ["length"]
    assert span.status.code is StatusCode.ERROR
    assert span.get_attribute("error.type") == "openai.LengthFinishReasonError"


@needs_responses
def test_a_response_that_cannot_be_parsed_fails_and_keeps_output_and_usage(traced, server, openai_client):
    body = answers.response({})
    body["output"][0]["content"][0]["text"] = '{"name": "Ada"}'
    server.script(json_answer(body))
    with pytest.raises(ValueError):
        openai_client.responses.parse(model="gpt-4o", input="Hello", text_format=Person)

    [span] = spans(traced)
    assert span.status.code is StatusCode.ERROR
    assert span.usage.total_tokens == 18
    assert span.outputs["output"][0]["content"][0]["text"] == '{"name": "Ada"}'


@needs_responses
@pytest.mark.parametrize(
    ("status", "code", "kind", "reasons"),
    [
        ("completed", StatusCode.OK, None, ["stop"]),
        ("incomplete", StatusCode.OK, None, ["length"]),
        ("failed", StatusCode.ERROR, "server_error", None),
        ("queued", StatusCode.OK, None, None),
    ],
)
def test_the_status_of_a_response_is_the_status_of_the_span(traced, server, openai_client, status, code, kind, reasons):
    server.script(json_answer(answers.response({}, status)))
    assert openai_client.responses.create(model="gpt-4o", input="Hello").status == status

    [span] = spans(traced)
    assert span.status.code is code
    assert span.get_attribute("error.type") == kind
    assert span.get_attribute("gen_ai.response.status") == status
    assert span.get_attribute("gen_ai.response.finish_reasons") == reasons


def test_a_raw_call_that_fails_is_recorded(traced, server, openai_client):
    server.script(404)
    with pytest.raises(openai.NotFoundError):
        openai_client.chat.completions.with_raw_response.create(**CHAT)

    [span] = spans(traced)
    assert span.get_attribute("error.type") == "openai.NotFoundError"


@pytest.mark.skipif(not hasattr(resources.chat.Completions, "with_streaming_response"), reason="not in this version")
def test_a_streaming_call_that_fails_is_recorded(traced, server, openai_client):
    server.script(404)
    with (
        pytest.raises(openai.NotFoundError),
        openai_client.chat.completions.with_streaming_response.create(**CHAT),
    ):
        pass

    [span] = spans(traced)
    assert span.get_attribute("error.type") == "openai.NotFoundError"
    assert span.get_attribute("http.response.status_code") == 404


def test_no_key_is_in_the_span_of_an_error_that_quotes_it(traced, server):
    quoting = {"error": {"message": f"Incorrect API key provided: {API_KEY}", "type": "t", "code": "invalid_api_key"}}
    server.script(json_answer(quoting, 401))
    with pytest.raises(openai.AuthenticationError):
        server.client().chat.completions.create(**CHAT)

    [span] = spans(traced)
    assert API_KEY not in str(span.to_dict())


def test_a_nested_request_of_another_kind_is_not_taken_for_the_answer(traced, server):
    """Such as a client that looks something up while it prepares each request."""

    class Client(openai.OpenAI):
        def _prepare_options(self, options):
            if options.url != "/models":
                self.models.list()
            return super()._prepare_options(options)

    client = server.client(Client, max_retries=0)
    server.script(json_answer(answers.models({})), 400)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(**CHAT)

    [span] = spans(traced)
    assert span.outputs is None
    assert span.get_attribute("http.response.status_code") == 400
