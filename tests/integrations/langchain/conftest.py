"""The fake OpenAI server below LangChain, and LangChain's own warnings."""

from __future__ import annotations

import importlib.util
import warnings
from contextlib import suppress
from pathlib import Path

import pytest

with warnings.catch_warnings(), suppress(ImportError):
    # langgraph 1.0 warns of itself where it is imported for the first time.
    warnings.simplefilter("ignore")
    import langgraph.prebuilt  # noqa: F401

WARNINGS = (
    # Of langchain-core 1.6 and later: what it wants replaced is tested as long as it is there.
    "ignore:astream_log is deprecated",
    "ignore:RunnableWithMessageHistory is deprecated",
    "ignore:The class `InMemoryChatMessageHistory` was deprecated",
    # Of langchain-openai, where two usages are added up and one has a detail that is `None`.
    "ignore:Unexpected type for token usage",
    # Of LangSmith, which makes the runs that LangChain collects: about ids of the program's own, and how old versions copy.
    "ignore:LangSmith now uses UUID v7",
    "ignore:The `copy` method is deprecated",
    # Of pydantic, where langchain-openai serialises an answer that the SDK has parsed.
    "ignore:Pydantic serializer warnings",
)


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for warning in WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


# What is tested through the real ChatOpenAI, down to the server.
NEEDING_OPENAI = ("agents", "duplicates", "errors", "models", "privacy", "recorded", "replay", "standard", "streams")
collect_ignore = (
    [f"test_{topic}.py" for topic in NEEDING_OPENAI] if importlib.util.find_spec("langchain_openai") is None else []
)


@pytest.fixture(autouse=True)
def _no_waiting_for_retries(monkeypatch):
    with suppress(ImportError):
        monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.0, raising=False)


@pytest.fixture
def server():
    pytest.importorskip("langchain_openai", reason="needs langchain-openai")
    from tests.fakes.openai_server import FakeOpenAI

    return FakeOpenAI()
