"""Every path of the interface is described, holds to the token's experiment, and answers whatever it is asked."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from functools import cache
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import autolog as al
from autolog import Client, wire
from autolog.capture import UNLIMITED
from autolog.model.run import Run
from autolog.server.access import Token
from autolog.server.app import create_app
from autolog.settings import Settings
from autolog.testing import fresh_client, traces
from tests.server.conftest import Http
from tests.serving import serving

METHODS = ("get", "post", "put", "patch", "delete")
MINE, OTHER = "mine", "other"
SECRET = "xyzzyplugh"
"""Stands in everything that is of the other experiment."""
TOKEN = Token("m" * 16, "write", MINE)


@cache
def described():
    with fresh_client() as client:
        return create_app(client).openapi()


def operations():
    return [
        (method, path, told)
        for path, methods in described()["paths"].items()
        for method, told in methods.items()
        if method in METHODS
    ]


def names_of(told, place):
    return [one["name"] for one in told.get("parameters", ()) if one["in"] == place]


# --- the description ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method, path, told", operations(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_operation_is_described(method, path, told):
    assert told["description"].endswith(".")
    assert "422" not in told["responses"]
    assert told["tags"]
    for name in re.findall(r"{(\w+)}", path):
        assert name in names_of(told, "path")
    if method in ("post", "put", "patch"):
        assert told["requestBody"]["content"]


def test_the_description_is_served(http):
    found = http.get("/api/openapi.json").json()
    assert found["info"]["title"] == "autolog"
    assert set(found["paths"]) == set(described()["paths"])


def test_every_route_is_in_the_description(client):
    app = create_app(client)
    shown = {(method.upper(), path) for method, path, _ in operations()}
    there = {
        (method, prefix + route.path)
        for prefix, route in routes(app.routes)
        for method in route.methods or ()
        if method not in ("HEAD", "OPTIONS")
    }
    assert there - shown <= {("GET", "/"), ("GET", "/api/openapi.json")}


def routes(found, prefix=""):
    for route in found:
        if hasattr(route, "methods"):
            yield prefix, route
        elif hasattr(route, "original_router"):  # how FastAPI keeps routers that were included
            yield from routes(route.original_router.routes, prefix + route.include_context.prefix)


# --- one experiment ----------------------------------------------------------------------------------


def fill(client, experiment, word):
    """Record a trace, a run, a session, feedback and a dataset in an experiment; return what they go by."""
    run = Run(run_id=f"run-{experiment}", name=f"run {word}", experiment=experiment, start_time_ns=1, tags={"t": word})
    client.put_run(run)
    root = client.start_trace(
        f"root {word}", experiment=experiment, session=f"session-{word}", user=f"user-{word}", run=run.run_id,
        version=f"v-{word}", tags={"shared": word, f"key-{word}": "x"}, metadata={"m": word}, inputs={"q": word},
    )  # fmt: skip
    child = client.start_span(f"child {word}", root, "TOOL", inputs={"deep": [word]})
    client.end_span(child, outputs=word, status="ERROR")
    client.end_trace(root, outputs={"answer": word})
    client.flush()
    feedback = client.log_assessment(root.trace_id, al.Feedback(name=f"f-{word}", value=word))
    expected = client.log_assessment(root.trace_id, al.Expectation(name="expected", value=word))
    dataset = of_experiment(client, experiment).create_dataset(f"dataset-{word}", client)
    return {
        "trace_id": root.trace_id, "span_id": child.span_id, "assessment_id": feedback.assessment_id,
        "expectation_id": expected.assessment_id, "name": dataset, "record_id": "1", "run_id": run.run_id,
    }  # fmt: skip


class of_experiment:
    """Makes datasets of an experiment, as its own client would."""

    def __init__(self, client, experiment):
        self.client = client.of_experiment(experiment)

    def create_dataset(self, name, client):
        from autolog import datasets

        dataset = datasets.create_dataset(name, client=self.client)
        [trace] = [one for one in traces(client) if one.info.experiment == self.client._store._experiment]
        dataset.merge([trace])
        return name


def everything(client):
    """Return all that the store has of the other experiment."""
    found = [one.to_dict() for one in traces(client) if one.info.experiment == OTHER]
    from autolog import datasets

    kept = [
        [one.to_dict() for one in dataset.page(None, 100)]
        for dataset in datasets.list_datasets(client=client)
        if dataset.info.experiment == OTHER
    ]
    return found, kept, [run for run in client.list_runs() if run.experiment == OTHER]


@contextmanager
def with_both():
    with fresh_client() as client:
        mine, theirs = fill(client, MINE, "ours"), fill(client, OTHER, SECRET)
        with serving(client, tokens=[TOKEN]) as address:
            yield client, Http(address, Authorization=f"Bearer {TOKEN.secret}"), mine, theirs


@pytest.fixture
def both():
    """A server with two experiments, somebody who may do everything in one, and the names of the other one's things."""
    with with_both() as found:
        yield found


@pytest.fixture(scope="module")
def both_kept():
    """The same, for tests that change nothing."""
    with with_both() as found:
        yield found


def path_with(path, names):
    return re.sub(r"{(\w+)}", lambda found: quote(names.get(found[1], "1"), safe=""), path)


QUERIES = {
    # What is asked of the other experiment, by every way to name it.
    "filter": [None, f"experiment = '{OTHER}'", f"text CONTAINS '{SECRET}'", "name IS NOT NULL OR name IS NULL"],
    "experiment": [None, OTHER],
    "session": [None, f"session-{SECRET}"],
    "run": [None, f"run-{OTHER}"],
    "format": ["jsonl", "csv"],
    "pointer": ["/inputs/deep/0"],
    "field": [
        "tags.shared",
        "name",
        "session",
        "user",
        "version",
        "experiment",
        "run",
        "tags",
        "metadata",
        "feedback",
        "model",
    ],
    "prefix": [None, SECRET[:3]],
    "group_by": ["none", "name", "experiment", "tags.shared", "user"],
    "text": [""],
}


def queries(told, theirs):
    named = {
        "left": [theirs["trace_id"], f"{theirs['trace_id']}:{theirs['span_id']}"],
        "right": [theirs["trace_id"], f"{theirs['trace_id']}:{theirs['span_id']}"],
        "trace_ids": [None, theirs["trace_id"]],
        "trace_id": [theirs["trace_id"]],
        "run_id": [theirs["run_id"]],
        **QUERIES,
    }
    asked = {name: named[name] for name in names_of(told, "query") if name in named}
    first = {name: values[0] for name, values in asked.items() if values[0] is not None}
    yield first
    for name, values in asked.items():
        for value in values[1:]:
            yield {**first, name: value}


# What begins and does not end, or says what was asked; all others are asked and may not have the word.
STREAMS = {"/api/changes"}


@pytest.mark.parametrize(
    "path, told", [(path, told) for method, path, told in operations() if method == "get" and path not in STREAMS]
)
def test_nothing_of_another_experiment_is_told(both_kept, path, told):
    _, http, mine, theirs = both_kept
    asked = 0
    for names in (theirs, {**theirs, "trace_id": mine["trace_id"]}, {**mine, "span_id": theirs["span_id"]}):
        for query in queries(told, theirs):
            answer = http.get(f"{path_with(path, names)}?{urlencode(query)}")
            said = answer.data.decode()
            for word in (*query.values(), *names.values()):  # which whoever asks knows already
                said = said.replace(str(word), "").replace(json.dumps(str(word))[1:-1], "")
            assert answer.status < 500, (query, said)
            assert SECRET not in said, query
            assert path.endswith("/html") or OTHER not in re.findall(r"\w+", said), query
            asked += 1
    assert asked


def bodies(path, names):
    """Return what would change things of the other experiment; of a new path, say what."""
    ids = [names["trace_id"]]
    spans = wire_body(names["trace_id"])
    store = [
        ("set_tags", {"trace_id": ids[0], "changes": {"a": "b"}}),
        ("delete", {"trace_ids": ids, "experiment": OTHER, "before_ns": None, "most": 9}),
        ("delete", {"trace_ids": ids, "experiment": None, "before_ns": None, "most": 9}),
        ("delete_assessment", {"trace_id": ids[0], "assessment_id": names["assessment_id"]}),
        ("set_run", {"trace_ids": ids, "run_id": "x"}),
        ("get_trace", {"trace_id": ids[0]}),
        ("get_outline", {"trace_id": ids[0]}),
        ("get_span", {"trace_id": ids[0], "span_id": names["span_id"]}),
        ("get_run", {"run_id": names["run_id"]}),
        ("list_runs", {"experiment": OTHER, "most": 9}),
        ("list_runs", {"experiment": None, "most": 9}),
        ("list_experiments", {}),
        ("summarize_experiments", {}),
        ("summarize_runs", {"experiment": OTHER, "most": 9}),
        ("get_dataset", {"name": names["name"]}),
        ("list_datasets", {}),
        ("delete_dataset", {"name": names["name"]}),
        ("list_records", {"name": names["name"], "page_token": None, "most": 9}),
        ("delete_records", {"name": names["name"], "record_ids": ["1"]}),
        ("merge_records", {"name": names["name"], "records": [{"inputs": 1}]}),
        ("put_run", {"run": {"run_id": names["run_id"], "name": "n", "experiment": MINE, "start_time_ns": 1}}),
        ("put_assessments", {"trace_id": ids[0], "assessments": [al.Feedback(name="x", value=1).to_dict()]}),
    ]
    return {
        "/api/traces/delete": [(None, {"trace_ids": ids}), (None, {"filter": f"experiment = '{OTHER}'"}), (None, {"filter": "errors > 0"})],
        "/api/traces/tags": [(None, {"trace_ids": ids, "set": {"a": "b"}})],
        "/api/traces/{trace_id}/assessments": [(None, {"name": "x", "value": 1})],
        "/api/traces/{trace_id}/assessments/{assessment_id}": [(None, {"value": 1})],
        "/api/spans": [(None, spans)],
        "/v1/traces": [(None, otlp_body(ids[0]))],
        "/api/session": [(None, {"token": "nothing"})],
        "/api/store/{method}": store,
        "/api/datasets": [(None, {"name": names["name"]})],
        "/api/datasets/{name}": [(None, None)],
        "/api/datasets/{name}/records": [(None, {"trace_ids": ids}), (None, {"records": [{"inputs": 1}]})],
        "/api/datasets/{name}/records/{record_id}": [(None, None)],
    }[path]  # fmt: skip


def wire_body(trace_id):
    with fresh_client() as client:
        span = al.start_span("added")
        with span:
            pass
        [span] = client.get_trace(span.trace_id).spans
        span._trace_id = int(trace_id, 16)
        [body] = wire.encode([span], UNLIMITED)
        return json.loads(body.data)


def otlp_body(trace_id):
    span = {
        "traceId": trace_id, "spanId": "00000000000000aa", "name": "added", "startTimeUnixNano": "1", "endTimeUnixNano": "2",
        "parentSpanId": "00000000000000ab",
    }  # fmt: skip
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


@pytest.mark.parametrize("method, path", [(method, path) for method, path, _ in operations() if method != "get"])
def test_nothing_of_another_experiment_is_changed(both, method, path):
    client, http, _, theirs = both
    before = everything(client)
    assert SECRET in str(before)
    for name, body in bodies(path, theirs):
        place = path_with(path, {**theirs, "method": name or ""})
        answer = http(method.upper(), place, body, {"X-Autolog-Experiment": OTHER})
        assert answer.status < 500, (place, answer.data)
        said = answer.data.decode().replace(theirs["name"], "")
        assert SECRET not in said, (place, said)
    assert everything(client) == before


def test_feedback_of_another_experiment_is_not_taken_to_a_trace_of_ones_own(both):
    client, http, mine, theirs = both
    before = everything(client)
    taken = {**al.Feedback(name="x", value=1).to_dict(), "assessment_id": theirs["assessment_id"]}
    answer = http.post("/api/store/put_assessments", {"trace_id": mine["trace_id"], "assessments": [taken]})
    assert (answer.status, answer.json()["error"]) == (400, "InvalidAssessment")
    assert everything(client) == before


def test_what_is_sent_with_a_token_of_an_experiment_is_of_it(both):
    client, http, _, _ = both
    new = "ab" * 16
    assert http.post("/v1/traces", otlp_body(new), **{"X-Autolog-Experiment": OTHER}).status == 200
    assert http.post("/api/spans", wire_body("cd" * 16)).status == 200
    assert {client.get_trace(one).info.experiment for one in (new, "cd" * 16)} == {MINE}


def test_pages_and_summaries_of_one_experiment_are_whole(both):
    client, http, mine, _ = both
    for number in range(5):
        client.end_trace(client.start_trace(f"more {number}", experiment=MINE, session="s"))
    client.flush()
    names, token = [], ""
    while token is not None:
        found = http.get("/api/traces?limit=2" + (f"&page_token={token}" if token else "")).json()
        names += [one["name"] for one in found["traces"]]
        token = found["next_page_token"]
    assert names == [*(f"more {number}" for number in reversed(range(5))), "root ours"]
    assert http.get("/api/count").json() == {"count": 6, "is_exact": True}
    assert [one["name"] for one in http.get("/api/experiments").json()["experiments"]] == [MINE]
    assert http.get(f"/api/traces/{mine['trace_id']}").json()["info"]["experiment"] == MINE


def test_a_program_whose_store_is_the_server_sees_its_experiment_only(both):
    pytest.importorskip("urllib3")
    _, http, mine, theirs = both
    remote = Client(http.address, Settings(token=TOKEN.secret))
    assert [one.trace_id for one in traces(remote)] == [mine["trace_id"]]
    with pytest.raises(al.NotFound):
        remote.get_trace(theirs["trace_id"])
    added = remote.start_trace("added", experiment=OTHER)
    remote.end_trace(added)
    assert remote.get_trace(added.trace_id).info.experiment == MINE
    remote.close()


# --- whatever it is asked ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fuzzed():
    """A server with some traces, that outlives one test."""
    with fresh_client() as client:
        names = fill(client, "default", "word")
        with serving(client) as address:
            yield Http(address), names


ODD = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["", "0", "-1", "1e400", str(2**63), str(10**40), "NaN", "null", "\0", "'", '"', "`", "%", "..", "{}", "[]", "٣", "\U0001f642"]),
    st.integers().map(str),
)  # fmt: skip
READS = [(path, told) for method, path, told in operations() if method == "get" and path not in STREAMS]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_question_makes_the_server_fail(fuzzed, data):
    http, names = fuzzed
    path, told = data.draw(st.sampled_from(READS))
    odd = {name: data.draw(ODD | st.just(names.get(name, "1"))) for name in names_of(told, "path")}
    query = {name: data.draw(ODD) for name in names_of(told, "query") if data.draw(st.booleans())}
    place = re.sub(r"{(\w+)}", lambda found: quote(odd[found[1]].encode("utf-8", "replace"), safe=""), path)
    answer = http.get(f"{place}?{urlencode(query, errors='replace')}")
    assert answer.status < 500 or answer.status == 501, (place, query, answer.data)
    if answer.status >= 400:
        assert set(answer.json()) == {"error", "message"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
CHANGES = [(method, path, told) for method, path, told in operations() if method != "get"]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_body_makes_the_server_fail(fuzzed, data):
    http, names = fuzzed
    method, path, told = data.draw(st.sampled_from(CHANGES))
    odd = {name: data.draw(ODD | st.just(names.get(name, "1"))) for name in names_of(told, "path")}
    place = re.sub(r"{(\w+)}", lambda found: quote(odd[found[1]].encode("utf-8", "replace"), safe=""), path)
    name, known = data.draw(st.sampled_from(bodies(path, names)))
    if name is not None:
        place = f"/api/store/{name}"
    body = data.draw(VALUES)
    if known and data.draw(st.booleans()):
        body = {**known, data.draw(st.sampled_from(sorted(known))): body}
    answer = http(method.upper(), place, json.dumps(body).encode(), {"Content-Type": "application/json"})
    assert answer.status < 500 or answer.status == 501, (place, body, answer.data)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(CHANGES), st.binary(max_size=60), st.sampled_from(["", "gzip", "deflate", "zstd", "br", "x" * 50])
)
def test_no_bytes_make_the_server_fail(fuzzed, change, body, encoding):
    http, names = fuzzed
    method, path, _ = change
    headers = {"Content-Type": "application/json", **({"Content-Encoding": encoding} if encoding else {})}
    answer = http(method.upper(), path_with(path, names), body, headers)
    assert answer.status < 500


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/", "/api/traces", "/api/health", "/api/nothing", "/static/app.js", "/v1/traces"])
def test_other_methods_are_answered_plainly(http, method, path):
    answer = http(method, path)
    assert answer.status in (200, 404, 405)
    if answer.status == 405:
        assert answer.headers["Allow"]
    if method == "HEAD":
        assert answer.data == b""
        assert answer.status == 200 or path not in ("/", "/api/health", "/static/app.js")
