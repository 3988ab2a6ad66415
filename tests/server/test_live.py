"""Whoever listens is told of changes, whichever process made them, until they go or the server ends."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from textwrap import dedent

import pytest

from autolog import Client
from autolog.server import live
from autolog.server.app import create_app
from autolog.testing import fresh_client
from tests.server.conftest import Http
from tests.serving import running, serving


class Listener:
    """Reads events from a server, one at a time."""

    def __init__(self, http, **headers):
        self.response = http("GET", "/api/changes", headers=headers, preload_content=False)
        assert self.response.status == 200
        assert self.response.headers["Content-Type"].startswith("text/event-stream")
        self.left = b""

    def next(self):
        """Return the next event, or comment, as its lines; `None` at the end."""
        while b"\n\n" not in self.left:
            part = self.response.read1()
            if not part:
                return None
            self.left += part
        event, _, self.left = self.left.partition(b"\n\n")
        return event.decode().split("\n")

    def change(self):
        """Return the id and the data of the next change."""
        while (lines := self.next()) is not None:
            told = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
            if told.get("event") == "change":
                return told["id"], json.loads(told["data"])
        return None

    def close(self):
        self.response.close()


@pytest.fixture
def shared(tmp_path):
    """A store in a file, and a server of it."""
    path = tmp_path / "traces.db"
    with fresh_client(str(path)) as client:
        client.end_trace(client.start_trace("first"))
        client.flush()
        with serving(client) as address:
            yield path, client, Http(address)


def record(path, name):
    other = Client(path)
    other.end_trace(other.start_trace(name))
    other.close()


def test_changes_of_this_process_are_told(shared):
    _, client, http = shared
    listener = Listener(http)
    first = listener.change()[1]["version"]  # what was read before may be out of date
    client.end_trace(client.start_trace("second"))
    client.flush()
    assert listener.change()[1]["version"] > first
    listener.close()


def test_changes_in_memory_are_told(client, http):
    listener = Listener(http)
    first = listener.change()[1]
    client.end_trace(client.start_trace("a"))
    client.flush()
    assert listener.change()[1] != first
    listener.close()


def test_changes_of_other_processes_are_told(shared):
    path, _, http = shared
    listener = Listener(http)
    first = listener.change()[1]
    program = f"""
        from autolog import Client
        client = Client({str(path)!r})
        client.end_trace(client.start_trace("elsewhere"))
        client.close()
    """
    subprocess.run([sys.executable, "-c", dedent(program)], check=True)
    assert listener.change()[1] != first
    found = http.get("/api/traces").json()["traces"]
    assert [one["name"] for one in found] == ["elsewhere", "first"]
    listener.close()


@pytest.mark.parametrize("change", ["tag", "assess", "delete"])
def test_every_kind_of_change_is_told(shared, change):
    path, client, http = shared
    [trace] = client.search_traces(return_type="list")
    listener = Listener(http)
    first = listener.change()[1]
    place = f"/api/traces/{trace.trace_id}"
    {
        "tag": lambda: http.post("/api/traces/tags", {"trace_ids": [trace.trace_id], "set": {"a": "b"}}),
        "assess": lambda: http.post(f"{place}/assessments", {"name": "x", "value": 1}),
        "delete": lambda: http.post("/api/traces/delete", {"trace_ids": [trace.trace_id]}),
    }[change]()
    assert listener.change()[1] != first
    listener.close()


def test_all_listeners_are_told_by_one_look(shared, monkeypatch):
    path, client, http = shared
    looks = []
    version = client._store.version
    monkeypatch.setattr(client._store, "version", lambda: (looks.append(1), version())[1])
    listeners = [Listener(http) for _ in range(20)]
    for listener in listeners:
        listener.change()
    before, threads = len(looks), threading.active_count()
    record(path, "second")
    for listener in listeners:
        assert listener.change() is not None
    assert threading.active_count() <= threads + 2
    assert len(looks) - before < 20
    for listener in listeners:
        listener.close()


def test_who_was_away_is_told_what_was_missed(shared):
    path, _, http = shared
    listener = Listener(http)
    seen, _ = listener.change()
    record(path, "second")
    assert listener.change()[0] != seen
    back = Listener(http, **{"Last-Event-ID": seen})
    assert back.change()[0] != seen
    back.close()
    listener.close()


def test_something_is_sent_when_nothing_happens(shared, monkeypatch):
    monkeypatch.setattr(live, "HEARTBEAT", 0.05)
    listener = Listener(shared[2])
    listener.change()
    assert listener.next() == [": still here"]
    listener.close()


def test_who_goes_is_forgotten_and_nobody_looks_any_more(client, monkeypatch):
    monkeypatch.setattr(live, "HEARTBEAT", 0.05)
    app = create_app(client)
    with running(app) as address:
        listeners = [Listener(Http(address)) for _ in range(3)]
        for listener in listeners:
            listener.change()
        assert app.state.changes.listeners == 3
        for listener in listeners:
            listener.close()
        deadline = time.monotonic() + 30
        while app.state.changes.listeners and time.monotonic() < deadline:
            time.sleep(0.01)
        assert app.state.changes.listeners == 0
        assert app.state.changes._watching is None


def test_streams_end_with_the_server(client):
    with serving(client) as address:
        listener = Listener(Http(address))
        listener.change()
    assert listener.change() is None


def test_a_store_that_can_not_be_read_ends_no_stream(shared, monkeypatch):
    from autolog.errors import StoreError

    path, client, http = shared
    listener = Listener(http)
    first = listener.change()[1]
    version, failed = client._store.version, threading.Event()

    def broken():
        failed.set()
        raise StoreError("locked")

    monkeypatch.setattr(client._store, "version", broken)
    assert failed.wait(30)
    monkeypatch.setattr(client._store, "version", version)
    record(path, "second")
    assert listener.change()[1] != first
    listener.close()


# --- a server in a process of its own ----------------------------------------------------------------


PROGRAM = """
    import sys
    from autolog import Client
    from autolog.server.serve import serve
    serve(Client(sys.argv[1]), port=0, on_listening=lambda address: print(address, flush=True))
    print("ended", flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_to_whoever_listens(tmp_path, how):
    program = subprocess.Popen(
        [sys.executable, "-c", dedent(PROGRAM), str(tmp_path / "traces.db")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    address = program.stdout.readline().decode().strip()
    http = Http(address.rstrip("/"))
    listener = Listener(http)
    listener.change()
    program.send_signal(how)
    out, err = program.communicate(timeout=60)
    assert (listener.change(), err.decode()) == (None, "")
    assert (out.decode().split(), program.returncode) == (["ended"], 0)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", int(address.rstrip("/").rpartition(":")[2])), timeout=5)


def test_the_browser_opens_when_the_page_answers(client, monkeypatch):
    from autolog.server import serve as module
    from autolog.server.access import Token

    seen = []

    def opened(url):
        seen.append((url, Http(url.partition("/?")[0]).get("/api/health").status))

    async def until_seen(_server):
        while not seen:
            await asyncio.sleep(0.01)

    monkeypatch.setattr(module.webbrowser, "open", opened)
    monkeypatch.setattr(module.Server, "main_loop", until_seen)
    tokens = [Token("r" * 16, "read"), Token("x" * 16, "write", "x"), Token("t" * 16, "write"), Token("s" * 16, "send")]
    module.serve(client, port=0, open_browser=True, tokens=tokens)
    [(url, status)] = seen
    assert url.endswith("/?token=tttttttttttttttt")
    assert status == 200
