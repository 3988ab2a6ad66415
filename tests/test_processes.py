"""Other processes: what is carried into them is recorded in the same trace, below the right span, in the same store."""

from __future__ import annotations

import copy
import os
import pickle
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import autolog as al
from autolog import Client
from autolog.testing import fresh_client, traces
from tests.trees import forest, sorted_by_text

HEAD = """
    import multiprocessing, subprocess, sys
    from concurrent.futures import ProcessPoolExecutor
    import autolog as al

    @al.trace
    def work(number):
        with al.start_span(f"inside {number}"):
            return number * number

    if __name__ == "__main__":
        al.autolog()
        al.set_store(sys.argv[2])
        context = multiprocessing.get_context(sys.argv[1])
"""
START = {
    "Process": """
        with al.start_span("root"):
            child = context.Process(target=al.carry(work), args=(1,))
            child.start(); child.join(); assert child.exitcode == 0
            child = context.Process(target=al.carry(work), args=(2,))
            child.start(); child.join()
    """,
    "Pool": """
        with context.Pool(2) as pool:                     # which is terminated at the end of the block
            with al.start_span("root"):
                assert pool.map(al.carry(work), [1, 2], chunksize=1) == [1, 4]
    """,
    "ProcessPoolExecutor": """
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            with al.start_span("root"):
                assert list(pool.map(al.carry(work), [1, 2])) == [1, 4]
    """,
}
TREE = "OK\nUNKNOWN root\n  UNKNOWN work\n    UNKNOWN inside 1\n  UNKNOWN work\n    UNKNOWN inside 2"


def run(tmp_path, program, *arguments, **environment):
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(program))
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("start", START)
def test_spans_of_another_process_land_in_the_same_trace_and_store(tmp_path, method, start):
    run(tmp_path, HEAD + START[start], method, str(tmp_path / "chosen.db"))
    client = Client(str(tmp_path / "chosen.db"))
    assert sorted_by_text(forest(client)) == sorted_by_text(TREE)
    client.close()
    assert not (tmp_path / ".autolog").exists()


def test_workers_of_a_pool_that_serve_several_callers_keep_them_apart(tmp_path):
    program = (
        HEAD
        + """
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            for name in ("a", "b"):
                with al.start_span(name):
                    list(pool.map(al.carry(work), [1, 2]))
            list(pool.map(work, [3]))
    """
    )
    run(tmp_path, program, "spawn", str(tmp_path / "t.db"), AUTOLOG_STORE=str(tmp_path / "t.db"))
    client = Client(str(tmp_path / "t.db"))
    below = "\n  UNKNOWN work\n    UNKNOWN inside 1\n  UNKNOWN work\n    UNKNOWN inside 2"
    expected = f"OK\nUNKNOWN a{below}\n\nOK\nUNKNOWN b{below}\n\nOK\nUNKNOWN work\n  UNKNOWN inside 3"
    assert sorted_by_text(forest(client)) == sorted_by_text(expected)
    client.close()


def test_the_trace_keeps_its_experiment_and_what_was_set_for_a_block_goes_along(tmp_path):
    program = (
        HEAD
        + """
        al.set_experiment("mine")
        with al.context(session_id="s", user="u", tags={"a": "1"}):
            alone = al.carry(work)
            with al.start_span("root"):
                child = context.Process(target=al.carry(work), args=(1,))
                child.start(); child.join()
        child = context.Process(target=alone, args=(2,))
        child.start(); child.join()
    """
    )
    run(tmp_path, program, "spawn", str(tmp_path / "t.db"))
    client = Client(str(tmp_path / "t.db"))
    found = [(t.name, t.info.experiment, t.info.session, t.info.user, t.info.tags) for t in traces(client)]
    client.close()
    assert found == [(name, "mine", "s", "u", {"a": "1"}) for name in ("root", "work")]


def test_a_forked_process_is_below_the_span_that_it_was_forked_in(tmp_path):
    program = (
        HEAD
        + """
        with al.start_span("root"):
            child = context.Process(target=work, args=(1,))
            child.start(); child.join()
    """
    )
    run(tmp_path, program, "fork", str(tmp_path / "t.db"))
    client = Client(str(tmp_path / "t.db"))
    assert forest(client) == "OK\nUNKNOWN root\n  UNKNOWN work\n    UNKNOWN inside 1"
    client.close()


def test_what_is_raised_in_another_process_arrives_and_is_recorded(tmp_path):
    program = """
        import multiprocessing, sys
        import autolog as al

        @al.trace
        def fails():
            raise KeyError("bad")

        if __name__ == "__main__":
            al.set_store(sys.argv[1])
            with multiprocessing.get_context("spawn").Pool(1) as pool, al.start_span("root"):
                try:
                    pool.apply(al.carry(fails))
                except KeyError as error:
                    print(error)
    """
    assert run(tmp_path, program, str(tmp_path / "t.db")) == "'bad'"
    client = Client(str(tmp_path / "t.db"))
    assert forest(client) == "OK\nUNKNOWN root\n  UNKNOWN fails ERROR KeyError"
    client.close()


def test_a_program_that_is_started_nests_by_its_environment(tmp_path):
    child = tmp_path / "child.py"
    child.write_text(
        "import os, autolog as al\n"
        "with al.extract(os.environ), al.start_span('child'):\n"
        "    al.start_span('inside').end()\n"
    )
    with fresh_client(str(tmp_path / "t.db")) as client:
        with al.start_span("root"):
            environment = {
                **os.environ,
                "AUTOLOG_STORE": str(tmp_path / "t.db"),
                "TRACEPARENT": al.inject()["traceparent"],
            }
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
            subprocess.run([sys.executable, str(child)], env=environment, check=True, timeout=60)
            subprocess.run([sys.executable, str(child)], env=al.inject(environment), check=True, timeout=60)
        below = "\n  UNKNOWN child\n    UNKNOWN inside"
        assert forest(client) == f"OK\nUNKNOWN root{below}{below}"


def work(number):
    with al.start_span(f"work {number}"):
        return number


def test_a_carried_function_can_be_copied_and_pickled_within_a_process(client):
    with al.start_span("root"):
        carried = al.carry(work)
    assert pickle.loads(pickle.dumps(carried))(1) == 1
    assert copy.deepcopy(carried)(2) == 2
    with al.context(enabled=False):
        silent = pickle.dumps(al.carry(work))
    assert pickle.loads(silent)(3) == 3
    assert pickle.loads(pickle.dumps(al.carry(work)))(4) == 4
    assert forest(client) == "OK\nUNKNOWN root\n  UNKNOWN work 1\n  UNKNOWN work 2\n\nOK\nUNKNOWN work 4"


def test_a_function_that_can_not_be_pickled_says_so_as_before(client):
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(al.carry(lambda: None))


def test_the_example_of_the_documentation_runs(tmp_path):
    page = Path(__file__).parent.parent / "docs" / "own-code.md"
    [example] = re.findall(r"```py\n(.*?)```", page.read_text(), re.DOTALL)
    assert run(tmp_path, example) == "[3, 5]"
    client = Client(str(tmp_path / ".autolog" / "traces.db"))
    assert forest(client) == "OK\nUNKNOWN batch\n  UNKNOWN count\n  UNKNOWN count"
    client.close()
