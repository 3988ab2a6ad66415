"""Threads and thread pools: the span that work was given out in is above what the work does, and nothing else changes."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import queue
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import pytest
import wrapt
from opentelemetry import trace as otel

import autolog as al
from autolog import autolog
from autolog.context import add_source, remove_source
from autolog.delivery import Delivery, Sent
from autolog.testing import spans, traces
from tests.trees import forest, sorted_by_text

pytestmark = pytest.mark.usefixtures("traced")

own = contextvars.ContextVar("own", default="default")


def work(name="work"):
    with al.start_span(name):
        return own.get()


def run(thread):
    thread.start()
    thread.join()


class Subclass(threading.Thread):
    def run(self):
        work("own run")


# --- threads ---------------------------------------------------------------------------------------------


def test_what_a_thread_does_nests_below_the_span_that_it_was_started_in(client):
    with al.start_span("root"):
        run(threading.Thread(target=work, args=("thread",)))
        run(Subclass())
        run(threading.Timer(0, work, ("timer",)))
    assert forest(client) == "OK\nUNKNOWN root\n  UNKNOWN thread\n  UNKNOWN own run\n  UNKNOWN timer"


def test_threads_started_in_threads_and_by_traced_functions_nest(client):
    @al.trace
    def step(depth):
        if depth:
            run(threading.Thread(target=step, args=(depth - 1,)))

    step(2)
    assert forest(client) == "OK\nUNKNOWN step\n  UNKNOWN step\n    UNKNOWN step"


def test_a_thread_that_outlives_the_span_still_belongs_to_it(client):
    go = threading.Event()
    with al.start_span("root"):
        thread = threading.Thread(target=lambda: go.wait() and work("late"))
        thread.start()
    go.set()
    thread.join()
    assert forest(client) == "OK\nUNKNOWN root\n  UNKNOWN late"


def test_what_is_set_for_a_block_reaches_threads(client):
    with al.context(session_id="s", tags={"a": "1"}):
        run(threading.Thread(target=work))
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work).result()
    assert [(trace.info.session, trace.info.tags) for trace in traces(client)] == [("s", {"a": "1"})] * 2


def test_suppression_reaches_threads(client):
    with al.context(enabled=False):
        run(threading.Thread(target=work))
    assert traces(client) == []


def test_what_is_not_sampled_is_not_recorded_in_threads_either(client):
    al.configure(sampling=al.Sampling(ratio=0))
    with al.start_span("root"):
        al.configure(sampling=al.Sampling(ratio=1))
        run(threading.Thread(target=work))
        with ThreadPoolExecutor(1) as pool:
            pool.submit(al.carry(work)).result()
    assert traces(client) == []


def test_a_step_that_a_framework_tells_of_is_above_what_threads_do_in_it(client):
    step = client.tracer.start_step("node", al.SpanType.TASK)
    here = threading.local()
    here.step = step
    source = lambda: getattr(here, "step", None)
    add_source(source)
    try:
        run(threading.Thread(target=work))
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work).result()
    finally:
        remove_source(source)
    step.end()
    assert forest(client) == "OK\nTASK node\n  UNKNOWN work\n  UNKNOWN work"


def test_a_span_of_another_opentelemetry_library_reaches_threads(client):
    theirs = otel.NonRecordingSpan(otel.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=otel.TraceFlags(1)))
    seen = []
    with otel.use_span(theirs):
        run(threading.Thread(target=lambda: seen.append(otel.get_current_span())))
    assert seen == [theirs]


def test_the_programs_own_context_variables_stay_behind(client):
    seen = []
    own.set("changed")
    with al.start_span("root"):
        run(threading.Thread(target=lambda: seen.append(work())))
        with ThreadPoolExecutor(1) as pool:
            seen.append(pool.submit(work).result())
    own.set("default")
    inherited = "changed" if getattr(sys.flags, "thread_inherit_context", False) else "default"
    assert seen == [inherited, inherited]


class OwnContext(threading.Thread):
    """A thread as Python 3.14 makes them: `run` has a context of its own, which the program may give."""

    _context = None

    def _bootstrap(self):
        self._context = self._context or contextvars.Context()
        super()._bootstrap()

    def run(self):
        self._context.run(super().run)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="all threads are like that")
def test_a_thread_that_runs_in_a_context_of_its_own_gets_the_span_there(client):
    with al.start_span("root"):
        thread = OwnContext(target=work)
        run(thread)
        given = OwnContext(target=work, args=("given its context",))
        given._context = contextvars.Context()
        run(given)
    assert thread._context.run(al.get_current_active_span) is None
    assert sorted_by_text(forest(client)) == "OK\nUNKNOWN given its context\n\nOK\nUNKNOWN root\n  UNKNOWN work"


# --- pools -----------------------------------------------------------------------------------------------


def test_every_task_of_a_pool_nests_below_who_submitted_it(client):
    with ThreadPoolExecutor(1) as pool:
        with al.start_span("first"):
            pool.submit(work, "submitted").result()
            list(pool.map(work, ["mapped"]))
        with al.start_span("second"):
            pool.submit(work, name="by name").result()
        pool.submit(work, "outside").result()
    assert forest(client) == (
        "OK\nUNKNOWN first\n  UNKNOWN submitted\n  UNKNOWN mapped\n\nOK\nUNKNOWN second\n  UNKNOWN by name\n\n"
        "OK\nUNKNOWN outside"
    )


def test_pools_that_are_shared_by_many_callers_at_once_never_mix_them(client):
    start = threading.Barrier(8)

    def caller(number):
        start.wait()
        for _ in range(5):
            with al.start_span(f"caller {number}"):
                for done in [pool.submit(work, f"for {number}") for _ in range(5)]:
                    done.result()

    with ThreadPoolExecutor(4) as pool:
        threads = [threading.Thread(target=caller, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = traces(client)
    assert len(found) == 40
    for trace in found:
        number = trace.root.name.removeprefix("caller ")
        assert [span.name for span in trace.children(trace.root)] == [f"for {number}"] * 5


def test_the_initializer_of_a_pool_belongs_to_nobody(client):
    with al.start_span("root"), ThreadPoolExecutor(1, initializer=work, initargs=("initializer",)) as pool:
        pool.submit(work, "task").result()
    assert sorted_by_text(forest(client)) == "OK\nUNKNOWN initializer\n\nOK\nUNKNOWN root\n  UNKNOWN task"


def test_threads_of_pools_that_are_not_followed_belong_to_nobody_either(client):
    with al.start_span("root"):
        pool = ThreadPool(1)
        pool.apply(work, ("task",))
    pool.apply(work, ("later",))
    pool.close()
    pool.join()
    assert sorted_by_text(forest(client)) == "OK\nUNKNOWN later\n\nOK\nUNKNOWN root\n\nOK\nUNKNOWN task"


def test_asyncio_hands_the_span_to_its_threads(client):
    async def main():
        loop = asyncio.get_running_loop()
        with al.start_span("root"):
            await loop.run_in_executor(None, work, "run_in_executor")
            await asyncio.to_thread(work, "to_thread")
            await asyncio.gather(*(asyncio.to_thread(work, "gathered") for _ in range(3)))

    asyncio.run(main())
    assert forest(client) == (
        "OK\nUNKNOWN root\n  UNKNOWN run_in_executor\n  UNKNOWN to_thread\n  UNKNOWN gathered\n  UNKNOWN gathered\n"
        "  UNKNOWN gathered"
    )


def test_results_and_errors_of_tasks_are_the_programs_own(client):
    error = ValueError("bad")

    def fails(*args, **kwargs):
        raise error

    with al.start_span("root"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda a, *, function, context: (a, function, context), 1, function=2, context=3).result() == (
            1, 2, 3,
        )  # fmt: skip
        future = pool.submit(fails)
        assert future.exception() is error
        frames = [frame.filename for frame in inspect.getinnerframes(error.__traceback__)]
        assert sum("propagation" in name for name in frames) == 1
        with pytest.raises(TypeError, match="submit"):
            pool.submit()
        with pytest.raises(TypeError):
            pool.submit(work, "a", "b").result()
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(work)


# --- nothing else changes --------------------------------------------------------------------------------


def test_a_thread_looks_as_it_does_without_tracing(client):
    def attributes(thread):
        run(thread)
        return {name: type(value) for name, value in vars(thread).items()}, type(thread).run

    autolog("threads", log_traces=False)
    plain = [attributes(threading.Thread(target=work, name="t")), attributes(Subclass())]
    autolog("threads")
    with al.start_span("root"):
        thread = threading.Thread(target=work, name="t")
        assert (thread._target, thread.name) == (work, "t")
        assert [attributes(thread), attributes(Subclass())] == plain


def test_what_a_thread_raises_reaches_the_hook_with_the_programs_frames_only(client, monkeypatch):
    seen = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_traceback))

    def fails():
        raise ValueError

    with al.start_span("root"):
        run(threading.Thread(target=fails))
    files = {frame.filename for frame in inspect.getinnerframes(seen[0])}
    assert files == {threading.__file__, __file__}


def test_nothing_is_carried_or_wrapped_where_no_span_is(client):
    submitted = []

    class Queue(queue.SimpleQueue):
        def put(self, item):
            submitted.append(item)
            super().put(item)

    with ThreadPoolExecutor(1) as pool:
        pool._work_queue = Queue()
        pool.submit(len, [1]).result()
    item = submitted[0]
    assert getattr(item, "fn", None) is len or item.task[0] is len
    run(threading.Thread(target=work))
    assert forest(client) == "OK\nUNKNOWN work"


def test_a_thread_that_can_not_start_leaves_nothing(client):
    from autolog_threads import _carried

    with al.start_span("root"):
        thread = threading.Thread(target=work)
        run(thread)
        with pytest.raises(RuntimeError):
            thread.start()
    assert _carried == {}


def test_nothing_is_kept_once_a_thread_has_ended(client):
    with al.start_span("root") as root:
        threads = [threading.Thread(target=work), Subclass()]
        for thread in threads:
            run(thread)
        pool = ThreadPoolExecutor(1)
        future = pool.submit(work)
        future.result()
    client.flush()
    gone = weakref.ref(root)
    del root
    deadline = time.monotonic() + 20
    while gone() is not None and time.monotonic() < deadline:  # what the store's worker holds for a moment
        gc.collect()
    assert gone() is None
    pool.shutdown()


def test_autologs_own_thread_carries_nothing():
    from autolog.testing import fresh_client

    for _ in range(3):
        with fresh_client() as client:
            autolog("threads")
            with al.start_span("root"):
                pass
            assert client.flush()
            [worker] = [t for t in threading.enumerate() if t.name == "autolog" and t is client._pipeline._worker]
            assert worker.is_alive()
            assert len(spans(client)) == 1


def test_the_thread_that_sends_spans_on_carries_nothing(client):
    begun = []

    class Elsewhere:
        place = "elsewhere"

        def open(self):
            begun.append(otel.get_current_span())

        def send(self, spans):
            return Sent()

        def break_off(self):
            pass

    autolog("threads")
    client.configure(flush_interval=1000.0)  # so that it is the program that starts the thread
    client._pipeline.deliver(Delivery(Elsewhere(), most_spans=10, most_bytes=1_000_000, interval=0.0))
    with al.start_span("root"):
        work()
        assert client.flush()
    assert begun == [otel.INVALID_SPAN]


def test_off_puts_the_originals_back_and_leaves_threads_alone(client):
    autolog("threads", log_traces=False)
    plain = (
        vars(threading.Thread)["start"],
        vars(threading.Thread)["_bootstrap_inner"],
        vars(ThreadPoolExecutor)["submit"],
    )
    assert not any(hasattr(function, "__wrapped__") for function in plain)
    with al.start_span("root"):
        run(threading.Thread(target=work))
    al.threads()
    assert vars(threading.Thread)["start"] is not plain[0]
    al.threads(log_traces=False)
    assert vars(threading.Thread)["start"] is plain[0]
    assert sorted_by_text(forest(client)) == "OK\nUNKNOWN root\n\nOK\nUNKNOWN work"


def test_the_standard_library_is_listed_with_pythons_version(client):
    [status] = [one for one in al.integrations() if one.name == "threads"]
    assert status.on
    assert status.supported
    assert status.installed == ".".join(map(str, sys.version_info[:3]))


def test_it_lives_with_opentelemetrys_own_instrumentation(client):
    module = pytest.importorskip("opentelemetry.instrumentation.threading")
    theirs = module.ThreadingInstrumentor()
    for first, second in ((theirs.instrument, al.threads), (al.threads, theirs.instrument)):
        al.threads(log_traces=False)
        first()
        second()
        with al.start_span("root"):
            run(threading.Thread(target=work))
            with ThreadPoolExecutor(1) as pool:
                pool.submit(work).result()
        theirs.uninstrument()
        al.threads(log_traces=False)
    assert forest(client) == "\n\n".join(["OK\nUNKNOWN root\n  UNKNOWN work\n  UNKNOWN work"] * 2)


def test_it_lives_with_patches_by_wrapt_below_and_above_it(client):
    seen = []

    def watch(wrapped, instance, args, kwargs):
        seen.append(type(instance))
        return wrapped(*args, **kwargs)

    places = [(threading.Thread, "start"), (ThreadPoolExecutor, "submit")]
    for turn in ((autolog, None), (None, autolog)):
        autolog("threads", log_traces=False)
        plain = [vars(place)[name] for place, name in places]
        for step in turn:
            if step is not None:
                step("threads")
            else:
                for place, name in places:
                    wrapt.wrap_function_wrapper(place, name, watch)
        with al.start_span("root"):
            run(threading.Thread(target=work))
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(work).result() == "default"
        for (place, name), function in zip(places, plain, strict=True):
            setattr(place, name, function)
    assert set(seen) == {threading.Thread, ThreadPoolExecutor}
    assert forest(client) == "\n\n".join(["OK\nUNKNOWN root\n  UNKNOWN work\n  UNKNOWN work"] * 2)


# --- by hand ---------------------------------------------------------------------------------------------


def test_a_function_can_be_carried_by_hand(client):
    al.threads(log_traces=False)

    @al.trace
    async def later():
        return work("inside")

    with al.start_span("root"):
        carried, carried_async = al.carry(work), al.carry(later)
        nothing = threading.Thread(target=work, args=("not carried",))
    run(threading.Thread(target=carried, args=("carried",)))
    run(nothing)
    assert carried("twice") == "default"
    assert asyncio.run(carried_async()) == "default"
    assert (carried.__name__, inspect.signature(carried)) == ("work", inspect.signature(work))
    assert forest(client) == (
        "OK\nUNKNOWN root\n  UNKNOWN carried\n  UNKNOWN twice\n  UNKNOWN later\n    UNKNOWN inside\n\nOK\nUNKNOWN not carried"
    )


def test_a_carried_function_raises_and_refuses_as_the_function_does(client):
    error = ValueError()

    def fails():
        raise error

    with pytest.raises(ValueError) as raised:
        al.carry(fails)()
    assert raised.value is error
    with pytest.raises(TypeError, match=r"work\(\) got an unexpected keyword"):
        al.carry(work)(wrong=1)
    assert al.get_current_active_span() is None
