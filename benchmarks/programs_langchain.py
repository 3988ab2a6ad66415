"""Programs of LangChain and LangGraph whose model is a function in this process: fixed answers, no sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypedDict

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from workload import Workload

CALLBACKS: list[Any] = []
"""What is passed to every run, for a tracer that wants to be passed to it."""
_CONFIG: Any = {"callbacks": CALLBACKS}
_ANSWER = "The answer is written in words of some length, as they are. " * 10
_CHUNKS = 20
_QUESTION = {"question": "What is to be done about the late orders of last week?"}
_USAGE: Any = {"input_tokens": 250, "output_tokens": 150, "total_tokens": 400}
_MADE_BY = {"model_name": "gpt-4o-mini-2024-07-18", "finish_reason": "stop", "model_provider": "openai"}
_LARGE = 200
"""Messages of 2 KB in a large state."""


class FixedAnswers(BaseChatModel):
    """Answers at once; calls a tool first where it is given one."""

    model_name: str = "gpt-4o-mini"
    calls_tools: bool = False

    @property
    def _llm_type(self) -> str:
        return "fixed-answers"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, AIMessage]:
        """Take them as the models of providers do."""
        described = [{"type": "function", "function": {"name": each.name}} for each in tools]
        return self.model_copy(update={"calls_tools": True}).bind(tools=described, **kwargs)

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        text, calls = _ANSWER, []
        if self.calls_tools and not isinstance(messages[-1], ToolMessage):
            text, calls = "", [{"name": "lookup", "args": {"query": "late orders"}, "id": "call_1"}]
        message = AIMessage(text, tool_calls=calls, usage_metadata=_USAGE, response_metadata=dict(_MADE_BY))
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return self._generate(messages)

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for number in range(_CHUNKS):
            yield ChatGenerationChunk(message=AIMessageChunk(f"word{number} "))
        yield ChatGenerationChunk(message=AIMessageChunk("", usage_metadata=_USAGE, response_metadata=dict(_MADE_BY)))

    async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._stream():
            yield chunk


class _Order(TypedDict, total=False):
    question: str
    draft: str
    answer: str


class _Conversation(TypedDict, total=False):
    messages: list[BaseMessage]
    answer: str


@tool
def lookup(query: str) -> str:
    """Look orders up."""
    return f"3 orders of {query}"


def _chain() -> Runnable[Any, str]:
    prompt = ChatPromptTemplate.from_messages([("system", "You are a helpful assistant."), ("human", "{question}")])
    return prompt | FixedAnswers() | StrOutputParser()


def _graph() -> Any:
    model = FixedAnswers()

    def draft(state: _Order) -> _Order:
        return {"draft": model.invoke(state["question"]).text}

    def polish(state: _Order) -> _Order:
        return {"answer": state["draft"].strip()}

    graph = StateGraph(_Order)
    graph.add_node("draft", draft)
    graph.add_node("polish", polish)
    graph.add_edge(START, "draft")
    graph.add_edge("draft", "polish")
    graph.add_edge("polish", END)
    return graph.compile()


def programs() -> dict[str, Callable[[], object]]:
    """Return each program by its name."""
    chain, graph, agent = _chain(), _graph(), create_agent(FixedAnswers(), tools=[lookup])
    loop = asyncio.new_event_loop()
    asked: Any = {"messages": [HumanMessage(_QUESTION["question"])]}

    def stream() -> None:
        for _ in chain.stream(_QUESTION, _CONFIG):
            pass

    return {
        "invoke": lambda: chain.invoke(_QUESTION, _CONFIG),
        "ainvoke": lambda: loop.run_until_complete(chain.ainvoke(_QUESTION, _CONFIG)),
        "stream": stream,
        "graph": lambda: graph.invoke(_QUESTION, _CONFIG),
        "agent": lambda: agent.invoke(asked, _CONFIG),
    }


def large_graph() -> Callable[[], Coroutine[Any, Any, object]]:
    """Return a run of a graph that hands a large state from node to node, and to a model."""
    model, text = FixedAnswers(), Workload().text
    state: Any = {"messages": [HumanMessage(text(400)[:2_000]) for _ in range(_LARGE)]}

    async def read(state: _Conversation) -> _Conversation:
        await asyncio.sleep(0)
        return {"messages": [*state["messages"]]}

    async def answer(state: _Conversation) -> _Conversation:
        return {"answer": (await model.ainvoke(state["messages"])).text}

    graph = StateGraph(_Conversation)
    graph.add_node("read", read)
    graph.add_node("answer", answer)
    graph.add_edge(START, "read")
    graph.add_edge("read", "answer")
    graph.add_edge("answer", END)
    compiled = graph.compile()
    return lambda: compiled.ainvoke(state, _CONFIG)
