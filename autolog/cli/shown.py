"""A trace and its spans, written out for a person to read: what was said, found, called and raised."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from autolog import semconv
from autolog.cli import columns
from autolog.cli.output import console, is_terminal
from autolog.display import terminal
from autolog.display.terminal import safe, safe_lines
from autolog.errors import InvalidQuery, NotFound
from autolog.viewer import document

if TYPE_CHECKING:
    from autolog.compare import Comparison
    from autolog.model.span import Span
    from autolog.model.trace import Trace, TraceInfo

_MOST_LINES = 24
"""Lines of one text that are shown where not all is asked for."""
_MOST_CHARACTERS = 4_000
_ROLES = {"user": "bold blue", "assistant": "bold green", "system": "bold magenta", "developer": "bold magenta"}


class Line(NamedTuple):
    """A line and its style; what is in it is safe to write."""

    text: str
    style: str = ""


def write(lines: Iterable[Line]) -> None:
    """Write lines, in their styles where a terminal has colours."""
    if not is_terminal():
        for line in lines:
            sys.stdout.write(line.text.rstrip() + "\n")
        return
    from rich.text import Text

    to = console()
    for line in lines:
        to.print(Text(line.text, style=line.style), soft_wrap=True)


# --- a trace -----------------------------------------------------------------------------------------------


def of_trace(info: TraceInfo) -> Iterator[Line]:
    """Yield what is known of a trace besides its spans, a line a fact; nothing for what is not known."""
    facts: Sequence[tuple[str, str | None]] = (
        ("started", f"{columns.iso(info.start_time_ns)}, {columns.local(info.start_time_ns)} here"),
        ("session", info.session),
        ("user", info.user),
        ("version", info.version),
        ("experiment", None if info.experiment == "default" else info.experiment),
        ("run", info.run),
        ("tags", ", ".join(f"{name}={value}" for name, value in info.tags.items())),
        ("metadata", ", ".join(f"{name}={value}" for name, value in info.metadata.items())),
        ("asked", info.request_preview),
        ("answered", info.response_preview),
        ("error", info.error),
    )
    for name, value in facts:
        if value:
            yield Line(f"{name:<10} {safe(value, 300)}", "red" if name == "error" else "")
    for one in info.assessments:
        if one.valid:
            said = f"{one.name} = {_inline(one.value)}" + (f" ({one.rationale})" if one.rationale else "")
            yield Line(f"{one.kind:<10} {safe(said, 300)}")


def the_span(trace: Trace, wanted: str) -> Span:
    """Return the span that a person means: by its id, the beginning of it, or its name.

    Raises `NotFound` where there is none, and `InvalidQuery` where there are several.
    """
    found = [span for span in trace.spans if span.name == wanted]
    if not found and len(wanted) >= 4:
        found = [span for span in trace.spans if span.span_id.startswith(wanted.lower())]
    if len(found) == 1:
        return found[0]
    listed = found or trace.spans
    candidates = "\n".join(f"  {span.span_id}  {span.span_type} {safe(span.name, 80)}" for span in listed[:50])
    more = f"\n  and {len(listed) - 50} more" if len(listed) > 50 else ""
    if found:
        raise InvalidQuery(f"several spans are named {wanted!r}; give the id of one:\n{candidates}{more}")
    raise NotFound(f"trace {trace.trace_id} has no span {wanted!r}; there are:\n{candidates}{more}")


def of_comparison(comparison: Comparison) -> Iterator[Line]:
    """Yield two traces as one tree, a line a span or a pair of them, marked where they differ."""
    for line in safe_lines(str(comparison)):
        yield Line(line, _CHANGES.get(line[:1], ""))


_CHANGES = {"-": "red", "+": "green", "~": "yellow"}


# --- a span ------------------------------------------------------------------------------------------------


def of_span(trace: Trace, span: Span, *, whole: bool) -> Iterator[Line]:
    """Yield a span with all that went in and came out; long texts are shortened unless the `whole` is asked for."""
    figures = [terminal.duration(span.duration_ns), terminal.tokens(span.usage), terminal.money(span.cost)]
    heading = "  ".join(filter(None, [f"{span.span_type} {safe(span.name, 200)}", str(span.status.code), *figures]))
    yield Line(heading, "bold red" if span.status.is_error else "bold")
    offset = terminal.duration(span.start_time_ns - trace.info.start_time_ns)
    parent = next((one for one in trace.spans if one.span_id == span.parent_id), None)
    below = "the root" if parent is None else f"below {safe(parent.name, 80)}"
    yield Line(f"span {span.span_id}, {below}, began after {offset}", "dim")
    detail = document.detail(span)
    if span.model is not None:
        provider = f" of {span.provider}" if span.provider else ""
        settings = {name: value for name, value in detail.get("parameters", {}).items() if name != "model"}
        told = ", ".join(f"{name} {_inline(value)}" for name, value in settings.items())
        yield Line(safe(f"model {span.model}{provider}" + (f", {told}" if told else ""), 500), "dim")
    if span.status.is_error:
        yield from _block("failed", span.status.description or "", "bold red", whole)
    for name, write_out in _PARTS.items():
        if name in detail:
            yield from write_out(detail[name], whole)
    if "chat" not in detail:
        yield from _payload("inputs", detail.get("inputs"), whole)
        if "documents" not in detail:
            yield from _payload("outputs", detail.get("outputs"), whole)
    if whole:
        yield from _payload("attributes", dict(span.attributes) or None, whole)
    yield from _events(detail.get("events", []), whole)


def _block(heading: str, text: str, style: str, whole: bool) -> Iterator[Line]:
    yield Line("")
    yield Line(heading, style)
    shortened = text if whole or len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + " …"
    for line in safe_lines(shortened, None if whole else _MOST_LINES):
        yield Line(f"  {line}")


def _payload(name: str, value: Any, whole: bool) -> Iterator[Line]:
    if value is not None:
        yield from _block(name, _readable(value), "bold", whole)


def _readable(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str)


def _inline(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


# --- conversations -------------------------------------------------------------------------------------------


def _chat(chat: Mapping[str, Any], whole: bool) -> Iterator[Line]:
    if chat.get("instructions"):
        yield from _block("instructions", _parts(chat["instructions"]), _ROLES["system"], whole)
    for message in chat.get("messages", ()):
        yield from _message(message, "", whole)
    for message in chat.get("answers", ()):
        yield from _message(message, "answer of ", whole)
    names = [str(tool.get("name")) for tool in chat.get("tools", ())]
    if names:
        yield Line("")
        yield Line(f"tools offered: {safe(', '.join(names), 1_000)}", "dim")


def _message(message: Mapping[str, Any], before: str, whole: bool) -> Iterator[Line]:
    role = str(message.get("role"))
    more = [str(message[name]) for name in ("name", "finish_reason") if message.get(name)]
    heading = safe(f"{before}{role}" + (f" ({', '.join(more)})" if more else ""), 120)
    yield from _block(heading, _parts(message.get("parts", ())), _ROLES.get(role, "bold yellow"), whole)


def _parts(parts: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join(_part(part) for part in parts)


def _part(part: Mapping[str, Any]) -> str:
    said = _SAID.get(str(part.get("type")))
    return _inline(part) if said is None else said(part)


def _medium(part: Mapping[str, Any]) -> str:
    kind = part.get("modality") or "file"
    where = part.get("uri") or part.get("file_id") or f"{len(str(part.get('content') or ''))} characters of base64"
    return f"[{kind} {part.get('mime_type') or ''}: {_inline(where)[:200]}]".replace(" :", ":")


_SAID: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "text": lambda part: str(part.get("content") or ""),
    "reasoning": lambda part: "(thinks) " + str(part.get("content") or ""),
    "refusal": lambda part: "(refuses) " + str(part.get("content") or ""),
    "tool_call": lambda part: f"→ {part.get('name')}({_inline(part.get('arguments'))})",
    "tool_call_response": lambda part: _readable(part.get("response")),
    **dict.fromkeys(("uri", "blob", "file"), _medium),
}


# --- documents, events -----------------------------------------------------------------------------------------


def _documents(documents: Sequence[Mapping[str, Any]], whole: bool) -> Iterator[Line]:
    for number, found in enumerate(documents, start=1):
        score = found.get("score")
        shown = f"{score:.3f}" if isinstance(score, (int, float)) else "no score"
        heading = safe(f"document {number}, {shown}, {found.get('id') or 'no id'}", 300)
        yield from _block(heading, _readable(found.get("content") or ""), "bold green", whole)
        if found.get("metadata"):
            yield Line(safe(f"  {_inline(found['metadata'])}", 500), "dim")


def _events(events: Sequence[Mapping[str, Any]], whole: bool) -> Iterator[Line]:
    for event in events:
        attributes = dict(event.get("attributes") or {})
        stack = attributes.pop(semconv.EXCEPTION_STACKTRACE, None)
        heading = safe(f"{event['name']} after {terminal.duration(event['offset_ns'])}", 200)
        told = "\n".join(f"{name}: {_inline(value)}" for name, value in attributes.items())
        yield from _block(heading, "\n".join(filter(None, [told, str(stack) if stack else None])), "bold", whole)


_PARTS: Mapping[str, Callable[[Any, bool], Iterator[Line]]] = {"chat": _chat, "documents": _documents}
