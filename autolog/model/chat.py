"""Read the conversation out of what a model was asked and what it answered, whichever library recorded it.

Inputs and outputs are kept as they came: bodies of OpenAI's endpoints, messages as LangChain and LlamaIndex have them,
the parts of OpenTelemetry's conventions. Whoever shows or sends them on reads them here, in one form: that of
OpenTelemetry's GenAI conventions, whose messages are made of parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

Part = Mapping[str, Any]
"""A `text`, `reasoning`, `tool_call`, `tool_call_response`, `uri`, `blob` or `file`; see the GenAI conventions."""

_DATA_URL = re.compile(r"data:(?P<mime>[\w.+-]+/[\w.+-]+)?(?:;[\w.=+-]+)*;base64,", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that a model wants to be called."""

    name: str
    arguments: Any = None
    """Plain values where the model wrote JSON, else the text that it wrote."""
    id: str | None = None


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn of a conversation."""

    role: str
    parts: tuple[Part, ...] = ()
    name: str | None = None
    finish_reason: str | None = None

    @property
    def text(self) -> str:
        """What it says, without its reasoning and its tools."""
        return "\n".join(str(part.get("content") or "") for part in self.parts if part.get("type") == "text")

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tools that it asks for."""
        calls = (part for part in self.parts if part.get("type") == "tool_call")
        return tuple(ToolCall(str(c.get("name") or ""), c.get("arguments"), c.get("id")) for c in calls)

    @property
    def tool_call_id(self) -> str | None:
        """The id of the call that it answers, of a tool's message."""
        found = (part.get("id") for part in self.parts if part.get("type") == "tool_call_response")
        return next(found, None)

    def to_dict(self) -> dict[str, Any]:
        """Return it as the GenAI conventions have it."""
        more = {"name": self.name, "finish_reason": self.finish_reason}
        return {
            "role": self.role,
            "parts": [dict(part) for part in self.parts],
            **{name: value for name, value in more.items() if value is not None},
        }


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model was asked."""

    messages: tuple[ChatMessage, ...] = ()
    instructions: tuple[Part, ...] = ()
    """What the model was told apart from the conversation, as the Responses API has it."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """Each with `type`, `name`, `description` and `parameters` where they are known."""


def asked(inputs: Any) -> Asked:
    """Read the inputs of a model call; what is no conversation gives no messages."""
    if isinstance(inputs, str):
        return Asked((ChatMessage("user", (text_part(inputs),)),))
    if isinstance(inputs, list):
        return Asked(tuple(_messages(inputs, "user")))
    if not isinstance(inputs, Mapping):
        return Asked()
    turns = next((inputs[key] for key in ("messages", "input", "prompt", "prompts") if inputs.get(key)), None)
    if isinstance(turns, (str, Mapping)):
        turns = [turns]
    return Asked(
        tuple(_messages(turns if isinstance(turns, list) else (), "user")),
        tuple(_parts(inputs.get("instructions") or inputs.get("system"))),
        tuple(_tool(tool) for tool in _mappings(inputs.get("tools") or inputs.get("functions"))),
    )


def answered(outputs: Any) -> tuple[ChatMessage, ...]:
    """Read the outputs of a model call: a message a choice."""
    if isinstance(outputs, str):
        return (ChatMessage("assistant", (text_part(outputs),)),)
    if isinstance(outputs, list):
        return tuple(_messages(outputs, "assistant"))
    if not isinstance(outputs, Mapping):
        return ()
    if isinstance(outputs.get("choices"), list):
        return tuple(_choice(choice) for choice in _mappings(outputs["choices"]))
    if isinstance(outputs.get("output"), list):  # the items of a response are one answer
        said = list(_messages(outputs["output"], "assistant"))
        return (ChatMessage("assistant", tuple(part for one in said for part in one.parts)),) if said else ()
    if isinstance(outputs.get("messages"), list):
        return tuple(_messages(outputs["messages"], "assistant"))
    if outputs.keys() & _SAYING:
        return (message(outputs, "assistant"),)
    return ()


_SAYING = frozenset({"role", "content", "text", "tool_calls", "parts", "message", "refusal", "output_text"})


def _choice(choice: Mapping[str, Any]) -> ChatMessage:
    inner = choice.get("message")
    said = message(inner if isinstance(inner, Mapping) else choice, "assistant")
    reason = choice.get("finish_reason")
    return ChatMessage(said.role, said.parts, said.name, reason if isinstance(reason, str) else said.finish_reason)


def _messages(turns: Iterable[Any], role: str) -> Iterator[ChatMessage]:
    for turn in turns:
        if isinstance(turn, str):
            yield ChatMessage(role, (text_part(turn),))
        elif isinstance(turn, Mapping):
            yield message(turn, role)
        elif isinstance(turn, list):  # one conversation of several
            yield from _messages(turn, role)


def message(fields: Mapping[str, Any], role: str = "user") -> ChatMessage:
    """Read one message, or an item of the Responses API; `role` is whose it is where it does not say."""
    if "lc" in fields and isinstance(fields.get("kwargs"), Mapping):  # as LangChain serialises its own
        fields = fields["kwargs"]
    kind = fields.get("type")
    if isinstance(kind, str) and kind in _ITEMS:
        return _ITEMS[kind](fields)
    if isinstance(kind, str) and kind in _MESSAGE_TYPES:
        fields = {"role": kind, **fields}
    inner = fields.get("message")
    if isinstance(inner, Mapping) and "role" not in fields:
        return message(inner, role)
    said_by = _ROLES.get(str(fields.get("role") or role), str(fields.get("role") or role))
    if isinstance(kind, str) and "role" not in fields and not fields.keys() & _SAYING:
        return ChatMessage("assistant", (dict(fields),))  # a search, a computer's action: an item of no other kind
    name, reason = fields.get("name"), fields.get("finish_reason")
    return ChatMessage(
        said_by,
        tuple(_all_parts(fields, said_by)),
        name if isinstance(name, str) else None,
        reason if isinstance(reason, str) else None,
    )


_MESSAGE_TYPES = frozenset({"human", "ai", "system", "tool"})  # of LangChain's messages
_ROLES = {"human": "user", "ai": "assistant", "model": "assistant", "function": "tool"}


def _all_parts(fields: Mapping[str, Any], role: str) -> Iterator[Part]:
    if isinstance(fields.get("parts"), list):
        yield from _parts(fields["parts"])
        return
    for name in ("reasoning_content", "reasoning"):
        if isinstance(fields.get(name), str) and fields[name]:
            yield {"type": "reasoning", "content": fields[name]}
    content = next((fields[n] for n in ("content", "text", "output_text") if fields.get(n) not in (None, "", [])), None)
    answers = fields.get("tool_call_id")
    if role == "tool":
        yield {"type": "tool_call_response", "id": answers, "response": _plain_content(content)}
    else:
        yield from _parts(content)
    if isinstance(fields.get("refusal"), str) and fields["refusal"]:
        yield {"type": "refusal", "content": fields["refusal"]}
    for call in _mappings(fields.get("tool_calls")):
        yield _tool_call(call)
    if isinstance(fields.get("function_call"), Mapping):
        yield _tool_call(fields["function_call"])


def _plain_content(content: Any) -> Any:
    """Return what a tool returned: its text where that is all there is."""
    parts = list(_parts(content))
    if parts and all(part.get("type") == "text" for part in parts):
        return "\n".join(str(part["content"]) for part in parts)
    return content if not isinstance(content, list) else [dict(part) for part in parts]


def _tool_call(call: Mapping[str, Any]) -> Part:
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
        except (ValueError, RecursionError):
            return text
    return text


def _item(role: str, read: Callable[[Mapping[str, Any]], Iterable[Part]]) -> Callable[[Mapping[str, Any]], ChatMessage]:
    return lambda fields: ChatMessage(role, tuple(read(fields)))


def _read_reasoning(fields: Mapping[str, Any]) -> Iterator[Part]:
    for name in ("summary", "content"):
        for one in _mappings(fields.get(name)):
            yield {"type": "reasoning", "content": one.get("text")}


def _read_result(fields: Mapping[str, Any]) -> Iterator[Part]:
    yield {"type": "tool_call_response", "id": fields.get("call_id"), "response": _plain_content(fields.get("output"))}


# Items of the Responses API that are no messages. What its own tools do is kept as it is.
_ITEMS: Mapping[str, Callable[[Mapping[str, Any]], ChatMessage]] = {
    "function_call": _item("assistant", lambda fields: [_tool_call({**fields, "id": fields.get("call_id")})]),
    "custom_tool_call": _item("assistant", lambda fields: [_tool_call({**fields, "id": fields.get("call_id")})]),
    "function_call_output": _item("tool", _read_result),
    "custom_tool_call_output": _item("tool", _read_result),
    "reasoning": _item("assistant", _read_reasoning),
}


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Describe a tool flatly, as the conventions do."""
    inner = tool.get("function") or tool.get("custom")
    fields = {**tool, **inner} if isinstance(inner, Mapping) else tool
    schema = next((fields[key] for key in ("parameters", "input_schema", "inputSchema") if fields.get(key)), None)
    known = {
        "type": fields.get("type") or "function",
        "name": fields.get("name"),
        "description": fields.get("description"),
        "parameters": schema,
    }
    return {name: value for name, value in known.items() if value is not None}


# --- parts -----------------------------------------------------------------------------------------------


def text_part(text: str) -> Part:
    """Return a text as a part."""
    return {"type": "text", "content": text}


def _parts(content: Any) -> Iterator[Part]:
    if isinstance(content, str):
        if content:
            yield text_part(content)
    elif isinstance(content, Mapping):
        yield part(content)
    elif isinstance(content, list):
        for one in content:
            yield from _parts(one)
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


def _asked_tool(fields: Mapping[str, Any]) -> Part:
    return _tool_call(fields)


def _told_tool(fields: Mapping[str, Any]) -> Part:
    identity = _first(str, "id", "tool_use_id", "tool_call_id", "toolCallId", of=(fields,))
    response = next((fields[n] for n in ("response", "result", "content", "output") if n in fields), None)
    return {"type": "tool_call_response", "id": identity, "response": _plain_content(response)}


_PARTS: Mapping[str, Callable[[Mapping[str, Any]], Part | None]] = {
    **dict.fromkeys(("text", "input_text", "output_text", "summary_text"), _text),
    **dict.fromkeys(("thinking", "reasoning"), _thought),
    **dict.fromkeys(("image_url", "input_image", "image"), _medium("image")),
    **dict.fromkeys(("audio_url", "input_audio", "audio"), _medium("audio")),
    **dict.fromkeys(("video_url", "input_video", "video"), _medium("video")),
    **dict.fromkeys(("input_file", "document"), _medium("file")),
    "file": lambda fields: dict(fields) if "modality" in fields else _medium("file")(fields),
    **dict.fromkeys(("tool_call", "tool_use"), _asked_tool),
    "tool-call": lambda fields: _tool_call({**fields, "name": fields.get("toolName"), "id": fields.get("toolCallId")}),
    **dict.fromkeys(("tool_call_response", "tool_result", "tool-result"), _told_tool),
}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


# --- documents -------------------------------------------------------------------------------------------


def documents(payload: Any) -> list[dict[str, Any]]:
    """Return the documents that a retriever found or a reranker sorted: `id`, `content`, `score`, `metadata`."""
    found = payload.get("documents") if isinstance(payload, Mapping) else payload
    return [_document(one) for one in _mappings(found)]


def _document(fields: Mapping[str, Any]) -> dict[str, Any]:
    known = {
        "id": fields.get("id"),
        "content": next((fields[n] for n in ("content", "page_content", "text") if fields.get(n) is not None), None),
        "score": fields.get("score"),
        "metadata": fields.get("metadata") or None,
    }
    return {name: value for name, value in known.items() if value is not None}


# --- back to plain messages ------------------------------------------------------------------------------


def plain_messages(messages: Iterable[ChatMessage]) -> list[dict[str, Any]]:
    """Return messages in the plain form that traces keep: `role`, `content`, `tool_calls`, `tool_call_id`."""
    return [turn for one in messages for turn in _plain_turns(one)]


def _plain_turns(one: ChatMessage) -> Iterator[dict[str, Any]]:
    told = [part for part in one.parts if part.get("type") == "tool_call_response"]
    for part in told:
        known = {"role": "tool", "tool_call_id": part.get("id"), "content": part.get("response"), "name": one.name}
        yield {name: value for name, value in known.items() if value is not None}
    said = [part for part in one.parts if part.get("type") not in ("tool_call", "tool_call_response", "reasoning")]
    thoughts = [str(part.get("content") or "") for part in one.parts if part.get("type") == "reasoning"]
    if told and not said and not one.tool_calls:
        return
    is_text = len(said) <= 1 and all(part.get("type") == "text" for part in said)
    known = {
        "role": one.role,
        "content": one.text if is_text else [dict(part) for part in said],
        "reasoning": "\n".join(thoughts) or None,
        "name": one.name,
        "tool_calls": [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in one.tool_calls] or None,
        "finish_reason": one.finish_reason,
    }
    yield {name: value for name, value in known.items() if value is not None}


def plain_answer(messages: Iterable[ChatMessage]) -> Any:
    """Return answers in the plain form: the message, or where there are several, `choices`."""
    turns = plain_messages(messages)
    return None if not turns else turns[0] if len(turns) == 1 else {"choices": turns}
