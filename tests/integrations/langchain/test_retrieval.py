"""What is on the spans of retrievers, vector stores and embeddings."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore

import autolog
from autolog import SpanType
from autolog.testing import spans, traces
from tests.fakes.langchain_models import embeddings
from tests.integrations.langchain.programs import retrieval
from tests.trees import forest, the

TICKETS = "Tickets cost 12 euros."


def test_a_retriever_tells_what_it_was_asked_and_the_documents_with_ids_and_metadata(traced):
    retrieval.Notes(found=retrieval.NOTES[:2]).invoke("How much?")

    span = the(traced, "Notes")
    assert span.span_type is SpanType.RETRIEVER
    assert span.inputs == {"query": "How much?"}
    assert span.outputs == {
        "documents": [
            {"id": "n1", "content": TICKETS, "metadata": {"page": 1}},
            {"id": "n2", "content": "The bus runs each half hour.", "metadata": {"page": 2}},
        ]
    }
    assert span.get_attribute("gen_ai.operation.name") == "retrieval"


@pytest.mark.parametrize("method", ["similarity_search_with_score", "asimilarity_search_with_score"])
def test_a_search_with_scores_tells_them(traced, method):
    found = getattr(retrieval.store(), method)(TICKETS, k=2)
    found = asyncio.run(found) if asyncio.iscoroutine(found) else found

    span = the(traced, f"InMemoryVectorStore.{method}")
    assert span.inputs == {"query": TICKETS, "k": 2}
    assert [(one["id"], one["score"]) for one in span.outputs["documents"]] == [
        (document.id, pytest.approx(score)) for document, score in found
    ]


def test_a_retriever_that_filters_by_score_tells_the_scores(traced):
    class Scored(InMemoryVectorStore):
        def _select_relevance_score_fn(self):
            return lambda score: score

    store = Scored(DeterministicFakeEmbedding(size=4))
    store.add_documents(retrieval.NOTES)
    retriever = store.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": -1.0, "k": 2}
    )
    retriever.invoke(TICKETS)

    documents = the(traced, "VectorStoreRetriever").outputs["documents"]
    assert documents[0]["id"] == "n1"
    assert documents[0]["score"] == pytest.approx(1.0)
    assert len(documents) == 2


def test_a_score_in_the_metadata_is_the_score(traced):
    retrieval.Notes(found=[Document("one", metadata={"relevance_score": 0.75})]).invoke("How much?")

    assert the(traced, "Notes").outputs["documents"][0]["score"] == 0.75


def test_what_is_added_to_a_store_and_its_ids_are_told(traced):
    retrieval.store()

    span = the(traced, "InMemoryVectorStore.add_documents")
    assert [one["content"] for one in span.inputs["documents"]] == [note.page_content for note in retrieval.NOTES]
    assert span.outputs == {"ids": ["n1", "n2", "n3"]}


def test_texts_from_a_generator_reach_the_store(traced):
    class Listing(VectorStore):
        def add_texts(self, texts, metadatas=None, **kwargs):
            self.texts = list(texts)
            return ["1", "2"]

        def similarity_search(self, query, k=4, **kwargs):
            return []

        @classmethod
        def from_texts(cls, texts, embedding, metadatas=None, **kwargs):
            raise NotImplementedError

    store = Listing()
    store.add_texts(text for text in ["one", "two"])

    assert store.texts == ["one", "two"]
    assert the(traced, "Listing.add_texts").outputs == {"ids": ["1", "2"]}


def test_an_embedding_tells_texts_and_the_shape_of_the_vectors(traced, server):
    pytest.importorskip("langchain_openai", reason="needs langchain-openai")
    embeddings(server).embed_documents(["one", "two"])

    span = the(traced, "OpenAIEmbeddings.embed_documents")
    assert span.inputs == {"input": ["one", "two"]}
    assert span.outputs == {"embeddings": {"count": 2, "dimension": 3}}
    assert span.get_attribute("gen_ai.request.model") == "text-embedding-ada-002"
    assert span.get_attribute("gen_ai.embeddings.dimension.count") == 3
    assert traces(traced)[0].usage.input_tokens == 5


def test_vectors_are_kept_where_the_program_asks_for_it(client):
    autolog.langchain(capture_embeddings=True)
    try:
        vectors = DeterministicFakeEmbedding(size=2).embed_documents(["one", "two"])
        vector = DeterministicFakeEmbedding(size=2).embed_query("one")
    finally:
        autolog.langchain(capture_embeddings=False)

    documents, query = spans(client)
    assert documents.outputs["vectors"] == vectors
    assert query.outputs["vectors"] == [vector]


def test_an_embedding_of_nothing_is_told(traced):
    DeterministicFakeEmbedding(size=2).embed_documents([])

    assert the(traced, "DeterministicFakeEmbedding.embed_documents").outputs == {
        "embeddings": {"count": 0, "dimension": None}
    }


def test_embeddings_that_are_defined_after_autolog_are_traced(traced):
    class Lengths(Embeddings):
        def embed_documents(self, texts):
            return [self.embed_query(text) for text in texts]

        def embed_query(self, text):
            return [float(len(text))]

    assert Lengths().embed_documents(["a", "bb"]) == [[1.0], [2.0]]
    assert forest(traced) == "OK\nEMBEDDING Lengths.embed_documents"


def test_embeddings_made_of_others_nest(traced):
    class Cached(Embeddings):
        def __init__(self, under):
            self.under = under

        def embed_documents(self, texts):
            return self.under.embed_documents(texts)

        def embed_query(self, text):
            return self.under.embed_query(text)

    Cached(DeterministicFakeEmbedding(size=2)).embed_query("one")

    assert forest(traced) == "OK\nEMBEDDING Cached.embed_query\n  EMBEDDING DeterministicFakeEmbedding.embed_query"


def test_a_store_that_embeds_itself_is_one_span(traced):
    store = retrieval.store()
    vector = DeterministicFakeEmbedding(size=4).embed_query(TICKETS)
    store.similarity_search_by_vector(vector, k=1)

    span = the(traced, "InMemoryVectorStore.similarity_search_by_vector")
    assert span.inputs == {"query": {"dimension": 4}, "k": 1}
    assert [one["id"] for one in span.outputs["documents"]] == ["n1"]


def test_a_retriever_in_a_tool_nests(traced):
    from langchain_core.tools import create_retriever_tool

    tool = create_retriever_tool(retrieval.Notes(), "notes", "Search the notes.")
    assert tool.invoke({"query": "How much?"}) == TICKETS

    assert forest(traced) == "OK\nTOOL notes\n  RETRIEVER Notes"
