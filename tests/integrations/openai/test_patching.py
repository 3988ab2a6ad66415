"""On and off, in any order and beside others: one span a call while it is on, nothing of ours once it is off."""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
import subprocess
import sys

import openai
import pytest
import wrapt
from openai._base_client import AsyncAPIClient, SyncAPIClient

from autolog import autolog, integrations
from autolog.testing import fresh_client, spans
from tests.fakes import openai_answers as answers

HELLO = [{"role": "user", "content": "Hello"}]
CHAT = {"model": "gpt-4o", "messages": HELLO}
CLASSES = (SyncAPIClient, AsyncAPIClient, openai.OpenAI, openai.AsyncOpenAI, openai.AzureOpenAI)


def functions():
    """Every attribute of the SDK's client classes, as their `__dict__` holds it."""
    bases = {base for kind in CLASSES for base in kind.__mro__ if base.__module__.startswith("openai")}
    return {(kind.__qualname__, name): value for kind in bases for name, value in vars(kind).items()}


def assert_same(after, before):
    assert after.keys() == before.keys()
    assert [name for name in before if after[name] is not before[name]] == []


@pytest.fixture(autouse=True)
def _as_it_was():
    before = functions()
    yield
    for kind in CLASSES:
        for name in ("request", "_process_response"):
            original = before.get((kind.__qualname__, name))
            if original is None and name in vars(kind):
                delattr(kind, name)
            elif original is not None and vars(kind)[name] is not original:
                setattr(kind, name, original)


# --- on and off ------------------------------------------------------------------------------------------


def test_off_puts_back_the_very_same_functions(client):
    before = functions()
    autolog()
    assert vars(SyncAPIClient)["request"] is not before["SyncAPIClient", "request"]
    autolog(log_traces=False)

    assert_same(functions(), before)


def test_off_is_off_for_a_client_that_was_made_while_it_was_on(client, server):
    autolog()
    openai_client = server.client()
    raw = openai_client.chat.completions.with_raw_response
    raw.create(**CHAT)
    autolog(log_traces=False)
    raw.create(**CHAT)
    openai_client.chat.completions.create(**CHAT)

    assert len(server.requests) == 3
    assert len(spans(client)) == 1


def test_on_is_on_for_a_client_whose_resources_were_touched_before(client, server):
    openai_client = server.client()
    raw, bound = openai_client.chat.completions.with_raw_response, openai_client.chat.completions.create
    raw.create(**CHAT)
    bound(**CHAT)
    autolog()
    raw.create(**CHAT)
    bound(**CHAT)

    assert len(spans(client)) == 2


def test_on_twice_makes_one_span_a_call(client, openai_client):
    autolog()
    autolog()
    autolog.openai()
    openai_client.chat.completions.create(**CHAT)

    assert len(spans(client)) == 1


def test_off_and_on_again_makes_one_span_a_call(client, openai_client):
    for _ in range(3):
        autolog()
        autolog(log_traces=False)
    openai_client.chat.completions.create(**CHAT)
    assert spans(client) == []
    autolog()
    openai_client.chat.completions.create(**CHAT)

    assert len(spans(client)) == 1


def test_off_twice_is_off(client, openai_client):
    before = functions()
    autolog()
    autolog(disable=True)
    autolog(log_traces=False)

    assert_same(functions(), before)


def test_off_without_on_changes_nothing(client):
    before = functions()
    autolog(log_traces=False)

    assert_same(functions(), before)


def test_a_stream_that_runs_when_it_is_turned_off_is_recorded_to_its_end(client, openai_client):
    autolog()
    stream = openai_client.chat.completions.create(**CHAT, stream=True)
    next(stream)
    autolog(log_traces=False)
    for _ in stream:
        pass

    [span] = spans(client)
    assert span.outputs["choices"][0]["message"]["content"] == answers.TEXT


def test_a_call_that_runs_when_it_is_turned_off_is_recorded_to_its_end(client, server):
    class Client(openai.OpenAI):
        def _prepare_options(self, options):
            autolog(log_traces=False)
            return super()._prepare_options(options)

    autolog()
    server.client(Client).chat.completions.create(**CHAT)

    [span] = spans(client)
    assert span.end_time_ns is not None


def test_a_call_that_runs_when_it_is_turned_on_is_left_alone(client, server):
    class Client(openai.OpenAI):
        def _prepare_options(self, options):
            autolog()
            return super()._prepare_options(options)

    assert server.client(Client).chat.completions.create(**CHAT).id == "chatcmpl-1"
    assert spans(client) == []


def test_the_library_says_that_it_is_on(client):
    autolog()
    [status] = [status for status in integrations() if status.name == "openai"]

    assert (status.installed, status.supported, status.on) == (openai.__version__, True, True)


# --- imports ---------------------------------------------------------------------------------------------

BEFORE_IMPORT = """
import sys
from autolog import autolog
from autolog.testing import fresh_client, spans

with fresh_client() as client:
    autolog()
    assert not [name for name in sys.modules if name.partition(".")[0] in ("openai", "httpx", "httpx2", "pydantic")]
    from tests.fakes.openai_server import FakeOpenAI

    openai = FakeOpenAI().client()
    openai.chat.completions.create(model="gpt-4o", messages=[])
    assert len(spans(client)) == 1
"""


def test_on_before_the_import_imports_nothing_and_traces_the_first_call():
    path = os.pathsep.join(entry for entry in sys.path if entry)
    result = subprocess.run(
        [sys.executable, "-c", BEFORE_IMPORT],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.returncode, result.stderr) == (0, "")


def test_a_library_that_is_reloaded_makes_one_span_a_call(traced, server):
    reloaded = importlib.reload(openai)
    server.client(reloaded.OpenAI).chat.completions.create(**CHAT)

    assert len(spans(traced)) == 1


def test_the_clients_of_the_module_are_traced(traced, server, monkeypatch):
    monkeypatch.setattr(openai, "api_key", "sk-fake-0123456789abcdefghij")
    monkeypatch.setattr(openai, "http_client", server.client()._client)
    monkeypatch.setattr(openai, "_client", None)
    openai.chat.completions.create(**CHAT)

    assert len(spans(traced)) == 1


def test_copies_subclasses_and_options_of_a_client_are_traced_once(traced, server):
    class Client(openai.OpenAI):
        def request(self, *args, **kwargs):
            return super().request(*args, **kwargs)

    openai_client = server.client(Client)
    openai_client.chat.completions.create(**CHAT)
    openai_client.with_options(timeout=3).chat.completions.create(**CHAT)
    openai_client.copy(max_retries=0).chat.completions.create(**CHAT)

    assert len(spans(traced)) == 3


# --- beside others ---------------------------------------------------------------------------------------


class WithWrapt:
    """Patches as OpenTelemetry's instrumentations do, and puts back what it found if it still lies on top."""

    def __init__(self, kind):
        self.kind, self.calls = kind, 0

    def on(self):
        def wrapper(wrapped, instance, args, kwargs):
            self.calls += 1
            return wrapped(*args, **kwargs)

        self.found = vars(self.kind)["request"]
        self.patch = wrapt.wrap_function_wrapper(self.kind, "request", wrapper)

    def off(self):
        if vars(self.kind)["request"] is self.patch:
            self.kind.request = self.found


class WithWraps(WithWrapt):
    """Patches with a plain function that names what it wraps, and always puts back what it found."""

    def on(self):
        found = self.found = self.kind.request

        @functools.wraps(found)
        def request(*args, **kwargs):
            self.calls += 1
            return found(*args, **kwargs)

        self.kind.request = request

    def off(self):
        self.kind.request = self.found


class FromDict(WithWraps):
    """Takes what it wraps from the class's `__dict__`, so that it is no method yet."""

    def on(self):
        found = self.found = vars(self.kind)["request"]

        @functools.wraps(found)
        def request(*args, **kwargs):
            self.calls += 1
            return found(*args, **kwargs)

        self.kind.request = request


class WithClosure(WithWraps):
    """Patches with a plain function that does not tell what it wraps."""

    def on(self):
        found = self.found = self.kind.request

        def request(*args, **kwargs):
            self.calls += 1
            return found(*args, **kwargs)

        async def request_async(*args, **kwargs):
            self.calls += 1
            return await found(*args, **kwargs)

        self.kind.request = request if self.kind is SyncAPIClient else request_async


class OnSubclass(WithWrapt):
    """Patches the subclass, and when off leaves there what it had found, as OpenInference does."""

    def on(self):
        self.subclass = openai.OpenAI if self.kind is SyncAPIClient else openai.AsyncOpenAI
        self.found = self.subclass.request

        def wrapper(wrapped, instance, args, kwargs):
            self.calls += 1
            return wrapped(*args, **kwargs)

        wrapt.wrap_function_wrapper(self.subclass, "request", wrapper)

    def off(self):
        self.subclass.request = self.found


OTHERS = [WithWrapt, WithWraps, FromDict, WithClosure, OnSubclass]


def run(openai_client):
    result = openai_client.chat.completions.create(**CHAT)
    if asyncio.iscoroutine(result):
        result = asyncio.run(result)
    return result.choices[0].message.content


@pytest.fixture(params=["sync", "async"])
def place(request, server):
    """Where another library patches, and a client that goes through there."""
    if request.param == "sync":
        return SyncAPIClient, server.client()
    return AsyncAPIClient, server.async_client()


def assert_whole(found, count):
    assert len(found) == count
    assert all(span.outputs["choices"][0]["message"]["content"] == answers.TEXT for span in found)
    assert all(span.usage.total_tokens == 18 for span in found)


@pytest.mark.parametrize("patcher", OTHERS)
def test_with_another_library_below_both_see_each_call_once(client, place, patcher):
    kind, openai_client = place
    other = patcher(kind)
    other.on()
    autolog()

    assert run(openai_client) == answers.TEXT
    assert other.calls == 1
    assert_whole(spans(client), 1)


@pytest.mark.parametrize("patcher", OTHERS)
def test_with_another_library_above_both_see_each_call_once(client, place, patcher):
    kind, openai_client = place
    other = patcher(kind)
    autolog()
    other.on()

    assert run(openai_client) == answers.TEXT
    assert other.calls == 1
    assert_whole(spans(client), 1)


@pytest.mark.parametrize("patcher", OTHERS)
def test_both_off_in_the_order_of_on_leaves_the_first_functions(client, place, patcher):
    """Ours lies below when it goes off: it falls silent, and is gone once the other one is."""
    kind, openai_client = place
    original = vars(kind)["request"]
    other = patcher(kind)
    autolog()
    other.on()
    autolog(log_traces=False)
    assert run(openai_client) == answers.TEXT
    assert other.calls == 1
    other.off()

    assert run(openai_client) == answers.TEXT
    assert other.calls == 1
    assert spans(client) == []
    assert vars(kind)["request"] is original


@pytest.mark.parametrize("patcher", OTHERS)
def test_both_off_in_the_other_order_leaves_the_first_functions(client, place, patcher):
    kind, openai_client = place
    original = vars(kind)["request"]
    other = patcher(kind)
    autolog()
    other.on()
    other.off()
    assert run(openai_client) == answers.TEXT
    assert len(spans(client)) == 1
    autolog(log_traces=False)

    assert run(openai_client) == answers.TEXT
    assert len(spans(client)) == 1
    assert vars(kind)["request"] is original


def test_a_subclass_that_looks_like_what_it_overrides_is_traced_once(client, server):
    class Client(openai.OpenAI):
        @functools.wraps(openai.OpenAI.request)
        def request(self, *args, **kwargs):
            return super().request(*args, **kwargs)

    autolog()
    server.client(Client).chat.completions.create(**CHAT)

    assert_whole(spans(client), 1)


def test_another_library_that_was_below_may_go_off_first(client, place):
    kind, openai_client = place
    other = WithWrapt(kind)
    other.on()
    autolog()
    other.off()
    run(openai_client)
    autolog(log_traces=False)
    run(openai_client)

    assert len(spans(client)) == 1


def test_what_a_library_that_was_below_leaves_on_a_subclass_is_overcome_by_off_and_on(client, place):
    kind, openai_client = place
    other = OnSubclass(kind)
    other.on()
    autolog()
    other.off()
    autolog(log_traces=False)
    autolog()
    run(openai_client)

    assert_whole(spans(client), 1)


@pytest.mark.parametrize("patcher", [WithWrapt, WithWraps, FromDict, OnSubclass])
def test_off_and_on_again_below_another_library_is_whole(client, place, patcher):
    """Unless it does not tell what it wraps: then nobody knows that ours lies below."""
    kind, openai_client = place
    other = patcher(kind)
    autolog()
    other.on()
    autolog(log_traces=False)
    run(openai_client)
    autolog()

    assert run(openai_client) == answers.TEXT
    assert_whole(spans(client), 1)
    other.off()
    run(openai_client)
    assert_whole(spans(client), 2)
    autolog(log_traces=False)
    run(openai_client)
    assert len(spans(client)) == 2


@pytest.mark.parametrize("patcher", OTHERS)
def test_off_and_on_again_after_another_library_came_and_went_is_whole(client, place, patcher):
    kind, openai_client = place
    other = patcher(kind)
    autolog()
    other.on()
    other.off()
    autolog(log_traces=False)
    autolog()
    run(openai_client)

    assert_whole(spans(client), 1)


@pytest.mark.parametrize("patcher", OTHERS)
def test_while_ours_is_off_another_library_sees_each_call_once(client, place, patcher):
    kind, openai_client = place
    other = patcher(kind)
    autolog()
    other.on()
    autolog(log_traces=False)
    run(openai_client)
    run(openai_client)

    assert other.calls == 2
    assert spans(client) == []


def test_a_second_client_of_ours_takes_over(client, server):
    """As in a test of a program that turns tracing on when it is imported."""
    autolog()
    run(server.client())
    with fresh_client() as second:
        autolog()
        run(server.client())
        assert len(spans(second)) == 1

    assert len(spans(client)) == 1
