"""Keep keys and tokens out of what is recorded of errors."""

from __future__ import annotations

import re

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
_SECRET_NAMES = re.compile(r"(?i)(api[-_]?key|authorization|token|secret|password|passwd|signature|\bsig\b|\bkey\b)")


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


def redact_keys(text: str) -> str:
    """Return `text` with API keys, bearer tokens and passwords in URLs replaced."""
    known = list(_known)  # another thread may add to it meanwhile
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    return _KEYS.sub(REDACTED, text)


def is_secret_name(name: str) -> bool:
    """Whether a header or parameter of this name is likely to hold a secret."""
    return bool(_SECRET_NAMES.search(name))
