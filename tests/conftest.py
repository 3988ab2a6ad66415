"""What every test has: a client of its own, and autolog's own errors raised instead of swallowed."""

from __future__ import annotations

import importlib.util
import signal

import pytest
from hypothesis import settings

from autolog import autolog
from autolog.guard import guarded
from autolog.testing import fresh_client

# Machines are busy: how long an example takes says nothing.
settings.register_profile("autolog", deadline=None)
settings.load_profile("autolog")

# Where the tests run in the background of a shell, Ctrl-C is ignored, by the programs that they start too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What is tested beside the core only where its library is installed.
OPTIONAL = {
    "openai": "integrations/openai",
    "langchain_core": "integrations/langchain",
    "llama_index": "integrations/llama_index",
    "fastapi": "server",
    "typer": "cli",
    "nbclient": "notebook",
    "playwright": "browser",
}
MISSING = [name for name in OPTIONAL if importlib.util.find_spec(name) is None]
collect_ignore = [OPTIONAL[name] for name in MISSING]


def pytest_report_header():
    return [f"not tested here, for it is not installed: {name}" for name in MISSING]


@pytest.fixture(autouse=True)
def _raise_own_errors(monkeypatch):
    """A bug of autolog fails the test that meets it; tests of the guard itself turn this off."""
    monkeypatch.setattr(guarded, "reraise", True)
    monkeypatch.setattr(guarded, "errors", 0)


@pytest.fixture
def client():
    """A client on a store in memory, which the functions of the package share for the test."""
    with fresh_client() as client:
        yield client


@pytest.fixture
def traced(client):
    """A client as above, with autologging on for every library that is installed."""
    autolog()
    return client
