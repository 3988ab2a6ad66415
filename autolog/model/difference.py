"""What is different in two spans: field by field, and in texts word by word, or in long ones line by line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from autolog import capture
from autolog.model.span import Span


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """A field of two spans: its place, by RFC 6901, its values, and what of them is in both."""

    path: str
    left: Any
    right: Any
    diff: tuple[tuple[str, str], ...]
    """Pieces of text with `=` for what both have, `-` for the left and `+` for the right, and `…` for what is left out."""
    note: str | None = None
    """Why it is not compared in detail."""

    @property
    def is_same(self) -> bool:
        """Whether both have the same."""
        return all(sign in "=…" for sign, _ in self.diff)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it, long texts shortened."""
        left, right = _shortened(self.left), _shortened(self.right)
        found = {
            "path": self.path,
            "left": left,
            "right": right,
            "diff": list(map(list, self.diff)),
            "same": self.is_same,
        }
        return {**found, "note": self.note} if self.note else found


_LONGEST_SHOWN = 2_000
_MOST_FIELDS = 2_000
_MOST_WORDS = 8_000
"""Words of one text that are compared one by one."""
_MOST_LINES = 2_000
_MOST_COMPARED = 400_000
"""Characters that are compared word by word, of all fields together."""
_SHORT = 3
_CONTEXT = 400
"""Characters that are shown around a difference."""


def compare_spans(left: Span | None, right: Span | None) -> list[FieldDifference]:
    """Return every field of two spans with what is different in it; of one span that has no other, all of it is."""
    room = [_MOST_COMPARED]
    found: list[FieldDifference] = []
    for path, one, other in _fields(_record(left), _record(right), ""):
        if len(found) == _MOST_FIELDS:
            found.append(FieldDifference(path, None, None, (), f"there are more than {_MOST_FIELDS:,} fields"))
            break
        found.append(_difference(path, one, other, room))
    return found


class _Absent(NamedTuple):
    """What a side has that has no such field."""


_ABSENT = _Absent()


def _record(span: Span | None) -> dict[str, Any]:
    if span is None:
        return {}
    record = span.to_dict()
    found = {
        "name": record["name"],
        "type": str(span.span_type),
        "status": str(span.status.code),
        "error": record["status"]["description"],
        "inputs": record["inputs"],
        "outputs": record["outputs"],
        "attributes": record["attributes"],
    }
    return {name: value for name, value in found.items() if value is not None}


def _fields(left: Any, right: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield the texts, numbers and empty containers of both values, with their places."""
    waiting = [(path, left, right)]
    while waiting:
        path, one, other = waiting.pop()
        if _is_inner(one, dict) and _is_inner(other, dict) and (one or other):
            waiting += reversed([(f"{path}/{_escaped(key)}", *values) for key, values in _by_key(one, other)])
        elif _is_inner(one, list) and _is_inner(other, list) and (one or other):
            waiting += reversed([(f"{path}/{place}", *values) for place, values in _by_place(one, other)])
        elif isinstance(one, (dict, list)) and isinstance(other, (dict, list)) and type(one) is not type(other):
            yield path, _json(one), _json(other)
        else:
            yield path, _leaf(one), _leaf(other)


def _is_inner(value: Any, kind: type) -> bool:
    return isinstance(value, kind) or value is _ABSENT or value is None


def _by_key(left: Any, right: Any) -> list[tuple[str, tuple[Any, Any]]]:
    one, other = left or {}, right or {}
    return [(key, (one.get(key, _ABSENT), other.get(key, _ABSENT))) for key in {**one, **other}]


def _by_place(left: Any, right: Any) -> list[tuple[str, tuple[Any, Any]]]:
    """Return the items of two lists; what was put in between moves what follows, and does not change it."""
    one, other = list(left or ()), list(right or ())
    before = _shared(one, other)
    after = _shared(one[before:][::-1], other[before:][::-1])
    found = [(str(place), (one[place], other[place])) for place in range(before)]
    middle, others = range(before, len(one) - after), range(before, len(other) - after)
    for number in range(max(len(middle), len(others))):
        mine = one[middle[number]] if number < len(middle) else _ABSENT
        theirs = other[others[number]] if number < len(others) else _ABSENT
        place = f"{before + number}"
        if len(middle) != len(others) and mine is _ABSENT:
            place = f"\u2192{before + number}"
        elif len(middle) != len(others) and theirs is _ABSENT:
            place = f"{before + number}\u2192"
        found.append((place, (mine, theirs)))
    for number in range(after, 0, -1):
        here, there = len(one) - number, len(other) - number
        found.append((str(here) if here == there else f"{here}\u2192{there}", (one[here], other[there])))
    return found


def _shared(left: Sequence[Any], right: Sequence[Any]) -> int:
    shared = 0
    for one, other in zip(left, right, strict=False):
        if not are_equal(one, other):
            break
        shared += 1
    return shared


def are_equal(one: Any, other: Any) -> bool:
    """Whether two values are equal, however deep they are."""
    try:
        return bool(one == other)
    except RecursionError:
        return capture.json_bytes(one) == capture.json_bytes(other)


def _escaped(key: object) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")


def _leaf(value: Any) -> Any:
    return _json(value) if isinstance(value, (dict, list)) else value


def _json(value: Any) -> str:
    return capture.json_bytes(value).decode("utf-8", "replace")


def _difference(path: str, left: Any, right: Any, room: list[int]) -> FieldDifference:
    one, other = _text(left), _text(right)
    values = None if left is _ABSENT else left, None if right is _ABSENT else right
    if one is None or other is None:
        diff = [(sign, text) for sign, text in (("-", one), ("+", other)) if text is not None]
        return FieldDifference(path, *values, tuple(_cut(sign, text) for sign, text in diff))
    if one == other and type(left) is type(right):
        return FieldDifference(path, *values, (_cut("=", one),))
    if not (isinstance(left, str) and isinstance(right, str)):
        return FieldDifference(path, *values, (_cut("-", one), _cut("+", other)))
    diff, note = diff_of_texts(one, other, room)
    return FieldDifference(path, *values, tuple(diff), note)


def _text(value: Any) -> str | None:
    if value is _ABSENT:
        return None
    return value if isinstance(value, str) else _json(value)


def _cut(sign: str, text: str) -> tuple[str, str]:
    return sign, text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}… ({len(text):,} characters)"


def _shortened(value: Any) -> Any:
    return _cut("", value)[1] if isinstance(value, str) else value


# --- texts ---------------------------------------------------------------------------------------------

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
_LINES = re.compile(r"[^\n]*\n|[^\n]+")


def diff_of_texts(left: str, right: str, room: list[int] | None = None) -> tuple[list[tuple[str, str]], str | None]:
    """Return what of two texts is in both and what in one, in their order; and a note where that is not told in detail.

    `room` has the characters that may still be compared, and loses what is.
    """
    room = [_MOST_COMPARED] if room is None else room
    before, after = _common(left, right)
    one, other = left[before : len(left) - after], right[before : len(right) - after]
    pieces, note = _middle(one, other, room)
    around = [("=", left[:before]), *pieces, ("=", left[len(left) - after :])]
    return list(_shown(_joined(around))), note


def _common(left: str, right: str) -> tuple[int, int]:
    """Return how much of the beginning and of the end two texts have in common, in whole words."""
    most = min(len(left), len(right))
    before = _longest(most, lambda size: left[:size] == right[:size])
    while before and _splits(left, before) | _splits(right, before):
        before -= 1
    most -= before
    after = _longest(most, lambda size: left[len(left) - size :] == right[len(right) - size :])
    while after and _splits(left, len(left) - after) | _splits(right, len(right) - after):
        after -= 1
    return before, after


def _longest(most: int, is_shared: Any) -> int:
    """Return the largest size up to `most` that is shared, as all smaller ones are then."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if is_shared(middle) else (low, middle - 1)
    return low


def _splits(text: str, place: int) -> bool:
    """Whether a word, or a run of spaces, goes on at this place."""
    around = text[max(place - 1, 0) : place + 1]
    return len(around) == 2 and bool(re.fullmatch(r"\w\w|\s\s", around))


def _middle(left: str, right: str, room: list[int]) -> tuple[list[tuple[str, str]], str | None]:
    if not left or not right:
        return [_cut("-", left), _cut("+", right)], None
    size = len(left) + len(right)
    for pattern, most in ((_WORDS, _MOST_WORDS), (_LINES, _MOST_LINES)):
        one, other = _split(pattern, left, most), _split(pattern, right, most)
        if one is not None and other is not None and size <= room[0]:
            room[0] -= size
            return _aligned(one, other), None
    return [_cut("-", left), _cut("+", right)], f"too long to be compared: {size:,} characters differ"


def _split(pattern: re.Pattern[str], text: str, most: int) -> list[str] | None:
    found: list[str] = []
    for match in pattern.finditer(text):
        found.append(match[0])
        if len(found) > most:
            return None
    return found


def _aligned(left: list[str], right: list[str]) -> list[tuple[str, str]]:
    import difflib

    found: list[tuple[str, str]] = []
    for sign, a, b, c, d in difflib.SequenceMatcher(None, left, right).get_opcodes():
        if sign == "equal":
            found.append(("=", "".join(left[a:b])))
        else:
            found += [("-", "".join(left[a:b])), ("+", "".join(right[c:d]))]
    return found


def _joined(pieces: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield pieces without empty ones; changes that have but spaces and signs between them become one."""
    texts = {"-": "", "+": ""}
    between = ""
    for sign, text in pieces:
        if sign == "=" and (len(text) > _SHORT or re.search(r"\w", text) or not any(texts.values())):
            yield from _flushed(texts, between)
            between = ""
            yield from [("=", text)] if text else []
        elif sign == "=":
            between += text
        elif text:
            texts = {one: known + between for one, known in texts.items()}
            between = ""
            texts[sign] += text
    yield from _flushed(texts, between)


def _flushed(texts: dict[str, str], between: str) -> Iterator[tuple[str, str]]:
    yield from ((sign, text) for sign, text in texts.items() if text)
    yield from [("=", between)] if between else []
    texts.update({"-": "", "+": ""})


def _shown(pieces: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield pieces, of what both have only what is near a difference."""
    every = list(pieces)
    for number, (sign, text) in enumerate(every):
        if sign != "=" or len(text) <= 3 * _CONTEXT:
            yield sign, text
            continue
        head = "" if number == 0 else text[:_CONTEXT]
        tail = "" if number == len(every) - 1 else text[-_CONTEXT:]
        left_out = f"{len(text) - len(head) - len(tail):,} characters"
        yield from (piece for piece in (("=", head), ("…", left_out), ("=", tail)) if piece[1])
