"""What is on a span: what went in, what came out, parameters, tokens, times, tags."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest
from llama_index.core import PromptTemplate
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.llms import ChatResponse, MockLLM
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

import autolog as al
from autolog import SpanType, autolog
from autolog.errors import InvalidSetting
from autolog.testing import spans, traces
from autolog_llama_index.usage import usage_in
from tests.fakes import openai_answers as answers
from tests.fakes.llama_index_models import EMBEDDING, HELLO, TEXTS, USAGE, embedding, index, openai, streams_calls
from tests.fakes.openai_server import API_KEY, json_answer
from tests.integrations.llama_index.programs import PROGRAMS, agents, queries, workflows
from tests.integrations.llama_index.programs.models import Parrot
from tests.integrations.llama_index.programs.program import OPENAI
from tests.programs import is_installed
from tests.trees import forest

since_0_14 = pytest.mark.skipif(not is_installed("llama-index-core>=0.14"), reason="told otherwise before 0.14")
needs_openai = pytest.mark.skipif(not all(map(is_installed, OPENAI)), reason="llama-index-llms-openai is not installed")
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


def named(client, name):
    found = [span for span in spans(client) if span.name == name]
    assert found, f"no span {name}; there are: {[span.name for span in spans(client)]}"
    return found[0]


async def counted(*words):
    return await workflows.Counting().run(words=list(words))


def play(name):
    if name not in PROGRAMS:
        pytest.skip(f"{name} is of what the installed LlamaIndex has not")
    return PROGRAMS[name].play()


# --- models ------------------------------------------------------------------------------------------


@needs_openai
def test_a_chat_has_its_messages_its_parameters_its_answer_and_its_tokens(traced, server):
    history = [ChatMessage(role="system", content="Be brief."), *HELLO]
    openai(server, temperature=0.3, max_tokens=50, additional_kwargs={"seed": 7}).chat(history, top_p=0.5, stop=["END"])
    span = named(traced, "OpenAI.chat")

    assert span.inputs == {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        "stop": ["END"],
    }
    assert span.outputs == {"role": "assistant", "content": answers.TEXT}
    assert {name: span.attributes[f"gen_ai.{name}"] for name in ("operation.name", "provider.name")} == {
        "operation.name": "chat",
        "provider.name": "openai",
    }
    request = ("model", "temperature", "max_tokens", "top_p", "seed", "stop_sequences")
    assert [span.attributes[f"gen_ai.request.{name}"] for name in request] == ["gpt-4o", 0.3, 50, 0.5, 7, ["END"]]
    response = ("model", "id", "finish_reasons")
    assert [span.attributes[f"gen_ai.response.{name}"] for name in response] == [
        answers.MODEL,
        "chatcmpl-1",
        ["stop"],
    ]
    usage = span.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (11, 7, 18)
    assert (usage.cache_read_tokens, usage.cache_write_tokens, usage.reasoning_tokens) == (3, 2, 4)


@needs_openai
def test_parameters_of_the_call_go_before_those_of_the_model(traced, server):
    openai(server, temperature=0.3).chat(HELLO, temperature=0.9, model="gpt-4o-mini")
    span = named(traced, "OpenAI.chat")

    assert (span.attributes["gen_ai.request.temperature"], span.attributes["gen_ai.request.model"]) == (
        0.9,
        "gpt-4o-mini",
    )
    assert json.loads(server.requests[0].content)["temperature"] == 0.9


@needs_openai
def test_tools_and_the_calls_of_them_are_plain(traced, server):
    model = openai(server)
    said = model.chat(HELLO, tools=[TOOL]).message
    result = ChatMessage(role="tool", content="sunny", additional_kwargs={"tool_call_id": "call_0"})
    model.chat([*HELLO, said, result])
    first, second = (span for span in spans(traced) if span.name == "OpenAI.chat")

    assert first.inputs["tools"] == [TOOL]
    calls = [
        {"id": f"call_{i}", "name": "weather", "arguments": {"city": city}} for i, city in enumerate(answers.CITIES)
    ]
    assert first.outputs["tool_calls"] == calls
    assert first.attributes["gen_ai.response.finish_reasons"] == ["tool_calls"]
    assert second.inputs["messages"][1]["tool_calls"] == calls
    assert second.inputs["messages"][2] == {"role": "tool", "content": "sunny", "tool_call_id": "call_0"}


@needs_openai
def test_a_completion_has_its_prompt_and_its_text(traced, server):
    openai(server, model="gpt-3.5-turbo-instruct", max_tokens=5).complete("Once", temperature=0.2)
    span = named(traced, "OpenAI.complete")

    assert (span.inputs, span.outputs) == ({"prompt": "Once"}, {"text": answers.TEXT})
    assert span.attributes["gen_ai.operation.name"] == "text_completion"
    assert span.attributes["gen_ai.request.temperature"] == 0.2


@needs_openai
def test_a_stream_has_the_whole_answer_its_times_and_why_it_finished(traced, server):
    list(openai(server, additional_kwargs=USAGE).stream_chat(HELLO))
    span = named(traced, "OpenAI.stream_chat")

    assert span.outputs == {"role": "assistant", "content": answers.TEXT}
    assert span.attributes["gen_ai.request.stream"] is True
    # In a chunk before the last, which has the usage and no choice.
    assert span.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert (span.usage.input_tokens, span.usage.cache_read_tokens, span.usage.reasoning_tokens) == (11, 3, 4)
    [first] = [event for event in span.events if event.name == "gen_ai.first_token"]
    begun = span.start_time_ns + span.attributes["gen_ai.response.time_to_first_chunk"] * 1e9
    # The first chunk says who speaks and nothing else.
    assert span.start_time_ns < begun <= first.timestamp_ns <= span.end_time_ns


@needs_openai
def test_a_stream_of_tool_calls_has_them_whole(traced, server):
    server.script(streams_calls(("weather", {"city": "Rome"}), ("weather", {"city": "Oslo"})))
    list(openai(server).stream_chat(HELLO, tools=[TOOL]))

    calls = named(traced, "OpenAI.stream_chat").outputs["tool_calls"]
    assert [(call["name"], call["arguments"]["city"]) for call in calls] == [("weather", "Rome"), ("weather", "Oslo")]


@needs_openai
def test_a_stream_that_is_left_has_what_was_read_of_it(traced):
    play("stream_left")
    span = named(traced, "OpenAI.stream_chat")

    assert span.outputs == {"role": "assistant", "content": "one"}
    assert span.events[0].name == "gen_ai.first_token"
    assert not any(event.name == "exception" for event in span.events)


def test_messages_are_recorded_as_they_were_when_the_model_was_asked(traced):
    message = ChatMessage(role="user", content="before")
    messages = [message]
    MockLLM(max_tokens=1).chat(messages)
    message.blocks[0].text = "after"
    messages.append(message)

    assert named(traced, "MockLLM.chat").inputs == {"messages": [{"role": "user", "content": "before"}]}


def test_a_message_of_several_parts_keeps_them_and_images_are_described(traced):
    blocks = [TextBlock(text="What is this?"), ImageBlock(url="https://example.com/a.png")]
    image = ImageBlock(image=b"\x89PNG" + bytes(20_000), image_mimetype="image/png")
    MockLLM(max_tokens=1).chat([ChatMessage(role=MessageRole.USER, blocks=[*blocks, image])])
    [message] = named(traced, "MockLLM.chat").inputs["messages"]

    text, linked, inline = message["content"]
    assert text == {"type": "text", "text": "What is this?"}
    assert (linked["type"], linked["url"]) == ("image", "https://example.com/a.png")
    assert inline["image"]["media"]["bytes"] > 20_000


@needs_openai
def test_a_key_is_in_no_field_of_any_span(traced, server):
    model = openai(server, default_headers={"x-secret": "hidden-header"}, additional_kwargs={"user": "u"})
    model.chat(HELLO)
    server.script(json_answer({"error": {"message": f"bad key {API_KEY}"}}, 401))
    with pytest.raises(Exception, match="bad key"):
        model.chat(HELLO)
    asyncio.run(counted(model))  # a model as a part of an event

    text = json.dumps([span.to_dict() for span in spans(traced)])
    assert repr(API_KEY)[1:-1] in repr(model)
    assert (API_KEY in text, "hidden-header" in text) == (False, False)


@needs_openai
def test_a_prompt_and_its_variables_are_apart_from_the_text_that_they_make(traced, server):
    openai(server).predict(PromptTemplate("Describe {who} in {lang}.", lang="French"), who="Ada")
    for name in ("OpenAI.predict", "OpenAI.chat"):
        span = named(traced, name)
        assert span.attributes["autolog.prompt.template"] == "Describe {who} in {lang}."
        assert span.attributes["autolog.prompt.variables"] == {"who": "Ada", "lang": "French"}
    assert named(traced, "OpenAI.chat").inputs["messages"][-1]["content"] == "Describe Ada in French."


@needs_openai
@pytest.mark.parametrize("program", ["prediction_streamed", "prediction_streamed_async"])
def test_tokens_that_are_passed_on_make_a_whole_text(traced, program):
    play(program)
    [trace] = traces(traced)

    assert trace.root.outputs == answers.TEXT
    assert trace.root.end_time_ns >= trace.spans[1].end_time_ns


@needs_openai
def test_the_prompt_of_a_query_engine_is_on_the_call_of_the_model(traced):
    play("query")
    span = named(traced, "OpenAI.chat")

    assert "{context_str}" in json.dumps(span.attributes["autolog.prompt.template"])
    assert span.attributes["autolog.prompt.variables"]["query_str"] == queries.QUESTION
    assert TEXTS["a"] in span.attributes["autolog.prompt.variables"]["context_str"]


@needs_openai
def test_a_structured_prediction_has_its_schema_and_its_object(traced):
    play("structured_prediction")
    span = named(traced, "OpenAI.structured_predict")

    assert span.attributes["autolog.output.schema"]["properties"].keys() == {"name", "age"}
    assert span.outputs == {"name": "Ada", "age": 36}


@needs_openai
def test_a_structured_prediction_that_does_not_fit_fails_with_the_raw_text_kept(traced):
    play("structured_prediction_that_does_not_fit")
    asked, answered = named(traced, "OpenAI.structured_predict"), named(traced, "OpenAI.chat")

    assert (asked.status.code, answered.status.code) == ("ERROR", "OK")
    assert answered.outputs["content"] == answers.TEXT
    assert answered.usage.output_tokens == 7


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        (SimpleNamespace(usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}), (3, 2, 5, None, None)),
        ({"usage": {"input_tokens": 3, "output_tokens": 2}}, (3, 2, 5, None, None)),
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, (3, 2, 5, None, None)),
        (
            {"usage": {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 10}},  # Anthropic's
            (13, 2, 15, 10, None),
        ),
        (
            {
                "usage_metadata": {
                    "prompt_token_count": 9,
                    "candidates_token_count": 2,
                    "thoughts_token_count": 4,
                    "total_token_count": 15,
                    "cached_content_token_count": 5,
                }
            },  # Gemini's
            (9, 6, 15, 5, 4),
        ),
        ({"usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}}, (3, 2, 5, None, None)),  # Bedrock's
        ({"prompt_eval_count": 3, "eval_count": 2}, (3, 2, 5, None, None)),  # Ollama's
    ],
)
def test_tokens_are_read_from_the_answers_of_all_providers(answer, counts):
    usage = usage_in(answer)

    assert counts == (
        usage.input_tokens,
        usage.output_tokens,
        usage.total_tokens,
        usage.cache_read_tokens,
        usage.reasoning_tokens,
    )


@pytest.mark.parametrize("answer", [None, "text", {}, {"usage": None}, {"id": "1", "thinking_delta": "hm"}])
def test_what_tells_no_tokens_gives_none(answer):
    assert usage_in(answer) is None


def test_tokens_that_an_own_model_tells_beside_its_answer_are_read(traced):
    class Counting(MockLLM):
        def chat(self, messages, **kwargs):
            return ChatResponse(message=messages[0], additional_kwargs={"prompt_tokens": 3, "completion_tokens": 2})

    Counting().chat(HELLO)

    assert forest(traced) == "OK 3>2\nCHAT_MODEL Counting.chat 3>2"


def test_pieces_of_an_own_model_that_come_each_by_itself_are_put_together(traced):
    list(Parrot().stream_complete("x"))

    assert named(traced, "Parrot.stream_complete").outputs == {"text": "ab"}


# --- retrieval ---------------------------------------------------------------------------------------


def test_a_retriever_has_its_documents_in_rank_order_with_their_scores(traced):
    play("retrieval")
    span = named(traced, "VectorIndexRetriever.retrieve")

    assert span.inputs == {"query": queries.QUESTION}
    assert span.attributes["gen_ai.retrieval.top_k"] == 2
    assert span.outputs == {
        "documents": [
            {"id": name, "content": TEXTS[name], "metadata": {"name": name}, "score": pytest.approx(1.0)}
            for name in ("a", "b")
        ]
    }


def test_a_reranker_without_events_has_the_documents_before_and_after(traced):
    nodes = [NodeWithScore(node=TextNode(id_=name, text=name), score=score) for name, score in (("a", 0.9), ("b", 0.1))]
    kept = SimilarityPostprocessor(similarity_cutoff=0.5).postprocess_nodes(nodes, query_str="which?")
    span = named(traced, "SimilarityPostprocessor.postprocess_nodes")

    assert len(kept) == 1
    assert span.span_type is SpanType.RERANKER
    assert span.inputs["query"] == "which?"
    assert [(one["id"], one["score"]) for one in span.inputs["documents"]] == [("a", 0.9), ("b", 0.1)]
    assert [(one["id"], one["score"]) for one in span.outputs["documents"]] == [("a", 0.9)]


def test_a_reranker_that_changes_scores_in_place_has_those_from_before_too(traced):
    dispatcher = get_dispatcher(__name__)

    class Cross(BaseNodePostprocessor):
        def _postprocess_nodes(self, nodes, query_bundle=None):
            dispatcher.event(ReRankStartEvent(query="which?", nodes=nodes, top_n=1, model_name="cross-1"))
            for node in nodes:
                node.score = 1 - node.score
            dispatcher.event(ReRankEndEvent(nodes=nodes))
            return nodes

    Cross().postprocess_nodes([NodeWithScore(node=TextNode(id_="a", text="a"), score=0.25)])
    span = named(traced, "Cross.postprocess_nodes")

    assert (span.inputs["documents"][0]["score"], span.outputs["documents"][0]["score"]) == (0.25, 0.75)
    assert span.inputs["query"] == "which?"
    assert (span.attributes["gen_ai.request.model"], span.attributes["gen_ai.retrieval.top_k"]) == ("cross-1", 1)


@pytest.mark.skipif(not is_installed("llama-index-embeddings-openai"), reason="needs OpenAI's embeddings")
def test_embeddings_are_counted_and_not_stored(traced, server):
    embedding(server, model="text-embedding-3-small").get_text_embedding_batch(["one", "two"])
    span = named(traced, "OpenAIEmbedding.get_text_embedding_batch")

    assert span.inputs == {"input": ["one", "two"]}
    assert span.outputs == {"embeddings": {"count": 2, "dimension": 3}}
    assert span.attributes["gen_ai.request.model"] == "text-embedding-3-small"
    assert (span.attributes["gen_ai.provider.name"], span.attributes["gen_ai.embeddings.dimension.count"]) == (
        "openai",
        3,
    )


def test_embeddings_are_stored_where_that_is_asked_for(client):
    autolog()
    al.llama_index.autolog(capture_embeddings=True)
    EMBEDDING.get_query_embedding("one")

    assert named(client, "MockEmbedding.get_query_embedding").outputs["vectors"] == [[0.5, 0.5, 0.5]]


# --- queries and chats -------------------------------------------------------------------------------


@needs_openai
def test_a_query_has_its_question_its_answer_and_its_sources(traced):
    play("query")
    root = traces(traced)[0].root
    sources = [{"id": name, "score": pytest.approx(1.0)} for name in ("a", "b")]

    assert (root.inputs, root.outputs) == ({"query": queries.QUESTION}, {"text": answers.TEXT, "sources": sources})
    synthesis = named(traced, "CompactAndRefine.synthesize")
    assert synthesis.inputs == {"query": queries.QUESTION, "documents": sources}
    assert traces(traced)[0].info.request_preview == queries.QUESTION
    assert traces(traced)[0].info.response_preview == answers.TEXT


@needs_openai
@pytest.mark.parametrize("program", ["query_streamed", "query_streamed_async", "query_streamed_by_its_text"])
def test_a_streamed_query_ends_with_its_last_token_and_has_the_whole_text(traced, program):
    play(program)
    [trace] = traces(traced)
    retrieval, synthesis = trace.children(trace.root)
    [model] = trace.children(synthesis)

    assert trace.root.outputs["text"] == synthesis.outputs["text"] == model.outputs["content"] == answers.TEXT
    assert len(trace.root.outputs["sources"]) == 2
    assert retrieval.end_time_ns < model.end_time_ns <= synthesis.end_time_ns <= trace.root.end_time_ns


@needs_openai
def test_a_streamed_query_that_is_left_has_the_text_so_far(traced):
    play("query_streamed_and_left")

    assert traces(traced)[0].root.outputs["text"] == "one"


@since_0_14
@needs_openai
@pytest.mark.parametrize("program", ["simple_chat_streamed", "context_chat_streamed", "context_chat_streamed_async"])
def test_a_streamed_chat_ends_when_its_answer_is_written_and_has_the_whole_text(traced, program):
    play(program)
    [trace] = traces(traced)
    [writer] = trace.search_spans(span_type=SpanType.MEMORY)

    assert (trace.root.inputs, trace.root.outputs["text"]) == ({"input": "Hello"}, answers.TEXT)
    assert writer.outputs == {"text": answers.TEXT}
    assert trace.root.end_time_ns >= max(span.start_time_ns for span in trace.spans)


# --- agents and workflows ----------------------------------------------------------------------------


@since_0_14
@needs_openai
def test_an_agent_has_what_it_was_asked_what_it_said_and_the_tools_it_called(traced):
    play("agent_with_a_tool")
    root, tool = named(traced, "guide"), named(traced, "weather")
    call = {"id": "call_0", "name": "weather", "arguments": {"city": "Rome"}}

    assert root.inputs == {"input": "Weather?"}
    assert root.outputs == {"role": "assistant", "content": "Sunny in Rome", "tool_calls": [call]}
    assert (root.attributes["gen_ai.agent.name"], root.attributes["gen_ai.operation.name"]) == (
        "guide",
        "invoke_agent",
    )
    assert (tool.inputs, tool.outputs) == ({"city": "Rome"}, "sunny in Rome")
    assert (tool.attributes["gen_ai.tool.name"], tool.attributes["gen_ai.tool.call.id"]) == ("weather", "call_0")
    [asked, answered] = [span for span in spans(traced) if span.name == "OpenAI.astream_chat"]
    assert asked.inputs["messages"] == [{"role": "user", "content": "Weather?"}]
    assert asked.inputs["tools"][0]["function"]["name"] == "weather"
    assert asked.outputs["tool_calls"] == [call]
    assert answered.inputs["messages"][-1]["tool_call_id"] == "call_0"


@needs_openai
def test_a_tool_that_fails_has_its_error_once_and_the_agent_goes_on(traced):
    play("agent_with_two_tools_one_of_which_fails")
    failed = next(span for span in spans(traced) if span.name == "weather" and span.status.is_error)

    assert failed.status.description == "LookupError: no Atlantis"
    assert [event.name for event in failed.events] == ["exception"]
    assert failed.outputs == "no Atlantis"


@since_0_14
@needs_openai
def test_a_handoff_says_to_whom_and_why(traced):
    play("agents_that_hand_off")
    [event] = named(traced, "handoff").events

    assert (event.name, event.attributes) == ("handoff", {"to": "writer", "reason": "it writes"})
    root = traces(traced)[0].root
    assert (root.inputs, root.outputs["content"]) == ({"input": "Write it"}, "Written")


def test_a_tool_that_is_called_directly_has_flat_arguments_and_what_it_returned(traced):
    agents.FunctionTool.from_defaults(agents.weather).call("Rome")
    agents.FunctionTool.from_defaults(lambda a, b: {"sum": a + b}, name="add", description="d")(a=1, b=2)
    by_place, by_name = spans(traced)

    assert (by_place.inputs, by_place.outputs) == ({"args": ["Rome"]}, "sunny in Rome")
    assert (by_name.name, by_name.inputs, by_name.outputs) == ("add", {"a": 1, "b": 2}, {"sum": 3})


def test_a_workflow_has_the_events_that_go_in_and_out(traced):
    play("workflow")
    run, count, report = spans(traced)

    assert (run.inputs, run.outputs) == ({"words": ["one", "two"]}, "2 words")
    assert count.inputs == {"type": "StartEvent", "words": ["one", "two"]}
    assert count.outputs == report.inputs == {"type": "Counted", "count": 2}
    assert report.outputs == {"type": "StopEvent", "result": "2 words"}


@pytest.mark.skipif(not is_installed("llama-index-workflows>=2"), reason="steps are not run again before")
@pytest.mark.parametrize("program", ["workflow_that_asks_somebody", "agent_whose_tool_asks_somebody"])
def test_a_step_that_waits_for_somebody_says_so_and_the_one_that_goes_on_is_linked_to_it(traced, program):
    if program not in PROGRAMS:
        pytest.skip("llama-index-llms-openai is not installed")
    play(program)
    waiting, going_on = [span for span in spans(traced) if span.name in ("Asking.ask", "confirm")]

    assert (waiting.status.code, going_on.status.code) == ("OK", "OK")
    [event] = waiting.events
    assert (event.name, event.attributes["waiter_id"], event.attributes["event"]) == (
        "interrupt",
        "sure",
        "HumanResponseEvent",
    )
    assert event.attributes["value"]["prefix"] == "Sure?"
    assert [link.span_id for link in going_on.links] == [waiting.span_id]
    assert traces(traced)[0].state == "OK"


# --- errors, tags, options ---------------------------------------------------------------------------


@needs_openai
@pytest.mark.parametrize(
    "program", ["query_whose_model_fails", "query_streamed_that_fails", "streamed_chat_that_fails"]
)
def test_an_exception_has_its_stack_once_on_the_span_that_it_came_from(traced, program):
    play(program)
    [trace] = traces(traced)
    failed = [span for span in trace.spans if span.status.is_error]
    with_stack = [span for span in failed if any(event.name == "exception" for event in span.events)]

    assert len(failed) >= 3
    assert [span.attributes.get("autolog.duplicate_of") is not None for span in with_stack] == [True]
    assert {span.attributes["error.type"] for span in failed} <= {"openai.RateLimitError", "openai.InternalServerError"}
    assert all("fake error" in span.status.description for span in failed)


def test_an_error_of_a_step_is_recorded_once(traced):
    if not is_installed("llama-index-workflows>=2"):
        pytest.skip("LlamaIndex raises another error for the run before")
    play("workflow_whose_step_fails")
    run, step = spans(traced)

    assert ([event.name for event in run.events], [event.name for event in step.events]) == ([], ["exception"])
    assert run.status.description == step.status.description == "ValueError: bad"


def test_tags_are_on_the_spans_and_name_the_session_and_the_user(traced):
    with instrument_tags({"session_id": "s1", "user_id": 7, "tenant": "blue"}):
        index().as_retriever().retrieve("x")
        asyncio.run(counted())
    first, second = traces(traced)

    for trace in (first, second):
        assert (trace.info.session, trace.info.user) == ("s1", "7")
        assert all(span.attributes["autolog.metadata"]["tenant"] == "blue" for span in trace.spans)
    assert not any("llamaindex" in name for span in second.spans for name in span.attributes["autolog.metadata"])
    assert second.root.attributes["llamaindex.run_id"] if is_installed("llama-index-workflows>=2") else True


def test_the_user_is_not_recorded_where_that_is_not_wanted(client):
    autolog()
    al.llama_index.autolog(capture_user=False)
    with instrument_tags({"session_id": "s1", "user_id": "u"}):
        EMBEDDING.get_query_embedding("x")

    info = traces(client)[0].info
    assert (info.session, info.user) == ("s1", None)


@needs_openai
def test_parts_of_steps_have_spans_of_their_own_in_full_detail(client, server):
    autolog()
    al.llama_index.autolog(detail="full")
    str(queries.engine(server, streaming=True).query(QueryBundle("x")))

    assert forest(client) == full_forest(client)


def full_forest(client):
    """The parts differ from version to version; these are in all of them."""
    [trace] = traces(client)
    chain = ["RetrieverQueryEngine.query", "RetrieverQueryEngine._query"]
    parent = None
    for name in chain:
        parent = next(span for span in trace.children(parent) if span.name == name)
    assert {"VectorIndexRetriever.retrieve", "CompactAndRefine.synthesize"} <= {
        span.name for span in trace.children(parent)
    }
    names = {span.name for span in trace.spans}
    assert {"VectorIndexRetriever._retrieve", "CompactAndRefine.get_response", "OpenAI.stream"} <= names
    assert all(span.end_time_ns is not None for span in trace.spans)
    return forest(client)


def test_another_detail_than_there_is_is_refused(client):
    with pytest.raises(InvalidSetting, match="normal, full"):
        al.llama_index.autolog(detail="some")


@needs_openai
def test_no_content_is_kept_where_it_must_not_be(server):
    from autolog.testing import fresh_client

    with fresh_client(capture_content=False) as client:
        autolog()
        secret = "Hello"
        openai(server).predict(PromptTemplate("secret {x}"), x=secret)
        SimpleChatEngine.from_defaults(llm=openai(server)).chat(secret)
        text = json.dumps([span.to_dict() for span in spans(client)])

    assert "secret" not in text
    assert secret not in text


def test_values_that_no_json_has_do_no_harm(traced):
    class Odd:
        def __repr__(self):
            raise RuntimeError("no")

    cycle = {}
    cycle["self"] = cycle
    node = TextNode(
        id_="1", text="\ud800", metadata={"odd": Odd(), "cycle": cycle, "nan": float("nan"), "bytes": b"\x00"}
    )
    SimilarityPostprocessor().postprocess_nodes([NodeWithScore(node=node, score=0.1)])
    [span] = spans(traced)

    assert span.outputs["documents"][0]["content"] == "\ufffd"
    assert span.status.code == "OK"
