"""The project's own cassettes: what a real model answered, told by the spans as the server told it."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("vcr", reason="cassettes are replayed by vcrpy")

import autolog
from autolog import SpanType
from autolog.testing import spans, traces
from cassettes.cassette import interactions
from cassettes.scenarios import MODEL, SCENARIOS, play

NAMES = [name for name, scenario in SCENARIOS.items() if scenario.is_supported]
REFUSED = [name for name in NAMES if name.startswith("error_")]
FAILED = [name for name in NAMES if SCENARIOS[name].error]
ANSWERED = [name for name in NAMES if name not in REFUSED]
KINDS = {
    "/v1/chat/completions": (SpanType.CHAT_MODEL, f"chat {MODEL}"),
    "/v1/responses": (SpanType.CHAT_MODEL, f"chat {MODEL}"),
    "/v1/completions": (SpanType.LLM, f"text_completion {MODEL}"),
    "/v1/embeddings": (SpanType.EMBEDDING, f"embeddings {MODEL}"),
    "/v1/moderations": (SpanType.GUARDRAIL, "moderation"),
}


def seen(result):
    """Return what can be told of a result, so that two of them can be compared."""
    if isinstance(result, Exception):
        return type(result), str(result)
    if isinstance(result, list):
        return [seen(item) for item in result]
    if hasattr(result, "http_response"):
        return type(result), result.status_code, result.text, seen(result.parse())
    return type(result), result


def model_calls(client):
    """Return the spans of requests, in the order in which they were made."""
    found = [span for span in spans(client) if span.get_attribute("gen_ai.operation.name")]
    return sorted(found, key=lambda span: span.start_time_ns)


@pytest.mark.parametrize("name", NAMES)
def test_the_program_gets_the_same_traced_or_not(client, name):
    untraced = play(name)
    autolog.autolog()
    traced = play(name)

    assert seen(traced) == seen(untraced)
    assert model_calls(client)


@pytest.mark.parametrize("name", NAMES)
def test_a_request_makes_one_span(traced, name):
    play(name)

    recorded = interactions(name)
    found = model_calls(traced)
    assert [(span.span_type, span.name) for span in found] == [KINDS[request.path] for request in recorded]
    assert [span.get_attribute("http.response.status_code") for span in found] == [each.status for each in recorded]


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_the_recorded_request(traced, name):
    play(name)

    # The SDK asks for base64 by itself, which is not what the program said.
    sent = [{k: v for k, v in each.request.items() if k != "encoding_format"} for each in interactions(name)]
    kept = [{k: v for k, v in span.inputs.items() if k != "encoding_format"} for span in model_calls(traced)]
    assert kept == sent


@pytest.mark.parametrize("name", ANSWERED)
def test_usage_is_what_the_server_counted(traced, name):
    play(name)

    kept = [span.usage.raw if span.usage else None for span in model_calls(traced)]
    assert kept == [each.usage for each in interactions(name)]


@pytest.mark.parametrize("name", ANSWERED)
def test_counts_are_normalised(traced, name):
    play(name)

    for span, recorded in zip(model_calls(traced), interactions(name), strict=True):
        if recorded.usage is None:
            assert span.usage is None
            continue
        told = recorded.usage
        assert span.usage.input_tokens == told.get("prompt_tokens", told.get("input_tokens"))
        assert span.usage.output_tokens == told.get("completion_tokens", told.get("output_tokens"))
        assert span.usage.total_tokens == told["total_tokens"]
        details = told.get("prompt_tokens_details") or told.get("input_tokens_details") or {}
        assert span.usage.cache_read_tokens == details.get("cached_tokens")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FAILED])
def test_an_answer_is_a_success(traced, name):
    play(name)

    assert [span.status.code for span in model_calls(traced)] == ["OK"] * len(interactions(name))


@pytest.mark.parametrize("name", REFUSED)
def test_an_http_error_is_a_failure(traced, name):
    error = play(name)

    [span] = model_calls(traced)
    assert span.status.is_error
    assert span.usage is None
    assert span.get_attribute("error.type") == f"openai.{type(error).__name__}"
    assert span.get_attribute("http.response.status_code") == error.status_code
    [event] = span.events
    assert event.name == "exception"
    assert event.attributes["exception.type"] == f"openai.{type(error).__name__}"


@pytest.mark.skipif("responses_stream_helper" not in NAMES, reason="this openai has no responses.stream")
def test_a_stream_that_the_sdk_can_not_read_is_a_failure_that_keeps_its_tokens(traced):
    error = play("responses_stream_helper")

    [span] = model_calls(traced)
    assert span.status.is_error
    assert span.get_attribute("error.type") == type(error).__name__
    assert span.usage.total_tokens == interactions("responses_stream_helper")[0].usage["total_tokens"]


@pytest.mark.skipif("tools_stream" not in NAMES, reason="this openai can't ask for the usage of a stream")
def test_the_agent_is_the_root_of_its_calls(traced):
    play("tools_stream")

    [trace] = traces(traced)
    told = [each.usage["total_tokens"] for each in interactions("tools_stream")]
    assert trace.name == "weather agent"
    assert [(child.name, child.span_type) for child in trace.children(trace.root)] == [
        (f"chat {MODEL}", SpanType.CHAT_MODEL),
        ("get_weather", SpanType.TOOL),
        (f"chat {MODEL}", SpanType.CHAT_MODEL),
    ]
    assert trace.usage.total_tokens == sum(told)


def test_calls_that_nothing_joins_are_traces_of_their_own(traced):
    play("tools")

    assert [len(trace.spans) for trace in traces(traced)] == [1, 1]


@pytest.mark.skipif("tools_stream" not in NAMES, reason="this openai can't ask for the usage of a stream")
def test_a_streamed_tool_call_is_put_together(traced):
    play("tools_stream")

    asked, answered = model_calls(traced)
    [choice] = asked.outputs["choices"]
    [call] = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}
    assert asked.get_attribute("gen_ai.response.finish_reasons") == ["tool_calls"]
    assert answered.get_attribute("gen_ai.response.finish_reasons") == ["stop"]
    assert answered.inputs["messages"][-1]["content"] == "sunny, 18 degrees Celsius"


def test_two_choices_stay_two(traced):
    play("chat_n2")

    [span] = model_calls(traced)
    assert [choice["index"] for choice in span.outputs["choices"]] == [0, 1]
    assert span.get_attribute("gen_ai.request.choice.count") == 2
    assert span.get_attribute("gen_ai.response.finish_reasons") == ["length", "length"]
