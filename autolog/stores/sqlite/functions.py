"""Functions of ours that SQL calls: patterns, words, members of JSON objects, and what is in payloads."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from autolog.guard import attempt
from autolog.search.filter import Comparison, Operator, matcher
from autolog.search.payloads import may_be_met, test
from autolog.search.words import Phrase
from autolog.stores import compression

_DAMAGED: list[dict[str, Any]] = []


def unpacked(codec: int, body: bytes) -> bytes:
    """Return the JSON of a row of payloads."""
    return compression.decompress(body) if codec == compression.ZSTD else body


def records_of(body: bytes) -> list[dict[str, Any]]:
    """Return the records of the spans in a row of payloads, none where it is damaged."""
    return attempt(_loaded, body, default=_DAMAGED)


def _loaded(body: bytes) -> list[dict[str, Any]]:
    import orjson

    records: list[dict[str, Any]] = orjson.loads(body)
    return records


class Functions:
    """The functions as one connection has them; `asked` is what is asked of payloads in the search at hand."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.asked: list[Comparison] = []
        connection.create_function("matches", 3, _matches, deterministic=True)
        connection.create_function("has_words", 3, _has_words, deterministic=True)
        connection.create_function("member", 2, _member, deterministic=True)
        connection.create_aggregate("spans_meeting", 4, self._aggregate())

    def _aggregate(self) -> type:
        functions = self

        class SpansMeeting:
            def __init__(self) -> None:
                self._rows: list[tuple[int, int, bytes]] = []
                self._numbers = ""

            def step(self, numbers: str, row: int, codec: int, body: bytes) -> None:
                self._numbers = numbers
                self._rows.append((row, codec, body))

            def finalize(self) -> str:
                bodies = [attempt(unpacked, codec, body, default=b"[]") for _, codec, body in sorted(self._rows)]
                return functions.spans_meeting(self._numbers, bodies)

        return SpansMeeting

    def spans_meeting(self, numbers: str, bodies: list[bytes]) -> str:
        """Return which spans meet which of the comparisons asked for, each as `;number:id` in hex digits."""
        asked = [(number, self.asked[int(number)]) for number in numbers.split(",") if number]
        if len(bodies) == 1:  # of several, a later one may replace what an earlier one says
            asked = [(number, comparison) for number, comparison in asked if may_be_met(comparison, bodies[0])]
        if not asked:
            return ""
        records = {record["span_id"]: record for body in bodies for record in records_of(body)}
        found: list[str] = []
        for number, comparison in asked:
            is_met = test(comparison)
            found += [f";{number}:{span_id.upper()}" for span_id, record in records.items() if is_met(record)]
        return "".join(found)


def _matches(operator: str, pattern: str, text: str | None) -> bool | None:
    return None if text is None else matcher(Operator(operator), pattern)(text)


def _has_words(phrase: str, is_open: int, text: str | None) -> bool | None:
    return None if text is None else Phrase(tuple(phrase.split(" ")), bool(is_open)).is_in(text)


def _member(members: str | None, key: str) -> str | None:
    return None if members is None else json.loads(members).get(key)
