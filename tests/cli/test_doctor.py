"""`autolog doctor`: what is found out about an installation, and what is said to do."""

from __future__ import annotations

import json
import os
import socket
import sqlite3

import pytest

from autolog import Client, __version__
from autolog.health import State, examine
from autolog.health.environment import otlp, server, settings
from autolog.health.libraries import integrations, versions
from autolog.health.store import store as of_store
from autolog.instrumentation.registry import registry
from autolog.sample import record as record_samples
from autolog.settings import Settings


def by_name(findings):
    return {one.name: one for one in findings}


@pytest.fixture
def held(store):
    client = Client(store, Settings())
    record_samples(client, 3)
    client.close()
    return store


def test_a_sound_installation_is_well(shell, held):
    found = shell("doctor")

    assert found.code == 0, found.stdout
    assert {len(row) for row in found.rows} == {5}
    told = {(row[0], row[1]): row[3] for row in found.rows}
    assert told["versions", "autolog"] == __version__
    assert told["store", "place"] == str(held)
    assert told["store", "traces"].startswith("3 with 18 spans, from ")
    assert told["store", "soundness"] == "sound"
    assert told["settings", "store"] == f"{held} by AUTOLOG_STORE"
    assert {row[1] for row in found.rows if row[0] == "integrations"} == set(registry.names())


def test_what_is_wrong_is_told_with_what_to_do_and_by_the_exit_code(shell, held):
    held.write_bytes(b"no database at all" * 5_000)

    found = shell("doctor", "--json", AUTOLOG_DUPLICATES="sometimes", AUTOLOG_STROE="x")
    told = json.loads(found.stdout)

    assert (found.code, told["ok"]) == (1, False)
    problems = {one["name"]: one["advice"] for one in told["findings"] if one["state"] == "problem"}
    assert set(problems) == {"database", "duplicates"}
    assert "move it away" in problems["database"]
    assert problems["duplicates"].startswith("AUTOLOG_DUPLICATES=sometimes can't be used and is ignored")
    [misspelled] = [one for one in told["findings"] if one["name"] == "AUTOLOG_STROE"]
    assert misspelled["advice"] == "there is no setting of this name; did you mean AUTOLOG_STORE?"


def test_a_terminal_sees_sections_and_marks(shell, held):
    screen = shell.on_screen("doctor", width=100)
    assert screen.code == 0
    assert [line for line in screen.lines if line and not line.startswith(("✓", "·", "✗", " "))] == [
        "versions", "integrations", "settings", "store", "elsewhere", "all is well",
    ]  # fmt: skip


def test_each_installed_library_is_traced_and_put_back_in_a_process_of_its_own():
    found = by_name(integrations())
    for status in registry.status():
        one = found[status.name]
        if status.installed is None:
            assert (one.state, one.value) == (State.NOTE, "not installed")
        elif status.supported:
            assert one.state is State.OK, one
            assert one.value.startswith(f"{status.installed}, can be traced")
    assert not any(registry.is_on(name) for name in registry.names())


def test_versions_name_what_is_there():
    found = by_name(versions())
    assert found["autolog"].value == __version__
    assert all(one.state is not State.PROBLEM for one in found.values())


def test_settings_are_told_with_where_they_come_from_and_without_secrets():
    environment = {
        "AUTOLOG_EXPERIMENT": "trial", "AUTOLOG_STORE": "https://ada:hunter22222@traces.example.com",
        "AUTOLOG_TOKEN": "a-secret-that-nobody-sees", "AUTOLOG_SAMPLE_RATIO": "2", "AUTOLOG_COST": "true",
    }  # fmt: skip
    found = by_name(settings(environment))
    assert found["experiment"].value == "trial by AUTOLOG_EXPERIMENT"
    assert found["sample_ratio"].state is State.PROBLEM
    assert found["cost"].state is State.OK
    told = json.dumps([one.to_dict() for one in found.values()])
    assert "hunter22222" not in told
    assert "nobody" not in told


def test_a_store_that_is_not_there_yet_is_no_problem(tmp_path):
    found = by_name(of_store(str(tmp_path / "deep" / "none.db")))
    assert found["place"].state is State.NOTE
    assert found["writable"].value == "yes"
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_another_program_and_one_of_a_newer_autolog_are_told_apart(tmp_path):
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE things(x)")
    other.close()
    assert by_name(of_store(str(tmp_path / "other.db")))["database"].value == "another program's"

    client = Client(tmp_path / "newer.db", Settings())
    client.start_trace("x").end()
    client.close()
    with sqlite3.connect(tmp_path / "newer.db") as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    assert "newer autolog" in by_name(of_store(str(tmp_path / "newer.db")))["schema"].advice


def test_a_damaged_page_is_found(held):
    with sqlite3.connect(held) as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = opened.execute("SELECT rootpage FROM sqlite_master WHERE name = 'spans'").fetchone()[0]
        size = opened.execute("PRAGMA page_size").fetchone()[0]
    opened.close()
    with held.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(os.urandom(size // 2))

    findings = list(of_store(str(held)))

    assert any(one.state is State.PROBLEM and "move it away" in (one.advice or "") for one in findings)


def test_a_store_that_others_can_read_and_traces_that_nobody_ended_are_noted(held):
    held.chmod(0o644)
    client = Client(held, Settings())
    client.start_trace("left", start_time_ns=1_700_000_000_000_000_000)
    client.flush()

    found = by_name(of_store(str(held)))

    assert f"chmod 600 {held}" in found["readable"].advice
    assert found["running for a day"].value == "1"
    client.close()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="whoever may write everywhere is not stopped")
def test_a_folder_that_can_not_be_written_is_told(tmp_path):
    tmp_path.chmod(0o500)
    found = by_name(of_store(str(tmp_path / "traces.db")))
    tmp_path.chmod(0o700)
    assert found["writable"].state is State.PROBLEM


def test_a_collector_is_reached_or_not(monkeypatch):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        monkeypatch.setenv("AUTOLOG_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        [reached] = otlp()
    [gone] = otlp()
    assert (reached.state, gone.state) == (State.OK, State.PROBLEM)
    assert "nobody listens there" in gone.advice


def test_a_server_is_asked_how_it_is(tmp_path, monkeypatch):
    pytest.importorskip("fastapi")
    from autolog.server.access import Token
    from tests.serving import serving

    client = Client(tmp_path / "served.db", Settings())
    with serving(client) as address:
        [found] = of_store(address)
        assert (found.state, found.value) == (State.OK, f"{address}, autolog {__version__} over {client.location}")
    [gone] = server(address)
    assert gone.state is State.PROBLEM
    assert "autolog ui" in gone.advice

    with serving(client, tokens=[Token("the-secret-of-readers", "read")]) as address:
        [closed] = server(address)
        assert (closed.state, "AUTOLOG_TOKEN" in closed.advice) == (State.NOTE, True)
        monkeypatch.setenv("AUTOLOG_TOKEN", "the-secret-of-readers")
        assert list(server(address))[0].state is State.OK
        monkeypatch.setenv("AUTOLOG_TOKEN", "the-secret-of-nobody")
        assert list(server(address))[0].state is State.PROBLEM
    client.close()


def test_python_asks_as_the_command_does(held):
    findings = examine(str(held))
    assert {one.section for one in findings} == {"versions", "integrations", "settings", "store", "elsewhere"}
    assert all(one.state is not State.PROBLEM for one in findings)
