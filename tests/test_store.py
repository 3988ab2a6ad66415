"""The store keeps what it is given, finds it again, and says clearly when it can't."""

from __future__ import annotations

import datetime
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autolog as al
from autolog import Client, InvalidQuery, InvalidSetting, NotFound, SpanType, StoreError, TokenUsage, TraceState
from autolog.model.outline import outline
from autolog.stores.base import default_path
from autolog.stores.sqlite import migrations
from autolog.testing import fresh_client, spans, traces


@pytest.fixture
def path(tmp_path):
    return tmp_path / "traces.db"


def record(name="t", **context):
    with al.context(**context), al.start_span(name) as span:
        span.set_attribute("gen_ai.request.model", context.get("tags", {}).get("model", "m"))
    return span


# --- where it is -----------------------------------------------------------------------------------------


def test_the_default_store_is_in_the_nearest_parent_that_has_one(tmp_path, monkeypatch):
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert default_path() == below / ".autolog" / "traces.db"

    (tmp_path / ".autolog").mkdir()
    (tmp_path / ".autolog" / "traces.db").touch()
    assert default_path() == tmp_path / ".autolog" / "traces.db"


def test_the_default_store_is_private_and_unknown_to_git(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    client = Client()
    with client.tracer.start_span("x"):
        pass
    client.close()

    stored = tmp_path / ".autolog" / "traces.db"
    assert stored.stat().st_mode & 0o077 == 0
    assert (tmp_path / ".autolog" / ".gitignore").read_text() == "*\n"


def test_nothing_is_made_before_something_is_recorded(path):
    with fresh_client(str(path)) as client:
        assert client.search_traces(return_type="list") == []
        with pytest.raises(NotFound):
            client.get_trace("0" * 31 + "1")
    assert not path.exists()


def test_the_variable_and_the_argument_choose_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOLOG_STORE", str(tmp_path / "by_variable.db"))
    assert Client().location == str(tmp_path / "by_variable.db")
    assert Client(str(tmp_path / "by_argument.db")).location == str(tmp_path / "by_argument.db")
    assert Client(f"sqlite:///{tmp_path}/by_url.db").location == str(tmp_path / "by_url.db")


def test_an_unknown_kind_of_store_is_refused_with_the_known_ones():
    with pytest.raises(InvalidSetting, match="no store at 'mysql://x'; use a path, sqlite"):
        Client("mysql://x")


def test_set_store_loses_nothing_of_what_was_recorded_before(tmp_path):
    with fresh_client(str(tmp_path / "a.db")) as client:
        record("first")
        client.set_store(str(tmp_path / "b.db"))
        record("second")
        assert [trace.name for trace in traces(client)] == ["second"]
        client.set_store(str(tmp_path / "a.db"))
        assert [trace.name for trace in traces(client)] == ["first"]


# --- writing ---------------------------------------------------------------------------------------------


def test_writing_a_batch_twice_counts_it_once(client):
    with client.tracer.start_span("root") as root, client.tracer.start_span("call", SpanType.LLM) as call:
        call.set_usage(TokenUsage(1, 2, 3))
        call.set_status("ERROR", "no")
    client.flush()
    before = traces(client)
    client._store.write([call, root])

    assert traces(client) == before
    assert before[0].usage == TokenUsage(1, 2, 3)
    assert (before[0].info.span_count, before[0].info.error_count) == (2, 1)


def test_a_running_span_is_visible_and_replaced_by_its_end(client):
    span = client.tracer.start_span("slow", inputs={"q": 1})
    with span:
        client.flush()
        [running] = traces(client)
        assert running.state is TraceState.IN_PROGRESS
        assert running.duration_ns is None
        assert running.spans[0].inputs == {"q": 1}
        assert "running" in str(running)
        span.set_outputs("done")
    [ended] = traces(client)

    assert ended.state is TraceState.OK
    assert ended.spans[0].outputs == "done"
    assert ended.info.span_count == 1


def test_a_running_span_that_comes_after_its_end_changes_nothing(client):
    span, other = client.tracer.start_span("slow", inputs={"q": 1}), client.tracer.start_span("other")
    running = [span.copy(), other.copy()]
    span.set_outputs("done")
    span.end()
    client._store.write([span])
    client._store.write(running)
    [trace] = [trace for trace in traces(client) if trace.name == "slow"]

    assert (trace.state, trace.spans[0].outputs) == (TraceState.OK, "done")
    assert client.get_span(span.trace_id, span.span_id).outputs == "done"
    assert client.get_span(other.trace_id, other.span_id).end_time_ns is None


def test_events_that_are_too_many_bytes_stay_without_their_attributes():
    with fresh_client(max_payload=2_000) as client:
        with client.tracer.start_span("x") as span:
            for number in range(50):
                span.add_event("e", {"text": "x" * number})
        [found] = spans(client)

    assert [event.name for event in found.events] == ["e"] * 50
    assert {*map(str, (event.attributes for event in found.events))} == {
        "{'autolog.truncated': 'more than AUTOLOG_MAX_PAYLOAD'}"
    }


def test_a_late_child_joins_a_trace_that_has_ended(client):
    with client.tracer.start_span("root") as root:
        pass
    client.flush()
    with client.tracer.start_span("late", parent=root) as late:
        late.set_usage(TokenUsage(1, 1, 2))
    [trace] = traces(client)

    assert [(span.name, span.parent_id) for span in trace.spans] == [("root", None), ("late", root.span_id)]
    assert trace.usage == TokenUsage(1, 1, 2)
    assert trace.duration_ns == root.duration_ns


def test_the_trace_is_named_and_judged_by_its_root_though_children_come_first(client):
    with client.tracer.start_span("root", inputs="the question") as root:
        with client.tracer.start_span("child") as child:
            child.set_status("ERROR")
        client.flush()
        root.set_outputs({"choices": [{"message": {"content": "the answer"}}]})
    [trace] = traces(client)

    assert (trace.name, trace.state) == ("root", TraceState.OK)
    assert (trace.info.request_preview, trace.info.response_preview) == ("the question", "the answer")


def test_hostile_text_is_kept_as_it_is(client):
    name = "'; DROP TABLE traces; -- \x00 \ud800 \U0001f600"
    record(name, tags={"k'": 'v"\x00'}, session_id="s\ud800")
    [trace] = traces(client)

    assert trace.name == name.replace("\ud800", "\ufffd")
    assert trace.info.tags == {"k'": 'v"\x00'}
    assert len(client.search_traces(tags={"k'": 'v"\x00'}, return_type="list")) == 1


# --- searching -------------------------------------------------------------------------------------------

NAMES, TAGS, SESSIONS = ("a", "b"), ("x", "y"), ("s", "t")
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from([*NAMES, "none"]),
        "session": st.sampled_from(SESSIONS),
        "experiment": st.sampled_from(["e", "f"]),
        "status": st.sampled_from(["OK", "error", "IN_PROGRESS"]),
        "model": st.sampled_from(["m1", "m2"]),
        "tags": st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from(TAGS), max_size=2),
        "since": st.integers(0, 30),
        "until": st.integers(0, 30),
        "max_results": st.integers(0, 30),
    },
)


@pytest.fixture(scope="module")
def filled():
    """A store of many traces, of every mixture of what can be searched."""
    with fresh_client() as client:
        for number in range(24):
            client.tracer.experiment = "ef"[number % 2]
            with al.context(
                session_id=SESSIONS[number // 2 % 2], tags={"k": TAGS[number // 3 % 2], "l": TAGS[number // 5 % 2]}
            ):
                span = client.tracer.start_span(NAMES[number // 4 % 2], start_time_ns=number + 1)
            span.set_attribute("gen_ai.response.model", f"m{number % 3}")
            if number % 7 == 0:
                span.set_status("ERROR")
            if number % 11:
                span.end(number + 5)
        client.flush()
        yield client, traces(client)


@settings(max_examples=200, deadline=None)
@given(CONDITIONS)
def test_search_agrees_with_looking_at_every_trace(filled, conditions):
    client, everything = filled

    def meets(trace):
        info = trace.info
        return (
            conditions.get("name") in (None, info.name)
            and conditions.get("session") in (None, info.session)
            and conditions.get("experiment") in (None, info.experiment)
            and (conditions.get("status") or str(info.state)).upper() == str(info.state)
            and conditions.get("model") in (None, trace.spans[0].model)
            and all(info.tags.get(key) == value for key, value in conditions.get("tags", {}).items())
            and info.start_time_ns >= conditions.get("since", 0)
            and info.start_time_ns < conditions.get("until", 2**60)
        )

    expected = [trace.info for trace in reversed(everything) if meets(trace)][: conditions.get("max_results", 100)]
    assert client.search_traces(**conditions, include_spans=False, return_type="list") == expected


def test_times_are_datetimes_or_nanoseconds(client):
    record("now")
    now = datetime.datetime.now(datetime.timezone.utc)
    hour = datetime.timedelta(hours=1)

    assert len(client.search_traces(since=now - hour, until=now + hour, return_type="list")) == 1
    assert client.search_traces(until=now - hour, return_type="list") == []


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"status": "GOOD"}, "'GOOD' is not a status of a trace; there are: IN_PROGRESS, OK, ERROR"),
        ({"max_results": -1}, "max_results must be a whole number"),
        ({"name": 3}, "name must be a string, not 3"),
        ({"tags": "x"}, "tags must be a mapping"),
        ({"since": "yesterday"}, "since must be a datetime, or nanoseconds"),
        ({"return_type": "json"}, "return_type must be 'pandas' or 'list'"),
    ],
)
def test_a_wrong_search_says_what_is_wrong(client, conditions, message):
    with pytest.raises(InvalidQuery, match=message):
        client.search_traces(**conditions)


def test_the_result_is_a_data_frame_where_pandas_is_installed(client):
    pandas = pytest.importorskip("pandas")
    assert list(client.search_traces().columns[:3]) == ["trace_id", "name", "state"]
    span = record("x", tags={"a": "b"}, session_id="s")
    frame = client.search_traces()

    assert isinstance(frame, pandas.DataFrame)
    [row] = frame.to_dict("records")
    assert (row["trace_id"], row["session"], row["tags"]) == (span.trace_id, "s", {"a": "b"})
    assert row["spans"][0]["name"] == "x"


def test_the_result_is_a_list_where_pandas_is_not_installed(client, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    record()
    assert isinstance(client.search_traces(), list)


def test_the_last_trace_is_known(client):
    assert client.get_last_active_trace_id() is None
    span = record()
    assert client.get_last_active_trace_id() == span.trace_id
    assert al.get_trace(al.get_last_active_trace_id()).spans == (span,)


@pytest.mark.parametrize("trace_id", ["", "x", "0" * 32, "f" * 32, "é" * 32])
def test_a_trace_that_there_is_not_is_not_found(client, trace_id):
    record()
    with pytest.raises(NotFound, match="search_traces"):
        client.get_trace(trace_id)


# --- deleting --------------------------------------------------------------------------------------------


def test_traces_are_deleted_by_id_experiment_and_age(client):
    first = record("first")
    client.tracer.experiment = "other"
    for number in range(250):
        client.tracer.start_span(f"{number}", start_time_ns=number + 1).end()
    record("last")

    assert client.delete_traces(first.trace_id) == 1
    assert client.delete_traces([first.trace_id]) == 0
    assert client.delete_traces(experiment="other", before=100, max_traces=10) == 10
    assert client.delete_traces(experiment="none") == 0
    assert client.delete_traces(before=1_000) == 240
    assert [trace.name for trace in traces(client)] == ["last"]
    left = client._store._read(
        lambda c: [c.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("spans", "payloads")]
    )
    assert left == [1, 1]


def test_deleting_needs_to_be_told_what(client):
    with pytest.raises(InvalidQuery, match="say what to delete"):
        client.delete_traces()
    with pytest.raises(InvalidQuery, match="not a trace id"):
        client.delete_traces(["%"])


# --- several processes -----------------------------------------------------------------------------------

WRITER = """
import sys, autolog as al
client = al.Client(sys.argv[1])
shared = int(sys.argv[2])
for number in range(50):
    with client.tracer.start_span(f"{sys.argv[3]}-{number}"):
        with client.tracer.start_span("child"): pass
    if number % 10 == 0:
        assert client.flush()
client.close()
assert client.stats().dropped == {}, client.stats()
"""


def test_four_processes_write_and_one_reads_at_once(path):
    processes = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), "1", str(n)]) for n in range(4)]
    with fresh_client(str(path)) as reader:
        while any(process.poll() is None for process in processes):
            for trace in reader.search_traces(return_type="list", max_results=5):
                assert trace.info.span_count >= 1
        assert [process.wait() for process in processes] == [0] * 4
        found = reader.search_traces(return_type="list", max_results=1_000)

    assert len(found) == 200
    assert all(len(trace.spans) == 2 for trace in found)
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_lock_held_by_another_process_delays_and_loses_nothing(path, monkeypatch, caplog):
    monkeypatch.setattr("autolog.stores.sqlite.store._BUSY_SECONDS", 0.05)
    with fresh_client(str(path)) as client:
        record("first")
        client.flush()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        record("second")
        assert client.flush() is False
        assert client.stats().waiting == 1
        assert "locked by another process" in client.stats().last_store_error
        other.execute("ROLLBACK")
        other.close()
        assert client.flush() is True
        assert {trace.name for trace in traces(client)} == {"first", "second"}
    assert "locked by another process" in caplog.text


# --- what can go wrong -----------------------------------------------------------------------------------


def broken(path, caplog):
    """Record on a store that can't be used; return the one message, and what the counters say."""
    with fresh_client(str(path)) as client:
        for _ in range(3):
            record()
            assert client.flush() is False
        stats = client.stats()
        if path.exists():
            with pytest.raises(StoreError) as raised:
                client.search_traces()
            assert str(raised.value) == stats.last_store_error
    warnings = [r.getMessage() for r in caplog.records if "can't be stored" in r.getMessage()]
    assert len(warnings) == 1
    assert stats.waiting == 3
    assert stats.store_errors >= 3
    assert stats.last_store_error in warnings[0]
    assert any("3 spans are lost at exit" in r.getMessage() for r in caplog.records)
    return warnings[0]


def test_a_newer_database_is_left_alone(path, caplog):
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {migrations.VERSION + 5}")
    connection.execute("CREATE TABLE future(x)")
    connection.close()
    before = path.read_bytes()

    assert "Upgrade autolog-tracing, or set AUTOLOG_STORE" in broken(path, caplog)
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_left_alone(path, caplog):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE customers(x)")
    connection.close()
    before = path.read_bytes()

    assert "a database of another program and is left alone" in broken(path, caplog)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_left_alone(path, caplog):
    path.write_text("my precious notes " * 100)

    assert "damaged or not a database" in broken(path, caplog)
    assert path.read_text() == "my precious notes " * 100


def test_a_damaged_database_never_crashes(path, caplog):
    with fresh_client(str(path)) as client:
        for _ in range(50):
            record("x" * 500)
    damaged = bytearray(path.read_bytes())
    damaged[4096:-4096] = os.urandom(len(damaged) - 8192)
    path.write_bytes(damaged)

    with fresh_client(str(path)) as client:
        record()
        client.flush()
        assert "damaged" in client.stats().last_store_error
        assert client.stats().waiting == 1


# Python 3.13 leaves a connection unclosed where connect() raises.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <sqlite3:pytest.PytestUnraisableExceptionWarning")
def test_a_place_that_can_not_be_written_is_told(tmp_path, caplog):
    (tmp_path / "file").touch()

    assert "Set AUTOLOG_STORE to a file that can be written" in broken(tmp_path / "file" / "traces.db", caplog)


def test_a_full_disk_loses_nothing_once_there_is_room_again(path, caplog):
    with fresh_client(str(path)) as client:
        record("before")
        client.flush()
        # SQLite itself reports SQLITE_FULL at this size, as it does on a full disk.
        client._store._connection.execute("PRAGMA max_page_count = 1")
        pages = client._store._connection.execute("PRAGMA page_count").fetchone()[0]
        client._store._connection.execute(f"PRAGMA max_page_count = {pages}")
        for number in range(20):
            with al.start_span(f"{number}", inputs=os.urandom(3_000).hex()):
                pass
        assert client.flush() is False
        assert "no space is left" in client.stats().last_store_error
        assert "recording goes on by itself" in caplog.text
        # The connection was dropped after the error, and with it the limit: there is room again.
        assert client.flush() is True
        assert len(traces(client)) == 21
        assert client.stats().dropped == {}
    assert "can be written again" in caplog.text


def test_recording_goes_on_by_itself_after_a_store_was_mended(tmp_path):
    obstacle = tmp_path / "folder"
    obstacle.touch()
    with fresh_client(str(obstacle / "traces.db")) as client:
        record("early")
        assert client.flush() is False
        obstacle.unlink()
        record("late")
        assert client.flush() is True
        assert {trace.name for trace in traces(client)} == {"early", "late"}


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
def test_what_is_recorded_after_the_file_was_taken_away_is_where_others_find_it(path, tmp_path, how):
    other = tmp_path / "other.db"
    with fresh_client(str(other)) as client:
        record("of the other")
        client.flush()
    with fresh_client(str(path)) as client:
        record("before")
        client.flush()
        seen = client.version()
        assert [trace.name for trace in traces(client)] == ["before"]
        for part in list(path.parent.glob(f"{path.name}*")):
            if how == "deleted":
                part.unlink()
            else:
                part.rename(part.with_name(f"away-{part.name}"))
        if how == "replaced":
            other.rename(path)
        left = ["of the other"] if how == "replaced" else []
        assert [trace.name for trace in traces(client)] == left
        assert client.version() != seen
        record("after")
        assert client.flush() is True
        assert {trace.name for trace in traces(client)} == {*left, "after"}
        with fresh_client(str(path)) as reader:
            assert {trace.name for trace in traces(reader)} == {*left, "after"}


def test_a_search_that_ran_while_the_file_was_taken_away_reads_no_other_one_from_it(path):
    with fresh_client(str(path)) as client:
        record("before")
        client.flush()
        store = client._store
        with store._reader():
            for part in list(path.parent.glob(f"{path.name}*")):
                part.unlink()
            record("after")
            client.flush()
        assert [trace.name for trace in traces(client)] == ["after"]


def test_payloads_that_are_damaged_cost_no_trace(path):
    with fresh_client(str(path)) as client:
        record("kept")
        client.flush()
        client._store._transaction(lambda c: c.execute("UPDATE payloads SET body = x'00ff'"))
        [span] = spans(client)

    assert span.name == "kept"
    assert "payload" in span.attributes["autolog.truncated"]


# --- the schema ------------------------------------------------------------------------------------------


def test_a_migration_that_is_killed_leaves_the_database_as_it_was(path):
    script = f"""
        import os, sqlite3, autolog as al
        from autolog.stores.sqlite import migrations
        statements = migrations._statements
        def dying(step):
            yield from statements(step)[:4]
            os.kill(os.getpid(), 9)
        migrations._statements = dying
        client = al.Client({str(path)!r})
        with client.tracer.start_span("x"): pass
        client.flush()
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False).returncode == -9
    with fresh_client(str(path)) as client:
        record("after")
        assert [trace.name for trace in traces(client)] == ["after"]


def test_the_schema_says_its_version_and_owner(path):
    with fresh_client(str(path)):
        record()
    connection = sqlite3.connect(path)

    assert connection.execute("PRAGMA user_version").fetchone() == (migrations.VERSION,)
    assert connection.execute("PRAGMA application_id").fetchone() == (migrations.APPLICATION_ID,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


# --- parts of a trace ------------------------------------------------------------------------------------


def many(client, count=30):
    with client.tracer.start_span("root") as root:
        for number in range(count):
            with client.tracer.start_span(f"step {number}", SpanType.TOOL) as span:
                span.set_inputs({"span_id": root.span_id, "number": number, "text": f'{{"span_id":"{root.span_id}"'})
                if number % 10 == 0:
                    client.flush()
    return root


def test_an_outline_has_every_span_without_what_went_in(client):
    root = many(client)
    trace = client.get_trace(root.trace_id)

    outlined = client.get_outline(root.trace_id)

    assert outlined == outline(trace)
    assert [span.name for span in outlined.spans] == ["root", *(f"step {number}" for number in range(30))]


def test_an_outline_tells_of_failures_first_tokens_and_calls_that_are_told_of_twice(client):
    with pytest.raises(ValueError, match="no such order"), client.tracer.start_span("ask"):
        with client.tracer.start_span("model", "CHAT_MODEL") as model:
            model.set_attribute("gen_ai.response.time_to_first_chunk", 0.25)
            model.set_attribute("gen_ai.request.model", "m")
        with client.tracer.start_span("same", "CHAT_MODEL") as same:
            same.set_attribute("autolog.duplicate_of", model.span_id)
        raise ValueError("no such order: é")

    outlined = client.get_outline(model.trace_id)

    assert outlined == outline(client.get_trace(model.trace_id))
    assert outlined.info.error == "ValueError: no such order: é"
    [root, model_line, same_line] = outlined.spans
    assert (root.status, root.error_type) == ("ERROR", "ValueError")
    assert (model_line.first_token_ns, model_line.model) == (250_000_000, "m")
    assert same_line.is_duplicate


def test_one_span_is_read_without_the_others(client):
    root = many(client)
    trace = client.get_trace(root.trace_id)

    assert [client.get_span(root.trace_id, span.span_id) for span in trace.spans] == list(trace.spans)
    with pytest.raises(NotFound, match="no span"):
        client.get_span(root.trace_id, "0" * 15 + "1")
    with pytest.raises(NotFound, match="no trace"):
        client.get_outline("0" * 31 + "1")


def test_ids_are_hex_digits_only(client):
    many(client, 1)
    for wrong in ("0x" + "1" * 30, "1_" * 16, "+" + "1" * 31, " " * 31 + "1"):
        with pytest.raises(NotFound):
            client.get_trace(wrong)


def test_traces_are_read_whole_while_others_write(path):
    writer, reader = Client(path), Client(path)
    root = writer.start_trace("long")
    writer.flush()
    is_done = threading.Event()

    def write():
        for number in range(200):
            writer.end_span(writer.start_span(f"step {number}", root, inputs={"n": number}))
            writer.flush()
        is_done.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = []
    while not is_done.is_set():
        trace = reader.get_trace(root.trace_id)
        seen.append(len(trace.spans))
        assert all(span.inputs == {"n": int(span.name.split()[1])} for span in trace.spans if span.parent_id)
        assert trace.info.span_count == len(trace.spans)
    thread.join()
    assert seen == sorted(seen)
    writer.end_trace(root)
    writer.close()
    reader.close()
