"""Whatever an OpenTelemetry exporter sends is stored once, in any order, or is refused in OTLP's own words."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import itertools
import json
import random

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.testclient import TestClient

import autolog as al
from autolog import SpanType, StatusCode, TokenUsage, TraceState
from autolog.server.app import create_app
from autolog.testing import fresh_client, traces
from tests.serving import serving
from tests.trees import forest

PROTOBUF, JSON = "application/x-protobuf", "application/json"
NOW = 1_760_000_000_000_000_000


@pytest.fixture
def http(client):
    with TestClient(create_app(client), base_url="http://127.0.0.1:4321") as http:
        yield http


def attributes(values):
    def told(value):
        if isinstance(value, bool):
            return {"boolValue": value}
        if isinstance(value, int):
            return {"intValue": str(value)}
        if isinstance(value, float):
            return {"doubleValue": value}
        if isinstance(value, list):
            return {"arrayValue": {"values": [told(item) for item in value]}}
        if isinstance(value, dict):
            return {"kvlistValue": {"values": attributes(value)}}
        return {"stringValue": value}

    return [{"key": key, "value": told(value)} for key, value in values.items()]


def span(number, parent=None, name=None, trace=1, start=0, took=1_000, **more):
    return {
        "traceId": f"{trace:032x}",
        "spanId": f"{number:016x}",
        **({"parentSpanId": f"{parent:016x}"} if parent else {}),
        "name": name or f"span {number}",
        "kind": 1,
        "startTimeUnixNano": str(NOW + start),
        "endTimeUnixNano": str(NOW + start + took),
        **{key: attributes(value) if key == "attributes" else value for key, value in more.items()},
    }


def request(*spans, resource=None, scope=None):
    scoped = {"scope": {"name": "my.scope", "version": "2", **(scope or {})}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": {"attributes": attributes(resource or {})}, "scopeSpans": [scoped]}]}


def post(http, body, **headers):
    answer = http.post("/v1/traces", content=json.dumps(body), headers={"content-type": JSON, **headers})
    return answer


def store(http, *spans, **origin):
    answer = post(http, request(*spans, **origin))
    assert (answer.status_code, answer.json()) == (200, {})


# --- the real exporter -----------------------------------------------------------------------------------


@pytest.fixture
def exported(client):
    """A tracer of OpenTelemetry's SDK, whose spans its exporter sends to a server; and what waits until they are sent."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    with serving(client) as address:
        provider = TracerProvider(resource=Resource({"service.name": "shop", "service.version": "7"}))
        exporter = OTLPSpanExporter(f"{address}/v1/traces", compression=Compression.Gzip)
        provider.add_span_processor(SimpleSpanProcessor(exporter))  # a request a span, children first
        yield provider.get_tracer("web", "1.2")
        provider.shutdown()


def test_spans_of_the_sdk_arrive_as_the_tree_that_they_are(exported, client):
    with exported.start_as_current_span("GET /"):
        with exported.start_as_current_span("chat", attributes={"gen_ai.operation.name": "chat"}) as call:
            call.set_attribute("gen_ai.request.model", "gpt-4o-mini")
            call.set_attribute("gen_ai.usage.input_tokens", 1000)
            call.set_attribute("gen_ai.usage.output_tokens", 500)
        with pytest.raises(ZeroDivisionError), exported.start_as_current_span("tool"):
            1 / 0  # noqa: B018

    assert (
        forest(client)
        == "OK 1000>500\nUNKNOWN GET /\n  CHAT_MODEL chat 1000>500\n  UNKNOWN tool ERROR ZeroDivisionError"
    )
    [trace] = traces(client)
    assert trace.info.version == "7"
    assert trace.root.get_attribute("service.name") == "shop"
    assert trace.spans[1].get_attribute("otel.scope.name") == "web"
    assert trace.spans[1].get_attribute("service.name") is None
    if importlib.util.find_spec("genai_prices"):
        assert trace.cost.total > 0


def test_what_autolog_sends_arrives_as_what_it_was(client):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    with fresh_client() as sender, serving(client) as address:
        stop = sender.export_otlp(address)
        with al.context(session_id="s1", user="ada", tags={"a": "1"}, metadata={"m": "x"}):
            with al.start_span("agent", SpanType.AGENT, inputs={"question": "?"}) as root:
                with al.start_span("ask", SpanType.CHAT_MODEL) as call:
                    call.set_inputs({"messages": [{"role": "user", "content": "Hello"}], "model": "gpt-4o"})
                    call.set_outputs({"choices": [{"message": {"role": "assistant", "content": "Hi"}}]})
                    call.set_attribute("gen_ai.request.model", "gpt-4o")
                    call.set_usage(TokenUsage(10, 5, 15, cache_read_tokens=3))
                with al.start_span("find", SpanType.RETRIEVER, inputs={"query": "q"}) as found:
                    found.set_outputs({"documents": [{"id": "1", "content": "text"}]})
                with pytest.raises(KeyError), al.start_span("tool", SpanType.TOOL, inputs={"x": 1}):
                    raise KeyError("no")
                root.set_outputs("done")
        assert sender.flush()
        stop()
        [there], [here] = traces(client), traces(sender)

    assert forest(client) == forest(sender)
    for theirs, ours in zip(there.spans, here.spans, strict=True):
        for name in ("trace_id", "span_id", "parent_id", "name", "span_type", "start_time_ns", "end_time_ns", "status"):
            assert getattr(theirs, name) == getattr(ours, name)
        assert (theirs.usage, theirs.cost, theirs.events) == (ours.usage, ours.cost, ours.events)
    assert [span.inputs for span in there.spans if span.span_type is not SpanType.CHAT_MODEL] == [
        span.inputs for span in here.spans if span.span_type is not SpanType.CHAT_MODEL
    ]
    assert [span.outputs for span in there.spans[2:]] == [span.outputs for span in here.spans[2:]]
    assert there.spans[1].inputs["messages"] == [{"role": "user", "content": "Hello"}]
    for name in ("session", "user", "tags", "metadata", "experiment", "usage", "cost", "state", "span_count", "error"):
        assert getattr(there.info, name) == getattr(here.info, name)


# --- both forms ------------------------------------------------------------------------------------------


def as_protobuf(body):
    """Make the same request in protobuf."""

    def in_base64(value):
        if isinstance(value, dict):
            return {
                key: base64.b64encode(bytes.fromhex(item)).decode()
                if key in ("traceId", "spanId", "parentSpanId")
                else in_base64(item)
                for key, item in value.items()
            }
        return [in_base64(item) for item in value] if isinstance(value, list) else value

    return ParseDict(in_base64(body), ExportTraceServiceRequest()).SerializeToString(), in_base64(body)


RICH = request(
    span(1, name="root", attributes={"a": 1, "b": 2.5, "c": True, "d": [1, 2], "e": {"f": "g"}}, traceState="x=y"),
    span(
        2,
        1,
        attributes={"openinference.span.kind": "LLM", "llm.token_count.prompt": 7, "llm.model_name": "m"},
        events=[{"timeUnixNano": str(NOW + 5), "name": "first", "attributes": attributes({"k": "v"})}],
        links=[{"traceId": "a" * 32, "spanId": "b" * 16, "attributes": attributes({"why": "batch"})}],
        status={"code": 2, "message": "broke"},
        flags=0x100,
        droppedAttributesCount=3,
    ),
    resource={"service.name": "s"},
    scope={"attributes": attributes({"team": "x"})},
)


def test_json_with_hex_or_base64_and_protobuf_store_the_same(client):
    protobuf, in_base64 = as_protobuf(RICH)
    enums = json.loads(
        json.dumps(RICH)
        .replace('"kind": 1', '"kind": "SPAN_KIND_INTERNAL"')
        .replace('"code": 2', '"code": "STATUS_CODE_ERROR"')
    )
    sent = [
        (json.dumps(RICH).encode(), JSON),
        (json.dumps(in_base64).encode(), JSON),
        (json.dumps(enums).encode(), JSON),
        (protobuf, PROTOBUF),
    ]
    stored = []
    for data, media_type in sent:
        with fresh_client() as own, TestClient(create_app(own), base_url="http://127.0.0.1:4321") as http:
            for content, more in ((data, {}), (gzip.compress(data), {"content-encoding": "gzip"})):
                answer = http.post("/v1/traces", content=content, headers={"content-type": media_type, **more})
                assert answer.status_code == 200, answer.text
                assert answer.headers["content-type"] == media_type
                assert answer.content == (b"{}" if media_type == JSON else b"")
            stored.append(traces(own))

    [trace] = stored[0]
    assert all(one == stored[0] for one in stored)
    root, call = trace.spans
    assert {name: root.get_attribute(name) for name in "abcde"} == {
        "a": 1,
        "b": 2.5,
        "c": True,
        "d": [1, 2],
        "e": {"f": "g"},
    }
    assert (call.span_type, call.usage, call.model) == (SpanType.CHAT_MODEL, TokenUsage(7), "m")
    assert (call.status.code, call.status.description) == (StatusCode.ERROR, "broke")
    assert [(event.name, event.timestamp_ns, event.attributes) for event in call.events] == [
        ("first", NOW + 5, {"k": "v"})
    ]
    assert [(link.trace_id, link.span_id, link.attributes) for link in call.links] == [
        ("a" * 32, "b" * 16, {"why": "batch"})
    ]
    assert call.get_attribute("otel.scope.team") == "x"
    assert call.get_attribute("otel.dropped_attributes_count") == 3
    assert root.get_attribute("service.name") == "s"


# --- any order, more than once ---------------------------------------------------------------------------

NESTED = (
    span(1, took=9_000, name="root"),
    span(2, 1, start=1, took=8_000, attributes={"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 1, "autolog.cost.total": 0.5}),
    span(3, 2, start=2, took=7_000),
    span(4, 3, start=3, took=6_000, attributes={"gen_ai.usage.input_tokens": 4, "gen_ai.usage.output_tokens": 1, "autolog.cost.total": 0.25}),
    span(5, 1, start=4, took=1_000, attributes={"gen_ai.usage.input_tokens": 100, "gen_ai.usage.cache_read.input_tokens": 60, "autolog.cost.total": 2.0}),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.permutations(range(5)),
    st.lists(st.integers(0, 4), max_size=3),
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
)
def test_in_any_order_split_anyhow_and_sent_again_a_trace_is_the_same(order, again, cuts):
    expected = stored_at_once()
    sent = [NESTED[place] for place in [*order, *again]]
    with fresh_client() as client, TestClient(create_app(client), base_url="http://127.0.0.1:4321") as http:
        sizes = itertools.cycle(cuts)
        while sent:
            size = next(sizes)
            store(http, *sent[:size])
            sent = sent[size:]
        [trace] = traces(client)

    assert trace == expected


def stored_at_once():
    with fresh_client() as client, TestClient(create_app(client), base_url="http://127.0.0.1:4321") as http:
        store(http, *NESTED)
        [trace] = traces(client)
    assert trace.usage == TokenUsage(110, 1, 11, cache_read_tokens=60)
    assert trace.cost.total == 2.5
    assert (trace.name, trace.state, trace.info.span_count) == ("root", TraceState.OK, 5)
    return trace


def test_a_trace_runs_until_its_root_has_come(http, client):
    store(http, span(2, 1, flags=0x100))
    [running] = traces(client)
    store(http, span(1))
    [ended] = traces(client)

    assert (running.state, ended.state) == (TraceState.IN_PROGRESS, TraceState.OK)


@pytest.mark.parametrize("entry", [{"flags": 0x300}, {"kind": 2}])
def test_a_trace_whose_root_is_elsewhere_ends_with_its_first_step_here(http, client, entry):
    store(http, span(2, 1, name="GET /", **entry), span(3, 2))
    [trace] = traces(client)

    assert (trace.name, trace.state) == ("GET /", TraceState.OK)


def test_a_span_that_has_not_ended_runs(http, client):
    store(http, span(1) | {"endTimeUnixNano": "0"})
    [running] = traces(client)
    store(http, span(1, attributes={"gen_ai.usage.input_tokens": 3}))
    [ended] = traces(client)

    assert (running.state, running.spans[0].end_time_ns) == (TraceState.IN_PROGRESS, None)
    assert (ended.state, ended.usage.input_tokens) == (TraceState.OK, 3)


# --- experiments -----------------------------------------------------------------------------------------


def test_the_experiment_is_that_of_the_header_the_resource_or_the_server(client):
    with fresh_client(experiment="of the server") as own:
        with TestClient(create_app(own), base_url="http://127.0.0.1:4321") as http:
            store(http, span(1, trace=1), resource={"service.name": "shop"})
            store(
                http,
                span(1, trace=2),
                resource={"autolog.experiment": "by attribute", "openinference.project.name": "x"},
            )
            store(http, span(1, trace=3), resource={"openinference.project.name": "by project"})
            post(
                http,
                request(span(1, trace=4), resource={"autolog.experiment": "x"}),
                **{"x-autolog-experiment": "by header"},
            )
        found = {int(trace.trace_id, 16): trace.info.experiment for trace in traces(own)}

    assert found == {1: "of the server", 2: "by attribute", 3: "by project", 4: "by header"}


def test_what_comes_late_leaves_the_experiment_as_it_is(http, client):
    store(http, span(1, attributes={"autolog.experiment": "mine"}))
    store(http, span(2, 1))

    assert traces(client)[0].info.experiment == "mine"


# --- what the server withholds ---------------------------------------------------------------------------


def test_the_settings_of_the_server_hold(client):
    def forget(one):
        if one.name == "secret":
            one.drop()

    with fresh_client(capture_content=False, capture_user=False) as own:
        own.configure(span_processors=[forget])
        with TestClient(create_app(own), base_url="http://127.0.0.1:4321") as http:
            store(
                http,
                span(1, attributes={"input.value": "words", "user.id": "ada", "openinference.span.kind": "TOOL"}),
                span(2, 1, name="secret"),
            )
        [trace] = traces(own)

    [root] = trace.spans
    assert (root.span_type, root.inputs, trace.info.user, root.get_attribute("user.id")) == (
        SpanType.TOOL,
        None,
        None,
        None,
    )


def test_a_root_that_is_dropped_leaves_its_trace_an_end(client):
    with fresh_client() as own:
        own.configure(span_processors=[lambda one: one.drop() if one.name == "root" else None])
        with TestClient(create_app(own), base_url="http://127.0.0.1:4321") as http:
            store(http, span(2, 1, flags=0x100))
            store(http, span(1, name="root", attributes={"words": "secret"}))
            store(http, span(1, name="root", trace=2))
        [trace] = traces(own)

    assert (trace.state, trace.name) == (TraceState.OK, "[withheld]")
    assert "secret" not in str(trace.to_dict())


def test_a_processor_that_fails_leaves_figures_and_is_counted(client):
    with fresh_client() as own:
        own.configure(span_processors=[lambda one: 1 / 0])
        with TestClient(create_app(own), base_url="http://127.0.0.1:4321") as http:
            store(http, span(1, attributes={"gen_ai.usage.input_tokens": 3}))
        [trace] = traces(own)
        assert own.stats().processor_errors == 1

    assert (trace.name, trace.usage) == ("[withheld]", TokenUsage(3))


def test_keys_in_headers_and_urls_are_not_kept(http, client):
    store(
        http,
        span(
            1,
            attributes={
                "http.request.header.authorization": ["Bearer abcdefghijkl"],
                "url.full": "http://x/?api_key=abcdefgh",
            },
        ),
    )

    assert "abcdefgh" not in str(traces(client)[0].to_dict())


# --- what can't be stored --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"traceId": "0" * 32}, "a trace id has 16 bytes, not all zero"),
        ({"traceId": "ab"}, "a trace id has 16 bytes"),
        ({"traceId": None}, "a trace id has 16 bytes"),
        ({"spanId": "0" * 16}, "a span id has 8 bytes"),
        ({"spanId": "g" * 16}, "a span id has 8 bytes"),
        ({"parentSpanId": "abc"}, "a parent's id has 8 bytes or none"),
        ({"startTimeUnixNano": "0", "endTimeUnixNano": 0}, "it has no times"),
        ({"startTimeUnixNano": str(2**64 - 1)}, "its times are not in nanoseconds"),
        ({"endTimeUnixNano": -5}, "its times are not in nanoseconds"),
    ],
)
def test_a_span_that_can_not_be_is_refused_and_the_others_stored(http, client, wrong, why):
    answer = post(http, request(span(1), span(2, 1, name="bad") | wrong))

    assert answer.status_code == 200
    told = answer.json()["partialSuccess"]
    assert told["rejectedSpans"] == "1"
    assert told["errorMessage"].startswith(f"span 'bad': {why}")
    assert [one.name for one in traces(client)[0].spans] == ["span 1"]


def test_the_same_is_told_in_protobuf(http, client):
    body, _ = as_protobuf(request(span(1), span(2) | {"spanId": "0" * 16}))
    answer = http.post("/v1/traces", content=body, headers={"content-type": PROTOBUF})

    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, told.rejected_spans) == (200, 1)
    assert told.error_message.startswith("span 'span 2': a span id has 8 bytes, not all zero")


def test_a_link_without_ids_is_left_out_and_told(http, client):
    answer = post(http, request(span(1, links=[{"traceId": "ab", "spanId": "b" * 16}])))

    assert answer.json() == {
        "partialSuccess": {
            "rejectedSpans": "0",
            "errorMessage": "a link of span 'span 1' has no valid ids and was left out",
        }
    }
    assert traces(client)[0].spans[0].links == ()


@pytest.mark.parametrize(
    ("content", "headers", "status", "said"),
    [
        (b"{", {"content-type": JSON}, 400, "no ExportTraceServiceRequest in JSON"),
        (b'{"resourceSpans": 5}', {"content-type": JSON}, 400, "no ExportTraceServiceRequest in JSON"),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"scope": {"name": "\xff"}}]}]}',
            {"content-type": JSON},
            400,
            "no ExportTraceServiceRequest in JSON",
        ),
        (b"[" * 5_000, {"content-type": JSON}, 400, "no ExportTraceServiceRequest in JSON"),
        (b"hello", {"content-type": PROTOBUF}, 400, "no ExportTraceServiceRequest in protobuf"),
        (b"{}", {"content-type": "text/plain"}, 415, "OTLP comes as application/x-protobuf or application/json"),
        (b"{}", {}, 415, "OTLP comes as"),
        (b"{}", {"content-type": JSON, "content-encoding": "br"}, 415, "Content-Encoding 'br' is not known"),
        (b"{}", {"content-type": JSON, "content-encoding": "gzip"}, 400, "not what its Content-Encoding, gzip, says"),
        (gzip.compress(b"{}", mtime=0)[:-9], {"content-type": JSON, "content-encoding": "gzip"}, 400, "ends too early"),
    ],
)
def test_a_request_that_is_none_is_refused_in_its_own_form(http, client, content, headers, status, said):
    answer = http.post("/v1/traces", content=content, headers=headers)

    assert answer.status_code == status
    assert said in (answer.text if headers.get("content-type") == PROTOBUF else answer.json()["message"])
    assert traces(client) == []


def test_a_body_that_is_not_utf_8_is_refused_in_protobuf(http, client):
    body, _ = as_protobuf(request(span(1, name="abcdefgh")))
    answer = http.post(
        "/v1/traces", content=body.replace(b"abcdefgh", b"abc\xff\xfegh"), headers={"content-type": PROTOBUF}
    )

    assert answer.status_code == 400


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF])
def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked(http, client, monkeypatch, media_type):
    from autolog.server import bodies

    monkeypatch.setattr(bodies, "MOST_EXPANDED", 1_000_000)
    answer = http.post(
        "/v1/traces",
        content=gzip.compress(b" " * 50_000_000),
        headers={"content-type": media_type, "content-encoding": "gzip"},
    )
    assert answer.status_code == 413

    monkeypatch.setattr(bodies, "MOST_SENT", 1_000)
    answer = http.post("/v1/traces", content=b" " * 2_000, headers={"content-type": media_type})
    assert answer.status_code == 413


def test_a_store_that_can_not_be_written_is_told_to_try_again(tmp_path):
    with fresh_client(str(tmp_path)) as own:  # a folder is no database
        with TestClient(create_app(own), base_url="http://127.0.0.1:4321") as http:
            answer = post(http, request(span(1)))

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


def test_figures_that_can_not_be_do_not_spoil_the_totals(http, client):
    store(
        http,
        span(
            1,
            attributes={
                "gen_ai.usage.input_tokens": 2**62,
                "gen_ai.usage.output_tokens": 2**62,
                "autolog.cost.total": 1e300,
            },
        ),
    )
    store(http, span(2, 1, attributes={"gen_ai.usage.input_tokens": 3}))

    assert traces(client)[0].usage == TokenUsage(3)


# --- bytes of any kind -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared_http():
    with fresh_client() as client, TestClient(create_app(client), base_url="http://127.0.0.1:4321") as http:
        yield http


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "resourceSpans", "scopeSpans", "spans", "traceId", "spanId", "name", "kind", "attributes", "key", "value", "stringValue",
        "intValue", "doubleValue", "arrayValue", "kvlistValue", "bytesValue", "values", "events", "links", "status", "code",
        "startTimeUnixNano", "endTimeUnixNano", "timeUnixNano", "flags", "resource", "scope", "parentSpanId",
    ]), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_json_of_any_kind_is_stored_or_refused(shared_http, data):
    body = json.loads(json.dumps(RICH))
    for _ in range(data.draw(st.integers(1, 3))):
        place = body
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if not isinstance(place[key], (dict, list)) or data.draw(st.integers(0, 4)) == 0:
                place[key] = data.draw(VALUES)
                break
            place = place[key]
    answer = shared_http.post("/v1/traces", content=json.dumps(body), headers={"content-type": JSON})

    assert answer.status_code in (200, 400), answer.text


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(), st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6)), min_size=1, max_size=5), st.floats(0, 1)
)
def test_protobuf_of_any_kind_is_stored_or_refused(shared_http, seed, changes, end):
    content = bytearray(RICH_PROTOBUF)
    for at, put in changes:
        place = int(at * len(content))
        content[place : place + random.Random(seed).randrange(8)] = put
    cut = bytes(content[: int(end * len(content)) if seed % 3 == 0 else None])
    answer = shared_http.post("/v1/traces", content=cut, headers={"content-type": PROTOBUF})

    assert answer.status_code in (200, 400), answer.text


RICH_PROTOBUF = as_protobuf(RICH)[0]
