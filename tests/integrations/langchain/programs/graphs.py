"""Graphs of LangGraph: nodes, branches, fan-outs, subgraphs, interrupts, handoffs; and its functional API."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, RetryPolicy, Send, interrupt

from autolog import start_span
from tests.fakes.langchain_models import Parrot, chat
from tests.integrations.langchain.programs.program import ask, ask_async, gives

OPENAI = ("langchain-openai",)


class State(TypedDict):
    done: Annotated[list[str], operator.add]


def does(name: str) -> Any:
    return lambda state: {"done": [name]}


def line(*names: str, **options: Any) -> Any:
    """Return a graph whose nodes follow one another."""
    builder = StateGraph(State)
    for name in names:
        builder.add_node(name, does(name))
    for before, after in zip((START, *names), (*names, END)):
        builder.add_edge(before, after)
    return builder.compile(**options)


START_STATE = {"done": []}
THREAD = {"configurable": {"thread_id": "t1"}}

# --- nodes -----------------------------------------------------------------------------------------------------

LINE = """
    OK
    WORKFLOW LangGraph
      TASK first
      TASK second
"""


@gives(LINE)
def graph_invoked(server):
    return line("first", "second").invoke(START_STATE)


@gives(LINE)
async def graph_awaited(server):
    return await line("first", "second").ainvoke(START_STATE)


@gives(LINE)
def graph_streamed(server):
    return list(line("first", "second").stream(START_STATE, stream_mode=["updates", "values"]))


@gives(LINE)
async def graph_streamed_async(server):
    return [step async for step in line("first", "second").astream(START_STATE, stream_mode="updates")]


@gives(LINE)
async def graph_events(server):
    return [event async for event in line("first", "second").astream_events(START_STATE, version="v2")]


@gives(f"{LINE}{LINE}", is_parallel=True)
def graph_batched(server):
    return line("first", "second").batch([START_STATE, START_STATE])


@gives(
    """
    CANCELLED
    WORKFLOW LangGraph CANCELLED
      TASK first
    """
)
def graph_stream_that_is_left(server):
    stream = line("first", "second").stream(START_STATE, stream_mode="updates")
    found = next(stream)
    stream.close()
    return found


@gives(
    """
    CANCELLED
    WORKFLOW LangGraph CANCELLED
      TASK first
    """
)
async def graph_stream_that_is_left_async(server):
    stream = line("first", "second").astream(START_STATE, stream_mode="updates")
    found = await anext(stream)
    await stream.aclose()
    return found


MODEL_NODE = """
    OK 33>21
    WORKFLOW talk
      TASK answer
        UNKNOWN mine
          CHAT_MODEL chat gpt-4o 11>7
        CHAT_MODEL chat gpt-4o 11>7
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
"""


def talk(node):
    builder = StateGraph(MessagesState).add_node("answer", node).add_edge(START, "answer")
    return builder.compile(name="talk")


@gives(MODEL_NODE, needs=OPENAI)
def own_work_in_a_node(server):
    def answer(state):
        with start_span("mine"):
            ask(server)
        ask(server)
        return {"messages": [chat(server).invoke(state["messages"])]}

    return talk(answer).invoke({"messages": [HumanMessage("Hello", id="1")]})


@gives(MODEL_NODE, needs=OPENAI)
async def own_work_in_an_async_node(server):
    async def answer(state):
        with start_span("mine"):
            await ask_async(server)
        await ask_async(server)
        return {"messages": [await chat(server).ainvoke(state["messages"])]}

    return await talk(answer).ainvoke({"messages": [HumanMessage("Hello", id="1")]})


@gives(MODEL_NODE, needs=OPENAI)
async def own_work_in_a_sync_node_that_is_awaited(server):
    def answer(state):
        with start_span("mine"):
            ask(server)
        ask(server)
        return {"messages": [chat(server).invoke(state["messages"])]}

    return await talk(answer).ainvoke({"messages": [HumanMessage("Hello", id="1")]})


@gives(
    """
    OK 11>7
    WORKFLOW talk
      TASK answer
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def node_whose_model_has_callbacks_of_its_own(server):
    def answer(state):
        return {"messages": [chat(server).invoke(state["messages"], config={"callbacks": []})]}

    return talk(answer).invoke({"messages": [HumanMessage("Hello", id="1")]})


@gives(
    """
    OK 11>7
    WORKFLOW talk
      TASK answer
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def messages_streamed_out_of_a_graph(server):
    def answer(state):
        return {"messages": [chat(server).invoke(state["messages"])]}

    return list(talk(answer).stream({"messages": [HumanMessage("Hello", id="1")]}, stream_mode="messages"))


@gives(
    """
    OK 11>7
    WORKFLOW talk
      TASK answer
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
async def messages_streamed_out_of_a_graph_async(server):
    async def answer(state):
        return {"messages": [await chat(server).ainvoke(state["messages"])]}

    asked = {"messages": [HumanMessage("Hello", id="1")]}
    return [piece async for piece in talk(answer).astream(asked, stream_mode="messages")]


@gives(
    """
    OK 11>7
    UNKNOWN request
      WORKFLOW talk
        TASK answer
          CHAT_MODEL chat gpt-4o 11>7
      UNKNOWN afterwards
    """,
    needs=OPENAI,
)
async def span_after_an_awaited_graph(server):
    async def answer(state):
        return {"messages": [AIMessage(await ask_async(server), id="2")]}

    with start_span("request"):
        await talk(answer).ainvoke({"messages": [HumanMessage("Hello", id="1")]})
        with start_span("afterwards"):
            pass


@gives(
    """
    OK
    WORKFLOW LangGraph
      TASK ask
        CHAIN RunnableSequence
          CHAIN RunnableLambda
          CHAT_MODEL Parrot
    """
)
def chain_in_a_node(server):
    chain = RunnableLambda(lambda state: "Hello") | Parrot(says=[AIMessage("Hi")])
    node = lambda state: {"done": [chain.invoke(state).content]}
    return StateGraph(State).add_node("ask", node).add_edge(START, "ask").compile().invoke(START_STATE)


@gives(
    """
    ERROR
    WORKFLOW LangGraph ERROR ValueError
      TASK fails ERROR ValueError
    """
)
def node_that_raises(server):
    def fails(state):
        raise ValueError("no")

    return StateGraph(State).add_node("fails", fails).add_edge(START, "fails").compile().invoke(START_STATE)


@gives(
    """
    OK
    WORKFLOW LangGraph
      TASK shaky ERROR ConnectionError
        UNKNOWN try
      TASK shaky
        UNKNOWN try
    """
)
def node_that_is_tried_again(server):
    left = [ConnectionError("no")]

    def shaky(state):
        with start_span("try"):
            pass
        if left:
            raise left.pop()
        return {"done": ["shaky"]}

    policy = RetryPolicy(initial_interval=0.001, jitter=False)
    builder = StateGraph(State).add_node("shaky", shaky, retry_policy=policy).add_edge(START, "shaky")
    return builder.compile().invoke(START_STATE)


@gives(
    """
    ERROR
    WORKFLOW LangGraph ERROR GraphRecursionError
      TASK again
      TASK again
      TASK again
    """
)
def graph_that_never_ends(server):
    builder = StateGraph(State).add_node("again", does("again")).add_edge(START, "again").add_edge("again", "again")
    return builder.compile().invoke(START_STATE, {"recursion_limit": 3})


# --- ways through -----------------------------------------------------------------------------------------------


@gives(
    """
    OK
    WORKFLOW LangGraph
      TASK first
        CHAIN decide
      TASK left
    """
)
def conditional_edge(server):
    def decide(state):
        return "left"

    builder = StateGraph(State)
    for name in ("first", "left", "right"):
        builder.add_node(name, does(name))
    builder.add_edge(START, "first").add_conditional_edges("first", decide, ["left", "right"])
    return builder.compile().invoke(START_STATE)


@gives(
    """
    OK
    WORKFLOW LangGraph
      TASK __start__
        CHAIN decide
      TASK left
    """
)
def conditional_start(server):
    def decide(state):
        return "left"

    builder = StateGraph(State).add_node("left", does("left")).add_node("right", does("right"))
    builder.add_conditional_edges(START, decide, ["left", "right"])
    return builder.compile().invoke(START_STATE)


FAN_OUT = """
    OK
    WORKFLOW LangGraph
      TASK plan
        CHAIN fan_out
      TASK work
        UNKNOWN a
      TASK work
        UNKNOWN b
      TASK work
        UNKNOWN c
"""


def fanning():
    def fan_out(state):
        return [Send("work", {"item": item}) for item in "abc"]

    def work(asked):
        with start_span(asked["item"]):
            return {"done": [asked["item"]]}

    builder = StateGraph(State).add_node("plan", does("plan")).add_node("work", work)
    builder.add_edge(START, "plan").add_conditional_edges("plan", fan_out, ["work"])
    return builder.compile()


@gives(FAN_OUT, is_parallel=True)
def fan_out(server):
    return fanning().invoke(START_STATE)


@gives(FAN_OUT, is_parallel=True)
async def fan_out_awaited(server):
    return await fanning().ainvoke(START_STATE)


@gives(
    """
    OK 22>14
    WORKFLOW LangGraph
      TASK left
        CHAT_MODEL chat gpt-4o 11>7
      TASK right
        CHAT_MODEL chat gpt-4o 11>7
    """,
    is_parallel=True,
    needs=OPENAI,
)
async def nodes_side_by_side(server):
    async def left(state):
        return {"done": [await ask_async(server)]}

    async def right(state):
        return {"done": [await ask_async(server)]}

    builder = StateGraph(State).add_node("left", left).add_node("right", right)
    return await builder.add_edge(START, "left").add_edge(START, "right").compile().ainvoke(START_STATE)


SUBGRAPH = """
    OK
    WORKFLOW outer
      TASK before
      TASK inner
        WORKFLOW inner graph
          TASK first
          TASK second
      TASK after
"""


def nesting():
    inner = line("first", "second", name="inner graph")
    builder = StateGraph(State).add_node("before", does("before")).add_node("inner", inner)
    builder.add_node("after", does("after"))
    builder.add_edge(START, "before").add_edge("before", "inner").add_edge("inner", "after")
    return builder.compile(name="outer")


@gives(SUBGRAPH)
def subgraph(server):
    return nesting().invoke(START_STATE)


@gives(SUBGRAPH)
async def subgraph_streamed_async(server):
    return [step async for step in nesting().astream(START_STATE, subgraphs=True)]


@gives(
    """
    OK
    WORKFLOW outer
      TASK calls
        WORKFLOW inner
          TASK first
    """
)
def graph_called_in_a_node(server):
    def calls(state):
        return line("first", name="inner").invoke(state)

    return StateGraph(State).add_node("calls", calls).add_edge(START, "calls").compile(name="outer").invoke(START_STATE)


@gives(
    """
    OK
    WORKFLOW LangGraph
      TASK first
      TASK last
    """
)
def command_that_goes_on(server):
    def first(state):
        return Command(update={"done": ["first"]}, goto="last")

    builder = StateGraph(State).add_node("first", first, destinations=("last",)).add_node("last", does("last"))
    return builder.add_edge(START, "first").compile().invoke(START_STATE)


HANDOFF = """
    OK
    WORKFLOW both
      TASK alice
        WORKFLOW alice graph
          TASK think
      TASK bob
"""


def handing_off():
    def think(state):
        return Command(graph=Command.PARENT, goto="bob", update={"done": ["think"]})

    alice = StateGraph(State).add_node("think", think).add_edge(START, "think").compile(name="alice graph")
    builder = StateGraph(State).add_node("alice", alice, destinations=("bob",)).add_node("bob", does("bob"))
    return builder.add_edge(START, "alice").compile(name="both")


@gives(HANDOFF)
def handoff_to_a_node_of_the_parent(server):
    return handing_off().invoke(START_STATE)


@gives(HANDOFF)
async def handoff_to_a_node_of_the_parent_awaited(server):
    return await handing_off().ainvoke(START_STATE)


# --- interrupts -------------------------------------------------------------------------------------------------

RESUMED = """
    OK
    WORKFLOW LangGraph
      TASK before
      TASK asks

    OK
    WORKFLOW LangGraph
      TASK asks
      TASK after
"""


def asking(**options):
    def asks(state):
        return {"done": [interrupt({"question": "Go on?"})]}

    builder = StateGraph(State).add_node("before", does("before")).add_node("asks", asks)
    builder.add_node("after", does("after"))
    builder.add_edge(START, "before").add_edge("before", "asks").add_edge("asks", "after")
    return builder.compile(checkpointer=InMemorySaver(), **options)


@gives(RESUMED)
def interrupt_and_resume(server):
    graph = asking()
    return [graph.invoke(START_STATE, THREAD), graph.invoke(Command(resume="yes"), THREAD)]


@gives(RESUMED)
async def interrupt_and_resume_awaited(server):
    graph = asking()
    return [await graph.ainvoke(START_STATE, THREAD), await graph.ainvoke(Command(resume="yes"), THREAD)]


@gives(RESUMED)
def interrupt_and_resume_streamed(server):
    graph = asking()
    return [list(graph.stream(START_STATE, THREAD)), list(graph.stream(Command(resume="yes"), THREAD))]


@gives(
    """
    OK
    WORKFLOW outer
      TASK inner
        WORKFLOW LangGraph
          TASK before
          TASK asks

    OK
    WORKFLOW outer
      TASK inner
        WORKFLOW LangGraph
          TASK asks
          TASK after
    """
)
def interrupt_in_a_subgraph(server):
    builder = StateGraph(State).add_node("inner", asking()).add_edge(START, "inner")
    graph = builder.compile(checkpointer=InMemorySaver(), name="outer")
    return [graph.invoke(START_STATE, THREAD), graph.invoke(Command(resume="yes"), THREAD)]


@gives(
    """
    OK
    WORKFLOW LangGraph
      TASK ask a
      TASK ask b

    OK
    WORKFLOW LangGraph
      TASK ask a
      TASK ask b
    """,
    is_parallel=True,
)
def interrupts_side_by_side(server):
    def asks(what):
        return lambda state: {"done": [interrupt(what)]}

    builder = StateGraph(State).add_node("ask a", asks("a?")).add_node("ask b", asks("b?"))
    graph = builder.add_edge(START, "ask a").add_edge(START, "ask b").compile(checkpointer=InMemorySaver())
    asked = graph.invoke(START_STATE, THREAD)["__interrupt__"]
    return graph.invoke(Command(resume={one.id: one.value.upper() for one in asked}), THREAD)


@gives(
    """
    OK
    WORKFLOW LangGraph
      TASK first

    OK
    WORKFLOW LangGraph
      TASK second
    """
)
def interrupt_before_a_node(server):
    graph = line("first", "second", checkpointer=InMemorySaver(), interrupt_before=["second"])
    return [graph.invoke(START_STATE, THREAD), graph.invoke(None, THREAD)]


@gives(
    """
    OK
    WORKFLOW LangGraph
      TASK first

    OK
    WORKFLOW LangGraph
      TASK first
    """
)
def conversation_in_a_thread(server):
    graph = line("first", checkpointer=InMemorySaver())
    return [graph.invoke(START_STATE, THREAD), graph.invoke(START_STATE, THREAD), graph.get_state(THREAD).values]


# --- functional ---------------------------------------------------------------------------------------------------


def functional(server):
    @task
    def measure(text):
        with start_span("mine"):
            return len(text)

    @entrypoint()
    def flow(texts):
        return [found.result() for found in [measure(text) for text in texts]]

    return flow


@gives(
    """
    OK
    WORKFLOW LangGraph
      TASK flow
        TASK measure
          UNKNOWN mine
        TASK measure
          UNKNOWN mine
    """,
    is_parallel=True,
)
def entrypoint_with_tasks(server):
    return functional(server).invoke(["a", "bb"])


@gives(
    """
    OK 11>7
    WORKFLOW LangGraph
      TASK flow
        TASK answer
          CHAT_MODEL ChatOpenAI 11>7
            CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
async def entrypoint_with_tasks_awaited(server):
    @task
    async def answer(question):
        return await chat(server).ainvoke(question)

    @entrypoint()
    async def flow(question):
        return await answer(question)

    return await flow.ainvoke("Hello")


@gives(
    """
    OK
    WORKFLOW LangGraph
      TASK flow

    OK
    WORKFLOW LangGraph
      TASK flow
    """
)
def entrypoint_that_asks(server):
    @entrypoint(checkpointer=InMemorySaver())
    def flow(question):
        return interrupt(question)

    return [flow.invoke("Go on?", THREAD), flow.invoke(Command(resume="yes"), THREAD)]


@gives(
    """
    CANCELLED
    WORKFLOW LangGraph CANCELLED
      TASK waits CANCELLED
    """
)
async def graph_whose_task_is_cancelled(server):
    reached = asyncio.Event()

    async def waits(state):
        reached.set()
        await asyncio.Event().wait()

    graph = StateGraph(State).add_node("waits", waits).add_edge(START, "waits").compile()
    running = asyncio.create_task(graph.ainvoke(START_STATE))
    await reached.wait()
    running.cancel()
    return await asyncio.gather(running, return_exceptions=True)
