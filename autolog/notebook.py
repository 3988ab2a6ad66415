"""In a notebook, the traces of a cell show below it; `%%trace` records a whole cell."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from autolog.client import Client, default_client
from autolog.context import _get_current, enter
from autolog.errors import NotFound, StoreError
from autolog.guard import guarded
from autolog.ids import format_trace_id
from autolog.model.span import Span, SpanType
from autolog.model.trace import Trace, TraceState
from autolog.viewer import notebook as viewer

_MAGIC = "trace"
_HEADER = re.compile(r"%%trace(?:[ \t]+(?P<name>.*?))?[ \t]*\n?")
_SPARE = 50
"""Traces of a cell that are passed over, for they run or are not stored, before older ones are not looked at."""


@dataclass(slots=True)
class Cell:
    """What one run of a cell has made and shown."""

    source: str = ""
    trace_ids: list[int] = field(default_factory=list)
    """Of the traces that began in it, oldest first."""
    shown: set[str] = field(default_factory=set)
    spans: list[tuple[int, Span]] = field(default_factory=list)
    """Those of `%%trace` that are open, each with the depth of the cell that it is of."""
    depth: int = 0
    """How many cells run inside of it, as those of `%run other.ipynb`."""
    is_asked: bool = False
    """Whether it said itself that it wants to see its trace."""
    has_ended: bool = False


_cell: ContextVar[Cell | None] = ContextVar("autolog-cell", default=None)
# Threads begin with OpenTelemetry's context, and with no other variable.
_KEY = otel_context.create_key("autolog-cell")


def cell_of_here() -> Cell | None:
    """Return the cell that started what runs here, or `None`."""
    cell = _cell.get() or _get_current().get(_KEY)
    return cell if isinstance(cell, Cell) else None


class Follower:
    """Follows the cells of one shell of IPython, and shows their traces as each one ends."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self._here = threading.local()  # subshells run cells side by side, each in a thread

    def start(self) -> None:
        """Follow cells from the one on that runs now."""
        for follower in _followers(self.shell):
            follower.stop()
        self.shell.events.register("pre_run_cell", self.before)
        self.shell.events.register("post_run_cell", self.after)
        self.shell.input_transformers_cleanup.append(self.transform)
        if _MAGIC not in self.shell.magics_manager.magics["cell"]:
            self.shell.register_magic_function(_trace_magic, "cell", _MAGIC)
        self._begin("")

    def stop(self) -> None:
        """Follow no more."""
        for event, callback in (("pre_run_cell", self.before), ("post_run_cell", self.after)):
            if callback in self.shell.events.callbacks[event]:
                self.shell.events.unregister(event, callback)
        transformers = self.shell.input_transformers_cleanup
        transformers[:] = [one for one in transformers if one != self.transform]
        magics = self.shell.magics_manager.magics["cell"]
        if getattr(magics.get(_MAGIC), "__module__", None) == __name__:
            del magics[_MAGIC]
        self._here.cell = None

    # --- the cell --------------------------------------------------------------------------------

    def before(self, info: Any) -> None:
        """Begin a cell, or one inside of that which runs."""
        with guarded:
            running = self._running()
            # A notebook keeps the cells that it runs in its history; what those run is not kept.
            if running is not None and not info.store_history:
                running.depth += 1
            else:
                self._begin(info.raw_cell)

    def _begin(self, source: str) -> None:
        cell = self._here.cell = Cell(source)
        _cell.set(cell)
        viewer.shown.set(cell.shown)
        enter(Context({**_get_current(), _KEY: cell}))
        default_client().tracer.on_root = _began

    def after(self, result: Any) -> None:
        """End a cell, and show what it made."""
        with guarded:
            cell = self._running()
            if cell is None:
                return
            _leave_spans(cell, result)
            if cell.depth:
                cell.depth -= 1
                return
            cell.has_ended, self._here.cell = True, None
            self._show(cell)

    def _running(self) -> Cell | None:
        found: Cell | None = getattr(self._here, "cell", None)
        return found

    def _show(self, cell: Cell) -> None:
        client = default_client()
        display, limit = client.settings.display, client.settings.display_limit
        if display is None:
            display = not viewer.is_terminal()
        if not cell.trace_ids or not limit or not (display or cell.is_asked):
            return
        traces, more = _made(cell, client, limit)
        if traces:
            self.shell.display_pub.publish(viewer.mimebundle(traces, more))

    # --- %%trace ---------------------------------------------------------------------------------

    def transform(self, lines: list[str]) -> list[str]:
        """Have a cell that begins with `%%trace` begin its span first, and run as it would without.

        All else is as it was: `await`, the value of its last line, the lines of a traceback.
        """
        header = _HEADER.fullmatch(lines[0]) if lines else None
        if header is None:
            return lines
        return [f"__import__({__name__!r}, fromlist=['']).begin_span({header['name'] or 'cell'!r})\n", *lines[1:]]

    def begin_span(self, name: str) -> None:
        """Make a span the current one until the cell ends."""
        cell = self._running()
        if cell is None:  # silent cells are none of those that are followed
            return
        cell.is_asked = True
        source = cell.source.partition("%%trace")[2].partition("\n")[2]
        span = default_client().tracer.start_span(name, SpanType.TASK, inputs={"source": source or cell.source})
        span.__enter__()
        cell.spans.append((cell.depth, span))


_follower: Follower | None = None


def follow() -> None:
    """Show the traces of each cell below it, from this one on; does nothing outside of IPython, or if it is done already."""
    global _follower
    shell = viewer.running_shell()
    with guarded:
        if shell is not None and (_follower is None or _follower.shell is not shell):
            _follower = Follower(shell)
            _follower.start()


def unfollow() -> None:
    """Show no more traces."""
    global _follower
    with guarded:
        if _follower is not None:
            _follower.stop()
            _follower = None


def begin_span(name: str) -> None:
    """Begin the span of a `%%trace` cell, which calls this first."""
    with guarded:
        if _follower is not None:
            _follower.begin_span(name)


def _followers(shell: Any) -> Sequence[Any]:
    """Return whoever follows already: where modules are loaded anew, that is a follower of the module before."""
    callbacks: Sequence[Callable[..., Any]] = shell.events.callbacks["post_run_cell"]
    owners = [getattr(callback, "__self__", None) for callback in callbacks]
    return [one for one in owners if type(one).__module__ == __name__ and hasattr(one, "stop")]


def _trace_magic(line: str, cell: str) -> None:
    """Record the cell as a span, below which what it calls nests, and show its trace: `%%trace name`."""
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    shell.run_cell(f"%%{_MAGIC} {line}\n{cell}")


# --- what a cell made ------------------------------------------------------------------------------------


def _began(root: Span) -> None:
    """Note that a trace began."""
    cell = cell_of_here()
    if cell is not None and not cell.has_ended:
        cell.trace_ids.append(root._trace_id)


def _leave_spans(cell: Cell, result: Any) -> None:
    """End the spans of `%%trace` of the innermost cell, as it ended."""
    error = getattr(result, "error_in_exec", None) or getattr(result, "error_before_exec", None)
    while cell.spans and cell.spans[-1][0] == cell.depth:
        span = cell.spans.pop()[1]
        value = getattr(result, "result", None)
        if value is not None and not isinstance(value, Trace):
            span.set_outputs(value)
        span.__exit__(None if error is None else type(error), error, getattr(error, "__traceback__", None))


def _made(cell: Cell, client: Client, limit: int) -> tuple[list[Trace], int]:
    """Return the newest traces that a cell made and has not shown, oldest first, and how many others there are."""
    ids = [one for one in map(format_trace_id, dict.fromkeys(cell.trace_ids)) if one not in cell.shown]
    found: list[Trace] = []
    passed = 0
    for trace_id in reversed(ids[-limit - _SPARE :]):
        if len(found) == limit:
            break
        try:
            trace = client.get_trace(trace_id)
        except NotFound:  # nobody stored it, as sampling may have it
            passed += 1
            continue
        except StoreError:  # the log says so already
            break
        if trace.state is TraceState.IN_PROGRESS:
            passed += 1
        else:
            found.append(trace)
    return found[::-1], len(ids) - len(found) - passed
