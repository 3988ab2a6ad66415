"""Put a streamed answer together: server-sent events in, the body of the same answer unstreamed out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from autolog import capture

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event that carries JSON."""

    name: str | None
    data: Body
    end: int
    """Offset in the stream of the byte after it."""


def events(stream: bytes) -> Iterator[Event]:
    """Read a stream. What is not JSON, cut in the middle or a comment is passed over."""
    name: str | None = None
    lines: list[bytes] = []
    end = 0
    for line in stream.splitlines(keepends=True):
        end += len(line)
        if line.startswith(b"data:"):
            lines.append(line[5:].strip())
        elif line.startswith(b"event:"):
            name = line[6:].strip().decode("utf-8", "replace")
        elif lines and not line.rstrip():
            yield from _event(name, lines, end)
            name, lines = None, []
    if lines:
        yield from _event(name, lines, end)


def _event(name: str | None, lines: list[bytes], end: int) -> Iterator[Event]:
    try:
        data = json.loads(b"\n".join(lines))
    except ValueError:
        return
    if isinstance(data, dict):
        yield Event(name, data, end)


def is_done(stream: bytes) -> bool:
    """Whether the server said that nothing more comes."""
    return b"[DONE]" in stream[-64:]


def is_content(event: Event) -> bool:
    """Whether an event is the first that a reader would notice: text, arguments, an image."""
    data = event.data
    kind = data.get("type") or event.name
    if isinstance(kind, str):
        return kind.endswith((".delta", "_generation.completed")) or "partial_image" in kind
    for choice in _dicts(data.get("choices")):
        delta = choice.get("delta") or {}
        if choice.get("text") or any(value for key, value in delta.items() if key != "role"):
            return True
    return False


def error_of(found: list[Event]) -> Body | None:
    """Return the error that the server reported inside the stream, or `None`."""
    for event in found:
        if event.data.get("error") and event.data.get("object") != "response":
            error = event.data["error"]
            return error if isinstance(error, dict) else {"message": str(error)}
        if event.data.get("type") == "error":
            return event.data
    return None


def last(found: list[Event]) -> Body:
    """Return the last event's data."""
    return found[-1].data if found else {}


def chat(found: list[Event]) -> Body:
    """Merge chat completion chunks, choice by choice, as the SDK's own accumulator does."""
    body: Body = {}
    choices: dict[int, Body] = {}
    for event in found:
        chunk = event.data
        _head(body, chunk)
        for part in _dicts(chunk.get("choices")):
            choice = choices.setdefault(_index(part), {"index": _index(part), "message": {}})
            _add(choice["message"], part.get("delta") or {})
            if part.get("finish_reason"):
                choice["finish_reason"] = part["finish_reason"]
            if part.get("logprobs"):
                _add(choice.setdefault("logprobs", {}), part["logprobs"])
    if body or choices:
        body["object"] = "chat.completion"
        body["choices"] = [{"finish_reason": None, **choices[index]} for index in sorted(choices)]
    return body


def completion(found: list[Event]) -> Body:
    """Merge chunks of a legacy completion."""
    body: Body = {}
    choices: dict[int, Body] = {}
    for event in found:
        _head(body, event.data)
        for part in _dicts(event.data.get("choices")):
            index = _index(part)
            choice = choices.setdefault(index, {"index": index, "text": "", "finish_reason": None})
            choice["text"] += part.get("text") or ""
            choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]
    if body or choices:
        body["choices"] = [choices[index] for index in sorted(choices)]
    return body


def _head(body: Body, chunk: Body) -> None:
    # Azure's filter chunks have empty fields, and the usage chunk has no choices.
    for key, value in chunk.items():
        if key not in ("choices", "obfuscation", "error") and value not in (None, "", []):
            body[key] = value


def _add(total: Body, delta: Body) -> None:
    """Add a delta: texts are appended, lists extended, parts with an index merged with their like."""
    for key, value in delta.items():
        known = total.get(key)
        if value is None:
            total.setdefault(key, None)
        elif known is None:
            total[key] = (
                _merged([], value) if isinstance(value, list) else dict(value) if isinstance(value, dict) else value
            )
        elif isinstance(value, str) and isinstance(known, str):
            # Some servers repeat these in every chunk.
            total[key] = (
                known
                if key in ("role", "type", "id", "call_id") or (key == "name" and known == value)
                else known + value
            )
        elif isinstance(value, dict) and isinstance(known, dict):
            _add(known, value)
        elif isinstance(value, list) and isinstance(known, list):
            total[key] = _merged(known, value)
        else:
            total[key] = value


def _merged(known: list[Any], added: list[Any]) -> list[Any]:
    merged = list(known)
    for item in added:
        index = item.get("index") if isinstance(item, dict) else None
        like = next((old for old in merged if index is not None and old.get("index") == index), None)
        if like is None:
            merged.append(dict(item) if isinstance(item, dict) else item)
        else:
            _add(like, {key: value for key, value in item.items() if key != "index"})
    return merged


_TERMINAL = ("response.completed", "response.failed", "response.incomplete", "response.cancelled")


def response(found: list[Event]) -> Body:
    """Return the response that the last event carries, or what had come of it where the stream was left."""
    for event in reversed(found):
        if event.data.get("type") in _TERMINAL and isinstance(event.data.get("response"), dict):
            return dict(event.data["response"])
    body: Body = {}
    items: dict[int, Body] = {}
    for event in found:
        data = event.data
        if isinstance(data.get("response"), dict):
            body = dict(data["response"])
        index = _index(data, "output_index")
        if isinstance(data.get("item"), dict):
            items[index] = dict(data["item"])
        elif isinstance(data.get("delta"), str):
            _add_delta(items.setdefault(index, {"type": "message", "content": []}), data)
    if items:
        body["output"] = [items[index] for index in sorted(items)]
    return body


def _add_delta(item: Body, data: Body) -> None:
    kind = data.get("type", "")
    if "output_text" in kind or "refusal" in kind or "reasoning" in kind:
        name = "summary" if "summary" in kind else "content"
        position = _index(data, "summary_index" if name == "summary" else "content_index")
        parts = item[name] = list(item.get(name) or [])
        while len(parts) <= position:
            parts.append({"type": kind.removeprefix("response.").removesuffix(".delta")})
        field = "refusal" if "refusal" in kind else "text"
        parts[position] = {**parts[position], field: parts[position].get(field, "") + data["delta"]}
    elif "arguments" in kind:
        item["arguments"] = item.get("arguments", "") + data["delta"]
    elif "custom_tool_call_input" in kind:
        item["input"] = item.get("input", "") + data["delta"]


def images(found: list[Event]) -> Body:
    """Keep the finished images; partial ones are only counted."""
    body: Body = {"data": [], "partial_images": 0}
    for event in found:
        kind = str(event.data.get("type"))
        if kind.endswith(".partial_image"):
            body["partial_images"] += 1
        elif kind.endswith(".completed"):
            details = {key: value for key, value in event.data.items() if key not in ("type", "usage")}
            body["data"].append(details)
            body["usage"] = event.data.get("usage")
    return body


def transcript(found: list[Event]) -> Body:
    """Return the whole transcript."""
    text = "".join(event.data.get("delta") or "" for event in found)
    for event in found:
        if event.data.get("type") == "transcript.text.done":
            return {key: value for key, value in event.data.items() if key != "type"}
    return {"text": text}


def speech(found: list[Event]) -> Body:
    """Return the size of the audio, and what it used."""
    sizes = [capture.media(event.data["audio"])["media"]["bytes"] for event in found if event.data.get("audio")]
    usage = next((event.data["usage"] for event in found if event.data.get("usage")), None)
    return {"media": {"bytes": sum(sizes)}, "usage": usage}


def run(found: list[Event]) -> Body:
    """Return the run of an assistant as it was last, with what it said."""
    body: Body = {}
    text = ""
    for event in found:
        # The SDK puts the name of these beside their data.
        data = event.data
        if data.get("object") == "thread.run":
            body = dict(data)
        for part in _dicts((data.get("delta") or {}).get("content") if isinstance(data.get("delta"), dict) else None):
            text += (part.get("text") or {}).get("value") or ""
    if text:
        body["output_text"] = text
    return body


def _index(part: Body, name: str = "index") -> int:
    index = part.get(name)
    return index if isinstance(index, int) else 0


def _dicts(value: Any) -> list[Body]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
