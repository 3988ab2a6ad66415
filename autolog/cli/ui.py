"""Serve the web page of a store."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autolog.cli.options import Store, examples, opened
from autolog.errors import InvalidSetting, Unavailable

if TYPE_CHECKING:
    from autolog.client import Client
    from autolog.server.access import Token

EPILOG = examples(
    "autolog ui",
    "autolog ui --port 8080 --no-browser --store /var/lib/traces.db",
    "autolog ui --host 0.0.0.0 --token-file tokens.txt --allow-host traces.example.com",
)
_FIRST_PORT, _LAST_PORT = 4321, 4340


def ui(
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            "-p",
            min=0,
            max=65_535,
            metavar="N",
            help="By default 4321, or the next one that is free; 0 is any.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 is on every network.")
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    read_tokens: Annotated[
        list[str] | None, typer.Option("--read-token", metavar="SECRET[:EXPERIMENT]", help="Whoever has it may look.")
    ] = None,
    send_tokens: Annotated[
        list[str] | None,
        typer.Option("--send-token", metavar="SECRET[:EXPERIMENT]", help="Whoever has it may hand in traces."),
    ] = None,
    write_tokens: Annotated[
        list[str] | None,
        typer.Option("--write-token", metavar="SECRET[:EXPERIMENT]", help="Whoever has it may do everything."),
    ] = None,
    token_file: Annotated[
        Path | None,
        # Not `send:SECRET:experiment`: rich takes :SECRET: for an emoji.
        typer.Option(metavar="FILE", help="Tokens, a line each, such as read:SECRET or ada=write:SECRET."),
    ] = None,
    allow_hosts: Annotated[
        list[str] | None, typer.Option("--allow-host", metavar="NAME", help="A name that a proxy calls the server by.")
    ] = None,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Let everybody who reaches it do everything, on every network.")
    ] = False,
    store: Store = None,
) -> None:
    """Serve the web page over the store, and take the traces of other programs in; Ctrl-C ends it.

    Programs send theirs with AUTOLOG_STORE set to the page's address, or by OTLP to /v1/traces.
    """
    tokens = _tokens(read_tokens, send_tokens, write_tokens, token_file)
    with opened(store) as client:
        run(
            client, host=host, port=port, tokens=tokens, allow_hosts=allow_hosts or (), no_auth=no_auth,
            open_browser=browser,
        )  # fmt: skip


def _tokens(
    read: Sequence[str] | None, send: Sequence[str] | None, write: Sequence[str] | None, file: Path | None
) -> list[Token]:
    _check_installed()
    from autolog.server.access import parse_tokens, read_tokens, tokens_of_environment

    given = {"read": read, "send": send, "write": write}
    told = [f"{may}:{secret}" for may, secrets in given.items() for secret in secrets or ()]
    return [*parse_tokens("\n".join(told)), *([] if file is None else read_tokens(file)), *tokens_of_environment()]


def run(
    client: Client,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    tokens: Sequence[Token] = (),
    allow_hosts: Sequence[str] = (),
    no_auth: bool = False,
    open_browser: bool,
) -> None:
    """Serve until Ctrl-C; say where once the page answers."""
    _check_installed()
    from autolog.server.serve import serve

    def tell(address: str) -> None:
        typer.echo(f"{address}  {client.location}")
        typer.secho("Ctrl-C ends it", dim=True, err=True)

    serve(
        client, host=host, port=_free_port(host) if port is None else port, tokens=tokens, allow_hosts=allow_hosts,
        no_auth=no_auth, open_browser=open_browser, on_listening=tell,
    )  # fmt: skip


def _free_port(host: str) -> int:
    """Return the usual port, or where that is in use the next one that is free."""
    from autolog.server.serve import listening

    for port in range(_FIRST_PORT, _LAST_PORT):
        with contextlib.suppress(InvalidSetting):
            listening(host, port).close()
            return port
    return _LAST_PORT


def _check_installed() -> None:
    try:
        import autolog.server.serve  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("autolog"):
            raise
        raise Unavailable(
            f"the web page needs more packages ({error.name}): pip install 'autolog-tracing[ui]'"
        ) from None
