"""The client's own spans: parents and times by hand, from any thread, in any order; traces of elsewhere; tags."""

from __future__ import annotations

import asyncio
import datetime
import math
import os
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace as otel

import autolog as al
from autolog import InvalidAssessment, InvalidQuery, InvalidTrace, NotFound, SpanType, StatusCode, TraceState
from autolog.model.usage import TokenUsage
from autolog.testing import fresh_client, spans, traces
from tests.trees import forest

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


# --- by hand ---------------------------------------------------------------------------------------------


def test_times_types_parents_and_fields_are_as_given(client):
    root = client.start_trace(
        "job", SpanType.AGENT, inputs={"q": 1}, attributes={"a": 1}, start_time_ns=START, experiment="night", run="r1",
        session="s1", user="u1", version="v2", tags={"env": "test", "n": 1}, metadata={"m": "x"},
    )  # fmt: skip
    child = client.start_span("step", root, "TOOL", inputs=[1], start_time_ns=START + SECOND)
    client.end_span(child, outputs="done", attributes={"b": 2}, end_time_ns=START + 2 * SECOND)
    client.end_trace(root, outputs={"a": 2}, status="OK", end_time_ns=START + 3 * SECOND)

    [trace] = traces(client)
    info = trace.info
    assert (info.experiment, info.run, info.session, info.user, info.version) == ("night", "r1", "s1", "u1", "v2")
    assert (info.tags, info.metadata) == ({"env": "test", "n": "1"}, {"m": "x"})
    assert (info.start_time_ns, info.duration_ns, info.state) == (START, 3 * SECOND, TraceState.OK)
    [job, step] = trace.spans
    assert (job.inputs, job.outputs, job.attributes) == ({"q": 1}, {"a": 2}, {"a": 1})
    assert (step.parent_id, step.span_type, step.inputs, step.outputs) == (job.span_id, SpanType.TOOL, [1], "done")
    assert (step.start_time_ns, step.duration_ns, step.attributes) == (START + SECOND, SECOND, {"b": 2})


def test_what_runs_around_it_is_no_parent_and_gives_no_fields(client):
    with al.context(tags={"of": "the block"}, session_id="s"), al.start_span("around"):
        root = client.start_trace("apart")
        assert root.parent_id is None
        client.end_trace(root)
    [apart] = [trace for trace in traces(client) if trace.name == "apart"]
    assert (apart.info.session, apart.info.tags, len(apart.spans)) == (None, {}, 1)


def test_a_span_of_the_client_is_not_current(client):
    root = client.start_trace("job")
    assert al.get_current_active_span() is None
    client.end_trace(root)


def test_spans_and_traces_go_by_their_ids_too(client):
    root = client.start_trace("job")
    child = client.start_span("step", trace_id=root.trace_id, parent_id=root.span_id)
    client.end_span(trace_id=root.trace_id, span_id=child.span_id, outputs=1)
    client.end_trace(root.trace_id, outputs=2)
    assert forest(client) == "OK\nUNKNOWN job\n  UNKNOWN step"
    assert [span.outputs for span in spans(client)] == [2, 1]


def test_a_parent_in_another_process_is_named_by_its_ids(client):
    child = client.start_span("step", trace_id="ab" * 16, parent_id="cd" * 8)
    client.end_span(child)
    [span] = spans(client)
    assert (span.trace_id, span.parent_id) == ("ab" * 16, "cd" * 8)


@pytest.mark.parametrize(
    "ids", [{"trace_id": "x"}, {"parent_id": "cd" * 8}, {"trace_id": "0" * 32, "parent_id": "cd" * 8}]
)
def test_ids_that_are_none_are_refused(client, ids):
    with pytest.raises(InvalidTrace, match="32 hex digits"):
        client.start_span("step", **ids)


def test_ending_what_is_not_open_says_so(client):
    with pytest.raises(NotFound, match="is open in this process"):
        client.end_span(trace_id="ab" * 16, span_id="cd" * 8)
    with pytest.raises(NotFound, match="close_forgotten"):
        client.end_trace("ab" * 16)


def test_ending_twice_changes_nothing(client):
    root = client.start_trace("job")
    client.end_trace(root, outputs=1, end_time_ns=root.start_time_ns + 5)
    client.end_trace(root, outputs=2)
    client.end_span(root, status="ERROR")
    [span] = spans(client)
    assert (span.outputs, span.duration_ns, span.status.code) == (1, 5, StatusCode.OK)


def test_children_may_end_after_the_root_and_start_after_it(client):
    root = client.start_trace("job")
    slow = client.start_span("slow", root)
    client.end_trace(root)
    client.flush()
    late = client.start_span("late", slow)
    later = client.start_span("later", trace_id=root.trace_id, parent_id=root.span_id)
    for span in (later, late, slow):
        client.end_span(span)
    assert forest(client) == "OK\nUNKNOWN job\n  UNKNOWN slow\n    UNKNOWN late\n  UNKNOWN later"


def test_a_span_ends_in_another_thread_than_it_started_in(client):
    root = client.start_trace("job")
    started = []

    def work(number):
        span = client.start_span(f"step {number}", root)
        started.append(span)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    enders = [threading.Thread(target=client.end_span, args=(span,)) for span in started]
    for thread in enders:
        thread.start()
    for thread in enders:
        thread.join()
    client.end_trace(root)
    [trace] = traces(client)
    assert sorted(span.name for span in trace.children(trace.root)) == sorted(f"step {n}" for n in range(20))
    assert client.stats().open == 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 6), min_size=1, max_size=7), st.randoms(use_true_random=False))
def test_any_tree_ended_in_any_order_with_flushes_between_is_stored_whole(parents, random):
    with fresh_client() as client:
        made = [client.start_trace("0")]
        for number, parent in enumerate(parents, start=1):
            made.append(client.start_span(str(number), made[parent % len(made)]))
            made[-1].set_usage(TokenUsage(input_tokens=1))
        wanted = {span.name: span.parent_id for span in made}
        for span in random.sample(made, len(made)):
            client.end_span(span)
            if random.random() < 0.3:
                client.flush()
        [trace] = traces(client)
        assert {span.name: span.parent_id for span in trace.spans} == wanted
        assert trace.state is TraceState.OK
        assert trace.info.span_count == len(made)
        # Only the outermost that know their usage count: those right below the root.
        assert trace.usage.input_tokens == len(trace.children(trace.root))


def test_nothing_is_recorded_while_tracing_is_off(client):
    client.tracer.enabled = False
    root = client.start_trace("job", tags={"a": "b"})
    child = client.start_span("step", root)
    client.end_span(child)
    client.end_span(trace_id="ab" * 16, span_id="cd" * 8)
    client.end_trace(root)
    client.end_trace("ab" * 16)
    assert traces(client) == []


def test_spans_of_the_package_may_be_given_a_parent_and_a_start(client):
    root = al.start_span_no_context("root", "CHAIN", tags={"a": "b"}, start_time_ns=START)
    with al.start_span("beside"):
        child = al.start_span_no_context("child", parent_span=root, inputs=1)
    child.end(outputs=2)
    root.end(START + 5)
    assert forest(client) == "OK\nCHAIN root\n  UNKNOWN child\n\nOK\nUNKNOWN beside"


def test_links_are_kept(client):
    with al.start_span("first") as first:
        pass
    with al.start_span("second", links=[al.Link(first.trace_id, first.span_id, {"why": "resumed"})]):
        pass
    second = traces(client)[1].root
    assert second.links == (al.Link(first.trace_id, first.span_id, {"why": "resumed"}),)


# --- forgotten -------------------------------------------------------------------------------------------


def test_what_was_forgotten_is_seen_and_can_be_closed(client):
    root = client.start_trace("job", start_time_ns=START)
    child = client.start_span("step", root, start_time_ns=START + SECOND)
    other = client.start_trace("other")
    assert client.open_spans() == [root, child, other]
    assert client.open_spans(root.trace_id) == [root, child]
    client.flush()
    assert traces(client)[0].state is TraceState.IN_PROGRESS

    assert client.close_forgotten(root.trace_id) == [root.trace_id]
    assert client.open_spans() == [other]
    assert forest(client).startswith("ERROR\nUNKNOWN job ERROR forgotten\n  UNKNOWN step ERROR forgotten")
    assert traces(client)[0].root.status.description == "nobody ended this span"
    client.end_trace(other)


def test_only_what_is_old_is_closed_by_age(client):
    old = client.start_trace("old", start_time_ns=START)
    new = client.start_trace("new")
    assert client.close_forgotten(older_than=3600) == [old.trace_id]
    assert client.open_spans() == [new]
    client.end_trace(new)
    with pytest.raises(InvalidQuery, match="older_than"):
        client.close_forgotten()


def test_what_a_killed_process_left_open_can_be_closed(tmp_path):
    program = """
        import os, autolog as al
        client = al.Client("traces.db")
        root = client.start_trace("job", tags={"a": "b"})
        child = client.start_span("done", root)
        client.end_span(child)
        client.start_span("hanging", root)
        client.flush()
        os._exit(1)
    """
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=tmp_path, env=env, check=False)
    client = al.Client(str(tmp_path / "traces.db"))
    try:
        assert forest(client) == "IN_PROGRESS\nUNKNOWN job OPEN\n  UNKNOWN done\n  UNKNOWN hanging OPEN"
        [trace] = traces(client)
        assert client.close_forgotten(older_than=0) == [trace.trace_id]
        assert client.close_forgotten(older_than=0) == []
        assert forest(client) == "ERROR\nUNKNOWN job ERROR forgotten\n  UNKNOWN done\n  UNKNOWN hanging ERROR forgotten"
        [trace] = traces(client)
        assert (trace.info.span_count, trace.info.error_count, trace.info.tags) == (3, 2, {"a": "b"})
        # They end with the last thing that is known of the trace, not when somebody tidied up.
        assert max(span.end_time_ns for span in trace.spans) == max(
            moment for span in trace.spans for moment in (span.start_time_ns, trace.spans[1].end_time_ns)
        )
    finally:
        client.close()


# --- traces of elsewhere ---------------------------------------------------------------------------------


def elsewhere() -> al.Trace:
    with fresh_client() as client:
        root = client.start_trace("remote", tags={"host": "b"}, session="s")
        child = client.start_span("model", root, "LLM")
        child.set_usage(TokenUsage(input_tokens=3, output_tokens=4))
        client.end_span(child)
        client.end_trace(root, outputs="answer")
        client.log_assessment(root.trace_id, al.Feedback(name="good", value=True))
        [trace] = traces(client)
        return trace


def test_a_trace_of_elsewhere_is_added_below_what_runs_here(client):
    remote = elsewhere()
    with al.start_span("here") as here:
        assert al.add_trace(remote.to_dict()) == here.trace_id
        assert al.add_trace(remote) == here.trace_id  # the same one twice: a retry is no collision
    assert forest(client) == (
        "OK 6>8\nUNKNOWN here\n  UNKNOWN remote\n    LLM model 3>4\n  UNKNOWN remote\n    LLM model 3>4"
    )
    assert remote.spans[0].trace_id == remote.trace_id  # what was given is left as it was


def test_a_trace_of_elsewhere_is_added_as_it_is_where_nothing_runs(client):
    remote = elsewhere()
    assert al.add_trace(remote.to_dict()) == remote.trace_id
    [trace] = traces(client)
    assert trace == remote
    al.add_trace(remote)
    assert traces(client)[0] == remote


def test_a_target_may_be_given(client):
    root = client.start_trace("job")
    client.add_trace(elsewhere(), root)
    client.end_trace(root)
    assert forest(client) == "OK 3>4\nUNKNOWN job\n  UNKNOWN remote\n    LLM model 3>4"


def test_what_is_no_finished_trace_is_refused(client):
    root = client.start_trace("job")
    client.flush()
    with pytest.raises(InvalidTrace, match="has not ended"):
        al.add_trace(client.get_trace(root.trace_id))
    for wrong in ({}, {"info": 1, "spans": []}, {"info": {}, "spans": [{}]}, []):
        with pytest.raises(InvalidTrace, match=r"Trace\.to_dict"):
            al.add_trace(wrong)
    client.end_trace(root)


# --- tags and other fields -------------------------------------------------------------------------------


def test_tags_are_set_and_deleted_while_a_trace_runs_and_afterwards(client):
    with al.start_span("job") as span:
        al.set_trace_tag(span.trace_id, "a", "1")
        al.set_trace_tag(span.trace_id, "b", "2")
        al.delete_trace_tag(span.trace_id, "b")
    assert client.get_trace(span.trace_id).info.tags == {"a": "1"}
    al.set_trace_tag(span.trace_id, "c", 3)
    al.delete_trace_tag(span.trace_id, "a")
    al.delete_trace_tag(span.trace_id, "never there")
    assert client.get_trace(span.trace_id).info.tags == {"c": "3"}
    assert [t.trace_id for t in al.search_traces(tags={"c": "3"}, return_type="list")] == [span.trace_id]
    assert al.search_traces(tags={"a": "1"}, return_type="list") == []
    with pytest.raises(NotFound, match="no trace"):
        al.set_trace_tag("ab" * 16, "a", "b")
    with pytest.raises(NotFound, match="no trace"):
        al.delete_trace_tag("no id", "a")


def test_a_running_trace_is_changed_in_every_field(client):
    with al.start_span("job") as span:
        assert al.get_active_trace_id() == span.trace_id
        al.update_current_trace({"a": 1}, {"m": 2}, "req-1", "asked", "answered", session_id="s", user="u", version="v")
        al.update_current_trace(tags={"b": 2})
        span.set_outputs("something else")
    info = client.get_trace(span.trace_id).info
    assert (info.tags, info.metadata, info.client_request_id) == ({"a": "1", "b": "2"}, {"m": "2"}, "req-1")
    assert (info.request_preview, info.response_preview) == ("asked", "answered")
    assert (info.session, info.user, info.version) == ("s", "u", "v")
    assert al.get_active_trace_id() is None
    al.update_current_trace(tags={"nothing": "runs"})


@pytest.mark.parametrize("state", ["OK", "error", TraceState.CANCELLED])
def test_the_state_of_a_trace_can_be_said(client, state):
    with pytest.raises(ValueError, match="wrong"), al.start_span("job") as span:
        al.update_current_trace(state=state)
        raise ValueError("wrong")
    assert client.get_trace(span.trace_id).state is TraceState(str(state).upper())


def test_a_state_that_no_trace_ends_in_is_refused(client):
    with al.start_span("job"), pytest.raises(al.InvalidSetting, match="OK, ERROR, CANCELLED"):
        al.update_current_trace(state="IN_PROGRESS")


def test_the_last_trace_is_known_for_the_process_and_for_the_thread(client):
    with al.start_span("here") as here:
        pass
    other = threading.Thread(target=lambda: al.start_span("there").end())
    other.start()
    other.join()
    assert al.get_last_active_trace_id(thread_local=True) == here.trace_id
    assert al.get_last_active_trace_id() != here.trace_id


def test_the_version_of_the_program_is_a_setting():
    with fresh_client(version="v7") as client:
        with al.start_span("a"), al.context(version="other"):
            pass
        with al.context(version="v8", experiment="e"), al.start_span("b"):
            pass
        assert [(t.info.version, t.info.experiment) for t in traces(client)] == [("v7", "default"), ("v8", "e")]


def test_spans_are_blocks_in_async_code_too(client):
    async def main():
        with al.start_span("outer"):
            await asyncio.gather(*(inner(number) for number in range(3)))

    async def inner(number):
        with al.start_span("inner") as span:
            await asyncio.sleep(0)
            span.set_outputs(number)

    asyncio.run(main())
    assert forest(client) == "OK\nUNKNOWN outer\n  UNKNOWN inner\n  UNKNOWN inner\n  UNKNOWN inner"


# --- what can't be ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: al.get_trace(5), NotFound, "no trace 5"),
        (lambda: al.log_feedback(trace_id=5, value=1), NotFound, "no trace 5"),
        (lambda: al.set_trace_tag(None, "a", "b"), NotFound, "no trace None"),
        (lambda: al.Client(5), al.InvalidSetting, "a text or a path, not 5"),
        (lambda: al.context(tags=["a"]).__enter__(), al.InvalidSetting, "are mappings such as"),
        (lambda: al.configure(sampling=0.5), al.InvalidSetting, r"Sampling\(ratio=0.1\), not as 0.5"),
        (lambda: al.configure(redact=5), al.InvalidSetting, "a list such as"),
        (lambda: al.search_traces(5), InvalidQuery, "a filter is a text"),
        (lambda: al.Client("memory:").start_span("a", "a trace's id"), InvalidTrace, "trace_id=… and parent_id=…, not"),
        (lambda: al.Client("memory:").end_span("a span's id"), InvalidTrace, "trace_id=… and span_id=…, not"),
        (lambda: al.add_trace({}, "target"), InvalidTrace, "the target is given as a span"),
        (lambda: al.log_feedback(trace_id="1" * 32, value=1, source="HUMAN"), InvalidAssessment, "AssessmentSource"),
        (lambda: al.log_feedback(trace_id="1" * 32, value=1, span_id="x"), InvalidAssessment, "id of 16 hex digits"),
        (lambda: al.carry(5), TypeError, "a function, to be called elsewhere, not 5"),
        (lambda: al.configure(experiment=" "), al.InvalidSetting, "an experiment needs a name"),
    ],
)
def test_arguments_that_can_not_be_say_what_can(client, call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_attributes_that_are_none_cost_nothing_but_a_warning(client, caplog):
    with al.start_span("job", attributes=["a"]) as span:
        span.set_attributes(7)
    assert spans(client)[0].attributes == {}
    assert caplog.text.count("is no mapping of attributes") == 2


class Mute:
    """An object that has no text."""

    def __str__(self):
        raise RuntimeError("no text")

    def __repr__(self):
        return "<mute>"


ODD = [None, 5, b"bytes", ["list"], {"dict": 1}, "\ud800", "a\0b", 2**70, math.nan, datetime.datetime.now(), Mute()]


@pytest.mark.parametrize("odd", ODD, ids=[type(odd).__name__ + str(number) for number, odd in enumerate(ODD)])
def test_what_is_given_in_place_of_a_text_or_a_time_costs_no_span(client, odd):
    with al.context(session_id=odd, user=odd, version=odd, metadata={"m": odd}), al.start_span(odd) as root:
        al.update_current_trace({"t": odd}, client_request_id=odd, request_preview=odd, user=odd, version=odd)
        root.set_attribute("odd", odd)
        root.add_event(odd, None, odd)
        root.record_exception(ValueError(odd), odd, odd)
        root.set_status("ERROR", odd)
    by_hand = client.start_trace(odd, start_time_ns=odd, session=odd, run=odd, tags={"t": odd})
    child = client.start_span(odd, by_hand, inputs=odd, start_time_ns=odd)
    child.set_links(odd)
    child.update_name(odd)
    client.end_span(child, outputs=odd, end_time_ns=odd)
    client.end_trace(by_hand, end_time_ns=odd)

    assert len(spans(client)) == 3
    assert client.open_spans() == []
    assert client.stats().dropped == {}


def test_what_is_no_time_is_said_and_now_is_recorded(client, caplog):
    before = time.time_ns()
    span = client.start_trace("job", start_time_ns="yesterday")
    span.end({"answer": 42})

    assert span.start_time_ns >= before - SECOND
    assert span.end_time_ns >= span.start_time_ns
    assert caplog.text.count("as time.time_ns() gives it") == 2


def test_links_of_opentelemetry_are_links_too(client, caplog):
    linked = otel.SpanContext(int("1" * 32, 16), int("2" * 16, 16), is_remote=True)
    with al.start_span("job", links=[otel.Link(linked, {"why": "asked"}), "no link"]):
        pass
    assert spans(client)[0].links == (al.Link("1" * 32, "2" * 16, {"why": "asked"}),)
    assert "'no link' is not a link" in caplog.text


def test_threads_that_change_one_trace_at_once_lose_nothing_of_it(client):
    often = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with al.start_span("job") as root, ThreadPoolExecutor(8) as pool:
            change = al.carry(lambda n: al.update_current_trace({f"t{n}": "x"}, {f"m{n}": "x"}))
            list(pool.map(change, range(300)))
    finally:
        sys.setswitchinterval(often)
    info = client.get_trace(root.trace_id).info
    assert (len(info.tags), len(info.metadata)) == (300, 300)


def test_a_store_may_be_given_as_a_path(tmp_path):
    client = al.Client(tmp_path / "traces.db")
    client.end_trace(client.start_trace("job"))
    assert [trace.name for trace in traces(client)] == ["job"]
    client.close()
    assert (tmp_path / "traces.db").exists()
