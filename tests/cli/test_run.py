"""`autolog run`: a program does the same as by itself, and is recorded."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

from tests.cli.conftest import SECONDS

PROGRAMS = {
    "what it sees of itself": """
        import os, sys
        print(sys.argv, __name__, __file__, __spec__, __package__, __builtins__.__name__)
        print(sys.path[0] == os.path.dirname(os.path.abspath(__file__)), "startup" in "".join(sys.path), sys.flags)
        print(sorted(name for name in vars() if not name.startswith("__")), sys._getframe().f_back)
    """,
    "an exception": """
        def inner():
            raise ValueError("boom")
        try:
            inner()
        except ValueError as error:
            raise RuntimeError("outer") from error
    """,
    "a syntax error": "print('never'",
    "an exit code": "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)",
    "an exit with a message": "raise SystemExit('this is wrong')",
    "an interruption": "raise KeyboardInterrupt",
    "a signal": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "what is registered for the end": """
        import atexit, threading, time
        atexit.register(print, "bye")
        threading.Thread(target=lambda: (time.sleep(0.05), print("late"))).start()
        print("main ends")
    """,
    "its input": "import sys; print(sys.stdin.read()[::-1])",
    "classes of its own": """
        import pickle
        class Point:
            x = 1
        print(pickle.loads(pickle.dumps(Point())).x, Point.__module__)
    """,
    "processes": """
        import multiprocessing
        def double(number):
            return number * 2
        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(double, [1, 2, 3]))
    """,
    "a warning": "import warnings; warnings.warn('careful')",
    "a pipe that closes": """
        import os, signal
        print(signal.getsignal(signal.SIGPIPE))
        read, write = os.pipe()
        os.close(read)
        try:
            os.write(write, b"x")
        except BrokenPipeError as error:
            print(error)
    """,
}


def plain(shell, *arguments, typed=""):
    done = subprocess.run(
        [sys.executable, *arguments], input=typed.encode(), capture_output=True, cwd=shell.folder, timeout=SECONDS,
        env=shell.environment(),
    )  # fmt: skip
    return done.stdout.decode(), done.stderr.decode(), done.returncode


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_does_what_it_does_by_itself(shell, name):
    (shell.folder / "program.py").write_text(dedent(PROGRAMS[name]))
    arguments = ("program.py", "--store", "its own", "-m", "x y")

    traced = shell("run", "--quiet", *arguments, typed="typed")

    assert (traced.stdout, traced.stderr, traced.code) == plain(shell, *arguments, typed="typed")


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "package.module", "--flag", "-m"),
        ("-m", "package"),
        ("-c", "import sys; print(sys.argv)", "--help"),
        ("-m", "there.is.none"),
        ("no_such_script.py",),
        ("-",),
    ],
    ids=" ".join,
)
def test_modules_and_code_run_as_by_python(shell, arguments):
    package = shell.folder / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("print('the package', __name__, __package__)")
    (package / "module.py").write_text("import sys; print(sys.argv[1:], __name__, __spec__.name, sys.path[0])")

    traced = shell("run", "--quiet", *arguments, typed="print('typed')")

    assert (traced.stdout, traced.stderr, traced.code) == plain(shell, *arguments, typed="print('typed')")


def test_a_program_that_does_not_know_of_tracing_is_traced(shell, record):
    """Threads are traced by an integration that needs no library; so is what a child process does."""
    (shell.folder / "program.py").write_text(
        dedent("""
        import subprocess, sys
        import autolog
        print([one.name for one in autolog.integrations() if one.on])
        with autolog.start_span("parent"):
            pass
        if len(sys.argv) == 1:
            subprocess.run([sys.executable, __file__, "again"], check=True)
    """)
    )

    traced = shell(
        "run", "--experiment", "trial", "--tag", "team=search", "--tag", "n=1", "--session", "s-1", "program.py"
    )

    every = ["langchain", "llama_index", "openai", "threads"]
    assert traced.stdout == f"{every}\n" * 2
    assert traced.stderr == f"autolog: 2 traces → {shell.store}; autolog traces show last\n"
    found = record.search_traces(return_type="list")
    assert [trace.name for trace in found] == ["parent", "parent"]
    for trace in found:
        assert (trace.info.experiment, trace.info.session) == ("trial", "s-1")
        assert trace.info.tags == {"team": "search", "n": "1"}


def test_at_the_end_one_hears_how_much_was_recorded_and_where(shell):
    code = "import autolog\nfor n in range(3): autolog.start_span('x').end()"
    found = shell("run", "--store", "here.db", "-c", code)
    assert found.stderr == "autolog: 3 traces → here.db; autolog traces show last\n"
    assert shell("traces", "list", "--store", "here.db", "--columns", "name").stdout == "x\n" * 3

    nothing = shell("run", "-c", "pass")
    assert nothing.stderr == "autolog: no traces; this program called nothing that is traced\n"


def test_the_summary_comes_after_a_traceback_and_not_from_a_fork(shell):
    code = "import autolog, os, sys\nif os.fork() == 0: sys.exit()\nos.wait()\nautolog.start_span('x').end()\n1 / 0"
    found = shell("run", "-c", code)
    *_, last, summary = found.stderr.splitlines()
    assert last == "ZeroDivisionError: division by zero"
    assert summary == f"autolog: 1 trace → {shell.store}; autolog traces show last"
    assert found.stderr.count("autolog: ") == 1
    assert found.code == 1


def test_a_store_by_a_relative_path_stays_where_it_is_wherever_the_program_goes(shell):
    code = "import os; os.mkdir('deep'); os.chdir('deep'); import autolog; autolog.start_span('x').end()"
    shell("run", "--store", "here.db", "-c", code)
    assert (shell.folder / "here.db").exists()


def test_tracing_that_is_off_stays_off_and_says_so(shell, store):
    found = shell("run", "-c", "import autolog; autolog.start_span('x').end()", AUTOLOG_TRACING="false")
    assert (found.code, found.stderr) == (0, "autolog: AUTOLOG_TRACING=false: nothing is recorded\n")
    assert not store.exists()


def test_a_store_that_can_not_be_written_stops_no_program(shell, tmp_path):
    (tmp_path / "file").write_text("")
    found = shell(
        "run",
        "--store",
        tmp_path / "file" / "traces.db",
        "-c",
        "import autolog; autolog.start_span('x').end(); print('done')",
    )
    assert (found.code, found.stdout) == (0, "done\n")
    assert "could not be stored" in found.stderr.splitlines()[-1] or "can't be" in found.stderr


def test_a_command_that_is_written_in_python_is_traced(shell, record, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "mycommand"
    command.write_text(f"#!{sys.executable}\nimport autolog, sys\nautolog.start_span(sys.argv[1]).end()\n")
    command.chmod(0o755)

    found = shell("run", "mycommand", "--name", PATH=f"{folder}:/usr/bin:/bin")

    assert found.code == 0
    assert [trace.name for trace in record.search_traces(return_type="list")] == ["--name"]


def test_the_sitecustomize_of_an_environment_still_runs_first(shell, tmp_path):
    folder = tmp_path / "path"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import builtins; builtins.was_here = 'yes'")

    found = shell(
        "run", "--quiet", "-c", "import sitecustomize; print(was_here, sitecustomize.__file__)", PYTHONPATH=str(folder)
    )

    assert found.stdout == f"yes {folder / 'sitecustomize.py'}\n"


def test_wrong_usage_of_run_is_told(shell):
    assert shell("run").code == 2
    assert shell("run", "--no-such-option", "script.py").code == 2
    assert shell("run", "--tag", "novalue", "script.py").code == 2
    assert shell("run", "--experiment", " ", "script.py").code == 2
