"""The place in the trace on the requests of the SDK: only where the program asks for it, and never over its own."""

from __future__ import annotations

import asyncio

import openai
import pytest

import autolog as al
from autolog import autolog
from tests.trees import the

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(autouse=True)
def _propagate(traced):
    autolog.openai(propagate=True)
    yield
    autolog.openai(propagate=False)


def ask(client, **details):
    return client.chat.completions.create(model="gpt-4o", messages=HELLO, **details)


def test_requests_tell_the_span_of_the_call(client, server, openai_client, async_client):
    with al.start_span("root"):
        ask(openai_client)
    asyncio.run(async_client.embeddings.create(model="e", input="x"))
    for request, name in zip(server.requests, ("chat gpt-4o", "embeddings e"), strict=True):
        span = the(client, name)
        assert request.headers["traceparent"] == f"00-{span.trace_id}-{span.span_id}-01"
        assert "baggage" not in request.headers


def test_a_retry_tells_it_again(client, server, openai_client):
    server.script(500)
    ask(openai_client)
    first, second = (request.headers["traceparent"] for request in server.requests)
    assert first == second


def test_nothing_is_added_unless_asked(client, server, openai_client):
    autolog.openai(propagate=False)
    ask(openai_client)
    assert "traceparent" not in server.requests[0].headers


def test_the_programs_own_header_stays(client, server, openai_client):
    mine = {"Traceparent": "mine"}
    ask(openai_client, extra_headers=mine)
    ask(openai_client.with_options(default_headers={"TRACEPARENT": "theirs"}))
    assert [request.headers.get("traceparent") for request in server.requests] == ["mine", "theirs"]
    assert mine == {"Traceparent": "mine"}


@pytest.mark.skipif(not hasattr(openai, "Omit"), reason="this openai can't leave a header out")
def test_a_header_that_the_program_leaves_out_is_left_out(client, server, openai_client):
    ask(openai_client, extra_headers={"traceparent": openai.Omit()})
    assert "traceparent" not in server.requests[0].headers


def test_the_programs_objects_and_other_headers_are_left_alone(client, server, openai_client):
    headers = {"X-Own": "1"}
    ask(openai_client, extra_headers=headers)
    assert headers == {"X-Own": "1"}
    assert server.requests[0].headers["x-own"] == "1"
    raw = openai_client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
    assert raw.parse().choices
    assert "traceparent" in server.requests[1].headers


def test_it_goes_together_with_the_usage_of_streams(client, server, openai_client):
    autolog.openai(inject_stream_usage=True)
    try:
        chunks = list(ask(openai_client, stream=True))
    finally:
        autolog.openai(inject_stream_usage=False)
    assert chunks
    assert all(getattr(chunk, "usage", None) is None for chunk in chunks)
    assert server.requests[0].body["stream_options"] == {"include_usage": True}
    assert "traceparent" in server.requests[0].headers
    assert the(client, "chat gpt-4o").usage is not None


def test_a_service_behind_the_model_goes_on_with_the_trace(client, server, openai_client):
    with al.start_span("root"):
        ask(openai_client)
    with al.extract(server.requests[0].headers), al.start_span("gateway"):
        pass
    call, gateway = the(client, "chat gpt-4o"), the(client, "gateway")
    assert (gateway.trace_id, gateway.parent_id) == (call.trace_id, call.span_id)
