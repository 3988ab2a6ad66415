"""Many chains at once: none is mixed up with another, none is kept."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel

from autolog import Span, SpanType, autolog, start_span
from autolog.testing import fresh_client, spans, traces
from autolog_langchain.runs import Run, runs
from tests.fakes.langchain_models import Parrot, chat, echo
from tests.integrations.langchain.programs.program import is_installed
from tests.trees import every

MANY = 50

TREE = """CHAIN RunnableSequence
  CHAIN work
    UNKNOWN mine
  PROMPT ChatPromptTemplate
  CHAT_MODEL ChatOpenAI 11>7
    CHAT_MODEL chat gpt-4o 11>7 (duplicate)
  PARSER StrOutputParser"""

needs_openai = pytest.mark.skipif(not is_installed("langchain-openai"), reason="needs langchain-openai")


def chain_of(server):
    server.script(*[echo] * MANY)

    async def work(number):
        await asyncio.sleep(0)
        with start_span("mine", inputs=number):
            await asyncio.sleep(0)
        return {"number": number}

    def sync_work(number):
        with start_span("mine", inputs=number):
            return {"number": number}

    return (
        RunnableLambda(sync_work, work, name="work")
        | ChatPromptTemplate.from_template("number {number}")
        | chat(server)
        | StrOutputParser()
    )


def numbers_in(trace):
    """Return the numbers that the spans of a trace speak of: one, unless chains are mixed up."""
    by_name = {span.name: span for span in trace.spans}
    return {
        by_name["mine"].inputs,
        by_name["RunnableSequence"].inputs,
        int(by_name["ChatOpenAI"].inputs["messages"][0]["content"].split()[-1]),
        int(by_name["chat gpt-4o"].inputs["messages"][0]["content"].split()[-1]),
        int(by_name["StrOutputParser"].outputs.split()[-1]),
    }


def check(client):
    from tests.trees import tree

    found = traces(client)
    assert [tree(trace) for trace in found] == [f"OK 11>7\n{TREE}"] * MANY
    assert sorted(number for trace in found for number in numbers_in(trace)) == list(range(MANY))
    assert len(runs) == 0


@needs_openai
def test_chains_that_are_gathered_do_not_mix(traced, server):
    chain = chain_of(server)

    async def run():
        return await asyncio.gather(*[chain.ainvoke(number) for number in range(MANY)])

    assert asyncio.run(run()) == [f"you said number {number}" for number in range(MANY)]
    check(traced)


@needs_openai
def test_streams_that_are_gathered_do_not_mix(traced, server):
    chain = chain_of(server)

    async def read(number):
        return "".join([piece async for piece in chain.astream(number)])

    async def run():
        return await asyncio.gather(*[read(number) for number in range(MANY)])

    asyncio.run(run())
    check(traced)


@needs_openai
def test_chains_in_threads_do_not_mix(traced, server):
    chain = chain_of(server)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(chain.invoke, range(MANY)))

    check(traced)


@needs_openai
def test_a_batch_does_not_mix(traced, server):
    chain_of(server).batch(list(range(MANY)))

    check(traced)


@needs_openai
def test_an_async_batch_does_not_mix(traced, server):
    asyncio.run(chain_of(server).abatch(list(range(MANY))))

    check(traced)


@needs_openai
def test_chains_that_are_gathered_under_a_span_are_all_its_children(traced, server):
    chain = chain_of(server)

    async def run():
        with start_span("request"):
            await asyncio.gather(*[chain.ainvoke(number) for number in range(MANY)])

    asyncio.run(run())
    [trace] = traces(traced)
    assert [child.name for child in trace.children(trace.root)] == ["RunnableSequence"] * MANY
    assert trace.usage.total_tokens == 18 * MANY


def test_conversations_generated_in_threads_do_not_end_one_another(traced):
    """Where one of several prompts fails, the runs of that call end, and no others."""
    reached = threading.Barrier(2)

    class Slow(Parrot):
        def _generate(self, messages, **kwargs):
            if messages[0].content == "slow":
                reached.wait()
                reached.wait()
            return super()._generate(messages, **kwargs)

    def slow():
        return Slow(says=[AIMessage("well")]).generate([[HumanMessage("slow")], [HumanMessage("then")]])

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(slow)
        reached.wait()
        with pytest.raises(ValueError):
            Parrot(says=[ValueError("no")]).generate([[HumanMessage("one")], [HumanMessage("two")]])
        reached.wait()
        running.result()

    assert [str(span.status.code) for span in every(traced, "Slow")] == ["OK", "OK"]
    assert [str(span.status.code) for span in every(traced, "Parrot")] == ["ERROR", "CANCELLED"]


def test_branches_overlap(traced):
    both = threading.Barrier(2)
    branch = RunnableLambda(lambda x: both.wait())
    RunnableParallel(left=branch, right=branch).invoke(1)

    left, right = every(traced, "RunnableLambda")
    assert max(left.start_time_ns, right.start_time_ns) < min(left.end_time_ns, right.end_time_ns)


# --- nothing is kept -----------------------------------------------------------------------------------------------


def alive():
    """Return how many runs and spans there are in this process."""
    gc.collect()
    return sum(isinstance(one, (Run, Span)) for one in gc.get_objects())


def test_ten_thousand_chains_leave_nothing_behind(tmp_path):
    chain = RunnableLambda(lambda x: x, name="one") | RunnableLambda(lambda x: x, name="two")
    before = alive()
    with fresh_client(str(tmp_path / "traces.db"), queue_spans=100_000) as client:
        autolog()
        for number in range(10_000):
            chain.invoke(number)
        client.flush()

        assert (len(runs), runs._ended) == (0, {})
        assert client.stats().stored == 30_000
        assert alive() == before


def test_models_that_fail_and_streams_that_are_left_leave_nothing_behind(traced):
    model = Parrot(says=[AIMessage("one two three")])
    for _ in range(300):
        with pytest.raises(ValueError):
            Parrot(says=[ValueError("no")]).invoke("Hello")
        next(model.stream("Hello"))
        FakeListLLM(responses=["one", "two"]).generate(["a", "b"])
        with pytest.raises(ValueError):
            Parrot(says=[AIMessage("one"), ValueError("no")]).generate([[HumanMessage("a")]] * 3)
    gc.collect()

    assert (len(runs), runs._ended) == (0, {})
    assert {span.span_type for span in spans(traced)} == {SpanType.CHAT_MODEL, SpanType.LLM}
