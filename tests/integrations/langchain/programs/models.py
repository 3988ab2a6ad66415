"""Models called on their own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel, FakeListLLM
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.rate_limiters import InMemoryRateLimiter
from pydantic import BaseModel

from autolog import start_span
from tests.fakes import openai_answers as answers
from tests.fakes.langchain_models import Parrot, call, chat, says, transports
from tests.integrations.langchain.programs.program import ask, ask_async, gives

with suppress(ImportError):  # without openai the programs that need it are left out
    from tests.fakes.openai_server import Gate, httpx, json_answer

OPENAI = ("langchain-openai",)

ONE = """
    OK 11>7
    CHAT_MODEL ChatOpenAI 11>7
      CHAT_MODEL chat gpt-4o 11>7 (duplicate)
"""
TWO = f"{ONE}{ONE}"


# --- one call, and several ---------------------------------------------------------------------------------


@gives(ONE, needs=OPENAI)
def model_invoked(server):
    return chat(server).invoke("Hello")


@gives(ONE, needs=OPENAI)
async def model_awaited(server):
    return await chat(server).ainvoke("Hello")


@gives(ONE, needs=OPENAI)
def model_streamed(server):
    return list(chat(server).stream("Hello"))


@gives(ONE, needs=OPENAI)
async def model_streamed_async(server):
    return [chunk async for chunk in chat(server).astream("Hello")]


@gives(TWO, is_parallel=True, needs=OPENAI)
def model_batched(server):
    return chat(server).batch(["Hello", "Bye"])


@gives(TWO, is_parallel=True, needs=OPENAI)
async def model_batched_async(server):
    return await chat(server).abatch(["Hello", "Bye"])


@gives(TWO, is_parallel=True, needs=OPENAI)
def model_batched_as_completed(server):
    return sorted(chat(server).batch_as_completed(["Hello", "Bye"]), key=lambda found: found[0])


@gives(
    """
    OK
    CHAT_MODEL ChatOpenAI
      CHAT_MODEL chat gpt-4o (duplicate)
    """,
    needs=OPENAI,
)
def model_streamed_without_usage(server):
    return list(chat(server, stream_usage=False).stream("Hello"))


@gives(ONE, needs=OPENAI)
def model_that_streams_by_itself(server):
    return chat(server, streaming=True).invoke("Hello")


@gives(ONE, needs=OPENAI)
def model_of_the_responses_api(server):
    return chat(server, use_responses_api=True).invoke("Hello")


@gives(ONE, needs=OPENAI)
def model_of_the_responses_api_streamed(server):
    return list(chat(server, use_responses_api=True).stream("Hello"))


@gives(ONE, needs=OPENAI)
async def model_of_the_responses_api_awaited(server):
    return await chat(server, use_responses_api=True).ainvoke("Hello")


@gives(
    """
    OK 11>7
    CHAT_MODEL ChatOpenAI 11>7
      CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def model_with_two_choices(server):
    return chat(server, n=2).generate([[HumanMessage("Hello")]]).generations


@gives(TWO, needs=OPENAI)
def generate_with_two_prompts(server):
    return chat(server).generate([[HumanMessage("Hello")], [HumanMessage("Bye")]]).generations


@gives(TWO, needs=OPENAI)
async def generate_with_two_prompts_awaited(server):
    return (await chat(server).agenerate([[HumanMessage("Hello")], [HumanMessage("Bye")]])).generations


@gives(
    """
    CANCELLED 11>7
    CHAT_MODEL ChatOpenAI 11>7 CANCELLED
      CHAT_MODEL chat gpt-4o 11>7 (duplicate)

    ERROR
    CHAT_MODEL ChatOpenAI ERROR OpenAIInvalidRequestError
      CHAT_MODEL chat gpt-4o ERROR BadRequestError (duplicate)

    CANCELLED
    CHAT_MODEL ChatOpenAI CANCELLED

    OK
    UNKNOWN afterwards

    OK 11>7
    CHAT_MODEL ChatOpenAI 11>7
      CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def generate_whose_second_prompt_fails(server):
    server.script(says("first"), 400)
    model = chat(server)
    with pytest.raises(Exception) as caught:
        model.generate([[HumanMessage("1")], [HumanMessage("2")], [HumanMessage("3")]])
    with start_span("afterwards"):
        pass
    return str(caught.value), model.invoke("Hello")


@gives(
    """
    OK 11>7
    CHAT_MODEL Parrot 11>7

    ERROR
    CHAT_MODEL Parrot ERROR ValueError

    OK 11>7
    CHAT_MODEL Parrot 11>7
    """
)
async def generate_whose_second_prompt_fails_awaited(server):
    answer = AIMessage("Hello", usage_metadata={"input_tokens": 11, "output_tokens": 7, "total_tokens": 18})
    model = Parrot(says=[answer, ValueError("no"), answer])
    with pytest.raises(ValueError, match="no"):
        await model.agenerate([[HumanMessage("1")], [HumanMessage("2")], [HumanMessage("3")]])


GATHERED = """
    OK 33>21
    UNKNOWN request
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
"""


@gives(GATHERED, is_parallel=True, needs=OPENAI)
async def models_gathered(server):
    with start_span("request"):
        return await asyncio.gather(*[chat(server).ainvoke("Hello") for _ in range(3)])


@gives(GATHERED, is_parallel=True, needs=OPENAI)
async def models_in_a_task_group(server):
    if not hasattr(asyncio, "TaskGroup"):
        return await models_gathered(server)
    with start_span("request"):
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(chat(server).ainvoke("Hello"))
    return None


# --- what comes after, and in between ------------------------------------------------------------------------


@gives(
    """
    OK 22>14
    UNKNOWN request
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      UNKNOWN afterwards
      CHAT_MODEL chat gpt-4o 11>7
    """,
    needs=OPENAI,
)
async def span_and_sdk_call_after_an_awaited_model(server):
    with start_span("request"):
        await chat(server).ainvoke("Hello")
        with start_span("afterwards"):
            pass
        return await ask_async(server)


@gives(
    """
    OK 11>7
    CHAT_MODEL ChatOpenAI 11>7
      CHAT_MODEL chat gpt-4o 11>7 (duplicate)

    OK
    UNKNOWN afterwards

    OK 11>7
    CHAT_MODEL chat gpt-4o 11>7
    """,
    needs=OPENAI,
)
async def span_and_sdk_call_after_an_awaited_model_on_their_own(server):
    await chat(server).ainvoke("Hello")
    with start_span("afterwards"):
        pass
    return await ask_async(server)


@gives(
    """
    OK 11>7
    CHAT_MODEL ChatOpenAI 11>7
      CHAT_MODEL chat gpt-4o 11>7 (duplicate)

    OK 11>7
    CHAT_MODEL chat gpt-4o 11>7
    """,
    needs=OPENAI,
)
def sdk_call_after_a_model(server):
    chat(server).invoke("Hello")
    return ask(server)


STREAM_WITH_CONSUMER = """
    OK 11>7
    UNKNOWN request
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      UNKNOWN word
      UNKNOWN word
"""


@gives(STREAM_WITH_CONSUMER, needs=OPENAI)
def spans_between_the_chunks_of_a_model(server):
    server.script(says("one two"))
    with start_span("request"):
        for chunk in chat(server).stream("Hello"):
            if chunk.content:
                with start_span("word"):
                    pass


@gives(STREAM_WITH_CONSUMER, needs=OPENAI)
async def spans_between_the_chunks_of_a_model_async(server):
    server.script(says("one two"))
    with start_span("request"):
        async for chunk in chat(server).astream("Hello"):
            if chunk.content:
                with start_span("word"):
                    pass


@gives(
    """
    OK 22>14
    UNKNOWN request
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      CHAT_MODEL chat gpt-4o 11>7
    """,
    needs=OPENAI,
)
def sdk_call_between_the_chunks_of_a_model(server):
    server.script(says("one"))
    with start_span("request"):
        return [ask(server) for chunk in chat(server).stream("Hello") if chunk.content]


# --- streams that are left -----------------------------------------------------------------------------------

LEFT = """
    CANCELLED
    CHAT_MODEL ChatOpenAI CANCELLED
      CHAT_MODEL chat gpt-4o (duplicate)
"""


@gives(LEFT, needs=OPENAI)
def model_stream_that_is_left(server):
    stream = chat(server).stream("Hello")
    found = [next(stream), next(stream)]
    stream.close()
    return found


@gives(LEFT, needs=OPENAI)
async def model_stream_that_is_left_async(server):
    stream = chat(server).astream("Hello")
    found = [await anext(stream), await anext(stream)]
    await stream.aclose()
    return found


# --- events ------------------------------------------------------------------------------------------------


@gives(ONE, needs=OPENAI)
async def model_events(server):
    return [event async for event in chat(server).astream_events("Hello", version="v2")]


# --- text completion -----------------------------------------------------------------------------------------

COMPLETION = """
    OK 2>3
    LLM OpenAI 2>3
      LLM text_completion gpt-3.5-turbo-instruct 2>3 (duplicate)
"""
COMPLETION_STREAM = """
    OK
    LLM OpenAI
      LLM text_completion gpt-3.5-turbo-instruct (duplicate)
"""


def completion(server):
    from langchain_openai import OpenAI

    return OpenAI(model="gpt-3.5-turbo-instruct", max_retries=0, **transports(server))


@gives(COMPLETION, needs=OPENAI)
def completion_invoked(server):
    return completion(server).invoke("Hello")


@gives(COMPLETION, needs=OPENAI)
async def completion_awaited(server):
    return await completion(server).ainvoke("Hello")


@gives(COMPLETION_STREAM, needs=OPENAI)
def completion_streamed(server):
    return list(completion(server).stream("Hello"))


@gives(COMPLETION_STREAM, needs=OPENAI)
async def completion_streamed_async(server):
    return [piece async for piece in completion(server).astream("Hello")]


@gives(
    """
    OK 2>3
    LLM OpenAI 2>3
      LLM text_completion gpt-3.5-turbo-instruct 2>3 (duplicate)

    OK
    LLM OpenAI
    """,
    needs=OPENAI,
)
def completion_of_two_prompts(server):
    server.script(lambda received: json_answer(two_completions(received)))
    return completion(server).generate(["Hello", "Bye"]).generations


@gives(
    """
    OK 2>3
    LLM OpenAI 2>3
      LLM text_completion gpt-3.5-turbo-instruct 2>3 (duplicate)

    OK
    LLM OpenAI
    """,
    needs=OPENAI,
)
async def completion_of_two_prompts_awaited(server):
    server.script(lambda received: json_answer(two_completions(received)))
    return (await completion(server).agenerate(["Hello", "Bye"])).generations


def two_completions(received):
    answer = answers.completion(received.body)
    return {**answer, "choices": [{**answer["choices"][0], "index": index} for index in (0, 1)]}


@gives(
    """
    OK
    LLM FakeListLLM

    OK
    LLM FakeListLLM
    """
)
def fake_completions(server):
    return FakeListLLM(responses=["one", "two"]).generate(["Hello", "Bye"]).generations


# --- structured answers and tools ------------------------------------------------------------------------------


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


STRUCTURED = """
    OK 11>7
    CHAIN RunnableSequence
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      CHAIN _check_refusal
      {parser}
"""


@gives(STRUCTURED.replace("{parser}", "CHAIN RunnableLambda"), needs=OPENAI)
def structured_by_schema(server):
    return chat(server).with_structured_output(Person, method="json_schema").invoke("Who?")


@gives(STRUCTURED.replace("{parser}", "PARSER PydanticToolsParser"), needs=OPENAI)
def structured_by_function_calling(server):
    server.script(says(calls=[call("Person", name="Ada", age=36)]))
    return chat(server).with_structured_output(Person, method="function_calling").invoke("Who?")


@gives(STRUCTURED.replace("{parser}", "PARSER PydanticOutputParser"), needs=OPENAI)
def structured_by_json_mode(server):
    return chat(server).with_structured_output(Person, method="json_mode").invoke("Who? Answer in JSON.")


@gives(
    """
    ERROR 11>7
    CHAIN RunnableSequence ERROR LengthFinishReasonError
      CHAT_MODEL ChatOpenAI 11>7 ERROR LengthFinishReasonError
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def structured_answer_that_is_cut_off(server):
    server.script(says('{"name": "Ad', reason="length"))
    return chat(server).with_structured_output(Person, method="json_schema").invoke("Who?")


@gives(
    """
    ERROR 11>7
    CHAIN RunnableSequence ERROR ValidationError
      CHAT_MODEL ChatOpenAI 11>7 ERROR ValidationError
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def structured_answer_that_does_not_fit(server):
    server.script(says('{"name": "Ada"}'))
    return chat(server).with_structured_output(Person, method="json_schema").invoke("Who?")


@gives(ONE, needs=OPENAI)
def tools_bound(server):
    server.script(says(calls=[call("weather", 0, city="Rome"), call("weather", 1, city="Oslo")]))
    return chat(server).bind_tools([weather]).invoke("Weather?")


@gives(ONE, needs=OPENAI)
def tools_bound_and_streamed(server):
    server.script(says(calls=[call("weather", 0, city="Rome"), call("weather", 1, city="Oslo")]))
    return list(chat(server).bind_tools([weather]).stream("Weather?"))


@gives(ONE, needs=OPENAI)
def tool_call_that_is_no_json(server):
    broken = {"id": "call_0", "type": "function", "function": {"name": "weather", "arguments": '{"city": '}}
    server.script(says(calls=[broken]))
    return chat(server).bind_tools([weather]).invoke("Weather?")


# --- cache, limits, errors -------------------------------------------------------------------------------------


@gives(
    """
    OK 11>7
    CHAT_MODEL ChatOpenAI 11>7
      CHAT_MODEL chat gpt-4o 11>7 (duplicate)

    OK
    CHAT_MODEL ChatOpenAI
    """,
    needs=OPENAI,
)
def model_whose_answer_is_cached(server):
    model = chat(server, cache=InMemoryCache())
    return [model.invoke("Hello"), model.invoke("Hello")]


@gives(
    """
    OK 11>7
    CHAT_MODEL ChatOpenAI 11>7
      CHAT_MODEL chat gpt-4o 11>7 (duplicate)

    OK
    CHAT_MODEL ChatOpenAI

    OK
    CHAT_MODEL ChatOpenAI
    """,
    needs=OPENAI,
)
async def model_whose_answer_is_in_the_cache_of_all(server):
    set_llm_cache(InMemoryCache())
    try:
        model = chat(server)
        return [await model.ainvoke("Hello"), model.invoke("Hello"), list(model.batch(["Hello"]))]
    finally:
        set_llm_cache(None)


@gives(
    """
    OK 2>3
    LLM OpenAI 2>3
      LLM text_completion gpt-3.5-turbo-instruct 2>3 (duplicate)
    """,
    needs=OPENAI,
)
def completion_that_is_cached(server):
    """LangChain begins no run where its cache answers."""
    model = completion(server)
    model.cache = InMemoryCache()
    return [model.invoke("Hello"), model.invoke("Hello")]


@gives(ONE, needs=OPENAI)
def model_with_a_rate_limit(server):
    return chat(server, rate_limiter=InMemoryRateLimiter(requests_per_second=1000)).invoke("Hello")


@gives(
    """
    ERROR
    CHAT_MODEL ChatOpenAI ERROR OpenAIRateLimitError
      CHAT_MODEL chat gpt-4o ERROR RateLimitError (duplicate)
    """,
    needs=OPENAI,
)
def model_that_is_refused(server):
    server.script(429)
    return chat(server).invoke("Hello")


@gives(ONE, needs=OPENAI)
def model_that_is_tried_again(server):
    server.script(429, httpx.ConnectTimeout("slow"))
    return chat(server, max_retries=2).invoke("Hello")


@gives(
    """
    ERROR
    CHAT_MODEL ChatOpenAI ERROR OpenAITimeoutError
      CHAT_MODEL chat gpt-4o ERROR APITimeoutError (duplicate)
    """,
    needs=OPENAI,
)
async def model_that_times_out(server):
    server.script(httpx.ConnectTimeout("slow"))
    return await chat(server).ainvoke("Hello")


@gives(
    """
    CANCELLED
    CHAT_MODEL ChatOpenAI CANCELLED
      CHAT_MODEL chat gpt-4o CANCELLED (duplicate)
    """,
    needs=OPENAI,
)
async def model_whose_task_is_cancelled(server):
    server.gate = Gate()
    task = asyncio.create_task(chat(server).ainvoke("Hello"))
    await server.gate.reached.wait()
    task.cancel()
    return await asyncio.gather(task, return_exceptions=True)


# --- models made of models ---------------------------------------------------------------------------------------


class Careful(BaseChatModel):
    """Asks another model, after some work of its own."""

    under: Any = None

    @property
    def _llm_type(self) -> str:
        return "careful"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        with start_span("mine"):
            pass
        return ChatResult(generations=[ChatGeneration(message=self.under.invoke(messages))])

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        with start_span("mine"):
            pass
        return ChatResult(generations=[ChatGeneration(message=await self.under.ainvoke(messages))])


CAREFUL = """
    OK 11>7
    CHAT_MODEL Careful 11>7
      UNKNOWN mine
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
"""


@gives(CAREFUL, needs=OPENAI)
def model_made_of_a_model(server):
    return Careful(under=chat(server)).invoke("Hello")


@gives(CAREFUL, needs=OPENAI)
async def model_made_of_a_model_awaited(server):
    return await Careful(under=chat(server)).ainvoke("Hello")


@gives(f"{CAREFUL}{CAREFUL}", needs=OPENAI)
def model_made_of_a_model_with_two_prompts(server):
    return Careful(under=chat(server)).generate([[HumanMessage("Hello")], [HumanMessage("Bye")]]).generations


@gives(f"{CAREFUL}{CAREFUL}", is_parallel=True, needs=OPENAI)
async def model_made_of_a_model_with_two_prompts_awaited(server):
    return (await Careful(under=chat(server)).agenerate([[HumanMessage("Hello")], [HumanMessage("Bye")]])).generations
