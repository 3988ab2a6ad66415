"""`autolog()`: on and off, for all or some libraries, before or after their import, by code or by environment."""

from __future__ import annotations

import dataclasses
import logging
import os
import subprocess
import sys
import textwrap
import threading

import pytest

import autolog as al
from autolog import InvalidSetting, Unavailable, UnknownIntegration, autolog
from autolog.instrumentation import Integration
from autolog.instrumentation.registry import registry
from autolog.settings import Settings, from_environment
from autolog.testing import spans


class Greeter:
    """A library's class, to be observed."""

    def greet(self, name):
        """Greet somebody."""
        return f"hello {name}"

    async def agreet(self, name):
        return f"hello {name}"


def trace_greet(call):
    with call.start_span(f"greet {call.args[0]}") as span:
        span.set_outputs((yield))


class Greeting(Integration):
    name = "greeting"
    requires = "pytest>=1"
    module = __name__
    targets = {f"{__name__}:Greeter.greet": trace_greet, f"{__name__}:Greeter.gone": trace_greet}
    defaults = {"loudly": False}


@pytest.fixture
def greeting(client, monkeypatch):
    """An integration of this module, as a third party would register it."""
    sys.modules.setdefault(Greeter.__module__, sys.modules[__name__])
    monkeypatch.setattr("autolog.instrumentation.registry._found", {"greeting": f"{__name__}:Greeting"})
    monkeypatch.setitem(registry._loaded, "greeting", Greeting())
    monkeypatch.setattr(registry, "_hooked", set())
    return client


def run(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "AUTOLOG_STORE": "memory:", **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- on and off ------------------------------------------------------------------------------------------


def test_on_twice_traces_once_and_off_puts_the_original_back(greeting):
    original = vars(Greeter)["greet"]
    autolog()
    autolog()
    assert Greeter().greet("you") == "hello you"
    autolog(log_traces=False)

    assert vars(Greeter)["greet"] is original
    assert Greeter().greet("nobody") == "hello nobody"
    assert [(span.name, span.outputs) for span in spans(greeting)] == [("greet you", "hello you")]


def test_on_off_on_traces_once(greeting):
    for _ in range(3):
        autolog()
        autolog(disable=True)
    autolog()
    Greeter().greet("you")
    assert len(spans(greeting)) == 1


def test_some_libraries_or_all_but_some(greeting):
    autolog(exclude=["greeting"])
    Greeter().greet("excluded")
    autolog("greeting")
    Greeter().greet("named")
    assert [span.name for span in spans(greeting)] == ["greet named"]


def test_a_handle_for_each_library(greeting):
    al.greeting.autolog()
    Greeter().greet("package")
    autolog.greeting(log_traces=False)
    Greeter().greet("off")
    autolog.greeting.autolog(loudly=True)
    Greeter().greet("function")

    assert [span.name for span in spans(greeting)] == ["greet package", "greet function"]
    assert registry._loaded["greeting"].options == {"loudly": True}
    with pytest.raises(InvalidSetting, match="greeting has no option 'quietly'; there are: loudly"):
        al.greeting.autolog(quietly=True)


def test_an_unknown_library_is_refused_with_the_known_ones():
    with pytest.raises(
        UnknownIntegration, match="no integration 'opnai'; there are: langchain, llama_index, openai, threads"
    ):
        autolog("opnai")
    with pytest.raises(UnknownIntegration):
        autolog(exclude="x")
    with pytest.raises(AttributeError, match="nonsense"):
        _ = al.nonsense


def test_a_library_that_is_not_installed_is_refused_when_named_and_skipped_otherwise(greeting, monkeypatch):
    monkeypatch.setattr(Greeting, "requires", "no-such-distribution>=2")
    monkeypatch.setattr(Greeting, "module", "no_such_module")
    autolog()
    with pytest.raises(Unavailable, match="pip install 'no-such-distribution>=2'"):
        autolog("greeting")


def test_an_unsupported_version_is_traced_with_one_warning(greeting, monkeypatch, caplog):
    monkeypatch.setattr(Greeting, "requires", "pytest<1")
    autolog()
    autolog()
    Greeter().greet("you")

    assert len(spans(greeting)) == 1
    assert caplog.text.count("is not a version that autolog was tested with (pytest<1)") == 1


def test_integrations_tells_what_is_installed_supported_and_on(greeting):
    [before] = al.integrations()
    autolog()
    [after] = al.integrations()

    assert (before.name, before.supported, before.on) == ("greeting", True, False)
    assert before.installed == pytest.__version__
    assert after.on


def test_many_threads_turning_it_on_and_off_leave_one_wrapper_or_none(greeting):
    original = vars(Greeter)["greet"]

    def switch():
        for _ in range(50):
            autolog()
            autolog(log_traces=False)

    threads = [threading.Thread(target=switch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    autolog()
    Greeter().greet("you")
    autolog(log_traces=False)

    assert len(spans(greeting)) == 1
    assert vars(Greeter)["greet"] is original


def test_an_observed_function_looks_as_it_did(greeting):
    import inspect

    before = inspect.signature(Greeter.greet), Greeter.greet.__doc__, Greeter.greet.__qualname__
    autolog()
    assert (inspect.signature(Greeter.greet), Greeter.greet.__doc__, Greeter.greet.__qualname__) == before


def test_another_patch_above_ours_keeps_working_and_ours_goes_silent(greeting):
    original = vars(Greeter)["greet"]
    autolog()
    ours = vars(Greeter)["greet"]

    def theirs(self, name):
        return ours.__get__(self)(name).upper()

    Greeter.greet = theirs
    try:
        autolog(log_traces=False)
        assert Greeter().greet("x") == "HELLO X"
        autolog()
        assert Greeter().greet("y") == "HELLO Y"
        autolog(log_traces=False)
        # They take their patch off and put back what they found: ours, which then puts back the original.
        Greeter.greet = ours
        Greeter().greet("z")
        assert vars(Greeter)["greet"] is original
    finally:
        Greeter.greet = original


# --- imports ---------------------------------------------------------------------------------------------


def test_autolog_imports_no_library_that_it_traces():
    program = """
        import sys
        from autolog import autolog
        autolog()
        print([name for name in ("openai", "langchain_core", "llama_index", "pandas", "rich", "numpy") if name in sys.modules])
    """
    assert run(program) == "[]"


def test_import_alone_traces_nothing_and_imports_little():
    program = """
        import sys, opentelemetry.trace
        before = set(sys.modules)
        import autolog
        print([m for m in ("openai", "wrapt", "sqlite3", "orjson", "asyncio", "pandas", "rich") if m in set(sys.modules) - before])
        print([i.on for i in autolog.integrations()])
    """
    assert run(program) == "[]\n[False, False, False, False]"


# --- the environment -------------------------------------------------------------------------------------


def test_the_environment_turns_tracing_off_wherever_it_is_called():
    program = """
        import autolog as al
        al.autolog(); al.openai.autolog()
        al.start_span("x").end()
        print(any(i.on for i in al.integrations()), al.search_traces(return_type="list"))
    """
    assert run(program, AUTOLOG_TRACING="false") == "False []"


def test_the_environment_turns_tracing_on_at_import():
    assert run("import autolog as al; print(al.integrations()[0].on)", AUTOLOG_TRACING="true") == "True"


SETTINGS = {
    "tracing": ("0", False),
    "store": ("x.db", "x.db"),
    "experiment": ("e", "e"),
    "version": ("v2", "v2"),
    "capture_content": ("no", False),
    "capture_user": ("off", False),
    "capture_embeddings": ("yes", True),
    "inject_stream_usage": ("1", True),
    "redact": ("email, card", ("email", "card")),
    "redact_region": ("DE", "DE"),
    "sample_ratio": ("0.5", 0.5),
    "sample_keep_errors": ("on", True),
    "sample_keep_slower": ("1.5", 1.5),
    "sample_follow_parent": ("no", False),
    "duplicates": ("merge", "merge"),
    "cost": ("False", False),
    "otlp_endpoint": ("http://localhost:4318", "http://localhost:4318"),
    "otlp_protocol": ("grpc", "grpc"),
    "otlp_conventions": ("openinference", "openinference"),
    "flush_interval": ("0.5", 0.5),
    "queue_spans": ("1", 1),
    "queue_bytes": ("2", 2),
    "max_string": ("3", 3),
    "max_payload": ("4", 4),
    "max_media": ("5", 5),
    "max_stream": ("6", 6),
    "exit_timeout": ("7", 7.0),
    "display": ("false", False),
    "display_limit": ("8", 8),
    "token": ("secret", "secret"),
    "spool": ("/tmp/spool", "/tmp/spool"),
    "spool_bytes": ("9", 9),
}


def test_every_setting_has_its_variable():
    assert from_environment({}) == Settings()
    assert SETTINGS.keys() == {field.name for field in dataclasses.fields(Settings)}
    read = from_environment({f"AUTOLOG_{name.upper()}": text for name, (text, _) in SETTINGS.items()})
    assert read == Settings(**{name: value for name, (_, value) in SETTINGS.items()})


@pytest.mark.parametrize(
    ("name", "value"),
    [("AUTOLOG_TRACING", "maybe"), ("AUTOLOG_QUEUE_SPANS", "many"), ("AUTOLOG_FLUSH_INTERVAL", "-1")],
)
def test_a_variable_that_makes_no_sense_is_reported_and_ignored(caplog, name, value):
    with caplog.at_level(logging.WARNING):
        assert from_environment({name: value}) == Settings()
    assert f"{name}={value!r} is ignored" in caplog.text


def test_a_setting_that_makes_no_sense_is_refused():
    with pytest.raises(InvalidSetting, match="queue_spans must be a int, not 'x'"):
        Settings().replace(queue_spans="x")
    with pytest.raises(InvalidSetting, match="unknown setting 'colour'; there are: capture_content"):
        Settings().replace(colour="red")
    with pytest.raises(InvalidSetting, match="an experiment needs a name"):
        al.set_experiment(" ")


def test_experiments_are_recorded_and_searched(client):
    al.set_experiment("first")
    al.start_span("a").end()
    al.set_experiment("second")
    al.start_span("b").end()
    [found] = al.search_traces(experiment="first", return_type="list")
    assert found.name == "a"
