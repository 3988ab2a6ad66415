"""Cells of a notebook show the traces that began in them."""

from __future__ import annotations

from tests.notebook.conftest import START


def test_a_cell_shows_its_traces_and_no_others(run):
    ran = run(
        START + "ask('in the first cell')",
        "1 + 1",
        "ask('again')",
        "for number in range(3): ask(number)",
    )

    [first], [again], [several] = ran.shown(0), ran.shown(2), ran.shown(3)
    assert first.startswith("Trace ask · 1 span · ")
    assert ran.value(0) == "'answer to in the first cell'"
    assert ran.shown(1) == []
    assert again.count("Trace") == 1
    assert [line.split(" · ")[0] for line in several.split("\n")] == ["Trace ask"] * 3
    assert ran.shown(3, mime="text/html")[0].count("<iframe") == 1


def test_the_newest_of_many_show_and_the_others_are_counted(run):
    ran = run(
        START,
        "for number in range(30): ask(number)",
        "al.configure(display_limit=2)\nfor number in range(3): al.start_span(f'span {number}').end()",
        "al.configure(display_limit=0)\nask(1)",
    )

    assert ran.shown(1)[0].split("\n")[-1] == "and 20 more"
    assert ran.names(2) == ["span 1", "span 2", "and 1 more"]
    assert ran.shown(3) == []


def test_a_cell_that_fails_shows_its_traces(run):
    ran = run(START, "ask(1)\nwith al.start_span('step'):\n    1 / 0", "ask(2)")

    assert ran.error(1).ename == "ZeroDivisionError"
    assert ran.names(1) == ["ask", "step"]
    assert "ERROR · 1 error" in ran.shown(1)[0]
    assert ran.names(2) == ["ask"]


def test_a_trace_that_the_cell_shows_is_not_shown_again(run):
    newest = "al.get_trace(al.get_last_active_trace_id())"
    ran = run(
        START,
        f"ask(1)\n{newest}",
        f"ask(1)\ndisplay({newest})",
        f"ask(1)\nask(2)\n{newest}",
        newest,
        "x = 3",
    )

    assert ran.value(1).startswith("Trace ask")
    assert ran.shown(1) == []
    assert len(ran.shown(2)) == 1
    assert ran.shown(3)[0].count("Trace ask") == 1
    assert ran.value(4).startswith("Trace ask")
    assert ran.shown(4) == ran.shown(5) == []


def test_what_runs_side_by_side_belongs_to_the_cell_that_started_it(run):
    ran = run(
        START,
        """
import asyncio, threading
from concurrent.futures import ThreadPoolExecutor
may_go_on, pool = threading.Event(), ThreadPoolExecutor(2)
def later(number):
    may_go_on.wait(30)
    ask(number)
async def later_too():
    await asyncio.to_thread(may_go_on.wait, 30)
    ask("task")
thread, submitted = threading.Thread(target=later, args=(1,)), pool.submit(later, 2)
thread.start()
task = asyncio.get_running_loop().create_task(later_too())
""",
        """
with al.start_span("of this cell"):
    may_go_on.set()
    thread.join()
    submitted.result()
""",
        "await task\nprint(len(al.search_traces(name='ask', return_type='list')))",
        "list(pool.map(ask, range(2)))\nt = threading.Thread(target=ask, args=(3,)); t.start(); t.join()",
        "await asyncio.gather(*(asyncio.to_thread(ask, number) for number in range(2)))",
    )

    assert ran.names(2) == ["of this cell"]
    assert ran.printed(3) == "3\n"
    assert ran.names(3) == []
    assert ran.names(4) == ["ask"] * 3
    assert ran.names(5) == ["ask"] * 2


def test_a_trace_that_runs_on_is_not_shown(run):
    ran = run(START, "span = al.start_span('long')\nask(1)", "span.end()\nask(2)")

    assert ran.names(1) == ["ask"]
    assert ran.names(2) == ["ask"]


def test_a_span_that_is_current_over_cells_keeps_the_account_of_them(run):
    ran = run(
        START,
        "span = al.start_span('long').__enter__()",
        "ask(1)\nspan.__exit__(None, None, None)\nask(2)",
        "run = al.start_run('r')",
        "ask(3)\nprint(al.get_trace(al.get_last_active_trace_id()).info.run == run.run_id)",
        "al.end_run()\nask(4)",
    )

    assert ran.names(1) == []
    assert ran.names(2) == ["ask"]
    assert ran.names(4) == ran.names(5) == ["ask"]
    assert ran.printed(4) == "True\n"


def test_what_other_processes_store_shows_in_no_cell(run):
    other = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import autolog as al; al.start_span('elsewhere').end()"], check=True)
"""
    ran = run(START, other, other + "ask(1)\nlen(al.search_traces(return_type='list'))")

    assert ran.names(1) == []
    assert ran.names(2) == ["ask"]
    assert ran.value(2) == "3"


def test_cells_that_cells_run_belong_to_them(run, tmp_path):
    import nbformat

    cells = ["ask('below')", "ask('below, too')"]
    inner = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(inner, tmp_path / "inner.ipynb")
    (tmp_path / "setup.py").write_text("ask('in a script')\n")

    ran = run(
        START,
        "ask(0)\n%run inner.ipynb\nask(1)",
        "%run -i setup.py",
        "get_ipython().run_cell('ask(2)')\nask(3)",
        "%%time\nask(4)",
        "%%capture\nask(5)",
    )

    assert [ran.names(number) for number in range(1, 6)] == [["ask"] * 4, ["ask"], ["ask"] * 2, ["ask"], ["ask"]]


def test_a_library_that_is_set_up_by_another_notebook_shows_traces(run, tmp_path):
    import nbformat

    inner = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(START)])
    nbformat.write(inner, tmp_path / "inner.ipynb")

    assert run("%run inner.ipynb\nask(1)", "ask(2)").names(1) == ["ask"]


def test_display_is_turned_off_and_on(run):
    ran = run(
        "from autolog import autolog\nimport autolog as al\nautolog(display=False)",
        "al.start_span('a').end()",
        "autolog(display=True)\nal.start_span('b').end()",
        "al.configure(display=False)\nal.start_span('c').end()",
    )

    assert [ran.names(number) for number in range(1, 4)] == [[], ["b"], []]


def test_the_environment_turns_display_off_and_tracing_on(run):
    off = run(START + "ask(1)", AUTOLOG_DISPLAY="false")
    on = run("import autolog as al\nal.start_span('a').end()", AUTOLOG_DISPLAY="true", AUTOLOG_TRACING="true")
    assert off.shown(0) == []
    assert on.names(0) == ["a"]


def test_a_store_that_keeps_nothing_breaks_no_cell(run):
    ran = run(START + "ask(1)", "ask(2)", AUTOLOG_STORE="none:")

    assert ran.value(1) == "'answer to 2'"
    assert ran.shown(1) == []
    assert ran.printed(1) == ""


def test_what_is_not_recorded_is_not_shown(run):
    ran = run(START, "with al.context(enabled=False):\n    ask(1)", "al.configure(sample_ratio=0.0)\nask(1)")
    assert ran.shown(1) == ran.shown(2) == []


def test_an_error_of_ours_breaks_no_cell(run):
    ran = run(
        START + "import autolog.viewer.notebook, autolog.model.trace",
        "autolog.viewer.notebook.page = None  # as a bug may have it\nask(1)",
        "al.get_trace(al.get_last_active_trace_id())",
    )

    assert ran.error(1) is None
    assert ran.value(1) == "'answer to 1'"
    assert ran.value(2).startswith("Trace(")
    assert "autolog failed inside itself" in ran.printed(1)


# --- the extension -----------------------------------------------------------------------------------------


def test_the_extension_is_loaded_reloaded_and_unloaded(run):
    ran = run(
        "%load_ext autolog",
        "import autolog as al\nal.start_span('a').end()",
        "%reload_ext autolog",
        "al.start_span('b').end()",
        "import importlib, autolog.notebook\nimportlib.reload(autolog.notebook)\n%reload_ext autolog",
        "al.start_span('c').end()",
        "%unload_ext autolog",
        "al.start_span('d').end()",
        "%load_ext autolog",
        "al.start_span('e').end()",
        "print([i.on for i in al.integrations() if i.name == 'openai'])",
    )

    assert [ran.error(number) for number in range(11)] == [None] * 11
    assert [ran.names(number) for number in (1, 3, 5, 7, 9)] == [["a"], ["b"], ["c"], [], ["e"]]


def test_the_magic_records_the_cell(run):
    ran = run(
        START,
        "%%trace question of the day\nx = 1\nask(x)",
        "t = al.get_trace(al.get_last_active_trace_id())\nprint(t)\nprint(t.root.inputs, t.root.outputs)",
        "x",
    )

    assert ran.value(1) == "'answer to 1'"
    assert ran.names(1) == ["question of the day"]
    assert "TASK question of the day" in ran.printed(2)
    assert "└─ UNKNOWN ask" in ran.printed(2)
    assert "{'source': 'x = 1\\nask(x)'} answer to 1" in ran.printed(2)
    assert ran.value(3) == "1"


def test_the_magic_lets_a_cell_be_what_it_is_without(run):
    ran = run(
        START,
        "%%trace\nimport asyncio\nawait asyncio.sleep(0)\nask(1)",
        "%%trace\nask(2)\n\n1 / 0",
        "%%trace\nfrom __future__ import annotations\nx = '''\n  indented\n'''",
        "%%time\n%%trace timed\nask(3)",
        "%%capture\n%%trace captured\nask(4)",
        "%%trace\nask(",
        "ask(5)\nprint(al.get_current_active_span(), repr(x))",
    )

    assert ran.value(1) == "'answer to 1'"
    assert ran.names(1) == ["cell"]
    assert ran.error(2).ename == "ZeroDivisionError"
    assert "3" in ran.error(2).traceback[-2]
    assert "2 spans" in ran.shown(2)[0]
    assert "ERROR" in ran.shown(2)[0]
    assert ran.names(3) == ["cell"]
    assert ran.names(4) == ["timed"]
    assert "Wall time" in ran.printed(4)
    assert ran.names(5) == ["captured"]
    assert ran.error(6).ename in ("SyntaxError", "_IncompleteInputError")
    assert ran.shown(6) == []
    assert ran.names(7) == ["ask"]
    assert ran.printed(7) == "None '\\n  indented\\n'\n"


def test_the_magic_shows_its_trace_where_nothing_else_shows_and_tells_what_it_is(run):
    ran = run(
        START,
        "%%trace\nask(1)",
        "get_ipython().run_cell_magic('trace', 'by hand', 'ask(2)')",
        "print(get_ipython().find_magic('trace', 'cell').__doc__)",
        "%%trace\nask('mail ada@example.com')",
        "t = al.get_trace(al.get_last_active_trace_id())\nprint(t.root.inputs, t.root.outputs)",
        AUTOLOG_DISPLAY="false",
        AUTOLOG_REDACT="email",
    )

    assert ran.names(1) == ["cell"]
    assert ran.names(2) == ["by hand"]
    assert "%%trace name" in ran.printed(3)
    assert "ada@example.com" not in ran.printed(5)
    assert "source" in ran.printed(5)


# --- lists -------------------------------------------------------------------------------------------------


def test_a_list_of_traces_shows_as_a_table(run):
    ran = run(
        START + "al.configure(display=False)",
        "ask('<b>bold</b>')\nwith al.start_span('fails'):\n    raise ValueError('<i>why</i>')",
        "al.search_traces(return_type='list')",
        "al.search_traces(return_type='list', include_spans=False, max_results=1)",
        "al.search_traces('name = \"nobody\"', return_type='list')",
        "al.search_traces(return_type='list')[:1]",
    )

    lines = ran.value(2).split("\n")
    assert lines[0].split() == ["time", "state", "name", "input", "output", "duration", "error"]
    assert "ValueError: <i>why</i>" in lines[1]
    assert "question=<b>bold</b>" in lines[2] or "<b>bold</b>" in lines[2]
    [html] = ran.shown(2, "execute_result", "text/html")
    assert "<table" in html
    assert "&lt;b&gt;bold&lt;/b&gt;" in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert ran.value(3).endswith("1 trace; page_token=….token gets the next ones")
    assert ran.value(4) == "no traces"
    assert ran.value(5).startswith("[Trace(")
