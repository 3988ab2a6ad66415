"""The fake OpenAI server, and clients of the real SDK that talk to it."""

from __future__ import annotations

import openai._base_client
import pytest

from tests.fakes.openai_server import FakeOpenAI


@pytest.fixture(autouse=True)
def _no_waiting_for_retries(monkeypatch):
    monkeypatch.setattr(openai._base_client, "INITIAL_RETRY_DELAY", 0.0, raising=False)


@pytest.fixture
def server():
    return FakeOpenAI()


@pytest.fixture
def openai_client(server):
    with server.client() as client:
        yield client


@pytest.fixture
def async_client(server):
    """Closed by nobody, since it belongs to the event loop of the test; its transport has nothing to close."""
    return server.async_client()
