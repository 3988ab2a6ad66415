"""Take a picture of a value at the call, and make it valid JSON later.

`snapshot` runs in the traced program: it copies containers in C and shares the immutable strings, so its
cost grows with the number of containers, not with bytes. `json_bytes` and `storable` run on the worker.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from autolog.context import suppress
from autolog.guard import attempt, guarded
from autolog.semconv import TRUNCATED

_MAX_DEPTH = 64
_MAX_NODES = 100_000
_MAX_TEXT = 200
_MOST_BARE = 1_000
"""Events or links that are kept, without attributes, where all of them are too many bytes."""
_NOTHING: list[Any] = []
_to_builtins = msgspec.to_builtins
_SHARED = (bytes,)
_SCALARS = (str, int, float, bool, bytes, type(None))


def snapshot(value: Any) -> Any:
    """Return a copy of `value` in dicts, lists and scalars that later changes of `value` do not reach.

    Objects that have no such form become a short description of their type; no `__repr__` is called, nothing
    is iterated that can be iterated once only.
    """
    if type(value) is str:
        return value
    try:
        return _to_builtins(value, builtin_types=_SHARED, enc_hook=_outline)
    # Keys that JSON has not, cycles and depth, dicts changed by another thread, and whatever the program's objects raise.
    except Exception:  # noqa: BLE001
        return _walked(value)


def _walked(value: Any) -> Any:
    with guarded, suppress():  # methods of the value may be traced
        return _Walk().copy(value, 0)
    return _name(type(value))


# Subclasses of these are not what msgspec knows, and are pictured by their values all the same.
_PLAIN: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int),
    (float, float),
    (bytes, bytes),
    ((list, tuple, set, frozenset, deque), list),
    (BaseException, lambda error: f"{_name(type(error))}: {attempt(str, error, default='')}"),
    (Mapping, dict),
)
_descriptions: dict[type, Callable[[Any], Any]] = {}


def describe(kind: type, description: Callable[[Any], Any]) -> None:
    """Picture values of `kind`, and of its subclasses, as what `description` returns of them: containers and scalars."""
    _descriptions[kind] = description


def _description(kind: type) -> Callable[[Any], Any] | None:
    if _descriptions:
        for base in kind.__mro__:
            if base in _descriptions:
                return _descriptions[base]
    return None


def _outline(value: Any) -> Any:
    """Say in plain values what an object is that msgspec does not know."""
    # Even `isinstance` asks the object, where it has a `__class__` of its own.
    return attempt(_plain_values, value, default=f"<{_name(type(value))} object>")


def _plain_values(value: Any) -> Any:
    kind = type(value)
    description = _description(kind)
    if description is not None:
        return attempt(description, value, default=_name(kind))
    for base, plain_value in _PLAIN:
        if isinstance(value, base):
            return attempt(plain_value, value, default=_name(kind))
    if hasattr(kind, "model_dump"):  # pydantic: what the SDKs send is by alias and without unset fields
        return attempt(_model_dump, value, default=None) or attempt(vars, value, default=None) or _name(kind)
    array = _array(value, kind)
    if array is not None:
        return array
    if isinstance(value, type) or callable(value):
        return f"<{_name(value if isinstance(value, type) else kind)}>"
    return f"<{_name(kind)} object>"


def _array(value: Any, kind: type) -> Any:
    """Describe arrays, tensors and data frames: never their content, which may lie on a device."""
    shape = getattr(kind, "shape", None) is not None and attempt(lambda: tuple(value.shape), default=None)
    if not isinstance(shape, tuple):
        return None
    if shape == () and hasattr(kind, "item"):
        item = attempt(value.item, default=None)
        return item if isinstance(item, _SCALARS) and item is not None else _name(kind)
    dtype = attempt(lambda: str(value.dtype), default=None)
    return {"type": _name(kind), "shape": [int(n) for n in shape], **({"dtype": dtype} if dtype else {})}


def _listed(value: Any) -> list[Any]:
    return list(value)


def _pairs(value: dict[Any, Any]) -> list[tuple[Any, Any]]:
    return list(value.items())


def _model_dump(model: Any) -> Any:
    with suppress():
        return model.model_dump(by_alias=True, exclude_unset=True, warnings=False)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


class _Walk:
    """Copy by hand what C refuses, within budgets of depth and nodes."""

    def __init__(self) -> None:
        self._nodes = 0
        self._path: set[int] = set()

    def copy(self, value: Any, depth: int) -> Any:
        if type(value) in _SCALARS:
            return value
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            return "<truncated: too many values>"
        if depth > _MAX_DEPTH:
            return "<truncated: too deep>"
        if id(value) in self._path:
            return "<cycle>"
        self._path.add(id(value))
        try:
            return attempt(self._container, value, depth, default=f"<{_name(type(value))} object>")
        finally:
            self._path.discard(id(value))

    def _container(self, value: Any, depth: int) -> Any:
        # list(...) first: another thread may change the container while it is walked.
        if isinstance(value, dict):
            items = attempt(_pairs, value, default=_NOTHING)
            return {self._key(key): self.copy(item, depth + 1) for key, item in items}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.copy(item, depth + 1) for item in attempt(_listed, value, default=_NOTHING)]
        description = _description(type(value))
        if description is not None:
            return self.copy(attempt(description, value, default=_name(type(value))), depth + 1)
        return attempt(
            lambda: _to_builtins(value, builtin_types=_SHARED, enc_hook=_outline), default=f"<{_name(type(value))}>"
        )

    @staticmethod
    def _key(key: Any) -> str:
        return str.__str__(key) if isinstance(key, str) else attempt(str, key, default=_name(type(key)))[:_MAX_TEXT]


# --- on the worker -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a value is stored; see the settings of the same names."""

    max_string: int = 1_000_000
    max_payload: int = 32_000_000
    max_media: int = 16_000


UNLIMITED = Limits(max_string=2**62, max_payload=2**62, max_media=2**62)
_DATA_URL = re.compile(r"data:(?P<mime>[\w.+-]+/[\w.+-]+)?(?:;[\w.=+-]+)*;base64,", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{64,}={0,2}\Z")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CUT = re.compile(r"… \[\d+ more characters cut\]")
_MEDIA_KEYS = frozenset({"data", "b64_json", "file_data", "partial_image_b64", "image_url", "url", "result"})
_INT_BITS = 63


def json_bytes(value: Any) -> bytes:
    """Return `value` as valid JSON in UTF-8; what JSON has not is repaired, never refused."""
    return _dump(value, UNLIMITED)[0]


_dumps: Callable[[Any], bytes] | None = None


def json_size(value: Any) -> int:
    """Return how many bytes `value` takes as JSON."""
    global _dumps
    if _dumps is None:
        from orjson import dumps

        _dumps = dumps
    try:
        return len(_dumps(value))
    except (TypeError, RecursionError):  # what has to be repaired first
        return len(json_bytes(value))


def storable_as_is(value: Any, limits: Limits) -> bytes | None:
    """Return `value` as JSON, or `None` where something in it must be repaired, cut or replaced first."""
    # Imported here: the traced program's first call must not wait for it.
    import orjson

    try:
        encoded = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_SUBCLASS)
    except (TypeError, RecursionError):  # bytes, surrogates, integers past 64 bits, depth
        return None
    # Only a payload longer than a limit can hold a string longer than it. Asking the values takes as long as there
    # are values; searching the bytes would hold the interpreter lock for all of them.
    fits = len(encoded) <= min(limits.max_media, limits.max_string) or not _is_over(value, limits)
    return encoded if fits and len(encoded) <= limits.max_payload else None


def storable(value: Any, limits: Limits) -> tuple[bytes, bool]:
    """Return `value` as JSON within `limits`, and whether anything was cut or replaced."""
    encoded, cut = _dump(value, limits)
    if len(encoded) > limits.max_payload:
        outline = {"truncated": f"{len(encoded)} bytes of JSON, more than AUTOLOG_MAX_PAYLOAD", "keys": _keys(value)}
        return _dump(outline, limits)[0], True
    return encoded, cut


def storable_field(name: str, value: Any, limits: Limits) -> tuple[bytes, bool]:
    """Return a field of a span as JSON within `limits`, and whether anything was cut or replaced."""
    encoded, is_cut = storable(value, limits)
    if name in ("events", "links") and not encoded.startswith(b"["):
        # Too many bytes: an outline is no list of them, and these are more than their attributes.
        bare = [[*first, {TRUNCATED: "more than AUTOLOG_MAX_PAYLOAD"}] for *first, _ in value[:_MOST_BARE]]
        return storable(bare, replace(limits, max_payload=UNLIMITED.max_payload))[0], True
    return encoded, is_cut


def _keys(value: Any) -> Any:
    return [str(key)[:_MAX_TEXT] for key in list(value)[:100]] if isinstance(value, dict) else type(value).__name__


def _dump(value: Any, limits: Limits) -> tuple[bytes, bool]:
    encoded = storable_as_is(value, limits)
    if encoded is not None:
        return encoded, False
    import orjson

    repair = _Repair(limits)
    plain = repair.plain(value, "", 0)
    return orjson.dumps(plain, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_SUBCLASS), repair.cut


def _is_over(value: Any, limits: Limits) -> bool:
    """Whether a string in a value that is valid JSON has to be cut, or is media."""
    shortest = min(limits.max_media, limits.max_string)
    todo: list[tuple[str, Any]] = [("", [value])]
    while todo:
        key, container = todo.pop()
        for name, item in container.items() if isinstance(container, dict) else ((key, item) for item in container):
            if isinstance(item, str):
                if len(item) > shortest and (len(item) > limits.max_string or _is_media(item, name)):
                    return True
            elif isinstance(item, (dict, list, tuple)):
                todo.append((name, item))
    return False


def _is_media(text: str, key: str) -> bool:
    return bool(_DATA_URL.match(text) or (key in _MEDIA_KEYS and _BASE64.match(text)))


class _Repair:
    """Rebuild a value so that it is valid JSON and within limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.cut = False

    def plain(self, value: Any, key: str, depth: int) -> Any:
        if isinstance(value, str):
            return self._text(value, key)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return int(value) if abs(value).bit_length() <= _INT_BITS else str(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else None
        if isinstance(value, bytes):
            self.cut = True
            return media(value)
        if depth > _MAX_DEPTH * 3:
            self.cut = True
            return "<truncated: too deep>"
        if isinstance(value, dict):
            return {clean_text(str(k)): self.plain(item, str(k), depth + 1) for k, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.plain(item, key, depth + 1) for item in value]
        return self._text(f"<{_name(type(value))} object>", key)

    def _text(self, text: str, key: str) -> Any:
        if len(text) > self._limits.max_media:
            found = _DATA_URL.match(text)
            if found:
                self.cut = True
                return media(text[found.end() :], found["mime"])
            if key in _MEDIA_KEYS and _BASE64.match(text):
                self.cut = True
                return media(text)
        text = clean_text(text)
        # What another process cut at the same place is left as it is.
        if len(text) > self._limits.max_string and not _CUT.fullmatch(text, self._limits.max_string):
            self.cut = True
            left = len(text) - self._limits.max_string
            return f"{text[: self._limits.max_string]}… [{left} more characters cut]"
        return text


def clean_text(text: str) -> str:
    """Replace lone surrogates, which neither UTF-8 nor a database has."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def media(content: bytes | str, mime: str | None = None) -> dict[str, Any]:
    """Describe media instead of keeping it: its type, its size in bytes and its SHA-256.

    `content` is the bytes themselves or their base64.
    """
    import hashlib

    if isinstance(content, str):
        content = attempt(_decode, content, default=content.encode("utf-8", "replace"))
    described = {"mime": mime, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return {"media": {name: value for name, value in described.items() if value is not None}}


def _decode(text: str) -> bytes:
    import base64

    padded = text.rstrip("=")
    return base64.b64decode(padded + "=" * (-len(padded) % 4), altchars=b"-_" if "-" in text or "_" in text else None)


def plain(value: Any) -> Any:
    """Return `value` as what its JSON reads back as, so that a dict of it round-trips exactly."""
    import orjson

    return orjson.loads(json_bytes(value))


def preview(texts: Iterable[str], length: int = 400) -> str:
    """Join `texts` on one line of at most `length` characters."""
    line = ""
    for text in texts:
        line = f"{line} {' '.join(text[: length * 2].split())}".strip()
        if len(line) > length:
            return clean_text(line[: length - 1]) + "…"
    return clean_text(line)
