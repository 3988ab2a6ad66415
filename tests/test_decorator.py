"""`@trace`: what it records of functions of every kind, and that it changes none of them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import pickle
import re
import subprocess
import sys
import types
import weakref
from pathlib import Path
from typing import NamedTuple
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

import autolog as al
from autolog import decorator
from autolog.guard import guarded
from autolog.testing import fresh_client, spans, traces
from tests.trees import forest, sorted_by_text, the


@al.trace
def at_module_level(question, top_k=3):
    """Answer."""
    return f"{question} {top_k}"


# --- what is recorded ------------------------------------------------------------------------------------


def test_the_tree_follows_the_call_stack(client):
    @al.trace(span_type="RETRIEVER")
    def search(query):
        return [query]

    @al.trace
    async def rate(found):
        return len(found)

    @al.trace(name="agent", span_type=al.SpanType.AGENT, attributes={"version": 2})
    def answer(query):
        found = search(query)
        with al.start_span("think"):
            return asyncio.run(rate(found))

    assert answer("q") == 1
    assert forest(client) == "OK\nAGENT agent\n  RETRIEVER search\n  UNKNOWN think\n    UNKNOWN rate"
    assert the(client, "agent").attributes["version"] == 2
    assert (the(client, "search").inputs, the(client, "search").outputs) == ({"query": "q"}, ["q"])


class Thing:
    def plain(self, a, b=2):
        return a + b

    @classmethod
    def of_class(cls, a):
        return cls, a

    @staticmethod
    def static(a, b=2):
        return a + b


def function(a, /, b, *rest, c=3, d, **more):
    return a


class Bound(NamedTuple):
    function: object
    args: tuple
    kwargs: dict
    inputs: dict


@pytest.mark.parametrize(
    "case",
    [
        Bound(lambda: None, (), {}, {}),
        Bound(lambda a, b=2: None, (1,), {}, {"a": 1, "b": 2}),
        Bound(lambda a, b=2: None, (1, 3), {}, {"a": 1, "b": 3}),
        Bound(lambda a, b=2: None, (), {"b": 3, "a": 1}, {"a": 1, "b": 3}),
        Bound(lambda *args, **kwargs: None, (1, 2), {"x": 3}, {"args": [1, 2], "kwargs": {"x": 3}}),
        Bound(lambda *args, **kwargs: None, (), {}, {"args": [], "kwargs": {}}),
        Bound(function, (1, 2), {"d": 4}, {"a": 1, "b": 2, "rest": [], "c": 3, "d": 4, "more": {}}),
        Bound(function, (1, 2, 8), {"d": 4, "a": 5}, {"a": 1, "b": 2, "rest": [8], "c": 3, "d": 4, "more": {"a": 5}}),
        Bound(functools.partial(Thing().plain, 1), (), {"b": 5}, {"b": 5}),
        Bound(Thing().plain, (1,), {}, {"a": 1, "b": 2}),
        Bound(Thing.plain, (Thing(), 1), {}, {"a": 1, "b": 2}),
        Bound(max, (1, 2), {}, {"args": [1, 2], "kwargs": {}}),
    ],
    ids=lambda case: re.sub(" at 0x[0-9a-f]+", "", f"{case.args} {case.kwargs}"),
)
def test_inputs_are_the_arguments_by_name_with_defaults(client, case):
    assert al.trace(case.function)(*case.args, **case.kwargs) == case.function(*case.args, **case.kwargs)
    [span] = spans(client)
    assert (span.inputs or {}) == case.inputs


@given(st.lists(st.integers(), max_size=5), st.dictionaries(st.sampled_from("abcdxy"), st.integers(), max_size=6))
@pytest.mark.parametrize("shape", [function, lambda a, b=2, c=3: a, lambda *, a, b=1: a, lambda a, *x: a, Thing.static])
def test_arguments_bind_as_python_binds_them(shape, args, kwargs):
    bound = decorator.Parameters(shape).bound(tuple(args), kwargs)
    try:
        shape(*args, **kwargs)  # inspect of Python 3.13.0 binds what no call takes
        expected = inspect.signature(shape).bind(*args, **kwargs)
    except TypeError:
        assert bound == {"args": args, "kwargs": kwargs}
    else:
        expected.apply_defaults()
        as_lists = {k: list(v) if isinstance(v, tuple) else v for k, v in expected.arguments.items()}
        assert list(bound.items()) == list(as_lists.items())


def test_inputs_are_as_they_were_at_the_call_and_outputs_as_they_were_at_the_return(client):
    @al.trace
    def grow(messages):
        messages.append("b")
        return messages

    given = ["a"]
    assert grow(given) is given
    given.append("c")
    [span] = spans(client)
    assert (span.inputs, span.outputs) == ({"messages": ["a"]}, ["a", "b"])


@pytest.mark.parametrize("set_to", ["mine", None])
def test_outputs_that_the_body_sets_stay(client, set_to):
    @al.trace
    def function():
        al.get_current_active_span().set_outputs(set_to)
        return "returned"

    assert function() == "returned"
    assert spans(client)[0].outputs == set_to


def test_inputs_that_the_body_sets_stay(client):
    @al.trace
    def function(secret):
        al.get_current_active_span().set_inputs({"secret": "***"})

    function("x")
    assert spans(client)[0].inputs == {"secret": "***"}


# --- kinds of functions ----------------------------------------------------------------------------------


class Service:
    @al.trace
    def method(self, a):
        return self, a

    @al.trace
    @classmethod
    def above_class(cls, a):
        return cls, a

    @classmethod
    @al.trace
    def below_class(cls, a):
        return cls, a

    @al.trace
    @staticmethod
    def above_static(a):
        return a

    @staticmethod
    @al.trace
    def below_static(a):
        return a

    @al.trace
    async def acoroutine(self, a):
        return self, a

    @property
    @al.trace
    def value(self):
        return 1


def test_methods_of_all_kinds_are_traced_and_bind_as_before(client):
    class Child(Service):
        pass

    child = Child()
    assert child.method(1) == (child, 1)
    assert Child.above_class(2) == (Child, 2)
    assert child.below_class(3) == (Child, 3)
    assert (Child.above_static(4), child.below_static(5)) == (4, 5)
    assert asyncio.run(child.acoroutine(6)) == (child, 6)
    assert child.value == 1
    assert isinstance(inspect.getattr_static(Service, "above_class"), classmethod)
    assert isinstance(inspect.getattr_static(Service, "above_static"), staticmethod)
    assert [(span.name, span.inputs) for span in spans(client)] == [
        ("method", {"a": 1}), ("above_class", {"a": 2}), ("below_class", {"a": 3}), ("above_static", {"a": 4}),
        ("below_static", {"a": 5}), ("acoroutine", {"a": 6}), ("value", None),
    ]  # fmt: skip


def test_whatever_can_be_called_can_be_traced(client):
    class Callable:
        def __call__(self, a):
            return a

    class AsyncCallable:
        async def __call__(self, a):
            return a

    async def coroutine(a, b):
        return a, b

    assert al.trace(Callable())(1) == 1
    assert al.trace(functools.partial(at_module_level.__wrapped__, top_k=5))("x") == "x 5"
    assert al.trace(lambda a: a)(3) == 3
    assert al.trace(len)([1]) == 1
    assert asyncio.run(al.trace(AsyncCallable())(4)) == 4
    assert asyncio.run(al.trace(functools.partial(coroutine, 1))(2)) == (1, 2)
    assert al.trace(Mock(return_value=5))() == 5
    assert asyncio.run(al.trace(AsyncMock(return_value=6))()) == 6
    assert al.trace(coroutine, "by hand", "TOOL") is not coroutine
    names = [span.name for span in spans(client)]
    assert names == [
        "Callable",
        "at_module_level",
        "<lambda>",
        "len",
        "AsyncCallable",
        "coroutine",
        "Mock",
        "AsyncMock",
    ]


@pytest.mark.parametrize(
    ("thing", "says"),
    [(Thing, "methods of 'Thing'"), (property(lambda self: 1), "below @property"), (3, "'int'"), ("name", "'str'")],
)
def test_what_can_not_be_traced_is_refused_with_a_reason(thing, says):
    with pytest.raises(TypeError, match=says):
        al.trace(thing)
    with pytest.raises(TypeError, match=says):
        al.trace(name="x")(thing)


@pytest.mark.parametrize("kind", [lambda: None, Thing.plain, Thing.of_class])
def test_a_reducer_for_what_is_no_generator_is_refused(kind):
    async def coroutine(): ...

    for func in (kind, coroutine):
        with pytest.raises(TypeError, match="output_reducer"):
            al.trace(func, output_reducer=list)


def test_a_traced_function_looks_as_the_function_does():
    def plain(a: int, /, b: str = "x", *, c: float = 1.0) -> list[int]:
        """Say."""

    async def coroutine(a: int) -> int: ...
    def generator(a: int):
        yield

    async def async_generator(a: int):
        yield

    plain.mark = object()
    for func in (plain, coroutine, generator, async_generator):
        traced = al.trace(func)
        assert isinstance(traced, types.FunctionType)
        assert traced.__wrapped__ is func
        assert inspect.signature(traced) == inspect.signature(func)
        for name in ("__name__", "__qualname__", "__doc__", "__module__", "__annotations__", "__dict__"):
            if name != "__dict__":
                assert getattr(traced, name) == getattr(func, name)
        for asks in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
            assert asks(traced) == asks(func)
    assert al.trace(plain).mark is plain.mark
    assert pickle.loads(pickle.dumps(at_module_level)) is at_module_level


def test_what_a_traced_function_makes_looks_as_what_the_function_makes():
    @al.trace
    async def coroutine(): ...
    @al.trace
    def generator():
        yield

    @al.trace
    async def async_generator():
        yield

    made = coroutine()
    assert inspect.iscoroutine(made)
    assert made.__qualname__ == coroutine.__qualname__
    made.close()
    assert inspect.isgenerator(generator())
    assert generator().__name__ == "generator"
    assert inspect.isasyncgen(async_generator())


def test_a_generator_that_is_awaited_still_is(client):
    @al.trace
    @types.coroutine
    def step():
        return (yield from asyncio.sleep(0, "done").__await__())

    async def main():
        return await step()

    assert asyncio.run(main()) == "done"
    assert spans(client)[0].name == "step"


def test_abstract_methods_stay_abstract():
    import abc

    class Base(abc.ABC):
        @al.trace
        @abc.abstractmethod
        def work(self): ...

    with pytest.raises(TypeError, match="abstract"):
        Base()


def test_type_checkers_see_the_function_that_was_traced():
    pytest.importorskip("mypy")
    page = Path(__file__).parent / "typing" / "api.py"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(page)],
        capture_output=True, text=True, check=False, cwd=page.parent.parent.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


# --- exceptions ------------------------------------------------------------------------------------------


class Own(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "status", "event"),
    [
        (Own("bad"), "ERROR", True),
        (KeyboardInterrupt(), "ERROR", True),
        (SystemExit(1), "ERROR", True),
        (SystemExit("no"), "ERROR", True),
        (SystemExit(0), "OK", False),
        (SystemExit(), "OK", False),
        (asyncio.CancelledError(), "CANCELLED", True),
        (GeneratorExit(), "CANCELLED", False),
    ],
)
def test_an_exception_is_the_same_one_and_passes_one_frame_of_ours(client, error, status, event):
    @al.trace
    def function():
        raise error

    @al.trace
    def generator():
        yield 1
        raise error

    def run(body):
        with pytest.raises(type(error)) as raised:
            body()
        assert raised.value is error
        assert (error.__context__, error.__cause__) == (None, None)
        frames = [f.frame.f_code.co_filename for f in inspect.getinnerframes(raised.tb)]
        assert frames.count(decorator.__file__) == 1
        error.__traceback__ = None

    run(function)
    run(lambda: list(generator()))
    for span in spans(client):
        assert span.status.code == status
        assert [e.name for e in span.events] == (["exception"] if event else [])
    assert al.get_current_active_span() is None


@pytest.mark.parametrize("args", [(), (1, 2, 3)])
def test_a_call_that_does_not_fit_raises_what_it_raised(client, args):
    def function(a, b): ...
    async def coroutine(a, b): ...
    def generator(a, b):
        yield

    def message(call):
        with pytest.raises(TypeError) as raised:
            call()
        return str(raised.value)

    plain = [message(lambda func=func: func(*args)) for func in (function, coroutine, generator)]
    traced = [
        message(lambda: al.trace(function)(*args)),
        message(lambda: asyncio.run(al.trace(coroutine)(*args))),
        message(lambda: next(al.trace(generator)(*args))),
    ]
    assert traced == plain
    assert [span.status.code for span in spans(client)] == ["ERROR"] * 3
    assert spans(client)[0].inputs == {"args": list(args), "kwargs": {}}


def test_no_exception_and_no_argument_is_kept(client):
    class Big:
        pass

    @al.trace
    def function(big):
        raise Own

    @al.trace
    def generator(big):
        try:
            yield 1
        except Own:
            pass
        raise Own

    gc.disable()
    try:
        big = Big()
        gone = weakref.ref(big)
        with contextlib.suppress(Own):
            function(big)
        made = generator(big)
        next(made)
        with contextlib.suppress(Own):
            made.throw(Own())
        del big, made
        assert gone() is None
    finally:
        gc.enable()


def test_an_item_is_not_kept_while_the_consumer_works(client):
    class Item:
        def __init__(self, log):
            weakref.finalize(self, log.append, "gone")

    @al.trace
    def generator(log):
        for _ in range(2):
            yield Item(log)

    log = []
    for item in generator(log):
        del item
        log.append("next")
    assert log == ["gone", "next", "gone", "next"]


class Hostile:
    def __repr__(self):
        raise Own

    __str__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __repr__

    def __getattr__(self, name):
        raise Own


class MoreHostile:
    __slots__ = ()

    def __getattribute__(self, name):
        raise Own


def test_no_argument_or_result_however_odd_reaches_the_program(client):
    @al.trace
    def same(value, *more):
        return value

    ring = {}
    ring["self"] = ring
    deep = []
    for _ in range(5000):
        deep = [deep]
    for odd in (
        Hostile(),
        MoreHostile(),
        ring,
        deep,
        Mock(),
        MagicMock(),
        object(),
        type,
        {object(): 1},
        {Hostile: {1, 2}},
        "\ud800",
    ):
        assert same(odd, odd) is odd
    assert [span.status.code for span in spans(client)] == ["OK"] * 11
    assert guarded.errors == 0


def test_an_error_of_ours_does_not_reach_the_program(client, monkeypatch):
    monkeypatch.setattr(guarded, "reraise", False)
    monkeypatch.setattr(client.tracer, "start_span", Mock(side_effect=RuntimeError("ours")))

    @al.trace
    def function():
        return 1

    @al.trace
    def generator():
        yield 2

    @al.trace
    async def async_generator():
        yield 3

    async def collect():
        return [item async for item in async_generator()]

    assert (function(), list(generator()), asyncio.run(collect())) == (1, [2], [3])
    assert al.stats().internal_errors == 3


def test_recursion_ends_as_python_ends_it(client):
    @al.trace
    def down(n):
        return down(n + 1)

    guarded.reraise = False
    for _ in range(3):
        with pytest.raises(RecursionError):
            down(0)
    assert al.get_current_active_span() is None
    assert client.open_spans() == []
    assert {span.status.code for span in spans(client)} == {"ERROR"}


def test_what_is_traced_in_an_exception_or_an_argument_is_not_recorded_when_we_look_at_them(client):
    class Broken(Exception):
        @al.trace
        def __str__(self):
            raise Broken

    class Mapping(dict):
        @al.trace
        def items(self):
            return super().items()

    @al.trace
    def fail(argument):
        raise Broken

    with pytest.raises(Broken):
        fail(Mapping(a={1: 2}))
    assert [span.name for span in spans(client)] == ["fail"]


def test_a_call_nested_thousands_of_times_is_one_trace(client):
    @al.trace
    def down(n):
        return n and down(n - 1)

    most = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        assert down(2_000) == 0
    finally:
        sys.setrecursionlimit(most)
    [trace] = traces(client)
    assert len(trace.spans) == 2_001
    assert str(trace).count("down") == 2_001
    assert al.Trace.from_json(trace.to_json()) == trace


# --- off -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["disabled", "suppressed"])
def test_nothing_is_recorded_where_tracing_is_off(client, how):
    @al.trace
    def function(a):
        return a

    @al.trace(output_reducer=len)
    def generator():
        got = yield 1
        return got

    @al.trace
    async def async_generator():
        got = yield 1
        yield got

    async def drive():
        made = async_generator()
        return [await made.asend(None), await made.asend("sent"), await made.aclose()]

    client.tracer.enabled = how != "disabled"
    with al.context(enabled=how != "suppressed"):
        made = generator()
        assert (function(1), next(made)) == (1, 1)
        with pytest.raises(StopIteration) as stopped:
            made.send("sent")
        assert stopped.value.value == "sent"
        assert asyncio.run(drive()) == [1, "sent", None]
    client.tracer.enabled = True
    assert traces(client) == []


def test_nothing_is_recorded_of_a_trace_that_is_not_sampled(client):
    @al.trace
    def function(a):
        al.start_span("inside").end()
        return a

    @al.trace
    def generator():
        yield function([1])

    @al.trace
    async def async_generator():
        yield function([2])

    async def read():
        return [item async for item in async_generator()]

    al.configure(sampling=al.Sampling(ratio=0))
    assert (function([0]), list(generator()), asyncio.run(read())) == ([0], [[1]], [[2]])
    assert traces(client) == []
    assert client.stats().sampled_out_traces == 3  # each with all that is in it


# --- generators ------------------------------------------------------------------------------------------


def test_a_generator_is_one_span_with_its_items_and_what_it_does_below(client):
    @al.trace
    def rows(n):
        for number in range(n):
            with al.start_span(f"row {number}"):
                pass
            yield number
        return "end"

    def whole():
        assert (yield from rows(2)) == "end"

    assert list(whole()) == [0, 1]
    assert forest(client) == "OK\nUNKNOWN rows\n  UNKNOWN row 0\n  UNKNOWN row 1"
    assert (the(client, "rows").inputs, the(client, "rows").outputs) == ({"n": 2}, [0, 1])


def test_a_reducer_makes_the_outputs_of_the_items_themselves(client):
    class Chunk:
        def __init__(self, text):
            self.text = text

    @al.trace(output_reducer=lambda chunks: "".join(chunk.text for chunk in chunks))
    def stream():
        yield from map(Chunk, "abc")

    @al.trace(name="async", output_reducer=sum)
    async def astream():
        for number in range(3):
            yield number

    async def read():
        async for _ in astream():
            pass

    list(stream())
    asyncio.run(read())
    assert [span.outputs for span in spans(client)] == ["abc", 3]


def test_a_reducer_that_fails_leaves_the_items(client, caplog):
    @al.trace(output_reducer=sum)
    def stream():
        yield "a"

    assert list(stream()) == ["a"]
    assert spans(client)[0].outputs == ["a"]
    assert "output_reducer of 'stream'" in caplog.text


def test_items_are_kept_as_they_were_when_they_were_yielded(client):
    @al.trace
    def states():
        state = {"n": 0}
        for number in range(3):
            state["n"] = number
            yield state

    list(states())
    assert spans(client)[0].outputs == [{"n": 0}, {"n": 1}, {"n": 2}]


@pytest.mark.parametrize(("bound", "item", "kept"), [("MOST_ITEMS", "x", 3), ("MOST_BYTES", "xx", 2)])
def test_what_is_kept_of_a_long_generator_is_bounded_and_says_so(client, monkeypatch, bound, item, kept):
    monkeypatch.setattr(decorator, bound, 3)

    @al.trace
    def endless():
        while True:
            yield item

    made = endless()
    for _ in range(1000):
        next(made)
    made.close()
    [span] = spans(client)
    assert span.outputs == [item] * kept
    assert f"{1000 - kept} more items" in span.attributes["autolog.truncated"]


def test_the_span_is_current_in_the_generator_and_never_in_its_consumer(client):
    @al.trace
    def generator():
        with al.start_span("open across items"):
            al.start_span("inside").end()
            yield
            al.start_span("inside again").end()
            yield
        al.start_span("after").end()

    with al.start_span("consumer") as consumer:
        for _ in generator():
            assert al.get_current_active_span() is consumer
            al.start_span("between").end()
    assert forest(client) == (
        "OK\nUNKNOWN consumer\n  UNKNOWN generator\n    UNKNOWN open across items\n      UNKNOWN inside\n"
        "      UNKNOWN inside again\n    UNKNOWN after\n  UNKNOWN between\n  UNKNOWN between"
    )


def test_interleaved_generators_keep_their_own_trees(client):
    @al.trace
    def walk(name):
        for number in range(2):
            with al.start_span(f"{name} {number}"):
                yield number

    @al.trace
    def outer():
        yield from walk("nested")

    a, b = walk("a"), walk("b")
    assert list(zip(a, b, outer(), strict=True)) == [(0, 0, 0), (1, 1, 1)]
    assert al.get_current_active_span() is None
    assert forest(client) == (
        "OK\nUNKNOWN walk\n  UNKNOWN a 0\n  UNKNOWN a 1\n\nOK\nUNKNOWN walk\n  UNKNOWN b 0\n  UNKNOWN b 1\n\n"
        "OK\nUNKNOWN outer\n  UNKNOWN walk\n    UNKNOWN nested 0\n    UNKNOWN nested 1"
    )


def test_a_generator_that_is_left_early_ends_as_cancelled_with_what_was_read(client):
    @al.trace
    def endless():
        number = 0
        try:
            while True:
                yield number
                number += 1
        finally:
            al.start_span("cleaned up").end()

    for number in endless():
        if number == 2:
            break
    gc.collect()
    assert forest(client) == "CANCELLED\nUNKNOWN endless CANCELLED\n  UNKNOWN cleaned up"
    assert (the(client, "endless").outputs, the(client, "endless").events) == ([0, 1, 2], ())


def test_a_generator_that_is_never_begun_makes_no_span(client):
    @al.trace
    def generator():
        yield

    generator().close()
    assert traces(client) == []


class Thrown(Exception):
    pass


def body(answers):
    """A generator that does what it is told, whatever comes in: `answers` has its reactions in order."""
    got = []
    answers = iter(answers)
    while True:
        try:
            what = next(answers, "return")
            if what == "return":
                return got
            if what == "raise":
                raise Own(len(got))
            if what == "stop":
                raise StopIteration(len(got))
            got.append((yield f"item {len(got)}"))
        except (Thrown, GeneratorExit) as error:
            got.append(type(error).__name__)
            if (next(answers, "pass on")) == "pass on":
                raise


async def async_body(answers):
    got = []
    answers = iter(answers)
    while True:
        try:
            what = next(answers, "return")
            if what == "return":
                return
            if what == "raise":
                raise Own(len(got))
            if what == "stop":
                raise StopAsyncIteration(len(got))
            await asyncio.sleep(0)
            got.append((yield f"item {got}"))
        except (Thrown, GeneratorExit) as error:
            got.append(type(error).__name__)
            if (next(answers, "pass on")) == "pass on":
                raise


OPERATIONS = {
    "next": lambda made: made.send(None),
    "send": lambda made: made.send("sent"),
    "throw": lambda made: made.throw(Thrown("in")),
    "stop": lambda made: made.throw(StopIteration(3)),
    "exit": lambda made: made.throw(GeneratorExit()),
    "close": lambda made: made.close(),
}
ASYNC_OPERATIONS = {
    "next": lambda made: made.__anext__(),
    "send": lambda made: made.asend("sent"),
    "throw": lambda made: made.athrow(Thrown("in")),
    "stop": lambda made: made.athrow(StopAsyncIteration(3)),
    "exit": lambda made: made.athrow(GeneratorExit()),
    "close": lambda made: made.aclose(),
}
ANSWERS = st.lists(st.sampled_from(["yield", "yield", "yield", "raise", "stop", "return", "pass on", "go on"]))


def described(error):
    return error and (type(error), error.args, described(error.__cause__), described(error.__context__))


def outcomes(made, operations):
    for operation in operations:
        try:
            yield operation, OPERATIONS[operation](made)
        except BaseException as error:
            yield operation, described(error)
    for _ in range(20):  # to its end, for it may not let itself be closed
        with contextlib.suppress(BaseException):
            next(made)


async def async_outcomes(made, operations):
    found = []
    for operation in operations:
        try:
            found.append((operation, await ASYNC_OPERATIONS[operation](made)))
        except BaseException as error:
            found.append((operation, described(error)))
    for _ in range(20):
        with contextlib.suppress(BaseException):
            await made.__anext__()
    return found


@given(ANSWERS, st.lists(st.sampled_from(list(OPERATIONS)), max_size=8))
def test_a_traced_generator_does_what_the_generator_does(answers, operations):
    with fresh_client() as client:
        plain = list(outcomes(body(answers), operations))
        assert list(outcomes(al.trace(body)(answers), operations)) == plain
        assert client.stats().open == 0
        assert al.get_current_active_span() is None


@given(ANSWERS, st.lists(st.sampled_from(list(ASYNC_OPERATIONS)), max_size=8))
def test_a_traced_async_generator_does_what_the_generator_does(answers, operations):
    async def main(func):
        return await async_outcomes(func(answers), operations)

    with fresh_client() as client:
        assert asyncio.run(main(al.trace(async_body))) == asyncio.run(main(async_body))
        assert client.stats().open == 0
        client.tracer.enabled = False
        assert asyncio.run(main(al.trace(async_body))) == asyncio.run(main(async_body))


# --- asyncio ---------------------------------------------------------------------------------------------


def test_an_async_generator_that_is_left_is_closed_by_the_loop_and_ends_as_cancelled(client):
    @al.trace
    async def endless():
        number = 0
        try:
            while True:
                yield number
                number += 1
        finally:
            await asyncio.sleep(0)
            al.start_span("cleaned up").end()

    async def leave():
        async for number in endless():
            if number == 1:
                break
        while client.stats().open:
            await asyncio.sleep(0)

    async def keep():
        made = endless()
        await made.__anext__()
        return made

    asyncio.run(leave())
    made = asyncio.run(keep())  # closed when the loop ends
    del made
    tree = "CANCELLED\nUNKNOWN endless CANCELLED\n  UNKNOWN cleaned up"
    assert forest(client) == f"{tree}\n\n{tree}"
    assert the_outputs(client, "endless") == [[0, 1], [0]]


def the_outputs(client, name):
    return [span.outputs for span in spans(client) if span.name == name]


def test_the_loop_has_nothing_to_complain_about_when_it_closes_generators(client):
    complaints = []

    @al.trace
    async def slow_to_close():
        try:
            yield 1
        finally:
            for _ in range(5):
                await asyncio.sleep(0)

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        global made
        made = [slow_to_close() for _ in range(3)]
        for one in made:
            await one.__anext__()

    asyncio.run(main())
    made.clear()
    gc.collect()
    assert complaints == []
    assert [trace.state for trace in traces(client)] == ["CANCELLED"] * 3


def test_steps_of_a_stream_may_run_in_tasks_of_their_own(client):
    @al.trace
    async def stream():
        with al.start_span("opening"):
            yield 1
        al.start_span("later").end()
        yield 2

    async def main():
        async with contextlib.aclosing(stream()) as made:
            for _ in range(2):
                await asyncio.create_task(made.__anext__())

    asyncio.run(main())
    assert forest(client) == "CANCELLED\nUNKNOWN stream CANCELLED\n  UNKNOWN opening\n  UNKNOWN later"


def test_a_cancelled_task_ends_all_its_spans_as_cancelled(client):
    @al.trace
    async def inner():
        await asyncio.sleep(3600)

    @al.trace
    async def stream():
        yield 1
        await inner()

    @al.trace
    async def outer():
        async for _ in stream():
            pass

    async def main():
        task = asyncio.create_task(outer())
        while client.stats().open < 3:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert forest(client) == (
        "CANCELLED\nUNKNOWN outer CANCELLED\n  UNKNOWN stream CANCELLED\n    UNKNOWN inner CANCELLED"
    )


def test_a_coroutine_that_is_closed_or_never_run(client):
    @al.trace
    async def coroutine():
        await asyncio.sleep(3600)

    coroutine().close()
    assert traces(client) == []

    async def main():
        begun = coroutine()
        begun.send(None)
        begun.close()

    asyncio.run(main())
    assert forest(client) == "CANCELLED\nUNKNOWN coroutine CANCELLED"


def test_tasks_side_by_side_nest_below_who_made_them(client):
    @al.trace
    async def step(name):
        await asyncio.sleep(0)
        with al.start_span(name):
            await asyncio.sleep(0)

    @al.trace
    async def branch(name):
        await asyncio.gather(step(f"{name} 1"), asyncio.create_task(step(f"{name} 2")))

    @al.trace
    async def root():
        await asyncio.gather(branch("a"), branch("b"))

    asyncio.run(root())
    assert sorted_by_text(forest(client)) == sorted_by_text(
        """OK
UNKNOWN root
  UNKNOWN branch
    UNKNOWN step
      UNKNOWN a 1
    UNKNOWN step
      UNKNOWN a 2
  UNKNOWN branch
    UNKNOWN step
      UNKNOWN b 1
    UNKNOWN step
      UNKNOWN b 2"""
    )


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.TaskGroup came with Python 3.11")
def test_a_task_group_that_fails_cancels_the_others(client):
    @al.trace
    async def waits():
        await asyncio.sleep(3600)

    @al.trace
    async def fails():
        while client.stats().open < 3:
            await asyncio.sleep(0)
        raise Own("bad")

    @al.trace
    async def root():
        async with asyncio.TaskGroup() as group:
            group.create_task(waits())
            group.create_task(fails())

    with pytest.raises(BaseException) as raised:  # an ExceptionGroup, which Python 3.10 has not
        asyncio.run(root())
    assert [type(error) for error in raised.value.exceptions] == [Own]
    assert forest(client) == (
        "ERROR\nUNKNOWN root ERROR ExceptionGroup\n  UNKNOWN waits CANCELLED\n  UNKNOWN fails ERROR Own"
    )


def test_sync_and_async_code_nest_in_each_other_and_across_threads_of_asyncio(client):
    @al.trace
    def sync_step(name):
        with al.start_span(name):
            return name

    @al.trace
    async def root():
        sync_step("called")
        await asyncio.to_thread(sync_step, "to_thread")
        done = asyncio.get_running_loop().create_future()

        def callback():
            sync_step("call_soon")
            done.set_result(None)

        asyncio.get_running_loop().call_soon(callback)
        await done

    asyncio.run(root())
    assert forest(client) == (
        "OK\nUNKNOWN root\n  UNKNOWN sync_step\n    UNKNOWN called\n  UNKNOWN sync_step\n    UNKNOWN to_thread\n"
        "  UNKNOWN sync_step\n    UNKNOWN call_soon"
    )


def test_interleaved_async_generators_keep_their_own_trees(client):
    @al.trace
    async def walk(name):
        for number in range(2):
            with al.start_span(f"{name} {number}"):
                await asyncio.sleep(0)
                yield number

    async def main():
        a, b = walk("a"), walk("b")
        for _ in range(2):
            await a.__anext__()
            await b.__anext__()
        await asyncio.gather(a.aclose(), b.aclose())

    asyncio.run(main())
    assert forest(client) == (
        "CANCELLED\nUNKNOWN walk CANCELLED\n  UNKNOWN a 0\n  UNKNOWN a 1 CANCELLED\n\n"
        "CANCELLED\nUNKNOWN walk CANCELLED\n  UNKNOWN b 0\n  UNKNOWN b 1 CANCELLED"
    )
