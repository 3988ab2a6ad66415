"""Every way into the SDK that runs a model, uses tokens or retrieves gives one span; the rest gives none."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import openai
import pytest
from pydantic import BaseModel

import autolog
from autolog import SpanType, TokenUsage
from autolog.testing import spans, traces
from tests.fakes import openai_answers as answers
from tests.fakes.openai_server import json_answer, stream_answer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

VERSION = tuple(int(part) for part in openai.__version__.split(".")[:2])
HELLO = [{"role": "user", "content": "Hello?"}]
ANYTHING = object if VERSION >= (1, 8) else dict[str, Any]
"""What an answer is made into where a request is written by hand."""


class Person(BaseModel):
    name: str
    age: int


# --- what is called, and the span that it must give ---------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """The span of a call."""

    span_type: SpanType
    name: str
    usage: TokenUsage | None
    answer: Callable[[Any], Any]
    """Takes the part of the outputs that the caller is after."""
    value: Any
    inputs: Any = None
    """Where they are not the JSON that the server received."""


CHAT_TOKENS = TokenUsage(
    input_tokens=11,
    output_tokens=7,
    total_tokens=18,
    cache_read_tokens=3,
    cache_write_tokens=2,
    input_audio_tokens=1,
    reasoning_tokens=4,
    output_audio_tokens=2,
    accepted_prediction_tokens=1,
    rejected_prediction_tokens=1,
)
RESPONSE_TOKENS = TokenUsage(
    input_tokens=11, output_tokens=7, total_tokens=18, cache_read_tokens=3, cache_write_tokens=2, reasoning_tokens=4
)
COMPLETION_TOKENS = TokenUsage(input_tokens=2, output_tokens=3, total_tokens=5)
EMBEDDING_TOKENS = TokenUsage(input_tokens=5, total_tokens=5)
IMAGE_TOKENS = TokenUsage(input_tokens=5, output_tokens=9, total_tokens=14, input_text_tokens=4, input_image_tokens=1)
TRANSCRIPT_TOKENS = TokenUsage(
    input_tokens=14, output_tokens=2, total_tokens=16, input_audio_tokens=12, input_text_tokens=2
)
SPEECH_TOKENS = TokenUsage(input_tokens=3, output_tokens=21, total_tokens=24)


def whole(outputs):
    return outputs


def chat_text(outputs):
    return outputs["choices"][0]["message"]["content"]


def response_text(outputs):
    return outputs["output"][0]["content"][0]["text"]


def completion_text(outputs):
    return outputs["choices"][0]["text"]


def image_bytes(outputs):
    return [image["b64_json"]["media"]["bytes"] for image in outputs["data"]]


def media_bytes(outputs):
    return outputs["media"]["bytes"]


def probability(outputs):
    return outputs["answers"][0]["probability"]


def flagged(outputs):
    return outputs["results"][0]["flagged"]


def text(outputs):
    return outputs["text"]


def status(outputs):
    return outputs["status"]


CHAT = Expected(SpanType.CHAT_MODEL, "chat gpt-4o-mini", CHAT_TOKENS, chat_text, answers.TEXT)
CHAT_UNCOUNTED = replace(CHAT, usage=None)
PARSED_CHAT = replace(CHAT, value=answers.JSON)
RESPONSE = Expected(SpanType.CHAT_MODEL, "chat gpt-4o-mini", RESPONSE_TOKENS, response_text, answers.TEXT)
PARSED_RESPONSE = replace(RESPONSE, value=answers.JSON)
QUEUED_RESPONSE = replace(RESPONSE, usage=None, answer=status, value="queued")
COMPACTED = replace(RESPONSE, name="compact gpt-4o-mini")
COUNTED = Expected(SpanType.TASK, "count_tokens gpt-4o-mini", None, lambda outputs: outputs["input_tokens"], 11)
CANCELLED = Expected(SpanType.TASK, "cancel_response", None, status, "cancelled", {"id": "resp_1"})
COMPLETION = Expected(
    SpanType.LLM, "text_completion gpt-3.5-turbo-instruct", COMPLETION_TOKENS, completion_text, answers.TEXT
)
COMPLETION_UNCOUNTED = replace(COMPLETION, usage=None)
DECISION = Expected(SpanType.LLM, "decisions gpt-6-luna", RESPONSE_TOKENS, probability, 0.9)
VECTORS = {"embeddings": {"count": 2, "dimension": 3}}
EMBEDDING = Expected(SpanType.EMBEDDING, "embeddings text-embedding-3-small", EMBEDDING_TOKENS, whole, VECTORS)
MODERATION = Expected(SpanType.GUARDRAIL, "moderation omni-moderation-latest", None, flagged, True)
DOCUMENT = {
    "id": "file_1",
    "score": 0.87,
    "content": "To begin, \ninstall it.",
    "metadata": {"filename": "guide.md", "language": "en"},
}
SEARCH = Expected(SpanType.RETRIEVER, "retrieval", None, lambda outputs: outputs["documents"], [DOCUMENT])

PNG = ("cat.png", b"\x89PNG\r\n\x1a\n", "image/png")
WAV = ("hello.wav", b"RIFF....WAVE", "audio/wav")
MP4 = ("cat.mp4", b"....ftypmp42", "video/mp4")
PNG_KEPT = [{"field": "image", "name": "cat.png", "bytes": 8}]
WAV_KEPT = [{"field": "file", "name": "hello.wav", "bytes": 12}]
MP4_KEPT = [{"field": "video", "name": "cat.mp4", "bytes": 12}]
image = {"model": "gpt-image-1", "prompt": "a cat"}
IMAGE = Expected(SpanType.LLM, "generate_content gpt-image-1", IMAGE_TOKENS, image_bytes, [72])
EDIT = replace(IMAGE, inputs={**image, "files": PNG_KEPT})
EDIT_STREAM = replace(IMAGE, inputs={**image, "stream": True, "files": PNG_KEPT})
VARIATION = replace(IMAGE, name="generate_content dall-e-2", inputs={"model": "dall-e-2", "files": PNG_KEPT})
SPEECH = Expected(SpanType.LLM, "generate_content gpt-4o-mini-tts", None, media_bytes, 1000)
SPEECH_STREAM = replace(SPEECH, usage=SPEECH_TOKENS, value=600)
heard = {"model": "gpt-4o-transcribe", "files": WAV_KEPT}
TRANSCRIPT = Expected(SpanType.LLM, "generate_content gpt-4o-transcribe", TRANSCRIPT_TOKENS, text, answers.TEXT, heard)
TRANSCRIPT_STREAM = replace(TRANSCRIPT, inputs={**heard, "stream": True})
PLAIN_TRANSCRIPT = replace(TRANSCRIPT, usage=None, inputs={**heard, "response_format": "text"})
TRANSLATION = replace(TRANSCRIPT, name="generate_content whisper-1", usage=None, inputs={**heard, "model": "whisper-1"})
RUN = Expected(SpanType.AGENT, "invoke_agent gpt-4o", COMPLETION_TOKENS, status, "completed")
RUN_RESUMED = replace(RUN, name="invoke_agent")
VIDEO = Expected(SpanType.LLM, "generate_content sora-2", None, status, "queued")
VIDEO_REMIXED = replace(VIDEO, name="generate_content")
VIDEO_EDITED = replace(VIDEO_REMIXED, inputs={"prompt": "a dog", "files": MP4_KEPT})
VIDEO_EXTENDED = replace(VIDEO_REMIXED, inputs={"prompt": "a dog", "seconds": "4", "files": MP4_KEPT})
BATCH = Expected(SpanType.TASK, "create_batch", None, status, "validating")
TUNING = Expected(SpanType.TASK, "create_fine_tuning_job gpt-4o-mini", None, status, "queued")
EVALUATION = Expected(SpanType.EVALUATOR, "evaluate", None, status, "queued")

chat = {"model": "gpt-4o-mini", "messages": HELLO}
parsed_chat = {**chat, "response_format": Person}
response = {"model": "gpt-4o-mini", "input": "Hello?"}
parsed_response = {**response, "text_format": Person}
completion = {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello?"}
decision = {"model": "gpt-6-luna", "input": "Hello?", "questions": [{"type": "predicate", "text": "Is it a greeting?"}]}
speech = {"model": "gpt-4o-mini-tts", "input": "Hello!", "voice": "alloy"}
transcript = {"model": "gpt-4o-transcribe", "file": WAV}
run = {"thread_id": "thread_1", "assistant_id": "asst_1", "model": "gpt-4o"}
resumed = {"thread_id": "thread_1", "run_id": "run_1", "tool_outputs": []}
lines = {"type": "jsonl", "source": {"type": "file_id", "id": "file_1"}}
stream = {"stream": True}
usage = {"stream_options": {"include_usage": True}}

CALLS = [
    ("chat.completions.create", chat, CHAT),
    ("chat.completions.create", {**chat, **stream}, CHAT_UNCOUNTED),
    ("chat.completions.create", {**chat, **stream, **usage}, CHAT),
    ("chat.completions.parse", parsed_chat, PARSED_CHAT),
    ("chat.completions.stream", chat, CHAT_UNCOUNTED),
    ("chat.completions.stream", {**parsed_chat, **usage}, PARSED_CHAT),
    ("chat.completions.with_raw_response.create", chat, CHAT),
    ("chat.completions.with_raw_response.create", {**chat, **stream, **usage}, CHAT),
    ("chat.completions.with_raw_response.parse", parsed_chat, PARSED_CHAT),
    ("chat.completions.with_streaming_response.create", chat, CHAT),
    ("chat.completions.with_streaming_response.create", {**chat, **stream, **usage}, CHAT),
    ("with_raw_response.chat.completions.create", chat, CHAT),
    ("with_streaming_response.chat.completions.create", chat, CHAT),
    ("beta.chat.completions.create", chat, CHAT),
    ("beta.chat.completions.parse", parsed_chat, PARSED_CHAT),
    ("beta.chat.completions.stream", {**chat, **usage}, CHAT),
    ("responses.create", response, RESPONSE),
    ("responses.create", {**response, **stream}, RESPONSE),
    ("responses.create", {**response, "background": True}, QUEUED_RESPONSE),
    ("responses.parse", parsed_response, PARSED_RESPONSE),
    ("responses.stream", response, RESPONSE),
    ("responses.stream", parsed_response, PARSED_RESPONSE),
    ("responses.with_raw_response.create", response, RESPONSE),
    ("responses.with_raw_response.create", {**response, **stream}, RESPONSE),
    ("responses.with_streaming_response.create", {**response, **stream}, RESPONSE),
    ("responses.compact", response, COMPACTED),
    ("responses.input_tokens.count", response, COUNTED),
    ("responses.cancel", {"response_id": "resp_1"}, CANCELLED),
    ("beta.responses.create", response, RESPONSE),
    ("beta.responses.create", {**response, **stream}, RESPONSE),
    ("completions.create", completion, COMPLETION),
    ("completions.create", {**completion, **stream}, COMPLETION_UNCOUNTED),
    ("completions.create", {**completion, **stream, **usage}, COMPLETION),
    ("decisions.create", decision, DECISION),
    ("embeddings.create", {"model": "text-embedding-3-small", "input": ["Hello?", "Bye"]}, EMBEDDING),
    ("images.generate", image, IMAGE),
    ("images.generate", {**image, **stream, "partial_images": 1}, IMAGE),
    ("images.edit", {**image, "image": PNG}, EDIT),
    ("images.edit", {**image, **stream, "image": PNG}, EDIT_STREAM),
    ("images.create_variation", {"model": "dall-e-2", "image": PNG}, VARIATION),
    ("audio.speech.create", speech, SPEECH),
    ("audio.speech.with_raw_response.create", speech, SPEECH),
    ("audio.speech.with_streaming_response.create", speech, SPEECH),
    ("audio.speech.create", {**speech, "stream_format": "sse"}, SPEECH_STREAM),
    ("audio.transcriptions.create", transcript, TRANSCRIPT),
    ("audio.transcriptions.create", {**transcript, **stream}, TRANSCRIPT_STREAM),
    ("audio.transcriptions.create", {**transcript, "response_format": "text"}, PLAIN_TRANSCRIPT),
    ("audio.translations.create", {**transcript, "model": "whisper-1"}, TRANSLATION),
    ("moderations.create", {"model": "omni-moderation-latest", "input": "Hello?"}, MODERATION),
    ("vector_stores.search", {"vector_store_id": "vs_1", "query": "begin"}, SEARCH),
    ("beta.threads.runs.create", run, RUN),
    ("beta.threads.runs.create", {**run, **stream}, RUN),
    ("beta.threads.create_and_run", {"assistant_id": "asst_1", "model": "gpt-4o"}, RUN),
    ("beta.threads.runs.submit_tool_outputs", resumed, RUN_RESUMED),
    ("videos.create", {"model": "sora-2", "prompt": "a cat"}, VIDEO),
    ("videos.remix", {"video_id": "video_1", "prompt": "a dog"}, VIDEO_REMIXED),
    ("videos.edit", {"video": MP4, "prompt": "a dog"}, VIDEO_EDITED),
    ("videos.extend", {"video": MP4, "prompt": "a dog", "seconds": "4"}, VIDEO_EXTENDED),
    ("batches.create", {"completion_window": "24h", "endpoint": "/v1/responses", "input_file_id": "file_1"}, BATCH),
    ("fine_tuning.jobs.create", {"model": "gpt-4o-mini", "training_file": "file_1"}, TUNING),
    ("evals.runs.create", {"eval_id": "eval_1", "data_source": lines}, EVALUATION),
]
NOISE = [
    ("models.list", {}),
    ("models.retrieve", {"model": "gpt-4o-mini"}),
    ("files.list", {}),
    ("files.retrieve", {"file_id": "file_1"}),
    ("files.content", {"file_id": "file_1"}),
    ("files.create", {"file": WAV, "purpose": "assistants"}),
    ("files.delete", {"file_id": "file_1"}),
    ("uploads.create", {"bytes": 1, "filename": "a", "mime_type": "text/plain", "purpose": "assistants"}),
    ("chat.completions.list", {}),
    ("chat.completions.messages.list", {"completion_id": "chatcmpl-1"}),
    ("chat.completions.delete", {"completion_id": "chatcmpl-1"}),
    ("responses.input_items.list", {"response_id": "resp_1"}),
    ("responses.delete", {"response_id": "resp_1"}),
    ("conversations.create", {}),
    ("conversations.items.list", {"conversation_id": "conv_1"}),
    ("vector_stores.list", {}),
    ("vector_stores.create", {"name": "guides"}),
    ("vector_stores.retrieve", {"vector_store_id": "vs_1"}),
    ("beta.assistants.create", {"model": "gpt-4o"}),
    ("beta.assistants.list", {}),
    ("beta.threads.create", {}),
    ("beta.threads.messages.list", {"thread_id": "thread_1"}),
    ("batches.list", {}),
    ("evals.list", {}),
    ("fine_tuning.jobs.list", {}),
    ("containers.list", {}),
    ("videos.list", {}),
    ("admin.organization.projects.list", {}),
    ("admin.organization.admin_api_keys.list", {}),
    ("admin.organization.usage.completions", {"start_time": 1}),
]
HAS_ADMIN = "admin_api_key" in inspect.signature(openai.OpenAI).parameters
ADMIN = {"admin_api_key": "sk-admin-fake-0123456789"} if HAS_ADMIN else {}


# --- calling the SDK as a program would ---------------------------------------------------------------------


def begin(client, path, arguments):
    """Call the method; what this version of it does not take goes into `extra_body`."""
    *names, last = path.split(".")
    owner = client
    for name in names:
        owner = getattr(owner, name, None)
    if not hasattr(owner, last):
        pytest.skip(f"openai {openai.__version__} has no {path}")
    method = getattr(owner, last)
    known = inspect.signature(method).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return method(**arguments)
    extra = {name: value for name, value in arguments.items() if name not in known}
    arguments = {name: value for name, value in arguments.items() if name in known}
    return method(**arguments, **({"extra_body": extra} if extra else {}))


def read(result):
    """Read what a call returned to its end."""
    if isinstance(result, openai.Stream):
        for _ in result:
            pass
    elif hasattr(result, "http_response") and hasattr(result, "parse"):
        read_raw(result)
    elif hasattr(result, "__enter__"):
        with result as opened:
            read_opened(opened)


def read_raw(result):
    """Parse a raw answer, or read a streamed one."""
    if is_read(result):
        read(result.parse())
    else:
        result.read()


def is_read(result):
    """Whether the body of a raw answer was read before the program got it."""
    return type(result).__name__ == "LegacyAPIResponse" or (hasattr(result, "parse") and not hasattr(result, "read"))


def read_opened(opened):
    if hasattr(opened, "http_response"):
        opened.read()
        return
    for _ in opened:
        pass


async def aread(result):
    """Read what an async call returned to its end."""
    if inspect.isawaitable(result):
        result = await result
    if isinstance(result, openai.AsyncStream):
        async for _ in result:
            pass
    elif is_read(result):
        await aread(result.parse())
    elif hasattr(result, "__aenter__"):
        async with result as opened:
            await aread_opened(opened)


async def aread_opened(opened):
    if hasattr(opened, "http_response"):
        await opened.read()
        return
    async for _ in opened:
        pass


def names_of(calls):
    return [f"{path}{'-stream' if 'stream' in arguments else ''}" for path, arguments, *_ in calls]


def check(client, server, expected):
    [span] = spans(client)
    sent = {name: value for name, value in server.requests[0].body.items() if name != "encoding_format"}
    assert (span.span_type, span.name) == (expected.span_type, expected.name)
    assert span.get_attribute("gen_ai.operation.name") == expected.name.split(" ")[0]
    assert span.get_attribute("gen_ai.provider.name") == "openai"
    assert span.inputs == (sent if expected.inputs is None else expected.inputs)
    assert expected.answer(span.outputs) == expected.value
    assert span.usage == expected.usage
    assert span.status.code == "OK"
    assert span.get_attribute("http.response.status_code") == 200
    assert span.get_attribute("autolog.request.id") == "req_1"


@pytest.mark.parametrize(("path", "arguments", "expected"), CALLS, ids=names_of(CALLS))
def test_a_call_gives_one_span(traced, server, openai_client, path, arguments, expected):
    read(begin(openai_client, path, arguments))

    check(traced, server, expected)


@pytest.mark.asyncio
@pytest.mark.parametrize(("path", "arguments", "expected"), CALLS, ids=names_of(CALLS))
async def test_an_async_call_gives_one_span(traced, server, async_client, path, arguments, expected):
    await aread(begin(async_client, path, arguments))

    check(traced, server, expected)


@pytest.mark.parametrize(("path", "arguments"), NOISE, ids=names_of(NOISE))
def test_what_runs_no_model_gives_no_span(traced, server, path, arguments):
    read(begin(server.client(**ADMIN), path, arguments))

    assert len(server.requests) == 1
    assert spans(traced) == []


@pytest.mark.asyncio
@pytest.mark.parametrize(("path", "arguments"), NOISE, ids=names_of(NOISE))
async def test_what_runs_no_model_gives_no_span_async(traced, server, path, arguments):
    await aread(begin(server.async_client(**ADMIN), path, arguments))

    assert len(server.requests) == 1
    assert spans(traced) == []


def test_the_events_of_an_assistant_are_one_span(traced, server, openai_client):
    """The SDK's own helper wants the message to be created before it grows."""
    message = {
        "id": "msg_1",
        "object": "thread.message",
        "created_at": 1,
        "thread_id": "thread_1",
        "status": "in_progress",
        "role": "assistant",
        "content": [],
        "metadata": {},
    }
    [created, *deltas, completed] = answers.run_stream({})
    server.script(stream_answer([created, ("thread.message.created", message), *deltas, completed]))
    read(begin(openai_client, "beta.threads.runs.stream", run))

    [span] = spans(traced)
    assert (span.span_type, span.name) == (SpanType.AGENT, "invoke_agent gpt-4o")
    assert span.outputs["output_text"] == answers.TEXT
    assert span.usage == COMPLETION_TOKENS


# --- unusual ways to the same calls -------------------------------------------------------------------------


def say_hello(client):
    return client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)


def check_hello(client, name="chat gpt-4o-mini", provider="openai"):
    [span] = spans(client)
    assert span.name == name
    assert span.span_type == SpanType.CHAT_MODEL
    assert span.get_attribute("gen_ai.provider.name") == provider
    assert span.usage == CHAT_TOKENS
    return span


AZURE = {"azure_endpoint": "https://contoso.openai.azure.com", "api_version": "2024-10-21"}


@pytest.mark.parametrize("options", [{}, {"azure_deployment": "ours"}], ids=["by model", "by client"])
def test_azure_has_the_deployment_as_model(traced, server, options):
    client = server.client(openai.AzureOpenAI, **AZURE, **options)
    client.chat.completions.create(model="ours", messages=HELLO)

    span = check_hello(traced, "chat ours", "azure.ai.openai")
    assert server.requests[0].path == "/openai/deployments/ours/chat/completions"
    assert span.get_attribute("gen_ai.request.model") == "ours"
    assert span.get_attribute("server.address") == "contoso.openai.azure.com"


@pytest.mark.asyncio
async def test_azure_has_the_deployment_as_model_async(traced, server):
    client = server.async_client(openai.AsyncAzureOpenAI, **AZURE)
    await client.chat.completions.create(model="ours", messages=HELLO)

    check_hello(traced, "chat ours", "azure.ai.openai")


def test_azure_behind_a_gateway_is_azure_still(traced, server):
    client = server.client(openai.AzureOpenAI, base_url="https://gateway.example/openai", api_version="2024-10-21")
    client.chat.completions.create(model="ours", messages=HELLO)

    check_hello(traced, "chat ours", "azure.ai.openai")


def test_azure_by_the_plain_client_is_azure(traced, server):
    say_hello(server.client(base_url="https://contoso.openai.azure.com/openai/v1"))

    check_hello(traced, provider="azure.ai.openai")


@pytest.mark.skipif(not hasattr(openai, "BedrockOpenAI"), reason="this openai has no Bedrock client")
def test_bedrock_is_traced(traced, server):
    client = server.client(openai.BedrockOpenAI, aws_region="us-east-1")
    say_hello(client)

    check_hello(traced, provider="aws.bedrock")


@pytest.mark.parametrize(
    ("base_url", "provider"),
    [
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("http://localhost:11434/v1", "openai"),
    ],
)
def test_the_provider_is_told_by_the_server(traced, server, base_url, provider):
    say_hello(server.client(base_url=base_url))

    check_hello(traced, provider=provider)


@pytest.fixture
def module_client(server, monkeypatch):
    """`import openai; openai.chat…`, with a transport of ours below it."""
    monkeypatch.setattr(openai, "api_key", "sk-fake-0123456789abcdefghij")
    monkeypatch.setattr(openai, "http_client", server.client()._client)
    openai._reset_client()
    yield openai
    openai._reset_client()


def test_the_client_of_the_module_is_traced(traced, module_client):
    say_hello(module_client)

    check_hello(traced)


def test_a_subclass_with_a_request_of_its_own_is_traced_once(traced, server):
    class Counting(openai.OpenAI):
        requests = 0

        def request(self, *args, **kwargs):
            self.requests += 1
            return super().request(*args, **kwargs)

    client = server.client(Counting)
    say_hello(client)

    assert client.requests == 1
    check_hello(traced)


@pytest.mark.asyncio
async def test_an_async_subclass_with_a_request_of_its_own_is_traced_once(traced, server):
    class Counting(openai.AsyncOpenAI):
        async def request(self, *args, **kwargs):
            return await super().request(*args, **kwargs)

    await say_hello(server.async_client(Counting))

    check_hello(traced)


def test_a_copied_client_is_traced(traced, openai_client):
    say_hello(openai_client.with_options(timeout=5).copy(max_retries=1))

    check_hello(traced)


def test_resources_made_before_autolog_are_traced(client, openai_client):
    raw = openai_client.chat.completions.with_raw_response
    create = openai_client.chat.completions.create
    autolog.autolog()
    raw.create(model="gpt-4o-mini", messages=HELLO)
    create(model="gpt-4o-mini", messages=HELLO)

    assert [span.usage for span in spans(client)] == [CHAT_TOKENS] * 2


@pytest.mark.skipif(VERSION < (1, 8), reason="openai before 1.8 has no with_streaming_response")
def test_streaming_resources_made_before_autolog_are_traced(client, openai_client):
    streaming = openai_client.chat.completions.with_streaming_response
    autolog.autolog()
    with streaming.create(model="gpt-4o-mini", messages=HELLO) as answer:
        answer.read()

    check_hello(client)


@pytest.mark.asyncio
async def test_resources_made_before_autolog_are_traced_async(client, async_client):
    raw = async_client.chat.completions.with_raw_response
    autolog.autolog()
    await raw.create(model="gpt-4o-mini", messages=HELLO)

    check_hello(client)


@pytest.mark.parametrize("path", ["/chat/completions", "chat/completions", "/chat/completions?beta=true"])
def test_a_path_by_hand_is_traced(traced, openai_client, path):
    body = {"model": "gpt-4o-mini", "messages": HELLO}
    answer = openai_client.post(path, cast_to=ANYTHING, body=body)

    assert answer["choices"][0]["message"]["content"] == answers.TEXT
    span = check_hello(traced)
    assert span.inputs == body


def test_a_whole_address_by_hand_is_traced(traced, openai_client):
    address = "https://api.openai.com/v1/chat/completions"
    openai_client.post(address, cast_to=ANYTHING, body={"model": "gpt-4o-mini", "messages": HELLO})

    check_hello(traced)


def test_a_path_by_hand_that_is_not_known_gives_no_span(traced, openai_client):
    openai_client.get("/organization/costs", cast_to=ANYTHING)

    assert spans(traced) == []


# --- answers that are fetched later -------------------------------------------------------------------------


def responses_of(client):
    if not hasattr(client, "responses"):
        pytest.skip(f"openai {openai.__version__} has no responses")
    return client.responses


def test_tokens_count_once_over_a_background_response_and_its_polls(traced, server, openai_client):
    states = ["queued", "in_progress", "completed", "completed"]
    polled = [json_answer(answers.response({"background": True}, state, id="resp_polled")) for state in states]
    server.script(*polled)
    api = responses_of(openai_client)
    with autolog.start_span("job"):
        api.create(model="gpt-4o-mini", input="Hello?", background=True)
        for _ in states[1:]:
            api.retrieve("resp_polled")

    [trace] = traces(traced)
    created, *fetched = trace.children(trace.root)
    assert [span.name for span in fetched] == ["fetch_response"] * 3
    assert [span.span_type for span in fetched] == [SpanType.TASK] * 3
    assert [span.get_attribute("gen_ai.response.status") for span in (created, *fetched)] == states
    assert [span.usage for span in (created, *fetched)] == [None, None, RESPONSE_TOKENS, None]
    assert trace.usage == RESPONSE_TOKENS


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
def test_tokens_of_a_finished_response_do_not_count_again_when_it_is_fetched(
    traced, server, openai_client, is_streamed
):
    known = answers.response({}, id=f"resp_finished_{is_streamed}")
    finished = stream_answer([{"type": "response.completed", "response": known}], is_done=False)
    server.script(finished if is_streamed else json_answer(known), json_answer(known))
    api = responses_of(openai_client)
    with autolog.start_span("job"):
        read(api.create(model="gpt-4o-mini", input="Hello?", stream=is_streamed))
        api.retrieve(known["id"])

    [trace] = traces(traced)
    created, fetched = trace.children(trace.root)
    assert (created.usage, fetched.usage) == (RESPONSE_TOKENS, None)
    assert trace.usage == RESPONSE_TOKENS


def test_a_response_can_be_fetched_as_a_stream(traced, server, openai_client):
    known = answers.response({}, id="resp_fetched_as_stream")
    server.script(stream_answer([{"type": "response.completed", "response": known}], is_done=False))
    read(begin(openai_client, "responses.retrieve", {"response_id": known["id"], "stream": True}))

    [span] = spans(traced)
    assert (span.name, span.span_type) == ("fetch_response", SpanType.TASK)
    assert span.inputs["id"] == known["id"]
    assert response_text(span.outputs) == answers.TEXT
    assert span.usage == RESPONSE_TOKENS


def test_a_stored_chat_can_be_fetched_and_does_not_count_again(traced, server, openai_client):
    stored = answers.chat({}, "chatcmpl-stored")
    server.script(json_answer(stored), json_answer(stored))
    openai_client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    begin(openai_client, "chat.completions.retrieve", {"completion_id": "chatcmpl-stored"})

    created, fetched = spans(traced)
    assert (fetched.name, fetched.span_type) == ("fetch_response", SpanType.TASK)
    assert fetched.inputs == {"id": "chatcmpl-stored"}
    assert chat_text(fetched.outputs) == answers.TEXT
    assert (created.usage, fetched.usage) == (CHAT_TOKENS, None)


def test_tokens_count_once_over_a_run_and_its_polls(traced, server, openai_client):
    states = [("queued", None), ("in_progress", None), ("completed", answers.COMPLETION_USAGE)]
    server.script(*[json_answer(answers.run({}, id="run_polled", status=s, usage=u)) for s, u in states])
    with autolog.start_span("job"):
        begin(openai_client, "beta.threads.runs.create", run)
        for _ in range(2):
            openai_client.beta.threads.runs.retrieve("run_polled", thread_id="thread_1")

    [trace] = traces(traced)
    created, *fetched = trace.children(trace.root)
    assert [(span.name, span.span_type) for span in fetched] == [("fetch_run", SpanType.TASK)] * 2
    assert trace.usage == COMPLETION_TOKENS


def test_a_failed_response_is_a_failure_wherever_it_is_told(traced, server, openai_client):
    server.script(*[json_answer(answers.response({}, "failed", id="resp_failed"))] * 2)
    api = responses_of(openai_client)
    api.create(model="gpt-4o-mini", input="Hello?")
    api.retrieve("resp_failed")

    assert [span.status.is_error for span in spans(traced)] == [True, True]
    assert [span.get_attribute("error.type") for span in spans(traced)] == ["server_error"] * 2
