"""Traces over HTTP: listed, counted, opened, tagged, judged and deleted, as the client does it."""

from __future__ import annotations

import json
from importlib.util import find_spec
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autolog as al
from autolog.search import fields
from autolog.search.filter import parse
from autolog.server.api.filters import check_filter
from autolog.testing import fresh_client
from tests.server.conftest import Http
from tests.serving import serving


def listed(http, **params):
    return http.get(f"/api/traces?{urlencode(params)}").json()


def ids_of(found):
    return [one["trace_id"] for one in found["traces"]]


# --- lists -------------------------------------------------------------------------------------------


def test_traces_are_listed_newest_first_as_the_client_has_them(client, http, ids):
    found = listed(http)
    assert ids_of(found) == ids[::-1]
    assert found["next_page_token"] is None
    infos = client.search_traces(include_spans=False, return_type="list")
    assert found["traces"] == [info.to_dict() for info in infos]


def test_pages_follow_one_another(http, ids):
    pages, token = [], ""
    while token is not None:
        page = (
            listed(http, limit=5, order_by="duration DESC, name", page_token=token)
            if token
            else listed(http, limit=5, order_by="duration DESC, name")
        )
        pages.append(page["traces"])
        token = page["next_page_token"]
    assert [len(page) for page in pages] == [5, 5, 2]
    found = [one for page in pages for one in page]
    assert {one["trace_id"] for one in found} == set(ids)
    durations = [one["end_time_ns"] - one["start_time_ns"] for one in found]
    assert durations == sorted(durations, reverse=True)


def test_traces_are_found_by_filter_time_experiment_session_and_run(client, http, ids):
    with al.start_run("nightly") as run:
        client.end_trace(client.start_trace("in a run", run=run.run_id, session="s-1"))
    other = client.start_trace("elsewhere", experiment="other")
    client.end_trace(other)
    assert ids_of(listed(http, filter="status = 'ERROR'")) == [ids[5]]
    assert ids_of(listed(http, experiment="other")) == [other.trace_id]
    assert [one["name"] for one in listed(http, session="s-1")["traces"]] == ["in a run"]
    assert [one["name"] for one in listed(http, run=run.run_id)["traces"]] == ["in a run"]
    third = client.get_outline(ids[3]).info.start_time_ns
    assert ids_of(listed(http, until=third)) == ids[2::-1]
    assert ids_of(listed(http, since=third, filter="name = 'support_agent'")) == ids[:2:-1]


def test_an_empty_form_asks_for_everything(http, ids):
    assert ids_of(listed(http, filter="", order_by="", experiment="", session="", run="")) == ids[::-1]


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0}, {"limit": 1001}, {"limit": "many"}, {"since": "yesterday"}, {"since": 10**30},
        {"order_by": "nothing"}, {"filter": "status ="}, {"page_token": "x"}, {"page_token": "ä" * 9},
    ],
)  # fmt: skip
def test_what_can_not_be_asked_is_told(http, params):
    answer = http.get(f"/api/traces?{urlencode(params)}")
    assert answer.status == 400
    assert set(answer.json()) == {"error", "message"}
    assert answer.json()["message"]


def test_traces_are_counted_up_to_a_number(client, http, ids):
    assert http.get("/api/count").json() == {"count": 12, "is_exact": True}
    assert http.get("/api/count?" + urlencode({"filter": "status = 'ERROR'"})).json() == {"count": 1, "is_exact": True}
    assert (
        http.get("/api/count?" + urlencode({"filter": "text CONTAINS 'refund'", "experiment": "x"})).json()["count"]
        == 0
    )
    assert client.count_traces(most=5) == client.count_traces("errors >= 0", most=5)
    assert (client.count_traces(most=5).count, client.count_traces(most=5).is_exact) == (5, False)
    assert (client.count_traces(most=12).count, client.count_traces(most=12).is_exact) == (12, True)


def test_counting_ends_when_its_time_is_over(client):
    for number in range(5_000):
        client.end_trace(client.start_trace(f"trace {number}"))
    assert (client.count_traces("errors = 0").count, client.count_traces("errors = 0").is_exact) == (5_000, True)
    ended = client.count_traces("errors = 0", seconds=0.0)
    assert not ended.is_exact
    assert ended.count < 5_000


# --- one trace ---------------------------------------------------------------------------------------


def test_a_trace_opens_without_what_went_in_and_out(client, http, ids):
    found = http.get(f"/api/traces/{ids[0]}").json()
    assert found["info"] == client.get_outline(ids[0]).info.to_dict()
    assert len(found["spans"]) == found["info"]["span_count"]
    assert (found["details"], found["texts"]) == ({}, [])


def test_a_span_comes_with_its_beginning_and_its_texts_whole_on_demand(client, http):
    text = "ä\U0001f642 " * 100_000
    with al.start_span("long", inputs={"a/b~c": text, "list": [1, {"deep": text + "!"}]}) as span:
        pass
    place = f"/api/traces/{span.trace_id}/spans/{span.span_id}"
    shown = http.get(place).json()
    cut = [one for one in shown["texts"] if isinstance(one, dict)]
    assert {one["length"] for one in cut} == {len(text), len(text) + 1}
    for one in cut:
        whole = http.get(f"{place}/text?pointer={quote(one['pointer'])}")
        assert whole.headers["Content-Type"].startswith("text/plain")
        assert len(whole.data.decode()) == one["length"]
        assert whole.data.decode().startswith(one["text"])
    assert http.get(f"{place}/text?pointer=/inputs/list/0").data == b"1"
    assert http.get(f"{place}/text?pointer=/inputs/nothing").status == 404
    assert http.get(f"{place}/text").status == 400


def test_all_of_a_trace_can_be_had_as_json_and_as_a_page(client, http, ids):
    assert http.get(f"/api/traces/{ids[0]}/data").json() == client.get_trace(ids[0]).to_dict()
    page = http.get(f"/api/traces/{ids[0]}/html")
    assert page.headers["Content-Disposition"].startswith(f'attachment; filename="trace-{ids[0]}.html"')
    assert page.data.startswith(b"<!doctype html>")


@pytest.mark.parametrize("trace_id", ["0" * 32, "last", "%00", "..%2f..%2fetc", "ä" * 40, "f" * 31])
@pytest.mark.parametrize("rest", ["", "/data", "/html", "/spans/0000000000000001", "/spans/x/text?pointer=/inputs"])
def test_what_is_not_there_is_not_found(http, trace_id, rest):
    answer = http.get(f"/api/traces/{quote(trace_id, safe='%')}{rest}")
    assert answer.status == 404
    assert answer.json()["error"] == "NotFound"


# --- many at once ------------------------------------------------------------------------------------


def test_traces_are_deleted_by_ids_and_by_filter(client, http, ids):
    assert http.post("/api/traces/delete", {"trace_ids": [*ids[:2], "0" * 32]}).json() == {"deleted": 2}
    assert http.post("/api/traces/delete", {"filter": "status = 'ERROR'"}).json() == {"deleted": 1}
    both = {"trace_ids": ids[2:4], "filter": "status = 'ERROR'"}
    assert http.post("/api/traces/delete", both).json() == {"deleted": 0}
    assert set(ids_of(listed(http))) == set(ids) - {*ids[:2], ids[5]}


@pytest.mark.parametrize(
    "body",
    [{}, {"filter": ""}, {"filter": "  "}, {"filter": "nonsense"}, {"trace_ids": ["x"]}, {"trace_ids": "x"},
     {"trace_id": ["0" * 32]}, [], "all", None],
)  # fmt: skip
def test_nothing_is_deleted_by_mistake(http, ids, body):
    answer = http.post("/api/traces/delete", body)
    assert answer.status == 400
    assert ids_of(listed(http)) == ids[::-1]


def test_tags_are_set_and_taken_away(client, http, ids):
    change = {
        "trace_ids": [*ids[:2], "0" * 32],
        "set": {"reviewed": "ja ✓", "channel": "x"},
        "remove": ["language", "no"],
    }
    assert http.post("/api/traces/tags", change).json() == {"changed": 2}
    assert dict(client.get_trace(ids[0]).info.tags) == {"reviewed": "ja ✓", "channel": "x"}
    assert ids_of(listed(http, filter="tags.reviewed IS NOT NULL")) == ids[1::-1]
    assert http.post("/api/traces/tags", {"trace_ids": ids}).status == 400


def test_tags_are_redacted_as_the_settings_say():
    with fresh_client(redact=["email"]) as client, serving(client) as address:
        span = client.start_trace("a")
        client.end_trace(span)
        http = Http(address)
        http.post("/api/traces/tags", {"trace_ids": [span.trace_id], "set": {"who": "ada@example.com"}})
        assert "ada@example.com" not in str(client.get_trace(span.trace_id).info.tags)


# --- what people say ---------------------------------------------------------------------------------


def test_feedback_is_given_changed_and_taken_back(client, http, ids):
    place = f"/api/traces/{ids[1]}/assessments"
    before = len(client.get_trace(ids[1]).assessments)
    span_id = client.get_trace(ids[1]).spans[1].span_id
    given = http.post(place, {"name": "helpful", "value": True, "rationale": "Ja.", "span_id": span_id, "user": "ada"})
    assert given.status == 201
    said = given.json()
    assert (said["kind"], said["value"], said["rationale"], said["span_id"]) == ("feedback", True, "Ja.", span_id)
    assert said["source"] == {"source_type": "HUMAN", "source_id": "ada"}
    changed = http("PATCH", f"{place}/{said['assessment_id']}", {"value": "no"}).json()
    assert (changed["value"], changed["rationale"], changed["assessment_id"]) == ("no", "Ja.", said["assessment_id"])
    assert http("PATCH", f"{place}/{said['assessment_id']}", {"rationale": None}).json()["rationale"] is None
    assert http("DELETE", f"{place}/{said['assessment_id']}").status == 204
    assert http("DELETE", f"{place}/{said['assessment_id']}").status == 404
    assert len(client.get_trace(ids[1]).assessments) == before


def test_what_a_model_said_is_overridden_and_kept(client, http, ids):
    [judged] = [one for one in client.get_trace(ids[1]).assessments if one.name == "faithful"]
    place = f"/api/traces/{ids[1]}/assessments/{judged.assessment_id}"
    new = http("PATCH", place, {"value": 0.1, "user": "ada"}).json()
    assert new["overrides"] == judged.assessment_id
    after = client.get_trace(ids[1]).search_assessments("faithful", all=True)
    assert {one.assessment_id: one.valid for one in after} == {judged.assessment_id: False, new["assessment_id"]: True}


@pytest.mark.parametrize(
    "body",
    [{}, {"name": "x"}, {"name": "", "value": 1}, {"name": "x", "value": None}, {"name": "x", "value": 1, "kind": "no"},
     {"name": "x", "value": 1, "span_id": "no"}, {"name": "x", "value": 1, "other": 1}],
)  # fmt: skip
def test_what_is_no_feedback_is_refused(http, ids, body):
    assert http.post(f"/api/traces/{ids[0]}/assessments", body).status == 400


def test_feedback_on_what_is_not_there_is_not_found(http, ids):
    assert http.post(f"/api/traces/{'0' * 32}/assessments", {"name": "x", "value": 1}).status == 404
    assert http("PATCH", f"/api/traces/{ids[0]}/assessments/nothing", {"value": 1}).status == 404


# --- the language ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, wrong",
    [
        ("status == 'OK'", "="),
        ("status = 'OOPS'", "'OOPS'"),
        ("nane = 'x'", "nane"),
        ("duration > fast", "fast"),
        ("name = 'x' AND", ""),
        ("tags.\U0001f642 = 'x'", ".\U0001f642"),
        ("name = '\U0001f642\U0001f642' AND cost > 'x'", "'x'"),
        ("name = 'a\nb'\nAND cost > many", "many"),
    ],
)
def test_a_wrong_filter_is_told_with_its_place(http, text, wrong):
    said = http.get("/api/filter?" + urlencode({"text": text})).json()
    assert said["ok"] is False
    assert "\n" not in said["message"]
    units = text.encode("utf-16-le")
    place = units[said["start"] * 2 : said["end"] * 2].decode("utf-16-le")
    assert place.startswith(wrong[:1])
    assert wrong.startswith(place[:1])


@pytest.mark.parametrize("text", ["", "  ", "status = 'ERROR'", "tags.`a b` IN ('x', 'y') OR text CONTAINS 'z'"])
def test_a_right_filter_is_told(http, text):
    assert http.get("/api/filter?" + urlencode({"text": text})).json() == {"ok": True}


PARTS = st.sampled_from(["name", "status", "tags.`a b`", "span.type", "=", "!=", "LIKE", "IN (", ")", "(", "AND", "OR", "NOT", "'x'", "'",
                         "12", "2s", "now() - 1h", "\n", "\U0001f642", "\ud800", "é", "%", "&&", "RLIKE '['", "nane", ","])  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS | st.text(max_size=3), max_size=8).map(" ".join))
def test_the_place_of_an_error_is_in_the_text(text):
    said = json.loads(check_filter(text).body)
    if not said["ok"]:
        assert said["message"]
        assert 0 <= said["start"] <= said["end"] <= len(text.encode("utf-16-le", "surrogatepass")) // 2


def test_fields_have_a_kind_an_example_and_operators_that_work(http, client, ids):
    client.set_trace_tag(ids[0], "my key", "x")
    found = http.get("/api/fields").json()["fields"]
    by_name = {one["name"]: one for one in found}
    assert len(by_name) == len(found)
    assert {"tags.channel", "tags.`my key`", "feedback.helpful", "expectation.expected_answer"} <= set(by_name)
    assert by_name["status"]["values"] == ["IN_PROGRESS", "OK", "ERROR", "CANCELLED"]
    assert by_name["timestamp"]["kind"] == "time"
    assert "latency" in by_name["duration"]["aliases"]
    for one in found:
        parse(one["example"])
        field = fields.find(one["name"])
        for alias in one.get("aliases", ()):
            assert fields.find(alias) == field
        for operator in one["operators"]:
            if operator == "RLIKE" and find_spec("re2") is None:
                continue
            parse(f"{one['name']} {operator} {VALUES[one['kind']](one, operator)}")


def value_of(text):
    def written(one, operator):
        value = f"'{one['values'][0]}'" if one.get("values") else text
        if operator in ("LIKE", "ILIKE", "RLIKE", "CONTAINS"):
            return "'x'"
        return {"IN": f"({value})", "BETWEEN": f"{value} AND {value}", "IS NULL": "", "IS NOT NULL": ""}.get(
            operator, value
        )

    return written


VALUES = {
    "text": value_of("'x'"), "choice": value_of("'x'"), "number": value_of("1"), "duration": value_of("2s"),
    "time": value_of("now() - 1h"), "payload": value_of("'x'"), "any": value_of("true"),
}  # fmt: skip
