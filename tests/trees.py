"""Traces as text, so that a test compares a whole tree with the one that it expects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autolog import StatusCode
from autolog.testing import spans, traces


def forest(client: Any) -> str:
    """Return every trace that the client has, oldest first, each as `tree` draws it, with a blank line between."""
    return "\n\n".join(tree(trace) for trace in traces(client))


def sorted_by_text(forest: str) -> str:
    """Sort traces, and the siblings in them, where their order is not known beforehand: what runs side by side."""
    drawn = [tree.split("\n") for tree in forest.split("\n\n")]
    return "\n\n".join(sorted("\n".join([lines[0], *_sorted_lines(lines[1:])]) for lines in drawn))


def _sorted_lines(lines: list[str]) -> Iterator[str]:
    if not lines:
        return
    depth = len(lines[0]) - len(lines[0].lstrip())
    starts = [place for place, line in enumerate(lines) if len(line) - len(line.lstrip()) == depth]
    branches = [lines[start:end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    for branch in sorted([branch[0], *_sorted_lines(branch[1:])] for branch in branches):
        yield from branch


def the(client: Any, name: str) -> Any:
    """Return the only span of that name."""
    [found] = every(client, name)
    return found


def every(client: Any, name: str) -> list[Any]:
    """Return the spans of that name, in the order in which they started."""
    return sorted((span for span in spans(client) if span.name == name), key=lambda span: span.start_time_ns)


def tree(trace: Any) -> str:
    """Draw a trace: a line for its state and tokens, then a line a span, indented below its parent.

    A span's line has its type and name; its tokens as `10>5`; `ERROR ValueError` or `CANCELLED` where it did not end
    well, `OPEN` where it has not ended; and `(duplicate)` where an SDK reports a call that its parent reported.
    """
    usage = trace.usage
    head = f"{trace.state}" + (f" {usage.input_tokens}>{usage.output_tokens}" if usage else "")
    return "\n".join([head, *_lines(trace, None, 0)])


def _lines(trace: Any, parent: Any, depth: int) -> Iterator[str]:
    for span in trace.children(parent):
        yield "  " * depth + _line(span)
        yield from _lines(trace, span, depth + 1)


def _line(span: Any) -> str:
    parts = [str(span.span_type), span.name]
    if span.usage is not None:
        parts.append(f"{span.usage.input_tokens}>{span.usage.output_tokens}")
    if span.end_time_ns is None:
        parts.append("OPEN")
    elif span.status.code is StatusCode.ERROR:
        parts.append(f"ERROR {str(span.get_attribute('error.type')).rpartition('.')[2]}")
    elif span.status.code is StatusCode.CANCELLED:
        parts.append("CANCELLED")
    if span.get_attribute("autolog.duplicate_of") is not None:
        parts.append("(duplicate)")
    return " ".join(parts)
