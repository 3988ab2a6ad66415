"""W3C trace and span ids, and the clock that spans are timed with."""

from __future__ import annotations

import logging
import os
import random
import time
from operator import index
from typing import Any

from autolog.guard import attempt

logger = logging.getLogger("autolog")

# A generator of our own: random.seed() in the user's program must not repeat trace ids.
_random = random.Random(os.urandom(16))
_getrandbits = _random.getrandbits
_perf_counter_ns = time.perf_counter_ns

# Wall clock at perf_counter 0. Durations come from the monotonic clock, so they are never negative.
_anchor = time.time_ns() - _perf_counter_ns()
_DRIFT_NS = 1_000_000_000
_MOST_NS = 2**63
_HEX = frozenset("0123456789abcdefABCDEF")


def new_trace_id() -> int:
    """Return a random non-zero 128-bit id."""
    return _getrandbits(128) or 1


def new_span_id() -> int:
    """Return a random non-zero 64-bit id."""
    return _getrandbits(64) or 1


def now_ns() -> int:
    """Return nanoseconds since the epoch, monotonic between two calls of `correct_drift`."""
    return _anchor + _perf_counter_ns()


def moment(given: Any) -> int:
    """Return a time that the program gave, in nanoseconds since the epoch; for none, and for what is none, now."""
    if given is None:
        return now_ns()
    # Whatever counts as an integer, those of numpy too.
    exact = given if isinstance(given, float) else attempt(index, given, default=None)
    if exact is not None and -_MOST_NS < exact < _MOST_NS:  # not so for NaN
        return int(exact) or now_ns()
    logger.warning("%r is no time in nanoseconds since the epoch, as time.time_ns() gives it; now is recorded", given)
    return now_ns()


def correct_drift() -> None:
    """Follow the wall clock again after a suspended laptop or a clock that was set."""
    global _anchor
    anchor = time.time_ns() - _perf_counter_ns()
    if abs(anchor - _anchor) > _DRIFT_NS:
        _anchor = anchor


def format_trace_id(trace_id: int) -> str:
    """Return 32 lower-case hex digits."""
    return f"{trace_id:032x}"


def format_span_id(span_id: int) -> str:
    """Return 16 lower-case hex digits."""
    return f"{span_id:016x}"


def parse_id(text: str, digits: int) -> int:
    """Return the id that `text` spells in hex; raise `ValueError` where it is not one of `digits` digits."""
    if not isinstance(text, str) or len(text) != digits or set(text) - _HEX or not (value := int(text, 16)):
        raise ValueError(f"{text!r} is not an id of {digits} hex digits")
    return value


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(16)))
