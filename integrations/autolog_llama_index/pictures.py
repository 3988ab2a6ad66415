"""Picture LlamaIndex's objects in the plain form that all libraries share: messages, documents, tool outputs, events.

All of it runs on the traced call, so it reads attributes and nothing else: no `model_dump`, no property that computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from autolog import capture
from autolog.guard import attempt


def message(value: Any) -> dict[str, Any]:
    """Return role, content, tool calls and ids of a chat message."""
    fields = value.__dict__
    blocks, more = fields["blocks"], fields["additional_kwargs"]
    if len(blocks) == 1 and blocks[0].block_type == "text":
        pictured = {"role": fields["role"], "content": blocks[0].text}
    else:
        pictured = {"role": fields["role"], **_blocks(blocks)}
    if more:
        _take_more(pictured, more)
    return pictured


def _blocks(blocks: Any) -> dict[str, Any]:
    by_kind: dict[str, list[Any]] = {}
    for block in blocks:
        by_kind.setdefault(block.block_type, []).append(block)
    calls = by_kind.pop("tool_call", [])
    thoughts = by_kind.pop("thinking", [])
    pictured: dict[str, Any] = {}
    if by_kind.keys() <= {"text"}:
        pictured["content"] = "\n".join(block.text for block in by_kind.get("text", []))
    else:
        shown = [block for block in blocks if block.block_type in by_kind]
        pictured["content"] = [_part(block) for block in shown]
    reasoning = "\n".join(block.content for block in thoughts if block.content)
    if reasoning:
        pictured["reasoning"] = reasoning
    if calls:
        pictured["tool_calls"] = [
            {"id": call.tool_call_id, "name": call.tool_name, "arguments": _arguments(call.tool_kwargs)}
            for call in calls
        ]
    return pictured


def _part(block: Any) -> dict[str, Any]:
    kept = {name: item for name, item in vars(block).items() if item is not None and name != "block_type"}
    places = {name: str(kept[name]) for name in ("url", "path") if name in kept}
    return {"type": block.block_type, **kept, **places}


def _take_more(pictured: dict[str, Any], more: dict[str, Any]) -> None:
    """Take what integrations of models put beside the blocks of a message, by the names that they agree on."""
    rest = dict(more)
    calls = rest.pop("tool_calls", None)
    if calls and "tool_calls" not in pictured:
        pictured["tool_calls"] = [_tool_call(call) for call in calls]
    for name in ("tool_call_id", "name"):
        if isinstance(rest.get(name), str):
            pictured[name] = rest.pop(name)
    if rest:
        pictured["additional_kwargs"] = rest


def _tool_call(call: Any) -> Any:
    """Return a tool call, which is a dict or an object of the provider's SDK."""
    function = field(call, "function") or call
    name = field(function, "name")
    if name is None:
        return call
    arguments = field(function, "arguments", "input")
    return {"id": field(call, "id"), "name": name, "arguments": _arguments(arguments)}


def _arguments(value: Any) -> Any:
    return attempt(msgspec.json.decode, value, default=value) if isinstance(value, str) else value


def field(value: Any, *names: str) -> Any:
    """Return the first of these fields that an object or a dict has and that is not `None`."""
    for name in names:
        found = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
        if found is not None:
            return found
    return None


def node(value: Any) -> dict[str, Any]:
    """Return id, content and metadata of a node, without its embedding and its relationships."""
    fields = value.__dict__
    text = fields.get("text")
    if text is None:
        text = getattr(fields.get("text_resource"), "text", None)
    return {"id": fields.get("id_"), "content": text, "metadata": fields.get("metadata")}


def document(value: Any) -> dict[str, Any]:
    """Return a node with its score."""
    fields = value.__dict__
    return {**node(fields["node"]), "score": _number(fields["score"])}


def sources(nodes: Any) -> list[dict[str, Any]]:
    """Return ids and scores of nodes whose content another span has."""
    return [{"id": one.node.id_, "score": _number(one.score)} for one in nodes or ()]


def _number(score: Any) -> Any:
    # numpy's numbers are none of JSON's
    return score if score is None or isinstance(score, float) else attempt(float, score, default=None)


def component(value: Any) -> dict[str, Any]:
    """Name a model, a retriever or the like. Their fields are configuration, with keys of providers in it."""
    fields = value.__dict__
    model = fields.get("model") or fields.get("model_name")
    return {"type": type(value).__name__, **({"model": model} if isinstance(model, str) else {})}


def event(value: Any) -> dict[str, Any]:
    """Return an event of a workflow: its type, its fields and what else it was given."""
    return {"type": type(value).__name__, **event_fields(value)}


def event_fields(value: Any) -> dict[str, Any]:
    """Return the fields of an event of a workflow, declared or not, and the result of one that ends a run."""
    fields = {**value.__dict__, **value._data, "result": getattr(value, "_result", None)}
    return {name: item for name, item in fields.items() if item is not None}


def events_in(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the events among a step's arguments; the others are its context and its resources."""
    return {name: value for name, value in arguments.items() if _is_event(value)}


def _is_event(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and _is_event(value[0])
    return hasattr(type(value), "custom_model_dump") and hasattr(value, "_data")


def tool_output(value: Any) -> Any:
    """Return what a tool returned where that is plain, else the text that the model is told."""
    raw = value.raw_output
    return raw if type(raw) in _PLAIN else value.content


_PLAIN = frozenset({str, int, float, bool, dict, list})


def prompt_template(template: Any, model: Any) -> Any:
    """Return the text of a prompt's template, or its messages; `model` is who it is selected for."""
    select = getattr(template, "select", None)
    if select is not None:
        template = attempt(select, model, default=getattr(template, "default_template", template))
    messages = getattr(template, "message_templates", None)
    if messages is not None:
        return [message(one) for one in messages]
    text = field(template, "template", "template_str")
    return text if isinstance(text, str) else None


def describe_messages() -> None:
    """Have messages pictured as above, in whatever they lie."""
    from llama_index.core.base.llms.types import ChatMessage

    capture.describe(ChatMessage, message)


def describe_components() -> None:
    """Have nodes pictured as above, and no component by its fields."""
    from llama_index.core.schema import BaseComponent, BaseNode, NodeWithScore

    capture.describe(BaseComponent, component)
    capture.describe(BaseNode, node)
    capture.describe(NodeWithScore, document)


def describe_tools() -> None:
    """Have tools pictured by their names, and their outputs as above."""
    from llama_index.core.tools.types import BaseTool, ToolOutput

    capture.describe(ToolOutput, tool_output)
    capture.describe(BaseTool, lambda tool: {"type": type(tool).__name__, "name": tool.metadata.name})


def describe_events() -> None:
    """Have events of workflows pictured as above."""
    from workflows.events import DictLikeModel

    capture.describe(DictLikeModel, event)


# By the module that defines what they describe.
DESCRIPTIONS = {
    "llama_index.core.base.llms.types": describe_messages,
    "llama_index.core.schema": describe_components,
    "llama_index.core.tools.types": describe_tools,
    "workflows.events": describe_events,
}
