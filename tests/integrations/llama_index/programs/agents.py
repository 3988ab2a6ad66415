"""Agents: tools that work and fail, several agents, people to ask, and calls inside of tools."""

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context, HumanResponseEvent, InputRequiredEvent
from workflows.errors import WorkflowRuntimeError

from autolog import start_span
from tests.fakes import openai_answers as answers
from tests.fakes.llama_index_models import USAGE, openai, streams, streams_calls
from tests.fakes.openai_server import json_answer
from tests.integrations.llama_index.programs.program import LATER, OPENAI, gives
from tests.programs import ask_async

NEW = (*OPENAI, "llama-index-workflows>=2")


def weather(city: str) -> str:
    """Tell the weather of a city."""
    if city == "Atlantis":
        raise LookupError(f"no {city}")
    return f"sunny in {city}"


def agent(server, *tools, name="guide", **details):
    return FunctionAgent(
        name=name,
        description="Knows the weather",
        tools=[*(tools or (weather,))],
        llm=openai(server, additional_kwargs=USAGE),
        **details,
    )


@gives(
    """
    OK 22>14
    AGENT guide
      CHAT_MODEL OpenAI.astream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TOOL weather
      CHAT_MODEL OpenAI.astream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
async def agent_with_a_tool(server):
    server.script(streams_calls(("weather", {"city": "Rome"})), streams("Sunny", " in Rome"))
    return str(await agent(server).run("Weather?"))


@gives(
    """
    OK 22>14
    AGENT guide
      CHAT_MODEL OpenAI.astream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      CHAT_MODEL OpenAI.astream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TOOL weather
      TOOL weather ERROR LookupError
    """,
    is_parallel=True,
    needs=OPENAI,
)
async def agent_with_two_tools_one_of_which_fails(server):
    calls = ("weather", {"city": "Rome"}), ("weather", {"city": "Atlantis"})
    server.script(streams_calls(*calls), streams("Sunny"))
    return str(await agent(server).run("Weather?"))


@gives(
    """
    OK 22>14
    AGENT guide
      CHAT_MODEL OpenAI.astream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TOOL news ERROR ToolError
      CHAT_MODEL OpenAI.astream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
async def agent_whose_tool_is_not_there(server):
    server.script(streams_calls(("news", {})), streams("Sorry"))
    return str(await agent(server).run("News?"))


@gives(
    """
    OK 11>7
    AGENT guide
      CHAT_MODEL OpenAI.achat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=(*OPENAI, LATER),
)
async def agent_that_does_not_stream(server):
    server.script(json_answer(answers.chat({})))
    return str(await agent(server, streaming=False).run("Weather?"))


@gives(
    """
    ERROR 11>7
    AGENT guide ERROR WorkflowRuntimeError
      CHAT_MODEL OpenAI.astream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=NEW,
)
async def agent_that_never_comes_to_an_end(server):
    server.script(streams_calls(("weather", {"city": "Rome"})))
    with pytest.raises(WorkflowRuntimeError, match="Max iterations"):
        await agent(server).run("Weather?", max_iterations=1)


@gives(
    """
    OK 33>21
    UNKNOWN request
      AGENT guide
        CHAT_MODEL OpenAI.astream_chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
        TOOL research
          UNKNOWN inside
            CHAT_MODEL chat gpt-4o 11>7
        CHAT_MODEL OpenAI.astream_chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      UNKNOWN afterwards
    """,
    needs=OPENAI,
)
async def agent_with_calls_inside_of_its_tool(server):
    async def research(topic: str) -> str:
        """Look a topic up."""
        with start_span("inside"):
            return await ask_async(server)

    server.script(streams_calls(("research", {"topic": "x"})), json_answer(answers.chat({})), streams("Found"))
    with start_span("request"):
        result = str(await agent(server, research).run("Look"))
        with start_span("afterwards"):
            return result


@gives(
    """
    OK 22>14
    WORKFLOW AgentWorkflow.run
      AGENT guide
        CHAT_MODEL OpenAI.astream_chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TOOL handoff
      AGENT writer
        CHAT_MODEL OpenAI.astream_chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
async def agents_that_hand_off(server):
    server.script(
        streams_calls(("handoff", {"to_agent": "writer", "reason": "it writes"})),
        streams("Written"),
    )
    writer = agent(server, name="writer", system_prompt="Write.")
    guide = agent(server, name="guide", can_handoff_to=["writer"])
    return str(await AgentWorkflow(agents=[guide, writer], root_agent="guide").run("Write it"))


@gives(
    """
    OK 22>14
    AGENT thinker
      CHAT_MODEL OpenAI.astream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      PARSER ReActOutputParser.parse
      TOOL weather
      CHAT_MODEL OpenAI.astream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      PARSER ReActOutputParser.parse
    """,
    needs=OPENAI,
)
async def agent_that_reasons(server):
    server.script(
        streams("Thought: I need a tool.\nAction: weather\nAction Input: ", '{"city": "Rome"}'),
        streams("Thought: I can answer.\nAnswer: Sunny"),
    )
    llm = openai(server, additional_kwargs=USAGE)
    return str(await ReActAgent(name="thinker", tools=[weather], llm=llm).run("Weather?"))


@gives(
    """
    OK 22>14
    AGENT guide
      CHAT_MODEL OpenAI.astream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TOOL confirm
      TOOL confirm
      CHAT_MODEL OpenAI.astream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=NEW,
)
async def agent_whose_tool_asks_somebody(server):
    async def confirm(ctx: Context) -> str:
        """Ask a person."""
        question = InputRequiredEvent(prefix="Sure?")
        answer = await ctx.wait_for_event(HumanResponseEvent, waiter_event=question, waiter_id="sure")
        return answer.response

    server.script(streams_calls(("confirm", {})), streams("Done"))
    handler = agent(server, confirm).run("Do it")
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            handler.ctx.send_event(HumanResponseEvent(response="yes"))
    return str(await handler)


@gives(
    """
    OK
    TOOL weather
    """,
    needs=OPENAI,
)
def tool_called_directly(server):
    return str(FunctionTool.from_defaults(weather).call(city="Rome"))
