"""While the server is away spans wait on disk, outlive the program, and arrive later: all, in order, each once in effect."""

from __future__ import annotations

import itertools
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from textwrap import dedent

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("urllib3")

import autolog as al
from autolog import Client, SpanType, TokenUsage
from autolog.settings import Settings
from autolog.stores import compression
from autolog.stores.spool import Spool
from autolog.testing import fresh_client, traces
from tests.serving import ServerProcess, http_server, serving

AWAY = "http://127.0.0.1:9"


@pytest.fixture
def spool(tmp_path):
    return tmp_path / ".autolog" / "spool"


@pytest.fixture
def server(tmp_path):
    """A server in a process of its own, which is not started yet."""
    server = ServerProcess(tmp_path / "traces.db")
    yield server
    server.kill()


def client_of(address, spool, **settings):
    return fresh_client(address, spool=str(spool), **settings)


def record(name, tokens=1):
    with al.start_span(name), al.start_span("call", SpanType.LLM) as call:
        call.set_usage(TokenUsage(tokens, 0, tokens))


def waiting(spool):
    return sorted(spool.glob("*/*/*.spans"))


def names_in(body):
    told = json.loads(compression.decompress(body))
    return [span["name"] for span in told["spans"] if "parent_id" not in span]


PROGRAM = """
    import os, signal, sys
    import autolog as al
    from autolog import Client, SpanType, TokenUsage
    from autolog.client import set_default_client
    from autolog.settings import Settings
    address, spool, name, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    client = Client(address, Settings(spool=spool, exit_timeout=1.0))
    set_default_client(client)
    for number in range(count):
        with al.start_span(f"{name} {number}"), al.start_span("call", SpanType.LLM) as call:
            call.set_usage(TokenUsage(1, 0, 1))
        client.flush()
"""
KILLED = "os.kill(os.getpid(), signal.SIGKILL)"


def started(address, spool, name, count, end=""):
    program = dedent(PROGRAM) + end
    command = [sys.executable, "-c", program, address, str(spool), name, str(count)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


# --- away and there again --------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", KILLED])
def test_what_a_program_left_is_sent_by_the_next_one(server, spool, end):
    left = started(server.address, spool, "left", 5, end)
    _, said = left.communicate(timeout=120)
    assert left.returncode == (-signal.SIGKILL if end else 0)
    assert f"no server answers at {server.address}" in said
    assert end or "10 spans could not be sent" in said
    assert [names_in(path.read_bytes()) for path in waiting(spool)] == [[f"left {number}"] for number in range(5)]

    server.start()
    with client_of(server.address, spool) as client:
        record("next")
        found = traces(client)

    assert sorted(trace.name for trace in found) == ["left 0", "left 1", "left 2", "left 3", "left 4", "next"]
    assert all(trace.usage == TokenUsage(1, 0, 1) and len(trace.spans) == 2 for trace in found)
    assert waiting(spool) == []
    assert list(spool.glob("*/*")) == []


def test_what_waits_is_private_and_unknown_to_git(tmp_path, spool):
    with client_of(AWAY, spool) as client:
        record("secret")
        client.flush()
        kept = [spool, *spool.rglob("*")]

        assert waiting(spool)
        assert all(path.stat().st_mode & 0o077 == 0 for path in kept if path != spool.parent)
        assert (spool.parent / ".gitignore").read_text() == "*\n"


@pytest.mark.skipif(sys.platform == "win32", reason="what is locked can't be removed there")
def test_a_folder_that_was_removed_is_made_anew(spool, caplog):
    with client_of(AWAY, spool) as client:
        record("first")
        client.flush(0.1)
        assert len(waiting(spool)) == 1
        shutil.rmtree(spool.parent)
        record("second")
        client.flush(0.1)
        assert [names_in(path.read_bytes()) for path in waiting(spool)] == [["second"]]
    assert "can't be kept on disk" not in caplog.text


def test_a_server_that_is_killed_and_comes_back_has_everything_once_and_in_order(server, spool):
    server.start()
    with client_of(server.address, spool) as client:
        for number in range(60):
            record(f"{number}", tokens=number)
            if number in (10, 35):
                server.kill()
            if number in (25, 50):
                server.start()
            if number % 7 == 0:
                client.flush()
        assert client.flush(60)
        stats = client.stats()
        found = traces(client)

    assert [trace.name for trace in found] == [f"{number}" for number in range(60)]
    assert [trace.usage.total_tokens for trace in found] == list(range(60))
    assert all(len(trace.spans) == 2 for trace in found)
    assert (stats.started, stats.stored, stats.spooled, stats.dropped) == (120, 120, 0, {})
    assert stats.store_errors > 0
    assert "no server answers" in stats.last_store_error or "answer" in stats.last_store_error


def test_what_waits_is_sent_by_itself_once_the_server_is_there(server, spool):
    with client_of(server.address, spool) as client:
        record("x")
        assert not client.flush()
        assert client.stats().spooled == 2
        server.start()
        outbox = client._store._outbox
        with outbox._changed:
            assert outbox._changed.wait_for(lambda: not outbox._waiting, timeout=120)
        assert [trace.name for trace in traces(client)] == ["x"]


def test_an_answer_that_is_lost_costs_nothing_twice(spool):
    with fresh_client() as behind, serving(behind) as address:
        import urllib3

        attempts = []

        def forward(request):
            told = {name: request.headers[name] for name in ("content-type", "content-encoding")}
            answer = urllib3.request("POST", address + request.path, body=request.body, headers=told)
            attempts.append(answer.status)
            return (503, {}, b"") if len(attempts) % 2 else (answer.status, {}, answer.data)

        with http_server(forward) as between, client_of(between, spool) as client:
            for number in range(3):
                record(f"{number}", tokens=10)
                while not client.flush():
                    pass
        found = traces(behind)

    assert attempts == [200] * 6
    assert [trace.name for trace in found] == ["0", "1", "2"]
    assert all(trace.usage == TokenUsage(10, 0, 10) and trace.info.span_count == 2 for trace in found)


def test_processes_that_share_a_folder_send_each_of_their_spans_once(spool):
    is_there, taken, lock = threading.Event(), [], threading.Lock()

    def answer(request):
        if not is_there.is_set():
            return 503, {}, b""
        with lock:
            taken.extend(names_in(request.body))
        return 200, {}, b"{}"

    with http_server(answer) as address:
        wait = "sys.stdin.readline(); client.flush(60)"
        programs = [started(address, spool, name, 10, wait) for name in "abc"]
        with client_of(address, spool) as client:
            expected = sorted(f"{name} {number}" for name, number in itertools.product("abc", range(10)))
            while len(waiting(spool)) < 30:
                assert all(program.poll() is None for program in programs)
            # Theirs are theirs, for as long as they live.
            assert list(client._store._outbox._spool.left_behind()) == []
            is_there.set()
            for program in programs:
                program.communicate("\n", timeout=120)
        assert sorted(taken) == expected
        for name in "abc":
            assert [one for one in taken if one.startswith(name)] == [f"{name} {number}" for number in range(10)]
        assert waiting(spool) == []


def test_the_child_of_a_fork_leaves_to_its_parent_what_waits(spool):
    is_there, taken = threading.Event(), []

    def answer(request):
        if not is_there.is_set():
            return 503, {}, b""
        taken.extend(names_in(request.body))
        return 200, {}, b"{}"

    with http_server(answer) as address:
        program = """
            record = lambda name: client.tracer.start_span(name).end()
            record("before"); client.flush()
            child = os.fork()
            record("child" if child == 0 else "parent"); client.flush()
            if child == 0:
                client.close()
                os._exit(0)
            os.waitpid(child, 0)
            print("ready", file=sys.stderr, flush=True)
            sys.stdin.readline()
            assert client.flush(60)
        """
        forking = started(address, spool, "-", 0, dedent(program))
        while forking.stderr.readline() != "ready\n":
            assert forking.poll() is None
        assert len(waiting(spool)) == 3
        is_there.set()
        forking.communicate("\n", timeout=120)
        assert forking.returncode == 0
        with client_of(address, spool) as client:
            client._store._outbox.flush(60, left_behind=True)

    # The parent may have ended while it sent what its child had left.
    assert sorted(set(taken)) == ["before", "child", "parent"]
    assert len([name for name in taken if name != "child"]) == 2


# --- what a server says ----------------------------------------------------------------------------------


def test_a_server_that_wants_to_be_left_alone_is(spool):
    asked = []

    def answer(request):
        asked.append(request.path)
        return 429, {"retry-after": "600"}, b""

    with http_server(answer) as address, client_of(address, spool) as client:
        record("x")
        for _ in range(5):
            assert not client.flush()
        assert asked == ["/api/spans"]
        assert client.stats().spooled == 2


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "wants a token"), (403, "wants a token"), (413, "refused this"), (400, "refused this"), (307, "sends to")],
)
def test_what_is_refused_for_good_is_counted_and_not_tried_again(spool, caplog, status, said):
    asked = []

    def answer(request):
        asked.append(names_in(request.body))
        return (200, {}, b"{}") if "good" in asked[-1] else (status, {"location": "http://elsewhere/"}, b"")

    with http_server(answer) as address, client_of(address, spool) as client:
        record("bad")
        assert client.flush()
        record("good")
        assert client.flush()
        stats = client.stats()

    assert asked == [["bad"], ["good"]]
    assert (stats.started, stats.stored, stats.dropped) == (4, 2, {"refused": 2})
    assert said in stats.last_store_error
    assert [record.message for record in caplog.records if "2 spans are lost" in record.message]
    assert waiting(spool) == []


def test_a_body_over_which_the_server_breaks_does_not_hold_up_the_others(spool):
    asked = []

    def answer(request):
        asked.append(names_in(request.body)[0])
        return (200, {}, b"{}") if asked[-1] == "good" else (500, {}, b"")

    with http_server(answer) as address, client_of(address, spool) as client:
        record("bad")
        client.flush()
        record("good")
        while not client.flush():
            pass
        stats = client.stats()

    assert asked == ["bad"] * 5 + ["good"]
    assert (stats.stored, stats.dropped) == (2, {"refused": 2})


def test_what_is_damaged_on_disk_is_refused_and_the_rest_sent(server, spool):
    with client_of(server.address, spool) as client:
        for name in "abc":
            record(name)
            client.flush()
    first, second, _ = waiting(spool)
    first.write_bytes(first.read_bytes()[:-20])
    second.write_bytes(b"")
    server.start()
    with client_of(server.address, spool) as client:
        assert [trace.name for trace in traces(client)] == ["c"]
    assert waiting(spool) == []


# --- limits ----------------------------------------------------------------------------------------------


def test_a_full_spool_keeps_the_oldest_and_the_newest_wait_in_memory(spool):
    is_there, taken = threading.Event(), []

    def answer(request):
        if not is_there.is_set():
            return 503, {}, b""
        taken.extend(names_in(request.body))
        return 200, {}, b"{}"

    with http_server(answer) as address, client_of(address, spool, spool_bytes=2_000) as client:
        for number in range(20):
            with al.start_span(f"{number}", inputs=os.urandom(400).hex()):
                pass
            client.flush()
        assert sum(path.stat().st_size for path in waiting(spool)) <= 2_000
        stats = client.stats()
        assert stats.spooled + stats.waiting == 20
        assert 0 < stats.spooled < 20
        assert "AUTOLOG_SPOOL_BYTES" in stats.last_store_error
        is_there.set()
        while not client.flush():
            pass

    assert taken == [f"{number}" for number in range(20)]


def test_what_neither_disk_nor_memory_has_room_for_is_counted(spool, caplog):
    caplog.set_level(logging.CRITICAL)
    with client_of(AWAY, spool, spool_bytes=0, queue_spans=100) as client:
        for number in range(300):
            client.tracer.start_span(f"{number}").end()
        client.flush()
        client.flush()
        stats = client.stats()

    assert stats.started == 300
    assert stats.dropped["queue_full"] + stats.waiting + stats.stored == 300
    assert stats.dropped["queue_full"] > 0


@pytest.mark.parametrize("where", ["none", "unwritable"])
def test_without_a_spool_spans_wait_in_memory(server, tmp_path, where):
    (tmp_path / "file").touch()
    place = "none" if where == "none" else tmp_path / "file" / "spool"
    with client_of(server.address, place) as client:
        record("x")
        assert not client.flush()
        assert (client.stats().waiting, client.stats().spooled) == (2, 0)
        assert (where == "none") or "AUTOLOG_SPOOL says where" in client.stats().last_store_error
        server.start()
        assert client.flush(60)
        assert [trace.name for trace in traces(client)] == ["x"]


def test_the_end_of_a_program_waits_no_longer_than_it_should(spool):
    is_over = threading.Event()

    def answer(_):
        is_over.wait(100)  # a server that hangs
        return 200, {}, b""

    with http_server(answer) as address:
        program = f"""
            client = Client({address!r}, Settings(spool={str(spool)!r}, exit_timeout=0.5))
            client.tracer.start_span("x").end()
        """
        ended = subprocess.run(
            [sys.executable, "-c", dedent(PROGRAM).partition("address")[0] + dedent(program)],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert "1 spans could not be sent" in ended.stderr
        assert len(waiting(spool)) == 1
        is_over.set()


def test_other_addresses_have_spools_of_their_own(spool):
    with client_of(AWAY, spool) as client:
        record("x")
        client.flush()
        other = Spool(spool, "http://127.0.0.1:10", 1_000_000)

        assert other.folder != client._store._outbox._spool.folder
        assert list(other.left_behind()) == []
        assert Settings().spool_bytes == 1_000_000_000
        assert isinstance(client, Client)
