"""The current span: blocks, threads, generators, and OpenTelemetry's spans around and inside ours."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace as otel

import autolog as al
from autolog.context import suppress
from autolog.model.unrecorded import NO_SPAN
from autolog.testing import spans, traces


def test_a_block_makes_its_span_current_and_restores_the_one_before(client):
    with al.start_span("outer") as outer:
        with al.start_span("inner") as inner:
            assert al.get_current_active_span() is inner
        assert al.get_current_active_span() is outer
    assert al.get_current_active_span() is None


def test_a_span_without_a_block_is_not_current(client):
    with al.start_span("outer") as outer:
        span = al.start_span("beside")
        assert al.get_current_active_span() is outer
        span.end()
    assert [s.parent_id for s in spans(client)] == [None, outer.span_id]


@pytest.mark.parametrize("first", [0, 1])
def test_blocks_that_end_in_another_order_than_they_began_leave_nothing_current(client, first):
    def stream(name):
        with al.start_span(name):
            yield 1
            yield 2

    streams = [stream("a"), stream("b")]
    for one in streams:
        next(one)
    streams[first].close()
    streams[1 - first].close()

    assert al.get_current_active_span() is None
    al.start_span("another trace").end()
    assert len(traces(client)) == 2


def test_a_block_that_is_left_open_ends_with_the_one_around_it(client):
    def stream():
        with al.start_span("stream"):
            yield 1

    left = stream()
    with al.start_span("outer"):
        next(left)
    assert al.get_current_active_span() is None
    left.close()
    assert al.get_current_active_span() is None


@pytest.mark.parametrize(
    "block",
    [
        lambda: al.context(user="u"),
        lambda: al.context(enabled=False),
        lambda: al.extract({"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}),
        lambda: al.start_run("r"),
    ],
    ids=["context", "off", "extract", "run"],
)
def test_what_is_set_inside_a_span_and_ends_after_it_does_not_bring_the_span_back(client, block):
    setting = block()
    with al.start_span("first"):
        setting.__enter__()
    setting.__exit__(None, None, None)

    assert al.get_current_active_span() is None
    al.start_span("second").end()
    assert {trace.name for trace in traces(client)} == {"first", "second"}


def test_a_span_that_is_entered_twice_is_left_twice(client):
    span = al.start_span("s")
    with span, span:
        assert al.get_current_active_span() is span
    assert al.get_current_active_span() is None


def test_concurrent_tasks_have_their_own_parents(client):
    async def work(number):
        with al.start_span(f"task {number}") as span:
            await asyncio.sleep(0)
            with al.start_span(f"step {number}") as step:
                await asyncio.sleep(0)
                assert step.parent_id == span.span_id

    async def main():
        with al.start_span("root"):
            await asyncio.gather(*(work(number) for number in range(50)))

    asyncio.run(main())
    [trace] = traces(client)
    assert len(trace.spans) == 101
    assert len(trace.children(trace.root)) == 50


def test_a_generator_that_is_closed_elsewhere_ends_its_span_quietly(client):
    def stream():
        with al.start_span("stream"):
            yield 1
            yield 2

    import contextvars

    generator = stream()
    contextvars.Context().run(next, generator)
    generator.close()

    [span] = spans(client)
    assert span.status.code == "CANCELLED"
    assert al.get_current_active_span() is None


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), "ERROR"), (SystemExit(1), "ERROR"), (asyncio.CancelledError(), "CANCELLED")],
)
def test_leaving_a_block_by_any_exception_ends_the_span_as_failed_or_cancelled(client, error, code):
    with pytest.raises(type(error)) as raised, al.start_span("x"):
        raise error

    assert raised.value is error
    [span] = spans(client)
    assert span.status.code == code
    assert traces(client)[0].state == code
    assert type(error).__name__ in span.attributes["error.type"]


@pytest.mark.parametrize("code", [None, 0, False])
def test_a_program_that_exits_well_has_not_failed(client, code):
    with pytest.raises(SystemExit), al.start_span("x"):
        raise SystemExit(code)

    [span] = spans(client)
    assert (span.status.code, span.events) == ("OK", ())


def test_spans_of_opentelemetry_and_ours_nest_in_each_other(client):
    theirs = otel.NonRecordingSpan(otel.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=otel.TraceFlags(1)))
    with otel.use_span(theirs), al.start_span("ours") as ours:
        assert otel.get_current_span() is ours
        context = otel.get_current_span().get_span_context()
        assert (context.trace_id, f"{context.span_id:016x}") == (0xABC, ours.span_id)
    [trace] = traces(client)

    assert trace.trace_id == f"{0xABC:032x}"
    assert trace.spans[0].parent_id == f"{0xDEF:016x}"
    assert trace.state == "OK"


def test_opentelemetry_can_write_into_our_span(client):
    with al.start_span("x"):
        span = otel.get_current_span()
        span.set_attribute("a", 1)
        span.set_status(otel.Status(otel.StatusCode.ERROR, "bad"))
        span.add_event("e", {"k": "v"})
        span.update_name("renamed")
    [stored] = spans(client)

    assert (stored.name, stored.attributes["a"], stored.status.description) == ("renamed", 1, "bad")
    assert stored.events[0].attributes == {"k": "v"}


def test_suppression_is_shared_with_opentelemetry(client):
    token = otel_context.attach(otel_context.set_value(otel_context._SUPPRESS_INSTRUMENTATION_KEY, True))
    assert al.start_span("x") is NO_SPAN
    otel_context.detach(token)
    with suppress():
        assert al.start_span("x") is NO_SPAN
    with al.context(enabled=False):
        assert al.start_span("x") is NO_SPAN
    assert al.start_span("x") is not NO_SPAN


def test_the_span_of_tracing_that_is_off_takes_everything_and_keeps_nothing(client):
    client.tracer.enabled = False
    with al.start_span("x", inputs={"a": 1}) as span:
        span.set_outputs(1)
        span.set_attributes({"a": 1})
        span.record_exception(ValueError())
        span.set_status("ERROR")
        assert al.get_current_active_span() is None

    assert span is NO_SPAN
    assert (span.outputs, span.attributes, span.status.code, span.end_time_ns) == (None, {}, "UNSET", None)
    assert traces(client) == []


def test_what_is_set_for_a_block_reaches_every_trace_in_it(client):
    with al.context(tags={"a": "1"}, session_id="s"), al.context(tags={"b": "2"}, user="u"):
        al.start_span("inside").end()
        with al.start_span("changed"):
            al.update_current_trace(tags={"a": "3"}, metadata={"m": 1}, request_preview="asked")
    al.start_span("outside").end()
    inside, changed, outside = (trace.info for trace in traces(client))

    assert (inside.tags, inside.session, inside.user) == ({"a": "1", "b": "2"}, "s", "u")
    assert (changed.tags, changed.metadata, changed.request_preview) == ({"a": "3", "b": "2"}, {"m": "1"}, "asked")
    assert (outside.tags, outside.session, outside.user) == ({}, None, None)


def test_ids_do_not_repeat_when_the_program_seeds_its_random_numbers(client):
    import random

    ids = set()
    for _ in range(3):
        random.seed(1)
        ids.add(al.start_span("x").trace_id)
    assert len(ids) == 3
