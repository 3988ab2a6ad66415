"""Tokens and money: what a model call used and what it cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Token counts of one model call, or summed over a trace. What the provider did not say is `None`, never 0.

    `cache_*` and the modalities are parts of the input or output counts, not additions to them.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_text_tokens: int | None = None
    input_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_text_tokens: int | None = None
    output_audio_tokens: int | None = None
    output_image_tokens: int | None = None
    accepted_prediction_tokens: int | None = None
    rejected_prediction_tokens: int | None = None
    seconds: float | None = None
    """Audio that is billed by its length."""
    raw: Mapping[str, Any] | None = field(default=None, compare=False)
    """What the provider sent, as it sent it. Not summed."""

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(*map(_sum, _counts(self), _counts(other)))

    def __sub__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(*map(_difference, _counts(self), _counts(other)))

    def __bool__(self) -> bool:
        return _counts(self) != _UNKNOWN

    @property
    def known_total(self) -> int | None:
        """The total that the provider told, or else the sum of what went in and came out, as far as that is known."""
        if self.total_tokens is not None:
            return self.total_tokens
        known = [count for count in (self.input_tokens, self.output_tokens) if count is not None]
        return sum(known) if known else None

    def to_dict(self) -> dict[str, Any]:
        """Return the known counts, and `raw` where there is one."""
        known = {name: value for name, value in zip(COUNTS, _counts(self), strict=True) if value is not None}
        return {**known, "raw": dict(self.raw)} if self.raw is not None else known

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TokenUsage:
        """Read what `to_dict` wrote."""
        return cls(**{name: data[name] for name in (*COUNTS, "raw") if name in data})


COUNTS = tuple(field.name for field in fields(TokenUsage) if field.name != "raw")
_counts: Callable[[TokenUsage], tuple[Any, ...]] = attrgetter(*COUNTS)
_UNKNOWN = (None,) * len(COUNTS)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a model call cost, in US dollars."""

    input: float = 0.0
    output: float = 0.0
    total: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.input + other.input, self.output + other.output, self.total + other.total)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.input - other.input, self.output - other.output, self.total - other.total)

    def to_dict(self) -> dict[str, float]:
        """Return the three amounts in US dollars."""
        return {"input": self.input, "output": self.output, "total": self.total}

    @classmethod
    def from_dict(cls, data: Mapping[str, float]) -> Cost:
        """Read what `to_dict` wrote."""
        return cls(data["input"], data["output"], data["total"])


def _sum(left: Any, right: Any) -> Any:
    return right if left is None else left if right is None else left + right


def _difference(left: Any, right: Any) -> Any:
    return left if right is None else (left or 0) - right
