"""IPython in a terminal."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = "import autolog as al; al.autolog({}); al.start_span('step').end()"


def ipython(tmp_path, *lines, **environment):
    """Run lines in IPython's terminal, as somebody types them; return what it prints."""
    result = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=nocolor"],
        input="\n".join([*lines, "exit"]), capture_output=True, text=True, timeout=120, check=True,
        env={**os.environ, "IPYTHONDIR": str(tmp_path), "AUTOLOG_STORE": "memory:", **environment},
    )  # fmt: skip
    assert result.stderr == ""
    return result.stdout


@pytest.mark.parametrize(("argument", "count"), [("", 0), ("display=False", 0), ("display=True", 1)])
def test_the_terminal_shows_traces_only_if_it_is_told_to(tmp_path, argument, count):
    printed = ipython(tmp_path, PROGRAM.format(argument), "x = 1")
    assert printed.count("Trace step · 1 span · ") == count


def test_a_trace_is_one_line_and_a_list_is_a_table(tmp_path):
    printed = ipython(
        tmp_path,
        PROGRAM.format(""),
        "al.get_trace(al.get_last_active_trace_id())",
        "al.search_traces(return_type='list')",
    )
    assert printed.count("Trace step · 1 span · ") == 1
    assert "1 trace\n" in printed
    assert "<" not in printed.replace("<ipython", "")


def test_a_cell_of_the_terminal_is_traced_by_the_magic(tmp_path):
    printed = ipython(
        tmp_path, PROGRAM.format(""), "get_ipython().run_cell_magic('trace', 'by hand', 'al.start_span(1).end()')"
    )
    assert printed.count("Trace by hand · 2 spans · ") == 1


def test_without_ipython_nothing_of_it_is_imported():
    program = (
        "import sys, autolog; autolog.autolog()\n"
        "print([name for name in sys.modules if name.startswith(('IPython', 'autolog.viewer', 'autolog.notebook'))])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
