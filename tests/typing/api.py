"""What type checkers see of traced functions; `mypy --strict` must find nothing wrong here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from typing_extensions import assert_type

import autolog as al


@al.trace
def plain(a: int, b: str = "") -> float:
    return 1.0


@al.trace(name="x", span_type="TOOL", attributes={"a": 1})
async def coroutine(a: int) -> str:
    return str(a)


@al.trace(output_reducer=len)
def generator(a: int) -> Iterator[str]:
    yield "x"


@al.trace
async def async_generator(a: int) -> AsyncIterator[bytes]:
    yield b"x"


class Service:
    @al.trace
    def method(self, a: int) -> str:
        return str(a)

    @classmethod
    @al.trace
    def below(cls, a: int) -> str:
        return str(a)

    @staticmethod
    @al.trace(name="y")
    def static(a: int) -> str:
        return str(a)

    @al.trace
    @staticmethod
    def above(a: int) -> str:
        return str(a)


assert_type(plain(1, b="x"), float)
assert_type(generator(1), Iterator[str])
assert_type(async_generator(1), AsyncIterator[bytes])
assert_type(Service().method(1), str)
assert_type(Service.below(1), str)
assert_type(Service.static(1), str)
assert_type(Service.above(1), str)
assert_type(al.trace(len, "length")([1]), int)
callback: Callable[[int], Coroutine[Any, Any, str]] = coroutine
plain("wrong")  # type: ignore[arg-type]
al.trace(3)  # type: ignore[call-overload]
