"""A store that is a server's keeps, finds and says the same as one that is a file here."""

from __future__ import annotations

import importlib
import inspect
import json
import socket

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("urllib3")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import autolog as al
from autolog import (
    AutologError,
    Client,
    InvalidQuery,
    InvalidSetting,
    SpanType,
    StoreError,
    TokenUsage,
    Unavailable,
    wire,
)
from autolog.capture import Limits
from autolog.model.span import Link, SpanEvent
from autolog.model.trace import TraceState, count_once
from autolog.model.usage import Cost
from autolog.search.query import TraceQuery
from autolog.server.serve import serve
from autolog.settings import Settings
from autolog.stores.base import Store, open_store
from autolog.stores.remote import RemoteStore, connection
from autolog.stores.remote.calls import LOCAL, call_of, names
from autolog.testing import fresh_client, spans, traces
from autolog.tracer import Tracer
from tests.search import asked
from tests.serving import http_server, serving


@pytest.fixture(autouse=True)
def _spool(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOLOG_SPOOL", str(tmp_path / "spool"))


@pytest.fixture(scope="module")
def shared():
    """A server that the tests of this file share: its client, and its address."""
    with fresh_client() as server, serving(server) as address:
        yield server, address


@pytest.fixture
def server():
    """The client of a server."""
    with fresh_client() as server:
        yield server


@pytest.fixture
def client(server):
    """A client on the store of the server, which the functions of the package share for the test."""
    with serving(server) as address, fresh_client(address) as client:
        yield client


# --- as the other stores -------------------------------------------------------------------------------------


# Not the one that looks into the file, and those that change how the file is read.
_LOCALLY = ("test_traces_are_deleted_by_id_experiment_and_age",)


def _same(module):
    """Have the tests of a store that take a `client` run here too, with the one of this file."""
    for name, value in vars(importlib.import_module(module)).items():
        is_test = name.startswith("test_") and inspect.isfunction(value) and name not in _LOCALLY
        if (is_test and "client" in inspect.signature(value).parameters) or (
            name not in globals() and type(value).__name__ == "FixtureFunctionDefinition"
        ):
            globals()[name] = value


for _module in ("store", "assessments", "runs", "statistics", "sessions", "datasets"):
    _same(f"tests.test_{_module}")


# --- the same programs ---------------------------------------------------------------------------------------

TEXTS = st.text(max_size=20) | st.sampled_from(
    ["\ud800", "\0", "x" * 3_000, "data:image/png;base64," + "QUFB" * 50, "… [3 more characters cut]"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXTS | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
LABELS = st.dictionaries(TEXTS, TEXTS, max_size=2)
COUNTS = st.none() | st.integers(0, 10**6)
STEPS = st.fixed_dictionaries({
    "name": TEXTS,
    "kind": st.sampled_from(list(SpanType)),
    "parent": st.integers(0, 8),
    "inputs": VALUES,
    "outputs": VALUES,
    # Below max_payload together: of attributes above it the model is not known any more once they were sent.
    "attributes": st.dictionaries(TEXTS, TEXTS | st.integers(-(2**70), 2**70), max_size=2),
    "model": st.none() | st.text(max_size=9),
    "usage": st.none() | st.builds(TokenUsage, COUNTS, COUNTS, cache_read_tokens=COUNTS, seconds=st.none() | st.floats(0, 9), raw=st.none() | st.just({"a": 1})),
    "cost": st.none() | st.builds(Cost, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    "event": st.none() | st.builds(SpanEvent, st.text(max_size=9), st.integers(1, 10**9), st.dictionaries(TEXTS, VALUES, max_size=1)),
    "fails": st.booleans(),
    "ends": st.integers(0, 9),
    "at": st.integers(1, 10**12),
})  # fmt: skip
CONTEXTS = st.fixed_dictionaries({}, optional={
    "run": TEXTS, "session": TEXTS, "user": TEXTS, "tags": LABELS, "metadata": LABELS, "client_request_id": TEXTS,
    "request_preview": TEXTS, "response_preview": TEXTS, "state": st.sampled_from(TraceState), "version": TEXTS, "experiment": TEXTS,
})  # fmt: skip


def run(steps, contexts):
    """Return the spans of a program of these steps, each as the worker hands it to the store; some have not ended."""
    tracer = Tracer(lambda _: None, lambda _: None)
    spans = []
    for number, step in enumerate(steps):
        parent = spans[step["parent"]] if step["parent"] < len(spans) else None
        span = tracer.start_apart(step["name"], step["kind"], parent, inputs=step["inputs"], start_time_ns=step["at"])
        if parent is None:
            for name, value in contexts[number % len(contexts)].items():
                setattr(span.trace_context, name, value)
        span.set_outputs(step["outputs"])
        span.set_attributes({**step["attributes"], "gen_ai.request.model": step["model"]})
        span.set_usage(step["usage"])
        span.set_cost(step["cost"])
        span.set_events([step["event"]] if step["event"] else [])
        span.set_links([Link("a" * 32, "b" * 16, {"k": step["name"]})] if step["fails"] else [])
        if step["fails"]:
            span.record_exception(ValueError(step["name"]))
        spans.append(span)
    for span, step in reversed(list(zip(spans, steps, strict=True))):
        if step["ends"]:
            span.end(step["at"] + step["ends"] * 1_000)
            count_once(span)
    return spans


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=1, max_size=8), st.lists(CONTEXTS, min_size=1, max_size=2), st.data())
def test_a_trace_stored_by_the_server_equals_one_stored_here(
    shared, tmp_path_factory, monkeypatch, steps, contexts, data
):
    limits = Limits(max_string=2_000, max_payload=12_000, max_media=100)
    spans = run(steps, contexts)
    server, address = shared
    server._store.delete(None, None, None, 2**31)
    monkeypatch.setattr(server._store, "_limits", limits)
    here = open_store("memory:", limits)
    there = open_store(address, limits, Settings(spool=str(tmp_path_factory.getbasetemp() / "spool")))
    ended = [span for span in spans if span.end_time_ns is not None]
    batches = [spans, *(data.draw(st.permutations(ended))[place::3] for place in range(3))]
    for batch in batches if data.draw(st.booleans()) else reversed(batches):
        copies = [span.copy() for span in batch] if data.draw(st.booleans()) else batch
        here.write(copies)
        there.write(copies)
    assert there.flush(30)

    for trace_id in {span.trace_id for span in spans}:
        assert there.get_trace(trace_id) == here.get_trace(trace_id)
        assert there.get_outline(trace_id) == here.get_outline(trace_id)
    for span in spans:
        assert there.get_span(span.trace_id, span.span_id) == here.get_span(span.trace_id, span.span_id)
    assert there.cut == here.cut
    there.close()
    here.close()


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=1, max_size=8), st.lists(CONTEXTS, min_size=1, max_size=2), st.integers(1, 5_000))
def test_bodies_of_any_size_have_every_span(steps, contexts, most_bytes):
    spans = run(steps, contexts)
    bodies = list(wire.encode(spans, Limits(), most_bytes))
    read = [span for body in bodies for span in wire.decode(body.data)]

    assert [(span.trace_id, span.span_id) for span in read] == [(span.trace_id, span.span_id) for span in spans]
    assert read == spans
    assert sum(body.spans for body in bodies) == len(spans)


# --- searching -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found_alike():
    """A server's store that is filled with traces of all kinds, and the store that asks it."""
    from tests.search.test_filters import fill

    with fresh_client() as server, serving(server) as address:
        fill(server, 1, 60)
        there = open_store(address, Limits(), Settings(spool="none"))
        yield server._store, there
        there.close()


ORDERS = st.lists(
    st.sampled_from(["name", "duration DESC", "tokens", "cost DESC", "tags.`my key`", "timestamp", "session"]),
    max_size=3,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked.filters, ORDERS, st.integers(1, 20))
def test_a_search_finds_the_same_page_by_page(found_alike, node, order, most):
    here, there = found_alike
    token = None
    for _ in range(3):
        query = TraceQuery.build(asked.written(node), order_by=order, page_token=token, max_results=most)
        expected, found = here.search(query), there.search(query)
        assert (list(found), found.token) == (list(expected), expected.token)
        token = found.token
        if token is None:
            break


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked.filters, st.data())
def test_a_query_that_was_tampered_with_is_refused_or_answered(found_alike, node, data):
    _, there = found_alike
    form = call_of("search")
    told = json.loads(json.dumps(form.arguments_of([TraceQuery.build(asked.written(node))])))
    place = told["query"]
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], (dict, list)) or data.draw(st.booleans()):
            place[key] = data.draw(
                st.none() | st.integers(-5, 5) | st.text(max_size=3) | st.lists(st.none(), max_size=2)
                | st.sampled_from(["span", "trace", "inputs", "IN", "RLIKE", "(", 2**70, {}, True, "not", "any"])
            )  # fmt: skip
            break
        place = place[key]
    try:
        there._connection.call("api/store/search", told)
    except AutologError as error:
        assert isinstance(error, InvalidQuery), error


def test_every_method_of_a_store_can_be_asked_for():
    methods = {name for name, value in vars(Store).items() if inspect.isfunction(value) and not name.startswith("_")}

    assert {*names()} | LOCAL == methods
    assert all(map(call_of, names()))
    assert all(callable(getattr(RemoteStore, name)) for name in methods)


# --- what can go wrong ---------------------------------------------------------------------------------------


def test_a_server_is_not_its_own_store():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with fresh_client(f"http://localhost:{port}") as client, pytest.raises(InvalidSetting, match="this server"):
        serve(client, port=port)


def test_nobody_there_is_told_and_how_to_mend_it(tmp_path):
    with fresh_client("http://127.0.0.1:9", spool="none") as client:
        with pytest.raises(StoreError, match=r"no server answers at http://127.0.0.1:9 .*autolog ui.*AUTOLOG_STORE"):
            client.search_traces()


def test_another_server_is_told(tmp_path):
    with http_server(lambda _: (404, {}, b"<html>")) as address, fresh_client(address, spool="none") as client:
        with pytest.raises(StoreError, match="is no autolog server, or an older one"):
            client.list_experiments()
    with http_server(lambda _: (200, {}, b"<html>")) as address, fresh_client(address, spool="none") as client:
        with pytest.raises(StoreError, match="does not answer as an autolog server does"):
            client.list_experiments()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://", "a store's URL is a server's address such as http://localhost:4321"),
        ("http://host:port", "is not a URL such as"),
        ("http://host/?a=b", "a store's URL is a server's address"),
        ("http://ada:secret12@host", "AUTOLOG_TOKEN has the token"),
    ],
)
def test_an_address_that_is_none_is_refused(address, message):
    with pytest.raises(InvalidSetting, match=message) as raised:
        Client(address)
    assert "secret12" not in str(raised.value)


def test_without_urllib3_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(connection.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(Unavailable, match=r"pip install 'autolog-tracing\[remote\]'"):
        Client("http://127.0.0.1:1")


def test_the_token_is_sent_and_kept_to_itself():
    seen = []

    def answer(request):
        seen.append(request.headers)
        return (
            (200, {}, b'{"result": []}') if request.headers["authorization"] == "Bearer sesame-123" else (401, {}, b"")
        )

    with http_server(answer) as address:
        with fresh_client(address, spool="none", token="sesame-123") as client:
            assert client.list_experiments() == []
            assert "sesame" not in repr(client.settings)
        with fresh_client(address, spool="none") as client:
            with pytest.raises(StoreError, match=r"wants a token \(401\)\. AUTOLOG_TOKEN is where it is set"):
                client.list_experiments()
    assert seen[-1].get("authorization") is None


def test_our_own_requests_are_never_traced(client, server, monkeypatch):
    import urllib3
    from opentelemetry import context as otel_context

    request, is_suppressed = urllib3.PoolManager.request, []

    def instrumented(*args, **kwargs):
        is_suppressed.append(otel_context.get_value(otel_context._SUPPRESS_INSTRUMENTATION_KEY))
        with al.start_span("HTTP"):  # as whatever instruments urllib3 does
            return request(*args, **kwargs)

    monkeypatch.setattr(urllib3.PoolManager, "request", instrumented)
    with al.start_span("mine"):
        client.search_traces(return_type="list")
    client.flush()

    assert [span.name for span in spans(server)] == ["mine"]
    assert set(is_suppressed) == {True}


def test_what_is_wrong_with_a_filter_is_said_as_everywhere(client):
    with pytest.raises(InvalidQuery, match="there is no field nam; did you mean name"):
        client.search_traces("nam = 'x'")


def test_a_span_that_is_larger_than_a_body_is_sent_whole(client, server):
    with al.start_span("large", inputs=["x" * 900_000] * 8):
        pass
    with al.start_span("small"):
        pass
    assert client.flush()

    assert sorted((span.name, span.inputs) for span in spans(server)) == [
        ("large", ["x" * 900_000] * 8),
        ("small", None),
    ]


def test_the_server_s_own_settings_hold_for_what_it_is_sent(tmp_path):
    with fresh_client(redact=["email"]) as server, serving(server) as address:
        with fresh_client(address):
            with al.start_span("ask", inputs="write to ada@example.com") as span:
                pass
            al.log_feedback(trace_id=span.trace_id, name="f", value="ada@example.com")
            al.set_trace_tag(span.trace_id, "who", "ada@example.com")
        [trace] = traces(server)

    assert "ada@" not in str(trace.to_dict())
    assert trace.info.tags["who"] == trace.assessments[0].value == "[email]"
