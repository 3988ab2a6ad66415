"""A trace in HTML without scripts or style sheets: what a notebook shows that is not trusted, and a list of traces."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from autolog.display import terminal
from autolog.model.message import preview
from autolog.model.span import Span, SpanType
from autolog.model.trace import Trace
from autolog.viewer.document import detail

SPANS = 50
"""Spans that are shown of all traces together; of those behind them, as many that failed."""
_LEAST_SPANS = 4
"""Spans that are shown of each trace."""
_TEXT = 300
"""Characters of one message, input or output."""
_ROOM = 10_000
"""Characters of all of them together."""
_TURNS = 6
_DOCUMENTS = 4
_NAME = 80
_REASON = 120
_DEEPEST = 12
_RED = "color:#d1242f"
_BOX = "font:12px/1.6 system-ui,sans-serif;max-width:960px;white-space:pre-wrap"


def fallback(traces: Sequence[Trace]) -> str:
    """Return traces as nested `<details>`: only elements and inline styles that notebooks leave in untrusted outputs."""
    room = _Room(_ROOM)
    most = max(SPANS // max(len(traces), 1), _LEAST_SPANS)
    parts = [part for trace in traces for part in _trace(trace, room, most, is_open=trace is traces[-1])]
    return f'<div style="{_BOX}">{"".join(parts)}</div>'


class _Room:
    """Characters that there is still room for."""

    def __init__(self, characters: int) -> None:
        self.left = characters

    def take(self, text: str, most: int = _TEXT) -> str:
        """Return as much of `text` as there is room for, ready for HTML."""
        kept = text if len(text) <= most else text[: most - 1] + "…"
        kept = kept[: max(self.left, 0)]
        self.left -= len(kept)
        return escaped("\n".join(terminal.safe(line, most) for line in kept.splitlines()))


def escaped(text: str) -> str:
    """Return `text` for HTML, between tags or as an attribute's value."""
    return html.escape(text.encode("utf-8", "replace").decode(), quote=True)


def heading(trace: Trace) -> str:
    """Return one line about a trace as a whole."""
    info = trace.info
    spans = f"{info.span_count} span{'' if info.span_count == 1 else 's'}"
    errors = f"{info.error_count} error{'' if info.error_count == 1 else 's'}" if info.error_count else ""
    parts = [
        f"Trace {terminal.safe(info.name, _NAME)}", spans, terminal.duration(info.duration_ns), str(info.state), errors,
        tokens(info), terminal.money(info.cost),
    ]  # fmt: skip
    return " · ".join(part for part in parts if part)


def tokens(info: Any) -> str:
    """Return how many tokens a trace used, or an empty string where nobody said."""
    total = None if info.usage is None else info.usage.known_total
    return "" if total is None else f"{total:,} tokens"


# --- the tree --------------------------------------------------------------------------------------------


def _trace(trace: Trace, room: _Room, most: int, *, is_open: bool) -> Iterator[str]:
    style = f' style="{_RED}"' if trace.info.error_count else ""
    yield f"<details{' open' if is_open else ''}>"
    asked = "" if is_open else room.take(trace.info.request_preview or "", _REASON)
    yield f"<summary{style}><b>{escaped(heading(trace))}</b> {asked}</summary>"
    hidden = failed = level = 0
    for number, (span, depth) in enumerate(in_order(trace.spans)):
        is_shown = number < most or (span.status.is_error and failed < most)
        if not is_shown:
            hidden += 1
            continue
        failed += number >= most
        if hidden:
            yield _gap(hidden)
            hidden = 0
        yield from _indented(level, min(depth + 1, _DEEPEST))
        level = min(depth + 1, _DEEPEST)
        yield from _span(span, room, is_open=depth == 0 or span.status.is_error)
    if hidden:
        yield _gap(hidden)
    yield from _indented(level, 0)
    yield "</details>"


def _indented(level: int, wanted: int) -> Iterator[str]:
    yield '<div style="margin-left:16px">' * (wanted - level) + "</div>" * (level - wanted)


def _gap(hidden: int) -> str:
    return f"<div>{_dim(f'… {hidden:,} span' + ('' if hidden == 1 else 's') + ' more')}</div>"


def in_order(spans: Sequence[Span]) -> Iterator[tuple[Span, int]]:
    """Yield each span with its depth, each below its parent. Deep trees cost no recursion."""
    children: dict[str | None, list[Span]] = {}
    known = {span.span_id for span in spans}
    for span in spans:
        children.setdefault(span.parent_id if span.parent_id in known else None, []).append(span)
    stack = [(span, 0) for span in reversed(children.get(None, []))]
    while stack:
        span, depth = stack.pop()
        yield span, depth
        stack.extend((child, depth + 1) for child in reversed(children.get(span.span_id, [])))


def _span(span: Span, room: _Room, *, is_open: bool) -> Iterator[str]:
    figures = [terminal.duration(span.duration_ns), terminal.tokens(span.usage), terminal.money(span.cost)]
    figures += ["cancelled"] if span.status.code == "CANCELLED" else []
    name = escaped(terminal.safe(span.name, _NAME))
    kind = "" if span.span_type is SpanType.UNKNOWN else f"{_dim(str(span.span_type))} "
    line = f"{kind}<b>{name}</b> {_dim(' · '.join(filter(None, figures)))}"
    if span.status.is_error:
        reason = terminal.safe(span.status.description or "failed", _REASON)
        line += f' <span style="{_RED}">✗ {escaped(reason)}</span>'
    body = "\n".join(_body(span, room)) if room.left > 0 else ""
    if not body:
        yield f"<div>{line}</div>"
        return
    yield f"<details{' open' if is_open else ''}><summary>{line}</summary>"
    yield f"{body}</details>"


def _dim(text: str) -> str:
    return f"<small>{escaped(text)}</small>"


def _body(span: Span, room: _Room) -> Iterator[str]:
    for label, text in _said(detail(span)):
        if room.left > 0 and text.strip():
            yield f"\u2003{_dim(label)} {room.take(text)}"


def _said(known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what went in and came out, piece by piece, each with who said it or what it is."""
    talk = known.get("chat")
    if talk:
        for message in (*talk["messages"][-_TURNS:], *talk["answers"]):
            yield message["role"], "\n".join(_part_texts(message["parts"]))
        return
    yield "in", preview(known.get("inputs")) or ""
    for document in known.get("documents", ())[:_DOCUMENTS]:
        score = document.get("score")
        label = f"document {score:.2f}" if isinstance(score, (int, float)) else "document"
        yield label, str(document.get("content") or document.get("id") or "")
    if not known.get("documents"):
        yield "out", preview(known.get("outputs")) or ""


def _part_texts(parts: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for part in parts:
        kind = part.get("type")
        if kind in ("text", "reasoning", "refusal"):
            yield str(part.get("content") or "")
        elif kind == "tool_call":
            yield f"→ {part.get('name')}({_flat(part.get('arguments'))})"
        elif kind == "tool_call_response":
            yield _flat(part.get("response"))
        else:
            yield f"[{kind}]"


def _flat(value: Any) -> str:
    return preview(value) or ""
