"""Runs and experiments: which traces belong to them, and what the store knows of them."""

from __future__ import annotations

import asyncio

import pytest

import autolog as al
from autolog import InvalidSetting, NotFound, RunStatus
from autolog.testing import fresh_client, traces


def runs_of(client):
    return {trace.name: trace.info.run for trace in traces(client)}


def test_traces_belong_to_the_run_that_they_start_in(client):
    with al.start_run("first", tags={"a": 1}) as run:
        assert al.active_run_id() == run.run_id
        with al.start_span("inside"):
            pass
    assert al.active_run_id() is None
    with al.start_span("outside"):
        pass
    assert runs_of(client) == {"inside": run.run_id, "outside": None}
    stored = al.get_run(run.run_id)
    assert (stored.name, stored.status, stored.tags, stored.experiment) == (
        "first",
        RunStatus.FINISHED,
        {"a": "1"},
        "default",
    )
    assert stored.end_time_ns >= stored.start_time_ns


def test_a_run_without_a_block_lasts_until_it_is_ended(client):
    run = al.start_run()
    with al.start_span("inside"):
        pass
    al.end_run()
    al.end_run()
    with al.start_span("outside"):
        pass
    assert runs_of(client) == {"inside": run.run_id, "outside": None}
    assert (run.info.status, run.info.name) == (RunStatus.FINISHED, run.run_id[:8])


def test_a_run_whose_block_raises_has_failed(client):
    with pytest.raises(ValueError, match="x"), al.start_run("bad") as run:
        raise ValueError("x")
    assert al.get_run(run.run_id).status is RunStatus.FAILED


def test_the_inner_run_is_meant_and_then_the_outer_again(client):
    with al.start_run("outer") as outer:
        with al.start_run("inner") as inner, al.start_span("a"):
            pass
        with al.start_span("b"):
            pass
    assert runs_of(client) == {"a": inner.run_id, "b": outer.run_id}


def test_runs_side_by_side_do_not_mix(client):
    async def one(number):
        with al.start_run(f"run {number}") as run:
            await asyncio.sleep(0)
            with al.start_span(f"job {number}"):
                await asyncio.sleep(0)
            return f"job {number}", run.run_id

    async def main():
        return dict(await asyncio.gather(*(one(number) for number in range(10))))

    started = asyncio.run(main())
    assert runs_of(client) == started


def test_a_run_is_gone_on_with(client):
    with al.start_run("one", run_id="nightly-7"), al.start_span("a"):
        pass
    with al.start_run("one", run_id="nightly-7"), al.start_span("b"):
        pass
    assert runs_of(client) == {"a": "nightly-7", "b": "nightly-7"}
    assert [run.run_id for run in al.list_runs()] == ["nightly-7"]


def test_runs_and_experiments_are_listed(client):
    al.set_experiment("beta")
    with al.start_run("r1"):
        pass
    with al.start_run("r2", experiment="alpha"), al.start_span("job"):
        pass
    with al.context(experiment="gamma"), al.start_span("job"):
        pass
    assert [run.name for run in al.list_runs()] == ["r2", "r1"]
    assert [run.name for run in al.list_runs("beta")] == ["r1"]
    assert len(al.list_runs(max_results=1)) == 1
    assert al.list_experiments() == ["alpha", "beta", "gamma"]
    with pytest.raises(NotFound, match="list_runs"):
        al.get_run("none")


def test_runs_that_end_in_another_order_than_they_began_keep_their_own_traces(client):
    around, first, second = al.start_run("around"), al.start_run("first"), al.start_run("second")
    first.end()
    al.start_span("of the second").end()
    second.end()
    al.start_span("of the one around").end()
    al.end_run()
    al.start_span("of none").end()

    assert around.info.status is RunStatus.FINISHED
    assert runs_of(client) == {"of the second": second.run_id, "of the one around": around.run_id, "of none": None}


def test_stored_traces_are_linked_and_unlinked(client):
    with al.start_span("a") as a:
        pass
    assert client.link_traces_to_run([a.trace_id, "ab" * 16, "no id"], "r9") == 1
    assert [t.name for t in al.search_traces(run="r9", return_type="list")] == ["a"]
    assert client.unlink_traces_from_run([a.trace_id]) == 1
    assert runs_of(client) == {"a": None}


def test_a_status_that_there_is_not_is_refused(client):
    run = al.start_run()
    with pytest.raises(InvalidSetting, match="RUNNING, FINISHED, FAILED"):
        al.end_run("LOST")
    run.end("failed")
    assert al.get_run(run.run_id).status is RunStatus.FAILED


def test_a_store_that_is_broken_does_not_stop_the_program(tmp_path, caplog):
    (tmp_path / "bad.db").write_text("this is no database " * 100)
    with fresh_client(str(tmp_path / "bad.db")), al.start_run("r"):
        pass
    assert "can't be stored" in caplog.text


def test_who_sees_one_experiment_gives_no_trace_to_a_run_of_another(client):
    theirs, ours = client.start_trace("t", experiment="theirs"), client.start_trace("t", experiment="ours")
    client.end_trace(theirs)
    client.end_trace(ours)
    al.set_experiment("theirs")
    run = al.start_run("r")
    al.end_run()

    mine = client.of_experiment("ours")
    assert mine.link_traces_to_run([ours.trace_id, theirs.trace_id], run.run_id) == 0
    assert client.get_trace(ours.trace_id).info.run is None
    assert client.link_traces_to_run([ours.trace_id], run.run_id) == 1
