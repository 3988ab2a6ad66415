"""Generators that were adopted: what starts inside of them nests under their span, wherever they are read."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

import autolog as al
from autolog.context import remove_source
from autolog.instrumentation import generators
from autolog.instrumentation.generators import adopt
from tests.trees import forest


@pytest.fixture(autouse=True)
def _nothing_is_left():
    yield
    gc.collect()
    assert generators._adopted == {}
    remove_source(generators.running)


def made(generator, name="maker"):
    """Adopt a generator for a span that has ended when it is read."""
    with al.start_span(name) as span:
        adopt(generator, span)
    return generator


def work(*names):
    for name in names:
        with al.start_span(name):
            pass
        yield name


def test_spans_inside_of_a_generator_nest_under_its_maker_and_those_of_its_reader_do_not(client):
    with al.start_span("reader"):
        for _ in made(work("a", "b")):
            with al.start_span("between"):
                pass

    assert forest(client) == (
        "OK\nUNKNOWN reader\n  UNKNOWN maker\n    UNKNOWN a\n    UNKNOWN b\n  UNKNOWN between\n  UNKNOWN between"
    )


def test_a_generator_that_is_not_adopted_belongs_to_its_reader(client):
    with al.start_span("reader"):
        list(work("a"))

    assert forest(client) == "OK\nUNKNOWN reader\n  UNKNOWN a"


def test_functions_that_a_generator_calls_belong_to_it_too(client):
    def deep(depth):
        return deep(depth - 1) if depth else list(work("deep"))

    def generator():
        yield from deep(20)

    list(made(generator()))

    assert forest(client) == "OK\nUNKNOWN maker\n  UNKNOWN deep"


def test_what_runs_in_a_generator_when_it_is_closed_or_thrown_into_belongs_to_it(client):
    def generator(name):
        try:
            yield 1
        except (GeneratorExit, KeyError):
            with al.start_span(name):
                return

    closed, thrown = made(generator("closing"), "one"), made(generator("catching"), "two")
    next(closed)
    closed.close()
    next(thrown)
    with pytest.raises(StopIteration):
        thrown.throw(KeyError())

    assert forest(client) == "OK\nUNKNOWN one\n  UNKNOWN closing\n\nOK\nUNKNOWN two\n  UNKNOWN catching"


def test_the_innermost_of_nested_generators_is_what_counts(client):
    def outer():
        with al.start_span("before"):
            pass
        yield from made(work("inside"), "inner maker")

    list(made(outer(), "outer maker"))

    assert forest(client) == ("OK\nUNKNOWN outer maker\n  UNKNOWN before\n  UNKNOWN inner maker\n    UNKNOWN inside")


def test_async_generators_are_followed_through_awaits_and_many_at_once(client):
    async def generator(number):
        for _ in range(3):
            await asyncio.sleep(0)
            with al.start_span(f"piece {number}"):
                await asyncio.sleep(0)
            yield number

    async def read(number):
        return [item async for item in made(generator(number), f"maker {number}")]

    async def main():
        return await asyncio.gather(*(read(number) for number in range(50)))

    assert asyncio.run(main()) == [[number] * 3 for number in range(50)]
    expected = [f"OK\nUNKNOWN maker {n}" + f"\n  UNKNOWN piece {n}" * 3 for n in range(50)]
    assert sorted(forest(client).split("\n\n")) == sorted(expected)


def test_a_generator_may_be_read_by_another_thread(client):
    generator = made(work("a", "b"))
    next(generator)
    thread = threading.Thread(target=list, args=(generator,))
    thread.start()
    thread.join()

    assert forest(client) == "OK\nUNKNOWN maker\n  UNKNOWN a\n  UNKNOWN b"


def test_a_generator_is_adopted_until_it_is_released_or_gone(client):
    span = al.start_span("maker")
    generator = work("a", "b")
    release = adopt(generator, span)
    next(generator)
    release()
    release()
    next(generator)
    span.end()

    assert forest(client) == "OK\nUNKNOWN maker\n  UNKNOWN a\n\nOK\nUNKNOWN b"
    made(work())
    gc.collect()
    assert generators._adopted == {}


def test_a_finished_generator_is_not_adopted(client):
    generator = work()
    list(generator)
    made(generator)

    assert generators._adopted == {}


def test_another_frame_in_the_place_of_a_finished_one_is_not_taken_for_it(client):
    finished = [made(work("a"), f"maker {number}") for number in range(100)]
    for generator in finished:
        list(generator)
    with al.start_span("reader"):
        for _ in range(300):
            list(work("b"))

    assert "UNKNOWN reader\n" + "\n".join(["  UNKNOWN b"] * 300) in forest(client)
    del generator, finished


def test_the_deeper_of_a_generator_and_what_a_framework_says_encloses_a_step(client):
    said = []

    def generator():
        said.append(generators.innermost(None))
        said.append(generators.innermost(maker))
        with al.start_span("below") as below:
            said.append(generators.innermost(below))
        said.append(generators.innermost(elsewhere))
        yield

    with al.start_span("elsewhere") as elsewhere, al.start_span("maker") as maker:
        running = generator()
        adopt(running, maker)
    list(running)

    assert [span.name for span in said] == ["maker", "maker", "below", "maker"]
