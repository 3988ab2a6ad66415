"""What the commands have in common: which store, which traces, and the errors that end them."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from autolog.display.terminal import safe
from autolog.errors import AutologError, InvalidQuery, InvalidSetting, NotFound

if TYPE_CHECKING:
    from autolog.client import Client
    from autolog.model.trace import TraceInfo

NOTHING = 1
"""The exit code where nothing was found, or something failed."""
WRONG = 2
"""The exit code where a command can't be understood."""

Store = Annotated[
    str | None,
    typer.Option(
        "--store", envvar="AUTOLOG_STORE", metavar="ADDRESS",
        help="A path, sqlite:///path or http://host:port. By default .autolog/traces.db here or in a folder above.",
    ),
]  # fmt: skip
Filter = Annotated[
    str | None,
    typer.Argument(
        metavar="FILTER",
        help="Such as \"status = 'ERROR' AND duration > 2s\".",
        show_default=False,
    ),
]
Since = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="Only those that began then or later: 90s, 1h, 7d ago; 2026-01-31; an ISO time."),
]
Until = Annotated[str | None, typer.Option(metavar="WHEN", help="Only those that began before.")]
Experiment = Annotated[str | None, typer.Option(metavar="NAME", help="Only those of this experiment.")]
Session = Annotated[str | None, typer.Option(metavar="ID", help="Only those of this session.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
TraceId = Annotated[
    str, typer.Argument(metavar="ID", help="A trace's id, its first 6 digits or more, or `last`.", show_default=False)
]


def examples(*lines: str) -> str:
    """Return what stands below a command's help."""
    return "\n".join(lines)


class Command(TyperCommand):
    """A command whose help ends with examples, a line each, which are its epilog."""

    def __init__(self, *args: Any, epilog: str | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self._examples = epilog
        if self.help:
            self.help = _LINE_BREAK.sub(" ", inspect.cleandoc(self.help))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        super().format_help(ctx, formatter)
        write_examples(self._examples, formatter)


_LINE_BREAK = re.compile(r"(?<!\n)\n(?!\n)")


def write_examples(lines: str | None, formatter: Any) -> None:
    """Write examples below a help."""
    if lines:
        formatter.write("\nExamples:\n")
        formatter.write("".join(f"  {line}\n" for line in lines.split("\n")))


class Explained(TyperGroup):
    """Commands whose errors are told in one sentence, without a traceback; its epilog is examples."""

    def __init__(self, *args: Any, epilog: str | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self._examples = epilog

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        super().format_help(ctx, formatter)
        write_examples(self._examples, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Run what was asked for."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a reader that has gone is noticed here, not at the interpreter's end
        except AutologError as error:
            complain(str(error))
            raise typer.Exit(WRONG if isinstance(error, (InvalidQuery, InvalidSetting)) else NOTHING) from None
        return result


def complain(message: str) -> None:
    """Tell on stderr what went wrong, line by line, without what a terminal would obey."""
    for line in f"autolog: {message}".split("\n"):
        # Leading spaces are kept: a caret below a filter points at the place.
        indent = line[: len(line) - len(line.lstrip())]
        typer.echo(indent + safe(line, 10_000), err=True)


@contextmanager
def opened(store: str | None) -> Iterator[Client]:
    """Open the store for the block; without an address, the one that the environment names or the nearest."""
    from autolog.client import Client

    client = Client(store or None)
    try:
        yield client
    finally:
        client.close()


# --- moments -------------------------------------------------------------------------------------------------

_AGO = re.compile(r"\d+(?:\.\d+)?(?:ms|[smhdw])")


def moment(option: str, written: str | None) -> int | None:
    """Return the nanoseconds since the epoch that a person means by `1h`, `2026-01-31` or a number."""
    if written is None:
        return None
    from autolog.search.filter import Comparison, parse

    text = written.strip()
    told = (
        f"now() - {text}" if _AGO.fullmatch(text) else text if text.isdigit() else "'" + text.replace("'", "''") + "'"
    )
    try:
        found = parse(f"timestamp >= {told}")
    except InvalidQuery:
        found = None
    if not isinstance(found, Comparison) or not isinstance(found.value, int):
        raise InvalidQuery(
            f"{option} {written!r} is no time; write how long ago, as in 90s, 1h or 7d, or a date or time as in "
            "2026-01-31 or 2026-01-31T12:00:00Z"
        )
    return found.value


# --- traces --------------------------------------------------------------------------------------------------

_ABBREVIATED = re.compile("[0-9a-fA-F]{6,32}")


def trace_id(client: Client, written: str) -> str:
    """Return the whole id of the trace that a person means: by its beginning, or `last`; raise `NotFound`."""
    if written == "last":
        return _last(client).trace_id
    text = written.lower().removeprefix("0x").removesuffix("…")
    if not _ABBREVIATED.fullmatch(text):
        raise InvalidQuery(
            f"{written!r} is no trace id: that is 32 hex digits, or the first 6 or more of them, or `last`"
        )
    if len(text) == 32:
        return text
    found = infos(client, f"trace_id LIKE '{text}%'", most=3)
    if not found:
        raise NotFound(f"no trace {written}… in {client.location}; `autolog traces list` lists what there is")
    if len(found) > 1:
        raise InvalidQuery(f"several traces begin with {written}: {', '.join(info.trace_id for info in found)}")
    return found[0].trace_id


def _last(client: Client) -> TraceInfo:
    found = infos(client, None, most=1)
    if not found:
        raise NotFound(no_traces(client))
    return found[0]


def no_traces(client: Client) -> str:
    """Say that the store is empty, and what to do."""
    return f"no traces in {client.location} yet; `autolog run script.py` records some, `autolog demo` shows examples"


def infos(client: Client, filter_string: str | None, *, most: int, **conditions: Any) -> list[TraceInfo]:
    """Return the first `most` traces that meet the filter and the conditions of `search_traces`."""
    return [info for page in pages(client, filter_string, most=most, **conditions) for info in page]


_PAGE = 500


def pages(
    client: Client, filter_string: str | None = None, *, most: int | None = None, **conditions: Any
) -> Iterator[list[TraceInfo]]:
    """Yield the traces that meet the filter and the conditions of `search_traces`, a page at a time, `most` in all."""
    token, left = None, most
    while left is None or left > 0:
        page: Any = client.search_traces(
            filter_string, page_token=token, max_results=_PAGE if left is None else min(left, _PAGE),
            include_spans=False, return_type="list", **conditions,
        )  # fmt: skip
        yield page
        token = page.token
        left = None if left is None else left - len(page)
        if token is None:
            return
