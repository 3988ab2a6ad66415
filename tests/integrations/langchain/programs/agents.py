"""Agents: of LangChain, with tools that work and fail, middleware, people to ask, and other agents."""

from __future__ import annotations

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, HumanInTheLoopMiddleware, wrap_tool_call
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from autolog import start_span
from tests.fakes.langchain_models import Parrot, call, chat, says
from tests.integrations.langchain.programs.program import ask, gives

AGENTS = ("langchain>=1", "langchain-openai")
QUESTION = {"messages": [{"role": "user", "content": "Weather?", "id": "1"}]}
THREAD = {"configurable": {"thread_id": "t1"}}


@tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    if city == "Atlantis":
        raise LookupError(f"no {city}")
    return f"sunny in {city}"


AGENT = """
    OK 22>14
    AGENT guide
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TASK tools
        TOOL weather
      TASK tools
        TOOL weather
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
"""


def guide(server, *cities, tools=(weather,), **options):
    server.script(
        says(calls=[call("weather", number, city=city) for number, city in enumerate(cities)]), says("All is well")
    )
    return create_agent(chat(server), list(tools), name="guide", **options)


@gives(AGENT, is_parallel=True, needs=AGENTS)
def agent_with_two_tool_calls(server):
    return guide(server, "Rome", "Oslo").invoke(QUESTION)


@gives(AGENT, is_parallel=True, needs=AGENTS)
async def agent_with_two_tool_calls_awaited(server):
    return await guide(server, "Rome", "Oslo").ainvoke(QUESTION)


ONE_CALL = """
    OK 22>14
    AGENT guide
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TASK tools
        TOOL weather
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
"""


@gives(ONE_CALL, needs=AGENTS)
def agent_streamed(server):
    return list(guide(server, "Rome").stream(QUESTION, stream_mode=["messages", "updates"]))


@gives(ONE_CALL, needs=AGENTS)
async def agent_streamed_async(server):
    steps = guide(server, "Rome").astream(QUESTION, stream_mode=["messages", "updates"])
    return [step async for step in steps]


@gives(ONE_CALL, needs=AGENTS)
async def agent_events(server):
    return [event async for event in guide(server, "Rome").astream_events(QUESTION, version="v2")]


@gives(
    """
    OK 22>14
    UNKNOWN request
      AGENT guide
        TASK model
          CHAT_MODEL ChatOpenAI 11>7
            CHAT_MODEL chat gpt-4o 11>7 (duplicate)
        TASK tools
          TOOL weather
        TASK model
          CHAT_MODEL ChatOpenAI 11>7
            CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      UNKNOWN afterwards
    """,
    needs=AGENTS,
)
async def span_after_an_awaited_agent(server):
    with start_span("request"):
        await guide(server, "Rome").ainvoke(QUESTION)
        with start_span("afterwards"):
            pass


@gives(
    """
    OK 22>14
    AGENT LangGraph
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TASK tools
        TOOL weather
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=AGENTS,
)
def agent_without_a_name(server):
    server.script(says(calls=[call("weather", city="Rome")]), says("All is well"))
    return create_agent(chat(server), [weather]).invoke(QUESTION)


# --- tools that fail ----------------------------------------------------------------------------------------------


@gives(
    """
    OK 22>14
    AGENT guide
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TASK tools
        TOOL weather ERROR LookupError
      TASK tools
        TOOL weather
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    is_parallel=True,
    needs=AGENTS,
)
def agent_whose_middleware_handles_a_failed_tool(server):
    @wrap_tool_call
    def forgive(request, handler):
        try:
            return handler(request)
        except LookupError as error:
            return ToolMessage(str(error), tool_call_id=request.tool_call["id"], status="error")

    return guide(server, "Atlantis", "Rome", middleware=[forgive]).invoke(QUESTION)


@gives(
    """
    OK 22>14
    AGENT guide
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TASK tools
        TOOL careful ERROR ToolError
      TASK tools
        TOOL careful
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    is_parallel=True,
    needs=AGENTS,
)
def agent_whose_tool_handles_its_own_error(server):
    from langchain_core.tools import ToolException

    @tool
    def careful(city: str) -> str:
        """Tell the weather of a city."""
        if city == "Atlantis":
            raise ToolException(f"no {city}")
        return f"sunny in {city}"

    careful.handle_tool_error = True
    server.script(says(calls=[call("careful", 0, city="Atlantis"), call("careful", 1, city="Rome")]), says("Well"))
    return create_agent(chat(server), [careful], name="guide").invoke(QUESTION)


@gives(
    """
    ERROR 11>7
    AGENT guide ERROR LookupError
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TASK tools ERROR LookupError
        TOOL weather ERROR LookupError
    """,
    needs=AGENTS,
)
def agent_whose_tool_raises(server):
    return guide(server, "Atlantis").invoke(QUESTION)


@gives(
    """
    OK 22>14
    AGENT guide
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TASK tools
        TOOL weather ERROR ValidationError
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=AGENTS,
)
def agent_whose_tool_is_given_the_wrong_arguments(server):
    server.script(says(calls=[call("weather", town="Rome")]), says("All is well"))
    return create_agent(chat(server), [weather], name="guide").invoke(QUESTION)


@gives(
    """
    OK 22>14
    AGENT guide
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TASK tools
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=AGENTS,
)
def agent_that_calls_a_tool_that_there_is_not(server):
    server.script(says(calls=[call("teleport", city="Rome")]), says("All is well"))
    return create_agent(chat(server), [weather], name="guide").invoke(QUESTION)


@gives(
    """
    ERROR
    AGENT guide ERROR OpenAIRateLimitError
      TASK model ERROR OpenAIRateLimitError
        CHAT_MODEL ChatOpenAI ERROR OpenAIRateLimitError
          CHAT_MODEL chat gpt-4o ERROR RateLimitError (duplicate)
    """,
    needs=AGENTS,
)
def agent_whose_model_is_refused(server):
    server.script(429)
    return create_agent(chat(server), [weather], name="guide").invoke(QUESTION)


# --- what is around the model -------------------------------------------------------------------------------------


@gives(
    """
    OK 11>7
    AGENT guide
      TASK Watch.before_agent
      TASK Watch.before_model
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TASK Watch.after_model
      TASK Watch.after_agent
    """,
    needs=AGENTS,
)
def agent_with_middleware(server):
    class Watch(AgentMiddleware):
        def before_agent(self, state, runtime):
            return None

        def before_model(self, state, runtime):
            return None

        def wrap_model_call(self, request, handler):
            return handler(request)

        def after_model(self, state, runtime):
            return None

        def after_agent(self, state, runtime):
            return None

    server.script(says("All is well"))
    return create_agent(chat(server), [], name="guide", middleware=[Watch()]).invoke(QUESTION)


class Report(BaseModel):
    """A report."""

    city: str


@gives(
    """
    OK 11>7
    AGENT guide
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=AGENTS,
)
def agent_with_a_structured_answer_by_tool(server):
    server.script(says(calls=[call("Report", city="Rome")]))
    agent = create_agent(chat(server), [weather], name="guide", response_format=ToolStrategy(Report))
    return agent.invoke(QUESTION)["structured_response"]


@gives(
    """
    OK 11>7
    AGENT guide
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=AGENTS,
)
def agent_with_a_structured_answer_by_provider(server):
    server.script(says('{"city": "Rome"}'))
    agent = create_agent(chat(server), [weather], name="guide", response_format=ProviderStrategy(Report))
    return agent.invoke(QUESTION)["structured_response"]


# --- own work, people, other agents ---------------------------------------------------------------------------------


@gives(
    """
    OK 44>28
    AGENT guide
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TASK tools
        TOOL search
          UNKNOWN mine
            CHAT_MODEL chat gpt-4o 11>7
          CHAT_MODEL ChatOpenAI 11>7
            CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=AGENTS,
)
def own_work_in_a_tool_of_an_agent(server):
    @tool
    def search(query: str) -> str:
        """Search."""
        with start_span("mine"):
            ask(server)
        return chat(server).invoke(query).content

    server.script(says(calls=[call("search", query="Rome")]), says("one"), says("two"), says("three"))
    return create_agent(chat(server), [search], name="guide").invoke(QUESTION)


@gives(
    """
    OK 44>28
    AGENT guide
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TASK tools
        TOOL expert
          AGENT meteorologist
            TASK model
              CHAT_MODEL ChatOpenAI 11>7
                CHAT_MODEL chat gpt-4o 11>7 (duplicate)
            TASK tools
              TOOL weather
            TASK model
              CHAT_MODEL ChatOpenAI 11>7
                CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=AGENTS,
)
def agent_as_a_tool_of_an_agent(server):
    meteorologist = create_agent(chat(server), [weather], name="meteorologist")

    @tool
    def expert(question: str) -> str:
        """Ask an expert."""
        answer = meteorologist.invoke({"messages": [{"role": "user", "content": question}]})
        return answer["messages"][-1].content

    server.script(
        says(calls=[call("expert", question="Rome?")]),
        says(calls=[call("weather", city="Rome")]),
        says("sunny"),
        says("It is sunny"),
    )
    return create_agent(chat(server), [expert], name="guide").invoke(QUESTION)


@gives(
    """
    OK 22>14
    WORKFLOW team
      TASK alice
        AGENT alice
          TASK model
            CHAT_MODEL ChatOpenAI 11>7
              CHAT_MODEL chat gpt-4o 11>7 (duplicate)
          TASK tools
            TOOL to_bob
      TASK bob
        AGENT bob
          TASK model
            CHAT_MODEL ChatOpenAI 11>7
              CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=AGENTS,
)
def handoff_between_agents(server):
    @tool
    def to_bob() -> Command:
        """Hand over to Bob."""
        return Command(
            graph=Command.PARENT,
            goto="bob",
            update={"messages": [AIMessage("", id="2"), ToolMessage("Over to Bob", tool_call_id="call_to_bob_0")]},
        )

    server.script(says(calls=[call("to_bob")]), says("Bob here"))
    builder = StateGraph(MessagesState)
    builder.add_node("alice", create_agent(chat(server), [to_bob], name="alice"), destinations=("bob",))
    builder.add_node("bob", create_agent(chat(server), [weather], name="bob"))
    return builder.add_edge(START, "alice").compile(name="team").invoke(QUESTION)


@gives(
    """
    OK 11>7
    AGENT guide
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TASK HumanInTheLoopMiddleware.after_model

    OK 11>7
    AGENT guide
      TASK HumanInTheLoopMiddleware.after_model
      TASK tools
        TOOL weather
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TASK HumanInTheLoopMiddleware.after_model
    """,
    needs=AGENTS,
)
def person_who_approves_a_tool_call(server):
    middleware = [HumanInTheLoopMiddleware(interrupt_on={"weather": True})]
    agent = guide(server, "Rome", middleware=middleware, checkpointer=InMemorySaver())
    agent.invoke(QUESTION, THREAD)
    return agent.invoke(Command(resume={"decisions": [{"type": "approve"}]}), THREAD)


@gives(
    """
    OK 11>7
    AGENT guide
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      TASK tools
        TOOL confirm

    OK 11>7
    AGENT guide
      TASK tools
        TOOL confirm
      TASK model
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=AGENTS,
)
def tool_that_asks_a_person(server):
    @tool
    def confirm(question: str) -> str:
        """Ask a person."""
        return interrupt(question)

    server.script(says(calls=[call("confirm", question="Sure?")]), says("All is well"))
    agent = create_agent(chat(server), [confirm], name="guide", checkpointer=InMemorySaver())
    agent.invoke(QUESTION, THREAD)
    return agent.invoke(Command(resume="yes"), THREAD)


@gives(
    """
    OK
    WORKFLOW LangGraph
      TASK tools
        TOOL weather ERROR LookupError
    """
)
def tool_node_that_handles_errors(server):
    asked = AIMessage("", id="2", tool_calls=[{"id": "c1", "name": "weather", "args": {"city": "Atlantis"}}])
    builder = StateGraph(MessagesState).add_node("tools", ToolNode([weather], handle_tool_errors=True))
    return builder.add_edge(START, "tools").compile().invoke({"messages": [asked]})


@gives(
    """
    OK
    AGENT helper
      TASK agent
        CHAT_MODEL Parrot
        CHAIN tools_condition
      TASK tools
        TOOL weather
      TASK agent
        CHAT_MODEL Parrot
        CHAIN tools_condition
    """
)
def agent_that_is_a_graph_of_ones_own(server):
    from langgraph.prebuilt import tools_condition

    model = Parrot(
        says=[
            AIMessage("", tool_calls=[{"id": "c1", "name": "weather", "args": {"city": "Rome"}}]),
            AIMessage("All is well"),
        ]
    )

    def agent(state):
        return {"messages": [model.invoke(state["messages"])]}

    builder = StateGraph(MessagesState).add_node("agent", agent).add_node("tools", ToolNode([weather]))
    builder.add_edge(START, "agent").add_conditional_edges("agent", tools_condition).add_edge("tools", "agent")
    return builder.compile(name="helper").invoke(QUESTION)
