"""The words of a text, as searches compare them: without case and without accents."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_WORD = re.compile(r"[^\W_]+")
_ACCENTS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
# Scripts that put no space between words: of these, each character is a word.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
)


def fold(text: str) -> str:
    """Return `text` without case, accents and variants of letters."""
    if text.isascii():
        return text.lower()
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    # Casefold again: some letters, such as mathematical ones, become plain capitals only when they are taken apart.
    return _UNSPACED.sub(r" \1 ", unicodedata.normalize("NFC", plain.casefold()))


def words(text: str) -> list[str]:
    """Return the words of `text`: runs of letters and digits, folded."""
    return _WORD.findall(fold(text))


def spaced(text: str) -> str:
    """Return `text` so that an index which knows ASCII only, and takes all else for letters, sees the same words."""
    text = text.replace("\0", " ")
    return text if text.isascii() else _NOT_ASCII.sub(_spaced_run, text)


def _spaced_run(run: re.Match[str]) -> str:
    return _spaced(run[0])


@lru_cache(8_192)
def _spaced(run: str) -> str:
    return "".join(letter if letter.isalnum() or letter == " " else " " for letter in fold(run))


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that follow one another; with `is_open`, the last is the beginning of one."""

    words: tuple[str, ...]
    is_open: bool = False

    @classmethod
    def of(cls, text: str) -> Phrase:
        """Read what a user asked for; a `*` at the end leaves the last word open."""
        stripped = text.rstrip()
        return cls(tuple(words(stripped)), is_open=stripped.endswith("*") and stripped[-2:-1] not in ("", " "))

    def is_in(self, text: str) -> bool:
        """Whether `text` has the phrase."""
        folded = fold(text)
        if not all(word in folded for word in self.words):
            return False
        phrase, _ = _patterns(self.words, self.is_open)
        first = self.words[0]
        at = folded.find(first)
        while at >= 0:
            if (at == 0 or not folded[at - 1].isalnum()) and phrase.match(folded, at):
                return True
            at = folded.find(first, at + 1)
        return False

    def may_be_in(self, json: bytes) -> bool:
        """Whether JSON may have the phrase in one of its texts; quick, and wrong on the safe side only."""
        text = spaced(json.decode()).lower()
        _, raw = _patterns(self.words, self.is_open)
        return all(word in text for word in self.words) and raw.search(text) is not None


@lru_cache(64)
def _patterns(phrase: tuple[str, ...], is_open: bool) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what finds a phrase from its first word on, in a text and in JSON, where escapes may be between the words."""
    escaped = [re.escape(word) for word in phrase]
    end = "" if is_open else r"(?![^\W_])"
    in_json = r"(?:\\u[0-9a-f]{4}|\\[^u]|(?!\\)[\W_])+"
    return re.compile(r"[\W_]+".join(escaped) + end), re.compile(in_json.join(escaped) + end)


def texts(value: Any) -> Iterator[str]:
    """Yield the texts of a payload: its strings and numbers, however deep; names of fields are none."""
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            yield str(item)
