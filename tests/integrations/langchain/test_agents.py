"""What is on the spans of an agent and of its tools."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("langchain.agents", reason="needs langchain")
pytest.importorskip("langchain_openai", reason="needs langchain-openai")

from langchain.agents import create_agent
from langchain.tools import ToolRuntime
from langchain_core.tools import tool

from autolog import SpanType, StatusCode
from autolog.testing import spans, traces
from tests.fakes.langchain_models import call, chat, says
from tests.integrations.langchain.programs import agents
from tests.trees import every, the


def test_an_agent_is_named_and_has_its_name(traced, server):
    agents.agent_with_two_tool_calls(server)

    root = traces(traced)[0].root
    assert (root.span_type, root.name) == (SpanType.AGENT, "guide")
    assert root.get_attribute("gen_ai.operation.name") == "invoke_agent"
    assert root.get_attribute("gen_ai.agent.name") == "guide"
    assert root.outputs["messages"][-1]["content"] == "All is well"


@pytest.mark.parametrize("program", ["agent_with_two_tool_calls", "agent_with_two_tool_calls_awaited"])
def test_a_tool_has_the_id_by_which_the_model_called_it(traced, server, program):
    result = getattr(agents, program)(server)
    if asyncio.iscoroutine(result):
        asyncio.run(result)

    asked = next(span for span in spans(traced) if span.name == "ChatOpenAI").outputs["tool_calls"]
    called = {
        span.get_attribute("gen_ai.tool.call.id"): span.inputs["city"]
        for span in spans(traced)
        if span.span_type is SpanType.TOOL
    }
    assert called == {one["id"]: one["arguments"]["city"] for one in asked}
    assert called == {"call_weather_0": "Rome", "call_weather_1": "Oslo"}


def test_a_tool_is_described(traced, server):
    agents.weather.invoke({"city": "Rome"})

    span = the(traced, "weather")
    assert span.attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.description": "weather(city: str) -> str - Tell the weather of a city."
        if "weather(" in span.get_attribute("gen_ai.tool.description")
        else "Tell the weather of a city.",
    }
    assert span.inputs == {"city": "Rome"}
    assert span.outputs == "sunny in Rome"


def test_a_tool_that_handles_its_error_fails_and_the_agent_does_not(traced, server):
    agents.agent_whose_tool_handles_its_own_error(server)

    failed, worked = sorted(every(traced, "careful"), key=lambda span: span.inputs["city"])
    assert (failed.status.code, failed.status.description) == (StatusCode.ERROR, "no Atlantis")
    assert failed.outputs["status"] == "error"
    assert worked.status.code is StatusCode.OK
    assert traces(traced)[0].root.status.code is StatusCode.OK


def test_a_tool_that_raises_has_its_stack_once_and_fails_all_above(traced, server):
    with pytest.raises(LookupError):
        agents.agent_whose_tool_raises(server)

    failed = [span for span in spans(traced) if span.status.is_error]
    assert [span.name for span in failed] == ["guide", "tools", "weather"]
    assert [[event.name for event in span.events] for span in failed] == [[], [], ["exception"]]
    assert {span.get_attribute("error.type") for span in failed} == {"LookupError"}


def test_a_tool_of_arguments_that_are_wrong_says_what_is_wrong(traced, server):
    agents.agent_whose_tool_is_given_the_wrong_arguments(server)

    span = the(traced, "weather")
    assert span.status.is_error
    assert "city" in span.status.description


def test_what_the_agent_tells_a_tool_beside_its_arguments_is_not_recorded(traced, server):
    @tool
    def whoami(city: str, runtime: ToolRuntime) -> str:
        """Tell who asks."""
        return runtime.tool_call_id

    server.script(says(calls=[call("whoami", city="Rome")]), says("All is well"))
    create_agent(chat(server), [whoami], name="guide").invoke(agents.QUESTION)

    assert the(traced, "whoami").inputs == {"city": "Rome"}


def test_a_person_is_asked_what_the_agent_wants_to_do(traced, server):
    agents.person_who_approves_a_tool_call(server)

    stopped, resumed = traces(traced)
    [event] = stopped.root.events
    [asked] = event.attributes["value"]
    assert asked["action_requests"][0]["name"] == "weather"
    assert [link.span_id for link in resumed.root.links] == [stopped.root.span_id]
    assert resumed.root.inputs["resume"] == {"decisions": [{"type": "approve"}]}


def test_a_tool_that_asks_a_person_does_not_fail(traced, server):
    agents.tool_that_asks_a_person(server)

    asked, answered = every(traced, "confirm")
    assert asked.status.code is StatusCode.OK
    assert [(event.name, event.attributes["value"]) for event in asked.events] == [("interrupt", "Sure?")]
    assert answered.outputs["content"] == "yes"


def test_a_handoff_says_to_whom(traced, server):
    agents.handoff_between_agents(server)

    handoffs = [event.attributes["to"] for span in spans(traced) for event in span.events if event.name == "handoff"]
    assert set(handoffs) == {"bob"}
    assert [span.name for span in spans(traced) if span.span_type is SpanType.AGENT] == ["alice", "bob"]


def test_tokens_of_an_agent_are_those_of_its_models_counted_once(traced, server):
    agents.agent_as_a_tool_of_an_agent(server)

    [trace] = traces(traced)
    assert (trace.usage.input_tokens, trace.usage.output_tokens) == (44, 28)
    assert len(server.requests) == 4
