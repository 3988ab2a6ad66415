"""Read token counts out of what a provider sent, in all the forms of OpenAI and of those who speak its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autolog.model.usage import TokenUsage


def usage_of(raw: Any) -> TokenUsage | None:
    """Read a `usage` object, whichever endpoint it is of; absent counts stay absent."""
    if not isinstance(raw, Mapping):
        return None
    into = _details(raw, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    out = _details(raw, "completion_tokens_details", "output_tokens_details", "output_token_details")
    input_tokens = _count(raw, "prompt_tokens", "input_tokens")
    output_tokens = _count(raw, "completion_tokens", "output_tokens")
    total = _count(raw, "total_tokens")
    if total is None and input_tokens is not None and output_tokens is not None:
        total = input_tokens + output_tokens
    usage = TokenUsage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=total,
        cache_read_tokens=_count(into, "cached_tokens"),
        cache_write_tokens=_count(into, "cache_write_tokens"),
        reasoning_tokens=_count({**raw, **out}, "reasoning_tokens"),
        input_text_tokens=_count(into, "text_tokens"),
        input_audio_tokens=_count(into, "audio_tokens"),
        input_image_tokens=_count(into, "image_tokens"),
        output_text_tokens=_count(out, "text_tokens"),
        output_audio_tokens=_count(out, "audio_tokens"),
        output_image_tokens=_count(out, "image_tokens"),
        accepted_prediction_tokens=_count(out, "accepted_prediction_tokens"),
        rejected_prediction_tokens=_count(out, "rejected_prediction_tokens"),
        seconds=raw.get("seconds") if isinstance(raw.get("seconds"), (int, float)) else None,
        raw=dict(raw),
    )
    return usage or None


def _details(raw: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    return next((found for name in names if isinstance(found := raw.get(name), Mapping)), {})


def _count(raw: Mapping[str, Any], *names: str) -> int | None:
    return next((found for name in names if isinstance(found := raw.get(name), int)), None)
