"""A payload is kept as it was at the call, whatever it is, and becomes valid JSON."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import re
import threading
import uuid
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolog import capture
from autolog.capture import Limits, json_bytes, media, plain, snapshot, storable

LIMITS = Limits(max_string=1_000, max_payload=10_000, max_media=200)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    tags: list[str]


def test_later_changes_do_not_reach_a_snapshot():
    messages = [{"role": "user", "content": [{"type": "text", "text": "before"}]}]
    taken = snapshot(messages)
    messages[0]["content"][0]["text"] = "after"
    messages.append({"role": "assistant"})

    assert taken == [{"role": "user", "content": [{"type": "text", "text": "before"}]}]


def test_strings_are_shared_not_copied():
    text = "x" * 10_000
    assert snapshot({"content": text})["content"] is text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Point(1, ["a"]), {"x": 1, "tags": ["a"]}),
        (Colour.RED, "red"),
        (decimal.Decimal("1.5"), "1.5"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        ({1: "a", None: "b", (1, 2): "c"}, {"1": "a", "None": "b", "(1, 2)": "c"}),
        ({"a"}, ["a"]),
        (ValueError("no"), "builtins.ValueError: no"),
        (len, "<builtins.builtin_function_or_method>"),
        (Point, "<tests.test_capture.Point>"),
    ],
)
def test_objects_become_plain_values(value, expected):
    taken = plain(snapshot(value))
    if isinstance(expected, str) and expected.endswith("Point>"):
        assert taken.endswith("test_capture.Point>")
    else:
        assert taken == expected


def test_pydantic_models_are_kept_as_they_would_be_sent():
    pydantic = pytest.importorskip("pydantic")

    class Message(pydantic.BaseModel):
        role: str
        name: str | None = None
        content: str = pydantic.Field(serialization_alias="text")

    assert snapshot([Message(role="user", content="hi")]) == [{"role": "user", "text": "hi"}]


def test_arrays_are_told_by_shape_and_not_copied():
    numpy = pytest.importorskip("numpy")
    assert snapshot({"v": numpy.zeros((2, 3), dtype="float32")}) == {
        "v": {"type": "numpy.ndarray", "shape": [2, 3], "dtype": "float32"}
    }
    assert snapshot({"v": numpy.float64(1.5)}) == {"v": 1.5}


def test_an_iterator_is_not_consumed():
    numbers = iter([1, 2, 3])
    snapshot({"numbers": numbers, "again": (n for n in numbers)})

    assert list(numbers) == [1, 2, 3]


class Evil:
    """Every question that one might ask it fails."""

    def _fail(self, *args):
        raise RuntimeError("evil")

    __repr__ = __str__ = __len__ = __iter__ = __eq__ = __hash__ = __bool__ = __getattr__ = _fail
    __hash__ = object.__hash__


class EvilModel:
    def model_dump(self, **kwargs):
        raise RuntimeError("evil")


class EvilError(Exception):
    def __str__(self):
        raise RuntimeError("evil")


@pytest.mark.parametrize(
    "make", [Evil, EvilModel, EvilError, lambda: {"k": Evil()}, lambda: {(1,): Evil()}], ids=range(5)
)
def test_objects_that_raise_at_every_question_are_taken(make):
    json.loads(json_bytes(snapshot(make())))


def test_mocks_are_not_taken_for_models():
    from unittest.mock import MagicMock

    assert snapshot(MagicMock()) == "<unittest.mock.MagicMock>"


def test_cycles_and_depth_end():
    cycle: dict = {}
    cycle["self"] = [cycle]
    deep: list = []
    for _ in range(100_000):
        deep = [deep]

    assert snapshot(cycle) == {"self": ["<cycle>"]}
    assert "too deep" in json.dumps(snapshot(deep))


def test_a_dict_that_another_thread_changes_is_taken():
    shared = {i: i for i in range(1_000)}
    done = threading.Event()

    def change():
        while not done.is_set():
            shared[len(shared)] = 1
            if len(shared) > 5_000:
                shared.clear()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(300):
            json.loads(json_bytes(snapshot(shared)))
    finally:
        done.set()
        thread.join()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=50)
    | st.binary(max_size=20),
    lambda children: st.lists(children, max_size=5) | st.dictionaries(st.text(st.characters()), children, max_size=5),
    max_leaves=20,
)


@given(JSON)
def test_everything_becomes_valid_json_that_reads_back_the_same(value):
    once = plain(snapshot(value))
    assert plain(once) == once


@given(st.text(st.characters(), max_size=2_000))
def test_a_stored_string_is_whole_or_marked(text):
    encoded, cut = storable(text, LIMITS)
    stored = json.loads(encoded)

    assert cut == (len(text) > LIMITS.max_string)
    if not cut:
        assert stored == re.sub("[\ud800-\udfff]", "\ufffd", text)
    else:
        assert stored.endswith(f"[{len(text) - LIMITS.max_string} more characters cut]")


def test_values_that_json_has_not_are_repaired():
    value = {"surrogate": "a\ud800b", "nan": float("nan"), "big": 2**70, "nul": "a\x00b", "bytes": b"abc"}
    assert plain(value) == {
        "surrogate": "a\ufffdb",
        "nan": None,
        "big": str(2**70),
        "nul": "a\x00b",
        "bytes": {"media": {"bytes": 3, "sha256": media(b"abc")["media"]["sha256"]}},
    }


def test_inline_media_over_the_limit_become_type_size_and_hash():
    import base64
    import hashlib

    content = b"\x89PNG" * 100
    url = "data:image/png;base64," + base64.b64encode(content).decode()
    stored, cut = storable({"image_url": {"url": url}, "text": "see"}, LIMITS)

    assert cut
    assert json.loads(stored) == {
        "image_url": {
            "url": {"media": {"mime": "image/png", "bytes": 400, "sha256": hashlib.sha256(content).hexdigest()}}
        },
        "text": "see",
    }


def test_small_media_and_long_prose_stay():
    value = {"url": "data:image/png;base64,QUJD", "data": "word " * 100}
    stored, cut = storable(value, LIMITS)

    assert json.loads(stored) == value
    assert not cut


def test_a_payload_over_the_limit_becomes_an_outline():
    stored, cut = storable({"rows": ["x" * 900] * 100, "n": 1}, LIMITS)

    assert cut
    assert json.loads(stored)["keys"] == ["rows", "n"]
    assert len(stored) < LIMITS.max_payload


class Text(str):
    """As some libraries return it: text that can be called, for what it once was a method of."""

    def __call__(self):
        return str(self)

    def __str__(self):
        raise RuntimeError


class Count(int): ...


class Share(float): ...


class Items(list): ...


def test_values_of_subclasses_of_pythons_own_types_are_their_values():
    value = {Text("key"): [Text("text"), Count(3), Share(0.5), Items([1]), deque([2])]}
    assert snapshot(value) == {"key": ["text", 3, 0.5, [1], [2]]}
    assert [type(item) for item in snapshot(value)["key"]] == [str, int, float, list, list]


def test_a_library_says_how_its_objects_are_pictured(monkeypatch):
    class Document:
        def __init__(self, text, below=None):
            self.text = text
            self.below = below

    class Page(Document): ...

    monkeypatch.setattr(capture, "_descriptions", {})
    capture.describe(Document, lambda document: {"text": document.text, "below": document.below})
    assert snapshot([Page("a", Document("b"))]) == [{"text": "a", "below": {"text": "b", "below": None}}]
    capture.describe(Document, lambda document: document.missing)
    assert snapshot(Page("a")).endswith("Page")
