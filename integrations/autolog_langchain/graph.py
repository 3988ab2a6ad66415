"""What LangGraph tells by metadata, tags and exceptions: graphs, agents, nodes, interrupts and handoffs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.trace import SpanContext

from autolog import Span, SpanType, semconv
from autolog.guard import attempt
from autolog_langchain.runs import Run, enter_node

Metadata = Mapping[str, Any]

_NODE: Mapping[str, str] = {
    "langgraph_node": "langgraph.node",
    "langgraph_step": "langgraph.step",
    "langgraph_triggers": "langgraph.triggers",
    "langgraph_path": "langgraph.path",
    "langgraph_checkpoint_ns": "langgraph.checkpoint_ns",
}
# Of a graph whose nodes have not told yet that it is an agent.
_GRAPHS = (SpanType.CHAIN, SpanType.WORKFLOW)
_AGENT = "langchain_create_agent"
# Where the model is called in the agents that LangChain and LangGraph make.
_AGENT_NODES = frozenset({"agent", "model"})


def is_node(name: str | None, tags: Sequence[str] | None, metadata: Metadata) -> bool:
    """Whether a run is that of a graph's node, or of a task of the functional API.

    What runs inside of it inherits its metadata, and not its tag.
    """
    if metadata.get("langgraph_node") != name:
        return False
    return any(tag.startswith("graph:step:") or (tag == "seq:step:1" and _is_call(metadata)) for tag in tags or ())


def _is_call(metadata: Metadata) -> bool:
    """Whether a node is a task that the program calls, in the place where it calls it."""
    path = metadata.get("langgraph_path")
    return path is not None and path[-1:] == (True,)


def begin_node(run: Run, name: str, metadata: Metadata) -> None:
    """Note which node it is. The run around it must be a graph, or an agent: no run says so of itself."""
    for key, attribute in _NODE.items():
        run.span.set_attribute(attribute, metadata.get(key))
    enter_node(run)
    graph = None if run.parent is None else run.parent.span
    if graph is not None and graph.span_type in _GRAPHS and not _is_call(metadata):
        is_agent = metadata.get("ls_integration") == _AGENT or name in _AGENT_NODES
        graph.set_span_type(SpanType.AGENT if is_agent else SpanType.WORKFLOW)
        if is_agent:
            begin_agent(graph)


def is_agent(name: str | None, metadata: Metadata) -> bool:
    """Whether a run is that of an agent, which has a name of its own."""
    return name is not None and (metadata.get("lc_agent_name") == name or name == "AgentExecutor")


def begin_agent(span: Span) -> None:
    """Note the agent's name."""
    span.set_attribute(semconv.OPERATION, "invoke_agent")
    span.set_attribute(semconv.AGENT_NAME, span.name)


def is_control(error: BaseException) -> bool:
    """Whether an exception is LangGraph's way to stop or to leave a node, rather than a failure."""
    return any(kind.__name__ == "GraphBubbleUp" for kind in type(error).__mro__)


def note_control(run: Run, error: BaseException) -> None:
    """Note an interrupt, with what it asks, or a handoff, with whom to."""
    about = error.args[0] if error.args else None
    if isinstance(about, (list, tuple)):
        asked = [getattr(one, "value", one) for one in about]
        if asked:
            run.span.add_event(semconv.INTERRUPT_EVENT, {"value": asked[0] if len(asked) == 1 else asked})
        root = run
        while root.parent is not None:
            root = root.parent
        root.interrupts = [*(root.interrupts or ()), *(one for one in asked if one not in (root.interrupts or ()))]
    else:
        details = {"to": getattr(about, "goto", None), "reason": getattr(error, "reason", None)}
        run.span.add_event(semconv.HANDOFF_EVENT, {name: value for name, value in details.items() if value})


# Of graphs that stopped to ask, by thread: the span that a resumed run is linked to. The oldest are forgotten.
_stopped: OrderedDict[str, SpanContext] = OrderedDict()
_STOPPED_MOST = 1_000


def end_interrupted(run: Run, thread: str | None) -> None:
    """Flag a graph that stopped to ask, and remember it until it is resumed."""
    run.span.set_attribute(semconv.INTERRUPTED, True)
    if thread is not None:
        _stopped[thread] = run.span.get_span_context()
        while len(_stopped) > _STOPPED_MOST:
            _stopped.popitem(last=False)


def link_resumed(span: Span, inputs: Any, thread: str) -> None:
    """Link a run that goes on where an interrupted one stopped."""
    if _stopped and attempt(getattr, inputs, "resume", None, default=None) is not None:
        stopped = _stopped.pop(thread, None)
        if stopped is not None:
            span.add_link(stopped, {"autolog.link": "resumes"})
