"""Pydantic AI and Logfire: the GenAI conventions with additions, and messages as JSON lists of events in older versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autolog import semconv
from autolog.model.chat import ChatMessage, message
from autolog.model.span import SpanType
from autolog.otel.dialects.genai import instructions_of, turns_of
from autolog.otel.given import Found, Given, fields, items

_CONTROL = ("logfire.json_schema", "logfire.msg_template", "logfire.span_type", "logfire.pending_parent_id")


def read(given: Given, found: Found) -> None:
    """Read what there is of it."""
    told = [name for name in given.left if name.startswith(("logfire.", "pydantic_ai.", "all_messages_events"))]
    if not told and "model_request_parameters" not in given:
        return
    given.take(*_CONTROL)
    found.is_tagged(given.take("logfire.tags"))
    _read_agent(given, found)
    _read_events(given, found)
    parameters = fields(given.json("model_request_parameters"))
    tools = [_tool(one) for one in items(parameters.get("function_tools")) if isinstance(one, Mapping)]
    if tools:
        given.left.setdefault(semconv.TOOL_DEFINITIONS, tools)
    if "tool_arguments" in given or "tool_response" in given:
        found.is_of(SpanType.TOOL)
        found.went_in(given.json("tool_arguments"))
        found.came_out(given.json("tool_response"))
        given.take("tool_arguments", "tool_response")


def _read_agent(given: Given, found: Found) -> None:
    name = given.text("agent_name")
    if name is None:
        return
    found.has(semconv.AGENT_NAME, name)
    if "final_result" in given or "pydantic_ai.all_messages" in given or "all_messages_events" in given:
        found.is_of(SpanType.AGENT)
        found.has(semconv.REQUEST_MODEL, given.text("model_name"))
        messages = turns_of(given.json("pydantic_ai.all_messages"), "user")
        messages += [_event(one) for one in items(given.json("all_messages_events")) if isinstance(one, Mapping)]
        result = given.json("final_result")
        ends = max((at for at, one in enumerate(messages) if one.role == "assistant"), default=None)
        instructions = instructions_of(given.json(semconv.SYSTEM_INSTRUCTIONS))
        found.asked(messages[:ends] if ends is not None else messages, instructions=instructions)
        if result is not None:
            found.came_out(result)
        elif ends is not None:
            found.answered(messages[ends:])


def _read_events(given: Given, found: Found) -> None:
    """Read the messages of a call of a model, which versions before 2 had as a list of events."""
    told = given.json("events")
    if not isinstance(told, list):
        if told is not None:
            given.left["events"] = told
        return
    events = [one for one in told if isinstance(one, Mapping)]
    found.asked([_event(one) for one in events if one.get("event.name") != "gen_ai.choice"])
    found.answered([_event(one) for one in events if one.get("event.name") == "gen_ai.choice"])


def _event(told: Mapping[str, Any]) -> ChatMessage:
    name = str(told.get("event.name") or "")
    if name == "gen_ai.choice":
        return message({**fields(told.get("message")), "finish_reason": told.get("finish_reason")}, "assistant")
    role = told.get("role") or name.removeprefix("gen_ai.").partition(".")[0]
    return message({**told, "role": role, **({"tool_call_id": told.get("id")} if role == "tool" else {})})


def _tool(told: Mapping[str, Any]) -> dict[str, Any]:
    known = {
        "type": "function",
        "name": told.get("name"),
        "description": told.get("description"),
        "parameters": told.get("parameters_json_schema"),
    }
    return {name: value for name, value in known.items() if value is not None}
