"""Where spans are sent, by arguments, by our settings or by OpenTelemetry's own; known before any of its SDK is imported."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autolog.errors import InvalidSetting
from autolog.redact import redact_keys

logger = logging.getLogger("autolog")

HTTP, GRPC = "http/protobuf", "grpc"
CONVENTIONS = ("gen_ai", "openinference")
_DEFAULTS = {HTTP: "http://localhost:4318", GRPC: "http://localhost:4317"}
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_OFF = frozenset({"none", "off", "false"})
MISSING = "sending spans needs OpenTelemetry's exporters: pip install 'autolog-tracing[otel]'"


@dataclass(frozen=True, slots=True)
class Target:
    """Where spans go, and how they are told there."""

    endpoint: str | None = None
    """A base URL; `None` leaves it to the standard variables."""
    protocol: str = HTTP
    headers: Mapping[str, str] | None = None
    conventions: str = "gen_ai"
    collected: bool = True
    """Whether spans of other instrumentations are sent too, which their own provider may be sending already."""

    @property
    def place(self) -> str:
        """Where to, for a person to read: without passwords that are in a URL."""
        return redact_keys(self.endpoint or _first(_ENDPOINTS) or _DEFAULTS[self.protocol])


def _first(names: Sequence[str]) -> str | None:
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)


def target(
    endpoint: str | None = None,
    *,
    protocol: str | None = None,
    headers: Mapping[str, str] | None = None,
    conventions: str = "gen_ai",
    collected: bool = True,
) -> Target:
    """Return where to; raise `InvalidSetting` for a protocol or conventions that there are not."""
    chosen = protocol or _first(_PROTOCOLS) or HTTP
    if chosen not in _DEFAULTS:
        raise InvalidSetting(f"OTLP protocol {chosen!r}: use {HTTP} or {GRPC}")
    if conventions not in CONVENTIONS:
        raise InvalidSetting(f"no conventions {conventions!r}; there are: {', '.join(CONVENTIONS)}")
    if chosen == HTTP and endpoint is not None and not endpoint.startswith(("http://", "https://")):
        raise InvalidSetting(f"the endpoint must be a URL such as {_DEFAULTS[HTTP]}, not {redact_keys(endpoint)!r}")
    return Target(endpoint, chosen, headers, conventions, collected)


def target_of_environment(endpoint: str | None, protocol: str | None, conventions: str) -> Target | None:
    """Return where the environment says that spans are to be sent, or `None`; the arguments are our own settings.

    The standard variables alone turn it on, as they do for OpenTelemetry's own SDK; ours go before them.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or (endpoint or "").lower() in _OFF:
        return None
    if endpoint is None:
        exporters = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
        if _first(_ENDPOINTS) is None or (exporters and "otlp" not in exporters.split(",")):
            return None
        if not is_installed():
            logger.info("OTEL_EXPORTER_OTLP_ENDPOINT is set; %s", MISSING)
            return None
    try:
        return target(endpoint, protocol=protocol, conventions=conventions)
    except InvalidSetting as error:
        logger.warning("spans are not sent: %s", error)
        return None


def is_installed() -> bool:
    """Whether OpenTelemetry's exporters are there."""
    return importlib.util.find_spec("opentelemetry.sdk") is not None and bool(
        importlib.util.find_spec("opentelemetry.exporter") and importlib.util.find_spec("opentelemetry.proto")
    )
