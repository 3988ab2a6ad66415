"""Run by noxfile.py away from the sources: the installed wheel is whole and works on its own."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import tempfile
from pathlib import Path

import autolog as al
import autolog_openai

assert "site-packages" in str(autolog_openai.__file__), autolog_openai.__file__
assert importlib.util.find_spec("openai") is None, "this environment must have no optional library"
files = {str(file) for file in importlib.metadata.files("autolog-tracing") or ()}
assert {"autolog/py.typed", "autolog_openai/py.typed"} <= files
assert not any(file.startswith(("tests", "benchmarks", "examples", "cassettes")) for file in files), files

al.autolog()
with tempfile.TemporaryDirectory() as folder:
    al.set_store(str(Path(folder) / "traces.db"))
    with al.start_span("hello", al.SpanType.TASK, inputs={"a": 1}):
        pass
    trace = al.get_trace(al.get_last_active_trace_id() or "")
    assert trace.spans[0].inputs == {"a": 1}
    print(trace)
    al.set_store("memory:")

print("1 passed, 0 failed", file=sys.stderr)
