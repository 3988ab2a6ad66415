"""Picture LangChain's objects in the plain form that all libraries share: messages, documents, prompts, commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autolog import capture

_ROLES = {
    "human": "user",
    "HumanMessageChunk": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "system": "system",
    "SystemMessageChunk": "system",
    "tool": "tool",
    "ToolMessageChunk": "tool",
    "function": "function",
}


def _tool_calls(calls: Any) -> Any:
    return [tool_call(call) for call in calls]


_ASKED = frozenset({str, list, dict})
# What a message may have beside its role and content, and how it is pictured where not as it is.
_MORE: Mapping[str, Callable[[Any], Any] | None] = {
    "name": None,
    "id": None,
    "tool_calls": _tool_calls,
    "invalid_tool_calls": lambda calls: [{**tool_call(call), "error": call.get("error")} for call in calls],
    "tool_call_id": None,
    "artifact": None,
    "status": lambda status: None if status == "success" else status,
    # Which has the tool calls again, as the provider sent them.
    "additional_kwargs": lambda found: {
        name: item for name, item in found.items() if name != "tool_calls" and _is_given(item)
    },
}


def message(value: Any) -> dict[str, Any]:
    """Return role, content, tool calls and ids of a message."""
    fields = value.__dict__
    kind = fields.get("type")
    pictured = {"role": _ROLES.get(kind) or fields.get("role") or kind, "content": fields.get("content")}
    for name, found in fields.items():
        if name in _MORE and _is_given(found):
            picture = _MORE[name]
            shown = found if picture is None else picture(found)
            if _is_given(shown):
                pictured[name] = shown
    return pictured


def _is_given(value: Any) -> bool:
    """Whether there is something. A value of another type, such as an array, may refuse to say whether it is true."""
    return bool(value) if type(value) in _ASKED else value is not None


def tool_call(call: Any) -> dict[str, Any]:
    """Return id, name and arguments of a tool call."""
    return {"id": call.get("id"), "name": call.get("name"), "arguments": call.get("args")}


def document(value: Any) -> dict[str, Any]:
    """Return id, content and metadata of a document."""
    fields = value.__dict__
    return {"id": fields.get("id"), "content": fields.get("page_content"), "metadata": fields.get("metadata")}


def describe_messages() -> None:
    """Have messages pictured as above, in whatever they lie."""
    from langchain_core.messages.base import BaseMessage

    capture.describe(BaseMessage, message)


def describe_documents() -> None:
    """Have documents pictured as above."""
    from langchain_core.documents.base import Document

    capture.describe(Document, document)


def describe_prompts() -> None:
    """Have prompt values pictured as the messages or the text that they are."""
    from langchain_core.prompt_values import ChatPromptValue, StringPromptValue

    capture.describe(ChatPromptValue, lambda value: {"messages": value.messages})
    capture.describe(StringPromptValue, lambda value: {"text": value.text})


def describe_sends() -> None:
    """Have what LangGraph hands to a node pictured by the node and what it is given."""
    from langgraph.types import Send

    capture.describe(Send, lambda value: {"node": value.node, "arg": value.arg})


# By the module that defines what they describe.
DESCRIPTIONS = {
    "langchain_core.messages.base": describe_messages,
    "langchain_core.documents.base": describe_documents,
    "langchain_core.prompt_values": describe_prompts,
    "langgraph.types": describe_sends,
}
