"""Show what traces look like, where there are none of one's own yet."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from autolog.cli.options import examples, opened

EPILOG = examples("autolog demo", "autolog demo --print")


def demo(
    printed: Annotated[bool, typer.Option("--print", help="Only print one of them, as a tree.")] = False,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the store, and say where it is.")] = False,
    count: Annotated[int, typer.Option("--count", min=1, max=100_000, metavar="N", help="How many traces.")] = 200,
    port: Annotated[
        int | None, typer.Option("--port", "-p", min=0, max=65_535, metavar="N", help="As of `ui`.")
    ] = None,
) -> None:
    """Record traces of an imagined support desk into a store of their own, and serve the web page over it."""
    from autolog.sample import record

    if printed:
        _print()
        return
    folder = Path(tempfile.mkdtemp(prefix="autolog-demo-"))
    try:
        with opened(str(folder / "traces.db")) as client:
            record(client, count)
            from autolog.cli import ui

            ui.run(client, port=port, open_browser=browser)
    finally:
        if keep:
            typer.echo(f"kept: autolog ui --store {folder / 'traces.db'}", err=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _print() -> None:
    from autolog.display import terminal
    from autolog.sample import record

    with opened("memory:") as client:
        terminal.show(client.get_trace(record(client, 1)[0]))
