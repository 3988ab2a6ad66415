"""What was recorded arrives, whatever becomes of the process, and what does not is counted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

import autolog as al
from autolog import Client, StoreError
from autolog.guard import guarded
from autolog.pipeline import Pipeline
from autolog.settings import Settings
from autolog.testing import fresh_client, spans, traces
from autolog.tracer import Tracer


def run(script: str, store, *, expect: int = 0) -> list[str]:
    """Run a program that records into `store`; return the names of the spans that arrived."""
    program = f"import os, sys, threading, autolog as al\nclient = al.Client({str(store)!r})\n" + textwrap.dedent(
        script
    )
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == expect, done.stderr
    assert "Exception ignored" not in done.stderr
    with fresh_client(str(store)) as reader:
        return sorted(span.name for span in spans(reader))


@pytest.fixture
def store(tmp_path):
    return tmp_path / "traces.db"


# --- the end of the process ------------------------------------------------------------------------------

RECORD = "for n in range(100): client.tracer.start_span(f'{n:03}').end()\n"
ALL = [f"{n:03}" for n in range(100)]


@pytest.mark.parametrize(
    ("ending", "code"), [("", 0), ("sys.exit(3)", 3), ("raise ValueError", 1), ("raise KeyboardInterrupt", -2)]
)
def test_everything_is_stored_however_the_program_ends(store, ending, code):
    if code == -2:
        code = 130 if sys.platform == "win32" else -signal.SIGINT
    assert run(RECORD + ending, store, expect=code) == ALL


def test_a_killed_process_loses_no_more_than_the_flush_interval(store):
    script = RECORD + "import time; time.sleep(1.0); os.kill(os.getpid(), 9)"
    assert run(script, store, expect=-9) == ALL


def test_a_span_that_is_open_at_exit_is_stored_as_failed(store):
    run("client.tracer.start_span('open')", store)
    with fresh_client(str(store)) as reader:
        [span] = spans(reader)

    assert span.status.description == "the program exited before this span ended"
    assert span.end_time_ns is not None


def test_a_long_running_span_is_visible_before_it_ends(store):
    script = "import time; client.tracer.start_span('agent'); time.sleep(1.0); os.kill(os.getpid(), 9)"
    assert run(script, store, expect=-9) == ["agent"]
    with fresh_client(str(store)) as reader:
        assert traces(reader)[0].state == "IN_PROGRESS"


def test_daemon_threads_that_record_at_exit_disturb_nothing(store):
    script = """
    def loop():
        while True: client.tracer.start_span("daemon").end()
    threading.Thread(target=loop, daemon=True).start()
    import time; time.sleep(0.2)
    """
    assert "daemon" in run(script, store)


# --- fork ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_parent_and_child_of_a_fork_store_their_own_spans_once(store):
    script = """
    client.tracer.start_span("before").end()
    import warnings; warnings.simplefilter("ignore")
    for child in range(5):
        if os.fork() == 0:
            for n in range(10): client.tracer.start_span(f"child {child}").end()
            sys.exit()
    for _ in range(5): os.wait()
    client.tracer.start_span("after").end()
    """
    names = run(script, store)

    assert names == sorted(["before", "after"] + [f"child {child}" for child in range(5) for _ in range(10)])
    with fresh_client(str(store)) as reader:
        assert len({trace.trace_id for trace in traces(reader)}) == 52


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_while_the_worker_holds_its_locks_does_not_hang(store):
    script = """
    import time, warnings; warnings.simplefilter("ignore")
    stop = False
    def record():
        while not stop:
            client.tracer.start_span("parent").end(); client.flush()
            time.sleep(0.001)
    thread = threading.Thread(target=record); thread.start()
    for _ in range(20):
        if os.fork() == 0:
            client.tracer.start_span("child").end()
            assert any(client.flush() for _ in range(5))  # 20 write one file, which may take long
            os._exit(0)
    codes = [os.wait()[1] for _ in range(20)]
    stop = True; thread.join()
    assert codes == [0] * 20, codes
    """
    assert run(script, store).count("child") == 20


def test_a_pool_of_processes_stores_what_its_workers_recorded(store):
    script = """
    import multiprocessing, warnings; warnings.simplefilter("ignore")
    def work(n):
        client.tracer.start_span("work").end()
        return client.flush()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert all(pool.map(work, range(10)))
    """
    assert run(script, store) == ["work"] * 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_process_of_multiprocessing_stores_what_it_recorded_before_it_ends(store):
    script = """
    import multiprocessing, warnings; warnings.simplefilter("ignore")
    context = multiprocessing.get_context("fork")
    def work(): client.tracer.start_span("work").end()
    processes = [context.Process(target=work) for _ in range(5)]
    for process in processes: process.start()
    for process in processes: process.join()
    """
    assert run(script, store) == ["work"] * 5


# --- too much at once ------------------------------------------------------------------------------------


def blocked(settings: Settings):
    """A pipeline whose store does not answer until it is let go."""
    written, gate = [], threading.Event()

    def write(batch):
        gate.wait()
        written.extend(batch)

    pipeline = Pipeline(write, settings)
    return Tracer(pipeline.started, pipeline.ended), pipeline, written, gate


def test_a_full_queue_drops_new_spans_and_counts_them(caplog):
    tracer, pipeline, written, gate = blocked(Settings(queue_spans=100, flush_interval=1000.0))
    for number in range(150):
        tracer.start_span(f"{number}").end()
    gate.set()
    assert pipeline.flush()

    assert pipeline.stats().dropped == {"queue_full": 50}
    assert (pipeline.stats().started, pipeline.stats().stored) == (150, 100)
    assert [span.name for span in written] == [f"{number}" for number in range(100)]
    assert caplog.text.count("autolog drops spans (queue full)") == 1
    pipeline.stop()


def test_too_many_bytes_cost_payloads_and_no_spans():
    tracer, pipeline, written, gate = blocked(Settings(queue_bytes=200_000, flush_interval=1000.0))
    for _ in range(200):
        with tracer.start_span("x", inputs="p" * 10_000):
            pass
    gate.set()
    assert pipeline.flush()

    stats = pipeline.stats()
    assert stats.stored == 200
    assert stats.payloads_dropped == sum(span.inputs is None for span in written) > 100
    assert "too many bytes" in written[-1].attributes["autolog.truncated"]
    pipeline.stop()


# --- a store that fails ----------------------------------------------------------------------------------


def test_a_store_that_fails_for_a_while_gets_everything_in_order_later(caplog):
    written, failing = [], [True]

    def write(batch):
        if failing[0]:
            raise StoreError("no.")
        written.extend(batch)

    pipeline = Pipeline(write, Settings(flush_interval=1000.0))
    tracer = Tracer(pipeline.started, pipeline.ended)
    for number in range(2_500):
        tracer.start_span(f"{number}").end()
    assert pipeline.flush() is False
    assert pipeline.stats().waiting == 2_500
    failing[0] = False
    assert pipeline.flush() is True

    assert [span.name for span in written] == [f"{number}" for number in range(2_500)]
    assert caplog.text.count("traces can't be stored: no.") == 1
    assert pipeline.stats().dropped == {}
    pipeline.stop()


def test_one_span_that_can_not_be_written_costs_no_other(monkeypatch, caplog):
    monkeypatch.setattr(guarded, "reraise", False)
    written = []

    def write(batch):
        if any(span.name == "poison" for span in batch):
            raise RuntimeError("a bug")
        written.extend(batch)

    pipeline = Pipeline(write, Settings(flush_interval=1000.0))
    tracer = Tracer(pipeline.started, pipeline.ended)
    for name in ("a", "poison", "b"):
        tracer.start_span(name).end()
    pipeline.flush()

    assert [span.name for span in written] == ["a", "b"]
    assert pipeline.stats().dropped == {"internal_error": 1}
    assert "autolog failed inside itself" in caplog.text
    pipeline.stop()


# --- what is recorded ------------------------------------------------------------------------------------


def test_without_content_only_names_figures_and_types_are_kept(tmp_path):
    with fresh_client(str(tmp_path / "t.db"), capture_content=False) as client:
        with pytest.raises(ValueError), al.start_span("ask", inputs="my secret question") as span:
            span.set_outputs("my secret answer")
            span.set_usage(al.TokenUsage(1, 2, 3))
            raise ValueError("my secret error")
        [trace] = traces(client)

    [stored] = trace.spans
    assert (stored.inputs, stored.outputs, trace.info.request_preview) == (None, None, None)
    assert stored.status == al.Status(al.StatusCode.ERROR, "ValueError")
    assert stored.usage == al.TokenUsage(1, 2, 3)
    assert "secret" not in trace.to_json()


def test_work_that_is_deferred_is_done_before_anyone_looks(client):
    span = client.tracer.start_span("x")
    span.defer(lambda span: span.set_outputs("late"))
    assert span.outputs == "late"
    span.end()


def test_deferred_work_that_fails_costs_nothing_else(client, monkeypatch, caplog):
    monkeypatch.setattr(guarded, "reraise", False)

    def fail(span):
        raise RuntimeError("a bug")

    for _ in range(3):
        with al.start_span("x") as span:
            span.defer(fail)
            span.defer(lambda span: span.set_outputs("kept"))
    client.flush()

    assert [span.outputs for span in spans(client)] == ["kept"] * 3
    assert caplog.text.count("autolog failed inside itself") == 1
    assert client.stats().internal_errors >= 3


def test_the_worker_is_not_traced_itself(client):
    seen = []
    write = client._store.write

    def watched(batch):
        seen.append(al.start_span("inside the store"))
        write(batch)

    client._store.write = watched
    with al.start_span("outside"):
        pass
    client.flush()

    assert [span.name for span in spans(client)] == ["outside"]
    assert not seen[0].is_recording()


def test_a_closed_client_leaves_no_thread_behind(tmp_path):
    before = threading.active_count()
    client = Client(str(tmp_path / "t.db"))
    client.tracer.start_span("x").end()
    client.close()
    assert threading.active_count() == before


# --- many at once ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 8])
def test_a_burst_of_traces_is_stored_whole(store, threads):
    with fresh_client(str(store)) as client:

        def work():
            for n in range(3_000 // threads):
                client.start_trace(f"{n}", inputs={"n": n}).end()

        running = [threading.Thread(target=work) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        assert client.flush()
        stats = client.stats()
        assert (stats.started, stats.stored, stats.dropped, stats.payloads_dropped) == (3_000, 3_000, {}, 0)
        stored = client.search_traces(max_results=10_000, include_spans=False, return_type="list")

    assert len(stored) == 3_000
    assert {trace.span_count for trace in stored} == {1}
    assert {trace.state for trace in stored} == {"OK"}


def test_ten_thousand_traces_that_are_open_at_once_are_all_stored(store):
    with fresh_client(str(store)) as client:
        roots = [client.start_trace(f"{n}") for n in range(10_000)]
        children = [client.start_span("child", root) for root in roots]
        assert client.stats().open == 20_000
        for span in (*children, *roots):
            span.end()
        assert client.flush()
        stats = client.stats()
        assert (stats.started, stats.stored, stats.open, stats.dropped) == (20_000, 20_000, 0, {})
        stored = client.search_traces(max_results=20_000, include_spans=False, return_type="list")

    assert sorted(int(trace.name) for trace in stored) == list(range(10_000))
    assert {(trace.span_count, str(trace.state)) for trace in stored} == {(2, "OK")}


def test_a_span_that_runs_is_written_anew_only_where_it_has_changed(client):
    def rows():
        return client._store._connection.execute("SELECT count(*) FROM payloads").fetchone()[0]

    with al.start_span("long", inputs={"a": 1}) as span:
        for _ in range(3):
            client.flush()
        assert rows() == 1
        changes = [
            lambda: span.set_attribute("step", 1),
            lambda: span.set_attribute("step", 2),
            lambda: span.set_outputs("half"),
            lambda: span.add_event("tick"),
            lambda: al.update_current_trace(tags={"a": "b"}),
            lambda: span.update_name("longer"),
        ]
        for number, change in enumerate(changes, start=2):
            change()
            client.flush()
            client.flush()
            assert rows() == number
        [trace] = traces(client)
        assert (trace.name, trace.info.tags, trace.root.outputs) == ("longer", {"a": "b"}, "half")
    assert traces(client)[0].state == "OK"
