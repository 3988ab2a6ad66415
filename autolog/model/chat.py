"""Read the conversation out of what a model was asked and what it answered, whichever library recorded it.

Inputs and outputs are kept as they came: bodies of OpenAI's endpoints, messages as LangChain and LlamaIndex have them,
the parts of OpenTelemetry's conventions. Whoever shows or sends them on reads them here, in one form: that of
OpenTelemetry's GenAI conventions, whose messages are made of parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from autolog.model.parts import Part, mappings, parts_of, plain_content, text_part, tool_call


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
        tuple(parts_of(inputs.get("instructions") or inputs.get("system"))),
        tuple(_tool(tool) for tool in mappings(inputs.get("tools") or inputs.get("functions"))),
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
        return tuple(_choice(choice) for choice in mappings(outputs["choices"]))
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
        yield from parts_of(fields["parts"])
        return
    for name in ("reasoning_content", "reasoning"):
        if isinstance(fields.get(name), str) and fields[name]:
            yield {"type": "reasoning", "content": fields[name]}
    content = next((fields[n] for n in ("content", "text", "output_text") if fields.get(n) not in (None, "", [])), None)
    answers = fields.get("tool_call_id")
    if role == "tool":
        yield {"type": "tool_call_response", "id": answers, "response": plain_content(content)}
    else:
        yield from parts_of(content)
    if isinstance(fields.get("refusal"), str) and fields["refusal"]:
        yield {"type": "refusal", "content": fields["refusal"]}
    for call in mappings(fields.get("tool_calls")):
        yield tool_call(call)
    if isinstance(fields.get("function_call"), Mapping):
        yield tool_call(fields["function_call"])


def _item(role: str, read: Callable[[Mapping[str, Any]], Iterable[Part]]) -> Callable[[Mapping[str, Any]], ChatMessage]:
    return lambda fields: ChatMessage(role, tuple(read(fields)))


def _read_reasoning(fields: Mapping[str, Any]) -> Iterator[Part]:
    for name in ("summary", "content"):
        for one in mappings(fields.get(name)):
            yield {"type": "reasoning", "content": one.get("text")}


def _read_result(fields: Mapping[str, Any]) -> Iterator[Part]:
    yield {"type": "tool_call_response", "id": fields.get("call_id"), "response": plain_content(fields.get("output"))}


# Items of the Responses API that are no messages. What its own tools do is kept as it is.
_ITEMS: Mapping[str, Callable[[Mapping[str, Any]], ChatMessage]] = {
    "function_call": _item("assistant", lambda fields: [tool_call({**fields, "id": fields.get("call_id")})]),
    "custom_tool_call": _item("assistant", lambda fields: [tool_call({**fields, "id": fields.get("call_id")})]),
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


# --- documents -------------------------------------------------------------------------------------------


def documents(payload: Any) -> list[dict[str, Any]]:
    """Return the documents that a retriever found or a reranker sorted: `id`, `content`, `score`, `metadata`."""
    found = payload.get("documents") if isinstance(payload, Mapping) else payload
    return [_document(one) for one in mappings(found)]


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
