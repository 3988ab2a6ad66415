"""The command `autolog`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; say what is missing where it is not installed."""
    try:
        from autolog.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.exit(
            "The command line needs two packages more: pip install 'autolog-tracing[cli]', or [ui] for the web page too"
        )
    app()
