"""Run a program with tracing on, as Python itself would run it.

The program runs in a Python of its own, which takes this process's place: nothing of ours is on its stack, in its `sys.argv`
or in its tracebacks. A folder on its path makes it, and the Python programs that it starts, turn tracing on first.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from autolog.cli.options import Command, Store, complain, examples
from autolog.cli.traces import parsed_tags
from autolog.errors import InvalidQuery

STARTUP = Path(__file__).parent / "startup"
# As autolog.cli.started has them, which turns tracing on when it is imported.
TELLS = "AUTOLOG_RUN_TELLS"
LABELS = "AUTOLOG_RUN_LABELS"


class Run(Command):
    """A command whose own options end where the program begins, even with `-m` or `-c`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read our options, and leave the rest as it is."""
        takes_value = {name for one in self.params if not getattr(one, "is_flag", True) for name in one.opts}
        at = 0
        while at < len(args) and args[at].startswith("-") and args[at] not in ("-", "-m", "-c", "--"):
            at += 2 if args[at] in takes_value else 1
        if args[at : at + 1] != ["--"]:
            args = [*args[:at], "--", *args[at:]]
        return list(super().parse_args(ctx, args))


EPILOG = examples(
    "autolog run script.py --its --own arguments",
    "autolog run --experiment trial --tag team=search -m package.module",
    "autolog run uvicorn app:api --port 8000",
    "autolog run -c 'import openai; …'",
)


def run(
    program: Annotated[
        list[str],
        typer.Argument(
            metavar="PROGRAM…",
            help="A script, -m MODULE, -c CODE or a command that is written in Python, with its arguments.",
            show_default=False,
        ),
    ],
    experiment: Annotated[str | None, typer.Option(metavar="NAME", help="The experiment of its traces.")] = None,
    session: Annotated[str | None, typer.Option(metavar="ID", help="The session of its traces.")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="A tag of its traces.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not tell at the end what was recorded.")] = False,
    store: Store = None,
) -> None:
    """Run a program with tracing on, unchanged; tell at its end what was recorded.

    It runs as by `python PROGRAM…`: same arguments, output, exit code and tracebacks. Python programs that it starts are
    traced too.
    """
    labels = {"session": session, "tags": parsed_tags(tags or ())}
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(STARTUP), os.environ.get("PYTHONPATH")])),
        "AUTOLOG_STORE": _whole(store),
        LABELS: json.dumps({name: value for name, value in labels.items() if value}),
    }
    environment.setdefault("AUTOLOG_TRACING", "true")
    if experiment is not None:
        if not experiment.strip():
            raise InvalidQuery("an experiment needs a name")
        environment["AUTOLOG_EXPERIMENT"] = experiment
    if environment["AUTOLOG_TRACING"].strip().lower() in ("0", "false", "no", "off"):
        complain(f"AUTOLOG_TRACING={environment['AUTOLOG_TRACING']}: nothing is recorded")
    elif not quiet:
        environment[TELLS] = "1"
    _become(_command(program), environment)


def _whole(store: str | None) -> str:
    """Return the store's address so that it is the same one in every folder that the program goes to."""
    from autolog.client import Client

    client = Client(store or None)
    location = client.location
    client.close()
    return location if Path(location).is_absolute() else store or location


def _command(program: list[str]) -> list[str]:
    """Return what to run: Python with a script, or a command that runs one."""
    first = program[0]
    command = None if first.startswith("-") or Path(first).exists() else shutil.which(first)
    return [sys.executable, *program] if command is None else [command, *program[1:]]


def _become(command: list[str], environment: dict[str, str]) -> NoReturn:
    if os.name == "nt":  # which has no way to take a process's place
        raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)  # noqa: S603 - asked for
    sys.stdout.flush()
    for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores them, and what is ignored stays so
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    os.execve(command[0], command, environment)  # noqa: S606 - asked for
