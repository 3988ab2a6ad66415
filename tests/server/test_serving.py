"""The server below a path, in front of stores that can't be read, and its files as browsers keep them."""

from __future__ import annotations

import gzip
import re
import shutil
import sqlite3
import stat
import threading
import time

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from autolog import sample
from autolog.server import files, serve
from autolog.server.access import Token
from autolog.server.app import create_app
from autolog.stores.sqlite import rows
from autolog.stores.sqlite import store as sqlite_store
from autolog.testing import fresh_client
from tests.server.conftest import Http
from tests.serving import running, serving

SECRET = "t" * 16


# --- below a path ------------------------------------------------------------------------------------


@pytest.fixture
def mounted(client, ids):
    """A server below a path of another application, as behind a proxy that passes the path on."""
    inner = create_app(client, tokens=[Token(SECRET, "write")])
    outer = Starlette(routes=[Mount("/tools/traces", inner)])
    outer.state.changes, outer.state.client = inner.state.changes, client
    with running(outer) as address:
        yield Http(f"{address}/tools/traces")


def test_it_works_below_a_path(mounted, ids):
    token = {"Authorization": f"Bearer {SECRET}"}
    assert mounted.get("/api/traces").status == 401
    assert len(mounted.get("/api/traces", **token).json()["traces"]) == len(ids)
    assert mounted.post("/api/traces/delete", {"trace_ids": ids[:1]}, **token).json() == {"deleted": 1}
    assert mounted.post("/api/spans", b"", **token).status in (400, 415)
    assert mounted.get("/api/health").json() == {"status": "ok"}


def test_the_page_below_a_path_asks_for_nothing_outside_of_it(mounted):
    page = mounted.get("/").data.decode()
    asked = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert any("app.js" in one for one in asked)
    for one in asked:
        assert not one.startswith(("/", "http")), one
        if not one.startswith("data:"):
            assert mounted.get(f"/{one}").status == 200, one


def test_a_token_in_the_address_stays_below_the_path(mounted):
    answer = mounted.get(f"/?token={SECRET}")
    assert answer.headers["Location"] == "./"
    kept = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
    assert mounted.get("/api/traces", **kept).status == 200


def test_a_path_that_only_looks_like_ours_is_none(mounted):
    for path in ("/api//traces", "//api/traces", "/static/../api/traces", "/api/traces/", "/static/..%2f..%2fapp.py"):
        assert mounted.get(path).status in (401, 404), path


# --- files -------------------------------------------------------------------------------------------


def test_files_of_a_version_are_kept_for_ever_and_the_page_is_asked_for_again(http):
    page = http.get("/")
    assert page.headers["Cache-Control"] == "no-cache"
    scripts = [one for one in re.findall(r'(?:src|href)="([^"]+)"', page.data.decode()) if one.startswith("static/")]
    assert scripts
    for path in scripts:
        assert files.version() in path
        assert "immutable" in http.get(f"/{path}").headers["Cache-Control"]
    assert http.get("/static/app.js").headers["Cache-Control"] == "no-cache"
    plain = http.get("/static/viewer/vendor/htm-preact.js")
    assert http.get("/static/viewer/vendor/htm-preact.js", **{"If-None-Match": plain.headers["ETag"]}).status == 304
    assert "immutable" not in http.get("/static/v-000000000000/app.js").headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/static/nothing.js", "/static/", "/static", "/static/%00", "/static/v-1/", "/static/" + "x" * 300,
                                  "/static/../app.py", "/static/%2e%2e/app.py", "/static/viewer/%2e%2e/%2e%2e/document.py"])  # fmt: skip
def test_nothing_but_files_of_the_page_is_served(http, path):
    assert http.get(path).status in (404, 307)


def test_modules_find_one_another_below_a_version(http):
    page = http.get("/").data.decode()
    [entry] = re.findall(r'type="module" src="([^"]+)"', page)
    seen, todo = set(), [entry]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = http.get(f"/{path}")
        assert answer.status == 200, path
        assert answer.headers["Content-Type"].startswith("text/javascript"), path
        folder = path.rpartition("/")[0]
        todo += [f"{folder}/{one[2:]}" for one in re.findall(r'(?:from|import) ?\(?"(\./[^"]+)"', answer.data.decode())]
    assert len(seen) > 5


def test_large_answers_are_compressed_where_that_is_understood(http, ids):
    plain = http("GET", "/api/traces", headers={"Accept-Encoding": "identity"}, decode_content=False)
    packed = http("GET", "/api/traces", headers={"Accept-Encoding": "gzip"}, decode_content=False)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.data) < len(plain.data) / 3
    assert gzip.decompress(packed.data) == plain.data


# --- stores that can't be read -----------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path):
    """A file with traces, and a server of it that has not looked at it yet."""
    path = tmp_path / "traces.db"
    with fresh_client(str(path)) as writer:
        sample.record(writer, 3)
    with fresh_client(str(path)) as client, serving(client) as address:
        yield path, Http(address)


ASKED = [
    "/api/traces",
    "/api/count",
    "/api/fields",
    f"/api/traces/{'a' * 32}",
    "/api/export",
    "/api/experiments",
    "/api/sessions",
]


@pytest.mark.parametrize("path", ASKED)
def test_a_damaged_store_is_told_and_used_again_once_it_is_mended(stored, path):
    file, http = stored
    kept = file.with_suffix(".kept")
    shutil.copy(file, kept)
    file.write_bytes(b"This is no database. " * 1_000)
    answer = http.get(path)
    assert (answer.status, answer.json()["error"]) == (503, "StoreError")
    assert "damaged" in answer.json()["message"]
    shutil.copy(kept, file)
    assert http.get("/api/traces").status == 200


def test_a_newer_store_is_told(stored):
    file, http = stored
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    answer = http.get("/api/traces")
    assert answer.status == 503
    assert "newer autolog" in answer.json()["message"]


def test_a_locked_store_can_be_read_and_not_changed(stored, monkeypatch):
    file, http = stored
    [first, *_] = http.get("/api/traces").json()["traces"]
    monkeypatch.setattr(sqlite_store, "_BUSY_SECONDS", 0.1)
    locking = sqlite3.connect(file, isolation_level=None)
    locking.execute("BEGIN EXCLUSIVE")
    change = {"trace_ids": [first["trace_id"]], "set": {"a": "b"}}
    answer = http.post("/api/traces/tags", change)
    assert answer.status == 503
    assert "locked" in answer.json()["message"]
    assert http.get("/api/traces").status == 200
    locking.close()
    assert http.post("/api/traces/tags", change).json() == {"changed": 1}


def test_a_store_that_is_not_there_yet_is_empty(tmp_path):
    with fresh_client(str(tmp_path / "later" / "traces.db")) as client, serving(client) as address:
        http = Http(address)
        assert http.get("/api/traces").json() == {"traces": [], "next_page_token": None}
        assert http.get("/api/count").json() == {"count": 0, "is_exact": True}
        assert http.get("/api/health").status == 200
        assert not (tmp_path / "later").exists()  # looking makes nothing


def test_a_store_of_nothing_is_told():
    with fresh_client("none:") as client, serving(client) as address:
        answer = Http(address).get("/api/traces")
        assert answer.status == 503
        assert "none:" in answer.json()["message"]


def test_traces_are_private_to_their_owner(stored):
    assert stat.S_IMODE(stored[0].stat().st_mode) == 0o600


# --- what is sent here ---------------------------------------------------------------------------------


def test_what_is_sent_is_indexed_while_nobody_asks(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "ROWS_WORTH_INDEXING", 3)
    monkeypatch.setattr(serve, "_TIDY_EVERY", 0.01)
    path = tmp_path / "traces.db"
    with fresh_client(str(path)) as client, serving(client) as address:
        span = {"name": "a", "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
        spans = [{**span, "traceId": f"{number:032x}", "spanId": f"{number:016x}"} for number in range(1, 9)]
        Http(address).post("/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
        reader = sqlite3.connect(path)
        deadline = time.monotonic() + 60
        while reader.execute("SELECT last FROM indexed").fetchone()[0] < 8 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert reader.execute("SELECT last FROM indexed").fetchone()[0] == 8
        reader.close()


# --- many at once ------------------------------------------------------------------------------------


def test_many_ask_while_others_change(client, http, ids):
    failures = []

    def ask():
        own = Http(http.address)
        for number in range(10):
            for path in ("/api/traces?limit=5", "/api/count", f"/api/traces/{ids[number]}", "/api/fields"):
                answer = own.get(path)
                if answer.status not in (200, 404):
                    failures.append((path, answer.status, answer.data))

    def change():
        own = Http(http.address)
        for number in range(10):
            own.post("/api/traces/tags", {"trace_ids": ids, "set": {"n": str(number)}})
            own.post("/api/traces/delete", {"trace_ids": [ids[number]]})

    threads = [threading.Thread(target=work) for work in (ask, ask, ask, ask, change)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert http.get("/api/count").json()["count"] == 2
