"""What is on the spans of a graph: its nodes, its interrupts and resumes, its handoffs, its session."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("langgraph", reason="needs langgraph")

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from autolog import StatusCode, context, start_span
from autolog.testing import spans, traces
from tests.integrations.langchain.programs import graphs
from tests.trees import every, forest, the

ASKED = {"question": "Go on?"}


def told(span):
    """Return what the events of a span say, by their names."""
    return [(event.name, dict(event.attributes)) for event in span.events]


# --- nodes -----------------------------------------------------------------------------------------------------


def test_a_node_says_where_in_the_graph_it_is(traced):
    graphs.line("first", "second").invoke(graphs.START_STATE)

    attributes = the(traced, "second").attributes
    assert attributes["langgraph.node"] == "second"
    assert attributes["langgraph.step"] == 2
    assert attributes["langgraph.triggers"] == ["branch:to:second"]
    assert attributes["langgraph.path"] == ["__pregel_pull", "second"]
    assert attributes["langgraph.checkpoint_ns"].startswith("second:")


def test_what_runs_inside_of_a_node_is_no_node(traced):
    inner = RunnableLambda(lambda state: {"done": []}, name="ask")
    builder = StateGraph(graphs.State).add_node("ask", lambda state: inner.invoke(state)).add_edge(START, "ask")
    builder.compile().invoke(graphs.START_STATE)

    assert forest(traced) == "OK\nWORKFLOW LangGraph\n  TASK ask\n    CHAIN ask"


def test_a_node_has_the_state_that_it_took_and_what_it_gave(traced):
    graphs.line("first", "second").invoke({"done": ["zero"]})

    assert the(traced, "second").inputs == {"done": ["zero", "first"]}
    assert the(traced, "second").outputs == {"done": ["second"]}
    assert traces(traced)[0].root.outputs == {"done": ["zero", "first", "second"]}


def test_each_node_of_a_fan_out_has_what_was_sent_to_it(traced):
    graphs.fanning().invoke(graphs.START_STATE)

    assert sorted(span.inputs["item"] for span in every(traced, "work")) == ["a", "b", "c"]
    assert the(traced, "fan_out").outputs == [{"node": "work", "arg": {"item": item}} for item in "abc"]


def test_nodes_side_by_side_overlap(traced):
    both = asyncio.Barrier(2) if hasattr(asyncio, "Barrier") else pytest.skip("needs asyncio.Barrier")

    async def node(state):
        await both.wait()
        return {"done": []}

    builder = StateGraph(graphs.State).add_node("left", node).add_node("right", node)
    asyncio.run(builder.add_edge(START, "left").add_edge(START, "right").compile().ainvoke(graphs.START_STATE))

    left, right = the(traced, "left"), the(traced, "right")
    assert max(left.start_time_ns, right.start_time_ns) < min(left.end_time_ns, right.end_time_ns)


# --- interrupts and resumes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["interrupt_and_resume", "interrupt_and_resume_awaited"])
def test_a_graph_that_stops_to_ask_says_what_it_asks_and_does_not_fail(traced, program):
    result = getattr(graphs, program)(None)
    if asyncio.iscoroutine(result):
        asyncio.run(result)

    stopped, _ = traces(traced)
    node = next(span for span in stopped.spans if span.name == "asks")
    assert node.status.code is StatusCode.OK
    assert told(node) == [("interrupt", {"value": ASKED})]
    assert told(stopped.root) == [("interrupt", {"value": [ASKED]})]
    assert stopped.root.get_attribute("autolog.interrupted") is True
    assert stopped.root.status.code is StatusCode.OK
    assert [span.get_attribute("error.type") for span in spans(traced)] == [None] * len(spans(traced))


def test_a_resumed_graph_is_linked_to_the_one_that_stopped_in_the_same_session(traced):
    graphs.interrupt_and_resume(None)

    stopped, resumed = traces(traced)
    [link] = resumed.root.links
    assert (link.trace_id, link.span_id) == (stopped.trace_id, stopped.root.span_id)
    assert resumed.trace_id != stopped.trace_id
    assert (stopped.info.session, resumed.info.session) == ("t1", "t1")
    assert "yes" in str(resumed.root.inputs)
    assert resumed.root.get_attribute("autolog.interrupted") is None
    assert stopped.root.links == ()


def test_a_graph_that_asks_twice_links_each_resume_to_the_stop_before(traced):
    def asks(state):
        return {"done": [interrupt("one?"), interrupt("two?")]}

    builder = StateGraph(graphs.State).add_node("asks", asks).add_edge(START, "asks")
    graph = builder.compile(checkpointer=InMemorySaver())
    for asked in (graphs.START_STATE, Command(resume="1"), Command(resume="2")):
        graph.invoke(asked, graphs.THREAD)

    first, second, third = (trace.root for trace in traces(traced))
    assert [[link.span_id for link in root.links] for root in (first, second, third)] == [
        [],
        [first.span_id],
        [second.span_id],
    ]
    assert told(second) == [("interrupt", {"value": ["two?"]})]


def test_a_resume_in_another_thread_is_not_linked(traced):
    graph = graphs.asking()
    other = {"configurable": {"thread_id": "t2"}}
    graph.invoke(graphs.START_STATE, graphs.THREAD)
    graph.invoke(graphs.START_STATE, other)
    graph.invoke(Command(resume="yes"), other)

    first, second, resumed = (trace.root for trace in traces(traced))
    assert [link.span_id for link in resumed.links] == [second.span_id]
    assert first.links == ()


def test_a_graph_that_stops_inside_of_a_span_of_the_program_is_linked_when_it_is_resumed(traced):
    graph = graphs.asking()
    with start_span("first request"):
        graph.invoke(graphs.START_STATE, graphs.THREAD)
    with start_span("second request"):
        graph.invoke(Command(resume="yes"), graphs.THREAD)

    stopped, resumed = every(traced, "LangGraph")
    assert [link.span_id for link in resumed.links] == [stopped.span_id]
    assert stopped.get_attribute("autolog.interrupted") is True


def test_interrupts_side_by_side_are_told_together(traced):
    graphs.interrupts_side_by_side(None)

    stopped, _ = traces(traced)
    [(name, attributes)] = told(stopped.root)
    assert name == "interrupt"
    assert sorted(attributes["value"]) == ["a?", "b?"]


def test_an_interrupt_in_a_subgraph_is_told_at_the_root(traced):
    graphs.interrupt_in_a_subgraph(None)

    stopped, resumed = traces(traced)
    assert told(stopped.root) == [("interrupt", {"value": [ASKED]})]
    assert [link.span_id for link in resumed.root.links] == [stopped.root.span_id]
    assert [span.get_attribute("autolog.interrupted") for span in stopped.spans if span.name == "outer"] == [True]


def test_the_functional_api_stops_and_resumes_alike(traced):
    graphs.entrypoint_that_asks(None)

    stopped, resumed = traces(traced)
    assert told(stopped.root) == [("interrupt", {"value": ["Go on?"]})]
    assert [link.span_id for link in resumed.root.links] == [stopped.root.span_id]


def test_a_handoff_is_told_and_is_no_failure(traced):
    graphs.handing_off().invoke(graphs.START_STATE)

    [(name, attributes)] = told(the(traced, "think"))
    assert (name, attributes["to"]) == ("handoff", "bob")
    assert "ERROR" not in forest(traced)


# --- failures --------------------------------------------------------------------------------------------------


def test_a_failure_has_its_stack_once_where_it_came_from(traced):
    with pytest.raises(ValueError):
        graphs.node_that_raises(None)

    node, root = the(traced, "fails"), traces(traced)[0].root
    [event] = node.events
    assert event.attributes["exception.message"] == "no"
    assert "raise ValueError" in event.attributes["exception.stacktrace"]
    assert (root.status.code, root.status.description, list(root.events)) == (
        StatusCode.ERROR,
        "ValueError: no",
        [],
    )


# --- sessions --------------------------------------------------------------------------------------------------


def test_a_thread_is_a_session(traced):
    graphs.conversation_in_a_thread(None)

    assert [trace.info.session for trace in traces(traced)] == ["t1", "t1"]


def test_a_thread_whose_id_is_a_number_is_a_session(traced):
    graphs.line("first", checkpointer=InMemorySaver()).invoke(graphs.START_STATE, {"configurable": {"thread_id": 7}})

    assert traces(traced)[0].info.session == "7"


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_a_thread_of_a_chain_without_a_graph_is_a_session(traced, way):
    chain = RunnableLambda(lambda x: x, name="one") | RunnableLambda(lambda x: x, name="two")
    run(chain, way, "Hello", {"configurable": {"thread_id": "t9"}})

    assert [trace.info.session for trace in traces(traced)] == ["t9"]


def run(runnable, way, asked, config):
    """Run it whichever way, to the end."""

    async def collect(stream):
        return [piece async for piece in stream]

    result = getattr(runnable, way)(asked, config)
    if way.startswith("a"):
        asyncio.run(collect(result) if way == "astream" else result)
    elif way == "stream":
        list(result)


def test_a_session_of_the_programs_own_goes_before_a_thread(traced):
    with context(session_id="mine"):
        graphs.line("first", checkpointer=InMemorySaver()).invoke(graphs.START_STATE, graphs.THREAD)

    assert traces(traced)[0].info.session == "mine"


@pytest.mark.parametrize("key", ["session_id", "conversation_id", "thread_id", "langfuse_session_id"])
def test_a_session_in_the_metadata_is_a_session(traced, key):
    RunnableLambda(lambda x: x, name="step").invoke(1, {"metadata": {key: "s1"}})

    assert traces(traced)[0].info.session == "s1"


# --- beside the program's own handlers --------------------------------------------------------------------------


def test_the_programs_own_handlers_are_told_of_interrupts_as_without_tracing(client):
    callbacks = pytest.importorskip("langgraph.callbacks", reason="needs langgraph 1.1")
    from autolog import autolog

    class Watch(callbacks.GraphCallbackHandler):
        def __init__(self):
            self.seen = []

        def on_interrupt(self, event):
            self.seen.append(("interrupt", event.interrupts[0].value))

        def on_resume(self, event):
            self.seen.append("resume")

    def watched():
        watch = Watch()
        graph = graphs.asking()
        config = {**graphs.THREAD, "callbacks": [watch]}
        graph.invoke(graphs.START_STATE, config)
        graph.invoke(Command(resume="yes"), config)
        return watch.seen

    untraced = watched()
    autolog()

    assert watched() == untraced == [("interrupt", ASKED), "resume"]


def test_a_handler_of_the_programs_own_sees_the_same_runs(client):
    from autolog import autolog

    class Watch(BaseCallbackHandler):
        def __init__(self):
            self.seen = []

        def on_chain_start(self, serialized, inputs, **details):
            self.seen.append(("start", details.get("name"), details.get("tags"), sorted(details.get("metadata") or ())))

        def on_chain_end(self, outputs, **details):
            self.seen.append(("end", details.get("parent_run_id") is None))

    def watched():
        watch = Watch()
        graphs.nesting().invoke(graphs.START_STATE, {"callbacks": [watch]})
        return watch.seen

    untraced = watched()
    autolog()

    assert watched() == untraced


def test_messages_in_a_state_are_pictured_alike(traced):
    graphs.talk(lambda state: {"messages": [AIMessage("Hi", id="2")]}).invoke(
        {"messages": [HumanMessage("Hello", id="1")]}
    )

    assert traces(traced)[0].root.outputs["messages"] == [
        {"role": "user", "content": "Hello", "id": "1"},
        {"role": "assistant", "content": "Hi", "id": "2"},
    ]


@pytest.mark.filterwarnings("ignore:.*beta", "ignore:.*experimental")
def test_events_of_the_third_version_of_a_graph_are_the_same(client):
    from autolog import autolog

    if (
        "control"
        not in StateGraph(graphs.State).add_node("a", len).add_edge(START, "a").compile().stream.__kwdefaults__
    ):
        pytest.skip("no stream_events")

    def read():
        stream = graphs.line("first", "second").stream_events(graphs.START_STATE, version="v3")
        return [event["method"] for event in stream]

    untraced = read()
    autolog()

    assert read() == untraced
    assert forest(client) == "OK\nWORKFLOW LangGraph\n  TASK first\n  TASK second"
