"""What must not be stored is looked for where it would lie: in every column and every payload of the file."""

from __future__ import annotations

import base64
import gc
import inspect
import itertools
import json
import sqlite3

import openai
import pytest

import autolog
from autolog.stores import compression
from autolog.testing import fresh_client, spans, traces
from tests.fakes import openai_answers as answers
from tests.fakes.openai_server import content_answer, httpx, json_answer, stream_answer

VERSION = tuple(int(part) for part in openai.__version__.split(".")[:2])
HELLO = [{"role": "user", "content": "Hello?"}]
NUMBERS = itertools.count(1_000_000)
has_responses = pytest.mark.skipif(VERSION < (1, 66), reason="openai before 1.66 has no responses")


@pytest.fixture
def secret():
    """Looks like nobody's key, and is another in each test: what autolog once knew as secret it never stores."""
    return f"q7w4e1-{next(NUMBERS)}"


@pytest.fixture
def key():
    """Looks like a key of OpenAI."""
    return f"sk-proj-0123456789abcdefghij{next(NUMBERS)}"


def filled(template, secret):
    """Put the secret into a value that says SECRET."""
    return json.loads(json.dumps(template).replace("SECRET", secret))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "traces.db"


@pytest.fixture
def filed(path):
    """A client on a file, with autologging on."""
    with fresh_client(f"sqlite:///{path}") as client:
        autolog.autolog()
        yield client


@pytest.fixture
def secretive(path):
    """The same where no content may be kept."""
    with fresh_client(f"sqlite:///{path}", capture_content=False) as client:
        autolog.autolog()
        yield client


@pytest.fixture
def anonymous(filed):
    """The same where no user may be kept."""
    autolog.openai.autolog(capture_user=False)
    yield filed
    autolog.openai.autolog(capture_user=True)


def stored(client, path):
    """Return all that the file holds, payloads decompressed, as one text."""
    assert client.flush()
    kept = []
    with sqlite3.connect(path) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f"SELECT * FROM {table}"):
                kept += [text_of(value) for value in row]
        assert connection.execute("SELECT count(*) FROM spans").fetchone()[0] > 0
    connection.close()
    return "\n".join(kept)


def text_of(value):
    if not isinstance(value, bytes):
        return str(value)
    try:
        value = compression.decompress(value)
    except Exception:
        pass
    return value.decode("utf-8", "replace")


def chat(client, **arguments):
    return client.chat.completions.create(**{"model": "gpt-4o-mini", "messages": HELLO, **arguments})


def test_what_is_stored_can_be_searched(filed, path, openai_client):
    """Or else the tests below would pass for any store."""
    chat(openai_client, messages=[{"role": "user", "content": "a needle"}])

    kept = stored(filed, path)
    assert "a needle" in kept
    assert answers.TEXT in kept
    assert "gpt-4o-mini" in kept


# --- keys ---------------------------------------------------------------------------------------------------

CREDENTIALS = [
    {"api_key": "SECRET"},
    {"api_key": "sk-proj-SECRET"},
    {"organization": "org-SECRET"},
    {"project": "proj_SECRET"},
    {"webhook_secret": "whsec_SECRET"},
    {"default_headers": {"Authorization": "Bearer SECRET"}},
    {"default_headers": {"X-Gateway": "SECRET"}},
    {"default_query": {"subscription-key": "SECRET"}},
    {"base_url": "https://someone:SECRET@gateway.example/v1"},
]


def client_of(server, **arguments):
    missing = set(arguments) - set(inspect.signature(openai.OpenAI).parameters)
    if missing:
        pytest.skip(f"openai {openai.__version__} has no {', '.join(missing)}")
    return server.client(max_retries=0, **arguments)


def names(credentials):
    return next(iter(credentials))


@pytest.mark.parametrize("credentials", CREDENTIALS, ids=names)
def test_credentials_of_the_client_are_not_stored(filed, path, server, secret, credentials):
    client = client_of(server, **filled(credentials, secret))
    chat(client)
    list(chat(client, stream=True))
    client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=HELLO)

    assert secret not in stored(filed, path)


@pytest.mark.parametrize("credentials", CREDENTIALS, ids=names)
@pytest.mark.parametrize("failure", [400, 401, 404, 429, 500, "connection", "timeout"])
def test_credentials_of_the_client_are_not_stored_with_an_error(filed, path, server, secret, credentials, failure):
    lost = {"connection": httpx.ConnectError("refused"), "timeout": httpx.ConnectTimeout("slow")}
    server.script(lost.get(failure, failure))
    with pytest.raises(openai.APIError):
        chat(client_of(server, **filled(credentials, secret)))

    assert secret not in stored(filed, path)


def test_headers_of_one_call_are_not_stored(filed, path, openai_client, secret):
    chat(openai_client, extra_headers={"Authorization": f"Bearer {secret}", "X-Gateway": secret})

    assert secret not in stored(filed, path)


def test_secrets_in_the_query_are_not_stored(filed, path, openai_client, secret):
    chat(openai_client, extra_query={"api-key": secret, "sig": secret, "trial": "seven"})

    kept = stored(filed, path)
    assert secret not in kept
    assert "seven" in kept


# --- keys that a server repeats -----------------------------------------------------------------------------


def refusal(key):
    """Refuse a key as OpenAI does: with the key in the text."""
    message = f"Incorrect API key provided: {key}. You can find your API key at https://platform.openai.com."
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}
    return json_answer({"error": error}, 401)


@pytest.mark.parametrize("form", ["SECRET", "sk-proj-SECRET", "gsk_0123456789SECRET", "0123456789abcdefSECRET"])
def test_a_refusal_that_repeats_the_key_is_stored_without_it(filed, path, server, secret, form):
    key = filled(form, secret)
    server.script(refusal(key))
    with pytest.raises(openai.AuthenticationError, match="Incorrect API key") as caught:
        chat(client_of(server, api_key=key))

    [span] = spans(filed)
    assert key in str(caught.value)
    assert secret not in stored(filed, path)
    assert "Incorrect API key provided" in span.status.description
    assert "Incorrect API key provided" in span.events[-1].attributes["exception.stacktrace"]


def test_a_refusal_that_repeats_half_of_the_key_is_stored_without_it(filed, path, server):
    """So does OpenAI, with stars for the middle."""
    server.script(refusal("sk-proj-********************wxyz"))
    with pytest.raises(openai.AuthenticationError):
        chat(client_of(server))

    assert "wxyz" not in stored(filed, path)


@pytest.mark.asyncio
async def test_a_refusal_that_repeats_the_key_is_stored_without_it_async(filed, path, server, secret):
    server.script(refusal(secret))
    with pytest.raises(openai.AuthenticationError):
        await chat(server.async_client(api_key=secret, max_retries=0))

    assert secret not in stored(filed, path)


def test_no_number_of_clients_is_too_large_for_their_keys_to_be_left_out(filed, path, server, secret):
    """A service may call with a key of each of its users."""
    keys = [f"{number:03}-{secret}" for number in range(150)]
    for key in keys:
        server.script(refusal(key))
        with pytest.raises(openai.AuthenticationError):
            chat(client_of(server, api_key=key))

    assert secret not in stored(filed, path)


@pytest.mark.parametrize("kind", ["api_key", "azure_ad_token", "azure_ad_token_provider"])
def test_a_refusal_by_azure_is_stored_without_the_key(filed, path, server, secret, kind):
    server.script(refusal(secret))
    credential = (lambda: secret) if kind == "azure_ad_token_provider" else secret
    place = {"azure_endpoint": "https://contoso.openai.azure.com", "api_version": "2024-10-21"}
    client = openai.AzureOpenAI(http_client=server.client()._client, max_retries=0, **place, **{kind: credential})
    with pytest.raises(openai.AuthenticationError):
        chat(client)

    sent = server.requests[0].headers
    assert secret in (sent.get("api-key"), sent.get("authorization", "").removeprefix("Bearer "))
    assert secret not in stored(filed, path)


@pytest.mark.skipif(VERSION < (1, 106), reason="openai before 1.106 takes no function as key")
def test_a_refusal_is_stored_without_a_key_that_a_function_gave(filed, path, server, secret):
    """A key that is asked for anew before each request."""
    server.script(refusal(secret))
    with pytest.raises(openai.AuthenticationError):
        chat(client_of(server, api_key=lambda: secret))

    assert server.requests[0].headers["authorization"] == f"Bearer {secret}"
    assert secret not in stored(filed, path)


@pytest.mark.parametrize("where", ["default_headers", "extra_headers"])
@pytest.mark.parametrize("form", ["Bearer SECRET", "SECRET"])
def test_a_refusal_is_stored_without_a_key_that_a_header_carried(filed, path, server, secret, where, form):
    """Gateways take keys of their own, in `Authorization` or beside it."""
    name = "Authorization" if form.startswith("Bearer") else "X-Gateway-Key"
    headers = {name: filled(form, secret)}
    server.script(refusal(secret))
    client = client_of(server, **({where: headers} if where == "default_headers" else {}))
    with pytest.raises(openai.AuthenticationError):
        chat(client, **({where: headers} if where == "extra_headers" else {}))

    assert server.requests[0].headers[name.lower()] == headers[name]
    assert secret not in stored(filed, path)


def test_a_key_in_the_reason_of_an_exception_is_not_stored(filed, path, server, secret, key):
    """Tracebacks hold the exceptions below as well."""
    server.script(httpx.ConnectError(f"no way to https://someone:{secret}@gateway.example/v1 with {key}"))
    with pytest.raises(openai.APIConnectionError):
        chat(client_of(server))

    kept = stored(filed, path)
    assert "no way to" in kept
    assert secret not in kept
    assert key not in kept


def refused_stream(key):
    error = {"message": f"Incorrect API key provided: {key}", "type": "invalid_request_error", "code": "bad_key"}
    return stream_answer([answers.chat_delta({"content": "Hel"}), {"error": error}], is_done=False)


@pytest.mark.parametrize("form", ["SECRET", "sk-proj-SECRET"])
def test_a_refusal_in_a_stream_is_stored_without_the_key(filed, path, server, secret, form):
    key = filled(form, secret)
    server.script(refused_stream(key))
    with pytest.raises(openai.APIError):
        list(chat(client_of(server, api_key=key), stream=True))
    gc.collect()  # openai before 2 leaves a response open that it failed to read

    [span] = spans(filed)
    assert secret not in stored(filed, path)
    assert span.status.is_error


@pytest.mark.parametrize("form", ["SECRET", "sk-proj-SECRET"])
def test_a_refusal_in_a_stream_that_nobody_parses_is_stored_without_the_key(filed, path, server, secret, form):
    key = filled(form, secret)
    server.script(refused_stream(key))
    completions = client_of(server, api_key=key).chat.completions
    if not hasattr(completions, "with_streaming_response"):
        pytest.skip(f"openai {openai.__version__} has no with_streaming_response")
    with completions.with_streaming_response.create(model="gpt-4o-mini", messages=HELLO, stream=True) as answer:
        list(answer.iter_lines())

    [span] = spans(filed)
    assert secret not in stored(filed, path)
    assert span.status.is_error


def test_a_key_in_an_exception_of_the_program_is_not_stored(filed, path, key):
    with pytest.raises(RuntimeError), autolog.start_span("job"):
        raise RuntimeError(f"could not log in with {key}")

    kept = stored(filed, path)
    assert "could not log in" in kept
    assert key not in kept


# --- credentials inside of requests -------------------------------------------------------------------------

MCP = {
    "type": "mcp",
    "server_label": "tickets",
    "server_url": "https://tickets.example/mcp",
    "authorization": "SECRET",
    "headers": {"X-Gateway": "SECRET"},
}
INTERPRETER = {
    "type": "code_interpreter",
    "container": {
        "type": "auto",
        "network_policy": {
            "type": "allowlist",
            "allowed_domains": ["tickets.example"],
            "domain_secrets": [{"domain": "tickets.example", "name": "TOKEN", "value": "SECRET"}],
        },
    },
}


@has_responses
@pytest.mark.parametrize("tool", [MCP, INTERPRETER], ids=["mcp", "code_interpreter"])
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
def test_credentials_of_a_tool_are_not_stored(filed, path, server, openai_client, secret, tool, is_streamed):
    """Nor where the server's answer repeats the tools of the request, as it does."""
    tool = filled(tool, secret)
    done = answers.response({"tools": [tool]}, output=[])
    streamed = stream_answer([{"type": "response.completed", "response": done}], is_done=False)
    server.script(streamed if is_streamed else json_answer(done))
    answer = openai_client.responses.create(model="gpt-4o-mini", input="Hello?", tools=[tool], stream=is_streamed)
    if is_streamed:
        list(answer)

    kept = stored(filed, path)
    assert secret in json.dumps(server.requests[0].body)
    assert secret not in kept
    assert "tickets.example" in kept


@has_responses
def test_a_parameter_of_a_tool_may_be_called_as_a_secret_is(filed, path, openai_client):
    schema = {
        "type": "object",
        "properties": {"authorization": {"type": "string"}, "headers": {"type": "object"}},
        "required": ["authorization"],
    }
    tool = {"type": "function", "name": "call", "parameters": schema, "strict": False}
    openai_client.responses.create(model="gpt-4o-mini", input="Hello?", tools=[tool])
    chat(openai_client, tools=[{"type": "function", "function": {"name": "call", "parameters": schema}}])

    by_response, by_chat = spans(filed)
    assert by_response.inputs["tools"] == [tool]
    assert by_chat.inputs["tools"][0]["function"]["parameters"] == schema


def test_credentials_of_a_data_source_are_not_stored(filed, path, server, openai_client, secret):
    """Azure reads documents from a search service whose key the request carries."""
    parameters = {
        "endpoint": "https://contoso.search.windows.net",
        "index_name": "guides",
        "authentication": {"type": "api_key", "key": secret},
    }
    source = {"type": "azure_search", "parameters": parameters}
    chat(openai_client, extra_body={"data_sources": [source]})

    kept = stored(filed, path)
    assert secret in json.dumps(server.requests[0].body)
    assert secret not in kept
    assert "guides" in kept


# --- content ------------------------------------------------------------------------------------------------


def test_large_media_are_not_stored(filed, path, openai_client):
    content = base64.b64encode(bytes(range(256)) * 400).decode()
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{content}"}}
    sound = {"type": "input_audio", "input_audio": {"data": content, "format": "wav"}}
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{content}"}}
    chat(openai_client, messages=[{"role": "user", "content": [image, sound, file]}])

    kept = stored(filed, path)
    assert content[:1_000] not in kept
    assert kept.count('"sha256"') == 3


def test_without_content_no_word_of_a_chat_is_stored(secretive, path, openai_client):
    tool = {"type": "function", "function": {"name": "needle_tool", "parameters": {"type": "object", "properties": {}}}}
    asked = [{"role": "system", "content": "needle rules"}, {"role": "user", "content": "needle question"}]
    chat(openai_client, messages=asked)
    chat(openai_client, messages=asked, tools=[tool])
    list(chat(openai_client, messages=asked, stream=True))

    kept = stored(secretive, path)
    assert "needle" not in kept
    assert "Hello" not in kept
    assert "Paris" not in kept


def test_without_content_tokens_model_and_times_are_stored(secretive, openai_client):
    chat(openai_client)

    [span] = spans(secretive)
    assert (span.inputs, span.outputs) == (None, None)
    assert span.name == "chat gpt-4o-mini"
    assert span.usage.total_tokens == 18
    assert span.duration_ns > 0
    [trace] = traces(secretive)
    assert (trace.info.request_preview, trace.info.response_preview) == (None, None)


def test_without_content_no_word_of_other_calls_is_stored(secretive, path, server, openai_client):
    openai_client.embeddings.create(model="text-embedding-3-small", input=["needle text"])
    openai_client.moderations.create(input="needle text")
    openai_client.images.generate(model="gpt-image-1", prompt="needle text")
    openai_client.audio.speech.create(model="tts-1", input="needle text", voice="alloy")
    file = ("needle.wav", b"RIFF....WAVE")
    openai_client.audio.transcriptions.create(model="whisper-1", file=file, prompt="needle text")
    openai_client.completions.create(model="gpt-3.5-turbo-instruct", prompt="needle text", stop="needle end")

    kept = stored(secretive, path)
    assert "needle" not in kept
    assert answers.TEXT not in kept
    assert answers.PNG not in kept


@pytest.mark.skipif(VERSION < (1, 66), reason="openai before 1.66 can't search a vector store")
def test_without_content_no_word_of_a_search_is_stored(secretive, path, openai_client):
    openai_client.vector_stores.search("vs_1", query="needle text")

    kept = stored(secretive, path)
    assert "needle" not in kept
    assert "install it" not in kept
    assert "guide.md" not in kept


def test_without_content_no_word_of_an_error_is_stored(secretive, path, server, openai_client):
    error = {"message": "the needle prompt was flagged", "type": "invalid_request_error", "code": "flagged"}
    server.script(json_answer({"error": error}, 400))
    with pytest.raises(openai.BadRequestError):
        chat(openai_client)

    kept = stored(secretive, path)
    [span] = spans(secretive)
    assert "needle" not in kept
    assert span.status.is_error
    assert span.get_attribute("error.type") == "openai.BadRequestError"
    assert span.get_attribute("autolog.error.code") == "flagged"


@has_responses
def test_without_content_no_word_of_a_failed_response_is_stored(secretive, path, server, openai_client):
    error = {"code": "server_error", "message": "the needle prompt was flagged"}
    server.script(json_answer(answers.response({}, "failed", error=error)))
    openai_client.responses.create(model="gpt-4o-mini", input="Hello?")

    [span] = spans(secretive)
    assert "needle" not in stored(secretive, path)
    assert span.status.is_error


def test_without_content_a_call_that_runs_still_is_stored_without_it(secretive, path, openai_client):
    stream = chat(openai_client, messages=[{"role": "user", "content": "needle question"}], stream=True)
    next(iter(stream))

    assert "needle" not in stored(secretive, path)
    stream.response.close()


def test_without_content_the_program_s_own_spans_are_stored_without_it(secretive, path):
    with pytest.raises(ValueError, match="needle"), autolog.start_span("job", inputs="needle in") as span:
        span.set_outputs("needle out")
        raise ValueError("needle error")

    assert "needle" not in stored(secretive, path)


def test_a_page_of_a_proxy_is_content(secretive, path, server, openai_client):
    server.script(content_answer(b"<html>needle page</html>", content_type="text/html"))
    chat(openai_client)

    assert "needle" not in stored(secretive, path)


# --- users --------------------------------------------------------------------------------------------------


def test_the_user_is_kept_as_user_alone(filed, openai_client):
    chat(openai_client, user="ada@example.com")

    [span] = spans(filed)
    [trace] = traces(filed)
    assert span.get_attribute("user.id") == trace.info.user == "ada@example.com"
    assert "user" not in span.inputs


@pytest.mark.skipif(VERSION < (1, 100), reason="openai before 1.100 has no safety_identifier")
def test_the_safety_identifier_is_kept_as_user_alone(filed, openai_client):
    chat(openai_client, safety_identifier="ada@example.com")

    [span] = spans(filed)
    assert span.get_attribute("user.id") == "ada@example.com"
    assert "safety_identifier" not in span.inputs


def test_the_user_is_not_stored_where_that_is_not_wanted(anonymous, path, openai_client):
    chat(openai_client, user="ada@example.com", extra_body={"safety_identifier": "ada@example.com"})
    openai_client.embeddings.create(model="text-embedding-3-small", input="Hello?", user="ada@example.com")

    assert "ada@example.com" not in stored(anonymous, path)


@has_responses
@pytest.mark.parametrize("name", ["user", "safety_identifier"])
def test_the_user_is_not_stored_where_the_answer_repeats_it(anonymous, path, server, openai_client, name):
    server.script(json_answer(answers.response({}, **{name: "ada@example.com"})))
    openai_client.responses.create(model="gpt-4o-mini", input="Hello?", extra_body={name: "ada@example.com"})

    assert "ada@example.com" not in stored(anonymous, path)
