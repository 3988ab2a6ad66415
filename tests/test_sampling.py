"""Which traces are recorded: whole ones, the same in every process, and none that should have been kept is lost."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import context as otel_context
from opentelemetry import trace as otel

import autolog as al
from autolog import Client, InvalidSetting, Sampling
from autolog.context import attach, detach
from autolog.ids import now_ns
from autolog.model.trace import TraceContext
from autolog.sampling import Undecided
from autolog.settings import Settings, from_environment
from autolog.testing import fresh_client, spans, traces
from tests.trees import forest

ERRORS = Sampling(ratio=0, keep_errors=True)


def run_tree(name, *, fails=False):
    """A trace of three spans, whose innermost one may fail without the others failing."""
    with al.start_span(name) as root, al.start_span("step"):
        inner = al.start_span("inner")
        if fails:
            inner.set_status("ERROR", "bad")
        inner.end()
    return root


# --- by ratio --------------------------------------------------------------------------------------------


def test_a_share_of_traces_is_recorded_and_each_of_them_whole(client):
    al.configure(sampling=Sampling(ratio=0.5))
    kept = [root for root in (run_tree(f"{n}") for n in range(200)) if root.get_span_context().trace_flags.sampled]
    stored = traces(client)

    assert 50 < len(kept) < 150
    assert {trace.trace_id for trace in stored} == {root.trace_id for root in kept}
    assert all(len(trace.spans) == 3 for trace in stored)
    stats = al.stats()
    assert (stats.sampled_out_traces, stats.sampled_out) == (200 - len(kept), 3 * (200 - len(kept)))
    assert stats.started == 600
    assert (stats.open, stats.waiting, stats.dropped) == (0, 0, {})


@pytest.mark.parametrize(("ratio", "stored"), [(1.0, 20), (0.0, 0)])
def test_all_or_nothing_is_what_it_says(client, ratio, stored):
    al.configure(sample_ratio=ratio)
    for n in range(20):
        run_tree(f"{n}")
    assert len(traces(client)) == stored


@given(st.integers(1, 2**128 - 1), st.floats(0, 1))
def test_the_traces_chosen_are_those_that_opentelemetry_chooses(trace_id, ratio):
    sampling = pytest.importorskip("opentelemetry.sdk.trace.sampling")
    theirs = sampling.TraceIdRatioBased(ratio).should_sample(None, trace_id, "x").decision.is_sampled()
    assert Sampling(ratio=ratio).before(trace_id, None, None, asks=False) is theirs


def remote(sampled, trace_id=0xABC):
    flags = otel.TraceFlags(otel.TraceFlags.SAMPLED if sampled else 0)
    return otel.NonRecordingSpan(otel.SpanContext(trace_id, 0xDEF, is_remote=True, trace_flags=flags))


def test_what_the_caller_does_not_record_is_not_recorded_here_and_the_next_one_is_told_so(client):
    with otel.use_span(remote(sampled=False)), al.start_span("here") as span, al.start_span("inside") as inside:
        told = otel.get_current_span().get_span_context()
    with otel.use_span(remote(sampled=True)):
        al.start_span("another").end()

    assert not span.is_recording()
    assert (told.trace_id, told.span_id, told.trace_flags) == (0xABC, int(inside.span_id, 16), 0)
    assert [span.name for span in spans(client)] == ["another"]
    assert al.stats().sampled_out == 2


def test_a_caller_need_not_be_followed(client):
    al.configure(sample_follow_parent=False)
    with otel.use_span(remote(sampled=False)):
        al.start_span("here").end()
    assert [(span.name, span.parent_id) for span in spans(client)] == [("here", f"{0xDEF:016x}")]


def test_two_processes_keep_the_same_traces(client):
    al.configure(sampling=Sampling(ratio=0.5))
    with fresh_client() as other:
        other.configure(sampling=Sampling(ratio=0.5))
        for trace_id in (0x1, 2**64 - 1, 2**63, 2**63 - 1, 2**64):
            told = []
            for one in (client, other):
                with otel.use_span(remote(True, trace_id)):
                    told.append(one.tracer.start_span("x").is_recording())
            assert told[0] is told[1]


# --- below a span that is not recorded -------------------------------------------------------------------


def test_nothing_below_an_unsampled_root_begins_a_trace_of_its_own(client):
    al.configure(sampling=Sampling(rule=lambda span: span.name != "unsampled"))

    async def work():
        with al.start_span("task"):
            await asyncio.sleep(0)

    async def tasks():
        await asyncio.gather(work(), work())

    with al.start_span("unsampled", inputs="x") as root:
        assert al.get_current_active_span() is root
        with al.start_span("child") as child:
            child.set_attribute("a", 1)
            assert al.get_current_active_span() is child
        asyncio.run(tasks())
        thread = threading.Thread(target=lambda: client.tracer.start_span("in a thread", parent=root).end())
        thread.start()
        thread.join()
        client.start_span("by hand", root).end()
        step = client.tracer.start_step("of a framework")
        client.tracer.start_step("below it", parent=step).end()
        call = client.tracer.start_sdk_call("chat", al.SpanType.CHAT_MODEL)
        al.update_current_trace(tags={"a": "b"})
        with pytest.raises(ValueError), al.start_span("fails"):
            raise ValueError
        for span in (child, step, call):
            assert (span.trace_id, span.is_recording(), span.attributes) == (root.trace_id, False, {})
    assert al.get_current_active_span() is None
    al.start_span("sampled").end()

    assert [span.name for span in spans(client)] == ["sampled"]
    assert (al.stats().sampled_out, al.stats().sampled_out_traces) == (10, 1)
    assert len(root.trace_id) == 32
    assert root.get_span_context().is_valid


def test_an_unsampled_span_takes_everything_and_keeps_nothing(client):
    al.configure(sample_ratio=0.0)
    with al.start_span("x", inputs=1) as span:
        span.set_inputs(1)
        span.set_outputs(1)
        span.add_event("e")
        span.set_status("ERROR")
        span.replace_texts(str.upper)
        span.defer(lambda span: span.set_outputs(2))
    assert (span.inputs, span.outputs, span.events, span.status.code, span.trace_context) == (
        None, None, (), "UNSET", None,
    )  # fmt: skip


def test_calls_of_a_library_in_an_unsampled_trace_are_not_recorded(client):
    pytest.importorskip("openai")
    from tests.fakes.openai_server import FakeOpenAI
    from tests.programs import HELLO

    al.autolog("openai")
    openai = FakeOpenAI().client()
    al.configure(sample_ratio=0.0)
    answer = openai.chat.completions.create(model="gpt-4o", messages=HELLO)
    with al.start_span("root"):
        openai.chat.completions.create(model="gpt-4o", messages=HELLO)
    al.configure(sample_ratio=1.0)

    assert answer.choices[0].message.content
    assert traces(client) == []
    assert (al.stats().sampled_out, al.stats().sampled_out_traces) == (3, 2)
    openai.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert len(traces(client)) == 1


def test_a_chain_in_an_unsampled_trace_is_not_recorded(client):
    runnables = pytest.importorskip("langchain_core.runnables")
    al.autolog("langchain")
    chain = runnables.RunnableLambda(lambda x: x + 1) | (lambda x: x * 2)
    al.configure(sample_ratio=0.0)
    assert chain.invoke(1) == 4
    assert (al.stats().sampled_out_traces, al.stats().sampled_out) == (1, 3)
    al.configure(sample_ratio=1.0)
    assert chain.invoke(1) == 4
    assert [len(trace.spans) for trace in traces(client)] == [3]


def ask_langchain():
    pytest.importorskip("langchain_openai")
    from langchain_core.output_parsers import StrOutputParser

    from tests.fakes.langchain_models import chat
    from tests.fakes.openai_server import FakeOpenAI

    server = FakeOpenAI()
    chat(server).invoke("Hello")
    list(chat(server).stream("Hello"))
    (chat(server) | StrOutputParser()).batch(["Hello", "Hello"])
    return 4


def ask_llama_index():
    pytest.importorskip("llama_index.core")
    from llama_index.core import MockEmbedding, VectorStoreIndex
    from llama_index.core.llms import MockLLM
    from llama_index.core.schema import TextNode

    index = VectorStoreIndex([TextNode(text="Ada wrote it.")], embed_model=MockEmbedding(embed_dim=3))
    index.as_query_engine(llm=MockLLM()).query("Who?")
    list(MockLLM().stream_complete("Hello"))
    return 3


@pytest.mark.parametrize("program", [ask_langchain, ask_llama_index])
def test_a_framework_asks_once_for_each_trace(client, program):
    """No step of it, and no call of an SDK below, begins a trace of its own where the first is not recorded."""
    asked = []
    al.autolog()
    al.configure(sampling=Sampling(rule=lambda span: asked.append(span.name) or False))
    number = program()

    assert len(asked) == number, asked
    assert al.stats().sampled_out_traces == number
    assert al.stats().sampled_out > number
    assert traces(client) == []


# --- by rule ---------------------------------------------------------------------------------------------


def test_a_rule_sees_what_is_known_of_a_new_trace_and_decides(client):
    seen = []

    def rule(span):
        context = span.trace_context
        seen.append((span.name, str(span.span_type), span.inputs, dict(span.attributes), context.tags, context.user))
        return {"health": False, "important": True, "few": 0.0, "all": 1, "as usual": None}[span.name]

    al.configure(sampling=Sampling(ratio=1.0, rule=rule))
    with al.context(tags={"t": "1"}, user="u"):
        for name in ("health", "important", "few", "all", "as usual"):
            with al.start_span(name, "AGENT", {"a": 1}, inputs="asked"):
                al.start_span("child").end()
    client.start_trace("important", tags={"t": "2"}, user="v").end()

    assert seen[0] == ("health", "AGENT", "asked", {"a": 1}, {"t": "1"}, "u")
    assert seen[-1] == ("important", "UNKNOWN", None, {}, {"t": "2"}, "v")
    assert len(seen) == 6
    assert [trace.name for trace in traces(client)] == ["important", "all", "as usual", "important"]


@pytest.mark.parametrize("rule", [lambda span: 1 / 0, lambda span: "yes", lambda span: 2.0])
def test_a_rule_that_fails_keeps_the_trace_and_is_told_of_once(client, caplog, rule):
    al.configure(sampling=Sampling(ratio=0.0, rule=rule))
    for _ in range(3):
        al.start_span("x").end()
    assert len(traces(client)) == 3
    assert caplog.text.count("the rule of sampling") == 1


def test_a_rule_may_call_what_is_traced(client):
    calls = []

    def rule(span):
        calls.append(al.start_span("inside the rule").is_recording())
        return True

    al.configure(sampling=Sampling(rule=rule))
    al.start_span("x").end()
    assert calls == [False]
    assert [span.name for span in spans(client)] == ["x"]


def test_false_is_final_and_a_share_of_none_is_not(client):
    al.configure(sampling=Sampling(keep_errors=True, rule=lambda span: False if span.name == "never" else 0.0))
    run_tree("never", fails=True)
    run_tree("perhaps", fails=True)
    assert [trace.name for trace in traces(client)] == ["perhaps"]


def test_a_place_in_the_code_may_have_a_ratio_of_its_own(client):
    al.configure(sampling=Sampling(rule=lambda span: False))
    start = client.tracer.start_span
    start("always", sampling_ratio=1.0).end()
    start("never", sampling_ratio=0.0).end()
    with start("parent", sampling_ratio=1.0):
        start("child", sampling_ratio=0.0).end()
    al.configure(sampling=None)
    start("without sampling", sampling_ratio=0.0).end()

    assert [span.name for span in spans(client)] == ["always", "parent", "child"]


# --- by how it ends --------------------------------------------------------------------------------------


def test_a_trace_that_the_ratio_leaves_out_is_kept_whole_where_a_span_failed(client):
    al.configure(sampling=ERRORS)
    run_tree("well")
    run_tree("badly", fails=True)
    with pytest.raises(ValueError), al.start_span("raises"), al.start_span("inside"):
        raise ValueError

    assert forest(client) == (
        "OK\nUNKNOWN badly\n  UNKNOWN step\n    UNKNOWN inner ERROR None\n\n"
        "ERROR\nUNKNOWN raises ERROR ValueError\n  UNKNOWN inside ERROR ValueError"
    )
    stats = al.stats()
    assert (stats.sampled_out, stats.sampled_out_traces, stats.waiting, stats.started) == (3, 1, 0, 8)


def test_a_trace_that_is_slow_is_kept(client):
    al.configure(sampling=Sampling(ratio=0, keep_slower_than=5.0))
    for name, seconds in (("slow", 6), ("quick", 4)):
        started = now_ns() - 10**9
        root = client.tracer.start_span(name, start_time_ns=started)
        client.tracer.start_span("child", parent=root).end()
        root.end(started + seconds * 10**9)
    assert [trace.name for trace in traces(client)] == ["slow"]
    assert len(spans(client)) == 2


def test_a_trace_that_runs_for_long_is_kept_before_it_ends(client):
    al.configure(sampling=Sampling(ratio=0, keep_slower_than=5.0))
    root = client.tracer.start_span("agent", start_time_ns=now_ns() - 6 * 10**9)
    client.tracer.start_span("child", parent=root).end()
    traces(client)

    assert forest(client) == "IN_PROGRESS\nUNKNOWN agent OPEN\n  UNKNOWN child"
    root.end()
    assert forest(client) == "OK\nUNKNOWN agent\n  UNKNOWN child"


def test_reading_the_store_decides_nothing(client):
    al.configure(sampling=ERRORS)
    with al.start_span("root"):
        al.start_span("child").end()
        assert traces(client) == []
        assert al.stats().waiting == 1
    assert traces(client) == []
    assert al.stats().sampled_out == 2


def test_late_children_follow_the_decision(client):
    al.configure(sampling=ERRORS)
    late = []
    for fails in (True, False):
        root = client.tracer.start_span(f"fails: {fails}")
        late.append(client.tracer.start_span("late", parent=root))
        root.set_status("ERROR" if fails else "OK")
        root.end()
    traces(client)
    later = [client.tracer.start_span("later", parent=span) for span in late]
    assert [span.get_span_context().trace_flags for span in later] == [1, 0]
    for span in (*late, *later):
        span.end()

    assert forest(client) == "ERROR\nUNKNOWN fails: True ERROR None\n  UNKNOWN late\n    UNKNOWN later"
    assert al.stats().sampled_out == 3


def test_a_failure_is_seen_that_is_found_only_when_the_answer_is_read(client):
    al.configure(sampling=ERRORS)
    with al.start_span("root") as root:
        root.defer(lambda span: span.set_status("ERROR", "the answer was an error"))
    assert [trace.name for trace in traces(client)] == ["root"]


def test_what_is_flushed_is_kept_though_its_trace_runs(client):
    al.configure(sampling=ERRORS)
    with al.start_span("root"):
        al.start_span("child").end()
        assert al.flush()
        assert forest(client) == "IN_PROGRESS\nUNKNOWN root OPEN\n  UNKNOWN child"
    assert forest(client) == "OK\nUNKNOWN root\n  UNKNOWN child"


def test_a_trace_that_waits_too_long_is_kept(client):
    al.configure(sampling=Sampling(ratio=0, keep_errors=True, hold=0.0))
    root = client.tracer.start_span("never ends")
    client.tracer.start_span("child", parent=root).end()
    traces(client)  # takes the child; by the next time it has waited too long
    assert "child" in [span.name for span in spans(client)]


def test_what_waits_is_bounded_and_the_oldest_is_kept_when_it_is_too_much():
    held = Undecided(ERRORS, most_spans=10, most_bytes=1_000)
    with fresh_client() as client:
        released = []
        contexts = [TraceContext("e") for _ in range(12)]
        for context in contexts:
            context.sampled = None
            root = client.tracer.start_span("root")
            child = client.tracer.start_span("child", parent=root)
            released += held.take(child, context, 10)
        assert (len(released), held.count) == (2, 10)
        assert [context.sampled for context in contexts] == [True, True] + [None] * 10
        released += held.take(child, contexts[-1], 950)
    assert held.count == 6
    assert len(released) + held.count == 13


def test_many_traces_at_once_are_all_kept_or_counted():
    with fresh_client(queue_spans=20_000) as client:
        client.configure(sampling=Sampling(ratio=0, keep_errors=True))
        roots = [client.tracer.start_span(f"{n}") for n in range(1_000)]
        for root in roots:
            for _ in range(3):
                client.tracer.start_span("child", parent=root).end()
        traces(client)
        for n, root in enumerate(roots):
            root.set_status("ERROR" if n % 10 == 0 else "OK")
            root.end()
        stored = traces(client)

        assert [trace.name for trace in stored] == [f"{n}" for n in range(0, 1_000, 10)]
        assert all(len(trace.spans) == 4 for trace in stored)
        stats = client.stats()
        assert (stats.stored, stats.sampled_out, stats.sampled_out_traces) == (400, 3_600, 900)
        assert (stats.started, stats.waiting) == (4_000, 0)


def test_what_is_undecided_when_the_program_ends_is_kept(tmp_path):
    program = f"""
import autolog as al
client = al.Client({str(tmp_path / "t.db")!r}, sampling=al.Sampling(ratio=0, keep_errors=True))
root = client.start_trace("open")
client.start_span("child", root).end()
client.start_trace("well").end()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    with fresh_client(str(tmp_path / "t.db")) as reader:
        assert sorted(span.name for span in spans(reader)) == ["child", "open"]


def test_threads_that_end_traces_at_once_lose_none():
    with fresh_client() as client:
        client.configure(sampling=Sampling(ratio=0.5, keep_errors=True))

        def work():
            for n in range(200):
                root = client.start_trace("root")
                client.start_span("child", root).end()
                root.set_status("ERROR" if n % 2 else "OK")
                root.end()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stored = traces(client)

        assert sum(trace.state == "ERROR" for trace in stored) == 400
        assert all(len(trace.spans) == 2 for trace in stored)
        assert client.stats().stored + client.stats().sampled_out == 1_600


# --- settings --------------------------------------------------------------------------------------------


def test_the_environment_sets_it():
    settings = from_environment(
        {"AUTOLOG_SAMPLE_RATIO": "0.25", "AUTOLOG_SAMPLE_KEEP_ERRORS": "yes", "AUTOLOG_SAMPLE_KEEP_SLOWER": "2.5"}
    )
    client = Client("memory:", settings)
    assert client.tracer.sampling == Sampling(ratio=0.25, keep_errors=True, keep_slower_than=2.5)
    client.close()


def test_a_ratio_that_can_not_be_is_ignored_in_the_environment_and_refused_in_code(client, caplog):
    assert from_environment({"AUTOLOG_SAMPLE_RATIO": "7"}) == Settings()
    assert "AUTOLOG_SAMPLE_RATIO='7' is ignored" in caplog.text
    for change in ({"sample_ratio": 1.5}, {"sample_ratio": "x"}, {"sample_keep_slower": -1.0}):
        with pytest.raises(InvalidSetting):
            al.configure(**change)
    for wrong in ({"ratio": 2}, {"ratio": True}, {"keep_slower_than": "x"}, {"rule": 1}, {"hold": -1}):
        with pytest.raises(InvalidSetting):
            Sampling(**wrong)
    assert client.tracer.sampling is None


def test_a_block_may_sample_differently(client):
    with al.configure(sample_ratio=0.0):
        al.start_span("inside").end()
        with al.configure(sampling=Sampling(rule=lambda span: True)):
            al.start_span("innermost").end()
        al.start_span("inside again").end()
    al.start_span("after").end()
    assert [span.name for span in spans(client)] == ["innermost", "after"]


def test_recording_is_switched_off_and_on(client, caplog):
    with al.start_span("before") as before:
        al.configure(tracing=False)
        assert not al.start_span("off").is_recording()
        al.configure(tracing=True)
        al.start_span("on again").end()
    assert [(span.name, span.parent_id) for span in spans(client)] == [("before", None), ("on again", before.span_id)]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_suppression_goes_before_sampling(client):
    al.configure(sample_ratio=0.0)
    token = otel_context.attach(otel_context.set_value(otel_context._SUPPRESS_INSTRUMENTATION_KEY, True))
    al.start_span("x").end()
    otel_context.detach(token)
    assert al.stats().sampled_out == 0


def test_an_unsampled_span_can_be_made_current_by_hand(client):
    al.configure(sample_ratio=0.0)
    span = al.start_span("x")
    token = attach(span)
    assert al.get_current_active_span() is span
    detach(token)
    assert al.get_current_active_span() is None


def test_another_process_is_told_what_is_recorded_here(client):
    program = """
import sys, autolog as al
client = al.Client("memory:", sampling=al.Sampling(ratio=1.0))
from autolog.client import set_default_client
set_default_client(client)
with al.extract({"traceparent": sys.argv[1]}), al.start_span("there") as span:
    print(span.trace_id, span.is_recording())
"""
    for ratio, recorded in ((0.0, "False"), (1.0, "True")):
        al.configure(sample_ratio=ratio)
        with al.start_span("here") as span:
            headers = al.inject()
        done = subprocess.run(
            [sys.executable, "-c", program, headers["traceparent"]],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout.split() == [span.trace_id, recorded], done.stderr


# --- decorated functions ---------------------------------------------------------------------------------


def test_a_decorated_function_has_a_share_of_its_own(client):
    @al.trace(sampling_ratio_override=0)
    def chatty():
        return inner()

    @al.trace(sampling_ratio_override=1.0)
    def important():
        return inner()

    @al.trace
    def inner():
        return 1

    with client.configure(sampling=Sampling(ratio=0)):
        assert chatty() == important() == inner() == 1
    assert chatty() == 1
    assert [[span.name for span in trace.spans] for trace in traces(client)] == [["important", "inner"]]


def test_a_rule_sees_the_arguments_of_a_decorated_function(client):
    @al.trace
    def answer(question, user="nobody"):
        return user

    with client.configure(sampling=Sampling(rule=lambda span: span.inputs["user"] == "ada")):
        answer("why?", user="ada")
        answer("why?")
    assert [trace.root.inputs for trace in traces(client)] == [{"question": "why?", "user": "ada"}]


@pytest.mark.parametrize("share", [-1, 2, "half", True])
def test_a_share_that_is_none_is_refused_where_it_is_written(share):
    with pytest.raises(InvalidSetting, match="from 0 to 1"):
        al.trace(lambda: 1, sampling_ratio_override=share)
