"""Traffic that other projects recorded, made again through LlamaIndex: as calls of its models, as agents, as queries."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

pytest.importorskip("yaml", reason="cassettes are YAML")
pytest.importorskip("llama_index.llms.openai_like", reason="needs llama-index-llms-openai-like")
pytest.importorskip("llama_index.embeddings.openai", reason="needs llama-index-embeddings-openai")

from llama_index.core import VectorStoreIndex
from llama_index.core.agent.workflow import ReActAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.schema import TextNode
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai.utils import from_openai_message_dicts
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

import autolog
from autolog.testing import traces
from tests.integrations.llama_index.programs.program import LATER
from tests.programs import is_installed
from tests.replay import corpus, drive
from tests.trees import forest

pytestmark = [
    pytest.mark.skipif(
        not corpus.projects(), reason=f"no recorded traffic in {corpus.ROOT.name}; AUTOLOG_CASSETTES names its folder"
    ),
    pytest.mark.skipif(not is_installed(LATER), reason="LlamaIndex itself works otherwise before 0.14"),
]

CALLS_AT_LEAST = 700
LLAMA_INDEX = "opentelemetry-instrumentation-llamaindex"
_OF_THE_MODEL = ("model", "temperature", "max_tokens")
_OF_THE_CALL = (
    "tools",
    "tool_choice",
    "response_format",
    "stop",
    "parallel_tool_calls",
    "user",
    "top_p",
    "seed",
    "stream_options",
    "max_completion_tokens",
)


@cache
def calls(project: str) -> tuple[corpus.Exchange, ...]:
    """Return the chat completions that LlamaIndex can ask for again."""
    return tuple(
        exchange
        for exchange in corpus.exchanges(project)
        if exchange.is_readable
        and exchange.method == "post"
        and exchange.path.endswith("/chat/completions")
        and isinstance((exchange.body or {}).get("messages"), list)
        and _converted(exchange) is not None
    )


def recorded(name: str) -> list[corpus.Exchange]:
    """Return the exchanges of one of LlamaIndex's own cassettes."""
    return [one for one in corpus.exchanges("traceloop") if LLAMA_INDEX in one.place and f"/{name}.yaml" in one.place]


def _converted(exchange: corpus.Exchange) -> list[ChatMessage] | None:
    try:
        return from_openai_message_dicts(exchange.body["messages"])
    except (KeyError, TypeError, ValueError):
        return None


class Server(drive._Server):
    """Gives the recorded answers, one after the other, and keeps what it was asked."""

    def __init__(self, exchanges: list[corpus.Exchange]) -> None:
        super().__init__(is_whole=False)
        self.left = list(exchanges)

    def answer(self, request: Any) -> Any:
        if self.left:
            self.exchange = self.left.pop(0)
        return super().answer(request)

    async def answer_async(self, request: Any) -> Any:
        return self.answer(request)

    @property
    def clients(self) -> dict[str, Any]:
        return {
            "http_client": drive.httpx.Client(transport=drive.httpx.MockTransport(self.answer)),
            "async_http_client": drive.httpx.AsyncClient(transport=drive.httpx.MockTransport(self.answer_async)),
        }


def model_of(exchange: corpus.Exchange, server: Server) -> OpenAILike:
    """Return the model as the recorded program may have made it."""
    given = {name: exchange.body[name] for name in _OF_THE_MODEL if exchange.body.get(name) is not None}
    return OpenAILike(
        **{"model": "none", **given},
        api_key="sk-nobody",
        api_base="http://recorded/v1",
        max_retries=0,
        is_chat_model=True,
        is_function_calling_model=True,
        should_use_structured_outputs=True,
        **server.clients,
    )


def play(exchange: corpus.Exchange, is_async: bool) -> tuple[str, list[Any]]:
    """Make a recorded call again; return what the program got, as text, and what was sent."""
    server = Server([exchange])
    messages = _converted(exchange)
    given = {name: exchange.body[name] for name in _OF_THE_CALL if exchange.body.get(name) is not None}
    is_streamed = bool(exchange.body.get("stream"))
    model = model_of(exchange, server)
    try:
        if is_async:
            result = asyncio.run(_ask(model, messages, given, is_streamed))
        else:
            result = list(model.stream_chat(messages, **given)) if is_streamed else model.chat(messages, **given)
    except Exception as error:
        result = type(error), str(error)
    return repr(result), [(*sent[:2], sent[3]) for sent in server.sent]


async def _ask(model: OpenAILike, messages: list[ChatMessage], given: dict[str, Any], is_streamed: bool) -> Any:
    if is_streamed:
        return [piece async for piece in await model.astream_chat(messages, **given)]
    return await model.achat(messages, **given)


def test_enough_traffic_is_replayed():
    """The test below must not pass by leaving everything out."""
    assert sum(len(calls(project)) for project in corpus.projects()) >= CALLS_AT_LEAST


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("project", corpus.projects())
def test_a_recorded_call_gives_the_same_traced_or_not_and_the_tokens_that_the_server_counted(client, project, is_async):
    untraced = [play(exchange, is_async) for exchange in calls(project)]
    autolog.autolog()
    wrong = []
    for exchange, before in zip(calls(project), untraced, strict=True):
        with autolog.start_span(exchange.place):
            after = play(exchange, is_async)
        if after != before:
            wrong.append((exchange.place, f"gave {after}, not {before}"))

    found = {trace.root.name: trace for trace in traces(client)}
    wrong += [
        (exchange.place, problem)
        for exchange, (result, sent) in zip(calls(project), untraced, strict=True)
        for problem in mistakes(exchange, result, sent, found[exchange.place])
    ]
    assert wrong == []


def mistakes(exchange: corpus.Exchange, result: str, sent: list[Any], trace: Any) -> Iterator[str]:
    """What the spans of a call tell wrongly."""
    try:
        [span] = trace.children(trace.root)
    except ValueError:
        yield f"gave {trace.spans}"
        return
    failed = result.startswith("(<class ")
    if span.status.is_error != failed:
        yield f"has status {span.status}, and the program got {result[:200]}"
    told = usage_of(exchange.text)
    if exchange.status != 200 or not sent:
        return
    if told and (trace.usage is None or trace.usage.total_tokens != told["total_tokens"]):
        yield f"has {trace.usage}, not {told}"
    if told and not failed:
        usage = span.usage
        counts = usage and (usage.input_tokens, usage.output_tokens)
        if counts != (told["prompt_tokens"], told["completion_tokens"]):
            yield f"counts {counts}, not {told}"
    finished = re.findall(r'"finish_reason":\s*"(\w+)"', exchange.text)
    if finished and not failed and (span.attributes.get("gen_ai.response.finish_reasons") or [None])[0] != finished[0]:
        yield f"finished for {span.attributes.get('gen_ai.response.finish_reasons')}, not {finished}"


def usage_of(text: str) -> dict[str, Any] | None:
    """Return the last usage in an answer, streamed or not."""
    found = None
    for part in re.findall(r"^data:\s*(\{.*\})\s*$", text, re.MULTILINE) or [text]:
        try:
            usage = json.loads(part).get("usage")
        except (ValueError, AttributeError):
            continue
        found = usage or found
    return found


def tokens(*exchanges: corpus.Exchange) -> str:
    usages = [usage_of(exchange.text) for exchange in exchanges]
    return f"{sum(one['prompt_tokens'] for one in usages)}>{sum(one['completion_tokens'] for one in usages)}"


# --- what LlamaIndex's own programs did --------------------------------------------------------------


def multiply(a: int, b: int) -> int:
    """Multiply two integers."""
    return a * b


@pytest.mark.parametrize(
    ("cassette", "first"),
    [("test_agents_and_tools", 0), ("test_agents_and_tools", 3), ("test_agents_and_tools_with_events_with_content", 0)],
)
def test_a_recorded_agent_that_reasons_gives_the_same_traced_or_not_and_its_whole_tree(client, cassette, first):
    asked, answered = exchanges = recorded(cassette)[first : first + 2]

    async def run() -> str:
        llm = model_of(asked, Server(exchanges))
        agent = ReActAgent(name="calculator", tools=[multiply], llm=llm, streaming=False)
        return str(await agent.run("What is 2 times 3?"))

    untraced = asyncio.run(run())
    autolog.autolog()
    assert asyncio.run(run()) == untraced

    name = asked.body["model"]
    one, two = tokens(asked), tokens(answered)
    assert "6" in untraced
    assert forest(client) == "\n".join(
        [
            f"OK {tokens(asked, answered)}",
            "AGENT calculator",
            f"  CHAT_MODEL OpenAILike.achat {one}",
            f"    CHAT_MODEL chat {name} {one} (duplicate)",
            "  PARSER ReActOutputParser.parse",
            "  TOOL multiply",
            f"  CHAT_MODEL OpenAILike.achat {two}",
            f"    CHAT_MODEL chat {name} {two} (duplicate)",
            "  PARSER ReActOutputParser.parse",
        ]
    )


@pytest.mark.parametrize("first", [0, 3])
def test_a_recorded_query_gives_the_same_traced_or_not_and_its_whole_tree(client, first):
    indexed, searched, answered = recorded("test_rag_with_chroma")[first : first + 3]

    def run() -> Any:
        server = Server([indexed, searched, answered])
        embedding = OpenAIEmbedding(
            model=indexed.body["model"],
            api_key="sk-nobody",
            api_base="http://recorded/v1",
            max_retries=0,
            **server.clients,
        )
        texts = indexed.body["input"]
        nodes = [TextNode(id_=f"node {number}", text=text) for number, text in enumerate(texts)]
        index = VectorStoreIndex(nodes, embed_model=embedding, insert_batch_size=len(nodes))
        return str(index.as_query_engine(llm=model_of(answered, server)).query(searched.body["input"][0]))

    embedding_batch = len(indexed.body["input"])
    untraced = run()
    autolog.autolog()
    assert run() == untraced
    trace = traces(client)[-1]

    assert embedding_batch > 0
    assert trace.root.outputs["text"] == untraced
    [model] = [span for span in trace.spans if span.name == "OpenAILike.chat"]
    assert f"{model.usage.input_tokens}>{model.usage.output_tokens}" == tokens(answered)
    [query] = [span for span in trace.spans if span.name == "OpenAIEmbedding.get_query_embedding"]
    assert query.usage.input_tokens == usage_of(searched.text)["prompt_tokens"]


class Invoice(BaseModel):
    """What the recorded program asked for."""

    invoice_id: str
    amount: float
    customer_name: str | None = None


@pytest.mark.parametrize(
    "cassette", ["test_structured_llm_model_attributes", "test_structured_llm_achat_model_attributes"]
)
def test_a_recorded_structured_answer_gives_the_same_traced_or_not_and_its_tokens(client, cassette):
    [exchange] = recorded(cassette)

    def run() -> Any:
        model = model_of(exchange, Server([exchange])).as_structured_llm(Invoice)
        try:
            return repr(model.chat(_converted(exchange)))
        except Exception as error:
            return type(error), str(error)

    untraced = run()
    autolog.autolog()
    assert run() == untraced
    [trace] = traces(client)

    assert f"{trace.usage.input_tokens}>{trace.usage.output_tokens}" == tokens(exchange)
    assert trace.root.name == "StructuredLLM.chat"
