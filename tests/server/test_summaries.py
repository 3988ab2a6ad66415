"""Statistics, sessions, values, experiments, comparisons and datasets over HTTP, as the page asks for them."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

import autolog as al
from autolog import sample
from autolog.server.access import Token
from autolog.server.app import create_app
from autolog.testing import traces

testclient = pytest.importorskip("starlette.testclient")

BASE = "http://127.0.0.1:4321"
HOSTILE = "<script>alert(1)</script>'; DROP TABLE traces; -- \u202e\x00"


@pytest.fixture
def http(client):
    with testclient.TestClient(create_app(client), base_url=BASE) as http:
        yield http


@pytest.fixture
def desk(client, http):
    """A server of traces of a support desk."""
    sample.record(client, 30)
    return http


def get(http, path, status=200, **params):
    answer = http.get(f"/api/{path}", params=params)
    assert answer.status_code == status, answer.text
    return answer.json()


# --- statistics -----------------------------------------------------------------------------------------------


def test_statistics_have_a_value_a_bucket(desk):
    found = get(desk, "statistics", buckets=6, group_by="tags.channel", filter="name = 'support_agent'")

    assert [group["key"] for group in found["groups"]] == ["mail", "web"]
    many = len(found["buckets"])
    for group in found["groups"]:
        assert {len(group[name]) for name in group if isinstance(group[name], list)} == {many}
        assert sum(group["requests"]) == group["totals"]["requests"] == 15
    assert found["is_sampled"] is False
    assert found["buckets"][1] - found["buckets"][0] == found["step_ns"]


def test_the_traces_behind_a_bar_are_as_many_as_it_says(desk):
    found = get(desk, "statistics", buckets=6, group_by="model")
    group = found["groups"][1]
    for begin, requests in zip(found["buckets"], group["requests"], strict=True):
        behind = get(desk, "traces", since=begin, until=begin + found["step_ns"], filter=f"model = '{group['key']}'")
        assert len(behind["traces"]) <= requests
        assert bool(behind["traces"]) is bool(requests)


def test_details_name_errors_steps_and_feedback(desk):
    found = get(desk, "statistics/details", buckets=4)

    assert [error["type"] for error in found["errors"]] == ["ConnectionError"]
    assert get(desk, f"traces/{found['errors'][0]['trace_id']}")["info"]["state"] == "ERROR"
    assert found["steps"][0]["name"] == "support_agent"
    assert {feedback["name"] for feedback in found["feedback"]} == {"helpful", "faithful"}
    assert all(len(feedback["means"]) == len(found["buckets"]) for feedback in found["feedback"])


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("statistics", {"group_by": "duration"}), ("statistics", {"buckets": 0}), ("statistics", {"filter": "a ="}),
        ("statistics", {"since": "yesterday"}), ("statistics/details", {"filter": "nope = 1"}),
        ("sessions", {"filter": "nope = 1"}), ("sessions", {"page_token": "nonsense"}), ("sessions", {"limit": 0}),
        ("values", {"field": "nope"}), ("values", {}), ("compare", {"left": "1"}), ("compare/span", {}),
        ("compare/span", {"left": "1"}), ("datasets/x", {"page_token": "nonsense"}),
    ],
)  # fmt: skip
def test_what_can_not_be_asked_for_is_said(desk, path, params):
    desk.post("/api/datasets", json={"name": "x"})

    assert get(desk, path, 400, **params)["message"]


def test_what_is_far_off_in_time_is_no_mistake(desk):
    for since, until in ((0, 2**62), (-(2**62), -(2**61)), (2**62, 0)):
        found = get(desk, "statistics", since=since, until=until, buckets=1_000)
        assert len(found["buckets"]) <= 1_001


# --- sessions and values --------------------------------------------------------------------------------------


def test_sessions_come_page_by_page(desk):
    first = get(desk, "sessions", limit=7)
    second = get(desk, "sessions", limit=7, page_token=first["next_page_token"])

    found = first["sessions"] + second["sessions"]
    assert [one["session"] for one in found] == [f"chat-{number}" for number in reversed(range(10))]
    assert second["next_page_token"] is None
    assert all(one["traces"] == 3 and one["first_request"] and one["tokens"] for one in found)
    turns = get(desk, "traces", session="chat-3", order_by="timestamp ASC")["traces"]
    assert [turn["session"] for turn in turns] == ["chat-3"] * 3


def test_values_complete_a_filter(desk):
    assert get(desk, "values", field="tags.channel", prefix="w")["values"] == ["web"]
    assert get(desk, "values", field="session", prefix="chat-", limit=2)["values"] == ["chat-0", "chat-1"]
    assert get(desk, "values", field="name", experiment="nothing")["values"] == []


def test_experiments_and_runs_have_figures(desk):
    [experiment] = get(desk, "experiments")["experiments"]
    runs = get(desk, "runs", experiment="default")["runs"]

    assert (experiment["name"], experiment["traces"], experiment["runs"]) == ("default", 30, len(runs))
    assert sum(run["traces"] for run in runs) == 30
    assert all(run["p50_ns"] and run["status"] == "FINISHED" for run in runs)
    assert get(desk, "runs", experiment="nothing")["runs"] == []


# --- comparison -----------------------------------------------------------------------------------------------


def test_two_traces_are_compared_row_by_row(desk, client):
    left, right = (trace.trace_id for trace in traces(client)[5:7])

    found = get(desk, "compare", left=left, right=right)

    assert (found["left"]["trace_id"], found["right"]["trace_id"]) == (left, right)
    assert found["counts"]["added"] == 1
    assert [row["depth"] for row in found["rows"]] == [0, 1, 2, 1, 1, 1]
    assert found["rows"][0]["left"][2] == "support_agent"
    assert found["rows"][-1]["left"] is None
    row = found["rows"][3]
    pair = get(desk, "compare/span", left=f"{left}:{row['left'][0]}", right=f"{right}:{row['right'][0]}")
    changed = {field["path"] for field in pair["fields"] if not field["same"]}
    assert "/inputs/messages/1/content" in changed
    assert "/inputs/temperature" not in changed
    alone = get(desk, "compare/span", right=f"{right}:{row['right'][0]}")
    assert all(sign == "+" for field in alone["fields"] for sign, _ in field["diff"])


def test_large_traces_are_compared_by_their_outlines(desk, client, monkeypatch):
    from autolog.server.api import compare

    monkeypatch.setattr(compare, "_MOST_READ", 3)
    left, right = (trace.trace_id for trace in traces(client)[5:7])

    found = get(desk, "compare", left=left, right=right)

    assert found["is_shallow"]
    assert not any("inputs" in row["differs"] for row in found["rows"])


def test_a_trace_that_is_not_there_can_not_be_compared(desk, client):
    known = traces(client)[0].trace_id

    get(desk, "compare", 404, left=known, right="0" * 31 + "1")
    get(desk, "compare/span", 404, left=f"{known}:{'1' * 16}")


# --- datasets -------------------------------------------------------------------------------------------------


def test_traces_are_added_to_a_dataset_that_is_made_by_that(desk, client):
    ids = [trace.trace_id for trace in traces(client)]
    path = f"datasets/{quote('Fälle 100% #1?', safe='')}"

    added = desk.post(f"/api/{path}/records", json={"trace_ids": ids}).json()
    again = desk.post(f"/api/{path}/records", json={"trace_ids": ids[::-1]}).json()

    assert added == {"added": 8, "changed": 0, "same": 0}
    assert again["added"] == 0
    [known] = get(desk, "datasets")["datasets"]
    assert (known["name"], known["records"]) == ("Fälle 100% #1?", 8)
    first = get(desk, path, limit=5)
    second = get(desk, path, limit=5, page_token=first["next_page_token"])
    assert len(first["records"] + second["records"]) == 8
    assert any(record["expectations"] for record in first["records"])
    record_id = first["records"][0]["record_id"]
    assert desk.delete(f"/api/{path}/records/{record_id}").json() == {"deleted": 1}
    assert get(desk, path)["dataset"]["records"] == 7
    assert desk.delete(f"/api/{path}").json() == {"deleted": 1}
    get(desk, path, 404)
    assert desk.delete(f"/api/{path}").status_code == 404


def test_records_and_spans_are_added_too(desk, client):
    trace = traces(client)[0]
    step = trace.spans[1]
    told = {"spans": [f"{trace.trace_id}:{step.span_id}"], "records": [{"inputs": {"q": 1}, "expectations": {"a": 2}}]}

    assert desk.post("/api/datasets/mine/records", json=told).json()["added"] == 2
    records = get(desk, "datasets/mine")["records"]
    assert [record["inputs"] for record in records] == [step.inputs, {"q": 1}]
    assert records[1]["expectations"] == {"a": 2}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"trace_ids": ["0" * 31 + "1"]}, 404), ({"spans": ["nonsense"]}, 400), ({"records": [{"outputs": 1}]}, 400),
        ({"nonsense": 1}, 400), ({"trace_ids": "all"}, 400),
    ],
)  # fmt: skip
def test_what_can_not_be_added_is_said(desk, body, status):
    assert desk.post("/api/datasets/d/records", json=body).status_code == status


def test_a_dataset_is_taken_away_as_a_file(desk):
    desk.post("/api/datasets/d/records", json={"records": [{"inputs": "=1+1", "outputs": "東京", "tags": {"a": "b"}}]})

    lines = desk.get("/api/datasets/d/export")
    table = desk.get("/api/datasets/d/export", params={"format": "csv"})

    assert json.loads(lines.text)["outputs"] == "東京"
    assert "attachment" in lines.headers["content-disposition"]
    header, row = table.text.splitlines()
    assert header == "record_id,inputs,outputs,expectations,tags,trace_id,span_id"
    assert row.split(",", 1)[1] == '"""=1+1""","""東京""",{},"{""a"":""b""}",,'
    assert desk.get("/api/datasets/d/export", params={"format": "exe"}).status_code == 400


def test_a_dataset_is_made_once(http):
    assert http.post("/api/datasets", json={"name": "d", "tags": {"a": "b"}}).json()["tags"] == {"a": "b"}
    assert http.post("/api/datasets", json={"name": "d"}).status_code == 400
    assert http.post("/api/datasets", json={"name": "a/b"}).status_code == 400


# --- whatever texts there are, and whoever asks ---------------------------------------------------------------


def test_hostile_texts_stay_data(client, http):
    for number in range(2):
        with (
            al.context(session_id=HOSTILE, tags={HOSTILE: HOSTILE}),
            al.start_span(HOSTILE, inputs={HOSTILE: number}) as span,
        ):
            span.set_outputs(HOSTILE * (number + 1))
            span.set_attribute("error.type", HOSTILE)
            span.set_status("ERROR", HOSTILE)
    left, right = (trace.trace_id for trace in traces(client))

    kept = HOSTILE
    assert get(http, "statistics", group_by="name")["groups"][0]["key"] == kept
    assert get(http, "statistics/details")["errors"][0]["type"] == kept
    assert get(http, "sessions")["sessions"][0]["session"] == kept
    assert get(http, "values", field="tags")["values"] == [kept]
    assert get(http, "compare", left=left, right=right)["rows"][0]["left"][2] == kept
    http.post("/api/datasets/d/records", json={"trace_ids": [left, right]})
    assert get(http, "datasets/d")["records"][1]["inputs"] == {kept: 1}


def test_a_token_of_one_experiment_sees_nothing_of_others(client):
    for experiment in ("mine", "theirs"):
        with al.context(session_id="shared", tags={experiment: "1"}):
            root = client.start_trace(experiment, experiment=experiment, session="shared", inputs=f"of {experiment}")
            client.end_trace(root)
            al.log_feedback(trace_id=root.trace_id, name=f"of {experiment}", value=1)
        with al.start_run(f"run of {experiment}", experiment=experiment):
            pass
    mine, theirs = (trace.trace_id for trace in traces(client))
    al.create_dataset("theirs").merge_records(client.get_trace(theirs))
    secret = "s" * 20
    app = create_app(client, tokens=[Token(secret, "write", "mine")])
    with testclient.TestClient(app, base_url=BASE, headers={"Authorization": f"Bearer {secret}"}) as http:
        answers = [
            get(http, "statistics", group_by="name"), get(http, "statistics/details"), get(http, "sessions"),
            get(http, "experiments"), get(http, "runs"), get(http, "datasets"),
            *(get(http, "values", field=field) for field in ("name", "tags", "feedback", "experiment", "run")),
            get(http, "statistics", experiment="theirs"), get(http, "sessions", experiment="theirs"),
        ]  # fmt: skip
        assert get(http, "sessions")["sessions"][0]["traces"] == 1
        get(http, "compare", 404, left=mine, right=theirs)
        get(http, "datasets/theirs", 404)
        assert http.post("/api/datasets/own/records", json={"trace_ids": [theirs]}).status_code == 404
        assert http.post("/api/datasets/own/records", json={"trace_ids": [mine]}).json()["added"] == 1
        answers.append(get(http, "datasets/own"))
    assert "theirs" not in json.dumps(answers)


def test_all_of_it_is_described(http):
    described = http.get("/api/openapi.json").json()["paths"]

    for path in ("statistics", "statistics/details", "sessions", "values", "experiments", "runs", "compare", "compare/span",
                 "datasets", "datasets/{name}", "datasets/{name}/records", "datasets/{name}/export"):  # fmt: skip
        for operation in described[f"/api/{path}"].values():
            assert operation["description"]
