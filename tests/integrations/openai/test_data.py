"""What a span keeps of a call: parameters under their names, tokens by kind, media by size, everything as plain JSON."""

from __future__ import annotations

import base64
import hashlib
import inspect
import io
import json

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autolog
from autolog import TokenUsage
from autolog.testing import fresh_client, spans, traces
from tests.fakes import openai_answers as answers
from tests.fakes.openai_server import FakeOpenAI, json_answer

VERSION = tuple(int(part) for part in openai.__version__.split(".")[:2])
HELLO = [{"role": "user", "content": "Hello?"}]
has_responses = pytest.mark.skipif(VERSION < (1, 66), reason="openai before 1.66 has no responses")


def chat(client, **arguments):
    """Ask in a chat; what this version of the SDK does not take goes into `extra_body`."""
    method = client.chat.completions.create
    return method(**taken(method, {"model": "gpt-4o-mini", "messages": HELLO, **arguments}))


def respond(client, **arguments):
    method = client.responses.create
    return method(**taken(method, {"model": "gpt-4o-mini", "input": "Hello?", **arguments}))


def taken(method, arguments):
    known = inspect.signature(method).parameters
    extra = {name: value for name, value in arguments.items() if name not in known}
    kept = {name: value for name, value in arguments.items() if name in known}
    return {**kept, "extra_body": extra} if extra else kept


def attributes(client):
    [span] = spans(client)
    return span.attributes


# --- parameters ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "attribute", "value"),
    [
        ({"temperature": 0}, "gen_ai.request.temperature", 0),
        ({"top_p": 0.5}, "gen_ai.request.top_p", 0.5),
        ({"max_tokens": 9}, "gen_ai.request.max_tokens", 9),
        ({"max_completion_tokens": 9}, "gen_ai.request.max_tokens", 9),
        ({"seed": 0}, "gen_ai.request.seed", 0),
        ({"frequency_penalty": 0.1}, "gen_ai.request.frequency_penalty", 0.1),
        ({"presence_penalty": -0.1}, "gen_ai.request.presence_penalty", -0.1),
        ({"stop": "end"}, "gen_ai.request.stop_sequences", ["end"]),
        ({"stop": ["end", "."]}, "gen_ai.request.stop_sequences", ["end", "."]),
        ({"n": 2}, "gen_ai.request.choice.count", 2),
        ({"n": 1}, "gen_ai.request.choice.count", None),
        ({"reasoning_effort": "low"}, "gen_ai.request.reasoning.level", "low"),
        ({"service_tier": "flex"}, "openai.request.service_tier", "flex"),
        ({"service_tier": "auto"}, "openai.request.service_tier", None),
        ({"response_format": {"type": "json_object"}}, "gen_ai.output.type", "json"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}}, "gen_ai.output.type", "json"),
        ({"response_format": {"type": "text"}}, "gen_ai.output.type", "text"),
        ({"modalities": ["text", "audio"]}, "gen_ai.output.type", "speech"),
        ({}, "gen_ai.output.type", "text"),
        ({}, "gen_ai.request.temperature", None),
        ({}, "gen_ai.request.stream", None),
        ({}, "openai.api.type", "chat_completions"),
    ],
)
def test_a_parameter_of_a_chat_is_an_attribute(traced, openai_client, arguments, attribute, value):
    chat(openai_client, **arguments)

    assert attributes(traced).get(attribute) == value


@has_responses
@pytest.mark.parametrize(
    ("arguments", "attribute", "value"),
    [
        ({"previous_response_id": "resp_0"}, "gen_ai.request.previous_response.id", "resp_0"),
        ({"conversation": "conv_1"}, "gen_ai.conversation.id", "conv_1"),
        ({"conversation": {"id": "conv_1"}}, "gen_ai.conversation.id", "conv_1"),
        ({"prompt": {"id": "pmpt_1", "version": "2"}}, "gen_ai.prompt.name", "pmpt_1"),
        ({"prompt": {"id": "pmpt_1", "version": "2"}}, "gen_ai.prompt.version", "2"),
        ({"reasoning": {"effort": "high"}}, "gen_ai.request.reasoning.level", "high"),
        ({"service_tier": "priority"}, "openai.request.service_tier", "priority"),
        ({"max_output_tokens": 9}, "gen_ai.request.max_tokens", 9),
        ({"text": {"format": {"type": "json_schema", "name": "a", "schema": {}}}}, "gen_ai.output.type", "json"),
        ({"text": {"format": {"type": "text"}}}, "gen_ai.output.type", "text"),
        ({"text": {"verbosity": "low"}}, "gen_ai.output.type", "text"),
        ({}, "gen_ai.conversation.id", None),
        ({}, "openai.api.type", "responses"),
    ],
)
def test_a_parameter_of_a_response_is_an_attribute(traced, openai_client, arguments, attribute, value):
    respond(openai_client, **arguments)

    assert attributes(traced).get(attribute) == value


@has_responses
def test_instructions_are_kept_with_the_input(traced, openai_client):
    respond(openai_client, instructions="Be brief.")

    [span] = spans(traced)
    assert span.inputs == {"model": "gpt-4o-mini", "input": "Hello?", "instructions": "Be brief."}


@has_responses
def test_a_conversation_is_the_session_of_its_trace(traced, openai_client):
    respond(openai_client, conversation="conv_1")

    [trace] = traces(traced)
    assert trace.info.session == "conv_1"


def test_the_answer_tells_model_tier_fingerprint_and_reasons(traced, openai_client):
    chat(openai_client)

    kept = attributes(traced)
    assert kept["gen_ai.request.model"] == "gpt-4o-mini"
    assert kept["gen_ai.response.model"] == "gpt-4o-mini-2024-07-18"
    assert kept["gen_ai.response.id"] == "chatcmpl-1"
    assert kept["gen_ai.response.finish_reasons"] == ["stop"]
    assert kept["openai.response.service_tier"] == "default"
    assert kept["openai.response.system_fingerprint"] == "fp_1"


@has_responses
@pytest.mark.parametrize(
    ("status", "reasons"), [("completed", ["stop"]), ("incomplete", ["length"]), ("in_progress", None)]
)
def test_a_response_tells_how_it_finished(traced, server, openai_client, status, reasons):
    server.script(json_answer(answers.response({}, status)))
    respond(openai_client)

    assert attributes(traced)["gen_ai.response.status"] == status
    assert attributes(traced).get("gen_ai.response.finish_reasons") == reasons


@has_responses
def test_a_response_that_calls_tools_finished_for_them(traced, openai_client):
    respond(openai_client, tools=[{"type": "function", "name": "find", "parameters": {}, "strict": False}])

    assert attributes(traced)["gen_ai.response.finish_reasons"] == ["tool_calls"]


# --- tokens -------------------------------------------------------------------------------------------------


def test_every_kind_of_token_of_a_chat_is_kept(traced, server, openai_client):
    told = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {
            "cached_tokens": 40,
            "cache_write_tokens": 30,
            "audio_tokens": 10,
            "image_tokens": 5,
            "text_tokens": 15,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 20,
            "audio_tokens": 8,
            "text_tokens": 12,
            "accepted_prediction_tokens": 6,
            "rejected_prediction_tokens": 4,
        },
    }
    server.script(json_answer({**answers.chat({}), "usage": told}))
    chat(openai_client)

    [span] = spans(traced)
    assert span.usage == TokenUsage(
        input_tokens=100,
        output_tokens=50,
        total_tokens=150,
        cache_read_tokens=40,
        cache_write_tokens=30,
        reasoning_tokens=20,
        input_text_tokens=15,
        input_audio_tokens=10,
        input_image_tokens=5,
        output_text_tokens=12,
        output_audio_tokens=8,
        accepted_prediction_tokens=6,
        rejected_prediction_tokens=4,
    )
    assert span.usage.raw == told


@has_responses
def test_every_kind_of_token_of_a_response_is_kept(traced, server, openai_client):
    lifetimes = {"ttl_30m_tokens": 20, "ttl_12h_tokens": 10}
    told = {
        "input_tokens": 100,
        "output_tokens": 50,
        "total_tokens": 150,
        "input_tokens_details": {
            "cached_tokens": 40,
            "cache_write_tokens": 30,
            "cache_write_tokens_details": lifetimes,
        },
        "output_tokens_details": {"reasoning_tokens": 20},
    }
    server.script(json_answer(answers.response({}, usage=told)))
    respond(openai_client)

    [span] = spans(traced)
    assert span.usage == TokenUsage(
        input_tokens=100,
        output_tokens=50,
        total_tokens=150,
        cache_read_tokens=40,
        cache_write_tokens=30,
        reasoning_tokens=20,
    )
    assert span.usage.raw["input_tokens_details"]["cache_write_tokens_details"] == lifetimes


COUNT = st.none() | st.integers(0, 10**9)
DETAILS = st.none() | st.fixed_dictionaries({}, optional={"cached_tokens": COUNT, "audio_tokens": COUNT})
USAGE = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": COUNT,
        "completion_tokens": COUNT,
        "total_tokens": COUNT,
        "prompt_tokens_details": DETAILS,
    },
)


@settings(max_examples=60, deadline=None)
@given(told=st.lists(st.none() | USAGE, min_size=1, max_size=4))
def test_what_the_server_does_not_count_is_not_zero_and_totals_are_sums(told):
    """Any mixture of counts that are there, null or left out."""
    server = FakeOpenAI()
    server.script(*[json_answer({**answers.chat({}), "usage": usage}) for usage in told])
    with fresh_client(cost=False) as client:
        autolog.autolog()
        with server.client() as openai_client, autolog.start_span("root"):
            for _ in told:
                chat(openai_client)
        [trace] = traces(client)

    calls = trace.children(trace.root)
    for span, usage in zip(calls, told, strict=True):
        known = usage or {}
        kept = span.usage or TokenUsage()
        assert kept.input_tokens == known.get("prompt_tokens")
        assert kept.output_tokens == known.get("completion_tokens")
        assert kept.cache_read_tokens == (known.get("prompt_tokens_details") or {}).get("cached_tokens")
        assert kept.reasoning_tokens is None
    for name in ("input_tokens", "output_tokens", "total_tokens", "cache_read_tokens"):
        counts = [getattr(span.usage, name) for span in calls if span.usage is not None]
        known = [count for count in counts if count is not None]
        assert getattr(trace.usage, name, None) == (sum(known) if known else None)


def test_a_trace_counts_what_its_calls_used_once(traced, openai_client):
    with autolog.start_span("outer"), autolog.start_span("inner"):
        chat(openai_client)
        chat(openai_client)

    [trace] = traces(traced)
    assert trace.usage.total_tokens == 2 * answers.CHAT_USAGE["total_tokens"]
    assert trace.usage.cache_read_tokens == 2 * answers.CHAT_USAGE["prompt_tokens_details"]["cached_tokens"]


# --- embeddings ---------------------------------------------------------------------------------------------


def embed(client, **arguments):
    return client.embeddings.create(model="text-embedding-3-small", input=["one", "two"], **arguments)


def test_embeddings_are_counted_not_kept(traced, openai_client):
    embed(openai_client)

    [span] = spans(traced)
    assert span.outputs == {"embeddings": {"count": 2, "dimension": len(answers.VECTOR)}}
    assert span.get_attribute("gen_ai.embeddings.dimension.count") == len(answers.VECTOR)
    assert span.inputs == {"model": "text-embedding-3-small", "input": ["one", "two"]}


@pytest.fixture
def capture_embeddings():
    autolog.openai.autolog(capture_embeddings=True)
    yield
    autolog.openai.autolog(capture_embeddings=False)


@pytest.mark.parametrize("asked", [None, "float", "base64"])
def test_embeddings_are_kept_where_that_is_asked_for(traced, capture_embeddings, openai_client, asked):
    embed(openai_client, **({"encoding_format": asked} if asked else {}))

    [span] = spans(traced)
    assert span.outputs["vectors"] == [list(answers.VECTOR)] * 2


def test_options_are_those_of_the_time_of_the_call(traced, openai_client):
    autolog.openai.autolog(capture_embeddings=True)
    embed(openai_client)
    autolog.openai.autolog(capture_embeddings=False)

    [span] = spans(traced)
    assert "vectors" in span.outputs


@pytest.mark.parametrize(("asked", "kept"), [(None, None), ("float", ["float"]), ("base64", ["base64"])])
def test_the_encoding_is_the_one_that_the_program_asked_for(traced, openai_client, asked, kept):
    """The SDK asks for base64 by itself, and decodes it."""
    embed(openai_client, **({"encoding_format": asked} if asked else {}))

    [span] = spans(traced)
    assert span.get_attribute("gen_ai.request.encoding_formats") == kept
    assert span.inputs.get("encoding_format") == asked
    assert span.outputs["embeddings"]["dimension"] == len(answers.VECTOR)


# --- images and sound ---------------------------------------------------------------------------------------


def picture(content, mime="image/png"):
    return {"media": {"mime": mime, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}}


def test_an_image_is_kept_as_type_size_and_hash(traced, openai_client):
    openai_client.images.generate(model="gpt-image-1", prompt="a cat")

    [span] = spans(traced)
    assert span.outputs["data"] == [{"b64_json": picture(base64.b64decode(answers.PNG))}]
    assert answers.PNG not in json.dumps(span.to_dict())


@pytest.mark.parametrize(
    ("made", "mime"), [("png", "image/png"), ("jpeg", "image/jpeg"), ("webp", "image/webp"), ("svg", "image/svg+xml")]
)
def test_the_type_of_an_image_is_the_one_that_was_made(traced, server, openai_client, made, mime):
    server.script(json_answer({**answers.images({}), "output_format": made}))
    openai_client.images.generate(model="gpt-image-1", prompt="a cat")

    [span] = spans(traced)
    assert span.outputs["data"][0]["b64_json"]["media"]["mime"] == mime


def test_the_address_of_an_image_is_kept(traced, server, openai_client):
    made = {"created": 1, "data": [{"url": "https://images.example/cat.png", "revised_prompt": "a grey cat"}]}
    server.script(json_answer(made))
    openai_client.images.generate(model="dall-e-3", prompt="a cat")

    [span] = spans(traced)
    assert span.outputs == made
    assert span.usage is None


@pytest.mark.skipif(VERSION < (1, 98), reason="openai before 1.98 streams no images")
def test_a_streamed_image_is_kept_as_type_size_and_hash(traced, openai_client):
    for _ in openai_client.images.generate(model="gpt-image-1", prompt="a cat", stream=True, partial_images=1):
        pass

    [span] = spans(traced)
    assert [image["b64_json"] for image in span.outputs["data"]] == [picture(base64.b64decode(answers.PNG))]
    assert span.outputs["partial_images"] == 1
    assert answers.PNG not in json.dumps(span.to_dict())


def test_tokens_of_an_image_and_of_its_svg_add_up(traced, server, openai_client):
    svg = {"model": "gpt-6-luna", "input_tokens": 10, "output_tokens": 20, "reasoning_tokens": 7, "total_tokens": 30}
    server.script(json_answer({**answers.images({}), "svg_usage": svg}))
    openai_client.images.generate(model="gpt-image-1", prompt="a cat")

    [span] = spans(traced)
    assert span.usage.input_tokens == answers.IMAGE_USAGE["input_tokens"] + 10
    assert span.usage.output_tokens == answers.IMAGE_USAGE["output_tokens"] + 20
    assert span.usage.total_tokens == answers.IMAGE_USAGE["total_tokens"] + 30
    assert span.usage.reasoning_tokens == 7


def test_an_image_that_is_sent_in_a_chat_is_kept_as_type_size_and_hash(traced, openai_client):
    content = bytes(range(256)) * 200
    url = f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
    chat(openai_client, messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])

    [span] = spans(traced)
    assert span.inputs["messages"][0]["content"][0]["image_url"]["url"] == picture(content, "image/jpeg")


def test_sound_that_is_sent_in_a_chat_is_kept_as_size_and_hash(traced, openai_client):
    content = bytes(range(256)) * 200
    sound = {"data": base64.b64encode(content).decode(), "format": "wav"}
    chat(openai_client, messages=[{"role": "user", "content": [{"type": "input_audio", "input_audio": sound}]}])

    [span] = spans(traced)
    kept = span.inputs["messages"][0]["content"][0]["input_audio"]
    assert kept["data"]["media"]["bytes"] == len(content)
    assert kept["format"] == "wav"


def upload(kind, path):
    if kind == "tuple":
        return ("hello.wav", b"RIFF....WAVE")
    if kind == "path":
        return path
    if kind == "file":
        return path.open("rb")
    if kind == "buffer":
        buffer = io.BytesIO(b"RIFF....WAVE")
        buffer.name = "hello.wav"
        return buffer
    return b"RIFF....WAVE"


@pytest.mark.parametrize("kind", ["tuple", "path", "file", "buffer", "bytes"])
def test_an_uploaded_file_is_kept_as_name_and_size(traced, server, openai_client, tmp_path, kind):
    path = tmp_path / "hello.wav"
    path.write_bytes(b"RIFF....WAVE")
    file = upload(kind, path)
    openai_client.audio.transcriptions.create(model="gpt-4o-transcribe", file=file)

    [span] = spans(traced)
    [kept] = span.inputs["files"]
    assert server.requests[0].body["file"] == b"RIFF....WAVE"
    assert kept["bytes"] == 12
    assert kept.get("name") == (None if kind == "bytes" else "hello.wav")
    assert "RIFF" not in json.dumps(span.to_dict())
    if kind == "file":
        file.close()


def test_a_transcript_is_charged_by_tokens_or_by_seconds(traced, server, openai_client):
    timed = {"type": "duration", "seconds": 7.5}
    server.script(json_answer(answers.transcription({})), json_answer({"text": "Hello", "usage": timed}))
    for _ in range(2):
        openai_client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("hello.wav", b"RIFF....WAVE"))

    by_tokens, by_seconds = spans(traced)
    assert (by_tokens.usage.total_tokens, by_tokens.usage.seconds) == (16, None)
    assert by_seconds.usage == TokenUsage(seconds=7.5)


def test_subtitles_are_kept_as_text(traced, server, openai_client):
    file = ("hello.wav", b"RIFF....WAVE")
    openai_client.audio.transcriptions.create(model="whisper-1", file=file, response_format="srt")

    [span] = spans(traced)
    assert span.outputs == {"text": answers.TEXT}


@pytest.mark.skipif(VERSION < (1, 8), reason="openai before 1.8 has no with_streaming_response")
def test_speech_is_kept_as_the_text_and_the_size_of_the_sound(traced, openai_client):
    with openai_client.audio.with_streaming_response.speech.create(model="tts-1", input="Hi", voice="alloy") as answer:
        read = b"".join(answer.iter_bytes())

    [span] = spans(traced)
    assert span.inputs["input"] == "Hi"
    assert span.outputs["media"]["bytes"] == len(read) == 1000
    assert span.get_attribute("gen_ai.output.type") == "speech"


# --- retrieval ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(VERSION < (1, 66), reason="openai before 1.66 can't search a vector store")
def test_a_search_tells_query_store_and_documents(traced, openai_client):
    found = openai_client.vector_stores.search("vs_1", query="begin", max_num_results=3)

    [span] = spans(traced)
    assert found.data[0].file_id == "file_1"
    assert span.inputs == {"query": "begin", "max_num_results": 3}
    assert span.get_attribute("gen_ai.data_source.id") == "vs_1"
    assert span.get_attribute("gen_ai.retrieval.top_k") == 3
    assert span.outputs["documents"] == [
        {
            "id": "file_1",
            "score": 0.87,
            "content": "To begin, \ninstall it.",
            "metadata": {"filename": "guide.md", "language": "en"},
        }
    ]


@pytest.mark.skipif(VERSION < (1, 66), reason="openai before 1.66 can't search a vector store")
def test_a_search_that_finds_nothing_has_no_documents(traced, server, openai_client):
    server.script(json_answer({**answers.search_results({}), "data": []}))
    openai_client.vector_stores.search("vs_1", query="begin")

    [span] = spans(traced)
    assert span.outputs["documents"] == []


@pytest.mark.skipif(VERSION < (1, 66), reason="openai before 1.66 can't search a vector store")
def test_a_document_without_attributes_or_text_is_kept(traced, server, openai_client):
    image = {"type": "image", "url": "https://images.example/cat.png"}
    bare = {"file_id": "file_2", "filename": "cat.png", "score": 0.5, "attributes": None, "content": [image]}
    server.script(json_answer({**answers.search_results({}), "data": [bare]}))
    openai_client.vector_stores.search("vs_1", query="begin")

    [span] = spans(traced)
    assert span.outputs["documents"] == [
        {"id": "file_2", "score": 0.5, "content": "", "metadata": {"filename": "cat.png"}}
    ]


# --- what the program adds ----------------------------------------------------------------------------------


def test_what_the_extra_body_says_wins(traced, server, openai_client):
    chat(openai_client, temperature=0.5, extra_body={"model": "gpt-4o", "temperature": 0.25})

    [span] = spans(traced)
    assert span.inputs == server.requests[0].body
    assert span.name == "chat gpt-4o"
    assert span.get_attribute("gen_ai.request.model") == "gpt-4o"
    assert span.get_attribute("gen_ai.request.temperature") == 0.25


def test_parameters_that_nobody_knows_are_kept(traced, openai_client):
    chat(openai_client, extra_body={"cache_salt": "a", "guided": {"regex": "[a-z]+"}})

    [span] = spans(traced)
    assert span.inputs["cache_salt"] == "a"
    assert span.inputs["guided"] == {"regex": "[a-z]+"}


def test_an_extra_query_is_kept(traced, openai_client):
    chat(openai_client, extra_query={"trial": "7"})

    assert attributes(traced)["autolog.request.query"] == {"trial": "7"}


def test_an_answer_with_fields_that_nobody_knows_is_kept_whole(traced, server, openai_client):
    body = {**answers.chat({}), "citations": ["https://example.com"], "x_groq": {"id": "req"}}
    server.script(json_answer(body))
    chat(openai_client)

    [span] = spans(traced)
    assert span.outputs == body


# --- plain values -------------------------------------------------------------------------------------------


def test_messages_that_are_objects_of_the_sdk_are_plain_values(traced, server, openai_client):
    answer = chat(openai_client).choices[0].message
    chat(openai_client, messages=[*HELLO, answer])

    span = spans(traced)[1]
    assert span.inputs["messages"] == server.requests[1].body["messages"]
    assert span.inputs["messages"][1]["content"] == answers.TEXT


@pytest.mark.skipif(VERSION < (1, 40), reason="openai before 1.40 takes lists only")
def test_messages_that_can_be_read_once_are_sent_and_kept(traced, server, openai_client):
    chat(openai_client, messages=(message for message in HELLO))

    [span] = spans(traced)
    assert server.requests[0].body["messages"] == HELLO
    assert span.inputs["messages"] == HELLO


def test_what_is_not_given_leaves_no_trace(traced, server, openai_client):
    not_given = dict.fromkeys(("temperature", "stop", "tools", "user"), openai._types.NOT_GIVEN)
    chat(openai_client, **not_given)

    [span] = spans(traced)
    assert span.inputs == server.requests[0].body == {"model": "gpt-4o-mini", "messages": HELLO}
    assert "not_given" not in json.dumps(span.to_dict()).lower()


@pytest.mark.skipif(not hasattr(openai, "omit"), reason="this openai has no omit")
def test_what_is_omitted_leaves_no_trace(traced, server, openai_client):
    chat(openai_client, temperature=openai.omit, stop=openai.omit)

    [span] = spans(traced)
    assert span.inputs == server.requests[0].body == {"model": "gpt-4o-mini", "messages": HELLO}


def test_a_null_that_the_program_says_is_kept(traced, server, openai_client):
    chat(openai_client, stop=None)

    [span] = spans(traced)
    assert span.inputs == server.requests[0].body
    assert span.inputs["stop"] is None


def test_texts_are_kept_to_the_letter(traced, openai_client):
    text = "zero\x00, lone \ud800 half, \u2028 line, \U0001f600 face, 'quotes\" \\ and <tags>"
    chat(openai_client, messages=[{"role": "user", "content": text.replace("\ud800", "?")}])

    [span] = spans(traced)
    assert span.inputs["messages"][0]["content"] == text.replace("\ud800", "?")


def test_numbers_beyond_what_json_readers_take_are_kept_as_text(traced, openai_client):
    chat(openai_client, extra_body={"large": 2**70, "small": -(2**70), "fits": 2**62})

    [span] = spans(traced)
    assert span.inputs["large"] == str(2**70)
    assert span.inputs["small"] == str(-(2**70))
    assert span.inputs["fits"] == 2**62


def test_inputs_are_as_they_were_when_the_call_was_made(traced, openai_client):
    messages = [{"role": "user", "content": "Hello?"}]
    answer = chat(openai_client, messages=messages)
    messages[0]["content"] = "changed"
    messages.append({"role": "assistant", "content": "added"})
    answer.choices[0].message.content = "changed"

    [span] = spans(traced)
    assert span.inputs["messages"] == HELLO
    assert span.outputs["choices"][0]["message"]["content"] == answers.TEXT


def test_a_long_text_is_cut_with_a_mark(server):
    with fresh_client(max_string=1_000) as client:
        autolog.autolog()
        with server.client() as openai_client:
            chat(openai_client, messages=[{"role": "user", "content": "a" * 5_000}])
        [span] = spans(client)

    kept = span.inputs["messages"][0]["content"]
    assert kept.startswith("a" * 1_000)
    assert len(kept) < 1_100
    assert "4000" in kept
