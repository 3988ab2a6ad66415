"""Spans in autolog's own form are stored once, as they are, or are refused with what is wrong."""

from __future__ import annotations

import gzip
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from autolog import Client, SpanType, TokenUsage, wire
from autolog.capture import Limits
from autolog.server import bodies
from autolog.server.access import Token
from autolog.server.app import create_app
from autolog.stores import compression
from autolog.testing import fresh_client, traces

TYPE = {"content-type": wire.MEDIA_TYPE}


@pytest.fixture
def http(client):
    with TestClient(create_app(client), base_url="http://127.0.0.1:4321") as http:
        yield http


def body():
    with fresh_client() as other:
        with other.tracer.start_span("root", inputs={"q": "?"}) as root:
            root.trace_context.session = "s"
            with other.tracer.start_span("call", SpanType.LLM) as call:
                call.set_usage(TokenUsage(3, 4, 7))
        other.flush()
        [body] = wire.encode([call, root], Limits())
    return body.data


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [(bytes, {}), (gzip.compress, {"content-encoding": "gzip"}), (compression.compress, {"content-encoding": "zstd"})],
)
def test_spans_are_stored_however_they_are_packed_and_however_often(http, client, packed, encoding):
    data = body()
    for _ in range(3):
        answer = http.post("/api/spans", content=packed(data), headers={**TYPE, **encoding})
        assert (answer.status_code, answer.json()) == (200, {"stored": 2})

    [trace] = traces(client)
    assert [span.name for span in trace.spans] == ["root", "call"]
    assert (trace.info.session, trace.usage, trace.info.span_count) == ("s", TokenUsage(3, 4, 7), 2)


@pytest.mark.parametrize(
    ("content", "headers", "status", "said"),
    [
        (b"", {}, 400, "this is no body of spans"),
        (b"[]", {}, 400, "this is no body of spans"),
        (b'{"version": 99}', {}, 400, "version 99 of their form, this server knows 1: upgrade it"),
        (
            b'{"version": 1, "contexts": [], "spans": [{}]}',
            {},
            400,
            "missing required field `trace_id` - at `$.spans[0]`",
        ),
        (b"{" * 10_000, {}, 400, "this is no body of spans"),
        (b"{}", {"content-encoding": "br"}, 415, "'br' is not known"),
        (b"{}", {"content-encoding": "zstd"}, 400, "not what its Content-Encoding, zstd, says"),
    ],
)
def test_what_is_no_body_of_spans_is_refused(http, client, content, headers, status, said):
    answer = http.post("/api/spans", content=content, headers={**TYPE, **headers})

    assert answer.status_code == status
    assert said in answer.json()["message"]
    assert traces(client) == []


@pytest.mark.parametrize("packed", [gzip.compress, compression.compress])
def test_what_unpacks_to_too_much_is_refused(http, monkeypatch, packed):
    monkeypatch.setattr(bodies, "MOST_EXPANDED", 1_000_000)
    encoding = "zstd" if packed is compression.compress else "gzip"
    answer = http.post("/api/spans", content=packed(b" " * 50_000_000), headers={**TYPE, "content-encoding": encoding})

    assert (answer.status_code, answer.json()["error"]) == (413, "BodyError")


def test_a_method_that_a_store_has_not_is_not_found(http):
    for method in ("close", "write", "_transaction", "__class__", "x"):
        answer = http.post(f"/api/store/{method}", json={})
        assert answer.status_code == 404
        assert "there are: get_trace" in answer.json()["message"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"trace_id": 5}', b"[" * 10_000, b"\xff"])
def test_arguments_that_are_none_are_refused(http, content):
    answer = http.post("/api/store/get_trace", content=content, headers={"content-type": "application/json"})

    assert answer.status_code == 400
    assert answer.json()["error"] == "InvalidQuery"


@pytest.fixture(scope="module")
def shared_http():
    with fresh_client() as client, TestClient(create_app(client), base_url="http://127.0.0.1:4321") as http:
        yield http


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["0" * 32, "f" * 16]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_body_of_any_kind_is_stored_or_refused(shared_http, data):
    told = json.loads(RICH)
    for _ in range(data.draw(st.integers(1, 3))):
        place = told
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if not isinstance(place[key], (dict, list)) or data.draw(st.integers(0, 3)) == 0:
                place[key] = data.draw(VALUES)
                break
            place = place[key]
    answer = shared_http.post("/api/spans", content=json.dumps(told), headers=TYPE)

    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 200:
        shown = shared_http.get("/api/traces")
        assert shown.status_code == 200, shown.text


RICH = body()


def test_span_processors_are_called_by_one_request_at_a_time_whosever_token_it_has():
    inside, together = [], []

    def processor(span):
        inside.append(span)
        time.sleep(0.01)
        together.append(len(inside))
        inside.pop()
        return span

    secrets = ["secret-of-all-experiments", "secret-of-one-experiment"]
    tokens = [Token(secrets[0], "write"), Token(secrets[1], "send", "one")]
    server = Client("memory:", span_processors=[processor])
    with TestClient(create_app(server, tokens=tokens), base_url="http://127.0.0.1:4321") as http:

        def send(secret):
            return http.post("/api/spans", content=body(), headers={**TYPE, "Authorization": f"Bearer {secret}"})

        with ThreadPoolExecutor() as pool:
            answers = list(pool.map(send, secrets * 4))
    server.close()

    assert {answer.status_code for answer in answers} == {200}
    assert set(together) == {1}
