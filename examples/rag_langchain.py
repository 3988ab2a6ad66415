"""Questions answered from a folder of documents, by LangChain and Qdrant, traced by the one line `autolog()`.

    python examples/rag_langchain.py                            # recorded traffic: no network, no key
    python examples/rag_langchain.py --live --model gpt-4.1-mini --embedding-model text-embedding-3-small
    python examples/rag_langchain.py --live … "Is there a café?"     # OPENAI_API_KEY, and OPENAI_BASE_URL if need be

It needs `langchain-openai` and `langchain-qdrant`, and `vcrpy` for the recorded traffic.
"""

from __future__ import annotations

from pathlib import Path

from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_qdrant import QdrantVectorStore
from recorded import CHAT_URL, EMBEDDING_URL, parse_arguments, recorded_traffic

from autolog import autolog, flush, get_last_active_trace_id, get_trace, store_location

DOCUMENTS = Path(__file__).parent / "documents"
QUESTION = "When is the observatory open?"
MODEL = "smollm2-135m-instruct"
EMBEDDING_MODEL = "all-minilm-l6-v2"
AS_TEXT = {"check_embedding_ctx_length": False}  # else documents are sent as OpenAI's tokens, which others don't know
PROMPT = ChatPromptTemplate.from_messages(
    [("system", "Answer from the notes, in one sentence."), ("user", "{notes}\n\nQuestion: {question}")]
)


def main() -> None:
    """Answer one question, then show the trace of how it was done."""
    autolog()

    arguments = parse_arguments(__doc__, QUESTION, model=MODEL, embedding_model=EMBEDDING_MODEL)
    if arguments.live:
        chat = ChatOpenAI(model=arguments.model, stream_usage=True)
        embeddings = OpenAIEmbeddings(model=arguments.embedding_model, **AS_TEXT)
        answer(chat, embeddings, arguments.asked)
    else:
        with recorded_traffic("langchain/rag_qdrant"):
            server = {"api_key": "not needed", "max_retries": 0}
            chat = ChatOpenAI(model=MODEL, base_url=CHAT_URL, stream_usage=True, **server)
            embeddings = OpenAIEmbeddings(model=EMBEDDING_MODEL, base_url=EMBEDDING_URL, **AS_TEXT, **server)
            answer(chat, embeddings, QUESTION)

    flush()
    trace = get_trace(get_last_active_trace_id())
    print(trace)
    print("stored in", store_location())


def answer(chat: ChatOpenAI, embeddings: OpenAIEmbeddings, question: str) -> str:
    """Answer the question from the documents, and print the answer as it comes."""
    documents = [
        Document(path.read_text("utf-8"), metadata={"source": path.name}) for path in sorted(DOCUMENTS.glob("*.md"))
    ]
    store = QdrantVectorStore.from_documents(documents, embeddings, location=":memory:", collection_name="documents")
    found = {"notes": store.as_retriever(search_kwargs={"k": 2}) | join, "question": RunnablePassthrough()}
    chain = found | PROMPT | chat | StrOutputParser()

    pieces = []
    for piece in chain.stream(question):
        print(piece, end="", flush=True)
        pieces.append(piece)
    print()
    return "".join(pieces)


def join(documents: list[Document]) -> str:
    """Put documents together into one text."""
    return "\n\n".join(document.page_content for document in documents)


if __name__ == "__main__":
    main()
