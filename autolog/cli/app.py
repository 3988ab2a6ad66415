"""The commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Look at the traces of LLM programs.", pretty_exceptions_enable=False)


@app.callback()
def _commands() -> None:
    """Look at the traces of LLM programs."""


@app.command()
def ui(port: Annotated[int, typer.Option(help="The port to listen on.")] = 4321) -> None:
    """Serve the web page of the store."""
    from autolog.client import default_client
    from autolog.server.serve import serve

    serve(default_client(), port=port)
