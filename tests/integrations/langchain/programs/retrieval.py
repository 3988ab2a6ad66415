"""Retrieval: embeddings and vector stores, which have no callbacks, and the retrievers over them."""

from __future__ import annotations

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from autolog import start_span
from tests.fakes.langchain_models import chat, embeddings
from tests.integrations.langchain.programs.program import ask, ask_async, gives

OPENAI = ("langchain-openai",)
NOTES = [
    Document("Tickets cost 12 euros.", id="n1", metadata={"page": 1}),
    Document("The bus runs each half hour.", id="n2", metadata={"page": 2}),
    Document("Open from Wednesday to Sunday.", id="n3", metadata={"page": 3}),
]


class Notes(BaseRetriever):
    """Finds the notes that it is told to find, or fails."""

    found: list = NOTES[:1]
    error: BaseException | None = None
    work: object = None

    model_config = {"arbitrary_types_allowed": True}

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun):
        if self.error is not None:
            raise self.error
        if self.work is not None:
            self.work()
        return self.found


EMBEDDED = """
    OK 5>None
    EMBEDDING OpenAIEmbeddings.{method} 5>None
      EMBEDDING embeddings text-embedding-ada-002 5>None (duplicate)
"""


@gives(EMBEDDED.format(method="embed_documents"), needs=OPENAI)
def embedding_of_documents(server):
    return embeddings(server).embed_documents(["one", "two"])


@gives(EMBEDDED.format(method="embed_query"), needs=OPENAI)
def embedding_of_a_query(server):
    return embeddings(server).embed_query("one")


@gives(EMBEDDED.format(method="aembed_documents"), needs=OPENAI)
async def embedding_of_documents_awaited(server):
    return await embeddings(server).aembed_documents(["one", "two"])


@gives(EMBEDDED.format(method="aembed_query"), needs=OPENAI)
async def embedding_of_a_query_awaited(server):
    return await embeddings(server).aembed_query("one")


@gives(
    """
    ERROR
    EMBEDDING OpenAIEmbeddings.embed_documents ERROR RateLimitError
      EMBEDDING embeddings text-embedding-ada-002 ERROR RateLimitError (duplicate)
    """,
    needs=OPENAI,
)
def embedding_that_is_refused(server):
    server.script(429)
    return embeddings(server).embed_documents(["one"])


def store():
    return InMemoryVectorStore.from_documents(NOTES, DeterministicFakeEmbedding(size=4))


ADDED = """
    OK
    TASK InMemoryVectorStore.add_documents
      EMBEDDING DeterministicFakeEmbedding.embed_documents
"""
SEARCHED = """
    OK
    RETRIEVER InMemoryVectorStore.{method}
      EMBEDDING DeterministicFakeEmbedding.embed_query
"""


@gives(ADDED + SEARCHED.format(method="similarity_search"))
def search(server):
    return store().similarity_search("Tickets cost 12 euros.", k=2)


@gives(ADDED + SEARCHED.format(method="similarity_search_with_score"))
def search_with_scores(server):
    return store().similarity_search_with_score("Tickets cost 12 euros.", k=2)


@gives(ADDED + SEARCHED.format(method="max_marginal_relevance_search"))
def search_for_diversity(server):
    return store().max_marginal_relevance_search("Tickets cost 12 euros.", k=2)


@gives(
    """
    OK
    TASK InMemoryVectorStore.aadd_documents
      EMBEDDING DeterministicFakeEmbedding.embed_documents

    OK
    RETRIEVER InMemoryVectorStore.asimilarity_search
      EMBEDDING DeterministicFakeEmbedding.embed_query
    """
)
async def search_awaited(server):
    notes = InMemoryVectorStore(DeterministicFakeEmbedding(size=4))
    await notes.aadd_documents(NOTES)
    return await notes.asimilarity_search("Tickets cost 12 euros.", k=2)


@gives(
    ADDED
    + """
    OK
    RETRIEVER VectorStoreRetriever
      EMBEDDING DeterministicFakeEmbedding.embed_query
    """
)
def retriever_over_a_store(server):
    return store().as_retriever(search_kwargs={"k": 2}).invoke("Tickets cost 12 euros.")


RAG = """
    OK 5>None
    TASK InMemoryVectorStore.add_documents
      EMBEDDING OpenAIEmbeddings.embed_documents 5>None
        EMBEDDING embeddings text-embedding-ada-002 5>None (duplicate)

    OK 16>7
    CHAIN RunnableSequence
      CHAIN RunnableParallel<notes,question>
        CHAIN RunnablePassthrough
        CHAIN RunnableSequence
          RETRIEVER VectorStoreRetriever
            EMBEDDING OpenAIEmbeddings.embed_query 5>None
              EMBEDDING embeddings text-embedding-ada-002 5>None (duplicate)
          CHAIN joined
      PROMPT ChatPromptTemplate
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      PARSER StrOutputParser
"""


def rag(server):
    notes = InMemoryVectorStore.from_documents(NOTES, embeddings(server)).as_retriever(search_kwargs={"k": 2})

    def joined(found):
        return "\n".join(document.page_content for document in found)

    prompt = ChatPromptTemplate.from_messages([("human", "{notes}\n{question}")])
    return {"notes": notes | joined, "question": RunnablePassthrough()} | prompt | chat(server) | StrOutputParser()


@gives(RAG, is_parallel=True, needs=OPENAI)
def answer_from_notes(server):
    return rag(server).invoke("How much?")


@gives(RAG.replace("embed_query", "aembed_query"), is_parallel=True, needs=OPENAI)
async def answer_from_notes_awaited(server):
    return await rag(server).ainvoke("How much?")


@gives(RAG, is_parallel=True, needs=OPENAI)
def answer_from_notes_streamed(server):
    return list(rag(server).stream("How much?"))


OWN_WORK = """
    OK 11>7
    RETRIEVER Notes
      UNKNOWN mine
        CHAT_MODEL chat gpt-4o 11>7
"""


def work_of(server):
    def work():
        with start_span("mine"):
            ask(server)

    return work


@gives(OWN_WORK, needs=OPENAI)
def own_work_in_a_retriever(server):
    return Notes(work=work_of(server)).invoke("How much?")


@gives(OWN_WORK, needs=OPENAI)
async def own_work_in_a_sync_retriever_that_is_awaited(server):
    return await Notes(work=work_of(server)).ainvoke("How much?")


@gives(OWN_WORK.replace("Notes", "AsyncNotes"), needs=OPENAI)
async def own_work_in_an_async_retriever(server):
    class AsyncNotes(Notes):
        async def _aget_relevant_documents(self, query, *, run_manager):
            with start_span("mine"):
                await ask_async(server)
            return self.found

    return await AsyncNotes().ainvoke("How much?")


@gives(
    """
    ERROR
    RETRIEVER Notes ERROR OSError
    """
)
def retriever_that_fails(server):
    return Notes(error=OSError("disk")).invoke("How much?")


@gives(
    """
    OK
    UNKNOWN request
      RETRIEVER Notes
      UNKNOWN afterwards
    """
)
async def span_after_an_awaited_retriever(server):
    with start_span("request"):
        await Notes().ainvoke("How much?")
        with start_span("afterwards"):
            pass
