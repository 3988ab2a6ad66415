"""`autolog stats`: what many traces come to."""

from __future__ import annotations

import json

import pytest

from autolog.sample import record as record_samples


@pytest.fixture
def samples(record):
    record_samples(record, 24)
    record.flush()


def test_all_traces_are_one_line_and_models_are_a_line_each(shell, samples):
    [row] = shell("stats", "--since", "2d").rows
    assert row[:3] == ["all", "24", "2"]
    p50, p95, p99 = map(float, row[3:6])
    assert 0 < p50 <= p95 <= p99
    assert int(row[6]) > int(row[7]) > 0

    by_model = {row[0]: row[1:] for row in shell("stats", "--by", "model", "--since", "2d").rows}
    assert set(by_model) == {"gpt-4o-mini", "gpt-4o", "gpt-4.1", "text-embedding-3-small"}
    assert by_model["text-embedding-3-small"][0] == "24"
    by_tag = shell("stats", "--by", "tags.channel", "--since", "all").rows
    assert {row[0] for row in by_tag} == {"web", "mail"}
    assert sum(int(row[1]) for row in by_tag) == 24


def test_a_filter_and_a_time_leave_some_out(shell, samples):
    [row] = shell("stats", "status = 'ERROR'", "--since", "2d").rows
    assert row[1:3] == ["2", "2"]
    [row] = shell("stats", "--since", "12h").rows
    assert 0 < int(row[1]) < 24


def test_json_tells_of_the_store_too(shell, samples, store):
    told = json.loads(shell("stats", "--by", "name", "--json", "--since", "2d").stdout)
    [group] = told["groups"]
    assert (group["key"], group["requests"], group["errors"]) == ("support_agent", 24, 2)
    held = told["store"]
    assert (held["location"], held["traces"]) == (str(store), 24)
    assert held["spans"] > 100
    assert held["bytes"] >= store.stat().st_size > 0


def test_a_terminal_gets_a_table_and_the_size_of_the_store(shell, samples, store):
    screen = shell.on_screen("stats", "--by", "model", "--since", "2d", width=120)
    assert screen.lines[0].split() == "model requests errors p50 p95 p99 input tokens output tokens cost".split()
    assert max(map(len, screen.lines[:5])) <= 120
    told = screen.text.replace("\n", " ")
    assert "24 traces, " in told
    assert "KB" in told


def test_where_there_is_nothing_the_exit_code_says_so(shell, samples, tmp_path):
    assert shell("stats", "name = 'x'").code == 1
    assert shell("stats", "--store", tmp_path / "none.db").code == 1
    assert shell("stats", "--by", "nonsense").code == 2
    assert shell("stats", "--since", "nonsense").code == 2
