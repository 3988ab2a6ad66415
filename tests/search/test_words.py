"""The index of words finds all that looking finds, and nothing of what is gone; without it, all is found too."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autolog.search.words import Phrase, spaced, words
from autolog.stores.sqlite import migrations, rows, store, texts
from autolog.testing import fresh_client, traces
from tests.search.asked import split

WITH_INDEX = pytest.mark.skipif(not texts.is_available(), reason="this SQLite has no FTS5")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "traces.db")


@pytest.fixture
def eager(monkeypatch):
    """Index every row of payloads at once, however few there are."""
    monkeypatch.setattr(rows, "ROWS_WORTH_INDEXING", 1)


def record(client, inputs=None, outputs=None, name="x"):
    with client.tracer.start_span(name, inputs=inputs) as span:
        if outputs is not None:
            span.set_outputs(outputs)
    return span


def names(client, text, **options):
    return [info.name for info in client.search_traces(text, include_spans=False, return_type="list", **options)]


def index(client):
    client.flush()
    while client._store.tidy():
        pass


def in_index(client, word):
    sql = "SELECT count(*) FROM words WHERE words MATCH ?"
    return client._store._read(lambda c: c.execute(sql, (f'"{word}"',)).fetchone()[0])


# --- words ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phrase", "text", "is_in"),
    [
        ("refund", "Refunds: no. REFUND? yes", True),
        ("refund", "refunds", False),
        ("refund*", "refunds", True),
        ("no refund", "no, refund!", True),
        ("no refund", "refund no", False),
        ("no refund", "no great refund", False),
        ("cafe", "le Caf\u00e9", True),
        ("caf\u00e9", "le cafe", True),
        ("cafe", "cafe\u0301s", False),
        ("strasse", "Straße", True),
        ("東京", "私は東京に住む", True),
        ("京東", "私は東京に住む", False),
        ("東*", "東京", True),
        ("snake case", "snake_case", True),
        ("v2", "v2.1", True),
        ("don't", "DON'T", True),
        ("a *", "a b", True),
    ],
)
def test_a_phrase_is_whole_words_that_follow_one_another(phrase, text, is_in):
    assert Phrase.of(phrase).is_in(text) is is_in


@settings(max_examples=300, deadline=None)
@given(st.text())
@example("\u1e9e \u0130 \u01c5 ½ ① ﬁ \u0345\u0300 \u2126 가 が \U0001d400")
def test_a_word_is_itself_when_it_is_looked_for(text):
    for word in words(text):
        assert words(word) == [word]


@WITH_INDEX
@settings(max_examples=300, deadline=None)
@given(st.text())
@example("\u1e9e \u0130 \u01c5 ½ ① ﬁ \u0345\u0300 \u2126 가 が \U0001d400 \0 a\u0338b e\u0301 x\u3099y नमस्ते ทดสอบ")
def test_the_index_has_every_word_that_looking_finds(text):
    connection = sqlite3.connect(":memory:")
    connection.execute(texts._CREATE)
    connection.execute(
        "INSERT INTO words(rowid, text) VALUES (1, ?)", (spaced(text.encode("utf-8", "replace").decode()),)
    )
    for word in words(text.encode("utf-8", "replace").decode()):
        found = connection.execute("SELECT rowid FROM words WHERE words MATCH ?", (f'"{spaced(word)}"',)).fetchall()
        assert found == [(1,)], word
    connection.close()


@given(st.text(alphabet="aB1 _-.é\u0301ß東京"))
def test_words_are_what_a_reader_takes_for_words(text):
    assert words(text) == split(text)


# --- the index -----------------------------------------------------------------------------------------------


@WITH_INDEX
def test_words_are_indexed_when_there_is_nothing_to_write(path, monkeypatch):
    monkeypatch.setattr(rows, "ROWS_WORTH_INDEXING", 5)
    done = threading.Event()
    tidy = store.SqliteStore.tidy
    monkeypatch.setattr(
        store.SqliteStore, "tidy", lambda self: tidy(self) or (in_index_now(self) and done.set()) or False
    )

    def in_index_now(one):
        return one._read(lambda c: c.execute("SELECT last FROM indexed").fetchone()[0]) >= 12

    with fresh_client(path, flush_interval=0.01) as client:
        for number in range(12):
            record(client, f"word{number} common", name=str(number))
        assert done.wait(30)
        assert in_index(client, "common") == 12
        assert names(client, "inputs CONTAINS 'WORD7 common'") == ["7"]


@WITH_INDEX
def test_what_is_not_indexed_yet_is_found_too(path, eager):
    with fresh_client(path) as client:
        record(client, "needle in hay", name="indexed")
        index(client)
        rows.ROWS_WORTH_INDEXING = 1_000
        record(client, "needle in straw", name="not yet")

        assert in_index(client, "needle") == 1
        assert names(client, "inputs CONTAINS 'needle in'") == ["not yet", "indexed"]
        assert names(client, "inputs CONTAINS 'straw' AND name = 'not yet'") == ["not yet"]


@WITH_INDEX
def test_a_search_for_words_brings_the_index_up_to_date(path, eager):
    with fresh_client(path) as client:
        record(client, {"question": ["needle"]})
        assert names(client, "inputs CONTAINS 'needle'") == ["x"]
        assert in_index(client, "needle") == 1
        assert in_index(client, "question") == 0


def test_a_file_that_is_locked_is_searched_all_the_same(path, eager, monkeypatch):
    monkeypatch.setattr(store, "_BUSY_SECONDS", 0.05)
    with fresh_client(path) as client:
        record(client, "needle")
        client.flush()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert names(client, "inputs CONTAINS 'needle'") == ["x"]
        other.execute("ROLLBACK")
        other.close()


@WITH_INDEX
@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "not indexed"])
def test_nothing_of_a_deleted_trace_is_found(path, monkeypatch, indexed):
    monkeypatch.setattr(rows, "ROWS_WORTH_INDEXING", 1 if indexed else 1_000)
    with fresh_client(path) as client:
        kept = record(client, "needle kept", name="kept")
        gone = record(client, "needle gone", name="gone")
        index(client)
        client.delete_traces(gone.trace_id)
        # SQLite gives the number of the deleted row again.
        record(client, "straw", name="new")
        index(client)

        assert names(client, "inputs CONTAINS 'needle'") == ["kept"]
        assert names(client, "inputs CONTAINS 'gone'") == []
        assert names(client, "inputs CONTAINS 'straw'") == ["new"]
        if indexed:
            assert [in_index(client, word) for word in ("needle", "gone", "straw")] == [1, 0, 1]
        assert client.delete_traces([kept.trace_id]) == 1


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "not indexed"])
def test_the_last_that_is_known_of_a_span_counts(path, monkeypatch, indexed):
    monkeypatch.setattr(rows, "ROWS_WORTH_INDEXING", 1 if indexed else 1_000)
    with fresh_client(path) as client:
        with client.tracer.start_span("root", inputs="first thought") as span:
            client.flush()
            assert names(client, "inputs CONTAINS 'first thought'") == ["root"]
            span.set_inputs("second thought")
        index(client)

        assert names(client, "inputs CONTAINS 'first thought'") == []
        assert names(client, "inputs LIKE 'first%'") == []
        assert names(client, "span.inputs CONTAINS 'second thought' AND span.status = 'OK'") == ["root"]


def test_without_the_index_all_is_found_and_deleted(path, monkeypatch):
    monkeypatch.setattr(texts, "is_available", lambda: False)
    with fresh_client(path) as client:
        span = record(client, "a needle", {"answer": "none"})
        record(client, "hay")
        assert names(client, "inputs CONTAINS 'needle' AND outputs CONTAINS 'none'") == ["x"]
        assert client._store.tidy() is False
        assert client.delete_traces(span.trace_id) == 1
        assert names(client, "text CONTAINS 'needle'") == []


@WITH_INDEX
def test_two_programs_index_one_file_at_once(path, eager, monkeypatch):
    monkeypatch.setattr(texts, "_MOST_ROWS", 3)
    with fresh_client(path) as client, fresh_client(path) as other:
        for number in range(60):
            record((client, other)[number % 2], f"word{number} common", name=str(number))
        client.flush()
        other.flush()
        workers = [threading.Thread(target=index, args=[one]) for one in (client, other)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

        assert in_index(client, "common") == 60
        assert names(other, "inputs CONTAINS 'word5*'", order_by="name") == ["5", *[str(n) for n in range(50, 60)]]
        assert client._store._read(lambda c: c.execute("PRAGMA integrity_check").fetchone()) == ("ok",)


def test_a_damaged_payload_is_passed_over(path, eager):
    with fresh_client(path) as client:
        record(client, "needle " * 100, name="damaged")
        record(client, "needle", name="sound")
        client.flush()
        client._store._transaction(lambda c: c.execute("UPDATE payloads SET body = x'00ff', codec = 1 WHERE rid = 1"))

        assert names(client, "inputs CONTAINS 'needle'") == ["sound"]
        assert names(client, "inputs LIKE '%needle%' OR span.attributes.x = 1") == ["sound"]
        assert client.delete_traces(before=2**62) == 2


# --- labels --------------------------------------------------------------------------------------------------


def labels(client):
    return client._store._read(lambda c: sorted(c.execute("SELECT start_ns, rid FROM labels")))


def test_a_trace_is_found_by_its_labels_wherever_it_moves(client):
    span = client.tracer.start_span("late", "TOOL", start_time_ns=1_000)
    span.trace_context.tags = {"a": "1"}
    span.set_attribute("gen_ai.request.model", "m")
    span.end(1_100)
    client.flush()
    early = client.tracer.start_span("early", parent=span, start_time_ns=500)
    early.end(600)
    client.flush()
    client.set_trace_tag(span.trace_id, "b", "2")
    client.delete_trace_tag(span.trace_id, "a")

    for text in ("tags.b = '2'", "span.type = 'TOOL'", "span.name = 'late'", "span.name = 'early'", "model = 'm'"):
        assert names(client, text) == ["late"], text
    assert names(client, "tags.a = '1'") == []
    assert {start for start, _ in labels(client)} == {500}
    assert client.delete_traces(span.trace_id) == 1
    assert labels(client) == []


def test_of_very_many_names_each_is_found(client):
    with client.tracer.start_span("root") as root:
        for number in range(500):
            client.tracer.start_span(f"step {number}", parent=root).end()
    record(client, name="other")

    assert names(client, "span.name = 'step 499'") == ["root"]
    assert names(client, "span.name IN ('step 7', 'other')") == ["other", "root"]
    assert names(client, "span.name = 'step 500'") == []
    assert len(labels(client)) < 250
    assert client.delete_traces(root.trace_id) == 1
    assert len(labels(client)) == 2


def test_a_store_of_the_first_version_is_searched(path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    monkey = migrations.STEPS
    try:
        migrations.STEPS = monkey[:1]
        migrations.migrate(connection)
    finally:
        migrations.STEPS = monkey
    connection.execute(
        "INSERT INTO traces(rid, trace_id, rank, state, name, start_ns, experiment, spans, errors, tags) "
        "VALUES (1, ?, 2, 1, 'old', 5, 'default', 1, 0, ?)",
        (b"\x01" * 16, '{"env": "prod"}'),
    )
    connection.execute(
        "INSERT INTO spans(rid, span_id, name, type, status, start_ns, model) VALUES (1, ?, 'step', 'TOOL', 1, 5, 'gpt')",
        (b"\x02" * 8,),
    )
    body = b'[{"span_id":"' + b"02" * 8 + b'","inputs":"old words"}]'
    connection.execute("INSERT INTO payloads(rid, codec, body) VALUES (1, 0, ?)", (body,))
    connection.executemany("INSERT INTO labels VALUES (?, ?, 5, 1)", [("tag.env", "prod"), ("model", "gpt")])
    connection.execute("COMMIT")
    connection.close()

    with fresh_client(path) as client:
        for text in (
            "tags.env = 'prod'",
            "model = 'gpt'",
            "span.name = 'step'",
            "span.type = 'TOOL'",
            "inputs CONTAINS 'old'",
        ):
            assert names(client, text) == ["old"], text
        assert [trace.name for trace in traces(client)] == ["old"]


# --- several at once -----------------------------------------------------------------------------------------


def test_threads_search_while_others_write(path):
    failed = []
    stop = threading.Event()
    with fresh_client(path, flush_interval=0.01) as client:

        def search():
            while not stop.is_set():
                try:
                    found = names(client, "name = 'x' AND inputs CONTAINS 'needle' OR tags.a = 'b'", max_results=20)
                    assert set(found) <= {"x"}
                except Exception as error:
                    failed.append(error)
                    return

        threads = [threading.Thread(target=search) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(200):
            record(client, f"needle {number}")
        client.flush()
        stop.set()
        for thread in threads:
            thread.join()
        assert failed == []
        assert len(names(client, "inputs CONTAINS 'needle'", max_results=1_000)) == 200


FORKING = """
import os, sys, autolog as al
client = al.Client(sys.argv[1])
def names(): return [i.name for i in client.search_traces("inputs CONTAINS 'needle'", include_spans=False, return_type="list")]
client.tracer.start_span("parent", inputs="needle").end()
assert names() == ["parent"]
child = os.fork()
if child == 0:
    client.tracer.start_span("child", inputs="needle").end()
    found = names()
    client.close()
    os._exit(0 if found == ["child", "parent"] else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert names() == ["child", "parent"]
client.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_parent_and_child_of_a_fork_search_both(path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING, path], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_program_that_only_records_loads_nothing_of_searching(path):
    script = (
        "import sys, autolog as al; client = al.Client(sys.argv[1]); client.tracer.start_span('x').end(); client.close();"
        "print([name for name in ('lark', 're2', 'autolog.search.filter', 'autolog.search.words') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script, path], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
