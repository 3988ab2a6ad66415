"""What calls cost, by the price list of `genai-prices`; prices here are in US dollars for a million tokens."""

from __future__ import annotations

import threading

import openai
import pytest

pytest.importorskip("genai_prices", reason="no price list is installed")

import genai_prices

import autolog
from autolog import Cost, SpanType, TokenUsage
from autolog.testing import fresh_client, spans, traces
from tests.fakes import openai_answers as answers
from tests.fakes.openai_server import json_answer, stream_answer

VERSION = tuple(int(part) for part in openai.__version__.split(".")[:2])
HELLO = [{"role": "user", "content": "Hello?"}]
MILLION = 1_000_000


def chat(client, model="gpt-4o-mini", **arguments):
    return client.chat.completions.create(model=model, messages=HELLO, **arguments)


def answer(model="gpt-4o-mini", *, sent=MILLION, made=MILLION, tier=None, **details):
    """Answer with so many tokens."""
    usage = {"prompt_tokens": sent, "completion_tokens": made, **details}
    return json_answer({**answers.chat({}), "model": model, "service_tier": tier, "usage": usage})


def cost_of(client):
    [span] = spans(client)
    return span.cost


# --- prices -------------------------------------------------------------------------------------------------


def test_a_known_model_has_a_price(traced, server, openai_client):
    server.script(answer())
    chat(openai_client)

    assert cost_of(traced) == Cost(input=0.15, output=0.60, total=0.75)


def test_the_model_that_answered_is_priced(traced, server, openai_client):
    server.script(answer("gpt-4o-2024-08-06"))
    chat(openai_client, "gpt-4o-mini")

    assert cost_of(traced) == Cost(input=2.50, output=10.0, total=12.50)


def test_cached_tokens_are_cheaper_and_part_of_the_input(traced, server, openai_client):
    server.script(answer(made=0, prompt_tokens_details={"cached_tokens": MILLION // 2}))
    chat(openai_client)

    assert cost_of(traced).total == pytest.approx(0.15 / 2 + 0.075 / 2)


def test_reasoning_tokens_are_part_of_the_output(traced, server, openai_client):
    server.script(answer("gpt-5", completion_tokens_details={"reasoning_tokens": MILLION}))
    chat(openai_client, "gpt-5")

    assert cost_of(traced) == Cost(input=1.25, output=10.0, total=11.25)


@pytest.mark.parametrize(
    ("tier", "factor"), [(None, 1), ("default", 1), ("flex", 0.5), ("priority", 2), ("scale", 1), ("made-up", 1)]
)
def test_the_tier_that_answered_sets_the_price(traced, server, openai_client, tier, factor):
    server.script(answer("gpt-5", tier=tier, sent=1_000, made=1_000))
    chat(openai_client, "gpt-5", extra_body={"service_tier": "auto"})

    assert cost_of(traced).total == pytest.approx(0.01125 * factor)


def test_a_model_that_was_fine_tuned_has_a_price_of_its_own(traced, server, openai_client):
    model = "ft:gpt-4o-mini-2024-07-18:acme::id"
    server.script(answer(model))
    chat(openai_client, model)

    assert cost_of(traced).total == pytest.approx(1.5)


def test_a_deployment_of_azure_is_priced_by_the_model_that_answered(traced, server):
    place = {"azure_endpoint": "https://contoso.openai.azure.com", "api_version": "2024-10-21"}
    server.script(answer("gpt-4o-mini-2024-07-18"))
    chat(server.client(openai.AzureOpenAI, **place), "ours")

    assert cost_of(traced).total == pytest.approx(0.75)


def test_another_provider_has_prices_of_its_own(traced, server):
    server.script(answer("llama-3.3-70b-versatile"))
    chat(server.client(base_url="https://api.groq.com/openai/v1"), "llama-3.3-70b-versatile")

    assert cost_of(traced).total == pytest.approx(0.59 + 0.79)


def test_embeddings_have_a_price(traced, server, openai_client):
    usage = {"prompt_tokens": MILLION, "total_tokens": MILLION}
    server.script(json_answer({**answers.embeddings({}), "usage": usage}))
    openai_client.embeddings.create(model="text-embedding-3-small", input="Hello?")

    assert cost_of(traced) == Cost(input=0.02, output=0.0, total=0.02)


def test_a_picture_that_is_sent_is_dearer_than_text(traced, server, openai_client):
    details = {"text_tokens": 0, "image_tokens": MILLION}
    usage = {"input_tokens": MILLION, "output_tokens": 0, "total_tokens": MILLION, "input_tokens_details": details}
    server.script(json_answer({**answers.images({}), "usage": usage}))
    openai_client.images.edit(model="gpt-image-1", prompt="a cat", image=("cat.png", b"\x89PNG", "image/png"))

    assert cost_of(traced).total == pytest.approx(10.0)


def test_sound_is_dearer_than_text(traced, server, openai_client):
    details = {"audio_tokens": MILLION, "text_tokens": 0}
    usage = {"input_tokens": MILLION, "output_tokens": 0, "total_tokens": MILLION, "input_token_details": details}
    server.script(json_answer({"text": "Hello", "usage": usage}))
    openai_client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("hello.wav", b"RIFF....WAVE"))

    assert cost_of(traced).total == pytest.approx(6.0)


@pytest.mark.skipif(VERSION < (1, 66), reason="openai before 1.66 has no responses")
def test_a_response_has_a_price(traced, server, openai_client):
    usage = {"input_tokens": MILLION, "output_tokens": MILLION, "total_tokens": 2 * MILLION}
    server.script(json_answer(answers.response({}, usage=usage)))
    openai_client.responses.create(model="gpt-4o-mini", input="Hello?")

    assert cost_of(traced).total == pytest.approx(0.75)


def test_a_stream_that_tells_its_usage_has_a_price(traced, server, openai_client):
    usage = {"prompt_tokens": MILLION, "completion_tokens": MILLION, "total_tokens": 2 * MILLION}
    server.script(stream_answer([answers.chat_delta({"content": "Hi"}), answers.chat_chunk([], usage=usage)]))
    list(chat(openai_client, stream=True))

    assert cost_of(traced).total == pytest.approx(0.75)


@pytest.mark.skipif(VERSION < (3, 0), reason="openai before 3 has no decisions")
def test_decisions_have_a_price_list_of_their_own(traced, server, openai_client):
    usage = {"input_tokens": MILLION, "output_tokens": 0, "total_tokens": MILLION}
    server.script(json_answer({**answers.decision({}), "usage": usage}))
    question = {"type": "predicate", "text": "Is it a greeting?"}
    openai_client.decisions.create(model="gpt-6-luna", input="Hello?", questions=[question])

    assert cost_of(traced) == Cost(input=0.2, output=0.0, total=0.2)


# --- no price -----------------------------------------------------------------------------------------------


def test_an_unknown_model_has_no_price(traced, server, openai_client):
    server.script(answer("nobody-s-model"), answer("nobody-s-model"))
    chat(openai_client, "nobody-s-model")
    chat(openai_client, "nobody-s-model")

    assert [span.cost for span in spans(traced)] == [None, None]
    assert [span.usage.input_tokens for span in spans(traced)] == [MILLION, MILLION]
    assert traced.stats().internal_errors == 0


def test_an_unknown_model_costs_the_known_ones_nothing(traced, server, openai_client):
    server.script(answer("nobody-s-model"), answer())
    with autolog.start_span("job"):
        chat(openai_client, "nobody-s-model")
        chat(openai_client)

    [trace] = traces(traced)
    assert trace.cost.total == pytest.approx(0.75)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 5, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}},
        {"completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}},
        {"prompt_tokens": 5, "completion_tokens": 5, "prompt_tokens_details": {"audio_tokens": 9}},
        {"prompt_tokens": -5, "completion_tokens": 5},
        {"total_tokens": 5},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {},
    ],
)
def test_counts_that_make_no_sense_have_no_price_and_break_nothing(traced, server, openai_client, usage):
    server.script(json_answer({**answers.chat({}), "usage": usage}))
    chat(openai_client)

    [span] = spans(traced)
    assert span.status.code == "OK"
    assert span.outputs["usage"] == usage
    assert not span.cost or span.cost.total >= 0
    assert traced.stats().internal_errors == 0


def test_a_stream_that_tells_no_usage_has_no_price(traced, openai_client):
    list(chat(openai_client, stream=True))

    assert cost_of(traced) is None


def test_a_call_that_failed_has_no_price(traced, server, openai_client):
    server.script(400)
    with pytest.raises(openai.BadRequestError):
        chat(openai_client)

    assert cost_of(traced) is None


def test_no_price_is_looked_up_where_that_is_not_wanted(server):
    with fresh_client(cost=False) as client:
        autolog.autolog()
        chat(server.client())

        assert cost_of(client) is None


# --- when, and how often ------------------------------------------------------------------------------------


@pytest.fixture
def lookups(monkeypatch):
    """Where prices were looked up: the names of the threads."""
    found = []
    calc_price = genai_prices.calc_price

    def calc_price_noted(*args, **kwargs):
        found.append(threading.current_thread().name)
        return calc_price(*args, **kwargs)

    monkeypatch.setattr(genai_prices, "calc_price", calc_price_noted)
    return found


def test_no_price_is_looked_up_before_the_call_returns(server, lookups):
    """The worker sleeps meanwhile, so that nobody but the call itself could do it."""
    with fresh_client(flush_interval=3600.0) as client:
        autolog.autolog()
        chat(server.client())
        list(chat(server.client(), stream=True, extra_body={"stream_options": {"include_usage": True}}))
        looked_up = list(lookups)
        assert [span.cost is not None for span in spans(client)] == [True, True]

    assert looked_up == []
    assert len(lookups) == 2


def test_prices_are_looked_up_by_the_worker(server, monkeypatch):
    found = []
    looked_up = threading.Event()
    calc_price = genai_prices.calc_price

    def calc_price_noted(*args, **kwargs):
        found.append(threading.current_thread().name)
        looked_up.set()
        return calc_price(*args, **kwargs)

    monkeypatch.setattr(genai_prices, "calc_price", calc_price_noted)
    with fresh_client(flush_interval=0.01) as client:
        autolog.autolog()
        chat(server.client())
        assert looked_up.wait(30)
        assert cost_of(client) is not None

    assert found == ["autolog"]


def test_a_trace_costs_what_its_calls_cost(traced, server, openai_client):
    server.script(answer(), answer("gpt-4o"))
    with autolog.start_span("outer"), autolog.start_span("inner"):
        chat(openai_client)
        chat(openai_client, "gpt-4o")

    [trace] = traces(traced)
    assert trace.cost.input == pytest.approx(0.15 + 2.50)
    assert trace.cost.output == pytest.approx(0.60 + 10.0)
    assert trace.cost.total == pytest.approx(0.75 + 12.50)


def test_a_model_call_inside_another_costs_once(traced, server, openai_client):
    """As where a framework's span tells the usage of the call that it makes through the SDK."""
    server.script(answer())
    with autolog.start_span("chat model", SpanType.CHAT_MODEL) as outer:
        outer.set_attribute("gen_ai.request.model", "gpt-4o-mini")
        chat(openai_client)
        outer.set_usage(TokenUsage(input_tokens=MILLION, output_tokens=MILLION, total_tokens=2 * MILLION))

    [trace] = traces(traced)
    assert [span.cost.total for span in trace.spans] == pytest.approx([0.75, 0.75])
    assert trace.cost.total == pytest.approx(0.75)
    assert trace.usage.total_tokens == 2 * MILLION


def test_a_cost_that_is_known_below_is_not_lost_where_it_is_unknown_above(traced, server, openai_client):
    server.script(answer())
    with autolog.start_span("chat model", SpanType.CHAT_MODEL) as outer:
        chat(openai_client)
        outer.set_usage(TokenUsage(input_tokens=MILLION, output_tokens=MILLION, total_tokens=2 * MILLION))

    [trace] = traces(traced)
    assert trace.cost.total == pytest.approx(0.75)
    assert trace.usage.total_tokens == 2 * MILLION


def test_a_cost_that_the_program_sets_stays(traced):
    with autolog.start_span("chat model", SpanType.CHAT_MODEL) as span:
        span.set_attribute("gen_ai.request.model", "gpt-4o-mini")
        span.set_usage(TokenUsage(input_tokens=MILLION, output_tokens=MILLION))
        span.set_cost(Cost(1.0, 2.0, 3.0))

    assert cost_of(traced) == Cost(1.0, 2.0, 3.0)


def test_the_cost_is_found_in_the_list_of_traces(traced, server, openai_client):
    server.script(answer())
    chat(openai_client)

    [info] = traced.search_traces(include_spans=False, return_type="list")
    assert info.cost.total == pytest.approx(0.75)
