"""Read the parts of a message: texts, thoughts, media, and calls of tools, as any provider or framework writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

Part = Mapping[str, Any]
"""A `text`, `reasoning`, `tool_call`, `tool_call_response`, `uri`, `blob` or `file`; see the GenAI conventions."""

_DATA_URL = re.compile(r"data:(?P<mime>[\w.+-]+/[\w.+-]+)?(?:;[\w.=+-]+)*;base64,", re.IGNORECASE)


def text_part(text: str) -> Part:
    """Return a text as a part."""
    return {"type": "text", "content": text}


def parts_of(content: Any) -> Iterator[Part]:
    """Read the parts of a message's content: a text, a part, or a list of them."""
    if isinstance(content, str):
        if content:
            yield text_part(content)
    elif isinstance(content, Mapping):
        yield part(content)
    elif isinstance(content, list):
        for one in content:
            yield from parts_of(one)
    elif content is not None:
        yield {"type": "data", "content": content}


def part(fields: Mapping[str, Any]) -> Part:
    """Read one part of a message; one of a kind that nobody knows stays as it is."""
    read = _PARTS.get(str(fields.get("type")))
    found = None if read is None else read(fields)
    return dict(fields) if found is None else {name: value for name, value in found.items() if value is not None}


def _text(fields: Mapping[str, Any]) -> Part | None:
    text = fields.get("text", fields.get("content"))
    return {"type": "text", "content": text} if isinstance(text, str) else None


def _thought(fields: Mapping[str, Any]) -> Part | None:
    text = next(
        (fields[n] for n in ("content", "thinking", "reasoning", "text") if isinstance(fields.get(n), str)), None
    )
    return None if text is None else {"type": "reasoning", "content": text}


def _medium(modality: str) -> Callable[[Mapping[str, Any]], Part | None]:
    """Read an image, a sound or a file, as any of the providers and frameworks write it."""

    def read(fields: Mapping[str, Any]) -> Part | None:
        found = next(
            (fields[n] for n in (f"{modality}_url", f"input_{modality}", "source", modality) if fields.get(n)), None
        )
        inner = found if isinstance(found, Mapping) else {}
        text = found if isinstance(found, str) else None
        place = _first(str, "url", "uri", "file_url", "path", of=(inner, fields)) or text
        mime = _first(str, "mime_type", "media_type", "mimetype", "mimeType", of=(inner, fields))
        file_id = _first(str, "file_id", of=(inner, fields))
        content = _first(str, "data", "base64", "file_data", "content", of=(inner, fields))
        form = inner.get("format")
        mime = mime or (f"{modality}/{form}" if isinstance(form, str) else None)
        kind = {"modality": modality, "mime_type": mime}
        if place is not None or content is not None:
            return _blob_or_uri(place, content, kind)
        if file_id is not None:
            return {"type": "file", **kind, "file_id": file_id}
        return None

    return read


def _blob_or_uri(place: str | None, content: str | None, kind: Mapping[str, Any]) -> Part:
    inline = _DATA_URL.match(place) if place is not None else _DATA_URL.match(content or "")
    if inline is not None:
        whole = str(place if place is not None else content)
        return {"type": "blob", **kind, "mime_type": inline["mime"], "content": whole[inline.end() :]}
    return {"type": "uri", **kind, "uri": place} if place is not None else {"type": "blob", **kind, "content": content}


def _first(kind: type, *names: str, of: Iterable[Mapping[str, Any]]) -> Any:
    return next(
        (found for fields in of for name in names if isinstance(found := fields.get(name), kind) and found), None
    )


def tool_call(call: Mapping[str, Any]) -> Part:
    """Read a call of a tool: OpenAI's, a custom tool's, LangChain's, LlamaIndex's."""
    inner = call.get("function") or call.get("custom") or call
    if not isinstance(inner, Mapping):
        inner = call
    given = next((inner[key] for key in ("arguments", "args", "input", "parameters") if key in inner), None)
    identity = call.get("id") or call.get("call_id") or call.get("tool_call_id")
    return {
        "type": "tool_call",
        **({} if identity is None else {"id": identity}),
        "name": str(inner.get("name") or ""),
        "arguments": decoded(given),
    }


def decoded(text: Any) -> Any:
    """Return the object or the list that a text spells in JSON, else the text itself."""
    if isinstance(text, str) and text[:1] in ("{", "["):
        try:
            return msgspec.json.decode(text)
        except (msgspec.MsgspecError, ValueError, RecursionError):  # older versions' errors are no ValueErrors
            return text
    return text


def _told_tool(fields: Mapping[str, Any]) -> Part:
    identity = _first(str, "id", "tool_use_id", "tool_call_id", "toolCallId", of=(fields,))
    response = next((fields[n] for n in ("response", "result", "content", "output") if n in fields), None)
    return {"type": "tool_call_response", "id": identity, "response": plain_content(response)}


def plain_content(content: Any) -> Any:
    """Return what a tool returned: its text where that is all there is."""
    parts = list(parts_of(content))
    if parts and all(part.get("type") == "text" for part in parts):
        return "\n".join(str(part["content"]) for part in parts)
    return content if not isinstance(content, list) else [dict(part) for part in parts]


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """Return the dicts in a list; of what is none, nothing."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


_PARTS: Mapping[str, Callable[[Mapping[str, Any]], Part | None]] = {
    **dict.fromkeys(("text", "input_text", "output_text", "summary_text"), _text),
    **dict.fromkeys(("thinking", "reasoning"), _thought),
    **dict.fromkeys(("image_url", "input_image", "image"), _medium("image")),
    **dict.fromkeys(("audio_url", "input_audio", "audio"), _medium("audio")),
    **dict.fromkeys(("video_url", "input_video", "video"), _medium("video")),
    **dict.fromkeys(("input_file", "document"), _medium("file")),
    "file": lambda fields: dict(fields) if "modality" in fields else _medium("file")(fields),
    **dict.fromkeys(("tool_call", "tool_use"), tool_call),
    "tool-call": lambda fields: tool_call({**fields, "name": fields.get("toolName"), "id": fields.get("toolCallId")}),
    **dict.fromkeys(("tool_call_response", "tool_result", "tool-result"), _told_tool),
}
