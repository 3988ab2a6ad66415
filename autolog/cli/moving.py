"""Traces out of a store into a file, and out of files into a store."""

from __future__ import annotations

import gzip
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import typer

from autolog.cli.options import NOTHING, complain
from autolog.errors import InvalidQuery, InvalidTrace
from autolog.transfer import Format, export_traces, import_traces

if TYPE_CHECKING:
    from autolog.client import Client

_FORMATS: dict[str, Format] = {".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet"}


def export(client: Client, output: str, form: Format | None, filter_string: str | None, **conditions: Any) -> None:
    """Write the traces that meet the filter and the conditions into a file, or to the standard output."""
    if output == "-":
        written = export_traces(client, sys.stdout.buffer, form or "jsonl", filter_string, **conditions)
        sys.stdout.buffer.flush()
    else:
        path = Path(output).expanduser()
        chosen = form or _FORMATS.get(Path(path.name.removesuffix(".gz")).suffix, "jsonl")
        with _file(path) as file:
            written = export_traces(client, file, chosen, filter_string, **conditions)
    typer.echo(f"{_counted(written, 'trace')} → {'standard output' if output == '-' else output}", err=True)
    if not written:
        raise typer.Exit(NOTHING)


@contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    """Open a file to be written, which is there when all of it is, compressed where its name ends with `.gz`."""
    try:
        if path.exists() and not path.is_file():  # a pipe or a device
            with path.open("wb") as file:
                yield file
            return
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InvalidQuery(f"{path} can't be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            if path.suffix == ".gz":
                with gzip.GzipFile(path.name, "wb", fileobj=file, compresslevel=6) as packed:
                    yield cast("BinaryIO", packed)
            else:
                yield file
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def import_files(client: Client, files: Sequence[str]) -> None:
    """Take in the traces of files, one after the other; tell how many of each."""
    for name in files:
        try:
            if name == "-":
                found = import_traces(client, sys.stdin.buffer)
            else:
                with Path(name).expanduser().open("rb") as file:
                    found = import_traces(client, file)
        except InvalidTrace as error:
            raise InvalidTrace(f"{'standard input' if name == '-' else name}: {error}") from None
        except OSError as error:
            complain(f"{name} can't be read: {error.strerror or error}")
            raise typer.Exit(NOTHING) from None
        typer.echo(f"{name}: {_counted(found.traces, 'trace')}, {_counted(found.spans, 'new span')}")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
