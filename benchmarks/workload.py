"""Traces of an agent that answers with documents: eight spans, about 1.6 KB of text each, always the same."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SPANS_A_TRACE = 8
_WORDS = 4_000
_MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5", "gpt-5-mini", "o4-mini")
_NAMES = ("answer", "support", "summarise", "triage", "weekly-report")
_EXPERIMENTS = ("default", "prompt-a", "prompt-b", "prompt-c", "nightly")
_SYSTEM_WORDS = 75
_LARGE = 0.01
"""The share of spans with 50 KB of text."""
_FAILING = 0.03


@dataclass(frozen=True, slots=True)
class Step:
    """One span, before it is recorded."""

    name: str
    span_type: str
    parent: int | None
    inputs: Any
    outputs: Any
    attributes: dict[str, Any]
    usage: dict[str, int] | None
    duration_ns: int


@dataclass(frozen=True, slots=True)
class Job:
    """One trace, before it is recorded."""

    experiment: str
    session: str
    tags: dict[str, str]
    fails: bool
    steps: list[Step]


class Workload:
    """Makes jobs; two of the same seed make the same ones."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        letters = "etaoinshrdlucmfwypvbgkqjxz"
        self._words = ["".join(self._random.choices(letters, k=self._random.randint(2, 10))) for _ in range(_WORDS)]
        # As in real text, a word's share falls with its rank.
        self._weights = list(itertools.accumulate(1 / rank for rank in range(1, _WORDS + 1)))
        self._system = self.text(_SYSTEM_WORDS)

    def jobs(self, count: int) -> Iterator[Job]:
        """Yield jobs."""
        for number in range(count):
            yield self._job(number)

    def _job(self, number: int) -> Job:
        choose = self._random
        tags = {"env": choose.choice(("prod", "staging", "dev")), "release": f"v{choose.randrange(20)}"}
        if choose.random() < 0.002:
            tags["incident"] = f"i{choose.randrange(10)}"
        fails = choose.random() < _FAILING
        name = _NAMES[min(int(choose.expovariate(1.0)), len(_NAMES) - 1)]
        return Job(choose.choice(_EXPERIMENTS), f"s{number // 6}", tags, fails, self._steps(name))

    def _steps(self, name: str) -> list[Step]:
        question = self.text(38)
        model = self._random.choice(_MODELS)
        found = [self.text(48) for _ in range(3)]
        system = {"role": "system", "content": self._system}
        turns = [system, {"role": "user", "content": question}]
        answer = self.text(55)
        called = {"name": "lookup", "arguments": {"query": self.text(12), "limit": 5}}
        return [
            self._step(name, "AGENT", None, {"question": question}, {"answer": answer}),
            self._step("retrieve", "RETRIEVER", 0, {"query": question}, {"documents": found}),
            self._step("embed", "EMBEDDING", 1, {"input": question}, {"count": 1, "dimension": 1_536}, model),
            self._step("rerank", "RERANKER", 1, {"documents": found}, {"order": [2, 0, 1]}),
            self._step("plan", "CHAT_MODEL", 0, {"messages": turns}, {"tool_calls": [called]}, model),
            self._step("lookup", "TOOL", 0, called, {"rows": [self.text(20) for _ in range(5)]}),
            self._step("parse", "PARSER", 0, {"text": self.text(60)}, {"fields": {"topic": self.text(3)}}),
            self._step("write", "CHAT_MODEL", 0, {"messages": [*turns, *_told(found)]}, {"content": answer}, model),
        ]

    def _step(
        self, name: str, span_type: str, parent: int | None, inputs: Any, outputs: Any, model: str | None = None
    ) -> Step:
        choose = self._random
        if choose.random() < _LARGE:
            inputs = {**inputs, "context": self.text(8_000)}
        attributes: dict[str, Any] = {}
        usage = None
        if model is not None:
            attributes = {"gen_ai.request.model": model, "gen_ai.provider.name": "openai"}
            usage = {"input_tokens": choose.randrange(200, 4_000), "output_tokens": choose.randrange(10, 800)}
        return Step(
            name, span_type, parent, inputs, outputs, attributes, usage, int(choose.lognormvariate(20, 0.6) / 10)
        )

    def text(self, words: int) -> str:
        """Return that many words."""
        return " ".join(self._random.choices(self._words, cum_weights=self._weights, k=words))


def _told(found: list[str]) -> list[dict[str, str]]:
    return [{"role": "user", "content": text} for text in found]
