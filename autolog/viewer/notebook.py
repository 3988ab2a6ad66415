"""Traces as a notebook shows them: the viewer in a frame of its own, and behind it a tree that needs no script.

Notebooks that are not trusted lose the frame and the style sheet, and the style sheet is what hides the tree.
"""

from __future__ import annotations

import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from autolog import capture
from autolog.model.outline import Outline, outline
from autolog.model.span import Span, SpanType
from autolog.model.trace import Trace
from autolog.viewer.document import Texts, detail, document, encoded
from autolog.viewer.fallback import escaped, fallback, heading
from autolog.viewer.page import page

PLAIN, HTML = "text/plain", "text/html"

shown: ContextVar[set[str] | None] = ContextVar("autolog-shown", default=None)
"""The ids of the traces that the cell which runs here has shown, where somebody keeps account of that."""

_SHORTEST = 1_000
_LEAST_HEIGHT, _MOST_HEIGHT = 220, 620
_HEIGHT_OF_HEAD, _HEIGHT_OF_ROW = 210, 26


@dataclass(frozen=True, slots=True)
class Room:
    """How much of its traces one output holds: a notebook is a file, and keeps every output."""

    characters: int = 256_000
    """Of inputs, outputs and all else that is known of spans, of all traces together."""
    text: int = 20_000
    """Of one text."""
    spans: int = 2_000
    """Of one trace; of those behind them, as many that failed."""


ROOM = Room()


def mimebundle(
    traces: Sequence[Trace], more: int = 0, *, room: Room = ROOM, include: Container[str] | None = None
) -> dict[str, str]:
    """Return what a notebook may show of traces, by MIME type; `more` is how many others the cell made."""
    noted = shown.get()
    if noted is not None:
        noted.update(trace.trace_id for trace in traces)
    bundle = {PLAIN: "\n".join([*map(heading, traces), *([f"and {more:,} more"] if more else [])])}
    if not is_terminal() and (include is None or HTML in include):
        bundle[HTML] = _html(traces, more, room)
    return bundle


def is_terminal() -> bool:
    """Whether this runs in IPython's terminal, which shows plain text only."""
    shell = running_shell()
    return shell is not None and any(kind.__name__ == "TerminalInteractiveShell" for kind in type(shell).__mro__)


def running_shell() -> Any:
    """Return IPython's shell where this runs in one, else `None`. Nothing is imported."""
    ipython = sys.modules.get("IPython")
    get = getattr(ipython, "get_ipython", None)
    return None if get is None else get()


# --- HTML ------------------------------------------------------------------------------------------------


def _html(traces: Sequence[Trace], more: int, room: Room) -> str:
    # One frame, however many traces: each frame costs the browser a page.
    framed = page(carried(traces, more, room), title="autolog", place="notebook")
    name = f"{traces[0].trace_id[:8] if traces else 0}-{len(traces)}"
    rows = max((len(trace.spans) for trace in traces), default=0) + (len(traces) if len(traces) > 1 else 0)
    height = min(max(_HEIGHT_OF_HEAD + _HEIGHT_OF_ROW * rows, _LEAST_HEIGHT), _MOST_HEIGHT) // 12 * 12
    rest = f'<div style="opacity:.65">and {more:,} more</div>' if more else ""
    return (
        f"<style>.al-fb-{name}{{display:none}}{_heights(f'.al-fr-{name}', height)}</style>"
        f'<iframe class="al-fr-{name}" title="autolog" sandbox="allow-scripts allow-popups allow-downloads" '
        f'srcdoc="{escaped(framed)}" style="width:100%;border:0;resize:vertical;overflow:auto"></iframe>'
        f'<div class="al-fb-{name}">{fallback(traces)}{rest}</div>'
    )


# How JupyterLab, VS Code and Colab mark that they are dark or light.
_DARK = ('[data-jp-theme-light="false"]', ".vscode-dark", '[theme="dark"]')
_LIGHT = ('[data-jp-theme-light="true"]', ".vscode-light", '[theme="light"]')


def _heights(frame: str, height: int) -> str:
    """Return the heights of a frame, a multiple of 12, by which `loader.js` knows whether the notebook is dark."""
    rules = [f"{frame}{{height:{height}px}}"]
    for marks, more in ((_DARK, 4), (_LIGHT, 8)):
        rules.append(f"{','.join(f'{mark} {frame}' for mark in marks)}{{height:{height + more}px}}")
    return "".join(rules)


def carried(traces: Sequence[Trace], more: int = 0, room: Room = ROOM) -> dict[str, Any]:
    """Return what the frame carries.

    That is `{"traces": [{"document": …, "left_out": {"spans": n, "details": n, "characters": n}}, …], "more": n}`.
    """
    entries, left = [], room.characters
    for number, trace in enumerate(traces):
        # What one trace does not need is for those behind it.
        entry, used = _entry(trace, left // (len(traces) - number), room)
        left -= used
        entries.append(entry)
    return {"traces": entries, "more": more}


def _entry(trace: Trace, characters: int, room: Room) -> tuple[dict[str, Any], int]:
    whole = outline(trace)
    kept = _kept(whole, room.spans)
    ids = {span.span_id for span in kept.spans}
    # However little room there is, no text takes all of it.
    longest = min(room.text, max(characters // 8, _SHORTEST))
    texts = Texts(longest, characters)
    entry = document(kept, (), texts)
    root, left_out = trace.root, 0
    for span in sorted((one for one in trace.spans if one.span_id in ids), key=lambda span: _rank(span, root)):
        if texts.room <= 0:
            left_out += 1
            continue
        entry["details"][span.span_id] = _detail(span, texts, longest)
    missing = {"spans": len(whole.spans) - len(ids), "details": left_out, "characters": texts.cut}
    return {"document": entry, "left_out": missing}, characters - texts.room


def _kept(whole: Outline, most: int) -> Outline:
    """Return the first spans, and of those behind them the first that failed, with the spans above them."""
    if len(whole.spans) <= most:
        return whole
    by_id = {span.span_id: span for span in whole.spans}
    ids = {span.span_id for span in whole.spans[:most]}
    failed = [span for span in whole.spans[most:] if span.status == "ERROR"]
    for one in failed[:most]:
        ids.update(_up(one.span_id, by_id, ids))
    return Outline(whole.info, tuple(span for span in whole.spans if span.span_id in ids))


def _up(span_id: str | None, by_id: Mapping[str, Any], known: Container[str]) -> Iterator[str]:
    found = set()
    while span_id is not None and span_id in by_id and span_id not in known and span_id not in found:
        found.add(span_id)
        span_id = by_id[span_id].parent_id
    yield from found


def _rank(span: Span, root: Span | None) -> tuple[int, int]:
    """Return what is sorted by: first the details that people look for first."""
    kind = 0 if span is root else 1 if span.status.is_error else 2 if span.span_type in _MODELS else 3
    return kind, span.start_time_ns


_MODELS = (SpanType.CHAT_MODEL, SpanType.LLM)


def _detail(span: Span, texts: Texts, most: int) -> dict[str, Any]:
    """Return the detail of a span, each part of it, texts apart, of at most `most` characters."""
    found = {}
    for name, value in detail(span).items():
        part = encoded(value, texts, f"/{name}")
        size = len(capture.json_bytes(part))
        if size > most:  # many small values, such as a vector: as one text, which may be cut
            if name not in ("inputs", "outputs"):
                texts.cut += size
                continue
            part = texts.put(capture.json_bytes(value).decode(), f"/{name}")
            size = 0
        texts.room -= size
        found[name] = part
    return found
