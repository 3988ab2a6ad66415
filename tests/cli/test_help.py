"""Every command explains itself."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from autolog.cli.app import app


def commands(group, path=()):
    """Yield every command's words, and itself."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_these_are_the_commands():
    assert {" ".join(words) for words in COMMANDS} == {
        "ui", "run", "stats", "doctor", "demo", "traces list", "traces search", "traces show", "traces tail",
        "traces export", "traces import", "traces delete", "traces tag", "traces compare",
    }  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_says_what_a_command_does_with_examples_that_name_it(shell, words):
    found = shell(*words, "--help")

    assert found.code == 0
    assert found.lines[0].startswith(f"Usage: autolog {' '.join(words)}")
    examples = found.stdout.partition("\nExamples:\n")[2].splitlines()
    assert examples
    assert all(f"autolog {' '.join(words)}" in example for example in examples)
    assert all(len(line) <= 100 for line in found.lines)
    for option in COMMANDS[words].params:
        assert getattr(option, "help", None), option.name


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_that_opens_a_store_takes_it_by_option_and_environment(words):
    if words != ("demo",):
        [store] = [option for option in COMMANDS[words].params if option.name == "store"]
        assert (store.opts, store.envvar) == (["--store"], "AUTOLOG_STORE")


def test_alone_and_wrong_it_says_how_it_is_used(shell):
    alone = shell()
    assert "Usage: autolog" in alone.stdout + alone.stderr
    wrong = shell("no-such-command")
    assert wrong.code == 2
    assert "No such command" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_help_in_a_terminal_fits_it(shell):
    for words in (("--help",), ("traces", "list", "--help")):
        screen = shell.on_screen(*words, width=80)
        assert screen.code == 0
        assert "Examples:" in screen.lines


def test_without_its_packages_it_says_what_to_install(shell, tmp_path):
    code = "import sys; sys.modules['typer'] = None\nfrom autolog.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=shell.environment())
    assert done.returncode == 1
    assert done.stderr.startswith("The command line needs two packages more: pip install 'autolog-tracing[cli]'")


def test_a_list_needs_neither_the_server_nor_any_library_that_is_traced(shell, store):
    code = "import sys\nfrom autolog.cli import main\ntry: main()\nfinally: print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code, "traces", "list"], capture_output=True, text=True, env=shell.environment()
    )
    loaded = set(done.stdout.split())
    assert "autolog.cli.traces" in loaded
    assert not {"fastapi", "uvicorn", "openai", "langchain_core", "pandas", "autolog.health", "rich.table"} & loaded


def test_completion_is_offered(shell):
    found = shell("--show-completion", "bash")
    assert "_AUTOLOG_COMPLETE" in found.stdout or found.code != 0
