"""The command `autolog`."""

from __future__ import annotations

import sys
from contextlib import suppress
from io import TextIOWrapper


def main() -> None:
    """Run the command line; say what is missing where it is not installed."""
    try:
        from autolog.cli.app import app
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.exit(
            "The command line needs two packages more: pip install 'autolog-tracing[cli]', or [ui] for the web page too"
        )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            with suppress(ValueError):  # closed by whoever called
                stream.reconfigure(errors="backslashreplace")  # what a locale can't write ends no listing
    app(prog_name="autolog")
