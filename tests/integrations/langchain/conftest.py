"""The fake OpenAI server below LangChain, and LangChain's own warnings."""

from __future__ import annotations

import pytest

from tests.fakes.openai_server import FakeOpenAI


@pytest.fixture
def server():
    return FakeOpenAI()
