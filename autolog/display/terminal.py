"""A trace as a tree in the terminal: plain text, and in colour by rich where it is installed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

    from autolog.model.span import Span
    from autolog.model.trace import Trace

# Recorded text may try to drive the terminal: escape sequences, line breaks, right-to-left overrides.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MAX_NAME = 80
_MAX_DOCUMENTS = 5
_MAX_DOCUMENT = 90
_MAX_REASON = 160
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
    figures: str
    reason: str | None
    """Why the span failed, where it did."""
    details: tuple[str, ...] = ()
    """Lines below it: the documents that were retrieved."""


def safe(text: str, length: int) -> str:
    """Return `text` on one line, without what a terminal would obey, cut to `length` characters."""
    line = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", " ".join(text[: length * 4].split()))
    return line if len(line) <= length else line[: length - 1] + "…"


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
    return f"${cost.total:.4f}" if cost.total >= 0.01 or cost.total == 0 else f"${cost.total:.2g}"


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
    stack = [(span, "", span is roots[-1], True) for span in reversed(roots)]
    while stack:
        span, indent, is_last, is_root = stack.pop()
        branch = "" if is_root else indent + ("└─ " if is_last else "├─ ")
        below = children.get(span.span_id, [])
        deeper = "" if is_root else indent + ("   " if is_last else "│  ")
        yield _row(span, branch, deeper + ("│  " if below else "   "))
        stack.extend((child, deeper, child is below[-1], False) for child in reversed(below))


def _row(span: Span, branch: str, indent: str) -> Row:
    figures = [duration(span.duration_ns), tokens(span.usage), money(span.cost)]
    reason = safe(span.status.description or "failed", _MAX_REASON) if span.status.is_error else None
    if span.status.code == "CANCELLED":
        figures.append("cancelled")
    if span.get_attribute("autolog.duplicate_of") is not None:
        figures.append("same call")
    name = safe(span.name, _MAX_NAME)
    details = tuple(f"{indent}{line}" for line in _documents(span))
    return Row(branch, str(span.span_type), name, "  ".join(filter(None, figures)), reason, details)


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
        lines.append(f"{row.branch}{row.span_type} {row.name}  {row.figures}")
        if row.reason:
            lines[-1] += f"  ✗ {row.reason}"
        lines += row.details
    return "\n".join(lines)


def tree(trace: Trace) -> Text:
    """Return the tree for rich. Recorded text is never read as markup."""
    from rich.text import Text

    drawn = Text(heading(trace), style="bold", no_wrap=True, overflow="ellipsis")
    for row in rows(trace):
        drawn.append(f"\n{row.branch}", style="not bold dim")
        drawn.append(row.span_type, style=f"not bold {_STYLES.get(row.span_type, 'white')}")
        drawn.append(f" {row.name}", style="bold")
        drawn.append(f"  {row.figures}", style="not bold dim")
        if row.reason:
            drawn.append(f"  ✗ {row.reason}", style="bold red")
        for detail in row.details:
            drawn.append(f"\n{detail}", style="not bold dim italic")
    return drawn


def show(trace: Trace) -> None:
    """Print the tree, in colour where rich is installed and the terminal has colours."""
    try:
        from rich.console import Console
    except ImportError:
        print(text(trace))
    else:
        Console().print(tree(trace), soft_wrap=True)
