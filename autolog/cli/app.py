"""The commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from autolog.cli import demo, doctor, options, run, stats, traces, ui
from autolog.cli.output import is_terminal

# Boxes and colours are for people.
app = typer.Typer(
    cls=options.Explained,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if is_terminal() else None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=options.examples(
        "autolog run script.py",
        "autolog traces list",
        "autolog traces show last",
        "autolog ui",
    ),
)
app.command("run", cls=run.Run, epilog=run.EPILOG)(run.run)
app.add_typer(traces.app, name="traces")
app.command("ui", cls=options.Command, epilog=ui.EPILOG)(ui.ui)
app.command("stats", cls=options.Command, epilog=stats.EPILOG)(stats.stats)
app.command("doctor", cls=options.Command, epilog=doctor.EPILOG)(doctor.doctor)
app.command("demo", cls=options.Command, epilog=demo.EPILOG)(demo.demo)


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        from autolog import __version__

        typer.echo(f"autolog {__version__}")
        raise typer.Exit


@app.callback()
def commands(
    version: Annotated[
        bool, typer.Option("--version", help="Tell the version.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """Look at the traces of LLM programs."""
