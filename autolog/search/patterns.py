"""Patterns of texts: SQL's `LIKE`, and regular expressions that take linear time whatever they are."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from autolog.errors import InvalidQuery

MOST_CHARACTERS = 5_000
ANY, ONE = "%", "_"
Part = tuple[str, str]
"""Either a wildcard, `("%", "")` or `("_", "")`, or `("", text)`."""


def parts(pattern: str) -> list[Part]:
    """Take a pattern of `LIKE` apart; a backslash takes the meaning from what follows it."""
    found: list[Part] = []
    characters = iter(pattern)
    for character in characters:
        if character in (ANY, ONE):
            if found[-1:] != [(ANY, "")] or character == ONE:
                found.append((character, ""))
            continue
        literal = next(characters, "\\") if character == "\\" else character
        if found and not found[-1][0]:
            literal = found.pop()[1] + literal
        found.append(("", literal))
    return found


def longest_text(pattern: str) -> str:
    """Return the longest text that everything which the pattern matches must have."""
    return max((text for wildcard, text in parts(pattern) if not wildcard), key=len, default="")


@lru_cache(256)
def like(pattern: str, *, ignore_case: bool = False) -> Callable[[str], bool]:
    """Return what tells whether a text is like the pattern, in time that grows with the text only, not with its power.

    Without case, a pattern of ASCII letters ignores the case of those only; another one that of all letters.
    """
    change = _same if not ignore_case else ascii_lower if pattern.isascii() else str.casefold
    segments: list[str] = [""]
    for wildcard, text in parts(pattern):
        if wildcard == ANY:
            segments.append("")
        else:
            segments[-1] += "." if wildcard else re.escape(change(text))
    if len(segments) == 1:
        whole = re.compile(segments[0], re.DOTALL)
        return lambda text: whole.fullmatch(change(text)) is not None
    first, *middle, last = (re.compile(segment, re.DOTALL) for segment in segments)
    end = re.compile(f"(?:{last.pattern})\\Z", re.DOTALL)
    length = sum(1 if wildcard else len(change(text)) for wildcard, text in _after_last_any(pattern))

    def is_like(text: str) -> bool:
        text = change(text)
        found = first.match(text)
        for segment in middle:
            # The first place is as good as any: what follows may be anywhere after it.
            if found is None:
                return False
            found = segment.search(text, found.end())
        return found is not None and len(text) - length >= found.end() and bool(end.match(text, len(text) - length))

    return is_like


def _after_last_any(pattern: str) -> list[Part]:
    found: list[Part] = []
    for part in parts(pattern):
        found = [] if part[0] == ANY else [*found, part]
    return found


def _same(text: str) -> str:
    return text


_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def ascii_lower(text: str) -> str:
    """Return `text` with the ASCII letters in lower case."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression that was checked; it is found anywhere in a text."""

    pattern: str

    def is_in(self, text: str) -> bool:
        """Whether it is found in `text`."""
        return _compiled(self.pattern).search(text) is not None


def check_regex(pattern: str) -> None:
    """Raise `InvalidQuery` where `pattern` is no regular expression, or nothing is installed that finds it safely."""
    try:
        _compiled(pattern)
    except ImportError:
        raise InvalidQuery(
            "RLIKE needs RE2, which finds any pattern in linear time: pip install 'autolog-tracing[regex]'. "
            "LIKE and CONTAINS need nothing."
        ) from None


@lru_cache(64)
def _compiled(pattern: str) -> Any:
    re2 = importlib.import_module("re2")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        reason = reason.decode() if isinstance(reason, bytes) else reason
        raise InvalidQuery(f"{pattern!r} is not a regular expression of RE2: {reason}") from None
