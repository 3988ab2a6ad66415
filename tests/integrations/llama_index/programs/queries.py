"""Query engines over an index: whole and streamed answers, rerankers, several engines, indexing."""

from __future__ import annotations

import pytest
from llama_index.core import Document, QueryBundle, VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.postprocessor import LLMRerank, SimilarityPostprocessor
from llama_index.core.query_engine import RouterQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.selectors import LLMSingleSelector
from llama_index.core.tools import QueryEngineTool

from autolog import start_span
from tests.fakes import openai_answers as answers
from tests.fakes.llama_index_models import EMBEDDING, TEXTS, USAGE, embedding, index, openai, streams
from tests.fakes.openai_server import json_answer
from tests.integrations.llama_index.programs.program import EMBEDDINGS, LAZY, OPENAI, gives
from tests.programs import ask

QUESTION = "Who wrote the first program?"


def engine(server, **details):
    return index().as_query_engine(llm=openai(server, additional_kwargs=USAGE), **details)


def says(text):
    answer = answers.chat({})
    answer["choices"][0]["message"]["content"] = text
    return json_answer(answer)


@gives(
    """
    OK 11>7
    CHAIN RetrieverQueryEngine.query
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      CHAIN CompactAndRefine.synthesize
        CHAT_MODEL OpenAI.chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def query(server):
    return str(engine(server).query(QUESTION))


@gives(
    """
    OK 11>7
    CHAIN RetrieverQueryEngine.aquery
      RETRIEVER VectorIndexRetriever.aretrieve
        EMBEDDING MockEmbedding.aget_query_embedding
      CHAIN CompactAndRefine.asynthesize
        CHAT_MODEL OpenAI.achat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
async def query_async(server):
    return str(await engine(server).aquery(QueryBundle(QUESTION)))


@gives(
    """
    OK 16>7
    CHAIN RetrieverQueryEngine.query
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING OpenAIEmbedding.get_query_embedding 5>None
          EMBEDDING embeddings text-embedding-ada-002 5>None (duplicate)
      CHAIN CompactAndRefine.synthesize
        CHAT_MODEL OpenAI.chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=EMBEDDINGS,
)
def query_with_embeddings_of_openai(server):
    return str(index(embedding(server)).as_query_engine(llm=openai(server)).query(QUESTION))


@gives(
    """
    OK 11>7
    CHAIN RetrieverQueryEngine.query
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      CHAIN CompactAndRefine.synthesize
        CHAT_MODEL OpenAI.stream_chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def query_streamed(server):
    response = engine(server, streaming=True).query(QUESTION)
    return list(response.response_gen), len(response.source_nodes)


@gives(
    """
    OK 11>7
    CHAIN RetrieverQueryEngine.query
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      CHAIN CompactAndRefine.synthesize
        CHAT_MODEL OpenAI.stream_chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def query_streamed_by_its_text(server):
    return str(engine(server, streaming=True).query(QUESTION))


@gives(
    """
    OK 11>7
    CHAIN RetrieverQueryEngine.aquery
      RETRIEVER VectorIndexRetriever.aretrieve
        EMBEDDING MockEmbedding.aget_query_embedding
      CHAIN CompactAndRefine.asynthesize
        CHAT_MODEL OpenAI.astream_chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
async def query_streamed_async(server):
    response = await engine(server, streaming=True).aquery(QUESTION)
    return [token async for token in response.response_gen]


@gives(
    """
    OK 11>7
    CHAIN RetrieverQueryEngine.aquery
      RETRIEVER VectorIndexRetriever.aretrieve
        EMBEDDING MockEmbedding.aget_query_embedding
      CHAIN CompactAndRefine.asynthesize
        CHAT_MODEL OpenAI.astream_chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
async def query_streamed_async_by_its_own_reader(server):
    response = await engine(server, streaming=True).aquery(QUESTION)
    return [token async for token in response.async_response_gen()], str(await response.get_response())


@gives(
    """
    CANCELLED
    CHAIN RetrieverQueryEngine.query CANCELLED
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      CHAIN CompactAndRefine.synthesize CANCELLED
        CHAT_MODEL OpenAI.stream_chat CANCELLED
          CHAT_MODEL chat gpt-4o (duplicate)
    """,
    needs=(*OPENAI, LAZY),
)
def query_streamed_and_left(server):
    server.script(streams("one", " two", " three"))
    response = engine(server, streaming=True).query(QUESTION)
    read = [next(response.response_gen) for _ in range(2)]
    response.response_gen.close()
    return read


@gives(
    """
    CANCELLED
    CHAIN RetrieverQueryEngine.aquery CANCELLED
      RETRIEVER VectorIndexRetriever.aretrieve
        EMBEDDING MockEmbedding.aget_query_embedding
      CHAIN CompactAndRefine.asynthesize CANCELLED
        CHAT_MODEL OpenAI.astream_chat CANCELLED
          CHAT_MODEL chat gpt-4o (duplicate)
    """,
    needs=(*OPENAI, LAZY),
)
async def query_streamed_and_left_async(server):
    server.script(streams("one", " two", " three"))
    response = await engine(server, streaming=True).aquery(QUESTION)
    read = [await anext(response.response_gen)]
    await response.response_gen.aclose()
    return read


@gives(
    """
    CANCELLED
    CHAIN RetrieverQueryEngine.query CANCELLED
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      CHAIN CompactAndRefine.synthesize CANCELLED
    """,
    needs=(*OPENAI, LAZY),
)
def query_streamed_and_never_read(server):
    engine(server, streaming=True).query(QUESTION)


@gives(
    """
    ERROR
    CHAIN RetrieverQueryEngine.query ERROR InternalServerError
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      CHAIN CompactAndRefine.synthesize ERROR InternalServerError
        CHAT_MODEL OpenAI.stream_chat ERROR InternalServerError
          CHAT_MODEL chat gpt-4o ERROR InternalServerError (duplicate)
    """,
    needs=OPENAI,
)
def query_streamed_that_fails(server):
    server.script(500)
    response = engine(server, streaming=True).query(QUESTION)
    with pytest.raises(Exception, match="fake error 500"):
        list(response.response_gen)


@gives(
    """
    OK 11>7
    UNKNOWN ask
      CHAIN RetrieverQueryEngine.query
        RETRIEVER VectorIndexRetriever.retrieve
          EMBEDDING MockEmbedding.get_query_embedding
        CHAIN CompactAndRefine.synthesize
          CHAT_MODEL OpenAI.stream_chat 11>7
            CHAT_MODEL chat gpt-4o 11>7 (duplicate)

    OK 11>7
    UNKNOWN read
      UNKNOWN token
      UNKNOWN token
      UNKNOWN token
      UNKNOWN token
      UNKNOWN token
      UNKNOWN token
      UNKNOWN token
      CHAT_MODEL chat gpt-4o 11>7
    """,
    needs=(*OPENAI, LAZY),
)
def query_streamed_inside_of_a_span_and_read_outside(server):
    with start_span("ask"):
        response = engine(server, streaming=True).query(QUESTION)
    with start_span("read"):
        read = []
        for token in response.response_gen:
            with start_span("token"):
                read.append(token)
        return read, ask(server)


@gives(
    """
    OK
    CHAIN RetrieverQueryEngine.query
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      RERANKER SimilarityPostprocessor.postprocess_nodes
      CHAIN CompactAndRefine.synthesize
    """,
    needs=OPENAI,
)
def query_streamed_with_nothing_found(server):
    cut = SimilarityPostprocessor(similarity_cutoff=2.0)
    return list(engine(server, streaming=True, node_postprocessors=[cut]).query(QUESTION).response_gen)


@gives(
    """
    ERROR
    CHAIN RetrieverQueryEngine.query ERROR RateLimitError
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      CHAIN CompactAndRefine.synthesize ERROR RateLimitError
        CHAT_MODEL OpenAI.chat ERROR RateLimitError
          CHAT_MODEL chat gpt-4o ERROR RateLimitError (duplicate)
    """,
    needs=OPENAI,
)
def query_whose_model_fails(server):
    server.script(429)
    with pytest.raises(Exception, match="fake error 429"):
        engine(server).query(QUESTION)


@gives(
    """
    OK 11>7
    CHAIN RetrieverQueryEngine.query
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      RERANKER SimilarityPostprocessor.postprocess_nodes
      CHAIN CompactAndRefine.synthesize
        CHAT_MODEL OpenAI.chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def query_with_a_cutoff(server):
    return str(engine(server, node_postprocessors=[SimilarityPostprocessor(similarity_cutoff=0.1)]).query(QUESTION))


@gives(
    """
    OK 22>14
    CHAIN RetrieverQueryEngine.query
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      RERANKER LLMRerank.postprocess_nodes
        CHAT_MODEL OpenAI.chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      CHAIN CompactAndRefine.synthesize
        CHAT_MODEL OpenAI.chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def query_with_a_reranking_model(server):
    server.script(says("Doc: 2, Relevance: 9\nDoc: 1, Relevance: 3"))
    reranker = LLMRerank(llm=openai(server), top_n=1)
    return str(engine(server, node_postprocessors=[reranker]).query(QUESTION))


@gives(
    """
    OK 11>7
    CHAIN RetrieverQueryEngine.aquery
      RETRIEVER VectorIndexRetriever.aretrieve
        EMBEDDING MockEmbedding.aget_query_embedding
      RERANKER SimilarityPostprocessor.postprocess_nodes
      CHAIN CompactAndRefine.asynthesize
        CHAT_MODEL OpenAI.achat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
async def query_with_a_reranker_async(server):
    cut = SimilarityPostprocessor(similarity_cutoff=0.1)
    return str(await engine(server, node_postprocessors=[cut]).aquery(QUESTION))


@gives(
    """
    OK 22>14
    CHAIN RetrieverQueryEngine.query
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      CHAIN Refine.synthesize
        CHAT_MODEL OpenAI.chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
        CHAT_MODEL OpenAI.chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def refined_answer(server):
    return str(engine(server, response_mode="refine").query(QUESTION))


@gives(
    """
    OK 11>7
    CHAIN RetrieverQueryEngine.query
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
      CHAIN TreeSummarize.synthesize
        CHAT_MODEL OpenAI.chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def summary_of_a_tree(server):
    return str(engine(server, response_mode="tree_summarize").query(QUESTION))


@gives(
    """
    OK 22>14
    CHAIN RetrieverQueryEngine.query
      CHAIN Accumulate.synthesize
        CHAT_MODEL OpenAI.achat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
        CHAT_MODEL OpenAI.achat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      RETRIEVER VectorIndexRetriever.retrieve
        EMBEDDING MockEmbedding.get_query_embedding
    """,
    is_parallel=True,
    needs=OPENAI,
)
def answers_side_by_side(server):
    return str(engine(server, response_mode="accumulate", use_async=True).query(QUESTION))


@gives(
    """
    OK 22>14
    CHAIN RouterQueryEngine.query
      TASK LLMSingleSelector.select
        CHAT_MODEL OpenAI.chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
        PARSER SelectionOutputParser.parse
      CHAIN RetrieverQueryEngine.query
        RETRIEVER VectorIndexRetriever.retrieve
          EMBEDDING MockEmbedding.get_query_embedding
        CHAIN CompactAndRefine.synthesize
          CHAT_MODEL OpenAI.chat 11>7
            CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def routed_query(server):
    server.script(says('[{"choice": 1, "reason": "it fits"}]'))
    tool = QueryEngineTool.from_defaults(engine(server), name="docs", description="Documents")
    selector = LLMSingleSelector.from_defaults(llm=openai(server))
    router = RouterQueryEngine.from_defaults([tool], llm=openai(server), selector=selector)
    return str(router.query(QUESTION))


@gives(
    """
    OK 44>28
    CHAIN SubQuestionQueryEngine.query
      CHAIN CompactAndRefine.synthesize
        CHAT_MODEL OpenAI.chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
      CHAIN RetrieverQueryEngine.aquery
        CHAIN CompactAndRefine.asynthesize
          CHAT_MODEL OpenAI.achat 11>7
            CHAT_MODEL chat gpt-4o 11>7 (duplicate)
        RETRIEVER VectorIndexRetriever.aretrieve
          EMBEDDING MockEmbedding.aget_query_embedding
      CHAIN RetrieverQueryEngine.aquery
        CHAIN CompactAndRefine.asynthesize
          CHAT_MODEL OpenAI.achat 11>7
            CHAT_MODEL chat gpt-4o 11>7 (duplicate)
        RETRIEVER VectorIndexRetriever.aretrieve
          EMBEDDING MockEmbedding.aget_query_embedding
      TASK LLMQuestionGenerator.generate
        CHAT_MODEL OpenAI.chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
        PARSER SubQuestionOutputParser.parse
    """,
    is_parallel=True,
    needs=OPENAI,
)
def query_of_several_questions(server):
    questions = '[{"sub_question": "Who?", "tool_name": "docs"}, {"sub_question": "When?", "tool_name": "docs"}]'
    server.script(says(f'```json\n{{"items": {questions}}}\n```'))
    tool = QueryEngineTool.from_defaults(engine(server), name="docs", description="Documents")
    model = openai(server)
    several = SubQuestionQueryEngine.from_defaults(
        [tool],
        llm=model,
        question_gen=LLMQuestionGenerator.from_defaults(llm=model),
        response_synthesizer=engine(server)._response_synthesizer,
        verbose=False,
        use_async=True,
    )
    return len(several.query(QUESTION).source_nodes)


@gives(
    """
    OK 11>7
    TOOL docs
      CHAIN RetrieverQueryEngine.query
        RETRIEVER VectorIndexRetriever.retrieve
          EMBEDDING MockEmbedding.get_query_embedding
        CHAIN CompactAndRefine.synthesize
          CHAT_MODEL OpenAI.chat 11>7
            CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=OPENAI,
)
def query_as_a_tool(server):
    tool = QueryEngineTool.from_defaults(engine(server), name="docs", description="Documents")
    return str(tool.call(QUESTION))


@gives(
    """
    OK
    CHAIN VectorStoreIndex.from_documents
      PARSER SentenceSplitter.__call__
      EMBEDDING MockEmbedding.get_text_embedding_batch
    """,
)
def index_of_documents(server):
    documents = [Document(doc_id=name, text=text) for name, text in TEXTS.items()]
    return len(VectorStoreIndex.from_documents(documents, embed_model=EMBEDDING).index_struct.nodes_dict)


@gives(
    """
    OK
    CHAIN IngestionPipeline.run
      PARSER SentenceSplitter.__call__
      EMBEDDING MockEmbedding.get_text_embedding_batch
    """,
)
def ingestion(server):
    pipeline = IngestionPipeline(transformations=[SentenceSplitter(), EMBEDDING])
    return [node.text for node in pipeline.run(documents=[Document(doc_id="a", text=TEXTS["a"])])]


@gives(
    """
    OK
    CHAIN IngestionPipeline.arun
      EMBEDDING MockEmbedding.aget_text_embedding_batch
    """,
)
async def ingestion_async(server):
    pipeline = IngestionPipeline(transformations=[SentenceSplitter(), EMBEDDING])
    return [node.text for node in await pipeline.arun(documents=[Document(doc_id="a", text=TEXTS["a"])])]


@gives(
    """
    OK
    RETRIEVER VectorIndexRetriever.retrieve
      EMBEDDING MockEmbedding.get_query_embedding
    """,
)
def retrieval(server):
    return [(found.node.metadata["name"], found.score) for found in index().as_retriever().retrieve(QUESTION)]
