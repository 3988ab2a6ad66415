"""A trace as the viewer takes it: a JSON document with the outlines of its spans, and what there is to know of each.

The document is

    {"info": TraceInfo.to_dict(), "spans": [row, …], "details": {span_id: detail, …}, "texts": [text, …]}

where a row has `COLUMNS`, and a page that can ask for more leaves `details` out and gets one at a time, as
`{"detail": detail, "texts": [text, …]}`. Long texts stand in `texts` once, however often they occur: in an agent's trace
each step repeats the conversation so far. Where a value is such a text, it is `MARK` and its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from autolog import capture, semconv
from autolog.errors import NotFound
from autolog.model import chat
from autolog.model.outline import Outline, SpanOutline
from autolog.model.span import Span, SpanType

COLUMNS = (
    "span_id", "parent_id", "name", "type", "status", "start_ns", "duration_ns", "first_token_ns", "model",
    "input_tokens", "output_tokens", "cost", "error_type", "duplicate",
)  # fmt: skip
"""What a row has. Times are nanoseconds: the start since the start of the trace, the first token since that of the span."""

MARK = "\ue000"
_SHORT = 64
"""Characters of a text that is not worth a place of its own."""
_LEAST = 200
"""Characters that are always kept of a text."""
_DEEPEST = 150
_EXACT = 2**53
"""From here on, JavaScript's numbers are not exact."""


def rows(outline: Outline) -> list[list[Any]]:
    """Return a row a span, oldest first."""
    start_ns = outline.info.start_time_ns
    return [_row(span, start_ns) for span in outline.spans]


def _row(span: SpanOutline, start_ns: int) -> list[Any]:
    duration = None if span.end_time_ns is None else span.end_time_ns - span.start_time_ns
    return [
        span.span_id, span.parent_id, span.name, span.span_type, span.status, span.start_time_ns - start_ns, duration,
        span.first_token_ns, span.model, span.input_tokens, span.output_tokens, span.cost, span.error_type,
        int(span.is_duplicate),
    ]  # fmt: skip


# --- what there is to know of a span ---------------------------------------------------------------------


def detail(span: Span) -> dict[str, Any]:
    """Return all that is known of a span, with its conversation, documents and tool call in one form whoever recorded it."""
    record = span.to_dict()
    usage, cost = record["usage"], record["cost"]
    found = {
        "description": record["status"]["description"],
        "chat": _chat(span),
        "documents": _documents(span),
        "tool": _tool(span),
        "embeddings": _embeddings(span),
        "error": _error(span),
        "parameters": _parameters(span.attributes),
        "inputs": record["inputs"],
        "outputs": record["outputs"],
        "attributes": record["attributes"],
        "events": [
            {
                "name": event["name"],
                "offset_ns": event["timestamp_ns"] - span.start_time_ns,
                "attributes": event["attributes"],
            }
            for event in record["events"]
        ],
        "links": record["links"],
        "usage": usage,
        "cost": cost,
    }
    # That nothing was found is told too.
    return {
        name: value
        for name, value in found.items()
        if value is not None and (value not in ([], {}) or name == "documents")
    }


_MODELS = (SpanType.CHAT_MODEL, SpanType.LLM)


def _chat(span: Span) -> dict[str, Any] | None:
    if span.span_type not in _MODELS and not (_holds_messages(span.inputs) or _holds_messages(span.outputs)):
        return None
    asked, answers = chat.asked(span.inputs), chat.answered(span.outputs)
    if not asked.messages and not answers:
        return None
    return {
        "instructions": [dict(part) for part in asked.instructions],
        "messages": [message.to_dict() for message in asked.messages],
        "answers": [message.to_dict() for message in answers],
        "tools": [dict(tool) for tool in asked.tools],
    }


def _holds_messages(payload: Any) -> bool:
    return isinstance(payload, Mapping) and isinstance(payload.get("messages"), list)


def _documents(span: Span) -> list[dict[str, Any]] | None:
    if span.span_type not in (SpanType.RETRIEVER, SpanType.RERANKER):
        return None
    found = chat.documents(span.outputs)
    listed = span.outputs.get("documents") if isinstance(span.outputs, Mapping) else span.outputs
    return found if found or listed == [] else None


def _tool(span: Span) -> dict[str, Any] | None:
    if span.span_type is not SpanType.TOOL:
        return None
    attributes = span.attributes
    return {
        "name": attributes.get(semconv.TOOL_NAME) or span.name,
        "id": attributes.get(semconv.TOOL_CALL_ID),
        "description": attributes.get(semconv.TOOL_DESCRIPTION),
    }


_FIRST = 6
"""Numbers that are shown of a vector."""


def _embeddings(span: Span) -> dict[str, Any] | None:
    """Say what was embedded, and into how many vectors of which length, however the library hands them over."""
    if span.span_type is not SpanType.EMBEDDING:
        return None
    vectors = _vectors(span.outputs)
    told: Any = span.outputs.get("embeddings") if isinstance(span.outputs, Mapping) else None
    told = told if isinstance(told, Mapping) else {}
    found = {
        "texts": _embedded(span.inputs),
        "count": len(vectors) or told.get("count"),
        "dimension": len(vectors[0])
        if vectors
        else told.get("dimension") or span.attributes.get(semconv.EMBEDDING_DIMENSION),
        "first": vectors[0][:_FIRST] if vectors else None,
    }
    return {name: value for name, value in found.items() if value} or None


def _embedded(inputs: Any) -> list[str]:
    """Return the texts that were embedded: the inputs, or the first of them that is a text or a list of texts."""
    candidates = [inputs, *(inputs.values() if isinstance(inputs, Mapping) else ())]
    for one in candidates:
        texts = [one] if isinstance(one, str) else one
        if isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts):
            return texts
    return []


def _vectors(outputs: Any) -> list[list[Any]]:
    """Return the vectors in outputs: one, a list of them, or either below a name."""
    candidates = [outputs, *(outputs.values() if isinstance(outputs, Mapping) else ())]
    for one in candidates:
        if not isinstance(one, list) or not one:
            continue
        if all(isinstance(number, (int, float)) for number in one):
            return [one]
        rows: list[Any] = [row.get("embedding") if isinstance(row, Mapping) else row for row in one]
        if all(isinstance(row, list) and row and isinstance(row[0], (int, float)) for row in rows):
            return rows
    return []


def _error(span: Span) -> dict[str, Any] | None:
    """Return the exception that the span failed with: its type, message and stack, where they were recorded."""
    raised = [event for event in span.events if event.name == semconv.EXCEPTION_EVENT]
    if not raised:
        return None
    said = raised[-1].attributes
    names = {
        "type": semconv.EXCEPTION_TYPE,
        "message": semconv.EXCEPTION_MESSAGE,
        "stack": semconv.EXCEPTION_STACKTRACE,
    }
    return {short: said[name] for short, name in names.items() if said.get(name)}


def _parameters(attributes: Mapping[str, Any]) -> dict[str, Any]:
    prefix = "gen_ai.request."
    return {name[len(prefix) :]: value for name, value in attributes.items() if name.startswith(prefix)}


# --- long texts ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Texts:
    """The long texts of a document, each once, as much of them as there is room for."""

    longest: int = 1_000_000
    """Characters that are kept of one text."""
    room: int = 2**62
    """Characters that are kept of all texts together."""
    found: list[Any] = field(default_factory=list)
    cut: int = 0
    """Characters that were left out."""
    _places: dict[str, int] = field(default_factory=dict)

    def put(self, text: str, pointer: str) -> str:
        """Return what stands for a text; `pointer` says where in the detail it is, by RFC 6901, if it must be cut."""
        place = self._places.get(text)
        if place is None:
            place = self._places[text] = len(self.found)
            kept = min(len(text), self.longest, max(self.room, _LEAST))
            self.room -= kept
            self.cut += len(text) - kept
            shortened = {"text": text[:kept], "length": len(text), "pointer": pointer}
            self.found.append(text if kept == len(text) else shortened)
        return f"{MARK}{place}"

    def put_number(self, number: int) -> str:
        """Return what stands for a number that JavaScript would round."""
        self.found.append({"integer": str(number)})
        return f"{MARK}{len(self.found) - 1}"


def encoded(value: Any, texts: Texts, pointer: str = "", depth: int = 0) -> Any:
    """Return `value` with its long texts put into `texts`."""
    if isinstance(value, str):
        return texts.put(value, pointer) if len(value) > _SHORT or value.startswith(MARK) else value
    if isinstance(value, int) and abs(value) > _EXACT:
        return texts.put_number(value)
    if depth > _DEEPEST and isinstance(value, (dict, list)):
        return texts.put(capture.json_bytes(value).decode(), pointer)
    if isinstance(value, dict):
        return {key: encoded(one, texts, f"{pointer}/{_escaped(str(key))}", depth + 1) for key, one in value.items()}
    if isinstance(value, list):
        return [encoded(one, texts, f"{pointer}/{number}", depth + 1) for number, one in enumerate(value)]
    return value


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def at(value: Any, pointer: str) -> Any:
    """Return what `pointer` names in `value`, by RFC 6901; raise `NotFound` where there is no such thing."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        inside: dict[Any, Any] = value if isinstance(value, dict) else {}
        if isinstance(value, list):
            inside = {str(number): one for number, one in enumerate(value)}
        if key not in inside:
            raise NotFound(f"there is nothing at {pointer!r}")
        value = inside[key]
    return value


# --- documents -------------------------------------------------------------------------------------------


def document(outline: Outline, spans: Iterable[Span] = (), texts: Texts | None = None) -> dict[str, Any]:
    """Return the document of a trace, with the details of `spans`, as far as there is room for them."""
    texts = texts or Texts()
    details = {span.span_id: encoded(detail(span), texts) for span in spans if texts.room > 0}
    return {"info": outline.info.to_dict(), "spans": rows(outline), "details": details, "texts": texts.found}


def span_document(span: Span, longest: int) -> dict[str, Any]:
    """Return the detail of one span and its texts, of each at most `longest` characters."""
    texts = Texts(longest)
    return {"detail": encoded(detail(span), texts), "texts": texts.found}
