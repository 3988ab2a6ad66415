"""A trace as a tree in the terminal: plain text, and in colour by rich where it is installed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

    from autolog.model.span import Span
    from autolog.model.trace import Trace

# Recorded text may try to drive the terminal: escape sequences, line breaks, right-to-left overrides.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_BREAK = re.compile("\r\n|[\n\r]")
_MAX_NAME = 80
_MAX_DOCUMENTS = 5
_MAX_DOCUMENT = 90
_MAX_REASON = 160
_FAILED = "failed"
_STYLES = {
    "AGENT": "magenta",
    "WORKFLOW": "magenta",
    "CHAT_MODEL": "cyan",
    "LLM": "cyan",
    "EMBEDDING": "blue",
    "RETRIEVER": "green",
    "RERANKER": "green",
    "TOOL": "yellow",
    "GUARDRAIL": "red",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the tree."""

    branch: str
    span_type: str
    name: str
    figures: tuple[str, ...]
    """The duration first, then what else is known."""
    reason: str | None
    """Why the span failed, where it did."""
    start: float = 0.0
    """When it began: 0 at the trace's start, 1 at its end."""
    stop: float = 1.0
    indent: str = ""
    """What stands before a line below it."""
    documents: tuple[str, ...] = ()
    """What was retrieved, a line each."""


def safe(text: str, length: int) -> str:
    """Return `text` on one line, without what a terminal would obey, cut to `length` characters."""
    line = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", " ".join(text[: length * 4].split()))
    return line if len(line) <= length else line[: length - 1] + "…"


def safe_lines(text: str, most: int | None = None) -> list[str]:
    """Return the lines of `text`, indented as they are, without what a terminal would obey; `most` of them, or all."""
    lines = [_CONTROL.sub("\N{REPLACEMENT CHARACTER}", line.expandtabs(4)) for line in _BREAK.split(text)]
    if most is not None and len(lines) > most:
        left = len(lines) - most
        return [*lines[:most], f"… {left} line{'' if left == 1 else 's'} more"]
    return lines


def duration(nanoseconds: int | None) -> str:
    """Return a time as a person says it."""
    if nanoseconds is None:
        return "running"
    if nanoseconds < 1_000_000:
        return f"{nanoseconds / 1e3:.0f} µs"
    if nanoseconds < 1_000_000_000:
        return f"{nanoseconds / 1e6:.0f} ms"
    return f"{nanoseconds / 1e9:.2f} s" if nanoseconds < 60_000_000_000 else f"{nanoseconds / 60e9:.1f} min"


def tokens(usage: Any) -> str:
    """Return the token counts, or an empty string where none is known."""
    if usage is None:
        return ""
    if usage.input_tokens is None and usage.output_tokens is None:
        return f"{usage.total_tokens} tokens" if usage.total_tokens is not None else ""
    parts = [str(usage.input_tokens if usage.input_tokens is not None else "?")]
    if usage.output_tokens is not None:
        parts.append(str(usage.output_tokens))
    return f"{' → '.join(parts)} tokens"


def money(cost: Any) -> str:
    """Return US dollars, or an empty string where no cost is known."""
    if cost is None:
        return ""
    if cost.total >= 0.01 or cost.total == 0:
        return f"${cost.total:.4f}"
    return f"${Decimal(f'{cost.total:.2g}'):f}"  # 0.000095, not 9.5e-05


def heading(trace: Trace) -> str:
    """Return one line about the trace as a whole."""
    info = trace.info
    parts = [
        f"trace {info.trace_id}",
        str(info.state),
        duration(info.duration_ns),
        f"{info.span_count} span{'' if info.span_count == 1 else 's'}",
        tokens(info.usage),
        money(info.cost),
    ]
    return "  ".join(part for part in parts if part)


def rows(trace: Trace) -> Iterator[Row]:
    """Yield a row a span, in tree order. Deep trees cost no recursion."""
    children: dict[str | None, list[Span]] = {}
    known = {span.span_id for span in trace.spans}
    for span in trace.spans:
        children.setdefault(span.parent_id if span.parent_id in known else None, []).append(span)
    roots = children.get(None, [])
    scale = _Scale.of(trace.spans)
    stack = [(span, "", span is roots[-1], True) for span in reversed(roots)]
    while stack:
        span, indent, is_last, is_root = stack.pop()
        branch = "" if is_root else indent + ("└─ " if is_last else "├─ ")
        below = children.get(span.span_id, [])
        deeper = "" if is_root else indent + ("   " if is_last else "│  ")
        yield _row(span, branch, deeper + ("│  " if below else "   "), scale)
        stack.extend((child, deeper, child is below[-1], False) for child in reversed(below))


@dataclass(frozen=True, slots=True)
class _Scale:
    """The time from the first start of a trace's spans to their last end."""

    start_ns: int
    length_ns: int

    @classmethod
    def of(cls, spans: Sequence[Span]) -> _Scale:
        start = min((span.start_time_ns for span in spans), default=0)
        stop = max((span.end_time_ns or span.start_time_ns for span in spans), default=0)
        return cls(start, max(stop - start, 1))

    def at(self, moment_ns: int | None) -> float:
        """Return where a moment is, from 0 to 1; what has not ended ends with the rest."""
        return 1.0 if moment_ns is None else min(max((moment_ns - self.start_ns) / self.length_ns, 0.0), 1.0)


def _row(span: Span, branch: str, indent: str, scale: _Scale) -> Row:
    figures = [duration(span.duration_ns), tokens(span.usage), money(span.cost)]
    reason = safe(span.status.description or _FAILED, _MAX_REASON) if span.status.is_error else None
    if span.status.code == "CANCELLED":
        figures.append("cancelled")
    if span.get_attribute("autolog.duplicate_of") is not None:
        figures.append("same call")
    name = safe(span.name, _MAX_NAME)
    return Row(
        branch, str(span.span_type), name, tuple(filter(None, figures)), reason, scale.at(span.start_time_ns),
        scale.at(span.end_time_ns), indent, tuple(_documents(span)),
    )  # fmt: skip


def _documents(span: Span) -> Iterator[str]:
    """Yield a line for each of the first documents that a span retrieved or put in order."""
    outputs = span.outputs if span.span_type in ("RETRIEVER", "RERANKER") else None
    found = outputs.get("documents") if isinstance(outputs, dict) else None
    documents = [document for document in found if isinstance(document, dict)] if isinstance(found, list) else []
    for document in documents[:_MAX_DOCUMENTS]:
        score = document.get("score")
        shown = f"{score:.2f}  " if isinstance(score, (int, float)) else ""
        yield f"· {shown}{safe(str(document.get('content') or document.get('id') or ''), _MAX_DOCUMENT)}"
    if len(documents) > _MAX_DOCUMENTS:
        yield f"· and {len(documents) - _MAX_DOCUMENTS} more"


def text(trace: Trace) -> str:
    """Return the tree as plain text."""
    lines = [heading(trace)]
    for row in rows(trace):
        lines.append("  ".join([f"{row.branch}{row.span_type} {row.name}", *row.figures]))
        if row.reason:
            lines[-1] += f"  ✗ {row.reason}"
        lines += [f"{row.indent}{document}" for document in row.documents]
    return "\n".join(lines)


_NARROW = 90
_BAR = 24
_LONGEST_LABEL = 60


def tree(trace: Trace, width: int = 0) -> Text:
    """Return the tree for rich, in `width` cells with a bar a span on the time of the trace, where that is wide enough.

    Recorded text is never read as markup.
    """
    from rich.text import Text

    shown = list(rows(trace))
    drawn = Text(heading(trace), style="bold", no_wrap=True, overflow="ellipsis")
    labels = [_label(row) for row in shown]
    room = min(max((label.cell_len for label in labels), default=0), _LONGEST_LABEL, width - _BAR - 30)
    for row, label in zip(shown, labels, strict=True):
        drawn.append("\n")
        if width >= _NARROW:
            label.truncate(room, overflow="ellipsis", pad=True)
            drawn.append_text(label).append(f"  {_bar(row)}  ", style=f"not bold {_style(row)}")
            drawn.append(f"{row.figures[0]:>8}", style="not bold")
            drawn.append("".join(f"  {figure}" for figure in row.figures[1:]), style="not bold dim")
            if row.reason and row.reason != _FAILED:
                drawn.append(f"\n{row.indent}", style="not bold dim")
                drawn.append(f"✗ {row.reason}", style="bold red")
            elif row.reason:
                drawn.append(f"  ✗ {row.reason}", style="bold red")
        else:
            drawn.append_text(label).append("".join(f"  {figure}" for figure in row.figures), style="not bold dim")
            if row.reason:
                drawn.append(f"  ✗ {row.reason}", style="bold red")
        for document in row.documents:
            drawn.append(f"\n{row.indent}{document}", style="not bold dim italic")
    return drawn


def _label(row: Row) -> Text:
    from rich.text import Text

    label = Text(row.branch, style="not bold", end="")
    label.stylize("dim")
    label.append(row.span_type, style=_style(row)).append(f" {row.name}", style="bold")
    return label


def _style(row: Row) -> str:
    return "red" if row.reason else _STYLES.get(row.span_type, "white")


def _bar(row: Row) -> str:
    """Return a bar of half cells on the time of the trace, at least half a cell long."""
    first = min(int(row.start * _BAR * 2), _BAR * 2 - 1)
    last = max(round(row.stop * _BAR * 2), first + 1)
    halves = [first <= half < last for half in range(_BAR * 2)]
    return "".join(_HALVES[pair] for pair in zip(halves[::2], halves[1::2], strict=True))


_HALVES = {(False, False): " ", (True, False): "╸", (False, True): "╺", (True, True): "━"}


def show(trace: Trace) -> None:
    """Print the tree, in colour where rich is installed and the terminal has colours."""
    try:
        from rich.console import Console
    except ImportError:
        print(text(trace))
    else:
        console = Console()
        console.print(tree(trace, console.width), soft_wrap=True)
