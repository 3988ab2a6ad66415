"""Questions answered from a folder of documents, by LlamaIndex and Qdrant, traced by the one line `autolog()`.

    python examples/rag_llama_index.py                          # recorded traffic: no network, no key
    python examples/rag_llama_index.py --live --model gpt-4.1-mini --embedding-model text-embedding-3-small
    python examples/rag_llama_index.py --live … "Is there a café?"   # OPENAI_API_KEY, and OPENAI_API_BASE if need be

It needs `llama-index-llms-openai-like`, `llama-index-embeddings-openai` and `llama-index-vector-stores-qdrant`, and
`vcrpy` for the recorded traffic.
"""

from __future__ import annotations

from pathlib import Path

from llama_index.core import Document, PromptTemplate, StorageContext, VectorStoreIndex
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai_like import OpenAILike
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import QdrantClient
from recorded import CHAT_URL, EMBEDDING_URL, parse_arguments, recorded_traffic

from autolog import autolog, flush, get_last_active_trace_id, get_trace, store_location

DOCUMENTS = Path(__file__).parent / "documents"
QUESTION = "When is the observatory open?"
MODEL = "smollm2-135m-instruct"
EMBEDDING_MODEL = "all-minilm-l6-v2"
CHAT = {"is_chat_model": True, "additional_kwargs": {"stream_options": {"include_usage": True}}}
PROMPT = PromptTemplate("Answer from the notes, in one sentence.\n\n{context_str}\n\nQuestion: {query_str}")


def main() -> None:
    """Answer one question, then show the trace of how it was done."""
    autolog()

    arguments = parse_arguments(__doc__, QUESTION, model=MODEL, embedding_model=EMBEDDING_MODEL)
    if arguments.live:
        chat = OpenAILike(model=arguments.model, **CHAT)
        answer(chat, OpenAIEmbedding(model_name=arguments.embedding_model), arguments.asked)
    else:
        with recorded_traffic("llama_index/rag_qdrant"):
            server = {"api_key": "not needed", "max_retries": 0}
            chat = OpenAILike(model=MODEL, api_base=CHAT_URL, **CHAT, **server)
            answer(chat, OpenAIEmbedding(model_name=EMBEDDING_MODEL, api_base=EMBEDDING_URL, **server), QUESTION)

    flush()
    trace = get_trace(get_last_active_trace_id())
    print(trace)
    print("stored in", store_location())


def answer(chat: OpenAILike, embeddings: OpenAIEmbedding, question: str) -> str:
    """Answer the question from the documents, and print the answer as it comes."""
    documents = [
        Document(text=path.read_text("utf-8"), metadata={"source": path.name})
        for path in sorted(DOCUMENTS.glob("*.md"))
    ]
    # In memory, Qdrant has no index of ids, and warns of one.
    store = QdrantVectorStore("documents", client=QdrantClient(":memory:"), index_doc_id=False)
    storage = StorageContext.from_defaults(vector_store=store)
    index = VectorStoreIndex.from_documents(documents, storage_context=storage, embed_model=embeddings)
    engine = index.as_query_engine(llm=chat, similarity_top_k=2, streaming=True, text_qa_template=PROMPT)

    response = engine.query(question)
    response.print_response_stream()
    print()
    return str(response)


if __name__ == "__main__":
    main()
