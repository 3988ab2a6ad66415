"""Traces as text, so that a test compares a whole tree with the one that it expects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autolog import StatusCode
from autolog.testing import traces


def forest(client: Any, *, is_parallel: bool = False) -> str:
    """Return every trace that the client has, oldest first, each as `tree` draws it, with a blank line between.

    Where steps are parallel, in no order that is known beforehand, traces and siblings are sorted by their text.
    """
    drawn = [tree(trace, is_parallel=is_parallel) for trace in traces(client)]
    return "\n\n".join(sorted(drawn) if is_parallel else drawn)


def tree(trace: Any, *, is_parallel: bool = False) -> str:
    """Draw a trace: a line for its state and tokens, then a line a span, indented below its parent.

    A span's line has its type and name; its tokens as `10>5`; `ERROR ValueError` or `CANCELLED` where it did not end
    well, `OPEN` where it has not ended; and `(duplicate)` where an SDK reports a call that its parent reported.
    """
    usage = trace.usage
    head = f"{trace.state}" + (f" {usage.input_tokens}>{usage.output_tokens}" if usage else "")
    return "\n".join([head, *_lines(trace, None, 0, is_parallel)])


def _lines(trace: Any, parent: Any, depth: int, is_parallel: bool) -> Iterator[str]:
    branches = [
        ["  " * depth + _line(span), *_lines(trace, span, depth + 1, is_parallel)] for span in trace.children(parent)
    ]
    for branch in sorted(branches) if is_parallel else branches:
        yield from branch


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
