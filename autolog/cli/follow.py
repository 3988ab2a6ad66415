"""Follow a store: tell of each trace once, as soon as it has ended, whichever process records it."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import typer

from autolog.cli import columns
from autolog.cli.options import complain, infos, pages
from autolog.cli.output import Column, console, is_terminal, json_line, write_row
from autolog.errors import StoreError
from autolog.ids import now_ns
from autolog.model.trace import TraceInfo, TraceState

if TYPE_CHECKING:
    from autolog.client import Client

_INTERVAL = 0.5
_LOOK_BACK_NS = 900_000_000_000
"""How long before now a trace may have begun that is new: what comes from elsewhere arrives late."""
_MOST_OPEN = 500
"""Traces that have run for longer, whose end is waited for."""


def follow(client: Client, filter_string: str | None, last: int, names: str | None, *, as_json: bool) -> None:
    """Write the `last` traces that there are, and then each that ends, for ever."""
    chosen = columns.chosen(names)
    ended = Ended(client)
    newest = infos(client, _ended(filter_string), most=last)
    ended.leave_out(newest)
    for info in reversed(newest):
        _write(info, chosen, as_json=as_json)
    if is_terminal():
        typer.secho(f"waiting for traces in {client.location}; Ctrl-C ends it", dim=True, err=True)
    sys.stdout.flush()
    trouble = ""
    waiting: list[TraceInfo] = []
    while True:
        time.sleep(_INTERVAL)
        try:
            waiting += ended.new()
            found = _meeting(client, filter_string, waiting)
        except StoreError as error:  # a server that is started anew, a file that is locked for long
            if str(error) != trouble:
                complain(str(error))
            trouble = str(error)
            continue
        trouble, waiting = "", []
        for info in found:
            _write(info, chosen, as_json=as_json)
        sys.stdout.flush()


def _ended(filter_string: str | None) -> str:
    ended = "status != 'IN_PROGRESS'"
    return f"({filter_string}) AND {ended}" if filter_string and filter_string.strip() else ended


def _meeting(client: Client, filter_string: str | None, found: Sequence[TraceInfo]) -> Sequence[TraceInfo]:
    """Return those of `found` that meet the filter."""
    if not (filter_string or "").strip() or not found:
        return found
    meeting = {
        info.trace_id
        for part in _parts(found)
        for info in infos(client, f"({filter_string}) AND {part}", most=len(found))
    }
    return [info for info in found if info.trace_id in meeting]


def _parts(found: Sequence[TraceInfo]) -> Iterator[str]:
    for start in range(0, len(found), 500):
        yield _is_one_of([info.trace_id for info in found[start : start + 500]])


def _is_one_of(trace_ids: Collection[str]) -> str:
    return f"trace_id IN ({', '.join(f'{one!r}' for one in trace_ids)})"


class Ended:
    """The traces of a store that have ended since it was last asked."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, int] | None = None
        running = infos(client, "status = 'IN_PROGRESS'", most=_MOST_OPEN)
        self._running = {info.trace_id for info in running}
        self._version = client.version()
        self.new()

    def leave_out(self, told: Iterable[TraceInfo]) -> None:
        """Take these for told already."""
        self._known = {**(self._known or {}), **{info.trace_id: info.start_time_ns for info in told}}

    def new(self) -> list[TraceInfo]:
        """Return the traces that have ended since, in the order in which they did."""
        version = self._client.version()
        if version == self._version and self._known is not None:
            return []
        since = now_ns() - _LOOK_BACK_NS
        known = self._known or {}
        found = [info for page in pages(self._client, since=since) for info in page]
        late = sorted(self._running - {info.trace_id for info in found})[:_MOST_OPEN]
        if late:
            found += infos(self._client, _is_one_of(late), most=len(late))
        ended = [info for info in found if info.state is not TraceState.IN_PROGRESS and info.trace_id not in known]
        self._running = {info.trace_id for info in found if info.state is TraceState.IN_PROGRESS}
        known |= {info.trace_id: info.start_time_ns for info in ended}
        self._known = {key: start for key, start in known.items() if start >= since}
        self._version = version
        return sorted(ended, key=lambda info: info.end_time_ns or info.start_time_ns)


def _write(info: TraceInfo, chosen: Sequence[Column[TraceInfo]] | None, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json_line(info.to_dict()) + "\n")
    elif not is_terminal():
        write_row(info, chosen or columns.by_default(None))
    else:
        _write_shown(info, chosen or columns.by_default(console().width))


def _write_shown(info: TraceInfo, chosen: Sequence[Column[TraceInfo]]) -> None:
    from rich.text import Text

    from autolog.display.terminal import safe

    line = Text()
    for column in chosen:
        cell = (column.shown or column.plain)(info)
        cell = Text(safe(cell, 200)) if isinstance(cell, str) else cell
        width = _WIDTHS.get(column.name, 0)
        if width:
            cell.truncate(width, overflow="ellipsis", pad=True)
        line.append_text(cell).append("  ")
    line.rstrip()
    to = console()
    line.truncate(to.width, overflow="ellipsis")
    to.print(line, soft_wrap=True)


_WIDTHS = {
    "trace_id": 8, "timestamp": 8, "status": 9, "name": 20, "request": 30, "response": 34, "duration": 8, "tokens": 11,
    "cost": 8,
}  # fmt: skip
