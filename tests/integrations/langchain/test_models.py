"""What is on the span of a model: what it was asked, what it answered, what it used."""

from __future__ import annotations

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate, FewShotPromptTemplate, MessagesPlaceholder, PromptTemplate
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel

from autolog import SpanType
from autolog.testing import traces
from tests.fakes.langchain_models import Parrot, chat, says
from tests.integrations.langchain.programs import models
from tests.trees import forest, the

pytest.importorskip("langchain_openai", reason="needs langchain-openai")


# --- what it was asked ----------------------------------------------------------------------------------------


def test_messages_are_pictured_alike_whatever_made_them(traced, server):
    asked = [
        SystemMessage("Be brief."),
        HumanMessage("Weather?", name="ann"),
        AIMessage("", tool_calls=[{"id": "c1", "name": "weather", "args": {"city": "Rome"}}]),
        ToolMessage("sunny", tool_call_id="c1"),
    ]
    chat(server).invoke(asked)

    assert the(traced, "ChatOpenAI").inputs["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?", "name": "ann"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c1", "name": "weather", "arguments": {"city": "Rome"}}],
        },
        {"role": "tool", "content": "sunny", "tool_call_id": "c1"},
    ]


def test_a_message_is_recorded_as_it_was_even_where_the_program_changes_it_afterwards(traced, server):
    message = HumanMessage("Hello")
    conversation = [message]
    chat(server).invoke(conversation)
    message.content = "changed"
    conversation.append(HumanMessage("more"))

    assert the(traced, "ChatOpenAI").inputs["messages"] == [{"role": "user", "content": "Hello"}]


def test_an_answer_is_recorded_as_it_was_even_where_the_program_changes_it_afterwards(traced, server):
    answer = chat(server).invoke("Hello")
    answer.content = "changed"

    assert the(traced, "ChatOpenAI").outputs["content"] == "Hello there, world"


def test_parameters_model_and_provider_are_told_by_the_names_of_opentelemetry(traced, server):
    model = chat(server, temperature=0.5, max_tokens=9, top_p=0.9, seed=7, stop=["END"], frequency_penalty=0.1)
    model.invoke("Hello")

    attributes = the(traced, "ChatOpenAI").attributes
    assert {name: value for name, value in attributes.items() if name.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.seed": 7,
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.finish_reasons": ["stop"],
    }


def test_parameters_of_one_call_are_told(traced, server):
    chat(server).invoke("Hello", temperature=0.25, stop=["END"], model="gpt-4.1")

    span = the(traced, "ChatOpenAI")
    assert span.get_attribute("gen_ai.request.temperature") == 0.25
    assert span.get_attribute("gen_ai.request.stop_sequences") == ["END"]
    assert span.get_attribute("gen_ai.request.model") == "gpt-4.1"


def test_a_parameter_that_has_no_name_is_an_input(traced, server):
    chat(server).invoke("Hello", logit_bias={"50256": -100}, user="ann")

    inputs = the(traced, "ChatOpenAI").inputs
    assert (inputs["logit_bias"], inputs["user"]) == ({"50256": -100}, "ann")


def test_bound_tools_are_told_with_their_schemas(traced, server):
    models.tools_bound(server)

    [tool] = the(traced, "ChatOpenAI").inputs["tools"]
    assert tool["function"]["name"] == "weather"
    assert tool["function"]["description"] == "Tell the weather of a city."
    assert tool["function"]["parameters"]["properties"] == {"city": {"type": "string"}}


def test_tags_and_metadata_of_the_program_are_told_and_those_of_langchain_are_not(traced, server):
    config = {"tags": ["mine"], "metadata": {"ticket": 7, "user_id": "ann"}, "run_name": "greeting"}
    chat(server).invoke("Hello", config=config)

    span = the(traced, "greeting")
    assert span.get_attribute("autolog.tags") == ["mine"]
    assert span.get_attribute("autolog.metadata") == {"ticket": 7, "user_id": "ann"}
    assert traces(traced)[0].info.user == "ann"


# --- what it answered -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", [models.tools_bound, models.tools_bound_and_streamed])
def test_parallel_tool_calls_keep_their_ids_names_and_arguments(traced, server, program):
    program(server)

    assert the(traced, "ChatOpenAI").outputs["tool_calls"] == [
        {"id": "call_weather_0", "name": "weather", "arguments": {"city": "Rome"}},
        {"id": "call_weather_1", "name": "weather", "arguments": {"city": "Oslo"}},
    ]
    assert the(traced, "ChatOpenAI").get_attribute("gen_ai.response.finish_reasons") == ["tool_calls"]


def test_a_tool_call_that_is_no_json_is_told_with_what_is_wrong_with_it(traced, server):
    models.tool_call_that_is_no_json(server)

    [invalid] = the(traced, "ChatOpenAI").outputs["invalid_tool_calls"]
    assert (invalid["id"], invalid["name"], invalid["arguments"]) == ("call_0", "weather", '{"city": ')
    assert "not valid JSON" in invalid["error"]


def test_an_answer_that_was_cut_off_says_so(traced, server):
    server.script(says("Once upon a", reason="length"))
    chat(server).invoke("Tell a story")

    span = the(traced, "ChatOpenAI")
    assert span.get_attribute("gen_ai.response.finish_reasons") == ["length"]
    assert span.outputs["content"] == "Once upon a"


def test_two_choices_stay_two(traced, server):
    models.model_with_two_choices(server)

    span = the(traced, "ChatOpenAI")
    assert [choice["content"] for choice in span.outputs["choices"]] == ["Hello there, world"] * 2
    assert span.get_attribute("gen_ai.request.choice.count") == 2
    assert span.get_attribute("gen_ai.response.finish_reasons") == ["stop", "stop"]


def test_a_completion_is_told_as_text(traced, server):
    models.completion_invoked(server)

    span = the(traced, "OpenAI")
    assert span.span_type is SpanType.LLM
    assert span.inputs["prompt"] == "Hello"
    assert span.outputs["text"]
    assert span.get_attribute("gen_ai.operation.name") == "text_completion"
    assert span.get_attribute("gen_ai.request.model") == "gpt-3.5-turbo-instruct"


def test_each_of_several_prompts_is_a_span_with_its_own_question_and_answer(traced):
    FakeListLLM(responses=["one", "two"]).generate(["Hello", "Bye"])

    told = [(trace.root.inputs["prompt"], trace.root.outputs["text"]) for trace in traces(traced)]
    assert told == [("Hello", "one"), ("Bye", "two")]


def test_each_conversation_of_a_batch_is_a_span_with_its_own_question(traced, server):
    chat(server).generate([[HumanMessage("Hello")], [HumanMessage("Bye")]])

    asked = [trace.root.inputs["messages"] for trace in traces(traced)]
    assert asked == [[{"role": "user", "content": "Hello"}], [{"role": "user", "content": "Bye"}]]


# --- what it used ----------------------------------------------------------------------------------------------


def used(client, usage_metadata, **response):
    """Return the usage that the span of a model says it used."""
    Parrot(says=[AIMessage("Hello", usage_metadata=usage_metadata, response_metadata=response)]).invoke("Hello")
    return the(client, "Parrot").usage


def test_every_kind_of_token_is_told(traced):
    usage = used(
        traced,
        {
            "input_tokens": 100,
            "output_tokens": 50,
            "total_tokens": 150,
            "input_token_details": {"cache_read": 40, "cache_creation": 10, "audio": 5},
            "output_token_details": {"reasoning": 20, "audio": 3},
        },
    )

    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (100, 50, 150)
    assert (usage.cache_read_tokens, usage.cache_write_tokens) == (40, 10)
    assert (usage.reasoning_tokens, usage.input_audio_tokens, usage.output_audio_tokens) == (20, 5, 3)


def test_counts_of_openai_are_told_through_langchain(traced, server):
    chat(server).invoke("Hello")

    usage = the(traced, "ChatOpenAI").usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (11, 7, 18)
    assert (usage.cache_read_tokens, usage.reasoning_tokens) == (3, 4)
    assert (usage.input_audio_tokens, usage.output_audio_tokens) == (1, 2)


@pytest.mark.parametrize(
    "counts",
    [
        {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
        {"input_tokens": 10, "output_tokens": 5, "total_tokens": 115},
    ],
    ids=["total of the rest", "total of all"],
)
def test_input_that_a_provider_counts_without_what_was_cached_is_told_with_it(traced, counts):
    """As Bedrock counts."""
    usage = used(traced, {**counts, "input_token_details": {"cache_read": 80, "cache_creation": 20}})

    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (110, 5, 115)
    assert (usage.cache_read_tokens, usage.cache_write_tokens) == (80, 20)


def test_input_of_which_a_part_was_cached_is_told_as_it_is(traced):
    usage = used(
        traced,
        {"input_tokens": 100, "output_tokens": 5, "total_tokens": 105, "input_token_details": {"cache_read": 80}},
    )

    assert (usage.input_tokens, usage.total_tokens) == (100, 105)


@pytest.mark.parametrize("tier", ["flex", "priority"])
def test_counts_of_a_service_tier_are_told(traced, tier):
    usage = used(
        traced,
        {
            "input_tokens": 100,
            "output_tokens": 50,
            "total_tokens": 150,
            "input_token_details": {f"{tier}_cache_read": 40, f"{tier}_cache_creation": 10, tier: 60},
            "output_token_details": {f"{tier}_reasoning": 20, tier: 30},
        },
    )

    assert (usage.cache_read_tokens, usage.cache_write_tokens, usage.reasoning_tokens) == (40, 10, 20)
    assert usage.input_tokens == 100


def test_counts_of_what_anthropic_caches_by_time_are_summed(traced):
    details = {"cache_creation": 0, "ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 5, "cache_read": 3}
    usage = used(traced, {"input_tokens": 30, "output_tokens": 1, "total_tokens": 31, "input_token_details": details})

    assert (usage.cache_write_tokens, usage.cache_read_tokens, usage.input_tokens) == (15, 3, 30)


def test_usage_that_a_provider_gives_as_it_likes_is_read(traced):
    usage = used(traced, None, token_usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7})

    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (3, 4, 7)


@pytest.mark.parametrize("program", [models.model_streamed, models.model_that_streams_by_itself])
def test_usage_in_the_last_chunk_of_a_stream_is_told(traced, server, program):
    program(server)

    usage = the(traced, "ChatOpenAI").usage
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (11, 7, 4)


def test_an_answer_out_of_the_cache_is_marked_and_uses_nothing(traced, server):
    model = chat(server, cache=InMemoryCache())
    model.invoke("Hello")
    model.invoke("Hello")

    asked, cached = (trace.root for trace in traces(traced))
    assert (asked.get_attribute("autolog.cache_hit"), cached.get_attribute("autolog.cache_hit")) == (None, True)
    assert cached.outputs["content"] == asked.outputs["content"]
    assert cached.usage is None
    assert cached.cost is None
    assert len(server.requests) == 1


def test_a_model_call_is_priced_once(traced, server):
    pytest.importorskip("genai_prices", reason="needs genai-prices")
    chat(server).invoke("Hello")

    [trace] = traces(traced)
    assert trace.cost == the(traced, "ChatOpenAI").cost


# --- structured answers ----------------------------------------------------------------------------------------

STRUCTURED = [models.structured_by_schema, models.structured_by_function_calling, models.structured_by_json_mode]


@pytest.mark.parametrize("program", STRUCTURED)
def test_the_schema_of_a_structured_answer_is_told_as_json(traced, server, program):
    program(server)

    schema = the(traced, "ChatOpenAI").get_attribute("autolog.output.schema")
    assert "Person" in str(schema)
    assert "'age'" in str(schema)
    assert "class" not in str(schema)


@pytest.mark.parametrize("program", STRUCTURED)
def test_a_structured_answer_is_what_comes_out_of_the_sequence(traced, server, program):
    person = program(server)

    assert type(person) is models.Person
    assert traces(traced)[0].root.outputs == {"name": "Ada", "age": 36}


def test_a_class_that_the_program_asks_for_is_not_replaced_by_what_is_told_of_it(traced, server):
    kept = []

    class Watched(models.Person):
        @classmethod
        def model_validate_json(cls, *args, **kwargs):
            kept.append(cls)
            return super().model_validate_json(*args, **kwargs)

    chat(server).with_structured_output(Watched, method="json_schema").invoke("Who?")

    sent = server.requests[0].body["response_format"]["json_schema"]
    assert sent["name"] == "Watched"


def test_a_schema_that_is_a_dict_is_told_as_it_is(traced, server):
    schema = {"title": "Person", "type": "object", "properties": {"age": {"type": "integer"}}}
    chat(server).with_structured_output(schema, method="json_schema").invoke("Who?")

    assert the(traced, "ChatOpenAI").get_attribute("autolog.output.schema")["properties"] == schema["properties"]


@pytest.mark.parametrize(
    "program", [models.structured_answer_that_is_cut_off, models.structured_answer_that_does_not_fit]
)
def test_an_answer_that_can_not_be_parsed_is_an_error_that_keeps_the_text_and_the_tokens(traced, server, program):
    with pytest.raises(Exception):
        program(server)

    span = the(traced, "ChatOpenAI")
    assert span.status.is_error
    assert '{"name": "Ad' in str(span.outputs)
    assert (span.usage.input_tokens, span.usage.output_tokens) == (11, 7)
    assert traces(traced)[0].usage.total_tokens == 18


# --- prompts ---------------------------------------------------------------------------------------------------


def test_a_prompt_has_its_template_and_variables(traced):
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Answer {how}."), MessagesPlaceholder("history"), ("human", "{question}"), ("ai", "Well,")]
    )
    prompt.invoke({"how": "briefly", "question": "Who?", "history": [HumanMessage("Hi")]})

    span = the(traced, "ChatPromptTemplate")
    assert span.get_attribute("autolog.prompt.template") == [
        {"role": "system", "template": "Answer {how}."},
        {"role": "placeholder", "template": "{history}"},
        {"role": "user", "template": "{question}"},
        {"role": "assistant", "template": "Well,"},
    ]
    assert span.get_attribute("autolog.prompt.variables") == {
        "how": "briefly",
        "question": "Who?",
        "history": [{"role": "user", "content": "Hi"}],
    }
    assert span.outputs["messages"][0] == {"role": "system", "content": "Answer briefly."}


def test_a_prompt_of_text_has_its_template_and_variables(traced):
    PromptTemplate.from_template("Say {word}").invoke({"word": "cheese"})

    span = the(traced, "PromptTemplate")
    assert span.get_attribute("autolog.prompt.template") == "Say {word}"
    assert span.get_attribute("autolog.prompt.variables") == {"word": "cheese"}
    assert span.outputs == {"text": "Say cheese"}


def test_a_prompt_that_can_not_be_serialised_is_recorded_without_a_template(traced):
    example = PromptTemplate.from_template("{q}: {a}")
    prompt = FewShotPromptTemplate(
        examples=[{"q": "1", "a": "2"}], example_prompt=example, suffix="{q}", input_variables=["q"]
    )
    prompt.invoke({"q": "3"})

    assert the(traced, "FewShotPromptTemplate").outputs["text"].endswith("3")


# --- odd models ------------------------------------------------------------------------------------------------


def test_a_model_that_says_nothing_of_itself_is_recorded(traced):
    Parrot(says=[AIMessage("Hello")]).invoke("Hi")

    span = the(traced, "Parrot")
    assert span.outputs["content"] == "Hello"
    assert span.usage is None
    assert forest(traced) == "OK\nCHAT_MODEL Parrot"


def test_content_in_parts_is_told_in_parts(traced):
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "http://x/a.png"}}]
    Parrot(says=[AIMessage([{"type": "text", "text": "A cat"}])]).invoke([HumanMessage(parts)])

    span = the(traced, "Parrot")
    assert span.inputs["messages"][0]["content"] == parts
    assert span.outputs["content"] == [{"type": "text", "text": "A cat"}]


def test_what_a_chain_takes_and_gives_is_pictured_in_the_plain_form_of_messages(traced):
    class Order(BaseModel):
        item: str

    RunnableLambda(lambda order: [HumanMessage(order.item)], name="step").invoke(Order(item="tea"))

    span = the(traced, "step")
    assert span.inputs == {"item": "tea"}
    assert span.outputs == [{"role": "user", "content": "tea"}]
