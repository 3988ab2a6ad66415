"""Compare two traces: which span of one is which of the other, and in which of them something is different.

Spans are aligned from the roots down: below each pair, those of one type and name pair up in their order, and then those of
one type where names changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autolog.client import default_client
from autolog.model.difference import are_equal
from autolog.model.outline import Outline, SpanOutline, outline
from autolog.model.span import Span
from autolog.model.trace import Trace, TraceInfo

_MOST_ORDERED = 100
"""Spans below one that are aligned by the longest runs that they share; more pair up one after the other."""


def compare_traces(left: Trace | str, right: Trace | str) -> Comparison:
    """Return how two traces differ, given themselves or by their ids. Printing it shows both as one tree."""
    return compare(
        *(trace if isinstance(trace, Trace) else default_client().get_trace(trace) for trace in (left, right))
    )


# --- the spans of both, aligned ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A span of the left trace, the one of the right that it is, or one that only one of them has."""

    depth: int
    left: SpanOutline | None
    right: SpanOutline | None
    differs: tuple[str, ...] = ()
    """What is not the same in both: `name`, `status`, `model`, `inputs`, … Times are never the same, and are not in it."""

    @property
    def change(self) -> str:
        """`same`, `changed`, `added` where only the right one has it, or `removed`."""
        if self.left is None:
            return "added"
        return "removed" if self.right is None else "changed" if self.differs else "same"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two traces, and their spans as one tree."""

    left: TraceInfo
    right: TraceInfo
    rows: tuple[Row, ...]
    """Parents before children."""

    def __str__(self) -> str:
        return "\n".join(_drawn(self))

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {change}" for change, count in self.counts().items())
        return f"Comparison({self.left.trace_id}, {self.right.trace_id}: {counts})"

    def counts(self) -> dict[str, int]:
        """Return how many rows there are of each change."""
        found = dict.fromkeys(("same", "changed", "added", "removed"), 0)
        for row in self.rows:
            found[row.change] += 1
        return found


def compare(left: Trace, right: Trace) -> Comparison:
    """Return how two traces differ, their spans' inputs and outputs too."""
    of_left, of_right = ({span.span_id: span for span in trace.spans} for trace in (left, right))
    rows: list[Row] = []
    for row in aligned(outline(left), outline(right)):
        differs = row.differs
        if row.left is not None and row.right is not None:
            differs += _different_content(of_left[row.left.span_id], of_right[row.right.span_id])
        rows.append(Row(row.depth, row.left, row.right, differs))
    return Comparison(left.info, right.info, tuple(rows))


def compare_outlines(left: Outline, right: Outline) -> Comparison:
    """Return how two traces differ, leaving aside what went in and came out."""
    return Comparison(left.info, right.info, tuple(aligned(left, right)))


def aligned(left: Outline, right: Outline) -> Iterator[Row]:
    """Yield the spans of both traces, parents before children, each pair once."""
    of_left, of_right = _Tree(left.spans), _Tree(right.spans)
    # Not by recursion: an agent's trace may be thousands of spans deep.
    tops: list[Pair] = [(of_left.roots[0], of_right.roots[0])] if len(of_left.roots) == len(of_right.roots) == 1 else []
    waiting = [(0, *pair) for pair in reversed(tops or _paired(of_left.roots, of_right.roots))]
    while waiting:
        depth, one, other = waiting.pop()
        differs = () if one is None or other is None else _different(one, other)
        yield Row(depth, one, other, differs)
        below = _paired(of_left.below(one), of_right.below(other))
        waiting += [(depth + 1, *pair) for pair in reversed(below)]


class _Tree:
    """Spans by their parents. Those whose parents form a ring, which only broken data has, count as roots."""

    def __init__(self, spans: Sequence[SpanOutline]) -> None:
        known = {span.span_id for span in spans}
        self.roots: list[SpanOutline] = []
        self._below: dict[str, list[SpanOutline]] = {}
        for span in spans:
            is_root = span.parent_id is None or span.parent_id not in known
            (self.roots if is_root else self._below.setdefault(str(span.parent_id), [])).append(span)
        reached = {span.span_id for span in self._reached(self.roots)}
        for span in spans:
            if span.span_id not in reached:
                self._below[str(span.parent_id)].remove(span)
                self.roots.append(span)
                reached.update(below.span_id for below in self._reached([span]))

    def _reached(self, spans: Iterable[SpanOutline]) -> Iterator[SpanOutline]:
        waiting = list(spans)
        while waiting:
            span = waiting.pop()
            yield span
            waiting += self.below(span)

    def below(self, span: SpanOutline | None) -> Sequence[SpanOutline]:
        return () if span is None else self._below.get(span.span_id, ())


Pair = tuple[SpanOutline | None, SpanOutline | None]


def _paired(left: Sequence[SpanOutline], right: Sequence[SpanOutline]) -> list[Pair]:
    """Return the spans of both, in their order, those together that are the same step."""
    if not left or not right:
        return [*((span, None) for span in left), *((None, span) for span in right)]
    keys, others = [(span.span_type, span.name) for span in left], [(span.span_type, span.name) for span in right]
    partner = _in_order(keys, others)
    _add(partner, keys, others)
    # Between the same steps, one of the same type is the same with another name.
    here = _after(len(left), {place: place for place in partner})
    there = _after(len(right), {other: place for place, other in partner.items()})
    _add(
        partner,
        [(span.span_type, place) for span, place in zip(left, here, strict=True)],
        [(span.span_type, place) for span, place in zip(right, there, strict=True)],
    )
    return _merged(left, right, partner)


def _in_order(left: Sequence[Any], right: Sequence[Any]) -> dict[int, int]:
    """Return the places of the right for those of the left, of the longest runs that both have."""
    import difflib

    if max(len(left), len(right)) > _MOST_ORDERED:
        return {}
    blocks = difflib.SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks()
    return {block.a + number: block.b + number for block in blocks for number in range(block.size)}


def _add(partner: dict[int, int], left: Sequence[Any], right: Sequence[Any]) -> None:
    """Pair those that are left over and equal, the first with the first."""
    taken = set(partner.values())
    free: dict[Any, list[int]] = {}
    for place in range(len(right) - 1, -1, -1):
        if place not in taken:
            free.setdefault(right[place], []).append(place)
    for place, key in enumerate(left):
        if place not in partner and free.get(key):
            partner[place] = free[key].pop()


def _after(size: int, steps: Mapping[int, int]) -> list[int]:
    """Return for each place what the last of `steps` before it is, or -1."""
    found: list[int] = []
    last = -1
    for place in range(size):
        found.append(last)
        last = steps.get(place, last)
    return found


def _merged(left: Sequence[SpanOutline], right: Sequence[SpanOutline], partner: Mapping[int, int]) -> list[Pair]:
    taken = set(partner.values())
    found: list[Pair] = []
    shown = 0
    for place, span in enumerate(left):
        if place not in partner:
            found.append((span, None))
            continue
        found += [(None, right[other]) for other in range(shown, partner[place]) if other not in taken]
        shown = max(shown, partner[place])
        found.append((span, right[partner[place]]))
    return [*found, *((None, right[other]) for other in range(shown, len(right)) if other not in taken)]


_COMPARED = {
    "name": "name", "span_type": "type", "status": "status", "error_type": "error", "model": "model",
    "input_tokens": "tokens", "output_tokens": "tokens",
}  # fmt: skip


def _different(left: SpanOutline, right: SpanOutline) -> tuple[str, ...]:
    found = (title for name, title in _COMPARED.items() if getattr(left, name) != getattr(right, name))
    return tuple(dict.fromkeys(found))


def _different_content(left: Span, right: Span) -> tuple[str, ...]:
    pairs = {
        "inputs": (left.inputs, right.inputs),
        "outputs": (left.outputs, right.outputs),
        "parameters": (_parameters(left), _parameters(right)),
    }
    return tuple(name for name, (one, other) in pairs.items() if not are_equal(one, other))


_REQUEST = "gen_ai.request."


def _parameters(span: Span) -> dict[str, Any]:
    return {name: value for name, value in span.attributes.items() if name.startswith(_REQUEST)}


# --- for a terminal ------------------------------------------------------------------------------------

_SIGNS = {"same": " ", "changed": "~", "added": "+", "removed": "-"}


def _drawn(comparison: Comparison) -> Iterator[str]:
    left, right = comparison.left, comparison.right
    yield f"- {left.trace_id} {left.name} {left.state}"
    yield f"+ {right.trace_id} {right.name} {right.state}"
    told = [_more("took", left.duration_ns, right.duration_ns, _milliseconds)]
    told.append(_more("tokens", _tokens(left), _tokens(right), "{:+,}".format))
    told.append(_more("cost", _cost(left), _cost(right), "{:+.6f} USD".format))
    yield f"  {', '.join(filter(None, told))}"
    for row in comparison.rows:
        span = row.right or row.left
        assert span is not None
        indent = "  " * min(row.depth, 40)
        yield f"{_SIGNS[row.change]} {indent}{span.span_type} {span.name}{_told(row)}"


def _cost(info: TraceInfo) -> float | None:
    return None if info.cost is None else info.cost.total


def _more(title: str, left: Any, right: Any, written: Callable[[Any], str]) -> str:
    return "" if left is None or right is None else f"{title} {written(right - left)}"


def _told(row: Row) -> str:
    told = []
    if row.left is not None and row.right is not None:
        if row.left.end_time_ns is not None and row.right.end_time_ns is not None:
            took = row.left.end_time_ns - row.left.start_time_ns
            told.append(_milliseconds(row.right.end_time_ns - row.right.start_time_ns - took))
        told += row.differs
    return f"  ({', '.join(told)})" if told else ""


def _milliseconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:+,.1f} ms"


def _tokens(info: TraceInfo) -> int | None:
    return None if info.usage is None else info.usage.known_total
