"""Tracing never changes the program, whatever it passes around, and whatever mistake is ours."""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
import threading

import numpy
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_core.vectorstores import InMemoryVectorStore

from autolog import autolog
from autolog.guard import guarded
from autolog.testing import spans
from autolog_langchain.runs import runs
from tests.fakes.langchain_models import Parrot, chat
from tests.integrations.langchain.programs import retrieval
from tests.integrations.langchain.programs.program import is_installed
from tests.trees import forest, the

needs_openai = pytest.mark.skipif(not is_installed("langchain-openai"), reason="needs langchain-openai")


# --- odd values ----------------------------------------------------------------------------------------------------


class Hostile:
    """Raises whatever is done to it."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __repr__(self):
        raise RuntimeError("repr")

    __str__ = __bool__ = __len__ = __iter__ = __eq__ = __repr__
    __hash__ = object.__hash__


def cycle():
    ring = {}
    ring["self"] = ring
    return ring


class Mine(dict):
    pass


ODD = {
    "cycle": cycle,
    "hostile": Hostile,
    "hostile in a list": lambda: [Hostile()],
    "bytes keys": lambda: {b"\xff": 1, (1, 2): 3, None: 4},
    "bytes": lambda: b"\x00" * 100_000,
    "base64": lambda: "data:image/png;base64," + "A" * 2_000_000,
    "lock": threading.Lock,
    "generator": lambda: (x for x in range(3)),
    "array": lambda: numpy.zeros((2, 2)),
    "arrays": lambda: {"a": numpy.zeros(3)},
    "module": lambda: asyncio,
    "class": lambda: Hostile,
    "function": lambda: cycle,
    "exception": lambda: ValueError("x"),
    "surrogate": lambda: "\ud800",
    "long integer": lambda: 10**400,
    "not a number": lambda: float("nan"),
    "a dict of one's own": lambda: Mine(a=1),
    "deep": lambda: __import__("functools").reduce(lambda inner, _: [inner], range(500), 1),
    "none": lambda: None,
    "falsy": lambda: 0,
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_value_passes_unchanged(traced, caplog, odd):
    value = odd()
    result = RunnableLambda(lambda x: x, name="step").invoke(value)

    assert result is value
    span = the(traced, "step")
    assert span.end_time_ns is not None
    assert caplog.records == []


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_value_passes_unchanged_through_a_stream(traced, odd):
    value = odd()
    [result] = RunnableLambda(lambda x: x, name="step").stream(value)

    assert result is value
    assert the(traced, "step").end_time_ns is not None


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_artifact_passes_unchanged_and_the_message_is_told(traced, odd):
    value = odd()
    message = RunnableLambda(lambda x: ToolMessage("sunny", tool_call_id="c1", artifact=value), name="step").invoke(1)

    assert message.artifact is value
    told = the(traced, "step").outputs
    assert (told["role"], told["content"], told["tool_call_id"]) == ("tool", "sunny", "c1")


def test_odd_metadata_of_a_document_passes_unchanged(traced):
    document = Document("one", metadata={"array": numpy.zeros(2), "lock": "x"})
    [found] = retrieval.Notes(found=[document]).invoke("Hello")

    assert found is document
    [told] = the(traced, "Notes").outputs["documents"]
    assert told["content"] == "one"


def test_odd_metadata_of_a_run_passes_unchanged(traced):
    value = Hostile()
    seen = []
    RunnableLambda(lambda x, config: seen.append(config["metadata"]["odd"]), name="step").invoke(
        1, {"metadata": {"odd": value}}
    )

    assert seen == [value] or seen[0] is value
    assert the(traced, "step").end_time_ns is not None


def test_a_message_of_a_class_of_ones_own_is_told(traced):
    class Note(BaseMessage):
        type: str = "note"
        author: str = "ann"

    RunnableLambda(lambda x: Note(content="Hi"), name="step").invoke(1)

    told = the(traced, "step").outputs
    assert (told["role"], told["content"]) == ("note", "Hi")


def test_a_tool_whose_output_is_odd_passes_unchanged(traced):
    @tool
    def odd(city: str):
        """Return an array."""
        return numpy.zeros(2)

    assert type(odd.invoke({"city": "Rome"})) is numpy.ndarray
    assert the(traced, "odd").end_time_ns is not None


def test_the_programs_objects_are_not_changed(traced):
    asked = [HumanMessage("Hello", additional_kwargs={"tool_calls": []})]
    config = {"tags": ["mine"], "metadata": {"ticket": 7}, "configurable": {"thread_id": "t"}}
    before = copy.deepcopy((asked, config))
    model = Parrot(says=[AIMessage("Hi")])
    (model | StrOutputParser()).invoke(asked, config)

    assert (asked, config) == before


@needs_openai
def test_what_langchain_sends_is_not_changed_by_what_is_told_of_it(traced, server):
    schema = {"title": "Person", "type": "object", "properties": {"headers": {"type": "object"}}}
    before = copy.deepcopy(schema)
    bound = chat(server).bind(response_format={"type": "json_schema", "json_schema": schema})
    kept = copy.deepcopy(bound.kwargs)
    bound.invoke("Hello")
    traced.flush()

    assert bound.kwargs == kept
    assert schema == before


# --- our own mistakes ------------------------------------------------------------------------------------------------

OWN = [
    "autolog_langchain.handler._name",
    "autolog_langchain.handler.session_of",
    "autolog_langchain.read.Request.describe",
    "autolog_langchain.read.Answer.of",
    "autolog_langchain.read.Answer.describe",
    "autolog_langchain.graph.is_agent",
    "autolog_langchain.models._run_of",
    "autolog.tracer.Tracer.start_step",
    "autolog.model.span.Span.set_attribute",
    "autolog.model.span.Span.set_inputs",
    "autolog.model.span.Span.end",
    "autolog.capture.snapshot",
]


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
@pytest.mark.parametrize("own", OWN)
def test_a_mistake_of_ours_does_not_reach_the_program(traced, monkeypatch, caplog, own, way):
    monkeypatch.setattr(guarded, "reraise", False)
    monkeypatch.setattr(own, lambda *args, **kwargs: 1 / 0)
    chain = ChatPromptTemplate.from_template("{q}") | Parrot(says=[AIMessage("Hello there")]) | StrOutputParser()

    assert said(chain, way).replace(" ", "") == "Hellothere"
    monkeypatch.undo()
    assert [
        record.name for record in caplog.records if record.levelno >= logging.WARNING and "autolog" not in record.name
    ] == []
    runs._open.clear()


def said(chain, way):
    async def collect():
        return "".join([piece async for piece in chain.astream({"q": "Hello"})])

    if way == "astream":
        return asyncio.run(collect())
    result = getattr(chain, way)({"q": "Hello"})
    if way == "stream":
        return "".join(result)
    return asyncio.run(result) if way == "ainvoke" else result


def test_a_mistake_of_ours_is_logged_once_and_counted(traced, monkeypatch, caplog):
    monkeypatch.setattr(guarded, "reraise", False)
    monkeypatch.setattr("autolog_langchain.handler._name", lambda *args: 1 / 0)
    for _ in range(5):
        Parrot(says=[AIMessage("Hi")]).invoke("Hello")

    assert len([record for record in caplog.records if record.name == "autolog"]) <= 1
    assert [record for record in caplog.records if "callback" in record.getMessage()] == []
    assert traced.stats().internal_errors == 5


@pytest.mark.parametrize("own", ["autolog_langchain.graph.is_control", "autolog.model.span.Span.record_failure"])
def test_a_mistake_of_ours_does_not_hide_the_error_of_the_program(traced, monkeypatch, own):
    monkeypatch.setattr(guarded, "reraise", False)
    monkeypatch.setattr(own, lambda *args, **kwargs: 1 / 0)

    with pytest.raises(ValueError, match="of the program") as caught:
        Parrot(says=[ValueError("of the program")]).invoke("Hello")
    assert not isinstance(caught.value.__context__, ZeroDivisionError)
    monkeypatch.undo()
    runs._open.clear()


def test_a_mistake_of_ours_in_a_store_does_not_reach_the_program(traced, monkeypatch):
    monkeypatch.setattr(guarded, "reraise", False)
    monkeypatch.setattr("autolog_langchain.retrieval.shown", lambda *args: 1 / 0)
    store = InMemoryVectorStore.from_texts(["one"], DeterministicFakeEmbedding(size=2))

    assert [found.page_content for found in store.similarity_search("one", k=1)] == ["one"]
    assert [found.page_content for found in store.as_retriever(search_kwargs={"k": 1}).invoke("one")] == ["one"]


# --- introspection -----------------------------------------------------------------------------------------------------


def described():
    """How the functions look that are observed."""
    functions = [
        BaseChatModel._generate_with_cache,
        BaseChatModel._agenerate_with_cache,
        BaseLLM._generate_helper,
        BaseLLM._agenerate_helper,
        InMemoryVectorStore.similarity_search,
        InMemoryVectorStore.asimilarity_search,
        InMemoryVectorStore.add_documents,
        DeterministicFakeEmbedding.embed_query,
    ]
    return [
        (inspect.signature(function), inspect.iscoroutinefunction(function), function.__doc__, function.__qualname__)
        for function in functions
    ]


def test_functions_look_the_same_traced_or_not(client):
    untraced = described()
    autolog()

    assert described() == untraced


def test_classes_can_be_made_of_those_that_are_observed(traced):
    class Base(Embeddings):
        def __init_subclass__(cls, **details):
            cls.details = details
            super().__init_subclass__()

        def embed_documents(self, texts):
            return [[0.0] for _ in texts]

        def embed_query(self, text):
            return super().embed_query(text) if False else [0.0]

    class Own(Base, flavour="mint"):
        def embed_query(self, text):
            return super().embed_query(text)

    assert Own.details == {"flavour": "mint"}
    assert Own().embed_query("x") == [0.0]
    assert forest(traced) == "OK\nEMBEDDING Own.embed_query"


def test_a_model_can_be_copied_and_compared(traced):
    model = Parrot(says=[AIMessage("Hi")])

    assert copy.deepcopy(model).invoke("Hello").content == model.invoke("Hello").content
    assert len(spans(traced)) == 2
