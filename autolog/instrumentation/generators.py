"""Which span the code of a generator belongs to, however late and wherever it is run.

A generator does its work when it is asked for items, and by then whatever made it has long returned. While it runs, its
frame is on the stack, and nothing else is: so who looks up the stack finds it, and the code of whoever reads from it,
between two items, is never taken for its own. Nothing is put around the generator, and no context is touched.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

from autolog.context import add_last_source, deeper
from autolog.model.span import Span

# By the identity of a frame, which lives as long as its generator is neither finished nor forgotten.
_adopted: dict[int, tuple[weakref.ref[Any], Span]] = {}


def adopt(generator: Any, span: Span) -> Callable[[], None]:
    """Have what starts inside of `generator`, sync or async, nest under `span`; return what ends that.

    It ends by itself with the generator, of which no reference is kept. One that is finished is left alone.
    """
    frame = _frame(generator)
    if frame is None:
        return _nothing
    place = id(frame)

    def release(_: object = None) -> None:
        found = _adopted.get(place)
        if found is not None and found[0] is reference:
            del _adopted[place]

    reference = weakref.ref(generator, release)
    _adopted[place] = reference, span
    add_last_source(running)
    return release


def _nothing() -> None:
    return None


def running() -> Span | None:
    """Return the span of the innermost adopted generator that runs here, or `None`."""
    if not _adopted:
        return None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        found = _adopted.get(id(frame))
        # Another frame may lie where that of a finished generator lay.
        if found is not None and _frame(found[0]()) is frame:
            return found[1]
        frame = frame.f_back
    return None


def innermost(said: Span | None) -> Span | None:
    """Return the deeper of an adopted generator that runs here and of what a framework `said` encloses this place.

    A framework's own account may be of the code that reads from the generator.
    """
    found = running()
    return said if found is None else deeper(said, found)


def _frame(generator: Any) -> FrameType | None:
    frame: FrameType | None = getattr(generator, "gi_frame", None) or getattr(generator, "ag_frame", None)
    return frame
