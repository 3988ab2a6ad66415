"""Traces leave as a file and come back as they were, any number of them in little memory."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
import json
import tracemalloc
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import autolog as al
from autolog import sample, transfer
from autolog.errors import InvalidQuery, InvalidTrace, Unavailable
from autolog.frame import COLUMNS, row
from autolog.testing import fresh_client, traces
from autolog.transfer import export_traces, import_traces

TREES = st.lists(st.recursive(st.just([]), lambda below: st.lists(below, max_size=3), max_leaves=12), max_size=4)


def exported(client, form="jsonl", *args, **conditions):
    file = io.BytesIO()
    count = export_traces(client, file, form, *args, **conditions)
    return file.getvalue(), count


def pyarrow():
    pytest.importorskip("pyarrow")
    import pyarrow.parquet

    return pyarrow.parquet


# --- what is in the file -----------------------------------------------------------------------------


def test_json_lines_have_whole_traces(client, http, ids):
    answer = http.get("/api/export")
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="traces-')
    lines = answer.data.decode().splitlines()
    assert [json.loads(line) for line in lines] == [client.get_trace(one).to_dict() for one in ids[::-1]]


def test_csv_has_a_row_a_trace_with_the_columns_of_a_data_frame(client, http, ids):
    answer = http.get("/api/export?format=csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.data.decode(), newline="")))
    assert list(rows[0]) == list(COLUMNS)
    for found, trace_id in zip(rows, ids[::-1], strict=True):
        told = row(client.get_trace(trace_id).info)
        assert found["trace_id"] == trace_id
        assert found["request"] == (told["request"] or "")
        assert json.loads(found["tags"]) == told["tags"]
        assert datetime.fromisoformat(found["request_time"]) == told["request_time"]
        assert float(found["duration_ms"]) == told["duration_ms"]
        assert int(found["total_tokens"]) == told["total_tokens"]


def test_csv_has_no_formulas(client, http):
    for text in ('=HYPERLINK("http://evil")', "+1", "-1", "@x", "\t=1", 'harmless, "quoted"\nline'):
        client.end_trace(client.start_trace(text, user=text))
    found = list(csv.DictReader(io.StringIO(http.get("/api/export?format=csv").data.decode(), newline="")))
    assert not [one for one in found for value in one.values() if value.startswith(("=", "+", "-", "@", "\t"))]
    assert found[0]["user"] == 'harmless, "quoted"\nline'


def test_parquet_has_types(client, http, ids):
    parquet = pyarrow()
    answer = http.get("/api/export?format=parquet")
    table = parquet.read_table(io.BytesIO(answer.data))
    assert table.column_names == list(COLUMNS)
    rows = table.to_pylist()
    assert [one["trace_id"] for one in rows] == ids[::-1]
    told = row(client.get_trace(ids[-1]).info)
    assert dict(rows[0]["tags"]) == told["tags"]
    assert rows[0]["total_tokens"] == told["total_tokens"]
    assert rows[0]["request_time"] == told["request_time"]
    assert json.loads(rows[0]["assessments"]) == told["assessments"]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_an_empty_store_makes_a_file_all_the_same(client, http, form):
    if form == "parquet":
        assert pyarrow().read_table(io.BytesIO(http.get("/api/export?format=parquet").data)).num_rows == 0
    else:
        assert len(http.get(f"/api/export?format={form}").data.decode().splitlines()) == (1 if form == "csv" else 0)


def test_only_what_is_asked_for_leaves(client, http, ids):
    chosen = http.get(f"/api/export?trace_ids={ids[3]},{ids[5]},{'0' * 32}").data.decode().splitlines()
    assert {json.loads(line)["info"]["trace_id"] for line in chosen} == {ids[3], ids[5]}
    both = http.get(f"/api/export?trace_ids={ids[3]},{ids[5]}&filter=status='ERROR'").data.decode().splitlines()
    assert [json.loads(line)["info"]["trace_id"] for line in both] == [ids[5]]
    assert http.get("/api/export?filter=status='ERROR'&format=csv").data.decode().count("support_agent") == 1
    assert http.get("/api/export?trace_ids=").data == b""


@pytest.mark.parametrize("query", ["filter=nonsense", "format=xml", "trace_ids=x", "since=x"])
def test_what_can_not_be_exported_is_told_before_the_file_begins(http, query):
    answer = http.get(f"/api/export?{query}")
    assert answer.status == 400
    assert "Content-Disposition" not in answer.headers


def test_parquet_without_pyarrow_says_what_to_install(client, http, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(transfer.importlib, "import_module", missing)
    answer = http.get("/api/export?format=parquet")
    assert answer.status == 501
    assert "autolog-tracing[parquet]" in answer.json()["message"]
    with pytest.raises(Unavailable):
        exported(client, "parquet")


def test_thousands_of_traces_take_no_more_memory_than_some(client):
    filler = "x" * 20_000
    for number in range(600):
        client.end_trace(client.start_trace(f"trace {number}", inputs={"filler": filler + str(number)}))
    client.flush()
    tracemalloc.start()
    size = 0
    for chunk in transfer.chunks(client):
        size += len(chunk)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 12_000_000
    assert most < 6_000_000


# --- and back ----------------------------------------------------------------------------------------


def test_traces_come_back_as_they_were(client, ids):
    with al.start_span("open still"):
        client.flush()
        data, count = exported(client)
        before = [client.get_trace(one.trace_id).to_dict() for one in traces(client)]
    assert count == 13
    with fresh_client() as other:
        found = import_traces(other, io.BytesIO(data))
        assert (found.traces, found.spans) == (13, sum(len(one["spans"]) for one in before))
        assert [one.to_dict() for one in traces(other)] == before
        again = import_traces(other, io.BytesIO(gzip.compress(data)))
        assert (again.traces, again.spans) == (13, 0)
        assert [one.to_dict() for one in traces(other)] == before


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TREES)
def test_any_tree_comes_back_as_it_was(trees):
    with fresh_client() as client, fresh_client() as other:
        record(client, trees)
        data, _ = exported(client)
        import_traces(other, io.BytesIO(data))
        assert [one.to_dict() for one in traces(other)] == [one.to_dict() for one in traces(client)]


def record(client, trees):
    def below(parent, tree):
        span = client.start_span("step", parent, inputs={"n": len(tree)})
        span.set_usage(al.TokenUsage(input_tokens=len(tree) + 1))
        for child in tree:
            below(span, child)
        client.end_span(span)

    for tree in trees:
        below(None, tree)


def test_an_import_adds_what_is_new_and_ends_what_was_open(client):
    root = client.start_trace("job")
    client.end_span(client.start_span("first", root))
    client.flush()
    early, _ = exported(client)
    client.end_span(client.start_span("second", root))
    client.end_trace(root, outputs="done")
    client.log_assessment(root.trace_id, al.Feedback(name="good", value=True))
    late, _ = exported(client)
    with fresh_client() as other:
        assert import_traces(other, io.BytesIO(early)).spans == 2
        assert str(other.get_trace(root.trace_id).state) == "IN_PROGRESS"
        assert import_traces(other, io.BytesIO(late)).spans == 2
        assert other.get_trace(root.trace_id).to_dict() == client.get_trace(root.trace_id).to_dict()
        assert import_traces(other, io.BytesIO(early)).spans == 0
        assert other.get_trace(root.trace_id).to_dict() == client.get_trace(root.trace_id).to_dict()


def test_an_import_is_redacted_as_the_settings_say(client):
    client.end_trace(client.start_trace("mail", inputs="ada@example.com", tags={"who": "ada@example.com"}))
    client.log_assessment(traces(client)[0].trace_id, al.Feedback(name="x", value="ada@example.com"))
    data, _ = exported(client)
    with fresh_client(redact=["email"]) as other:
        import_traces(other, io.BytesIO(data))
        assert "ada@example.com" not in str(traces(other)[0].to_dict())


def test_a_line_that_is_no_trace_is_told_with_its_number(client, ids):
    data, _ = exported(client)
    lines = data.splitlines(keepends=True)
    with fresh_client() as other:
        with pytest.raises(InvalidTrace, match=r"line 4 is no trace: .*The 3 before it were taken in"):
            import_traces(other, io.BytesIO(b"".join([*lines[:3], b'{"info": 1}\n', *lines[3:]])))
        assert len(traces(other)) == 3


def changed(line, change):
    told = json.loads(line)
    change(told)
    return json.dumps(told).encode() + b"\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["spans"][0].update(start_time_ns="soon"),
        lambda told: told["spans"][0].update(start_time_ns=-1),
        lambda told: told["spans"][0].update(end_time_ns=2**70),
        lambda told: told["spans"][0].update(span_id="x"),
        lambda told: told["spans"][0].update(span_type="NO_SUCH_TYPE", name=5),
        lambda told: told["spans"][0].update(trace_id="0" * 31 + "1"),
        lambda told: told["spans"][0].update(attributes=[]),
        lambda told: told["spans"][0].update(usage={"input_tokens": -5}),
        lambda told: told["spans"][0]["status"].update(code="MAYBE"),
        lambda told: told["info"].update(tags={"a": 1}),
        lambda told: told["info"].update(state="ODD"),
        lambda told: told["info"].pop("name"),
        lambda told: told.pop("spans"),
        lambda told: told.update(spans=None),
        lambda told: told["spans"][0].pop("events"),
    ],
)
def test_a_trace_that_can_not_be_is_not_taken_in(client, ids, change):
    data, _ = exported(client, trace_ids=ids[:1])
    with fresh_client() as other:
        with pytest.raises(InvalidTrace, match="line 1 is no trace"):
            import_traces(other, io.BytesIO(changed(data, change)))
        assert traces(other) == []


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:200] + b"\0" * 50 + data[250:]])
def test_a_damaged_file_is_told(client, ids, damage):
    data, _ = exported(client)
    with fresh_client() as other, pytest.raises(InvalidTrace, match=r"damaged|no trace"):
        import_traces(other, io.BytesIO(damage(gzip.compress(data))))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_do_harm(data):
    with fresh_client() as other:
        try:
            import_traces(other, io.BytesIO(data))
        except InvalidTrace:
            pass
        assert traces(other) == []


def test_an_import_of_nothing_is_nothing(client):
    assert import_traces(client, io.BytesIO(b"\n\n")).traces == 0


def test_ids_to_export_are_checked(client):
    with pytest.raises(InvalidQuery):
        exported(client, trace_ids=["' OR 1=1"])


def test_text_that_is_no_unicode_leaves_all_the_same(client):
    client.end_trace(client.start_trace("half \ud83d", inputs={"a": "\ud83d"}, user="\ud800"))
    for form in ("jsonl", "csv", *(["parquet"] if importlib.util.find_spec("pyarrow") else [])):
        data, count = exported(client, form)
        assert count == 1
        assert data


def test_samples_leave_and_come_back_with_what_they_cost(client):
    sample.record(client, 3)
    data, _ = exported(client)
    with fresh_client() as other:
        import_traces(other, io.BytesIO(data))
        assert [one.info.cost for one in traces(other)] == [one.info.cost for one in traces(client)]
