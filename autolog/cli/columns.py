"""What a list of traces can show of each: its columns, by the names that the filter language has for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from autolog.cli.output import Column
from autolog.display import terminal
from autolog.errors import InvalidQuery

if TYPE_CHECKING:
    from rich.text import Text

    from autolog.model.trace import TraceInfo

SHORT_ID = 8
_MARKS = {"OK": ("●", "green"), "ERROR": ("✗", "bold red"), "CANCELLED": ("○", "yellow"), "IN_PROGRESS": ("…", "cyan")}


def iso(nanoseconds: int | None) -> str:
    """Return a time as ISO 8601 has it, in UTC, to the millisecond."""
    if nanoseconds is None:
        return ""
    moment = datetime.fromtimestamp(nanoseconds / 1e9, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local(nanoseconds: int) -> str:
    """Return a time as a clock on the wall here shows it: without the date where it is today's."""
    moment = datetime.fromtimestamp(nanoseconds / 1e9).astimezone()
    now = datetime.now(timezone.utc).astimezone()
    if moment.date() == now.date():
        return f"{moment:%H:%M:%S}"
    return f"{moment:%d %b %H:%M}" if moment.year == now.year else f"{moment:%Y-%m-%d}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def _usage(info: TraceInfo, name: str) -> str:
    return "" if info.usage is None else _number(getattr(info.usage, name))


def tokens(info: TraceInfo) -> str:
    """Return how many tokens went in and came out."""
    return terminal.tokens(info.usage).removesuffix(" tokens")


def state(info: TraceInfo) -> Text:
    """Return the state as a mark and, where it is not well, a word."""
    from rich.text import Text

    mark, style = _MARKS[str(info.state)]
    word = {"ERROR": "error", "IN_PROGRESS": "running", "CANCELLED": "cancelled"}.get(str(info.state), "ok")
    return Text(f"{mark} {word}", style=style)


def _answer(info: TraceInfo) -> str | Text:
    from rich.text import Text

    if info.error is None:
        return info.response_preview or ""
    return Text(f"✗ {terminal.safe(info.error, 300)}", style="red")


def _duration(info: TraceInfo) -> str:
    return "" if info.duration_ns is None else f"{info.duration_ns / 1e6:.3f}"


def _assessments(info: TraceInfo) -> str:
    return ", ".join(f"{one.name}={one.value}" for one in info.assessments if one.valid)


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in labels.items())


def _text(name: str, field: str, share: int = 0) -> Column[TraceInfo]:
    return Column(name, lambda info: str(getattr(info, field) or ""), share=share)


def _count(name: str, read: Callable[[TraceInfo], str]) -> Column[TraceInfo]:
    return Column(name, read, is_number=True)


_ALL: Sequence[Column[TraceInfo]] = (
    Column("trace_id", lambda info: info.trace_id, lambda info: info.trace_id[:SHORT_ID], heading="id"),
    Column("timestamp", lambda info: iso(info.start_time_ns), lambda info: local(info.start_time_ns), heading="time"),
    Column("end_time", lambda info: iso(info.end_time_ns), lambda info: local(info.end_time_ns) if info.end_time_ns else ""),
    Column("status", lambda info: str(info.state), state),
    Column("name", lambda info: info.name, most=28),
    Column("duration", _duration, lambda info: terminal.duration(info.duration_ns), is_number=True),
    Column("tokens", lambda info: _usage(info, "total_tokens"), tokens, is_number=True),
    _count("input_tokens", lambda info: _usage(info, "input_tokens")),
    _count("output_tokens", lambda info: _usage(info, "output_tokens")),
    Column(
        "cost", lambda info: "" if info.cost is None else _number(info.cost.total),
        lambda info: terminal.money(info.cost), is_number=True,
    ),
    _text("session", "session"),
    _text("user", "user"),
    _text("experiment", "experiment"),
    _text("run", "run"),
    _text("version", "version"),
    _text("client_request_id", "client_request_id"),
    _text("request", "request_preview", share=4),
    Column("response", lambda info: info.response_preview or "", _answer, share=4),
    _text("error", "error", share=3),
    _count("spans", lambda info: str(info.span_count)),
    _count("errors", lambda info: str(info.error_count)),
    Column("tags", lambda info: _labels(info.tags), share=2),
    Column("metadata", lambda info: _labels(info.metadata), share=2),
    Column("feedback", _assessments, share=2),
)  # fmt: skip
BY_NAME: Mapping[str, Column[TraceInfo]] = {column.name: column for column in _ALL}
PLAIN = (
    "trace_id", "timestamp", "status", "name", "duration", "tokens", "cost", "session", "request", "response", "error",
)  # fmt: skip
"""The columns of a line that goes into a pipe."""
_SHOWN = ("trace_id", "timestamp", "status", "name", "request", "response", "duration", "tokens", "cost")
_NARROW = ("trace_id", "timestamp", "status", "name", "request", "duration")
_NARROW_WIDTH = 100
_KEYED: Mapping[str, Callable[[TraceInfo], Mapping[str, Any]]] = {
    "tags": lambda info: info.tags,
    "metadata": lambda info: info.metadata,
    "feedback": lambda info: {one.name: one.value for one in info.assessments if one.valid and one.kind == "feedback"},
    "expectation": lambda info: {
        one.name: one.value for one in info.assessments if one.valid and one.kind == "expectation"
    },
}
_ALIASES = {"id": "trace_id", "time": "timestamp", "state": "status", "start_time": "timestamp"}


def chosen(written: str | None) -> list[Column[TraceInfo]] | None:
    """Return the columns that a person names, with commas between; raise `InvalidQuery` for one that there is not."""
    if written is None:
        return None
    return [_named(name.strip()) for name in written.split(",") if name.strip()] or None


def by_default(width: int | None) -> list[Column[TraceInfo]]:
    """Return the columns that fit a terminal of this width, or, without one, those of a line in a pipe."""
    names = PLAIN if width is None else _SHOWN if width >= _NARROW_WIDTH else _NARROW
    return [BY_NAME[name] for name in names]


def _named(name: str) -> Column[TraceInfo]:
    known = BY_NAME.get(_ALIASES.get(name, name))
    if known is not None:
        return known
    scope, dot, key = name.partition(".")
    if dot and scope in _KEYED:
        read = _KEYED[scope]
        return Column(name, lambda info: "" if read(info).get(key) is None else str(read(info)[key]))
    raise InvalidQuery(
        f"there is no column {name!r}; there are: {', '.join([*BY_NAME, *(f'{s}.<name>' for s in _KEYED)])}"
    )
