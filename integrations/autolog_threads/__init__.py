"""Let a thread's spans nest under the span that its work was given out in."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from typing import Any, ClassVar

from opentelemetry.context import Context

from autolog.context import detach, enter
from autolog.instrumentation import Call, Integration, Observer, only_if
from autolog.propagation import here, run_in

# Threads that work for many callers: what the first of them was doing is none of the others' business.
_SHARED = frozenset(
    {
        "anyio._backends._asyncio",
        "autolog.delivery",
        "autolog.pipeline",
        "concurrent.futures.process",
        "concurrent.futures.thread",
        "multiprocessing.pool",
        "multiprocessing.queues",
    }
)
# From the start of a thread until it runs, which `start` waits for.
_carried: dict[int, Context] = {}


def _is_somewhere(_args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> bool:
    return bool(here())


def _is_carried(args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> bool:
    return id(args[0]) in _carried


@only_if(_is_somewhere)
def observe_start(call: Call) -> Observer:
    """Observe `Thread.start`, in the thread that starts another."""
    thread = call.instance
    if getattr(thread, "_context", None) is not None:
        return  # the program says itself what the thread begins with, as it can since Python 3.14
    _carried[id(thread)] = Context() if _is_shared(thread) else here()
    try:
        yield
    finally:
        _carried.pop(id(thread), None)


@only_if(_is_carried)
def observe_bootstrap(call: Call) -> Observer:
    """Observe `Thread._bootstrap_inner`, which runs `run`, whichever class that is of, in the thread itself."""
    context = _carried.pop(id(call.instance))
    own = getattr(call.instance, "_context", None)
    # Since Python 3.14 `run` has a context of its own.
    run = own.run if isinstance(own, contextvars.Context) else run_here
    token = run(enter, context)
    try:
        yield
    finally:
        run(detach, token)


def run_here(function: Any, argument: Any) -> Any:
    """Call `function`, as `contextvars.Context.run` does."""
    return function(argument)


@only_if(_is_somewhere)
def observe_submit(call: Call) -> Observer:
    """Observe `ThreadPoolExecutor.submit`, and with it `map`, `run_in_executor` and `to_thread`."""
    if call.args and not _is_elsewhere(call.instance):
        call.args = (run_in, here(), *call.args)
    yield


def _is_shared(thread: Any) -> bool:
    target = getattr(thread, "_target", None)
    return type(thread).__module__ in _SHARED or getattr(target, "__module__", None) in _SHARED


def _is_elsewhere(executor: Any) -> bool:
    """Whether its functions run in another interpreter, which has no contexts of ours."""
    return any(kind.__module__ == "concurrent.futures.interpreter" for kind in type(executor).__mro__)


class Threads(Integration):
    """Carry OpenTelemetry's context, and nothing else of the program's, into threads and thread pools."""

    name = "threads"
    requires = ""
    module = "threading"
    targets: ClassVar = {
        "threading:Thread.start": observe_start,
        "threading:Thread._bootstrap_inner": observe_bootstrap,
        "concurrent.futures.thread:ThreadPoolExecutor.submit": observe_submit,
    }
