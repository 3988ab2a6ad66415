"""Spans are told by the conventions' own names, and what is read back from them is what was told."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

pytest.importorskip("opentelemetry.sdk")

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

import autolog as al
from autolog import SpanType, autolog, semconv
from autolog.capture import Limits
from autolog.model.chat import answered, asked, documents
from autolog.model.span import Span
from autolog.model.trace import TraceContext
from autolog.model.usage import COUNTS
from autolog.otel.convert import CONVENTIONS, Converter
from autolog.otel.translate import describe, translate
from autolog.redact import is_secret_field, redact_keys, without_credentials
from autolog.testing import spans

# Of the conventions as they are now (github.com/open-telemetry/semantic-conventions-genai): the package has those of the
# day on which they moved there.
NEWER = {
    "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.text.input_tokens", "gen_ai.usage.audio.input_tokens",
    "gen_ai.usage.image.input_tokens", "gen_ai.usage.text.output_tokens", "gen_ai.usage.audio.output_tokens",
    "gen_ai.usage.image.output_tokens", "gen_ai.retrieval.top_k", "gen_ai.request.reasoning.level",
    "gen_ai.request.previous_response.id", "gen_ai.response.status", "gen_ai.prompt.version", "gen_ai.first_token",
}  # fmt: skip
KNOWN = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
DEPRECATED = {"gen_ai.system", "gen_ai.prompt", "gen_ai.completion", "gen_ai.usage.prompt_tokens"}


def told(span, convention):
    return dict(Converter(convention, Resource.get_empty(), Limits()).convert(span).attributes)


def read_back(attributes):
    span = Span("read", SpanType.UNKNOWN, 1, 2)
    describe(span, attributes)
    return span


@pytest.fixture
def recorded(client):
    """A span of each kind, as the integrations and programs make them."""
    with al.context(session_id="s", user="u", tags={"a": "b", "flag": "true"}, metadata={"m": "n"}):
        with al.start_span("agent", SpanType.AGENT, inputs={"messages": [{"role": "user", "content": "Hi"}]}) as agent:
            agent.set_outputs({"role": "assistant", "content": "Hello"})
            for span_type in SpanType:
                with al.start_span(str(span_type), span_type, inputs={"query": "q", "n": 1}) as span:
                    span.set_outputs(
                        {"documents": [{"id": "d", "content": "text", "score": 0.5, "metadata": {"a": 1}}]}
                    )
                    span.set_attributes({"gen_ai.request.model": "m", "gen_ai.retrieval.top_k": 3})
                    span.set_usage(al.TokenUsage(**dict.fromkeys(COUNTS, 3)))
                    span.set_cost(al.Cost(1.0, 2.0, 3.0))
            with al.start_span("chat", SpanType.CHAT_MODEL) as chat:
                chat.set_inputs(CHAT)
                chat.set_outputs(ANSWER)
                chat.set_attributes({"gen_ai.provider.name": "azure.ai.openai", "gen_ai.request.stop_sequences": ["x"]})
    return spans(client)


CHAT = {
    "messages": [
        {"role": "system", "content": "Be nice"},
        {"role": "user", "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "input_audio", "input_audio": {"data": "BBBB", "format": "wav"}},
            {"type": "file", "file": {"file_id": "f1"}},
        ]},
        {"role": "assistant", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": [1, 2]}'}},
            {"id": "c2", "type": "custom", "custom": {"name": "run", "input": "ls -l"}},
        ]},
        {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    ],
    "tools": [{"type": "function", "function": {"name": "look", "description": "d", "parameters": {"type": "object"}}}],
}  # fmt: skip
ANSWER = {"choices": [
    {"index": 0, "message": {"role": "assistant", "content": "A cat", "reasoning_content": "Hm"}, "finish_reason": "stop"},
    {"index": 1, "message": {"role": "assistant", "content": None, "refusal": "No"}, "finish_reason": "content_filter"},
]}  # fmt: skip


# --- names ---------------------------------------------------------------------------------------------------


needs_names = pytest.mark.skipif(len(KNOWN) < 60, reason="this version of the package has few names")


@needs_names
def test_our_table_has_the_names_of_the_conventions():
    ours = {value for name, value in vars(semconv).items() if isinstance(value, str) and value.startswith("gen_ai.")}
    assert ours - KNOWN - NEWER == set()
    assert ours & DEPRECATED == set()


@needs_names
def test_genai_attributes_have_the_names_of_the_conventions(recorded):
    names = {name for span in recorded for name in told(span, "gen_ai")}
    assert {name for name in names if name.startswith("gen_ai.")} - KNOWN - NEWER == set()
    assert all(name.startswith(("gen_ai.", "autolog.", "session.id", "user.id")) for name in names), names


def test_openinference_attributes_have_the_names_of_the_conventions(recorded):
    trace = pytest.importorskip("openinference.semconv.trace")
    classes = [kind for kind in vars(trace).values() if isinstance(kind, type) and kind.__name__.endswith("Attributes")]
    known = {value for kind in classes for name, value in vars(kind).items() if name.isupper()}
    kinds = {kind.value for kind in trace.OpenInferenceSpanKindValues}
    for span in recorded:
        attributes = told(span, "openinference")
        assert attributes["openinference.span.kind"] in kinds
        for name in attributes:
            if not name.startswith(("autolog.", "gen_ai.")):
                assert is_known(name, known), name


def is_known(name, known):
    """A name is made of names of the conventions, with numbers between them."""
    parts = name.split(".")
    if name in known:
        return True
    for end in range(len(parts) - 1, 0, -1):
        if ".".join(parts[:end]) in known:
            rest = parts[end:]
            while rest and rest[0].isdigit():
                rest = rest[1:]
            return not rest or is_known(".".join(rest), known)
    return False


def test_every_value_is_one_that_the_protocol_has(recorded):
    for span in recorded:
        for convention in CONVENTIONS:
            for name, value in told(span, convention).items():
                kinds = {type(item) for item in value} if isinstance(value, list) else {type(value)}
                assert len(kinds) == 1, name
                assert kinds <= {str, bool, int, float}, name


def test_messages_have_the_form_of_the_conventions_schema(recorded):
    [chat] = [span for span in recorded if span.name == "chat"]
    attributes = told(chat, "gen_ai")
    assert json.loads(attributes["gen_ai.input.messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be nice"}]},
        {"role": "user", "parts": [
            {"type": "text", "content": "What is this?"},
            {"type": "uri", "modality": "image", "uri": "https://example.org/a.png"},
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "AAAA"},
            {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": "BBBB"},
            {"type": "file", "modality": "file", "file_id": "f1"},
        ]},
        {"role": "assistant", "parts": [
            {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": [1, 2]}},
            {"type": "tool_call", "id": "c2", "name": "run", "arguments": "ls -l"},
        ]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "a cat"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c2", "response": "a\nb"}]},
    ]  # fmt: skip
    assert json.loads(attributes["gen_ai.output.messages"]) == [
        {"role": "assistant", "finish_reason": "stop", "parts": [
            {"type": "reasoning", "content": "Hm"}, {"type": "text", "content": "A cat"},
        ]},
        {"role": "assistant", "finish_reason": "content_filter", "parts": [{"type": "refusal", "content": "No"}]},
    ]  # fmt: skip
    assert json.loads(attributes["gen_ai.tool.definitions"]) == [
        {"type": "function", "name": "look", "description": "d", "parameters": {"type": "object"}}
    ]


# --- there and back ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_what_is_read_back_is_what_was_told(recorded, convention):
    for span in recorded:
        back = read_back(told(span, convention))
        assert back.span_type is span.span_type
        assert asked(back.inputs).messages == asked(span.inputs).messages, span.name
        assert [m.parts for m in answered(back.outputs)] == [m.parts for m in answered(span.outputs)], span.name
        if span.span_type in (SpanType.RETRIEVER, SpanType.RERANKER):
            assert documents(back.outputs) == documents(span.outputs)
        assert same_usage(back.usage, span.usage, convention), span.name
        assert back.cost == span.cost
        assert back.model == span.model
        assert back.provider == span.provider


def same_usage(back, usage, convention):
    if usage is None:
        return back is None
    # Neither convention has a name for these.
    unknown = {"accepted_prediction_tokens", "rejected_prediction_tokens", "seconds"}
    if convention == "openinference":
        unknown |= {f"{way}_{kind}_tokens" for way in ("input", "output") for kind in ("text", "image")}
    expected = replace(usage, **dict.fromkeys(unknown), raw=None)
    return expected == replace(back, total_tokens=usage.total_tokens)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_root_tells_of_its_trace(recorded, convention):
    found, given = translate(told(root_of(recorded), convention))
    assert (found.session, found.user) == ("s", "u")
    assert {"a": "b", "flag": "true"}.items() <= found.tags.items()
    assert found.metadata == {"m": "n"}
    assert (found.experiment, found.run, found.version) == ("default", "r", "1.0")
    assert [name for name in given.left if not name.startswith("gen_ai.")] == []


def root_of(recorded):
    root = recorded[0]  # as it was when it was sent: what is read from a store has no context
    context = root._context = TraceContext("default", version="1.0")
    context.session, context.user, context.run = "s", "u", "r"
    context.tags, context.metadata = {"a": "b", "flag": "true"}, {"m": "n"}
    return root


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    # What is told to us is cleaned of secrets, and names of fields are what shows them.
    lambda word: not is_secret_field(word) and without_credentials({word: word}) == {word: redact_keys(word)}
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
CALLS = st.builds(
    lambda number, name, arguments: {"id": f"c{number}", "name": name, "arguments": arguments},
    st.integers(0, 9), WORDS, st.dictionaries(WORDS, VALUES, max_size=3),
)  # fmt: skip
PARTS = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, WORDS)
    | st.builds(
        lambda name: {"type": "image_url", "image_url": {"url": f"https://example.org/{name}"}}, st.integers(0, 9)
    ),
    min_size=2,
    max_size=4,
)
TURNS = st.lists(
    st.builds(lambda role, text: {"role": role, "content": text}, st.sampled_from(["system", "user", "assistant"]), WORDS | PARTS)
    | st.builds(
        lambda calls, text: {"role": "assistant", "content": text, "tool_calls": calls}, st.lists(CALLS, min_size=1, max_size=3), WORDS
    )
    | st.builds(lambda number, text: {"role": "tool", "tool_call_id": f"c{number}", "content": text}, st.integers(0, 9), WORDS),
    min_size=1,
    max_size=5,
)  # fmt: skip


@settings(deadline=None)
@given(TURNS, st.sampled_from(sorted(CONVENTIONS)))
def test_any_conversation_is_read_back_from_its_messages_alone(turns, convention):
    span = Span("chat", SpanType.CHAT_MODEL, 1, 2, None, 1)
    span.set_inputs({"messages": turns})
    span.set_outputs({"role": "assistant", "content": "yes", "tool_calls": []})
    span.end(2)
    attributes = told(span, convention)
    for name in ("input.value", "output.value", "autolog.inputs", "autolog.outputs"):
        attributes.pop(name, None)
    back = read_back(attributes)

    assert parts_of(asked(back.inputs).messages) == parts_of(asked(span.inputs).messages)
    assert answered(back.outputs) == answered(span.outputs)


def parts_of(messages):
    """The messages without what is no text where a text is all that is told: JSON in a text is read as JSON."""
    return [(message.role, [as_told(part) for part in message.parts]) for message in messages]


def as_told(part):
    return {name: json.dumps(value) if isinstance(value, (dict, list)) else value for name, value in part.items()}


def test_calls_of_the_real_sdk_are_read_back(client):
    pytest.importorskip("openai")
    from tests.fakes.openai_server import FakeOpenAI

    autolog("openai")
    openai = FakeOpenAI().client()
    openai.chat.completions.create(model="gpt-4o", messages=CHAT["messages"], tools=CHAT["tools"], temperature=0.5)
    question = [
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "done"},
    ]
    if hasattr(openai, "responses"):
        openai.responses.create(model="gpt-4o", instructions="Be brief", input=question)
    openai.completions.create(model="gpt-3.5-turbo-instruct", prompt="Say")
    openai.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    recorded = spans(client)
    assert len(recorded) == 3 + hasattr(openai, "responses")
    for span in recorded:
        for convention in CONVENTIONS:
            back = read_back(told(span, convention))
            assert back.span_type is span.span_type
            assert asked(back.inputs).messages == asked(span.inputs).messages
            assert asked(back.inputs).tools == asked(span.inputs).tools
            assert [m.parts for m in answered(back.outputs)] == [m.parts for m in answered(span.outputs)]
            assert same_usage(back.usage, span.usage, convention)
            assert (back.model, back.provider) == (span.model, span.provider)
            assert back.get_attribute("gen_ai.request.temperature") == span.get_attribute("gen_ai.request.temperature")
