"""Chains: sequences, branches, retries, histories, and what the program does inside of them."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter

from langchain_core.callbacks import adispatch_custom_event, dispatch_custom_event
from langchain_core.callbacks.manager import atrace_as_chain_group, trace_as_chain_group
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import JsonOutputParser, StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import (
    ConfigurableField,
    RouterRunnable,
    RunnableBranch,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    chain,
)
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.tools import StructuredTool, tool

from autolog import start_span
from tests.fakes.langchain_models import Parrot, chat, says
from tests.integrations.langchain.programs.program import ask, ask_async, gives

OPENAI = ("langchain-openai",)
PROMPT = ChatPromptTemplate.from_messages([("system", "Answer {how}."), ("human", "{question}")])
ASKED = {"how": "briefly", "question": "Who?"}


def sequence(server):
    return PROMPT | chat(server) | StrOutputParser()


# --- a prompt, a model and a parser ------------------------------------------------------------------------------

SEQUENCE = """
    OK 11>7
    CHAIN RunnableSequence
      PROMPT ChatPromptTemplate
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      PARSER StrOutputParser
"""


@gives(SEQUENCE, needs=OPENAI)
def sequence_invoked(server):
    return sequence(server).invoke(ASKED)


@gives(SEQUENCE, needs=OPENAI)
async def sequence_awaited(server):
    return await sequence(server).ainvoke(ASKED)


@gives(SEQUENCE, needs=OPENAI)
def sequence_streamed(server):
    return list(sequence(server).stream(ASKED))


@gives(SEQUENCE, needs=OPENAI)
async def sequence_streamed_async(server):
    return [piece async for piece in sequence(server).astream(ASKED)]


@gives(SEQUENCE, needs=OPENAI)
def sequence_transforming_a_stream(server):
    return list(sequence(server).transform(iter([ASKED])))


@gives(f"{SEQUENCE}{SEQUENCE}", is_parallel=True, needs=OPENAI)
def sequence_batched(server):
    return sequence(server).batch([ASKED, ASKED])


@gives(f"{SEQUENCE}{SEQUENCE}", is_parallel=True, needs=OPENAI)
async def sequence_batched_async(server):
    return await sequence(server).abatch([ASKED, ASKED])


@gives(SEQUENCE, needs=OPENAI)
async def sequence_events(server):
    return [event async for event in sequence(server).astream_events(ASKED, version="v2")]


@gives(SEQUENCE, needs=OPENAI)
async def sequence_log(server):
    return [patch.ops[0]["path"][:6] async for patch in sequence(server).astream_log(ASKED, diff=True)]


@gives(
    """
    ERROR
    CHAIN RunnableSequence ERROR OpenAIRateLimitError
      PROMPT ChatPromptTemplate
      CHAT_MODEL ChatOpenAI ERROR OpenAIRateLimitError
        CHAT_MODEL chat gpt-4o ERROR RateLimitError (duplicate)
    """,
    needs=OPENAI,
)
def sequence_whose_model_is_refused(server):
    server.script(429)
    return sequence(server).invoke(ASKED)


@gives(
    """
    ERROR
    CHAIN RunnableSequence ERROR OpenAIRateLimitError
      PROMPT ChatPromptTemplate
      CHAT_MODEL ChatOpenAI ERROR OpenAIRateLimitError
        CHAT_MODEL chat gpt-4o ERROR RateLimitError (duplicate)
    """,
    needs=OPENAI,
)
def sequence_whose_streamed_model_is_refused(server):
    server.script(429)
    return list(sequence(server).stream(ASKED))


@gives(
    """
    ERROR
    CHAIN RunnableSequence ERROR KeyError
      PROMPT ChatPromptTemplate ERROR KeyError
    """
)
def sequence_that_lacks_a_variable(server):
    return (PROMPT | Parrot(says=[AIMessage("Hello")])).invoke({"how": "briefly"})


@gives(
    """
    ERROR
    CHAIN RunnableSequence ERROR OutputParserException
      CHAT_MODEL Parrot
      PARSER JsonOutputParser ERROR OutputParserException
    """
)
def sequence_whose_answer_is_no_json(server):
    return (Parrot(says=[AIMessage("Hello")]) | JsonOutputParser()).invoke("Who?")


@gives(SEQUENCE, needs=OPENAI)
def sequence_stream_that_is_left(server):
    """LangChain ends the chain, and goes on reading the model to its end."""
    stream = sequence(server).stream(ASKED)
    found = [next(stream), next(stream)]
    stream.close()
    return found


@gives(
    """
    CANCELLED
    CHAIN RunnableSequence CANCELLED
      PROMPT ChatPromptTemplate
      CHAT_MODEL ChatOpenAI CANCELLED
        CHAT_MODEL chat gpt-4o (duplicate)
      PARSER StrOutputParser CANCELLED
    """,
    needs=OPENAI,
)
async def sequence_stream_that_is_left_async(server):
    stream = sequence(server).astream(ASKED)
    found = [await anext(stream), await anext(stream)]
    await stream.aclose()
    return found


@gives(
    """
    OK 11>7
    CHAIN RunnableSequence
      PROMPT ChatPromptTemplate
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      PARSER StrOutputParser

    OK
    UNKNOWN word

    OK
    UNKNOWN word
    """,
    needs=OPENAI,
)
def spans_between_the_pieces_of_a_sequence(server):
    server.script(says("one two"))
    for piece in sequence(server).stream(ASKED):
        if piece:
            with start_span("word"):
                pass


@gives(
    """
    OK 11>7
    UNKNOWN request
      CHAIN RunnableSequence
        PROMPT ChatPromptTemplate
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
        PARSER StrOutputParser
      UNKNOWN word
      UNKNOWN word
    """,
    needs=OPENAI,
)
async def spans_between_the_pieces_of_a_sequence_async(server):
    server.script(says("one two"))
    with start_span("request"):
        async for piece in sequence(server).astream(ASKED):
            if piece:
                with start_span("word"):
                    pass


@gives(
    """
    OK 11>7
    UNKNOWN request
      CHAIN RunnableSequence
        PROMPT ChatPromptTemplate
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
        PARSER StrOutputParser
      UNKNOWN afterwards
    """,
    needs=OPENAI,
)
async def span_after_an_awaited_sequence(server):
    with start_span("request"):
        await sequence(server).ainvoke(ASKED)
        with start_span("afterwards"):
            pass


# --- what the program does inside ----------------------------------------------------------------------------------

OWN_WORK = """
    OK 22>14
    {kind} work
      UNKNOWN mine
        CHAT_MODEL chat gpt-4o 11>7
      CHAT_MODEL chat gpt-4o 11>7
"""


def work_of(server):
    def work(question: str) -> str:
        """Work."""
        with start_span("mine"):
            ask(server)
        return ask(server)

    return work


def async_work_of(server):
    async def work(question: str) -> str:
        """Work."""
        with start_span("mine"):
            await ask_async(server)
        return await ask_async(server)

    return work


@gives(OWN_WORK.format(kind="CHAIN"), needs=OPENAI)
def own_work_in_a_lambda(server):
    return RunnableLambda(work_of(server)).invoke("Hello")


@gives(OWN_WORK.format(kind="CHAIN"), needs=OPENAI)
async def own_work_in_an_async_lambda(server):
    return await RunnableLambda(async_work_of(server)).ainvoke("Hello")


@gives(OWN_WORK.format(kind="CHAIN"), needs=OPENAI)
async def own_work_in_a_sync_lambda_that_is_awaited(server):
    return await RunnableLambda(work_of(server)).ainvoke("Hello")


@gives(OWN_WORK.format(kind="CHAIN"), needs=OPENAI)
def own_work_in_a_streamed_lambda(server):
    return list(RunnableLambda(work_of(server)).stream("Hello"))


@gives(OWN_WORK.format(kind="CHAIN"), needs=OPENAI)
async def own_work_in_a_streamed_async_lambda(server):
    return [piece async for piece in RunnableLambda(async_work_of(server)).astream("Hello")]


@gives(OWN_WORK.format(kind="TOOL"), needs=OPENAI)
def own_work_in_a_tool(server):
    return tool(work_of(server)).invoke({"question": "Hello"})


@gives(OWN_WORK.format(kind="TOOL"), needs=OPENAI)
async def own_work_in_an_async_tool(server):
    return await tool(async_work_of(server)).ainvoke({"question": "Hello"})


@gives(OWN_WORK.format(kind="TOOL"), needs=OPENAI)
async def own_work_in_a_sync_tool_that_is_awaited(server):
    return await tool(work_of(server)).ainvoke({"question": "Hello"})


@gives(OWN_WORK.format(kind="TOOL"), needs=OPENAI)
def own_work_in_a_structured_tool(server):
    return StructuredTool.from_function(work_of(server)).invoke({"question": "Hello"})


@gives(OWN_WORK.format(kind="CHAIN"), needs=OPENAI)
def own_work_in_a_decorated_chain(server):
    return chain(work_of(server)).invoke("Hello")


@gives(OWN_WORK.format(kind="CHAIN"), needs=OPENAI)
def own_work_in_a_plain_thread_that_takes_the_context(server):
    from contextvars import copy_context

    def work(question):
        thread = threading.Thread(target=copy_context().run, args=(work_of(server), question))
        thread.start()
        thread.join()

    return RunnableLambda(work).invoke("Hello")


@gives(
    """
    OK 11>7
    CHAIN work
      UNKNOWN mine
        CHAT_MODEL chat gpt-4o 11>7
    """,
    needs=OPENAI,
)
def own_work_in_a_generator(server):
    def work(pieces):
        for piece in pieces:
            with start_span("mine"):
                answer = ask(server)
            yield piece
            yield answer

    return list(RunnableGenerator(work).stream("Hello"))


@gives(
    """
    OK 11>7
    CHAIN work
      UNKNOWN mine
        CHAT_MODEL chat gpt-4o 11>7
    """,
    needs=OPENAI,
)
async def own_work_in_an_async_generator(server):
    async def work(pieces):
        async for piece in pieces:
            with start_span("mine"):
                answer = await ask_async(server)
            yield piece
            yield answer

    return [piece async for piece in RunnableGenerator(work).astream("Hello")]


@gives(
    """
    OK 22>14
    CHAIN outer
      UNKNOWN mine
        CHAIN RunnableSequence
          PROMPT ChatPromptTemplate
          CHAT_MODEL ChatOpenAI 11>7
            CHAT_MODEL chat gpt-4o 11>7 (duplicate)
          PARSER StrOutputParser
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def chains_called_in_a_lambda(server):
    def outer(question):
        with start_span("mine"):
            sequence(server).invoke(ASKED)
        return chat(server).invoke(question)

    return RunnableLambda(outer).invoke("Hello")


@gives(
    """
    OK 11>7
    CHAIN outer
      UNKNOWN mine
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def model_called_with_callbacks_of_its_own_in_a_lambda(server):
    def outer(question):
        with start_span("mine"):
            return chat(server).invoke(question, config={"callbacks": []})

    return RunnableLambda(outer).invoke("Hello")


@gives(
    """
    OK 11>7
    CHAIN outer
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
async def model_called_with_callbacks_of_its_own_in_an_async_lambda(server):
    async def outer(question):
        return await chat(server).ainvoke(question, config={"callbacks": []})

    return await RunnableLambda(outer).ainvoke("Hello")


@gives(
    """
    OK 11>7
    CHAIN outer
      CHAIN inner
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def lambda_that_returns_a_runnable(server):
    inner = RunnableLambda(lambda question: chat(server).invoke(question), name="inner")
    return RunnableLambda(lambda question: inner, name="outer").invoke("Hello")


@gives(
    """
    OK 33>21
    CHAIN outer
      CHAIN RunnableSequence
        PROMPT ChatPromptTemplate
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
        PARSER StrOutputParser
      UNKNOWN mine
        CHAT_MODEL chat gpt-4o 11>7
      UNKNOWN mine
        CHAT_MODEL chat gpt-4o 11>7
    """,
    needs=OPENAI,
)
def stream_read_and_left_in_a_lambda(server):
    def outer(question):
        found = []
        for piece in sequence(server).stream(ASKED):
            with start_span("mine"):
                ask(server)
            found.append(piece)
            if len(found) == 2:
                return found
        return None

    return RunnableLambda(outer).invoke("Hello")


@gives(
    """
    OK 22>14
    CHAIN outer
      CHAIN RunnableSequence CANCELLED
        PROMPT ChatPromptTemplate
        CHAT_MODEL ChatOpenAI CANCELLED
          CHAT_MODEL chat gpt-4o (duplicate)
        PARSER StrOutputParser CANCELLED
      UNKNOWN mine
        CHAT_MODEL chat gpt-4o 11>7
      UNKNOWN mine
        CHAT_MODEL chat gpt-4o 11>7
    """,
    needs=OPENAI,
)
async def stream_read_and_left_in_an_async_lambda(server):
    async def outer(question):
        found = []
        async for piece in sequence(server).astream(ASKED):
            with start_span("mine"):
                await ask_async(server)
            found.append(piece)
            if len(found) == 2:
                return found
        return None

    return await RunnableLambda(outer).ainvoke("Hello")


@gives(
    """
    OK 22>14
    CHAIN speak
      UNKNOWN mine
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
        CHAT_MODEL chat gpt-4o 11>7

    OK
    UNKNOWN word
    """,
    needs=OPENAI,
)
def span_that_stays_open_while_a_generator_gives(server):
    def speak(pieces):
        for _ in pieces:
            with start_span("mine"):
                yield from (chunk.content for chunk in chat(server).stream("Hello"))
                ask(server)

    server.script(says("one"))
    found = []
    for piece in RunnableGenerator(speak).stream("Hello"):
        found.append(piece)
        if piece:
            with start_span("word"):
                pass
    return found


@gives(
    """
    OK
    UNKNOWN request
      CHAIN RunnableSequence CANCELLED
        PROMPT ChatPromptTemplate
        CHAT_MODEL ChatOpenAI CANCELLED
          CHAT_MODEL chat gpt-4o (duplicate)
        PARSER StrOutputParser CANCELLED
      UNKNOWN afterwards
    """,
    needs=OPENAI,
)
async def events_of_a_sequence_that_are_left(server):
    with start_span("request"):
        async for event in sequence(server).astream_events(ASKED, version="v2"):
            if event["event"] == "on_chat_model_stream":
                break
        with start_span("afterwards"):
            pass


@gives(
    """
    OK 11>7
    TOOL look
      CHAIN RunnableSequence
        PROMPT ChatPromptTemplate
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
        PARSER StrOutputParser
    """,
    needs=OPENAI,
)
def event_loop_of_its_own_in_a_tool(server):
    @tool
    def look(question: str) -> str:
        """Look."""
        return asyncio.run(sequence(server).ainvoke(ASKED))

    return look.invoke({"question": "Hello"})


@gives(
    """
    OK 11>7
    CHAIN outer
      CHAIN RunnableSequence
        PROMPT ChatPromptTemplate
        CHAT_MODEL ChatOpenAI 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
        PARSER StrOutputParser
    """,
    needs=OPENAI,
)
def plain_thread_that_is_given_the_configuration(server):
    def outer(question, config):
        thread = threading.Thread(target=sequence(server).invoke, args=(ASKED, config))
        thread.start()
        thread.join()

    return RunnableLambda(outer).invoke("Hello")


# --- threads -----------------------------------------------------------------------------------------------------

THREADED = """
    OK 11>7
    UNKNOWN request
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
"""


@gives(THREADED, is_parallel=True, needs=OPENAI)
def model_in_a_plain_thread(server):
    with start_span("request"):
        thread = threading.Thread(target=chat(server).invoke, args=("Hello",))
        thread.start()
        thread.join()


@gives(THREADED, is_parallel=True, needs=OPENAI)
def model_in_a_pool(server):
    with start_span("request"), ThreadPoolExecutor(1) as pool:
        return pool.submit(chat(server).invoke, "Hello").result()


@gives(
    """
    OK 11>7
    UNKNOWN request
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
async def model_in_a_thread_of_asyncio(server):
    with start_span("request"):
        return await asyncio.to_thread(chat(server).invoke, "Hello")


# --- side by side ------------------------------------------------------------------------------------------------

PARALLEL = """
    OK 22>14
    CHAIN RunnableParallel<left,right>
      CHAIN left
        UNKNOWN mine of left
        CHAT_MODEL chat gpt-4o 11>7
      CHAIN right
        UNKNOWN mine of right
        CHAT_MODEL chat gpt-4o 11>7
"""


def branches(server):
    def branch(side):
        def work(question):
            with start_span(f"mine of {side}"):
                pass
            return ask(server)

        return RunnableLambda(work, name=side)

    return RunnableParallel(left=branch("left"), right=branch("right"))


@gives(PARALLEL, is_parallel=True, needs=OPENAI)
def branches_side_by_side(server):
    return branches(server).invoke("Hello")


@gives(PARALLEL, is_parallel=True, needs=OPENAI)
async def branches_side_by_side_awaited(server):
    return await branches(server).ainvoke("Hello")


@gives(
    """
    OK
    CHAIN RunnableAssign<length>
      CHAIN RunnableParallel<length>
        CHAIN length
    """
)
def passthrough_that_assigns(server):
    return RunnablePassthrough.assign(length=RunnableLambda(lambda asked: len(asked), name="length")).invoke(ASKED)


@gives(
    """
    OK
    CHAIN RunnableSequence
      CHAIN RunnableParallel<question,all>
        CHAIN RunnableLambda
        CHAIN RunnablePassthrough
      PROMPT PromptTemplate
    """,
    is_parallel=True,
)
def items_and_passthrough(server):
    parts = {"question": itemgetter("question"), "all": RunnablePassthrough()}
    return (parts | PromptTemplate.from_template("{question} of {all}")).invoke(ASKED)


@gives(
    """
    OK
    CHAIN RunnableEach<double>
      CHAIN double
      CHAIN double
    """,
    is_parallel=True,
)
def mapped(server):
    return RunnableLambda(lambda number: number * 2, name="double").map().invoke([1, 2])


# --- branches, alternatives, retries -------------------------------------------------------------------------------


@gives(
    """
    OK
    CHAIN RunnableBranch
      CHAIN is_long
      CHAIN is_short
      CHAIN short
    """
)
def branch_taken(server):
    def is_long(text):
        return len(text) > 5

    def is_short(text):
        return len(text) < 3

    return RunnableBranch(
        (is_long, RunnableLambda(lambda text: "l", name="long")),
        (is_short, RunnableLambda(lambda text: "s", name="short")),
        RunnableLambda(lambda text: "m", name="middle"),
    ).invoke("a")


@gives(
    """
    OK
    CHAIN add
    """
)
def routed(server):
    router = RouterRunnable({"add": RunnableLambda(lambda number: number + 1, name="add")})
    return router.invoke({"key": "add", "input": 1})


FALLBACK = """
    OK 11>7
    CHAIN RunnableWithFallbacks
      CHAT_MODEL ChatOpenAI ERROR OpenAIRateLimitError
        CHAT_MODEL chat gpt-4o ERROR RateLimitError (duplicate)
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o-mini 11>7 (duplicate)
"""


def with_fallback(server):
    server.script(429)
    return chat(server).with_fallbacks([chat(server, model="gpt-4o-mini")])


@gives(FALLBACK, needs=OPENAI)
def fallback(server):
    return with_fallback(server).invoke("Hello")


@gives(FALLBACK, needs=OPENAI)
async def fallback_awaited(server):
    return await with_fallback(server).ainvoke("Hello")


@gives(FALLBACK, needs=OPENAI)
def fallback_streamed(server):
    return list(with_fallback(server).stream("Hello"))


RETRIED = """
    OK
    CHAIN shaky
      CHAIN shaky ERROR ValueError
      CHAIN shaky ERROR ValueError
      CHAIN shaky
"""


def shaky():
    left = [ValueError("1"), ValueError("2")]

    def work(question):
        if left:
            raise left.pop(0)
        return question

    return RunnableLambda(work, name="shaky").with_retry(
        stop_after_attempt=3, wait_exponential_jitter=False, retry_if_exception_type=(ValueError,)
    )


@gives(RETRIED)
def retried(server):
    return shaky().invoke("Hello")


@gives(RETRIED)
async def retried_awaited(server):
    return await shaky().ainvoke("Hello")


@gives(
    """
    OK 11>7
    CHAIN RunnableSequence
      PROMPT ChatPromptTemplate
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4.1 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def configured_model(server):
    model = chat(server).configurable_fields(model_name=ConfigurableField(id="model"))
    return (PROMPT | model).with_config(configurable={"model": "gpt-4.1"}).invoke(ASKED)


@gives(
    """
    OK
    CHAIN named
      CHAIN first
      CHAIN second
    """
)
def named_by_the_program(server):
    first, second = RunnableLambda(lambda x: x, name="first"), RunnableLambda(lambda x: x, name="second")
    return (first | second).invoke("Hello", config={"run_name": "named"})


# --- histories, groups, events ---------------------------------------------------------------------------------------


@gives(
    """
    OK
    CHAIN RunnableWithMessageHistory
      CHAIN insert_history
        CHAIN RunnableParallel<history>
          CHAIN load_history
      CHAIN check_sync_or_async
        CHAIN RunnableSequence
          PROMPT ChatPromptTemplate
          CHAT_MODEL Parrot

    OK
    CHAIN RunnableWithMessageHistory
      CHAIN insert_history
        CHAIN RunnableParallel<history>
          CHAIN load_history
      CHAIN check_sync_or_async
        CHAIN RunnableSequence
          PROMPT ChatPromptTemplate
          CHAT_MODEL Parrot
    """
)
def history(server):
    histories = {}
    talk = RunnableWithMessageHistory(
        ChatPromptTemplate.from_messages([("placeholder", "{history}"), ("human", "{question}")])
        | Parrot(says=[AIMessage("one"), AIMessage("two")]),
        lambda session_id: histories.setdefault(session_id, InMemoryChatMessageHistory()),
        input_messages_key="question",
        history_messages_key="history",
    )
    config = {"configurable": {"session_id": "s1"}}
    return [talk.invoke({"question": question}, config=config) for question in ("Who?", "And you?")]


GROUP = """
    OK 22>14
    CHAIN errand
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
"""


@gives(GROUP, needs=OPENAI)
def group(server):
    with trace_as_chain_group("errand", inputs={"question": "Who?"}) as callbacks:
        found = [chat(server).invoke("Hello", config={"callbacks": callbacks}) for _ in range(2)]
        callbacks.on_chain_end({"answers": 2})
    return found


@gives(GROUP, needs=OPENAI)
async def group_async(server):
    async with atrace_as_chain_group("errand", inputs={"question": "Who?"}) as callbacks:
        found = [await chat(server).ainvoke("Hello", config={"callbacks": callbacks}) for _ in range(2)]
        await callbacks.on_chain_end({"answers": 2})
    return found


@gives(
    """
    OK
    CHAIN RunnableSequence
      CHAIN told
      CHAIN told_async
    """
)
async def custom_events(server):
    def told(question):
        dispatch_custom_event("progress", {"done": 1})
        return question

    async def told_async(question):
        await adispatch_custom_event("progress", {"done": 2})
        return question

    chain = RunnableLambda(told) | RunnableLambda(told_async)
    return [event async for event in chain.astream_events("Hello", version="v2")]
