"""What is on the spans of chains: events, sessions, what went in and what came out."""

from __future__ import annotations

import asyncio
import gc

import pytest
from langchain_core.callbacks import dispatch_custom_event
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool

import autolog
from autolog.testing import spans, traces
from autolog_langchain.runs import runs
from tests.fakes.langchain_models import Parrot
from tests.integrations.langchain.programs import chains
from tests.trees import every, forest, the


def test_an_event_of_the_program_is_an_event_of_the_step_that_tells_it(traced):
    asyncio.run(chains.custom_events(None))

    told = {span.name: [(event.name, event.attributes) for event in span.events] for span in spans(traced)}
    assert told["told"] == [("progress", {"data": {"done": 1}})]
    assert told["told_async"] == [("progress", {"data": {"done": 2}})]
    assert told["RunnableSequence"] == []


def test_an_event_that_a_tool_tells_is_an_event_of_the_tool(traced):
    @tool
    def work(city: str) -> str:
        """Work."""
        dispatch_custom_event("progress", "half")
        return city

    work.invoke({"city": "Rome"})

    assert [(event.name, event.attributes["data"]) for event in the(traced, "work").events] == [("progress", "half")]


@pytest.mark.filterwarnings("ignore:.*eprecated")
def test_a_history_is_a_session(traced):
    chains.history(None)

    first, second = traces(traced)
    assert (first.info.session, second.info.session) == ("s1", "s1")
    asked = [message["content"] for message in every(traced, "Parrot")[1].inputs["messages"]]
    assert asked == ["Who?", "one", "And you?"]


def test_a_group_has_what_the_program_says_of_it(traced):
    from langchain_core.callbacks.manager import trace_as_chain_group

    with trace_as_chain_group("errand", inputs={"question": "Who?"}, tags=["mine"]) as callbacks:
        callbacks.on_chain_end({"answers": 2})

    span = the(traced, "errand")
    assert (span.inputs, span.outputs) == ({"question": "Who?"}, {"answers": 2})
    assert span.get_attribute("autolog.tags") == ["mine"]


def test_each_branch_has_what_it_was_given_and_gave(traced):
    RunnableParallel(length=RunnableLambda(len, name="length"), upper=RunnableLambda(str.upper, name="upper")).invoke(
        "abc"
    )

    assert (the(traced, "length").inputs, the(traced, "length").outputs) == ("abc", 3)
    assert (the(traced, "upper").inputs, the(traced, "upper").outputs) == ("abc", "ABC")
    assert traces(traced)[0].root.outputs == {"length": 3, "upper": "ABC"}


def test_steps_say_their_place_in_the_sequence(traced):
    (RunnableLambda(lambda x: x, name="one") | RunnableLambda(lambda x: x, name="two")).invoke(1)

    assert the(traced, "one").get_attribute("autolog.tags") == ["seq:step:1"]
    assert the(traced, "two").get_attribute("autolog.tags") == ["seq:step:2"]


def test_the_user_is_told_unless_the_program_does_not_want_it(client):
    step = RunnableLambda(lambda x: x, name="step")
    config = {"metadata": {"user_id": "ann"}}
    autolog.autolog()
    step.invoke(1, config)
    autolog.langchain(capture_user=False)
    try:
        step.invoke(1, config)
    finally:
        autolog.langchain(capture_user=True)

    assert [trace.info.user for trace in traces(client)] == ["ann", None]


def test_a_run_id_of_the_programs_own_is_kept_by_langchain(traced):
    from uuid import UUID

    from langchain_core.tracers.context import collect_runs

    own = UUID(int=7)
    with collect_runs() as kept:
        RunnableLambda(lambda x: x, name="step").invoke(1, {"run_id": own})

    assert [run.id for run in kept.traced_runs] == [own]
    assert forest(traced) == "OK\nCHAIN step"


def test_a_run_id_that_is_used_again_is_another_run(traced):
    from uuid import UUID

    own = UUID(int=7)
    step = RunnableLambda(lambda x: x, name="step")
    step.invoke(1, {"run_id": own})
    step.invoke(2, {"run_id": own})

    assert [(span.inputs, span.outputs) for span in every(traced, "step")] == [(1, 1), (2, 2)]


def test_a_run_id_that_is_used_again_while_the_one_before_is_let_go_of_is_another_run(traced):
    from uuid import UUID

    held = [UUID(int=7)]

    def let_go(x):
        held.clear()
        gc.collect()
        return x

    RunnableLambda(lambda x: x, name="first").invoke(1, {"run_id": held[0]})
    RunnableLambda(let_go, name="second").invoke(2, {"run_id": UUID(int=7)})
    gc.collect()

    assert forest(traced) == "OK\nCHAIN first\n\nOK\nCHAIN second"
    assert (len(runs), runs._ended) == (0, {})


def test_a_run_id_may_be_text(traced):
    chain = RunnableLambda(lambda x: x, name="one") | RunnableLambda(lambda x: x, name="two")

    assert chain.invoke(1, {"run_id": "mine"}) == 1
    assert forest(traced) == "OK\nCHAIN RunnableSequence\n  CHAIN one\n  CHAIN two"
    assert (len(runs), runs._ended) == (0, {})


def test_a_span_below_which_a_step_runs_late_is_still_its_parent(traced):
    """A task that a step leaves behind goes on when the step has ended."""

    async def leave(x):
        async def later():
            await asyncio.sleep(0.01)
            with autolog.start_span("late"):
                return await Parrot(says=[AIMessage("Hi")]).ainvoke("Hello")

        return asyncio.create_task(later())

    async def run():
        task = await RunnableLambda(leave, name="leave").ainvoke(1)
        await task

    asyncio.run(run())
    assert forest(traced) == "OK\nCHAIN leave\n  UNKNOWN late\n    CHAT_MODEL Parrot"
