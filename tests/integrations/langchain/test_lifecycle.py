"""Turning tracing on and off: at any time, in any order, beside other handlers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.callbacks.manager import CallbackManager
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers import context as tracers_context
from langchain_core.tracers.context import collect_runs
from langchain_core.vectorstores import InMemoryVectorStore

import autolog
from autolog.testing import spans
from autolog_langchain.runs import runs
from tests.fakes.langchain_models import Parrot
from tests.integrations.langchain.programs.program import is_installed
from tests.trees import forest

STEP = RunnableLambda(lambda x: x, name="step")


def hooks():
    return [
        entry for entry in tracers_context._configure_hooks if type(entry[0]).__module__ == "autolog_langchain.handler"
    ]


def test_nothing_is_recorded_once_it_is_off(traced):
    autolog.autolog(log_traces=False)
    STEP.invoke(1)
    DeterministicFakeEmbedding(size=2).embed_query("a")

    assert spans(traced) == []


def test_langchain_is_as_before_once_it_is_off(client):
    def state():
        return (
            list(tracers_context._configure_hooks),
            BaseChatModel._generate_with_cache,
            BaseChatModel._agenerate_with_cache,
            BaseLLM._generate_helper,
            BaseLLM._agenerate_helper,
            InMemoryVectorStore.similarity_search,
            DeterministicFakeEmbedding.embed_query,
        )

    before = state()
    autolog.autolog()
    assert state() != before
    autolog.autolog(log_traces=False)

    assert state() == before


def test_it_can_be_turned_off_alone(traced):
    autolog.langchain(log_traces=False)
    STEP.invoke(1)

    assert spans(traced) == []


def test_twice_is_as_once(traced):
    autolog.autolog()
    autolog.autolog("langchain")
    STEP.invoke(1)

    assert len(hooks()) == 1
    assert forest(traced) == "OK\nCHAIN step"


def test_on_and_off_and_on_again(client):
    for _ in range(3):
        autolog.autolog()
        autolog.autolog(log_traces=False)
    assert hooks() == []
    autolog.autolog()
    STEP.invoke(1)

    assert forest(client) == "OK\nCHAIN step"


def test_a_stream_that_runs_when_it_is_turned_off_still_ends(traced):
    stream = Parrot(says=[AIMessage("one two three")]).stream("Hello")
    next(stream)
    autolog.autolog(log_traces=False)
    assert [chunk.content for chunk in stream][:2] == ["two", "three"]

    [span] = spans(traced)
    assert span.end_time_ns is not None
    assert span.outputs["content"] == "onetwothree"
    assert len(runs) == 0


def test_a_chain_that_runs_when_it_is_turned_off_still_ends(traced):
    def turn_off(x):
        autolog.autolog(log_traces=False)
        return STEP.invoke(x)

    (RunnableLambda(turn_off, name="off") | STEP).invoke(1)

    assert forest(traced) == "OK\nCHAIN RunnableSequence\n  CHAIN off"
    assert len(runs) == 0


def test_a_chain_that_runs_when_it_is_turned_on_goes_on(client):
    def turn_on(x):
        autolog.autolog()
        return STEP.invoke(x)

    assert (RunnableLambda(turn_on, name="on") | STEP).invoke(1) == 1

    assert forest(client).startswith("OK\nCHAIN step")
    assert len(runs) == 0


def test_nothing_is_recorded_where_it_is_suppressed(traced):
    with autolog.context(enabled=False):
        (STEP | Parrot(says=[AIMessage("Hi")])).invoke("Hello")
    STEP.invoke(1)

    assert forest(traced) == "OK\nCHAIN step"


# --- beside other handlers -------------------------------------------------------------------------------------


class Watch(BaseCallbackHandler):
    def __init__(self):
        self.seen = []

    def on_chain_start(self, serialized, inputs, **details):
        self.seen.append(f"start {details.get('name')}")

    def on_chain_end(self, outputs, **details):
        self.seen.append("end")


class Failing(BaseCallbackHandler):
    raise_error = True

    def on_chain_start(self, *args, **kwargs):
        raise RuntimeError("of the program")


CHAIN = STEP | RunnableLambda(lambda x: x, name="other")
SEEN = ["start RunnableSequence", "start step", "end", "start other", "end", "end"]
DRAWN = "OK\nCHAIN RunnableSequence\n  CHAIN step\n  CHAIN other"


def test_the_programs_own_handler_is_told_the_same(traced):
    watch = Watch()
    CHAIN.invoke(1, {"callbacks": [watch]})

    assert watch.seen == SEEN
    assert forest(traced) == DRAWN


def test_the_programs_own_manager_is_used(traced):
    watch = Watch()
    manager = CallbackManager([watch], inheritable_handlers=[watch])
    CHAIN.invoke(1, {"callbacks": manager})

    assert watch.seen == SEEN
    assert manager.handlers == [watch]
    assert forest(traced) == DRAWN


def test_an_error_of_the_programs_own_handler_is_raised_as_without_tracing(traced):
    with pytest.raises(RuntimeError, match="of the program"):
        CHAIN.invoke(1, {"callbacks": [Failing()]})


def test_runs_that_the_program_collects_are_the_same(client):
    def collected():
        with collect_runs() as kept:
            CHAIN.invoke(1)
        return [(run.name, [child.name for child in run.child_runs]) for run in kept.traced_runs]

    untraced = collected()
    autolog.autolog()

    assert collected() == untraced
    assert forest(client) == DRAWN


class FakeLangSmith:
    """Takes what LangSmith's own tracer would send."""

    def __init__(self):
        self.names = []
        self.tracing_queue = None

    def create_run(self, **run):
        self.names.append(run["name"])

    def update_run(self, **run):
        pass


@pytest.mark.parametrize("is_first", [True, False])
def test_langsmith_records_beside_it(client, is_first):
    from langchain_core.tracers.context import tracing_v2_enabled

    langsmith = FakeLangSmith()
    if is_first:
        autolog.autolog()
    with tracing_v2_enabled(client=langsmith):
        if not is_first:
            autolog.autolog()
        CHAIN.invoke(1)

    assert sorted(langsmith.names) == ["RunnableSequence", "other", "step"]
    assert forest(client) == DRAWN


def test_a_run_whose_parent_only_langsmith_knows_is_a_root(traced):
    from langsmith.run_helpers import tracing_context
    from langsmith.run_trees import RunTree

    parent = RunTree(name="outer", client=None)
    with tracing_context(parent=parent, enabled=False):
        assert CHAIN.invoke(1) == 1

    assert forest(traced) == DRAWN


def test_configurations_can_be_copied_and_pickled(traced):
    import copy
    import pickle

    kept = []
    RunnableLambda(lambda x, config: kept.append(config)).invoke(1)
    [config] = kept
    copied = copy.deepcopy(config)

    assert STEP.invoke(2, copied) == 2
    pickle.loads(pickle.dumps(copied["callbacks"].handlers))


# --- in a process of its own -----------------------------------------------------------------------------------

ROOT = Path(__file__).parents[3]
FRAMEWORKS = ("langchain_core", "langchain", "langgraph", "langsmith", "openai", "pydantic", "langchain_openai")


def run(code, **environment):
    """Run code in a new interpreter; return what it printed."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "integrations")])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": path, "AUTOLOG_STORE": "memory:", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_turning_it_on_imports_no_framework():
    code = f"""
        import sys
        from autolog import autolog
        autolog()
        print([name for name in {FRAMEWORKS!r} if name in sys.modules])
    """
    assert run(code) == "[]"


CHAIN_CODE = """
    from langchain_core.embeddings import DeterministicFakeEmbedding
    from langchain_core.language_models import FakeListChatModel
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.vectorstores import InMemoryVectorStore
"""
RUN_CODE = """
    from autolog.client import default_client
    from tests.trees import forest
    InMemoryVectorStore(DeterministicFakeEmbedding(size=2)).similarity_search("x")
    (ChatPromptTemplate.from_template("{q}") | FakeListChatModel(responses=["Hi"])).invoke({"q": "Hello"})
    print(forest(default_client()))
"""
RAN = (
    "OK\nRETRIEVER InMemoryVectorStore.similarity_search\n  EMBEDDING DeterministicFakeEmbedding.embed_query\n\n"
    "OK\nCHAIN RunnableSequence\n  PROMPT ChatPromptTemplate\n  CHAT_MODEL FakeListChatModel"
)
ON_CODE = """
    from autolog import autolog
    autolog()
"""


@pytest.mark.parametrize("parts", [[ON_CODE, CHAIN_CODE], [CHAIN_CODE, ON_CODE]], ids=["before", "after"])
def test_it_is_on_whether_langchain_is_imported_before_or_after(parts):
    assert run("".join([*parts, RUN_CODE])) == RAN


def test_langchain_core_is_enough():
    blocked = ("langchain", "langgraph", "openai", "langchain_openai", "langchain_tests")
    block = f"""
    import sys
    for name in {blocked!r}:
        sys.modules[name] = None
    """
    assert run(block + ON_CODE + CHAIN_CODE + RUN_CODE) == RAN


@pytest.mark.skipif(not is_installed("langgraph"), reason="needs langgraph")
@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
def test_it_is_on_whether_langgraph_is_imported_before_or_after(is_first):
    graph = """
    from langgraph.graph import START, MessagesState, StateGraph
    graph = StateGraph(MessagesState).add_node("answer", lambda state: {"messages": []}).add_edge(START, "answer")
    graph = graph.compile()
    """
    ran = """
    from autolog.client import default_client
    from tests.trees import forest
    graph.invoke({"messages": []})
    print(forest(default_client()))
    """
    parts = [ON_CODE, graph] if is_first else [graph, ON_CODE]
    assert run("".join([*parts, ran])) == "OK\nWORKFLOW LangGraph\n  TASK answer"


def test_a_program_that_ends_in_the_middle_of_a_chain_leaves_no_span_open(tmp_path):
    code = """
    import os, sys, threading
    from autolog import autolog
    autolog()
    from langchain_core.runnables import RunnableLambda
    RunnableLambda(lambda x: sys.exit(0), name="exits").invoke(1)
    """
    location = str(tmp_path / "traces.db")
    run(code, AUTOLOG_STORE=location)
    read = """
    import autolog
    for trace in autolog.search_traces(return_type="list"):
        print(trace.state, [span.name for span in trace.spans])
    """
    assert "exits" in run(read, AUTOLOG_STORE=location)


@pytest.mark.asyncio
async def test_it_can_be_turned_off_while_an_async_chain_runs(traced):
    async def turn_off(x):
        await asyncio.sleep(0)
        autolog.autolog(log_traces=False)
        return x

    await (RunnableLambda(turn_off, name="off") | STEP).ainvoke(1)

    assert forest(traced) == "OK\nCHAIN RunnableSequence\n  CHAIN off"
