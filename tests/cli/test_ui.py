"""`autolog ui` and `autolog demo`: a page that answers, and what is said where it can't be served."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from autolog.sample import record as record_samples
from tests.cli.conftest import SECONDS


def get(address, path="", token=None):
    request = urllib.request.Request(address + path)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


@pytest.fixture
def serving(shell):
    """Start a command that serves; return it and the address that it tells. All are ended at the end."""
    started = []

    def start(*args, **environment):
        running = shell.start(*args, **environment)
        started.append(running)
        return running, re.match(r"http://\S+:\d+/", running.line()).group()

    yield start
    for running in started:
        if running.process.poll() is None:
            running.stop()


def test_the_page_and_its_interface_answer_where_it_is_said(shell, record, serving):
    ids = record_samples(record, 3)
    record.flush()

    running, address = serving("ui", "--no-browser", "--port", "0")

    assert "<!doctype html>" in get(address).lower()
    assert [trace["trace_id"] for trace in json.loads(get(address, "api/traces"))["traces"]] == ids[::-1]
    ended = running.stop()
    assert "Traceback" not in ended.stderr
    assert ended.code in (0, 130)


def test_without_a_port_the_next_free_one_is_taken_and_a_busy_one_is_told(shell, serving):
    _, first = serving("ui", "--no-browser")
    _, second = serving("ui", "--no-browser")
    ports = [int(address.rstrip("/").rpartition(":")[2]) for address in (first, second)]
    assert 4321 <= ports[0] < ports[1]

    busy = shell("ui", "--no-browser", "--port", ports[0])
    assert busy.code == 2
    assert f"autolog: port {ports[0]} is in use" in busy.stderr
    assert "Traceback" not in busy.stderr


def test_the_browser_is_opened_once_the_page_answers(shell, record, serving, tmp_path):
    """`BROWSER` names a command, which asks for the page as a browser does."""
    seen = tmp_path / "seen"
    os.mkfifo(seen)
    reading = os.open(seen, os.O_RDONLY | os.O_NONBLOCK)
    browser = tmp_path / "browser"
    fetch = "import sys, urllib.request as u; status = str(u.urlopen(sys.argv[2]).status); open(sys.argv[1], 'w').write(status)"
    browser.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{fetch}" "{seen}" "$1"\n')
    browser.chmod(0o755)

    serving("ui", "--port", "0", BROWSER=f"{browser} %s")

    assert select.select([reading], [], [], SECONDS)[0]
    assert os.read(reading, 10) == b"200"
    os.close(reading)


def test_tokens_say_who_may_look(shell, record, serving, tmp_path):
    file = tmp_path / "tokens"
    file.write_text("read:the-secret-of-readers\n")
    _, address = serving(
        "ui", "--no-browser", "--port", "0", "--token-file", file, "--write-token", "the-secret-of-writers"
    )

    with pytest.raises(urllib.error.HTTPError) as refused:
        get(address, "api/traces")
    assert refused.value.code == 401
    refused.value.close()
    for secret in ("the-secret-of-readers", "the-secret-of-writers"):
        assert json.loads(get(address, "api/traces", secret))["traces"] == []


def test_on_every_network_it_needs_tokens_or_a_word(shell, serving):
    refused = shell("ui", "--no-browser", "--host", "0.0.0.0", "--port", "0")
    assert refused.code == 2
    assert "--no-auth" in refused.stderr
    assert shell("ui", "--no-browser", "--read-token", "short").code == 2
    assert shell("ui", "--no-browser", "--token-file", "none").code == 2

    _, address = serving("ui", "--no-browser", "--host", "0.0.0.0", "--port", "0", "--no-auth")
    assert json.loads(get(address, "api/traces"))["traces"] == []


def test_programs_send_their_traces_to_the_page(shell, record, serving):
    pytest.importorskip("urllib3")
    _, address = serving("ui", "--no-browser", "--port", "0")
    code = "import autolog as al\nwith al.start_span('sent'): pass"

    subprocess.run(
        [sys.executable, "-c", code], env=shell.environment(AUTOLOG_STORE=address), cwd=shell.folder, check=True
    )

    assert [trace.name for trace in record.search_traces(return_type="list")] == ["sent"]
    assert shell("traces", "list", "--store", address, "--columns", "name").stdout == "sent\n"


def test_the_demo_serves_traces_of_its_own_and_leaves_nothing(shell, serving, tmp_path):
    running, address = serving("demo", "--no-browser", "--port", "0", "--count", "5", TMPDIR=str(tmp_path))
    assert len(json.loads(get(address, "api/traces"))["traces"]) == 5
    running.stop()
    assert list(tmp_path.glob("autolog-demo-*")) == []
    assert not Path(shell.store).exists()


def test_the_demo_keeps_its_store_where_that_is_wanted(shell, serving, tmp_path):
    running, _ = serving("demo", "--no-browser", "--port", "0", "--count", "2", "--keep", TMPDIR=str(tmp_path))
    ended = running.stop()
    [path] = tmp_path.glob("autolog-demo-*/traces.db")
    assert f"kept: autolog ui --store {path}" in ended.stderr
    assert len(shell("traces", "list", "--store", path).lines) == 2


def test_the_demo_prints_a_tree(shell):
    found = shell("demo", "--print")
    assert found.code == 0
    assert found.lines[1].startswith("AGENT support_agent  ")
    assert "━" in shell.on_screen("demo", "--print").text


def test_a_port_that_is_none_is_wrong_usage(shell):
    assert shell("ui", "--port", "99999").code == 2
    assert shell("ui", "--host", "no.such.host.invalid", "--no-browser").code == 2
