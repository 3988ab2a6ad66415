"""Models, asked directly: chats, completions, prompts, structured answers, streams read to the end, left, or never read."""

from __future__ import annotations

import gc

import pytest
from llama_index.core import PromptTemplate
from llama_index.core.llms import ChatMessage, CompletionResponse, CustomLLM, LLMMetadata, MockLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from pydantic import BaseModel, ValidationError

from autolog import start_span
from tests.fakes import openai_answers as answers
from tests.fakes.llama_index_models import HELLO, USAGE, embedding, openai, streams
from tests.fakes.openai_server import httpx, json_answer, stream_answer
from tests.integrations.llama_index.programs.program import EMBEDDINGS, LATER, OPENAI, gives
from tests.programs import ask, ask_async


class Person(BaseModel):
    name: str
    age: int


PROMPT = PromptTemplate("Describe {who}.")


@gives(
    """
    OK 11>7
    CHAT_MODEL OpenAI.chat 11>7
      CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def chat(server):
    return openai(server).chat(HELLO)


@gives(
    """
    OK 11>7
    CHAT_MODEL OpenAI.achat 11>7
      CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
async def chat_async(server):
    return await openai(server).achat(HELLO)


@gives(
    """
    OK 2>3
    LLM OpenAI.complete 2>3
      LLM text_completion gpt-3.5-turbo-instruct 2>3 (duplicate)
    """,
    needs=OPENAI,
)
def completion(server):
    return openai(server, model="gpt-3.5-turbo-instruct", max_tokens=5).complete("Once")


@gives(
    """
    OK 11>7
    LLM OpenAI.acomplete 11>7
      CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
async def completion_of_a_chat_model(server):
    return await openai(server).acomplete("Once")


@gives(
    """
    OK 11>7
    CHAT_MODEL OpenAI.stream_chat 11>7
      CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def stream(server):
    return list(openai(server, additional_kwargs=USAGE).stream_chat(HELLO))


@gives(
    """
    OK
    CHAT_MODEL OpenAI.stream_chat
      CHAT_MODEL chat gpt-4o (duplicate)
    """,
    needs=OPENAI,
)
def stream_without_usage(server):
    return list(openai(server).stream_chat(HELLO))


@gives(
    """
    OK 11>7
    CHAT_MODEL OpenAI.astream_chat 11>7
      CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
async def stream_async(server):
    return [piece async for piece in await openai(server, additional_kwargs=USAGE).astream_chat(HELLO)]


@gives(
    """
    OK 11>7
    CHAT_MODEL Alike.stream_chat 11>7
      CHAT_MODEL chat gpt-4o 11>7 (duplicate)

    CANCELLED
    CHAT_MODEL Alike.stream_chat CANCELLED
      CHAT_MODEL chat gpt-4o (duplicate)
    """,
    needs=OPENAI,
)
def streams_of_a_model_that_extends_another(server):
    model = openai(server, additional_kwargs=USAGE)

    class Alike(type(model)):
        def stream_chat(self, messages, **kwargs):
            return super().stream_chat(messages, **kwargs)

    alike = openai(server, kind=Alike, additional_kwargs=USAGE)
    read = list(alike.stream_chat(HELLO))
    left = alike.stream_chat(HELLO)
    next(left)
    left.close()
    return read


@gives(
    """
    OK
    LLM OpenAI.stream_complete
      LLM text_completion gpt-3.5-turbo-instruct (duplicate)
    """,
    needs=OPENAI,
)
def stream_of_a_completion(server):
    return list(openai(server, model="gpt-3.5-turbo-instruct", max_tokens=5).stream_complete("Once"))


@gives(
    """
    CANCELLED
    CHAT_MODEL OpenAI.stream_chat CANCELLED
      CHAT_MODEL chat gpt-4o (duplicate)
    """,
    needs=OPENAI,
)
def stream_left(server):
    server.script(streams("one", " two", " three"))
    pieces = openai(server).stream_chat(HELLO)
    read = [next(pieces).delta, next(pieces).delta]
    pieces.close()
    return read


@gives(
    """
    CANCELLED
    CHAT_MODEL OpenAI.astream_chat CANCELLED
      CHAT_MODEL chat gpt-4o (duplicate)
    """,
    needs=OPENAI,
)
async def stream_left_async(server):
    server.script(streams("one", " two", " three"))
    pieces = await openai(server).astream_chat(HELLO)
    read = [(await anext(pieces)).delta, (await anext(pieces)).delta]
    await pieces.aclose()
    return read


@gives(
    """
    CANCELLED
    CHAT_MODEL OpenAI.stream_chat CANCELLED
      CHAT_MODEL chat gpt-4o (duplicate)
    """,
    needs=OPENAI,
)
def stream_let_go_of_halfway(server):
    for piece in openai(server).stream_chat(HELLO):
        return piece.delta


@gives(
    """
    CANCELLED
    CHAT_MODEL OpenAI.stream_chat CANCELLED
    """,
    needs=OPENAI,
)
def stream_never_read(server):
    openai(server).stream_chat(HELLO)
    gc.collect()


@gives(
    """
    ERROR
    CHAT_MODEL OpenAI.stream_chat ERROR ReadError
      CHAT_MODEL chat gpt-4o ERROR ReadError (duplicate)
    """,
    needs=OPENAI,
    since=("openai<3",),
)
def stream_that_breaks(server):
    chunks = [answers.chat_delta({"role": "assistant", "content": "one"})]
    server.script(stream_answer(chunks, is_done=False, error=httpx.ReadError("cut")))
    return list(openai(server).stream_chat(HELLO))


@gives(
    """
    OK
    CHAT_MODEL OpenAI.stream_chat
      CHAT_MODEL chat gpt-4o (duplicate)

    OK
    UNKNOWN between
    """,
    needs=OPENAI,
)
def span_between_making_a_stream_and_reading_it(server):
    pieces = openai(server).stream_chat(HELLO)
    with start_span("between"):
        pass
    return list(pieces)


@gives(
    """
    OK 11>7
    UNKNOWN request
      CHAT_MODEL OpenAI.stream_chat
        CHAT_MODEL chat gpt-4o (duplicate)
      UNKNOWN piece
        CHAT_MODEL chat gpt-4o 11>7
      UNKNOWN piece
      UNKNOWN piece
      UNKNOWN piece
      UNKNOWN piece
      UNKNOWN piece
    """,
    needs=OPENAI,
)
def spans_and_calls_between_the_pieces_of_a_stream(server):
    with start_span("request"):
        read = []
        for piece in openai(server).stream_chat(HELLO):
            with start_span("piece"):
                read.append(piece.delta)
                if len(read) == 1:
                    read.append(ask(server))
        return read


@gives(
    """
    OK 22>14
    UNKNOWN request
      CHAT_MODEL OpenAI.stream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      CHAT_MODEL OpenAI.stream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def two_streams_read_by_turns(server):
    server.script(streams("one", " two"), streams("uno", " due"))
    with start_span("request"):
        both = zip(openai(server).stream_chat(HELLO), openai(server).stream_chat(HELLO), strict=True)
        return [(left.delta, right.delta) for left, right in both]


@gives(
    """
    OK 11>7
    CHAIN OpenAI.predict
      CHAT_MODEL OpenAI.chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def prediction(server):
    return openai(server).predict(PROMPT, who="Ada")


@gives(
    """
    OK 11>7
    CHAIN OpenAI.stream
      CHAT_MODEL OpenAI.stream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def prediction_streamed(server):
    return list(openai(server, additional_kwargs=USAGE).stream(PROMPT, who="Ada"))


@gives(
    """
    OK 11>7
    CHAIN OpenAI.astream
      CHAT_MODEL OpenAI.astream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
async def prediction_streamed_async(server):
    pieces = await openai(server, additional_kwargs=USAGE).astream(PROMPT, who="Ada")
    return [piece async for piece in pieces]


@gives(
    """
    OK 11>7
    CHAIN OpenAI.structured_predict
      CHAT_MODEL OpenAI.chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=(*OPENAI, LATER),
)
def structured_prediction(server):
    return openai(server).structured_predict(Person, PROMPT, who="Ada")


@gives(
    """
    ERROR 11>7
    CHAIN OpenAI.structured_predict ERROR ValidationError
      CHAT_MODEL OpenAI.chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=(*OPENAI, LATER),
)
def structured_prediction_that_does_not_fit(server):
    server.script(json_answer(answers.chat({})))
    with pytest.raises(ValidationError) as raised:
        openai(server).structured_predict(Person, PROMPT, who="Ada")
    return raised.value.error_count()


@gives(
    """
    OK 11>7
    CHAIN StructuredLLM.chat
      CHAIN OpenAI.structured_predict
        CHAT_MODEL OpenAI.chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=(*OPENAI, LATER),
)
def structured_model(server):
    return openai(server).as_structured_llm(Person).chat(HELLO)


@gives(
    """
    ERROR
    CHAT_MODEL OpenAI.chat ERROR RateLimitError
      CHAT_MODEL chat gpt-4o ERROR RateLimitError (duplicate)
    """,
    needs=OPENAI,
)
def failing_model(server):
    server.script(429)
    with pytest.raises(Exception, match="fake error 429") as raised:
        openai(server).chat(HELLO)
    return type(raised.value), str(raised.value)


@gives(
    """
    OK 22>14
    UNKNOWN request
      CHAT_MODEL OpenAI.achat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      UNKNOWN afterwards
        CHAT_MODEL chat gpt-4o 11>7
    """,
    needs=OPENAI,
)
async def calls_after_an_awaited_chat(server):
    with start_span("request"):
        await openai(server).achat(HELLO)
        with start_span("afterwards"):
            return await ask_async(server)


@gives(
    """
    OK 11>7
    CHAT_MODEL Reading.chat 11>7
      CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def model_whose_chat_reads_its_own_stream(server):
    class Reading(type(openai(server))):
        def chat(self, messages, **kwargs):
            *_, last = self.stream_chat(messages, **kwargs)
            return last

    return openai(server, kind=Reading, additional_kwargs=USAGE).chat(HELLO)


@gives(
    """
    ERROR
    CHAT_MODEL Failing.stream_chat ERROR ValueError
    """,
    needs=OPENAI,
)
def model_that_fails_with_its_own_stream_in_hand(server):
    class Failing(type(openai(server))):
        def stream_chat(self, messages, **kwargs):
            super().stream_chat(messages, **kwargs)
            raise ValueError("changed my mind")

    with pytest.raises(ValueError, match="changed"):
        openai(server, kind=Failing).stream_chat(HELLO)


class Parrot(CustomLLM):
    """A model of the program's own, whose chats are made of completions."""

    @property
    def metadata(self):
        return LLMMetadata(model_name="parrot-1")

    @llm_completion_callback()
    def complete(self, prompt, formatted=False, **kwargs):
        with start_span("think"):
            return CompletionResponse(text=prompt[-10:])

    @llm_completion_callback()
    def stream_complete(self, prompt, formatted=False, **kwargs):
        def pieces():
            with start_span("think"):
                yield CompletionResponse(text="a", delta="a")
            yield CompletionResponse(text="ab", delta="b")

        return pieces()


@gives(
    """
    OK
    CHAT_MODEL Parrot.chat
      UNKNOWN think
    """,
)
def own_model(server):
    return Parrot().chat(HELLO)


@gives(
    """
    OK
    CHAT_MODEL Parrot.stream_chat
      UNKNOWN think
    """,
)
def own_model_streamed(server):
    return list(Parrot().stream_chat(HELLO))


@gives(
    """
    OK
    CHAT_MODEL MockLLM.chat
    """,
)
def mock_model(server):
    return MockLLM(max_tokens=2).chat([ChatMessage(role="user", content="one two three")])


@gives(
    """
    OK 5>None
    EMBEDDING OpenAIEmbedding.get_text_embedding_batch 5>None
      EMBEDDING embeddings text-embedding-ada-002 5>None (duplicate)
    """,
    needs=EMBEDDINGS,
)
def embeddings(server):
    return embedding(server).get_text_embedding_batch(["one", "two"])


@gives(
    """
    OK 5>None
    EMBEDDING OpenAIEmbedding.aget_query_embedding 5>None
      EMBEDDING embeddings text-embedding-ada-002 5>None (duplicate)
    """,
    needs=EMBEDDINGS,
)
async def embedding_of_a_query(server):
    return await embedding(server).aget_query_embedding("one")
