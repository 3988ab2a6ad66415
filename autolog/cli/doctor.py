"""Find out whether all is well, and say what to do where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from autolog.cli.options import NOTHING, Json, Store, examples
from autolog.cli.output import Column, console, is_terminal, json_line, write_row
from autolog.display.terminal import safe

if TYPE_CHECKING:
    from autolog.health import Finding

EPILOG = examples("autolog doctor", "autolog doctor --json | jq '.findings[] | select(.state == \"problem\")'")
_PROBLEM = "problem"
_MARKS = {"ok": ("✓", "green"), "note": ("·", "yellow"), _PROBLEM: ("✗", "bold red")}
_COLUMNS: list[Column[Finding]] = [
    Column("section", lambda one: one.section),
    Column("name", lambda one: one.name),
    Column("state", lambda one: str(one.state)),
    Column("value", lambda one: str(one.value)),
    Column("advice", lambda one: one.advice or ""),
]


def doctor(as_json: Json = False, store: Store = None) -> None:
    """Tell what is installed, what can be traced, what is set, and whether the store is well; what to do where not.

    Exits with 1 where something is wrong. Into a pipe: section, name, state, value and advice, separated by tabs.
    """
    from autolog.health import examine

    findings = examine(store)
    is_well = all(one.state != _PROBLEM for one in findings)
    if as_json:
        typer.echo(json_line({"ok": is_well, "findings": [one.to_dict() for one in findings]}))
    elif is_terminal():
        _show(findings)
    else:
        for one in findings:
            write_row(one, _COLUMNS)
    if not is_well:
        raise typer.Exit(NOTHING)


def _show(findings: list[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    to = console()
    for section in dict.fromkeys(one.section for one in findings):
        to.print(Text(f"\n{section}", style="bold"))
        width = max(len(one.name) for one in findings if one.section == section)
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column(width=1)
        table.add_column(width=width, no_wrap=True)
        table.add_column(overflow="fold")
        for one in findings:
            if one.section == section:
                mark, style = _MARKS[str(one.state)]
                told = Text(safe(str(one.value), 500))
                if one.advice:
                    told.append(f"\n{safe(one.advice, 1_000)}", style="red" if one.state == _PROBLEM else "dim")
                table.add_row(Text(mark, style=style), Text(safe(one.name, 80)), told)
        to.print(table)
    problems = sum(one.state == _PROBLEM for one in findings)
    to.print(Text(f"\n{problems} problem{'' if problems == 1 else 's'}" if problems else "\nall is well", style="bold"))
