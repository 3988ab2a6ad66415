"""Many calls at once: each under the parent that made it, none lost, none mixed up with another."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry import trace as otel

from autolog import Client, SpanType, autolog, context, get_current_active_span, start_span
from autolog.testing import spans, traces
from tests.fakes import openai_answers as answers
from tests.fakes.openai_server import FakeOpenAI, Gate, json_answer


def ask(number):
    return {"model": f"m{number}", "messages": [{"role": "user", "content": f"question {number}"}]}


def assert_own_parents(found, count):
    """Each call has the question of its own parent."""
    parents = {span.span_id: span for span in found if span.name.startswith("step ")}
    calls = [span for span in found if span.span_type is SpanType.CHAT_MODEL]
    assert len(parents) == len(calls) == count
    for call in calls:
        number = parents[call.parent_id].name.removeprefix("step ")
        assert call.trace_id == parents[call.parent_id].trace_id
        assert call.name == f"chat m{number}"
        assert call.inputs["messages"][0]["content"] == f"question {number}"
        assert call.outputs["choices"][0]["message"]["content"] == answers.TEXT
        assert call.usage.total_tokens == 18


@pytest.mark.asyncio
async def test_fifty_gathered_calls_are_each_under_their_own_parent(traced, async_client):
    async def step(number):
        with start_span(f"step {number}"):
            await async_client.chat.completions.create(**ask(number))

    await asyncio.gather(*[step(number) for number in range(50)])

    assert_own_parents(spans(traced), 50)


@pytest.mark.asyncio
async def test_gathered_calls_under_one_parent_are_all_its_children(traced, async_client):
    with start_span("root") as root:
        await asyncio.gather(*[async_client.chat.completions.create(**ask(number)) for number in range(50)])
        assert get_current_active_span() is root

    [trace] = traces(traced)
    assert len(trace.children(trace.root)) == 50
    assert trace.usage.total_tokens == 50 * 18


@pytest.mark.asyncio
async def test_calls_that_are_all_open_at_once_are_not_mixed_up(traced, server, async_client):
    server.gate = Gate()

    async def step(number):
        with start_span(f"step {number}"):
            await async_client.chat.completions.create(**ask(number))

    tasks = [asyncio.create_task(step(number)) for number in range(20)]
    await server.gate.reached.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    assert traced.stats().open == 40
    server.gate.opened.set()
    await asyncio.gather(*tasks)

    assert_own_parents(spans(traced), 20)


@pytest.mark.asyncio
async def test_gathered_streams_are_not_mixed_up(traced, async_client):
    async def step(number):
        with start_span(f"step {number}") as span:
            async for _ in await async_client.chat.completions.create(stream=True, **ask(number)):
                assert get_current_active_span() is span
                await asyncio.sleep(0)

    await asyncio.gather(*[step(number) for number in range(30)])

    calls = [span for span in spans(traced) if span.span_type is SpanType.CHAT_MODEL]
    assert len(calls) == 30
    assert {span.outputs["choices"][0]["message"]["content"] for span in calls} == {answers.TEXT}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no TaskGroup")
@pytest.mark.asyncio
async def test_calls_of_a_task_group_are_each_under_their_own_parent(traced, async_client):
    async def step(number):
        with start_span(f"step {number}"):
            await async_client.chat.completions.create(**ask(number))

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(step(number))

    assert_own_parents(spans(traced), 20)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no TaskGroup")
@pytest.mark.asyncio
async def test_a_task_group_that_fails_leaves_no_span_open(traced, server, async_client):
    server.gate = Gate()

    async def fail():
        await server.gate.reached.wait()
        raise KeyError("mine")

    with pytest.raises(BaseExceptionGroup):  # noqa: F821
        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(async_client.chat.completions.create(**ask(number)))
            group.create_task(fail())

    found = spans(traced)
    assert traced.stats().open == 0
    assert all(span.get_attribute("error.type").endswith("CancelledError") for span in found)


def test_forty_calls_of_a_thread_pool_are_each_under_their_own_parent(traced, server):
    server.barrier = threading.Barrier(8)
    openai_client = server.client()

    def step(number):
        with start_span(f"step {number}"):
            openai_client.chat.completions.create(**ask(number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(step, range(40)))

    assert_own_parents(spans(traced), 40)


def test_threads_that_the_context_is_given_to_are_under_the_parent(traced, openai_client):
    with start_span("root"), ThreadPoolExecutor(4) as pool:
        futures = [
            pool.submit(contextvars.copy_context().run, lambda n=n: openai_client.chat.completions.create(**ask(n)))
            for n in range(8)
        ]
        for future in futures:
            future.result()

    [trace] = traces(traced)
    assert len(trace.children(trace.root)) == 8


@pytest.mark.asyncio
async def test_a_sync_call_inside_async_code_is_under_its_parent(traced, openai_client, async_client):
    with start_span("outer") as outer:
        await async_client.chat.completions.create(**ask(1))
        openai_client.chat.completions.create(**ask(2))
        with start_span("thread") as thread:
            await asyncio.to_thread(openai_client.chat.completions.create, **ask(3))
        assert get_current_active_span() is outer

    found = {span.name: span for span in spans(traced)}
    assert found["chat m1"].parent_id == found["chat m2"].parent_id == outer.span_id
    assert found["chat m3"].parent_id == thread.span_id


def test_an_event_loop_inside_sync_code_is_under_its_parent(traced, server):
    with start_span("outer") as outer:
        asyncio.run(server.async_client().chat.completions.create(**ask(1)))

    [_, call] = spans(traced)
    assert call.parent_id == outer.span_id


@pytest.mark.asyncio
async def test_no_call_leaves_its_span_current(traced, openai_client, async_client):
    openai_client.chat.completions.create(**ask(1))
    await async_client.chat.completions.create(**ask(2))
    stream = await async_client.chat.completions.create(stream=True, **ask(3))
    await stream.__anext__()

    assert get_current_active_span() is None
    assert otel.get_current_span() is otel.INVALID_SPAN
    await stream.response.aclose()
    assert len(traces(traced)) == 3


def test_tracing_may_be_turned_on_and_off_while_threads_call(client, server):
    openai_client = server.client()
    stop = threading.Event()
    failures = []
    own_errors = client.stats().internal_errors

    def call():
        while not stop.is_set():
            try:
                assert openai_client.chat.completions.create(**ask(1)).id == "chatcmpl-1"
            except Exception as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        autolog()
        autolog(log_traces=False)
    stop.set()
    for thread in threads:
        thread.join()

    assert failures == []
    assert client.flush()
    assert client.stats().open == 0
    assert client.stats().internal_errors == own_errors


def test_tags_of_one_thread_do_not_reach_another(traced, openai_client):
    inside, outside = threading.Event(), threading.Event()

    def tagged():
        with context(tags={"who": "tagged"}):
            inside.set()
            outside.wait()
            openai_client.chat.completions.create(**ask(1))

    thread = threading.Thread(target=tagged)
    thread.start()
    inside.wait()
    openai_client.chat.completions.create(**ask(2))
    outside.set()
    thread.join()

    found = {trace.name: trace.info.tags for trace in traces(traced)}
    assert found == {"chat m1": {"who": "tagged"}, "chat m2": {}}


# --- fork ------------------------------------------------------------------------------------------------

FORK = """
import os
import sys
import autolog
from tests.fakes.openai_server import FakeOpenAI

autolog.autolog(store=sys.argv[1])
openai = FakeOpenAI().client()
openai.chat.completions.create(model="parent-before", messages=[])
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        openai.chat.completions.create(model=f"child-{number}", messages=[])
        assert autolog.flush()
        os._exit(0)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
openai.chat.completions.create(model="parent-after", messages=[])
assert codes == [0, 0, 0], codes
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked_processes_record_their_own_calls_and_nobody_elses(tmp_path):
    store = tmp_path / "traces.db"
    path = os.pathsep.join(entry for entry in sys.path if entry)
    result = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, str(store)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (result.returncode, result.stderr) == (0, "")
    reader = Client(str(store))
    found = spans(reader)
    reader.close()
    names = ["child-0", "child-1", "child-2", "parent-after", "parent-before"]
    assert sorted(span.name for span in found) == [f"chat {name}" for name in names]
    assert len({span.span_id for span in found} | {span.trace_id for span in found}) == 10
    assert all(span.usage.total_tokens == 18 for span in found)


# --- OpenTelemetry ---------------------------------------------------------------------------------------


def test_a_call_inside_a_span_of_opentelemetry_is_under_it(traced, openai_client):
    above = otel.SpanContext(0x1234, 0x5678, is_remote=False, trace_flags=otel.TraceFlags(1))
    with otel.use_span(otel.NonRecordingSpan(above)):
        openai_client.chat.completions.create(**ask(1))

    [span] = spans(traced)
    assert span.trace_id == f"{0x1234:032x}"
    assert span.parent_id == f"{0x5678:016x}"


@pytest.mark.asyncio
async def test_an_async_call_inside_a_span_of_opentelemetry_is_under_it(traced, async_client):
    above = otel.SpanContext(0x1234, 0x5678, is_remote=False, trace_flags=otel.TraceFlags(1))
    with otel.use_span(otel.NonRecordingSpan(above)):
        await async_client.chat.completions.create(**ask(1))

    [span] = spans(traced)
    assert span.trace_id == f"{0x1234:032x}"
    assert span.parent_id == f"{0x5678:016x}"


def test_what_opentelemetry_starts_inside_a_call_is_under_it(traced):
    """Such as the spans of its httpx instrumentation."""
    seen = []

    class Watching(FakeOpenAI):
        def respond(self, request):
            seen.append(otel.get_current_span().get_span_context())
            return super().respond(request)

    above = otel.SpanContext(0x1234, 0x5678, is_remote=False, trace_flags=otel.TraceFlags(1))
    with otel.use_span(otel.NonRecordingSpan(above)):
        Watching().client().chat.completions.create(**ask(1))

    [span] = spans(traced)
    [current] = seen
    assert f"{current.span_id:016x}" == span.span_id
    assert {f"{current.trace_id:032x}", span.trace_id} == {f"{0x1234:032x}"}


def test_a_span_of_opentelemetry_that_is_not_valid_is_no_parent(traced, openai_client):
    with otel.use_span(otel.INVALID_SPAN):
        openai_client.chat.completions.create(**ask(1))

    [span] = spans(traced)
    assert span.parent_id is None


def test_where_opentelemetry_is_told_to_record_nothing_nothing_is_recorded(traced, openai_client):
    suppressing = otel_context.set_value(otel_context._SUPPRESS_INSTRUMENTATION_KEY, True)
    token = otel_context.attach(suppressing)
    openai_client.chat.completions.create(**ask(1))
    otel_context.detach(token)

    assert spans(traced) == []


def test_baggage_of_the_program_is_left_alone(traced, server, openai_client):
    token = otel_context.attach(baggage.set_baggage("tenant", "acme"))
    server.script(json_answer(answers.chat({})))
    openai_client.chat.completions.create(**ask(1))

    assert baggage.get_baggage("tenant") == "acme"
    otel_context.detach(token)
