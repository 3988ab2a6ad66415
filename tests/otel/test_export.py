"""What is recorded arrives at real receivers by OTLP, whole, once, and however they behave."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager
from importlib.metadata import version

import pytest
from packaging.version import Version

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

import autolog as al
from autolog import InvalidSetting, SpanType, StoreError, Unavailable
from autolog.testing import fresh_client, spans
from tests.fakes.otlp_receiver import attributes, grpc_receiver, http_receiver, reject

STANDARD = (
    "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_COMPRESSION",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in STANDARD:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["http/protobuf", "grpc"])
def protocol(request):
    if request.param == "grpc":
        pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc")
    return request.param


@pytest.fixture
def receiver(protocol):
    with http_receiver() if protocol == "http/protobuf" else grpc_receiver() as receiver:
        yield receiver


@pytest.fixture
def http():
    with http_receiver() as receiver:
        yield receiver


def record_run():
    """A small agent: a retriever, a model that calls a tool, the tool, a failing step."""
    with al.context(session_id="s1", user="u1", tags={"stage": "test"}, metadata={"ticket": "42"}):
        with al.start_span("agent", SpanType.AGENT, inputs={"messages": [{"role": "user", "content": "Hi"}]}) as agent:
            with al.start_span("search", SpanType.RETRIEVER, inputs={"query": "what"}) as search:
                search.set_outputs({"documents": [{"id": "d1", "content": "text", "score": 0.5, "metadata": {"p": 1}}]})
            with al.start_span("chat m", SpanType.CHAT_MODEL) as chat:
                chat.set_inputs({"messages": [{"role": "user", "content": "Hi"}]})
                call = {"id": "c1", "name": "weather", "arguments": {"city": "Rome"}}
                chat.set_outputs({"role": "assistant", "content": "", "tool_calls": [call]})
                chat.set_attributes({"gen_ai.request.model": "m", "gen_ai.provider.name": "openai"})
                chat.set_usage(al.TokenUsage(10, 5, 15, cache_read_tokens=4))
                chat.set_cost(al.Cost(0.1, 0.2, 0.3))
            with al.start_span("weather", SpanType.TOOL, inputs={"city": "Rome"}) as tool:
                tool.set_outputs("sunny")
            try:
                with al.start_span("fails"):
                    raise ValueError("no")
            except ValueError:
                pass
            agent.set_outputs({"content": "It is sunny"})
            agent.add_event("thought", {"words": 3, "list": [1, 2], "nested": {"a": None}})
    return agent


def is_whole(receiver):
    return len(receiver.spans()) == 5


def sent(client):
    [stats] = client.stats().exported.values()
    return stats


# --- what arrives --------------------------------------------------------------------------------------------


def assert_run(receiver, client, agent):
    """What arrived is what is stored: the tree, ids, times, status, events, attributes."""
    assert receiver.tree() == "agent\n  search\n  chat m\n  weather\n  fails"
    for stored in spans(client):
        arrived = receiver.the(stored.name)
        assert arrived.trace_id.hex() == stored.trace_id
        assert arrived.span_id.hex() == stored.span_id
        assert arrived.parent_span_id.hex() == (stored.parent_id or "")
        assert arrived.start_time_unix_nano == stored.start_time_ns
        assert arrived.end_time_unix_nano == stored.end_time_ns
        assert attributes(arrived)["autolog.span.type"] == str(stored.span_type)
        assert attributes(arrived)["session.id"] == "s1"
    told = attributes(receiver.the("chat m"))
    assert (told["gen_ai.operation.name"], told["gen_ai.request.model"]) == ("chat", "m")
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (10, 5)
    assert told["autolog.cost.total"] == 0.3
    assert receiver.the("chat m").kind == 3  # client
    root = attributes(receiver.the("agent"))
    assert (root["autolog.trace.tags"], root["autolog.trace.metadata"]) == ('{"stage":"test"}', '{"ticket":"42"}')
    assert "autolog.trace.tags" not in told
    [event] = receiver.the("agent").events
    assert (event.name, attributes(event)) == ("thought", {"words": 3, "list": [1, 2], "nested": '{"a":null}'})
    failed = receiver.the("fails")
    assert (failed.status.code, failed.status.message) == (2, "ValueError: no")
    assert attributes(failed)["error.type"] == "ValueError"
    assert attributes(failed.events[0])["exception.type"] == "ValueError"
    assert receiver.the("agent").status.code == 1


def test_a_run_arrives_as_it_is_stored(client, receiver, protocol):
    al.export_otlp(receiver.endpoint, protocol=protocol, headers={"x-team": "a"})
    agent = record_run()
    assert al.flush()

    assert_run(receiver, client, agent)
    assert (sent(client).sent, sent(client).waiting, sent(client).dropped) == (5, 0, {})
    assert all(headers["x-team"] == "a" for headers in receiver.headers)


ROTEL = shutil.which("rotel") or os.path.join(os.path.dirname(sys.modules["autolog"].__file__), "none")


@contextmanager
def rotel(forward_to):
    """OpenTelemetry's collector written in Rust, which sends on what it gets; yield its ports of HTTP and gRPC."""
    agent = os.path.join(os.path.dirname(pytest.importorskip("rotel").__file__), "rotel-agent")
    http_port, grpc_port = free_port(), free_port()
    command = [
        agent, "start", "--otlp-http-endpoint", f"127.0.0.1:{http_port}", "--otlp-grpc-endpoint",
        f"127.0.0.1:{grpc_port}", "--exporter", "otlp", "--otlp-exporter-protocol", "http",
        "--otlp-exporter-endpoint", forward_to, "--otlp-exporter-compression", "none", "--batch-timeout", "50ms",
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ROTEL_", "OTEL_"))}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for port in (http_port, grpc_port):
            wait_for_port(port, process)
        yield http_port, grpc_port
    finally:
        process.terminate()
        process.wait(30)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_for_port(port, process):
    for _ in range(600):
        assert process.poll() is None, "rotel ended"
        with socket.socket() as attempt:
            attempt.settimeout(1)
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        threading.Event().wait(0.05)
    raise AssertionError("rotel does not listen")


def test_a_run_goes_through_a_real_collector(client, protocol, http):
    with rotel(http.endpoint) as (http_port, grpc_port):
        port = http_port if protocol == "http/protobuf" else grpc_port
        al.export_otlp(f"http://127.0.0.1:{port}", protocol=protocol)
        agent = record_run()
        assert al.flush()
        http.wait_for(is_whole)

    assert_run(http, client, agent)
    assert sent(client).sent == 5


def test_the_resource_is_that_of_the_standard_variables(client, http, monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    al.export_otlp(http.endpoint)
    record_run()
    al.flush()

    told = http.resource()
    assert (told["service.name"], told["deployment.environment.name"]) == ("shop", "test")
    assert told["telemetry.sdk.language"] == "python"
    assert http.requests[0].resource_spans[0].scope_spans[0].scope.name == "autolog"


def test_openinference_is_spoken_where_that_is_asked_for(client, http):
    al.export_otlp(http.endpoint, conventions="openinference")
    record_run()
    al.flush()

    told = attributes(http.the("chat m"))
    assert (told["openinference.span.kind"], told["llm.model_name"]) == ("LLM", "m")
    assert told["llm.output_messages.0.message.tool_calls.0.tool_call.function.name"] == "weather"
    assert told["llm.token_count.prompt_details.cache_read"] == 4
    assert told["llm.cost.total"] == 0.3
    root = attributes(http.the("agent"))
    assert (root["session.id"], root["user.id"], root["tag.tags"]) == ("s1", "u1", ["stage:test"])
    assert attributes(http.the("search"))["retrieval.documents.0.document.content"] == "text"


def test_hostile_values_are_sent_as_what_the_protocol_has(client, http):
    al.export_otlp(http.endpoint)
    with al.start_span("odd", SpanType.CHAT_MODEL) as span:
        span.set_inputs({"messages": [{"role": "user", "content": "lone \ud800 surrogate"}], "n": float("nan")})
        span.set_attributes(
            {"big": 2**70, "small": -(2**63), "bytes": b"\xff", "mixed": [1, "a", None], "deep": {"a": {"b": [1]}},
             "empty": [], "surrogate": "\udc00", "nothing": None, "nan": float("nan"), "flags": [True, False]}
        )  # fmt: skip
    assert al.flush()

    told = attributes(http.the("odd"))
    assert (told["big"], told["small"], told["flags"]) == (str(2**70), -(2**63), [True, False])
    assert (told["mixed"], told["deep"]) == ('[1,"a",null]', '{"a":{"b":[1]}}')
    assert "lone \ufffd surrogate" in told["gen_ai.input.messages"]
    assert not {"empty", "nothing"} & told.keys()
    assert sent(client).dropped == {}


def test_media_are_sent_as_what_they_are_and_not_whole(client, http):
    al.export_otlp(http.endpoint)
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    with al.start_span("see", SpanType.CHAT_MODEL, inputs={"messages": [{"role": "user", "content": [picture]}]}):
        pass
    al.flush()

    told = attributes(http.the("see"))["gen_ai.input.messages"]
    assert len(told) < 1_000
    assert "sha256" in told


def test_a_call_that_two_libraries_tell_of_has_its_tokens_once(client, http):
    al.export_otlp(http.endpoint)
    call = client.tracer.start_step("ChatModel", SpanType.CHAT_MODEL)
    call.is_framework_call = True
    with call, client.tracer.start_sdk_call("chat m", SpanType.CHAT_MODEL) as same:
        same.set_usage(al.TokenUsage(10, 5, 15))
    al.flush()

    assert attributes(http.the("ChatModel"))["gen_ai.usage.input_tokens"] == 10
    told = attributes(http.the("chat m"))
    assert "gen_ai.usage.input_tokens" not in told
    assert told["autolog.duplicate_of"] == http.the("ChatModel").span_id.hex()


def test_a_cancelled_span_is_an_error_that_says_so(client, http):
    al.export_otlp(http.endpoint)
    span = al.start_span("stopped")
    span.set_status("CANCELLED")
    span.end()
    al.flush()

    arrived = http.the("stopped")
    assert (arrived.status.code, arrived.status.message) == (2, "cancelled")
    assert attributes(arrived)["autolog.status"] == "CANCELLED"


def test_a_parent_in_another_process_stays_the_parent(client, http):
    from opentelemetry import trace as otel

    al.export_otlp(http.endpoint)
    remote = otel.NonRecordingSpan(otel.SpanContext(0xABC, 0xDEF, True, otel.TraceFlags(1)))
    with otel.use_span(remote):
        al.start_span("ours").end()
    al.flush()

    arrived = http.the("ours")
    assert (arrived.trace_id.hex(), arrived.parent_span_id.hex()) == (f"{0xABC:032x}", f"{0xDEF:016x}")
    assert arrived.flags & 0x300 == 0x300  # it is known that the parent is remote, and that it is


def test_nothing_is_sent_that_is_not_stored():
    with http_receiver() as http, fresh_client(capture_content=False) as client:
        client.export_otlp(http.endpoint)
        record_run()
        client.flush()
        told = str([attributes(span) for span in http.spans()])
        assert "Hi" not in told
        assert "sunny" not in told
        assert attributes(http.the("chat m"))["gen_ai.usage.input_tokens"] == 10


def test_spans_that_were_taken_in_are_sent_on_as_they_were_or_left_out(client, http):
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import SpanKind

    provider = TracerProvider(shutdown_on_exit=False)
    al.collect_otel(provider)
    stop = al.export_otlp(http.endpoint)
    tracer = provider.get_tracer("other", "1.0")
    with tracer.start_as_current_span("GET /", kind=SpanKind.SERVER, attributes={"http.route": "/"}):
        al.start_span("ours").end()
    al.flush()
    assert http.tree() == "GET /\n  ours"
    arrived = http.the("GET /")
    assert arrived.kind == 2  # server
    assert attributes(arrived)["http.route"] == "/"
    scopes = [scope.scope for request in http.requests for scope in request.resource_spans[0].scope_spans]
    assert ("other", "1.0") in [(scope.name, scope.version) for scope in scopes]
    stop()

    al.export_otlp(http.endpoint, collected=False)
    with tracer.start_as_current_span("left out"):
        al.start_span("ours again").end()
    al.flush()
    assert [span.name for span in http.spans()] == ["GET /", "ours", "ours again"]


# --- how it is turned on -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "AUTOLOG_OTLP_ENDPOINT"]
)
def test_a_variable_turns_it_on(http, monkeypatch, name):
    monkeypatch.setenv(name, http.endpoint + ("/v1/traces" if "TRACES" in name else ""))
    with fresh_client() as client:
        record_run()
        assert client.flush()
        assert is_whole(http)
        assert http.headers[0]["path"] == "/v1/traces"


def test_our_variable_goes_before_the_standard_ones_and_takes_what_they_add(http, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("AUTOLOG_OTLP_ENDPOINT", http.endpoint)
    monkeypatch.setenv("AUTOLOG_OTLP_CONVENTIONS", "openinference")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=a")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    with fresh_client() as client:
        record_run()
        assert client.flush()
    assert (http.headers[0]["x-team"], http.headers[0]["content-encoding"]) == ("a", "gzip")
    assert "openinference.span.kind" in attributes(http.the("agent"))


def test_the_standard_protocol_holds(monkeypatch):
    pytest.importorskip("grpc")
    with grpc_receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=a")
        with fresh_client() as client:
            record_run()
            assert client.flush()
        assert is_whole(receiver)
        assert receiver.headers[0]["x-team"] == "a"


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_EXPORTER": "console"},
        {"AUTOLOG_OTLP_ENDPOINT": "none"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
    ],
    ids=str,
)
def test_a_variable_turns_it_off(http, monkeypatch, variables):
    for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": http.endpoint, **variables}.items():
        monkeypatch.setenv(name, value)
    with fresh_client() as client:
        record_run()
        assert client.flush()
        assert client.stats().exported == {}
    assert http.attempts == 0


def test_instead_of_the_store(http):
    with fresh_client("none:") as client:
        client.export_otlp(http.endpoint)
        agent = record_run()
        assert client.flush()
        assert is_whole(http)
        with pytest.raises(StoreError, match="none:"):
            client.get_trace(agent.trace_id)
        with pytest.raises(StoreError, match="set_store"):
            client.search_traces()


def test_saying_it_again_replaces_what_was_said_and_it_can_be_stopped(client, http):
    al.export_otlp(http.endpoint)
    stop = al.export_otlp(http.endpoint, conventions="openinference")
    al.start_span("one").end()
    stop()
    al.start_span("two").end()
    al.flush()

    assert [span.name for span in http.spans()] == ["one"]
    assert "openinference.span.kind" in attributes(http.the("one"))
    assert client.stats().exported == {}


def test_two_places_both_get_everything(client, http):
    with http_receiver() as second:
        al.export_otlp(http.endpoint)
        al.export_otlp(second.endpoint, conventions="openinference")
        record_run()
        assert al.flush()
        assert is_whole(http)
        assert is_whole(second)


def test_what_can_not_be_is_refused(client):
    with pytest.raises(InvalidSetting, match="http/protobuf"):
        al.export_otlp(protocol="http/json")
    with pytest.raises(InvalidSetting, match="openinference"):
        al.export_otlp(conventions="mine")


def test_without_the_exporters_it_is_said_what_to_install(client, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)
    monkeypatch.delitem(sys.modules, "autolog.otel.export", raising=False)
    monkeypatch.delitem(sys.modules, "autolog.otel.processor", raising=False)
    with pytest.raises(Unavailable, match=r"autolog-tracing\[otel\]"):
        al.export_otlp("http://127.0.0.1:1")


# --- receivers that fail -------------------------------------------------------------------------------------


# Before, the SDK's exporter waits as long as it likes, and for nobody.
hears_receivers = pytest.mark.skipif(
    Version(version("opentelemetry-sdk")) < Version("1.40"),
    reason="this version of the SDK does not do what it is told to wait for",
)


@hears_receivers
@pytest.mark.parametrize("status", [(429, {"retry-after": "0"}), (503, {"retry-after": "0"}), (502, {}), 504])
def test_what_passes_is_tried_again(client, http, status):
    http.script(status)
    al.export_otlp(http.endpoint)
    record_run()
    assert al.flush()
    assert is_whole(http)
    assert sent(client).dropped == {}


@hears_receivers
def test_a_receiver_that_asks_to_wait_for_long_is_asked_again_when_flushed(client, http, caplog):
    http.script((503, {"retry-after": "3600"}))
    al.export_otlp(http.endpoint)
    record_run()
    assert not al.flush()
    stats = sent(client)
    assert (stats.sent, stats.waiting, stats.errors, stats.last_error) == (0, 5, 1, "HTTP 503.")
    assert al.flush()
    assert is_whole(http)
    assert sent(client).sent == 5
    # Said once, by us; the SDK's own words for the same are kept out of the log.
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == ["autolog", "autolog"]


@pytest.mark.parametrize("status", [400, 401, 404, 413])
def test_what_is_refused_for_good_is_dropped_and_counted(client, http, status):
    http.script(status)
    al.export_otlp(http.endpoint)
    record_run()
    assert al.flush()
    record_run()
    assert al.flush()
    stats = sent(client)
    assert (stats.sent, stats.dropped, stats.last_error) == (5, {"refused": 5}, f"HTTP {status}.")
    assert len(spans(client)) == 10


def test_spans_that_a_receiver_rejects_are_counted(client, http):
    http.script(reject(2))
    al.export_otlp(http.endpoint)
    record_run()
    assert al.flush()
    assert (sent(client).sent, sent(client).dropped) == (3, {"refused": 2})


def test_nobody_there_costs_the_program_and_the_store_nothing(client, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    port = free_port()
    al.export_otlp(f"http://127.0.0.1:{port}")
    record_run()
    assert len(spans(client)) == 5  # reading waits for the store only
    assert not al.flush()
    assert (sent(client).sent, sent(client).waiting, sent(client).dropped) == (0, 5, {})
    assert "refused" in sent(client).last_error


def test_grpc_that_is_unavailable_or_refuses(client):
    grpc = pytest.importorskip("grpc")
    with grpc_receiver() as receiver:
        receiver.script(grpc.StatusCode.INVALID_ARGUMENT)
        al.export_otlp(receiver.endpoint, protocol="grpc")
        record_run()
        assert al.flush()
        assert sent(client).dropped == {"refused": 5}
        receiver.script(grpc.StatusCode.UNAVAILABLE)
        record_run()
        assert al.flush()
        assert (sent(client).sent, len(receiver.spans())) == (5, 5)


def test_a_slow_receiver_holds_up_neither_the_program_nor_the_store(client, http):
    http.gate = threading.Event()
    al.export_otlp(http.endpoint)
    record_run()
    client._pipeline.flush()
    http.wait_for(lambda receiver: receiver.attempts == 1)
    record_run()
    assert len(spans(client)) == 10
    assert sent(client).sent == 0
    http.gate.set()
    assert al.flush()
    assert sent(client).sent == 10


def test_a_full_queue_drops_the_newest_and_counts_them(http):
    http.gate = threading.Event()
    with fresh_client(queue_spans=100) as client:
        client.export_otlp(http.endpoint)
        client.tracer.start_span("first").end()
        client._pipeline.flush()
        http.wait_for(lambda receiver: receiver.attempts == 1)
        for start in range(0, 300, 50):
            for number in range(start, start + 50):
                client.tracer.start_span(f"{number}").end()
            client._pipeline.flush()
        assert sent(client).dropped == {"queue_full": 201}
        http.gate.set()
        assert client.flush()
        assert sent(client).sent == 100
        assert len(spans(client)) == 301


def test_payloads_that_wait_are_bounded_too(http):
    http.gate = threading.Event()
    with fresh_client(queue_bytes=100_000) as client:
        client.export_otlp(http.endpoint)
        for _ in range(20):
            client.tracer.start_span("large", inputs="x" * 10_000).end()
        client._pipeline.flush()
        assert sent(client).dropped["queue_full"] + sent(client).waiting == 20
        assert sent(client).waiting < 10
        http.gate.set()
        assert client.flush()


def test_a_certificate_that_is_not_trusted_keeps_the_spans_waiting(client, tmp_path, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with http_receiver(certificate=own_certificate(tmp_path)) as receiver:
        al.export_otlp(receiver.endpoint)
        record_run()
        assert not al.flush()
        assert "certificate" in sent(client).last_error.lower()
        assert sent(client).waiting == 5


def test_a_certificate_of_the_standard_variables_is_trusted(client, tmp_path, monkeypatch):
    certificate, key = own_certificate(tmp_path)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", certificate)
    with http_receiver(certificate=(certificate, key)) as receiver:
        al.export_otlp(receiver.endpoint)
        record_run()
        assert al.flush()
        assert is_whole(receiver)


def own_certificate(folder):
    certificate, key = str(folder / "certificate.pem"), str(folder / "key.pem")
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def test_a_store_that_fails_keeps_nothing_from_being_sent(client, http, monkeypatch):
    def broken(_):
        raise StoreError("disk full")

    al.export_otlp(http.endpoint)
    monkeypatch.setattr(client._store, "write", broken)
    record_run()
    assert not al.flush()
    record_run()
    assert not al.flush()
    monkeypatch.undo()
    assert al.flush()

    assert sent(client).sent == 10
    assert len({span.span_id for span in http.spans()}) == len(http.spans()) == 10
    assert len(spans(client)) == 10


def test_what_carries_the_spans_is_not_traced(client, http):
    requests = pytest.importorskip("requests")
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(shutdown_on_exit=False)
    al.collect_otel(provider)
    tracer = provider.get_tracer("http client")
    send = requests.Session.send

    def traced_send(self, *args, **kwargs):
        with tracer.start_as_current_span("POST"):
            return send(self, *args, **kwargs)

    requests.Session.send = traced_send
    try:
        al.export_otlp(http.endpoint)
        al.start_span("ours").end()
        assert al.flush()
    finally:
        requests.Session.send = send
    assert [span.name for span in spans(client)] == ["ours"]


# --- the end of the process ----------------------------------------------------------------------------------


def run(script, *, expect=0, **environment):
    program = "import os, sys, threading, time, autolog as al\nclient = al.Client('none:')\n" + textwrap.dedent(script)
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "ignore::DeprecationWarning", "-c", program],
        capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == expect, done.stderr
    assert "Exception ignored" not in done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


RECORD = "for n in range(1000): client.tracer.start_span(f'{n:04}').end()\n"


@pytest.mark.parametrize(("ending", "code"), [("", 0), ("sys.exit(3)", 3)])
def test_everything_is_sent_when_the_program_ends(receiver, protocol, ending, code):
    run(
        RECORD + ending, expect=code, AUTOLOG_OTLP_ENDPOINT=receiver.endpoint, AUTOLOG_OTLP_PROTOCOL=protocol,
        AUTOLOG_EXIT_TIMEOUT="60",
    )  # fmt: skip
    assert [span.name for span in receiver.spans()] == [f"{n:04}" for n in range(1000)]


def test_a_receiver_that_hangs_does_not_keep_the_program(http):
    http.gate = threading.Event()
    told = run(
        RECORD + "import atexit; atexit.register(lambda: None)\nprint('done')",
        AUTOLOG_OTLP_ENDPOINT=http.endpoint, AUTOLOG_EXIT_TIMEOUT="1",
    )  # fmt: skip
    assert told == "done\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_of_a_fork_sends_what_it_records_and_nothing_twice(http):
    script = """
    client.tracer.start_span("before").end()
    client.flush()
    child = os.fork()
    client.tracer.start_span("child" if child == 0 else "parent").end()
    client.flush(60)
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    """
    run(script, AUTOLOG_OTLP_ENDPOINT=http.endpoint)
    assert sorted(span.name for span in http.spans()) == ["before", "child", "parent"]


def test_a_killed_program_has_sent_what_it_had_flushed(http):
    script = "client.tracer.start_span('one').end()\nclient.flush(60)\nos.kill(os.getpid(), 9)"
    run(script, expect=-signal.SIGKILL, AUTOLOG_OTLP_ENDPOINT=http.endpoint)
    assert [span.name for span in http.spans()] == ["one"]
