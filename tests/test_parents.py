"""What a span nests under: the current span, what frameworks say of the place, and the deepest of them."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

import autolog as al
from autolog import SpanType, Status, autolog
from autolog.context import add_source, remove_source
from tests.trees import forest


@pytest.fixture
def framework():
    """What a framework says runs here: its step, and the model call that it makes."""
    here = {"step": None, "model": None}

    def step():
        return here["step"]

    def model():
        return here["model"]

    add_source(step)
    add_source(model, of_leaves=True)
    yield here
    remove_source(step)
    remove_source(model)


def test_a_span_nests_under_the_step_that_a_framework_says_runs_here(client, framework):
    framework["step"] = client.tracer.start_step("node", SpanType.TASK)
    with al.start_span("own") as own:
        assert al.get_current_active_span() is own
    assert al.get_current_active_span() is framework["step"]
    framework["step"].end()

    assert forest(client) == "OK\nTASK node\n  UNKNOWN own"


def test_a_current_span_inside_a_step_is_deeper_than_the_step(client, framework):
    step = framework["step"] = client.tracer.start_step("node", SpanType.TASK)
    with al.start_span("own"), al.start_span("deeper"):
        pass
    step.end()

    assert forest(client) == "OK\nTASK node\n  UNKNOWN own\n    UNKNOWN deeper"


def test_a_step_inside_a_current_span_is_deeper_than_the_span(client, framework):
    with al.start_span("own"):
        framework["step"] = step = client.tracer.start_step("node", SpanType.TASK)
        al.start_span("below").end()
        step.end()

    assert forest(client) == "OK\nUNKNOWN own\n  TASK node\n    UNKNOWN below"


def test_a_framework_that_knows_more_of_a_place_goes_before_an_unrelated_current_span(client, framework):
    framework["step"] = step = client.tracer.start_step("node", SpanType.TASK)
    framework["step"] = None
    with al.start_span("unrelated"):
        framework["step"] = step
        al.start_span("below").end()
    step.end()

    assert forest(client) == "OK\nTASK node\n  UNKNOWN below\n\nOK\nUNKNOWN unrelated"


def test_no_step_nests_under_a_model_call_and_what_the_program_does_there_nests(client, framework):
    model = framework["model"] = client.tracer.start_step("model", SpanType.CHAT_MODEL)
    client.tracer.start_step("next prompt", SpanType.CHAT_MODEL).end()
    al.start_span("own").end()
    model.end()

    assert forest(client) == "OK\nCHAT_MODEL model\n  UNKNOWN own\n\nOK\nCHAT_MODEL next prompt"


def test_the_parent_that_a_framework_names_goes_before_what_else_is_known_but_for_what_is_deeper(client, framework):
    parent = client.tracer.start_step("parent", SpanType.CHAIN)
    framework["step"] = client.tracer.start_step("elsewhere", SpanType.CHAIN)
    client.tracer.start_step("child", SpanType.CHAIN, parent=parent).end()
    framework["step"].end()
    with client.tracer.start_span("own", parent=parent):
        framework["step"] = None
        client.tracer.start_step("deeper child", SpanType.CHAIN, parent=parent).end()
    parent.end()

    assert forest(client) == (
        "OK\nCHAIN parent\n  CHAIN child\n  UNKNOWN own\n    CHAIN deeper child\n\nOK\nCHAIN elsewhere"
    )


def test_a_source_that_is_removed_is_asked_no_more(client):
    asked = []

    def source():
        asked.append(True)

    add_source(source)
    add_source(source)
    al.start_span("once").end()
    remove_source(source)
    al.start_span("not").end()
    assert len(asked) == 1


def test_fifty_tasks_nest_under_their_own_steps(client):
    here = ContextVar("here", default=None)
    add_source(here.get)

    async def work(number):
        step = client.tracer.start_step(f"step {number}", SpanType.TASK)
        here.set(step)
        await asyncio.sleep(0)
        with al.start_span(f"own {number}"):
            await asyncio.sleep(0)
        step.end()

    async def main():
        await asyncio.gather(*(work(number) for number in range(50)))

    try:
        asyncio.run(main())
    finally:
        remove_source(here.get)

    assert sorted(forest(client).split("\n\n")) == sorted(
        f"OK\nTASK step {number}\n  UNKNOWN own {number}" for number in range(50)
    )


# --- one call, told by two libraries ---------------------------------------------------------------------


def framework_call(client, usage=None, kind=SpanType.CHAT_MODEL, sdk=SpanType.CHAT_MODEL):
    """A model call of a framework, in which an SDK makes the same call, with 10 tokens in and 5 out."""
    call = client.tracer.start_step("ChatModel", kind)
    call.is_framework_call = True
    with call:
        same = client.tracer.start_sdk_call("chat m", sdk)
        same.set_attribute("gen_ai.response.id", "r1")
        same.add_event("retry", {"retry.attempt": 1})
        same.set_usage(al.TokenUsage(10, 5, 15))
        same.end()
    call.set_usage(usage)
    return call


USED = al.TokenUsage(10, 5, 15)


def test_an_sdks_span_of_a_frameworks_call_is_marked_and_counts_once(client):
    framework_call(client, USED)
    assert forest(client) == "OK 10>5\nCHAT_MODEL ChatModel 10>5\n  CHAT_MODEL chat m 10>5 (duplicate)"


def test_a_framework_that_was_not_told_the_tokens_has_them_from_the_sdk(client):
    framework_call(client)
    assert forest(client) == "OK 10>5\nCHAT_MODEL ChatModel 10>5\n  CHAT_MODEL chat m 10>5 (duplicate)"


def test_an_embedding_inside_a_chat_model_is_a_call_of_its_own(client):
    framework_call(client, USED, sdk=SpanType.EMBEDDING)
    assert forest(client) == "OK 10>5\nCHAT_MODEL ChatModel 10>5\n  EMBEDDING chat m 10>5"


def test_an_sdks_span_is_merged_into_the_frameworks(client):
    autolog(duplicates="merge")
    framework_call(client)

    assert forest(client) == "OK 10>5\nCHAT_MODEL ChatModel 10>5"
    [trace] = client.search_traces(return_type="list")
    [span] = trace.spans
    assert span.get_attribute("gen_ai.response.id") == "r1"
    assert span.get_attribute("autolog.duplicate_of") is None
    assert [event.name for event in span.events] == ["retry"]
    assert client.stats().merged == 1
    assert client.stats().started == 2


def test_many_merged_spans_leave_nothing_waiting(client):
    autolog(duplicates="merge")
    for _ in range(5_000):
        framework_call(client, USED)

    assert client.flush()
    assert client.stats().waiting == client.stats().open == 0
    assert client.stats().stored == client.stats().merged == 5_000


def test_a_span_that_ends_after_the_frameworks_was_stored_stays_a_span(client):
    autolog(duplicates="merge")
    with client.tracer.start_step("ChatModel", SpanType.CHAT_MODEL) as call:
        call.is_framework_call = True
        late = client.tracer.start_sdk_call("chat m", SpanType.CHAT_MODEL)
    client.flush()
    late.end()

    assert forest(client) == "OK\nCHAT_MODEL ChatModel\n  CHAT_MODEL chat m (duplicate)"


def test_an_sdks_span_is_dropped_where_the_framework_has_one(client):
    autolog(duplicates="drop")
    framework_call(client, USED)
    with client.tracer.start_sdk_call("alone", SpanType.CHAT_MODEL):
        pass

    assert forest(client) == "OK 10>5\nCHAT_MODEL ChatModel 10>5\n\nOK\nCHAT_MODEL alone"


def test_an_unknown_way_with_duplicates_is_refused(client):
    with pytest.raises(al.InvalidSetting, match="duplicates must be one of nest, merge, drop, not 'hide'"):
        autolog(duplicates="hide")


# --- failures --------------------------------------------------------------------------------------------


def test_an_exception_that_passes_several_steps_leaves_its_stack_at_the_innermost(client):
    outer = client.tracer.start_step("outer", SpanType.CHAIN)
    inner = client.tracer.start_step("inner", SpanType.CHAIN, parent=outer)
    error = ValueError("no")
    inner.record_failure(error)
    inner.end()
    outer.record_failure(error)
    outer.end()

    assert forest(client) == "ERROR\nCHAIN outer ERROR ValueError\n  CHAIN inner ERROR ValueError"
    [trace] = client.search_traces(return_type="list")
    assert [len(span.events) for span in trace.spans] == [0, 1]
    assert {span.status.description for span in trace.spans} == {"ValueError: no"}


def test_a_trace_is_cancelled_where_its_root_is(client):
    with al.start_span("root") as root, al.start_span("child"):
        root.set_status(Status.CANCELLED)

    assert forest(client) == "CANCELLED\nUNKNOWN root CANCELLED\n  UNKNOWN child"
    assert len(client.search_traces(status="cancelled", return_type="list")) == 1
    assert client.search_traces(status="error", return_type="list") == []
