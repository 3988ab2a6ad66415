"""The fake OpenAI server below LlamaIndex, LlamaIndex's own warnings, and no error of ours unseen."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

from autolog.guard import guarded
from autolog.instrumentation.registry import registry
from tests.fakes.openai_server import FakeOpenAI

WARNINGS = (
    # Of its agents, which are pydantic's models, and are looked through for their steps, and ask for what they know.
    "ignore::pydantic.PydanticDeprecatedSince20",
    "ignore::pydantic.PydanticDeprecatedSince211",
    "ignore:is_running called from within a step",
    "ignore:ServiceManager is deprecated",
    # Of LlamaIndex's memory, which leaves its database open, and of its sync chats, which leave an event loop.
    "ignore:Exception ignored in.*(Connection|BaseEventLoop).__del__:pytest.PytestUnraisableExceptionWarning",
    "ignore:Exception ignored in.*socket.socket:pytest.PytestUnraisableExceptionWarning",
    # Of its chats: the thread that writes to the history raises the error that the reader gets, too.
    "ignore::pytest.PytestUnhandledThreadExceptionWarning",
)


def pytest_configure(config):
    # Its old versions are older than what pydantic warns of when they are imported.
    config.addinivalue_line("filterwarnings", "ignore:The '.*' attribute with value .* was provided to the `Field")


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for warning in WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(autouse=True)
def _no_error_of_ours_unseen(_raise_own_errors, monkeypatch):
    """LlamaIndex swallows what handlers raise, ours too: so they are counted, and a single one fails the test."""
    monkeypatch.setattr(guarded, "reraise", False)
    yield
    assert guarded.errors == 0, "autolog failed inside itself; the log says where"


@pytest.fixture(autouse=True, scope="session")
def _quick_collections():
    """What the libraries made is left out when programs are looked through for what they let go of."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
    _collect_what_was_left_open()


def _collect_what_was_left_open():
    """Collect here what LlamaIndex left open: after the last test no filter of warnings knows of it."""
    hook = sys.unraisablehook

    def only_ours(unraisable):
        if getattr(unraisable.object, "__qualname__", "") not in ("Connection.__del__", "BaseEventLoop.__del__"):
            hook(unraisable)

    sys.unraisablehook = only_ours
    try:
        gc.collect()
    finally:
        sys.unraisablehook = hook


@pytest.fixture(autouse=True)
def _usual_options_afterwards():
    yield
    integration = registry._load("llama_index")
    integration.configure(integration.defaults)


@pytest.fixture
def server():
    return FakeOpenAI()
