"""Keep keys, tokens and passwords out of what is recorded."""

from __future__ import annotations

import re
from typing import Any

REDACTED = "[redacted]"
_KEYS = re.compile(
    r"""
    \bsk-[A-Za-z0-9_\-*]{8,}                              # OpenAI and those who write keys alike
    | \b(?:gsk|xai|pplx|hf|ghp|gho|glpat|AKIA|AIza)[_-]?[A-Za-z0-9_\-]{16,}
    | (?<=Bearer\ )[A-Za-z0-9._~+/\-]{8,}=*
    | \beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*   # JSON web tokens
    | (?<=://)[^/\s:@]+:[^/\s@]+(?=@)                     # user:password in a URL
    """,
    re.VERBOSE,
)
# Each of those has one of these in it, which is found much faster in a long text.
_SIGNS = ("sk-", "gsk", "xai", "pplx", "hf", "ghp", "gho", "glpat", "AKIA", "AIza", "Bearer ", "eyJ", "://")
_SECRET_NAMES = re.compile(r"(?i)(api[-_]?key|authorization|token|secret|password|passwd|signature|\bsig\b|\bkey\b)")
# Narrower: answers have a "token" for each word, requests a "key" for anything, and spans count tokens.
_SECRET_FIELDS = re.compile(
    r"(?i)(?:api[_-]?key|authorization|cookie|credential|passw(?:or)?d|secret|private[_-]?key|secret[_-]?access[_-]?key"
    r"|(?:access|auth|bearer|refresh|session|id)[_-]?token|connection[_-]?string)\Z"
)

# Secrets of the program's clients, whatever they look like; noted when one of their calls fails, the latest last.
_known: dict[str, None] = {}
_KNOWN_MOST = 1_000
_SHORTEST = 6


def remember_secret(secret: object) -> None:
    """Replace `secret` too from now on."""
    if isinstance(secret, str) and len(secret) >= _SHORTEST:
        _known.pop(secret, None)
        _known[secret] = None
        while len(_known) > _KNOWN_MOST:
            _known.pop(next(iter(_known)), None)


def redact_keys(text: str, mark: str = REDACTED) -> str:
    """Return `text` with API keys, bearer tokens and passwords in URLs replaced by `mark`."""
    known = list(_known)  # another thread may add to it meanwhile
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, mark)
    return _KEYS.sub(mark, text) if any(sign in text for sign in _SIGNS) else text


def is_secret_name(name: str) -> bool:
    """Whether a header or parameter of this name is likely to hold a secret."""
    return bool(_SECRET_NAMES.search(name))


def is_secret_field(name: str) -> bool:
    """Whether a field of this name, of data that may be anything, is likely to hold a secret."""
    return bool(_SECRET_FIELDS.search(name))


_CREDENTIALS = frozenset(
    {
        "authorization",
        "authentication",
        "headers",
        "extra_headers",
        "default_headers",
        "domain_secrets",
        "connection_string",
    }
)
# What a tool takes is described by the names that it has there: "headers" in it is a parameter.
_SCHEMAS = frozenset({"schema", "json_schema", "input_schema"})


def without_credentials(value: Any) -> Any:
    """Return `value`, of dicts and lists, with what its names say are credentials replaced."""
    if isinstance(value, list):
        return [without_credentials(item) for item in value]
    if not isinstance(value, dict):
        return value
    is_function = value.get("type") == "function" or "function" in value or {"name", "parameters"} <= value.keys()
    return {
        key: REDACTED
        if _is_credential(key, item)
        else item
        if key in _SCHEMAS or (is_function and key in ("parameters", "function"))
        else without_credentials(item)
        for key, item in value.items()
    }


def _is_credential(key: str, value: Any) -> bool:
    return value is not None and (key in _CREDENTIALS or (isinstance(value, str) and is_secret_name(key)))
