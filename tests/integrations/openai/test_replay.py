"""Traffic that other projects recorded, made again through the SDK: the program sees the same, and the span tells it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache
from typing import Any

import pytest

pytest.importorskip("yaml", reason="cassettes are YAML")

import openai

import autolog
from autolog import SpanType
from autolog.testing import traces
from tests.replay import corpus, drive

VERSION = tuple(int(part) for part in openai.__version__.split(".")[:2])
pytestmark = [
    pytest.mark.skipif(
        not corpus.projects(), reason=f"no recorded traffic in {corpus.ROOT.name}; AUTOLOG_CASSETTES names its folder"
    ),
    pytest.mark.skipif(VERSION < (1, 66), reason="openai before 1.66 has no responses.create"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

CALLS_AT_LEAST = 1_200

TYPES = {
    "chat.completions.create": (SpanType.CHAT_MODEL, "chat"),
    "completions.create": (SpanType.LLM, "text_completion"),
    "responses.create": (SpanType.CHAT_MODEL, "chat"),
    "embeddings.create": (SpanType.EMBEDDING, "embeddings"),
    "moderations.create": (SpanType.GUARDRAIL, "moderation"),
    "images.generate": (SpanType.LLM, "generate_content"),
    "audio.speech.create": (SpanType.LLM, "generate_content"),
    "audio.transcriptions.create": (SpanType.LLM, "generate_content"),
    "beta.threads.runs.create": (SpanType.AGENT, "invoke_agent"),
    "beta.threads.runs.submit_tool_outputs": (SpanType.AGENT, "invoke_agent"),
    "beta.threads.runs.retrieve": (SpanType.TASK, "fetch_run"),
}
"""The type of the span that each method gives, and its operation. Any other method gives no span."""
# Where each count of a recorded usage must be found; the first name is chat's, the second that of responses.
COUNTS = {
    "input_tokens": (("prompt_tokens",), ("input_tokens",)),
    "output_tokens": (("completion_tokens",), ("output_tokens",)),
    "total_tokens": (("total_tokens",),),
    "cache_read_tokens": (("prompt_tokens_details", "cached_tokens"), ("input_tokens_details", "cached_tokens")),
    "reasoning_tokens": (
        ("completion_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "reasoning_tokens"),
    ),
    "input_audio_tokens": (("prompt_tokens_details", "audio_tokens"), ("input_token_details", "audio_tokens")),
    "input_text_tokens": (("prompt_tokens_details", "text_tokens"), ("input_token_details", "text_tokens")),
    "input_image_tokens": (("prompt_tokens_details", "image_tokens"), ("input_tokens_details", "image_tokens")),
    "output_audio_tokens": (("completion_tokens_details", "audio_tokens"),),
    "accepted_prediction_tokens": (("completion_tokens_details", "accepted_prediction_tokens"),),
    "rejected_prediction_tokens": (("completion_tokens_details", "rejected_prediction_tokens"),),
}


@cache
def calls(project: str) -> list[drive.Call]:
    return drive.calls(corpus.exchanges(project))


def test_enough_traffic_is_replayed():
    """The tests below must not pass by leaving everything out."""
    assert sum(len(calls(project)) for project in corpus.projects()) >= CALLS_AT_LEAST


@pytest.mark.parametrize("flavour", drive.FLAVOURS)
@pytest.mark.parametrize("project", corpus.projects())
def test_a_recorded_call_gives_the_same_traced_or_not_and_one_span_that_tells_it(client, project, flavour):
    untraced = drive.replay(calls(project), flavour, lambda call: nullcontext())
    autolog.autolog()
    traced = drive.replay(calls(project), flavour, lambda call: autolog.start_span(call.exchange.place))

    found = {trace.root.name: trace.children(trace.root) for trace in traces(client)}
    wrong = [
        (call.exchange.place, problem)
        for call, before, after in zip(calls(project), untraced, traced, strict=True)
        for problem in (*changes(before, after), *mistakes(call, after, found[call.exchange.place]))
    ]
    assert wrong == []


def changes(before: drive.Outcome, after: drive.Outcome) -> Iterator[str]:
    """What the program or the server could tell tracing by."""
    if before.sent != after.sent:
        yield f"sent {after.sent}, not {before.sent}"
    if before.error != after.error:
        yield f"raised {after.error}, not {before.error}"
    if before.result != after.result:
        yield f"returned {after.result}, not {before.result}"


def mistakes(call: drive.Call, outcome: drive.Outcome, spans: list[Any]) -> Iterator[str]:
    """What the spans of a call tell wrongly."""
    if call.method not in TYPES:
        yield from (f"gave {span}" for span in spans)
        return
    if len(spans) != 1:
        yield f"gave {spans}, not one span"
        return
    [span] = spans
    span_type, operation = TYPES[call.method]
    if (span.span_type, span.name) != (span_type, " ".join([operation, *model_of(call)])):
        yield f"is a {span.span_type} called {span.name!r}"
    bodies = recorded_bodies(call.exchange.text)
    raised = outcome.error is not None and not outcome.is_parsing
    failed = raised or any(has_failed(body) for body in bodies)
    if span.status.is_error != failed:
        yield f"has status {span.status}, and failed is {failed}"
    if span.get_attribute("http.response.status_code") != call.exchange.status:
        yield f"has not HTTP status {call.exchange.status}"
    # Polling for a run tells its tokens again; they count where they were told first.
    if call.method != "beta.threads.runs.retrieve":
        yield from wrong_counts(span.usage, recorded_usage(bodies))
    if outcome.error is None and bodies and (call.exchange.body or {}).get("stream"):
        yield from wrong_texts(span.outputs, bodies)


def model_of(call: drive.Call) -> list[str]:
    model = call.arguments.get("model")
    return [model] if model else []


def wrong_counts(usage: Any, recorded: dict[str, Any] | None) -> Iterator[str]:
    if not recorded:
        if usage is not None:
            yield f"has usage {usage} where none was recorded"
        return
    if usage is None:
        yield f"has no usage where {recorded} was recorded"
        return
    for name, places in COUNTS.items():
        told = next((count for place in places if (count := at(recorded, place)) is not None), None)
        if name == "total_tokens" and told is None:
            told = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        if getattr(usage, name) != told:
            yield f"has {name}={getattr(usage, name)}, not {told} of {recorded}"


def wrong_texts(outputs: Any, events: list[dict[str, Any]]) -> Iterator[str]:
    """What differs between the outputs and the events of the stream."""
    final = next((event["response"] for event in reversed(events) if at(event, ("response", "output"))), None)
    if final is not None:
        if outputs != final:
            yield f"has outputs {outputs}, not {final}"
        return
    told = streamed_texts(events)
    kept = {}
    for choice in outputs.get("choices") or ():
        message = choice.get("message") or {"content": choice.get("text")}
        calls = message.get("tool_calls") or ()
        kept[choice["index"]] = (message.get("content") or "", [call["function"]["arguments"] or "" for call in calls])
    if kept != told:
        yield f"has texts {kept}, not {told}"


def streamed_texts(chunks: list[dict[str, Any]]) -> dict[int, tuple[str, list[str]]]:
    """Return the text, and the arguments of the tool calls, of each choice."""
    texts: dict[int, str] = {}
    arguments: dict[int, dict[int, str]] = {}
    for choice in (choice for chunk in chunks for choice in chunk.get("choices") or ()):
        number, delta = choice.get("index", 0), choice.get("delta") or {}
        texts[number] = texts.get(number, "") + (delta.get("content") or choice.get("text") or "")
        for call in delta.get("tool_calls") or ():
            known = arguments.setdefault(number, {})
            known[call["index"]] = known.get(call["index"], "") + (call["function"].get("arguments") or "")
    return {
        number: (text, [known for _, known in sorted(arguments.get(number, {}).items())])
        for number, text in texts.items()
    }


def at(body: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        body = body.get(name) if isinstance(body, dict) else None
    return body


def recorded_bodies(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects of an answer: of each event of a stream, or the one there is."""
    found = re.findall(r"^data:\s*(\{.*\})\s*$", text, re.MULTILINE) or [text]
    bodies = []
    for part in found:
        try:
            body = json.loads(part)
        except ValueError:
            continue
        bodies += [body] if isinstance(body, dict) else []
    return bodies


def recorded_usage(bodies: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the last usage that the server told."""
    told = [body.get("usage") or at(body, ("response", "usage")) for body in bodies]
    return next((usage for usage in reversed(told) if usage), None)


def has_failed(body: dict[str, Any]) -> bool:
    """Whether the server told in an answer of status 200 that the call failed."""
    return (
        body.get("type") in ("error", "response.failed")
        or at(body, ("response", "status")) == "failed"
        or body.get("status") in ("failed", "cancelled", "expired")
    )
