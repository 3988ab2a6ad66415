"""Spans of OpenTelemetry's instrumentations and our own are one tree, whichever is around the other."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import threading

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.propagate import inject
from opentelemetry.sdk.trace import SpanProcessor as SdkProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, set_span_in_context

import autolog as al
from autolog import SpanType
from autolog.context import add_source, remove_source
from autolog.otel import is_llm_span
from autolog.testing import fresh_client, spans, traces
from tests.trees import forest, the


@pytest.fixture
def tracer(provider):
    return provider.get_tracer("some.instrumentation", "1.2")


@pytest.fixture
def framework(client):
    """What a framework says runs here."""
    here = {"step": None}

    def step():
        return here["step"]

    add_source(step)
    yield here
    remove_source(step)


# --- one tree ------------------------------------------------------------------------------------------------


def test_spans_of_either_kind_nest_under_the_other(client, tracer):
    with tracer.start_as_current_span("server") as server, al.start_span("ours"):
        with tracer.start_as_current_span("inner"):
            al.start_span("leaf").end()
        assert al.get_current_active_span().name == "ours"

    assert forest(client) == "OK\nUNKNOWN server\n  UNKNOWN ours\n    UNKNOWN inner\n      UNKNOWN leaf"
    [trace] = traces(client)
    assert trace.trace_id == f"{server.get_span_context().trace_id:032x}"
    assert the(client, "server").span_id == f"{server.get_span_context().span_id:016x}"


def test_the_current_span_is_ours_whoever_started_it(client, tracer):
    with tracer.start_as_current_span("theirs"):
        al.update_current_trace(tags={"a": "b"}, session_id="s")
        al.get_current_active_span().set_attribute("own", 1)
    [trace] = traces(client)
    assert (trace.info.tags, trace.info.session) == ({"a": "b"}, "s")
    assert the(client, "theirs").get_attribute("own") == 1


def test_a_span_inside_of_a_frameworks_step_joins_its_trace_and_so_does_what_it_sends(client, tracer, framework):
    step = framework["step"] = client.tracer.start_step("node", SpanType.TASK)
    headers = {}
    with tracer.start_as_current_span("request"):
        inject(headers)
        with tracer.start_as_current_span("socket"):
            pass
    framework["step"] = None
    step.end()

    assert forest(client) == "OK\nTASK node\n  UNKNOWN request\n    UNKNOWN socket"
    version, trace_id, span_id, _flags = headers["traceparent"].split("-")
    assert (version, trace_id, span_id) == ("00", step.trace_id, the(client, "request").span_id)


def test_a_step_of_a_framework_inside_of_a_span_nests_under_it_and_goes_before_it(client, tracer, framework):
    with tracer.start_as_current_span("server"):
        step = framework["step"] = client.tracer.start_step("node", SpanType.TASK)
        tracer.start_span("request").end()
        al.start_span("own").end()
        step.end()

    assert forest(client) == "OK\nUNKNOWN server\n  TASK node\n    UNKNOWN request\n    UNKNOWN own"


def test_a_parent_that_is_named_goes_before_what_a_framework_says(client, tracer, framework):
    parent = tracer.start_span("parent")
    framework["step"] = client.tracer.start_step("unrelated", SpanType.TASK)
    tracer.start_span("child", context=set_span_in_context(parent)).end()
    framework["step"].end()
    parent.end()

    assert forest(client) == "OK\nUNKNOWN parent\n  UNKNOWN child\n\nOK\nTASK unrelated"


def test_a_root_that_is_asked_for_is_one(client, tracer):
    with al.start_span("outer"):
        tracer.start_span("apart", context=Context()).end()

    assert sorted(forest(client).split("\n\n")) == ["OK\nUNKNOWN apart", "OK\nUNKNOWN outer"]


def test_a_parent_in_another_process_is_kept(client, tracer):
    remote = NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1)))
    with tracer.start_as_current_span("server", context=set_span_in_context(remote)):
        al.start_span("ours").end()

    [trace] = traces(client)
    assert trace.trace_id == f"{0xABC:032x}"
    assert trace.root.parent_id == f"{0xDEF:016x}"
    assert forest(client) == "OK\nUNKNOWN server\n  UNKNOWN ours"


def test_a_parent_that_is_known_by_its_ids_only_is_found(client, tracer):
    with tracer.start_as_current_span("theirs") as theirs:
        by_ids = NonRecordingSpan(theirs.get_span_context())
        tracer.start_span("worker", context=set_span_in_context(by_ids)).end()
        al.update_current_trace(session_id="s")

    assert forest(client) == "OK\nUNKNOWN theirs\n  UNKNOWN worker"
    [trace] = traces(client)
    assert trace.info.session == "s"


def test_fifty_tasks_and_twenty_threads_nest_under_their_own(client, tracer):
    async def work(number):
        with tracer.start_as_current_span(f"task {number}"), al.start_span(f"own {number}"):
            await asyncio.sleep(0)
            tracer.start_span(f"leaf {number}").end()

    async def main():
        await asyncio.gather(*(work(number) for number in range(50)))

    def run(number):
        with al.start_span(f"task {number}"), tracer.start_as_current_span(f"own {number}"):
            al.start_span(f"leaf {number}").end()

    asyncio.run(main())
    threads = [threading.Thread(target=run, args=(number,)) for number in range(50, 70)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(forest(client).split("\n\n")) == sorted(
        f"OK\nUNKNOWN task {n}\n  UNKNOWN own {n}\n    UNKNOWN leaf {n}" for n in range(70)
    )


# --- what is taken -------------------------------------------------------------------------------------------


def test_times_status_events_links_kind_and_scope_are_those_of_the_span(client, tracer):
    other = tracer.start_span("other")
    other.end()
    span = tracer.start_span(
        "GET /",
        kind=SpanKind.SERVER,
        start_time=1_000_000_001,
        links=[otel.Link(other.get_span_context(), {"why": "x"})],
    )
    span.set_attributes({"http.response.status_code": 200, "list": ["a", "b"]})
    span.add_event("cache miss", {"key": "k"}, timestamp=1_000_000_002)
    span.update_name("GET /{id}")
    span.end(1_000_000_999)

    found = the(client, "GET /{id}")
    assert (found.start_time_ns, found.end_time_ns) == (1_000_000_001, 1_000_000_999)
    assert dict(found.attributes) == {
        "http.response.status_code": 200, "list": ["a", "b"], "otel.span.kind": "SERVER",
        "otel.scope.name": "some.instrumentation", "otel.scope.version": "1.2",
    }  # fmt: skip
    [event] = found.events
    assert (event.name, event.timestamp_ns, event.attributes) == ("cache miss", 1_000_000_002, {"key": "k"})
    [link] = found.links
    assert (link.span_id, link.attributes) == (the(client, "other").span_id, {"why": "x"})
    assert found.status == al.Status.OK


def test_an_exception_is_the_spans_error(client, tracer):
    with pytest.raises(ValueError, match="no"), tracer.start_as_current_span("fails"):
        raise ValueError("no, not sk-abcdefghijklmnop")

    assert forest(client) == "ERROR\nUNKNOWN fails ERROR ValueError"
    found = the(client, "fails")
    assert found.status.description == "ValueError: no, not [redacted]"
    assert found.events[0].attributes["exception.message"] == "no, not [redacted]"


def test_a_status_of_a_cancellation_is_one(client, tracer):
    span = tracer.start_span("call")
    span.record_exception(asyncio.CancelledError())
    span.set_status(StatusCode.ERROR)
    span.end()
    assert forest(client) == "CANCELLED\nUNKNOWN call CANCELLED"


def test_an_open_span_can_be_seen_and_one_that_is_forgotten_ends(client, tracer):
    span = tracer.start_span("agent")
    client.flush()
    assert forest(client) == "IN_PROGRESS\nUNKNOWN agent OPEN"

    del span
    gc.collect()
    assert forest(client) == "CANCELLED\nUNKNOWN agent CANCELLED"
    assert client.stats().open == 0


def test_spans_that_are_not_sampled_are_not_taken(client):
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    al.collect_otel(provider)
    provider.get_tracer("x").start_span("left out").end()
    assert spans(client) == []


def test_spans_that_are_recorded_only_are_not_taken(client):
    class RecordOnly(Sampler):
        def should_sample(self, *_, **__):
            return SamplingResult(Decision.RECORD_ONLY)

        def get_description(self):
            return "record only"

    provider = TracerProvider(sampler=RecordOnly(), shutdown_on_exit=False)
    al.collect_otel(provider)
    provider.get_tracer("x").start_span("left out").end()
    assert spans(client) == []


def test_nothing_is_taken_where_nothing_is_recorded(client, tracer):
    with al.context(enabled=False):
        tracer.start_span("suppressed").end()
    client.tracer.enabled = False
    tracer.start_span("disabled").end()
    client.tracer.enabled = True
    assert spans(client) == []
    assert client.stats().started == 0


def test_a_trace_that_our_sampling_leaves_out_has_no_spans_of_others(tracer):
    with fresh_client(sample_ratio=0.0) as client:
        with al.start_span("ours"), tracer.start_as_current_span("theirs"):
            al.start_span("below").end()
        with tracer.start_as_current_span("root"):
            al.start_span("below").end()
        assert spans(client) == []
        # OpenTelemetry follows us: it records nothing below a span of ours that is not recorded.
        assert client.stats().sampled_out == 4


# --- which spans ---------------------------------------------------------------------------------------------


def test_only_some_scopes_are_taken_and_what_is_below_the_others_comes_below_what_is_above_them(client):
    provider = TracerProvider(shutdown_on_exit=False)
    al.collect_otel(provider, only=["wanted."])
    wanted, other = provider.get_tracer("wanted.one"), provider.get_tracer("other")
    with (
        wanted.start_as_current_span("agent"),
        other.start_as_current_span("http"),
        wanted.start_as_current_span("model"),
        other.start_as_current_span("dns"),
    ):
        al.start_span("ours").end()
    other.start_span("alone").end()

    assert forest(client) == "OK\nUNKNOWN agent\n  UNKNOWN model\n    UNKNOWN ours"


def test_a_function_can_choose(client):
    provider = TracerProvider(shutdown_on_exit=False)
    al.collect_otel(provider, only=is_llm_span)
    tracer = provider.get_tracer("x")
    tracer.start_span("chat", attributes={"gen_ai.operation.name": "chat"}).end()
    tracer.start_span("GET").end()
    provider.get_tracer("openinference.instrumentation.langchain").start_span("chain").end()

    assert sorted(span.name for span in spans(client)) == ["chain", "chat"]


def test_collecting_twice_takes_each_span_once_and_stopping_leaves_others_working(client):
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    al.collect_otel(provider)
    stop = al.collect_otel(provider)
    tracer = provider.get_tracer("x")
    tracer.start_span("one").end()
    stop()
    tracer.start_span("two").end()
    al.collect_otel(provider)
    tracer.start_span("three").end()

    assert sorted(span.name for span in spans(client)) == ["one", "three"]
    assert [span.name for span in exporter.get_finished_spans()] == ["one", "two", "three"]


def test_a_span_that_is_open_when_collecting_stops_ends(client, tracer, provider):
    span = tracer.start_span("open")
    al.collect_otel(provider)()
    span.end()
    assert forest(client) == "OK\nUNKNOWN open"


def run(script):
    program = "import autolog as al\nfrom autolog.testing import fresh_client, spans\n" + textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_a_provider_there_is_a_global_one():
    run("""
    from opentelemetry import trace
    early = trace.get_tracer("early")
    with fresh_client() as client:
        al.collect_otel()
        al.collect_otel()
        with early.start_as_current_span("a"), trace.get_tracer("late").start_as_current_span("b"):
            pass
        assert [span.name for span in spans(client)] == ["a", "b"]
    """)


def test_the_global_provider_of_the_program_is_used():
    run("""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    trace.set_tracer_provider(TracerProvider())
    with fresh_client() as client:
        stop = al.collect_otel()
        trace.get_tracer("x").start_span("a").end()
        stop()
        trace.get_tracer("x").start_span("b").end()
        assert [span.name for span in spans(client)] == ["a"]
    """)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_span_that_is_open_at_a_fork_is_the_parents_and_the_childs_nest_below_it(tmp_path):
    run(f"""
    import os
    from opentelemetry.sdk.trace import TracerProvider
    from tests.trees import forest
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("x")
    with fresh_client({str(tmp_path / "traces.db")!r}) as client:
        al.collect_otel(provider)
        with tracer.start_as_current_span("parent"):
            child = os.fork()
            if child == 0:
                tracer.start_span("child").end()
                client.flush()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        assert forest(client) == "OK\\nUNKNOWN parent\\n  UNKNOWN child", forest(client)
    """)


def test_what_is_no_provider_of_the_sdk_is_refused(client):
    with pytest.raises(TypeError, match="NoOpTracerProvider"):
        al.collect_otel(otel.NoOpTracerProvider())


def test_other_processors_see_the_spans_as_they_are(client):
    seen = []

    class Other(SdkProcessor):
        def on_end(self, span):
            seen.append((span.name, span.parent, dict(span.attributes), span.get_span_context()))

    provider = TracerProvider(shutdown_on_exit=False)
    al.collect_otel(provider)
    provider.add_span_processor(Other())
    tracer = provider.get_tracer("x")
    with tracer.start_as_current_span("outer") as outer:
        tracer.start_span("inner", attributes={"gen_ai.prompt": "Hello"}).end()

    assert [(name, told) for name, _, told, _ in seen] == [("inner", {"gen_ai.prompt": "Hello"}), ("outer", {})]
    assert seen[0][1] == outer.get_span_context()
    assert seen[1][3] == outer.get_span_context()


# --- a model call that two tell of ---------------------------------------------------------------------------

USAGE = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5}


def test_our_sdks_span_inside_of_anothers_of_the_same_call_counts_once(client, tracer):
    with tracer.start_as_current_span("chat", attributes={"gen_ai.operation.name": "chat"}) as theirs:
        ours = client.tracer.start_sdk_call("chat m", SpanType.CHAT_MODEL)
        ours.set_usage(al.TokenUsage(10, 5, 15))
        ours.end()
        theirs.set_attributes(USAGE)

    assert forest(client) == "OK 10>5\nCHAT_MODEL chat 10>5\n  CHAT_MODEL chat m 10>5 (duplicate)"


def test_anothers_span_inside_of_our_sdks_of_the_same_call_counts_once(client, tracer):
    with client.tracer.start_sdk_call("chat m", SpanType.CHAT_MODEL) as ours:
        tracer.start_span("chat", attributes={"gen_ai.operation.name": "chat", **USAGE}).end()
        ours.set_usage(al.TokenUsage(10, 5, 15))

    assert forest(client) == "OK 10>5\nCHAT_MODEL chat m 10>5\n  CHAT_MODEL chat 10>5 (duplicate)"


def test_an_embedding_inside_of_a_chat_is_a_call_of_its_own(client, tracer):
    with tracer.start_as_current_span("chat", attributes={"gen_ai.operation.name": "chat"}):
        tracer.start_span("embed", attributes={"gen_ai.operation.name": "embeddings"}).end()

    assert forest(client) == "OK\nCHAT_MODEL chat\n  EMBEDDING embed"


def test_a_span_whose_kind_is_told_at_its_end_is_marked_then(client, tracer):
    with client.tracer.start_sdk_call("chat m", SpanType.CHAT_MODEL):
        span = tracer.start_span("ChatCompletion")
        span.set_attribute("openinference.span.kind", "LLM")
        span.end()

    assert forest(client) == "OK\nCHAT_MODEL chat m\n  CHAT_MODEL ChatCompletion (duplicate)"


def test_what_is_below_a_span_that_is_merged_comes_below_what_it_is_merged_into(client, tracer):
    client.configure(duplicates="merge")
    call = client.tracer.start_step("ChatModel", SpanType.CHAT_MODEL)
    call.is_framework_call = True
    with call, client.tracer.start_sdk_call("chat m", SpanType.CHAT_MODEL):
        tracer.start_span("POST").end()

    assert forest(client) == "OK\nCHAT_MODEL ChatModel\n  UNKNOWN POST"


# --- privacy -------------------------------------------------------------------------------------------------


def test_without_content_nothing_of_a_foreign_span_is_kept_but_names_figures_and_types():
    with fresh_client(capture_content=False) as client:
        provider = TracerProvider(shutdown_on_exit=False)
        al.collect_otel(provider)
        tracer = provider.get_tracer("x")
        with pytest.raises(ValueError, match="secret"), tracer.start_as_current_span("chat") as span:
            span.set_attributes(
                {"input.value": "secret", "openinference.span.kind": "LLM", "db.statement": "secret", "n": 3, **USAGE}
            )
            span.add_event("note", {"text": "secret", "size": 1})
            raise ValueError("secret")
        assert "secret" not in str([span.to_dict() for span in spans(client)])
        found = the(client, "chat")
        assert (found.get_attribute("n"), found.usage.input_tokens) == (3, 10)


def test_headers_and_keys_of_a_foreign_span_are_not_kept(client, tracer):
    span = tracer.start_span("call")
    span.set_attributes(
        {
            "http.request.header.authorization": ["Bearer abcdefghijkl"],
            "http.request.header.x-api-key": ["abcdefghijkl"],
            "http.request.header.accept": ["text/plain"],
            "gen_ai.headers": "{'Authorization': 'abcdefghijkl'}",
            "llm.headers": "abcdefghijkl",
            "url.full": "https://me:abcdefghijkl@example.org/?api_key=abcdefghijkl&q=1",
            "service.api_key": "abcdefghijkl",
            "note": "the key sk-abcdefghijkl is known",
        }
    )
    span.end()
    told = str([span.to_dict() for span in spans(client)])
    assert "abcdefghijkl" not in told
    assert "text/plain" in told
    assert "q=1" in told


def test_the_end_user_is_not_told_where_that_is_not_wanted(tracer):
    with fresh_client(capture_user=False) as client:
        tracer.start_span("call", attributes={"user.id": "me", "session.id": "s"}).end()
        [trace] = traces(client)
        assert (trace.info.user, trace.info.session) == (None, "s")
        assert "me" not in the(client, "call").attributes.values()
