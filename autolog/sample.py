"""Traces of an imagined support desk, to look at where there are none of one's own yet."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autolog import semconv
from autolog.ids import now_ns
from autolog.model.assessment import AssessmentSource, Expectation, Feedback, SourceType
from autolog.model.run import Run, RunStatus
from autolog.model.span import Span, SpanType
from autolog.model.usage import TokenUsage

if TYPE_CHECKING:
    from autolog.client import Client

_MS = 1_000_000
_QUESTIONS = (
    (
        "How do I rotate my API key?",
        "Keys are rotated under **Settings > Security**. The old one works for an hour more.",
    ),
    ("Why was I charged twice this month?", "One charge is a hold that your bank lets go of within five days."),
    ("Can I export my data as CSV?", "Yes. Under `Reports`, choose:\n\n1. the period\n2. **CSV**\n3. *Export*"),
    (
        "Wie ändere ich meine Rechnungsadresse?",
        "Unter **Einstellungen > Abrechnung**. Sie gilt ab der nächsten Rechnung.",
    ),
    ("請求書はどこでダウンロードできますか", "「設定 > 請求」からPDFをダウンロードできます。"),
    ("The app crashes when I open a large file", "Files above 2 GB need the 64-bit version. Which one do you have?"),
    ("Is there a discount for schools?", "Schools pay half. Send us the name of the school and we set it up."),
    ("How many people can share one account?", "Five on *Team*, as many as you like on *Business*."),
)
_DOCUMENTS = (
    (
        "kb/keys.md",
        "API keys are made, rotated and revoked under Settings > Security. A rotated key works for one hour more.",
    ),
    ("kb/billing.md", "A card is first charged a hold, which the bank lets go of within five working days."),
    ("kb/export.md", "Reports can be exported as CSV, Parquet or PDF, for any period of the last five years."),
    ("kb/plans.md", "Team is for five people; Business has no limit. Schools and charities pay half."),
)
_VERSIONS = ("1.4", "1.5")
_MODELS = ("gpt-4o-mini", "gpt-4o", "gpt-4.1")
_SYSTEM = "You are the support desk of Mossgate. Answer briefly, from the documents that you are given, in the customer's language."


@dataclass(slots=True)
class _Desk:
    """One conversation turn, as the desk's program would record it."""

    client: Client
    dice: random.Random
    at_ns: int

    def answer(self, number: int) -> str:
        question, reply = _QUESTIONS[number % len(_QUESTIONS)]
        fails = number % 11 == 5
        begin = self.at_ns
        root = self.client.start_trace(
            "support_agent", SpanType.AGENT, inputs={"question": question}, start_time_ns=begin,
            session=f"chat-{number // 3}", user=("ada", "grace", "linus")[number % 3], version=_VERSIONS[number % 2],
            run=_run_id(_VERSIONS[number % 2]),
            tags={"channel": ("web", "mail")[number % 2], "language": "de" if "ä" in question else "en"},
        )  # fmt: skip
        documents = self._retrieve(root, question, number)
        self._chat(root, question, None, number)
        self._tool(root, number, fails=fails)
        if fails:
            self.client.end_trace(root, outputs=None, status="ERROR", end_time_ns=self.at_ns)
        else:
            self._chat(root, f"{question}\n\n{documents}", reply, number)
            self.client.end_trace(root, outputs={"answer": reply}, end_time_ns=self.at_ns)
        return root.trace_id

    def _step(self, low: float, high: float) -> int:
        self.at_ns += int(self.dice.uniform(low, high) * _MS)
        return self.at_ns

    def _retrieve(self, root: Span, question: str, number: int) -> str:
        span = self.client.start_span(
            "search_documents", root, SpanType.RETRIEVER, inputs={"query": question}, start_time_ns=self._step(0.1, 1)
        )
        embed = self.client.start_span(
            "embed",
            span,
            SpanType.EMBEDDING,
            inputs={"input": [question], "model": "text-embedding-3-small"},
            start_time_ns=self._step(0.1, 1),
        )
        embed.set_attributes(
            {
                semconv.REQUEST_MODEL: "text-embedding-3-small",
                semconv.PROVIDER: "openai",
                semconv.EMBEDDING_DIMENSION: 1536,
            }
        )
        embed.set_usage(TokenUsage(input_tokens=len(question) // 3, total_tokens=len(question) // 3))
        self.client.end_span(embed, end_time_ns=self._step(30, 120))
        found = [
            {
                "id": source,
                "content": text,
                "score": round(0.92 - 0.17 * place, 2),
                "metadata": {"source": source, "page": place + 1},
            }
            for place, (source, text) in enumerate((*_DOCUMENTS[number % 4 :], *_DOCUMENTS[: number % 4]))
        ]
        self.client.end_span(span, outputs={"documents": found}, end_time_ns=self._step(5, 40))
        return "\n".join(text for _, text in _DOCUMENTS[:2])

    def _chat(self, root: Span, asked: str, reply: str | None, number: int) -> None:
        model = _MODELS[number % len(_MODELS)]
        call: dict[str, Any] = {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": "lookup_account", "arguments": json.dumps({"customer": f"c-{number}"})},
        }
        messages: list[dict[str, Any]] = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": asked}]
        if reply is not None:
            messages += [
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": call["id"], "content": '{"plan": "Team", "since": 2023}'},
            ]
        span = self.client.start_span(
            f"chat {model}", root, SpanType.CHAT_MODEL, start_time_ns=self._step(0.1, 2),
            inputs={"model": model, "messages": messages, "temperature": 0.2, "tools": [_TOOL]},
        )  # fmt: skip
        span.set_attributes({
            semconv.REQUEST_MODEL: model, semconv.RESPONSE_MODEL: model, semconv.PROVIDER: "openai",
            semconv.REQUEST_TEMPERATURE: 0.2,
            semconv.RESPONSE_TIME_TO_FIRST_CHUNK: round(self.dice.uniform(0.1, 0.3), 3),
        })  # fmt: skip
        used = 120 + len(asked) // 2, 20 + len(reply or "") // 3
        span.set_usage(TokenUsage(input_tokens=used[0], output_tokens=used[1], total_tokens=sum(used)))
        said = (
            {"role": "assistant", "content": reply}
            if reply
            else {"role": "assistant", "content": None, "tool_calls": [call]}
        )
        self.client.end_span(
            span, outputs={"choices": [{"message": said, "finish_reason": "stop" if reply else "tool_calls"}]},
            end_time_ns=self._step(350, 1_800),
        )  # fmt: skip

    def _tool(self, root: Span, number: int, *, fails: bool) -> None:
        span = self.client.start_span(
            "lookup_account", root, SpanType.TOOL, inputs={"customer": f"c-{number}"}, start_time_ns=self._step(0.1, 1)
        )
        span.set_attributes({semconv.TOOL_NAME: "lookup_account", semconv.TOOL_CALL_ID: f"call_{number}"})
        if fails:
            refused = ConnectionError("accounts.internal:5432 refused the connection")
            span.record_exception(refused)
            span.set_attribute(semconv.ERROR_TYPE, "ConnectionError")
            span.set_status("ERROR", f"ConnectionError: {refused}")
            self.client.end_span(span, end_time_ns=self._step(800, 1_200))
        else:
            self.client.end_span(span, outputs={"plan": "Team", "since": 2023}, end_time_ns=self._step(20, 90))


_TOOL: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": "lookup_account",
        "description": "Look a customer's account up.",
        "parameters": {"type": "object", "properties": {"customer": {"type": "string"}}, "required": ["customer"]},
    },
}


def record(client: Client, count: int = 60, hours: float = 24.0) -> list[str]:
    """Record `count` traces, spread evenly over the last `hours`; return their ids, oldest first."""
    dice = random.Random(7)
    first = now_ns() - int(hours * 3_600e9)
    step = int(hours * 3_600e9 / (count + 1))
    ids = [_Desk(client, dice, first + step * (number + 1)).answer(number) for number in range(count)]
    client.flush()
    for version in _VERSIONS[:count]:
        client.put_run(Run(
            run_id=_run_id(version), name=f"desk {version}", experiment=client.get_outline(ids[0]).info.experiment,
            status=RunStatus.FINISHED, start_time_ns=first, end_time_ns=now_ns(), tags={"version": version},
        ))  # fmt: skip
    for number, trace_id in enumerate(ids):
        for assessment in _said_of(number):
            client.log_assessment(trace_id, assessment)
    return ids


def _run_id(version: str) -> str:
    return f"desk-{version}"


def _said_of(number: int) -> Iterator[Feedback | Expectation]:
    person = AssessmentSource(SourceType.HUMAN, "ada@example.com")
    if number % 4 == 0:
        yield Feedback(name="helpful", value=number % 8 == 0, source=person)
    if number % 6 == 1:
        yield Feedback(
            name="faithful",
            value=round(0.5 + number % 5 / 10, 1),
            source=AssessmentSource(SourceType.LLM_JUDGE, "gpt-4o"),
        )
    if number % 15 == 2:
        yield Expectation(name="expected_answer", value=_QUESTIONS[number % len(_QUESTIONS)][1], source=person)
