"""What a model call cost, by the price list of `genai-prices`; only the worker asks."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from typing import Any

from autolog import semconv
from autolog.guard import guarded
from autolog.model.span import Span
from autolog.model.usage import Cost, TokenUsage

logger = logging.getLogger("autolog")

_CACHE_SIZE = 512
# Tiers that the price list knows; any other is billed as the default one.
_TIERS = frozenset({"flex", "priority", "fast"})


class Pricing:
    """Price spans; knows nothing, and says so once, where `genai-prices` is not installed."""

    def __init__(self) -> None:
        self._library: Any = None
        self._looked = False
        self._unknown: set[tuple[str, str]] = set()

    def price(self, span: Span) -> None:
        """Set the span's cost where its usage and model are known to the price list."""
        usage, model = span.usage, span.model
        if span.cost is not None or usage is None or model is None:
            return
        provider = _provider(span)
        if (provider, model) in self._unknown:
            return
        library = self._load()
        if library is None:
            return
        with guarded:
            try:
                span.set_cost(_calculate(library, usage, model, provider, span))
            except ValueError:
                return  # counts that contradict each other
            except LookupError:
                if len(self._unknown) < _CACHE_SIZE:
                    self._unknown.add((provider, model))

    def _load(self) -> Any:
        if not self._looked:
            self._looked = True
            try:
                import genai_prices
            except ImportError:
                logger.debug("no cost is recorded: install autolog-tracing[cost]")
            else:
                self._library = genai_prices
        return self._library


def _provider(span: Span) -> str:
    if span.attributes.get(semconv.OPERATION) == "decisions":
        return "openai-decisions"
    provider = span.provider or "openai"
    return {"azure.ai.openai": "azure", "aws.bedrock": "aws", "x_ai": "x-ai", "mistral_ai": "mistral"}.get(
        provider, provider
    )


def _calculate(library: Any, usage: TokenUsage, model: str, provider: str, span: Span) -> Cost | None:
    if not usage.input_tokens and not usage.output_tokens:
        return None
    counts = library.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        input_audio_tokens=usage.input_audio_tokens,
        input_image_tokens=usage.input_image_tokens,
        output_image_tokens=usage.output_image_tokens,
        output_audio_tokens=usage.output_audio_tokens,
    )
    tier = span.attributes.get(semconv.OPENAI_RESPONSE_TIER)
    price = library.calc_price(
        counts,
        model_ref=model,
        provider_id=provider,
        genai_request_timestamp=datetime.fromtimestamp(span.start_time_ns / 1e9, timezone.utc),
        **({"price_context": {"service_tier": tier}} if tier in _TIERS else {}),
    )
    return Cost(float(price.input_price), float(price.output_price), float(price.total_price))
