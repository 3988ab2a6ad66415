"""Traffic that other projects recorded, made again through LangChain: as calls of `ChatOpenAI`, and as agents."""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

pytest.importorskip("yaml", reason="cassettes are YAML")
pytest.importorskip("langchain_openai", reason="needs langchain-openai")
pytest.importorskip("langchain.agents", reason="needs langchain")

from langchain.agents import create_agent
from langchain_core.messages import convert_to_messages
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI

import autolog
from autolog.testing import traces
from tests.integrations.langchain.programs.program import numbered, without_edges
from tests.replay import corpus, drive
from tests.trees import tree

pytestmark = [
    pytest.mark.skipif(
        not corpus.projects(), reason=f"no recorded traffic in {corpus.ROOT.name}; AUTOLOG_CASSETTES names its folder"
    ),
    # Of LangChain and the SDK, about parameters that only old models take.
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning"),
]

CALLS_AT_LEAST = 700
AGENTS_AT_LEAST = 30
# What is given to the model object; the rest of a recorded request goes with the call.
_OF_THE_MODEL = ("model", "temperature", "max_tokens", "max_completion_tokens", "top_p", "seed", "n")
_OF_THE_CALL = ("tools", "functions", "tool_choice", "response_format", "stop", "parallel_tool_calls", "user")


@cache
def calls(project: str) -> tuple[corpus.Exchange, ...]:
    """Return the chat completions that LangChain can ask for again."""
    return tuple(
        exchange
        for exchange in corpus.exchanges(project)
        if exchange.is_readable
        and exchange.method == "post"
        and exchange.path.endswith("/chat/completions")
        and isinstance((exchange.body or {}).get("messages"), list)
        and _converted(exchange.body["messages"]) is not None
    )


def _converted(messages: list[dict[str, Any]]) -> Any:
    try:
        return convert_to_messages([{"content": "", **message} for message in messages])
    except Exception:
        return None


def model_of(exchange: corpus.Exchange, server: Any, **options: Any) -> ChatOpenAI:
    """Return the model as the recorded program may have made it."""
    body = exchange.body
    given = {name: body[name] for name in _OF_THE_MODEL if body.get(name) is not None}
    return ChatOpenAI(
        **{"model": "none", **given},
        api_key="sk-nobody",
        base_url="http://recorded/v1",
        max_retries=0,
        stream_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        http_client=drive.httpx.Client(transport=drive.httpx.MockTransport(server.answer)),
        http_async_client=drive.httpx.AsyncClient(transport=drive.httpx.MockTransport(server.answer_async)),
        **options,
    )


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


def play(exchange: corpus.Exchange, is_async: bool) -> tuple[str, list[Any]]:
    """Make a recorded call again; return what the program got, as text, and what was sent."""
    server = Server([exchange])
    messages = _converted(exchange.body["messages"])
    given = {name: exchange.body[name] for name in _OF_THE_CALL if exchange.body.get(name) is not None}
    is_streamed = bool(exchange.body.get("stream"))
    try:
        model = model_of(exchange, server)
        if is_async:
            result = asyncio.run(_ask(model, messages, given, is_streamed))
        else:
            result = list(model.stream(messages, **given)) if is_streamed else model.invoke(messages, **given)
    except Exception as error:
        result = type(error), str(error)
    return numbered(repr(result)), [sent[:2] + (sent[3],) for sent in server.sent]


async def _ask(model: ChatOpenAI, messages: Any, given: dict[str, Any], is_streamed: bool) -> Any:
    if is_streamed:
        return [chunk async for chunk in model.astream(messages, **given)]
    return await model.ainvoke(messages, **given)


def test_enough_traffic_is_replayed():
    """The tests below must not pass by leaving everything out."""
    assert sum(len(calls(project)) for project in corpus.projects()) >= CALLS_AT_LEAST
    assert sum(len(conversations(project)) for project in corpus.projects()) >= AGENTS_AT_LEAST


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
    models = [span for span in trace.children(trace.root) if span.name == "ChatOpenAI"]
    if not sent and not models:
        return  # LangChain refused to ask
    if len(models) != 1:
        yield f"gave {trace.spans}"
        return
    [span] = models
    failed = result.startswith("(<class ")
    if span.status.is_error != failed:
        yield f"has status {span.status}, and the program got {result[:200]}"
    told = usage_of(exchange.text)
    if exchange.status != 200 or not sent:
        return
    if told and (trace.usage is None or trace.usage.total_tokens != told["total_tokens"]):
        yield f"has {trace.usage}, not {told}"
    if told and not failed and span.usage is not None:
        counts = (span.usage.input_tokens, span.usage.output_tokens)
        if counts != (told["prompt_tokens"], told["completion_tokens"]):
            yield f"counts {counts}, not {told}"
        cached = (told.get("prompt_tokens_details") or {}).get("cached_tokens")
        if (span.usage.cache_read_tokens or 0) != (cached or 0):
            yield f"has {span.usage.cache_read_tokens} cached tokens, not {cached}"
        reasoning = (told.get("completion_tokens_details") or {}).get("reasoning_tokens")
        if (span.usage.reasoning_tokens or 0) != (reasoning or 0):
            yield f"has {span.usage.reasoning_tokens} reasoning tokens, not {reasoning}"


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


# --- agents --------------------------------------------------------------------------------------------------------


@cache
def conversations(project: str) -> tuple[tuple[corpus.Exchange, ...], ...]:
    """Return what may have been an agent: requests of which each has the one before and the results of its calls."""
    found: list[list[corpus.Exchange]] = []
    by_cassette = defaultdict(list)
    for exchange in calls(project):
        by_cassette[exchange.place.partition("#")[0]].append(exchange)
    for exchanges in by_cassette.values():
        begun: list[list[corpus.Exchange]] = []
        for exchange in exchanges:
            if exchange.status != 200 or not exchange.body.get("tools"):
                continue
            above = next((one for one in begun if _goes_on(one[-1], exchange)), None)
            if above is not None:
                above.append(exchange)
            elif exchange.body["messages"][-1]["role"] == "user":
                begun.append([exchange])
        found += [one for one in begun if len(one) > 1 and _is_finished(one[-1])]
    return tuple(tuple(one) for one in found)


def _goes_on(before: corpus.Exchange, exchange: corpus.Exchange) -> bool:
    earlier, now = before.body["messages"], exchange.body["messages"]
    added = now[len(earlier) :]
    return (
        len(added) > 1
        and [_gist(one) for one in now[: len(earlier)]] == [_gist(one) for one in earlier]
        and added[0]["role"] == "assistant"
        and bool(added[0].get("tool_calls"))
        and {one.get("tool_call_id") for one in added[1:]} == {one["id"] for one in added[0]["tool_calls"]}
        and all(one["id"] in before.text for one in added[0]["tool_calls"])
        and before.body.get("stream") == exchange.body.get("stream")
    )


def _gist(message: dict[str, Any]) -> Any:
    return message["role"], message.get("content"), message.get("tool_call_id")


def _is_finished(exchange: corpus.Exchange) -> bool:
    return '"finish_reason":"stop"' in re.sub(r"\s", "", exchange.text)


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content)


def agent_of(conversation: tuple[corpus.Exchange, ...], server: Server) -> Any:
    """Return an agent whose tools say what the recorded ones said."""
    first, last = conversation[0], conversation[-1]
    said = defaultdict(list)
    by_id = {}
    for message in last.body["messages"]:
        for called in message.get("tool_calls") or ():
            by_id[called["id"]] = called["function"]["name"], _same(called["function"]["arguments"])
        if message["role"] == "tool":
            said[by_id[message["tool_call_id"]]].append(text_of(message.get("content")))

    def saying(name: str) -> Any:
        return lambda **arguments: said[name, _same(arguments)][0]  # tools run side by side, in any order

    tools = [
        StructuredTool.from_function(
            saying(tool["function"]["name"]),
            name=tool["function"]["name"],
            description=tool["function"].get("description") or "A tool.",
            args_schema=tool["function"].get("parameters") or {"type": "object", "properties": {}},
        )
        for tool in first.body["tools"]
    ]
    return create_agent(model_of(first, server, disable_streaming=not first.body.get("stream")), tools, name="agent")


def _same(arguments: Any) -> str:
    return json.dumps(json.loads(arguments) if isinstance(arguments, str) else arguments, sort_keys=True)


def run_agent(conversation: tuple[corpus.Exchange, ...], is_async: bool) -> tuple[str, list[Any]]:
    server = Server(list(conversation))
    asked = {"messages": _converted(conversation[0].body["messages"])}
    is_streamed = bool(conversation[0].body.get("stream"))

    async def run(agent: Any) -> Any:
        if is_streamed:
            return [step async for step in agent.astream(asked, stream_mode=["messages", "values"])]
        return await agent.ainvoke(asked)

    try:
        agent = agent_of(conversation, server)
        if is_async:
            result = asyncio.run(run(agent))
        elif is_streamed:
            result = list(agent.stream(asked, stream_mode=["messages", "values"]))
        else:
            result = agent.invoke(asked)
    except Exception as error:
        result = type(error), str(error)
    return numbered(repr(result)), [sent[3] for sent in server.sent]


def tree_of(conversation: tuple[corpus.Exchange, ...]) -> str:
    """Draw what an agent must give: a model each time it was asked, and the tools that it called, by name."""
    lines, total_in, total_out = [], 0, 0
    for exchange, after in zip(conversation, [*conversation[1:], None], strict=True):
        usage = usage_of(exchange.text)
        counts = f" {usage['prompt_tokens']}>{usage['completion_tokens']}" if usage else ""
        total_in += usage["prompt_tokens"] if usage else 0
        total_out += usage["completion_tokens"] if usage else 0
        name = exchange.body.get("model") or "none"
        lines += [f"  TASK model\n    CHAT_MODEL ChatOpenAI{counts}\n      CHAT_MODEL chat {name}{counts} (duplicate)"]
        if after is not None:
            called = after.body["messages"][len(exchange.body["messages"])]["tool_calls"]
            lines += sorted(f"  TASK tools\n    TOOL {one['function']['name']}" for one in called)
    head = f"OK {total_in}>{total_out}" if total_in else "OK"
    return "\n".join([head, "AGENT agent", *lines])


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("project", [project for project in corpus.projects() if conversations(project)])
def test_a_recorded_agent_gives_the_same_traced_or_not_and_its_whole_tree(client, project, is_async):
    untraced = [run_agent(conversation, is_async) for conversation in conversations(project)]
    autolog.autolog()
    wrong = []
    drawn = 0
    for conversation, before in zip(conversations(project), untraced, strict=True):
        place = conversation[0].place
        after = run_agent(conversation, is_async)
        if after != before:
            wrong.append((place, f"gave {after}, not {before}"))
        if len(before[1]) != len(conversation) or before[0].startswith("(<class "):
            continue  # which the agent can't be made again from what was recorded
        trace = traces(client)[-1]
        drawn += 1
        got, expected = in_order(without_edges(tree(trace))), in_order(tree_of(conversation))
        if got != expected:
            wrong.append((place, f"gave\n{got}\nnot\n{expected}"))
    assert wrong == []
    assert drawn > 0


def in_order(text: str) -> str:
    """Sort the tools that one answer called: they run side by side."""
    head, *blocks = re.split(r"\n(?=  TASK )", text)
    for start in range(len(blocks)):
        end = start
        while end < len(blocks) and blocks[end].startswith("  TASK tools"):
            end += 1
        blocks[start:end] = sorted(blocks[start:end])
    return "\n".join([head, *blocks])


AGENTS = {
    # OpenLLMetry's agent that searches the web.
    "test_agents/test_agents.yaml": """
OK
AGENT agent
  TASK model
    CHAT_MODEL ChatOpenAI
      CHAT_MODEL chat gpt-3.5-turbo (duplicate)
  TASK tools
    TOOL tavily_search_results_json
  TASK model
    CHAT_MODEL ChatOpenAI
      CHAT_MODEL chat gpt-3.5-turbo (duplicate)
""",
    # The agents of Microsoft's own tests of LangChain and LangGraph.
    "test_agent_with_tool_records_tool_span.yaml": """
OK 144>32
AGENT agent
  TASK model
    CHAT_MODEL ChatOpenAI 51>15
      CHAT_MODEL chat gpt-4.1 51>15 (duplicate)
  TASK tools
    TOOL get_weather
  TASK model
    CHAT_MODEL ChatOpenAI 93>17
      CHAT_MODEL chat gpt-4.1 93>17 (duplicate)
""",
    "test_langgraph_agent_loop_records_spans.yaml": """
OK 225>27
AGENT agent
  TASK model
    CHAT_MODEL ChatOpenAI 99>18
      CHAT_MODEL chat gpt-4.1 99>18 (duplicate)
  TASK tools
    TOOL add_numbers
  TASK model
    CHAT_MODEL ChatOpenAI 126>9
      CHAT_MODEL chat gpt-4.1 126>9 (duplicate)
""",
}


@pytest.mark.parametrize("name", AGENTS)
def test_a_recorded_agent_gives_this_tree(traced, name):
    found = [one for project in corpus.projects() for one in conversations(project) if name in one[0].place]
    if not found:
        pytest.skip("not among what was recorded")
    run_agent(found[0], is_async=False)

    assert without_edges(tree(traces(traced)[0])) == AGENTS[name].strip()
