"""A LangGraph agent with two tools and a memory of the conversation, traced by the one line `autolog()`.

    python examples/langgraph_agent.py                          # recorded traffic: no network, no key
    python examples/langgraph_agent.py --live --model gpt-4.1-mini "Do I need a coat in Oslo?" "And in Rome?"

It needs `langgraph` and `langchain-openai`, and `vcrpy` for the recorded traffic.
"""

from __future__ import annotations

from typing import Any

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from recorded import CHAT_URL, parse_arguments, recorded_traffic

from autolog import autolog, flush, get_last_active_trace_id, get_trace, store_location

MODEL = "smollm2-135m-instruct"
QUESTIONS = ["What is the weather in Paris?", "How many people live in Rome?"]


def main() -> None:
    """Answer some questions in one conversation, and show the trace of each."""
    autolog()

    arguments = parse_arguments(__doc__, QUESTIONS, model=MODEL)
    if arguments.live:
        converse(ChatOpenAI(model=arguments.model), arguments.asked)
    else:
        with recorded_traffic("langchain/graph"):
            converse(ChatOpenAI(model=MODEL, base_url=CHAT_URL, api_key="not needed", max_retries=0), QUESTIONS)
    print("stored in", store_location())


def converse(chat: ChatOpenAI, questions: list[str]) -> None:
    """Answer one question after the other; print each answer and how it was made."""
    agent = build(chat)
    for question in questions:
        print(answer(agent, question))
        flush()
        print(get_trace(get_last_active_trace_id()))


def answer(agent: Any, question: str) -> str:
    """Ask the next question of the conversation."""
    thread = {"configurable": {"thread_id": "visitor"}}
    state = agent.invoke({"messages": [{"role": "user", "content": question}]}, thread)
    return state["messages"][-1].text


def build(chat: ChatOpenAI) -> Any:
    """Make a graph: the model, then its tools, then the model again until it calls none."""
    ready = chat.bind_tools(TOOLS)

    def model(state: MessagesState) -> dict[str, Any]:
        return {"messages": [ready.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", model)
    graph.add_node("tools", ToolNode(TOOLS))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph.compile(checkpointer=InMemorySaver(), name="guide")


@tool
def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    return {
        "Oslo": "snowing, minus 4 degrees Celsius",
        "Paris": "sunny, 18 degrees Celsius",
        "Rome": "cloudy, 23 degrees Celsius",
    }.get(city, "not known")


@tool
def get_population(city: str) -> str:
    """Look up how many people live in a city."""
    return {"Oslo": "700 thousand", "Paris": "2 million", "Rome": "3 million"}.get(city, "not known")


TOOLS = [get_weather, get_population]


if __name__ == "__main__":
    main()
