"""Find the token counts in what a provider answered, and read them, whoever it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autolog import TokenUsage
from autolog.guard import attempt
from autolog.model.provider_usage import usage_of
from autolog_llama_index.pictures import field

# Other providers' names for what `usage_of` knows by OpenAI's.
_NAMES: Mapping[str, str] = {
    "inputTokens": "prompt_tokens",
    "outputTokens": "completion_tokens",
    "totalTokens": "total_tokens",
    "prompt_token_count": "prompt_tokens",
    "candidates_token_count": "completion_tokens",
    "total_token_count": "total_tokens",
    "prompt_eval_count": "prompt_tokens",
    "eval_count": "completion_tokens",
}
# What they read from a cache and wrote into one, and whether the input tokens that they tell are without those.
_CACHED: Mapping[tuple[str, str], bool] = {
    ("cache_read_input_tokens", "cache_creation_input_tokens"): True,
    ("cacheReadInputTokens", "cacheWriteInputTokens"): True,
    ("cached_content_token_count", ""): False,
}
_TOTALS = frozenset({"prompt_tokens", "input_tokens", *_NAMES})


def usage_in(answer: Any) -> TokenUsage | None:
    """Return the usage that is in an answer, which may be an object of an SDK or a dict."""
    found = field(answer, "usage", "usage_metadata", "token_usage")
    told = _mapping(answer if found is None else found)
    if told is None or not told.keys() & _TOTALS:
        return None
    return usage_of(_as_openai(told))


def _mapping(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, Mapping):
        return value
    dump = getattr(value, "model_dump", None)
    return None if dump is None else attempt(lambda: dump(warnings=False), default=None)


def _as_openai(told: Mapping[str, Any]) -> Mapping[str, Any]:
    # Numbers only: beside them may lie words of the answer.
    usage: dict[str, Any] = {
        _NAMES.get(k, k): value for k, value in told.items() if isinstance(value, (int, float, Mapping))
    }
    for (read, written), is_beside in _CACHED.items():
        if told.get(read) is None and told.get(written) is None:
            continue
        known = usage.get("prompt_tokens", usage.get("input_tokens")) or 0
        cached, new = told.get(read) or 0, told.get(written) or 0
        usage["prompt_tokens"] = known + cached + new if is_beside else known
        usage["prompt_tokens_details"] = {"cached_tokens": cached, "cache_write_tokens": new if written else None}
        if is_beside:
            usage.pop("input_tokens", None)
            usage.pop("total_tokens", None)
    if isinstance(told.get("thoughts_token_count"), int):
        usage["completion_tokens"] = (usage.get("completion_tokens") or 0) + told["thoughts_token_count"]
        usage["reasoning_tokens"] = told["thoughts_token_count"]
    return usage
