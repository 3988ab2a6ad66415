"""A weather agent that streams its answer, traced by the one line `autolog()`.

    python examples/agent.py                                    # recorded traffic: no network, no key
    python examples/agent.py --live --model gpt-4.1-mini        # OPENAI_API_KEY, and OPENAI_BASE_URL if it is another's
    python examples/agent.py --live --model gpt-4.1-mini "Do I need a coat in Oslo?"

It needs `openai`, and `vcrpy` for the recorded traffic.
"""

from __future__ import annotations

import json
from typing import Any

from openai import OpenAI
from recorded import CHAT_URL, parse_arguments, recorded_traffic

from autolog import SpanType, autolog, flush, get_last_active_trace_id, get_trace, start_span, store_location

MODEL = "smollm2-135m-instruct"
QUESTION = "What is the weather in Paris?"


def main() -> None:
    """Answer one question, then show the trace of how it was done."""
    autolog()

    arguments = parse_arguments(__doc__, QUESTION, model=MODEL)
    if arguments.live:
        answer(OpenAI(), arguments.model, arguments.asked)
    else:
        with recorded_traffic("openai/tools_stream"):
            answer(OpenAI(base_url=CHAT_URL, api_key="not needed", max_retries=0), MODEL, QUESTION)

    flush()
    trace = get_trace(get_last_active_trace_id())
    print(trace)
    print("stored in", store_location())


def answer(client: OpenAI, model: str, question: str) -> str:
    """Answer the question, calling tools until the model needs no more of them."""
    messages: list[Any] = [{"role": "user", "content": question}]
    with start_span("weather agent", span_type=SpanType.AGENT) as span:
        span.set_inputs({"question": question})
        while True:
            message = ask(client, model, messages)
            messages.append(message)
            if "tool_calls" not in message:
                break
            messages += [use_tool(call) for call in message["tool_calls"]]
        span.set_outputs({"answer": message["content"]})
    return message["content"]


def ask(client: OpenAI, model: str, messages: list[Any]) -> dict[str, Any]:
    """Return the model's next message, and print its text as it comes."""
    stream = client.chat.completions.create(
        model=model,
        messages=messages,
        tools=TOOL_SCHEMAS,
        stream=True,
        stream_options={"include_usage": True},
    )
    text = ""
    calls: dict[int, dict[str, Any]] = {}
    for chunk in stream:
        for choice in chunk.choices:  # the last chunk brings the token usage, and no choice
            if choice.delta.content:
                print(choice.delta.content, end="", flush=True)
                text += choice.delta.content
            for part in choice.delta.tool_calls or ():
                call = calls.setdefault(part.index, {"type": "function", "function": {"name": "", "arguments": ""}})
                if part.id:
                    call["id"] = part.id
                if part.function:
                    call["function"]["name"] += part.function.name or ""
                    call["function"]["arguments"] += part.function.arguments or ""
    if text:
        print()
    message = {"role": "assistant", "content": text or None}
    return {**message, "tool_calls": list(calls.values())} if calls else message


def use_tool(call: dict[str, Any]) -> dict[str, Any]:
    """Run the tool that the model chose; return the message that tells it the result."""
    name = call["function"]["name"]
    arguments = json.loads(call["function"]["arguments"])
    with start_span(name, span_type=SpanType.TOOL) as span:
        span.set_inputs(arguments)
        result = TOOLS[name](**arguments)
        span.set_outputs(result)
    return {"role": "tool", "tool_call_id": call["id"], "content": result}


def get_weather(city: str) -> str:
    """Tell the weather in a city: this agent's only tool."""
    return {
        "Oslo": "snowing, minus 4 degrees Celsius",
        "Paris": "sunny, 18 degrees Celsius",
        "Rome": "cloudy, 23 degrees Celsius",
    }.get(city, "not known")


TOOLS = {"get_weather": get_weather}

TOOL_SCHEMAS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the current weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "Name of the city, such as Rome"}},
                "required": ["city"],
            },
        },
    }
]


if __name__ == "__main__":
    main()
