"""How results are written: tables in a terminal, lines of tab-separated values into a pipe, or JSON Lines."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from autolog import capture
from autolog.display.terminal import safe

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

T = TypeVar("T")

_LONGEST_CELL = 2_000
# What JSON lets stand in a text as it is, and a terminal obeys or can't show.
_OBEYED = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A column of a table: what it is called, and what it says of a row."""

    name: str
    plain: Callable[[T], str]
    """The whole value, for a program to read."""
    shown: Callable[[T], str | Text] | None = None
    """The value for a person; by default the plain one."""
    share: int = 0
    """How much of the width that is left it takes, beside others; 0 for as much as it needs."""
    is_number: bool = False
    most: int | None = None
    """The most cells that it takes."""
    heading: str | None = None
    """What stands above it in a table; by default the name."""


def is_terminal() -> bool:
    """Whether a person reads what is written."""
    return sys.stdout.isatty()


def console() -> Console:
    """Return rich's console, which reads no markup."""
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False)


def write_table(rows: Iterable[T], columns: Sequence[Column[T]]) -> None:
    """Write rows: as a table that fits a terminal, or as tab-separated lines without a heading."""
    if is_terminal():
        console().print(_table(rows, columns))
        return
    for row in rows:
        write_row(row, columns)


def write_row(row: T, columns: Sequence[Column[T]]) -> None:
    """Write one tab-separated line, nothing of it shortened."""
    sys.stdout.write("\t".join(safe(column.plain(row), sys.maxsize) for column in columns) + "\n")


def _table(rows: Iterable[T], columns: Sequence[Column[T]]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=any(c.share for c in columns)
    )
    for column in columns:
        table.add_column(
            column.heading or column.name, justify="right" if column.is_number else "left", no_wrap=True, overflow="ellipsis",
            ratio=column.share or None, max_width=column.most,
        )  # fmt: skip
    for row in rows:
        cells = [(column.shown or column.plain)(row) for column in columns]
        table.add_row(*[Text(safe(cell, _LONGEST_CELL)) if isinstance(cell, str) else cell for cell in cells])
    return table


def json_line(value: Any) -> str:
    """Return JSON on one line, in which nothing stands that a terminal obeys."""
    text = capture.json_bytes(value).decode()
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def write_json(values: Iterable[Any]) -> None:
    """Write values as JSON Lines."""
    for value in values:
        sys.stdout.write(json_line(value) + "\n")
