"""A list of traces as a table, in plain text and in HTML without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from autolog.display import terminal
from autolog.model.trace import Trace, TraceInfo
from autolog.viewer.fallback import escaped, tokens

ROWS = 50
"""Traces that are shown of a list."""
_COLUMNS = ("time", "state", "name", "input", "output", "duration", "tokens", "cost", "error")
_RIGHT = frozenset({"duration", "tokens", "cost"})
_WIDTHS = {"name": 24, "input": 40, "output": 40, "error": 40}
"""Characters of a cell of plain text; twice as many in HTML, whose tooltips have the rest."""
_CELL = "padding:2px 8px;vertical-align:top;max-width:22em;overflow-wrap:anywhere"


def mimebundle(found: Sequence[Any], *, has_more: bool = False) -> dict[str, str]:
    """Return what a notebook may show of a list of traces, by MIME type."""
    return {"text/plain": plain(found, has_more=has_more), "text/html": table(found, has_more=has_more)}


def plain(found: Sequence[Trace | TraceInfo], *, has_more: bool = False) -> str:
    """Return a line a trace, in columns; `has_more` where there is another page."""
    rows = [_row(one) for one in found[:ROWS]]
    columns = [name for name in _COLUMNS if any(row[name] for row in rows)]
    lines = [{name: name for name in columns}, *rows]
    cells = [[terminal.safe(line[name], _WIDTHS.get(name, 40)) for name in columns] for line in lines]
    widths = [max(map(len, column), default=0) for column in zip(*cells, strict=True)]
    shown = [
        "  ".join(
            cell.rjust(width) if name in _RIGHT else cell.ljust(width)
            for name, cell, width in zip(columns, line, widths, strict=True)
        ).rstrip()
        for line in cells
    ]
    return "\n".join([*(shown if rows else ()), _count(len(found), has_more=has_more)])


def table(found: Sequence[Trace | TraceInfo], *, has_more: bool = False) -> str:
    """Return the same as an HTML table, whose styles are all inline."""
    rows = [_row(one) for one in found[:ROWS]]
    columns = [name for name in _COLUMNS if any(row[name] for row in rows)]
    head = "".join(f'<th style="{_style(name)}">{name}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(_cell(name, row[name]) for name in columns)}</tr>" for row in rows)
    count = _count(len(found), has_more=has_more)
    drawn = (
        f'<table style="font:12px/1.5 system-ui,sans-serif"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )
    return f'<div style="overflow-x:auto">{drawn if rows else ""}<div style="font-size:12px;opacity:.65">{count}</div></div>'


def _count(found: int, *, has_more: bool) -> str:
    if not found:
        return "no traces"
    parts = [f"{found:,} trace{'' if found == 1 else 's'}"]
    parts += [f"the first {ROWS} are shown"] if found > ROWS else []
    parts += ["page_token=….token gets the next ones"] if has_more else []
    return "; ".join(parts)


def _row(one: Trace | TraceInfo) -> dict[str, str]:
    info = one.info if isinstance(one, Trace) else one
    return {
        "time": f"{datetime.fromtimestamp(info.start_time_ns / 1e9):%Y-%m-%d %H:%M:%S}",  # noqa: DTZ006 - the reader's
        "state": str(info.state),
        "name": info.name,
        "input": info.request_preview or "",
        "output": info.response_preview or "",
        "duration": terminal.duration(info.duration_ns),
        "tokens": tokens(info).removesuffix(" tokens"),
        "cost": terminal.money(info.cost),
        "error": info.error or ("" if not info.error_count else f"{info.error_count} failed"),
    }


def _cell(name: str, text: str) -> str:
    style = _style(name) + (";color:#d1242f" if name == "error" or text == "ERROR" else "")
    shown = terminal.safe(text, 2 * _WIDTHS.get(name, 40))
    title = f' title="{escaped(terminal.safe(text, 400))}"' if shown.endswith("…") else ""
    return f'<td style="{style}"{title}>{escaped(shown)}</td>'


def _style(name: str) -> str:
    width = ";min-width:9em" if name in _WIDTHS and name != "name" else ";white-space:nowrap"
    return f"{_CELL};text-align:{'right' if name in _RIGHT else 'left'}{width}"
