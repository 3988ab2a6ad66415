"""What can be set: one frozen dataclass, filled from `AUTOLOG_*` variables and arguments."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from autolog.errors import InvalidSetting

logger = logging.getLogger("autolog")

PREFIX = "AUTOLOG_"
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, its default, and by its name in capitals its variable (`AUTOLOG_STORE`, …)."""

    tracing: bool | None = None
    """`False` records nothing wherever `autolog()` is called, `True` turns it on at `import autolog`."""
    store: str | None = None
    """Where traces are kept: a path, `sqlite:///path`, a server's `http://…`, `memory:` or `none:`. By default
    `.autolog/traces.db`."""
    token: str | None = field(default=None, repr=False)
    """What the server that is the store asks for."""
    spool: str | None = None
    """The folder in which spans wait for a server that is away; `none` keeps nothing on disk. By default `.autolog/spool`."""
    spool_bytes: int = 1_000_000_000
    """Bytes that may wait there, compressed; beyond it spans wait in memory."""
    experiment: str = "default"
    """The experiment that new traces belong to."""
    version: str | None = None
    """The program's version, which new traces are found by."""
    capture_content: bool = True
    """`False` keeps names, times, tokens and errors' types, and no inputs, outputs or error texts."""
    capture_user: bool = True
    """`False` drops the end user's id that a request carries (`user`, `safety_identifier`)."""
    capture_embeddings: bool = False
    """`True` stores embedding vectors; by default only their number and dimension."""
    inject_stream_usage: bool = False
    """`True` asks for the token usage of streamed chats, and hides the extra chunk from the program."""
    redact: tuple[str, ...] | None = None
    """Personal data to replace by marks in everything that is recorded: some of `email`, `card`, `phone`, `key`."""
    redact_region: str | None = None
    """The country, such as `DE`, of phone numbers without a country's prefix; without it those are not found."""
    sample_ratio: float = 1.0
    """The share of traces that is recorded."""
    sample_keep_errors: bool = False
    """`True` keeps traces that the ratio leaves out where a span failed."""
    sample_keep_slower: float | None = None
    """Seconds: traces that the ratio leaves out are kept where they took longer."""
    sample_follow_parent: bool = True
    """`False` records traces too whose caller says that it does not record them."""
    duplicates: Literal["nest", "merge", "drop"] = "nest"
    """What becomes of an SDK's span of a model call that a framework has a span of: `nest` keeps it below, marked and
    counted once, `merge` moves what it knows into the framework's span, `drop` records none."""
    cost: bool = True
    """`False` computes no cost. Cost needs the package `genai-prices`."""
    otlp_endpoint: str | None = None
    """The base URL of who traces are sent to by OTLP; `none` for nobody, whatever the standard variables say."""
    otlp_protocol: str | None = None
    """`http/protobuf` or `grpc`; by default as the standard variables say, or HTTP."""
    otlp_conventions: Literal["gen_ai", "openinference"] = "gen_ai"
    """How spans that are sent name what they tell."""
    flush_interval: float = 0.1
    """Seconds between two writes to the store: what a `kill -9` can lose."""
    queue_spans: int = 50_000
    """Ended spans that may wait for the store; beyond it, new ones are dropped and counted."""
    queue_bytes: int = 256_000_000
    """Payload bytes that may wait for the store; beyond it, payloads are dropped and counted."""
    max_string: int = 1_000_000
    """Characters of one string that are stored; the rest is cut, with a mark."""
    max_payload: int = 32_000_000
    """Bytes of a span's inputs, or outputs, that are stored; a larger one is replaced by its outline."""
    max_media: int = 16_000
    """Characters of inline media (`data:` URLs, base64) that are stored; larger ones become type, size and hash."""
    max_stream: int = 16_000_000
    """Bytes of a streamed answer that are kept to put it together."""
    exit_timeout: float = 5.0
    """Seconds that the interpreter's exit may wait for the store."""
    display: bool | None = None
    """Whether the traces of a notebook's cell show below it. By default in notebooks, and not in IPython's terminal."""
    display_limit: int = 10
    """Traces that are shown of one cell, the newest."""

    def replace(self, **changes: Any) -> Settings:
        """Return these settings with `changes`; raise `InvalidSetting` for an unknown name or a wrong type."""
        known = {field.name for field in fields(self)}
        redact = changes.get("redact")
        if redact is not None:
            if not isinstance(redact, Iterable):
                raise InvalidSetting(f"redact is a list such as ['email', 'card'], not {redact!r}")
            changes["redact"] = (redact,) if isinstance(redact, str) else tuple(redact)
        for name, value in changes.items():
            if name not in known:
                raise InvalidSetting(f"unknown setting {name!r}; there are: {', '.join(sorted(known))}")
            _check(name, value)
        return replace(self, **changes)

    def replace_in_use(self, **changes: Any) -> Settings:
        """Do as `replace`, and raise `InvalidSetting` too for what can't be changed while the program runs."""
        new = self.replace(**changes)
        for name in changes:
            if name in _FIXED and getattr(new, name) != getattr(self, name):
                raise InvalidSetting(f"{name} can't be changed while the program runs: {_FIXED[name]}")
        return new


_BY_LIBRARY = "set it in the environment, or for a library, as in autolog.openai(…)"
_BY_ENVIRONMENT = "set it in the environment, or give Settings to a Client"
_FIXED: Mapping[str, str] = {
    "capture_user": _BY_LIBRARY,
    "capture_embeddings": _BY_LIBRARY,
    "inject_stream_usage": _BY_LIBRARY,
    "max_stream": _BY_LIBRARY,
    "token": _BY_ENVIRONMENT,
    "spool": _BY_ENVIRONMENT,
    "spool_bytes": _BY_ENVIRONMENT,
    "max_string": _BY_ENVIRONMENT,
    "max_payload": _BY_ENVIRONMENT,
    "max_media": _BY_ENVIRONMENT,
    "otlp_endpoint": "use export_otlp()",
    "otlp_protocol": "use export_otlp()",
    "otlp_conventions": "use export_otlp()",
}


_DEFAULTS = Settings()
_TEXTS = frozenset({"store", "token", "spool", "version", "otlp_endpoint", "otlp_protocol", "redact_region"})
# The other types of those whose default is None.
_TYPES: Mapping[str, type] = {"tracing": bool, "display": bool, "redact": tuple, "sample_keep_slower": float}
_CHOICES = {"duplicates": ("nest", "merge", "drop"), "otlp_conventions": ("gen_ai", "openinference")}


def _expected(name: str) -> type:
    return str if name in _TEXTS else _TYPES.get(name) or type(getattr(_DEFAULTS, name))


def _check(name: str, value: Any) -> None:
    kind = _expected(name)
    if value is None and getattr(_DEFAULTS, name) is None:
        return
    right = isinstance(value, (int, float)) and not isinstance(value, bool) if kind is float else type(value) is kind
    if not right:
        raise InvalidSetting(f"{name} must be a {kind.__name__}, not {value!r}")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise InvalidSetting(f"{name} must be one of {', '.join(_CHOICES[name])}, not {value!r}")
    if name == "experiment" and not value.strip():
        raise InvalidSetting(f"an experiment needs a name, not {value!r}")
    if kind in (int, float) and value < 0:
        raise InvalidSetting(f"{name} must not be negative, not {value!r}")
    if name == "sample_ratio" and value > 1:
        raise InvalidSetting(f"sample_ratio must be from 0 to 1, not {value!r}")


def _parse(name: str, text: str) -> Any:
    kind = _expected(name)
    if kind is str:
        _check(name, text)
        return text
    if kind is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind is bool:
        lowered = text.strip().lower()
        if lowered in _TRUE or lowered in _FALSE:
            return lowered in _TRUE
        raise InvalidSetting("expected true or false")
    value = kind(text)
    _check(name, value)
    return value


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """Read `AUTOLOG_*`. A value that can't be used is reported and ignored: a typo must not stop a service."""
    environment = os.environ if environment is None else environment
    changes: dict[str, Any] = {}
    for setting in fields(Settings):
        text = environment.get(PREFIX + setting.name.upper())
        if not text:
            continue
        try:
            changes[setting.name] = _parse(setting.name, text)
        except ValueError as error:
            logger.warning("%s%s=%r is ignored: %s", PREFIX, setting.name.upper(), text, error)
    return replace(_DEFAULTS, **changes)
