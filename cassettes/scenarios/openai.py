"""Calls of the OpenAI SDK itself: every endpoint, plain, streamed, async, in the raw and refused."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import openai
from openai import AsyncOpenAI, OpenAI

from cassettes.scenarios import scenario
from cassettes.scenarios.scenario import MODEL, Person, Servers, load_example

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai.types import Completion, CreateEmbeddingResponse
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
    from openai.types.responses import Response, ResponseStreamEvent

QUESTION: list[Any] = [{"role": "user", "content": scenario.QUESTION}]
ALICE: list[Any] = [{"role": "user", "content": scenario.ALICE}]


@dataclass(frozen=True, slots=True)
class Scenario(scenario.Scenario):
    """A call, or a few: `run` takes an OpenAI client, or an AsyncOpenAI one if it is a coroutine function."""

    library: str = "openai"

    since: tuple[int, int] = (1, 3)
    """The oldest openai that can make the call; (1, 3) is the oldest that is tried at all."""

    is_embedding: bool = False
    """Whether the server of the chat model has to be started for embeddings: llama-server serves one or the other."""

    @property
    def name(self) -> str:
        """What it is called by: the name of its function."""
        return self.run.__name__

    @property
    def is_supported(self) -> bool:
        """Whether the installed openai is new enough."""
        major, minor = openai.__version__.split(".")[:2]
        return (int(major), int(minor)) >= self.since

    def subject(self, servers: Servers, **options: Any) -> Any:
        """Make a client of the kind that `run` takes. It never tries twice: a second request is not in the cassette."""
        kind = AsyncOpenAI if self.is_async else OpenAI
        return kind(**{"base_url": servers.chat_url, "api_key": servers.api_key, "max_retries": 0, **options})

    def play(self, servers: Servers, run: Callable[[Any], Any] = asyncio.run) -> Any:
        """Run the scenario to its end; return its result, or the error that it is meant to raise."""
        try:
            if self.is_async:
                return run(self._play_async(servers))
            with self.subject(servers) as client:
                return self.run(client)
        except self.error as error:
            return error

    async def _play_async(self, servers: Servers) -> Any:
        async with self.subject(servers) as client:
            return await self.run(client)


# Chat completions


def chat(client: OpenAI) -> ChatCompletion:
    """One question, one answer."""
    return client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=24, temperature=0, seed=7)


async def chat_async(client: AsyncOpenAI) -> ChatCompletion:
    """The same with a system message, by the async client."""
    messages: list[Any] = [{"role": "system", "content": "Answer with one word."}, *QUESTION]
    return await client.chat.completions.create(model=MODEL, messages=messages, max_tokens=24, temperature=0, seed=7)


def chat_stream_usage(client: OpenAI) -> list[ChatCompletionChunk]:
    """The last chunk carries the usage, and no choice."""
    stream = client.chat.completions.create(
        model=MODEL,
        messages=QUESTION,
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=24,
        temperature=0,
        seed=7,
    )
    return list(stream)


def chat_stream(client: OpenAI) -> list[ChatCompletionChunk]:
    """Nothing carries the usage."""
    stream = client.chat.completions.create(
        model=MODEL, messages=QUESTION, stream=True, max_tokens=24, temperature=0, seed=7
    )
    return list(stream)


def chat_n2(client: OpenAI) -> ChatCompletion:
    """Two choices."""
    messages: list[Any] = [{"role": "user", "content": "Name an animal."}]
    return client.chat.completions.create(model=MODEL, messages=messages, n=2, max_tokens=8, temperature=1, seed=7)


def chat_logprobs(client: OpenAI) -> ChatCompletion:
    """Four tokens with their log probabilities; the answer ends for its length."""
    return client.chat.completions.create(
        model=MODEL, messages=QUESTION, logprobs=True, top_logprobs=2, max_tokens=4, temperature=0, seed=7
    )


# Tools

POPULATION: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "get_population",
            "description": "Look up how many people live in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]


def tools(client: OpenAI) -> list[ChatCompletion]:
    """The model calls a tool, is told the result, and answers."""
    messages: list[Any] = [{"role": "user", "content": "How many people live in Tokyo?"}]
    asked = client.chat.completions.create(
        model=MODEL, messages=messages, tools=POPULATION, tool_choice="auto", max_tokens=64, temperature=0, seed=7
    )
    [call] = asked.choices[0].message.tool_calls or []
    messages += [
        {"role": "assistant", "content": None, "tool_calls": [call.model_dump()]},
        {"role": "tool", "tool_call_id": call.id, "content": "14 million people live in Tokyo."},
    ]
    answered = client.chat.completions.create(
        model=MODEL, messages=messages, tools=POPULATION, max_tokens=64, temperature=0, seed=7
    )
    return [asked, answered]


def tools_stream(client: OpenAI) -> str:
    """The agent of the examples, whole: a streamed tool call, the tool's result, a streamed answer."""
    agent = load_example("agent")
    answer: str = agent.answer(client, agent.MODEL, agent.QUESTION)
    return answer


# Structured answers


def structured_parse(client: OpenAI) -> Any:
    """The SDK makes an object of the answer."""
    return client.chat.completions.parse(
        model=MODEL, messages=ALICE, response_format=Person, max_tokens=48, temperature=0, seed=7
    )


def structured_stream(client: OpenAI) -> Any:
    """The same, streamed by the SDK's helper."""
    with client.chat.completions.stream(
        model=MODEL,
        messages=ALICE,
        response_format=Person,
        stream_options={"include_usage": True},
        max_tokens=48,
        temperature=0,
        seed=7,
    ) as stream:
        return stream.get_final_completion()


# Plain completions


def completions(client: OpenAI) -> Completion:
    """The endpoint before chats."""
    return client.completions.create(
        model=MODEL, prompt="The three primary colours are", max_tokens=24, temperature=0, seed=7
    )


def completions_stream(client: OpenAI) -> list[Completion]:
    """The same, streamed."""
    stream = client.completions.create(
        model=MODEL,
        prompt="The three primary colours are",
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=24,
        temperature=0,
        seed=7,
    )
    return list(stream)


# Responses


def responses(client: OpenAI) -> Response:
    """One question, one answer."""
    return client.responses.create(
        model=MODEL, instructions="Answer in one sentence.", input="What is rain?", max_output_tokens=32, temperature=0
    )


def responses_stream(client: OpenAI) -> list[ResponseStreamEvent]:
    """The same in events; the last one carries the whole response."""
    stream = client.responses.create(
        model=MODEL, input="What is the capital of Italy?", max_output_tokens=24, temperature=0, stream=True
    )
    return list(stream)


def responses_stream_helper(client: OpenAI) -> Any:
    """The SDK itself fails in the middle of an answer of status 200.

    llama-server sends no `output` to start with and no `output_index`, and the helper puts the answer together by them
    (openai/lib/streaming/responses/_responses.py, accumulate_event): AttributeError in openai 1 and 2, TypeError in 3.
    """
    with client.responses.stream(
        model=MODEL, input="What is the capital of Spain?", max_output_tokens=24, temperature=0
    ) as stream:
        return stream.get_final_response()


# Embeddings


def embeddings(client: OpenAI) -> CreateEmbeddingResponse:
    """Two texts; the SDK asks for base64 and decodes it."""
    return client.embeddings.create(model=MODEL, input=["Rain falls on the hills.", "The market opened higher."])


# Answers that the caller reads in the raw


def raw_response(client: OpenAI) -> Any:
    """The caller gets the HTTP response and may parse it, or not."""
    return client.chat.completions.with_raw_response.create(
        model=MODEL, messages=QUESTION, max_tokens=24, temperature=0, seed=7
    )


def streaming_response(client: OpenAI) -> list[str]:
    """The caller reads the stream line by line, and no object is made of it."""
    with client.chat.completions.with_streaming_response.create(
        model=MODEL,
        messages=QUESTION,
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=24,
        temperature=0,
        seed=7,
    ) as response:
        return list(response.iter_lines())


# Failures


def error_400(client: OpenAI) -> ChatCompletion:
    """The prompt is longer than the model's context."""
    messages: list[Any] = [{"role": "user", "content": "again " * 1200}]
    return client.chat.completions.create(model=MODEL, messages=messages, max_tokens=24, temperature=0, seed=7)


def error_401(client: OpenAI) -> ChatCompletion:
    """The key is wrong."""
    return client.with_options(api_key="sk-wrong").chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=24, temperature=0, seed=7
    )


def error_404(client: OpenAI) -> Any:
    """The server has no moderation."""
    return client.moderations.create(input="Is this fine to say?")


def error_501(client: OpenAI) -> CreateEmbeddingResponse:
    """The server was started for chat alone."""
    return client.embeddings.create(model=MODEL, input="Rain falls on the hills.", encoding_format="float")


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(chat),
        Scenario(chat_async),
        Scenario(chat_stream_usage, since=(1, 26)),
        Scenario(chat_stream),
        Scenario(chat_n2),
        Scenario(chat_logprobs, since=(1, 5)),
        Scenario(tools),
        Scenario(tools_stream, since=(1, 26)),
        Scenario(structured_parse, since=(1, 92)),
        Scenario(structured_stream, since=(1, 92)),
        Scenario(completions),
        Scenario(completions_stream, since=(1, 26)),
        Scenario(responses, since=(1, 66)),
        Scenario(responses_stream, since=(1, 66)),
        Scenario(responses_stream_helper, since=(1, 66), error=(TypeError, AttributeError)),
        Scenario(embeddings, since=(1, 63), is_embedding=True),
        Scenario(raw_response),
        Scenario(streaming_response, since=(1, 26)),
        Scenario(error_400, error=(openai.BadRequestError,)),
        Scenario(error_401, error=(openai.AuthenticationError,)),
        Scenario(error_404, error=(openai.NotFoundError,)),
        Scenario(error_501, error=(openai.InternalServerError,)),
    )
}
