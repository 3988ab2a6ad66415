"""The project's own cassettes: what a real model answered LlamaIndex's programs, told by whole trees."""

from __future__ import annotations

import pytest

pytest.importorskip("vcr", reason="cassettes are replayed by vcrpy")
pytest.importorskip("llama_index.llms.openai_like", reason="needs llama-index-llms-openai-like")

import autolog
from autolog.testing import spans, traces
from cassettes.cassette import interactions
from cassettes.scenarios import play, scenarios_of
from tests.programs import is_installed
from tests.trees import forest

pytestmark = [
    pytest.mark.skipif(
        not is_installed("llama-index-core>=0.14.25"), reason="older releases work otherwise themselves"
    ),
    # Qdrant's client leaves the file of its lock open.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

SCENARIOS = scenarios_of("llama_index")
NAMES = [name for name, scenario in SCENARIOS.items() if scenario.is_supported]
TREES = {
    "chat": """
OK 28>8
CHAT_MODEL OpenAILike.chat 28>8
  CHAT_MODEL chat smollm2-135m-instruct 28>8 (duplicate)
""",
    "achat": """
OK 28>8
CHAT_MODEL OpenAILike.achat 28>8
  CHAT_MODEL chat smollm2-135m-instruct 28>8 (duplicate)
""",
    "stream_chat": """
OK 28>8
CHAT_MODEL OpenAILike.stream_chat 28>8
  CHAT_MODEL chat smollm2-135m-instruct 28>8 (duplicate)
""",
    "astream_chat": """
OK 28>8
CHAT_MODEL OpenAILike.astream_chat 28>8
  CHAT_MODEL chat smollm2-135m-instruct 28>8 (duplicate)
""",
    "stream_chat_without_usage": """
OK
CHAT_MODEL OpenAILike.stream_chat
  CHAT_MODEL chat smollm2-135m-instruct (duplicate)
""",
    "complete": """
OK 28>8
LLM OpenAILike.complete 28>8
  CHAT_MODEL chat smollm2-135m-instruct 28>8 (duplicate)
""",
    "complete_plain": """
OK 5>48
LLM OpenAILike.complete 5>48
  LLM text_completion smollm2-135m-instruct 5>48 (duplicate)
""",
    "error_401": """
ERROR
CHAT_MODEL OpenAILike.chat ERROR AuthenticationError
  CHAT_MODEL chat smollm2-135m-instruct ERROR AuthenticationError (duplicate)
""",
    "structured_tool": """
OK 240>39
CHAIN OpenAILike.structured_predict
  CHAT_MODEL OpenAILike.chat 240>39
    CHAT_MODEL chat smollm2-135m-instruct 240>39 (duplicate)
  TOOL Person
""",
    "structured_schema": """
OK 35>29
CHAIN StructuredLLM.complete
  CHAIN OpenAILike.structured_predict
    CHAT_MODEL OpenAILike.chat 35>29
      CHAT_MODEL chat smollm2-135m-instruct 35>29 (duplicate)
""",
    "tool_call": """
OK 233>32
TASK OpenAILike.predict_and_call
  CHAT_MODEL OpenAILike.chat 233>32
    CHAT_MODEL chat smollm2-135m-instruct 233>32 (duplicate)
  TOOL get_population
""",
    "agent": """
OK 408>50
AGENT guide
  CHAT_MODEL OpenAILike.achat 318>32
    CHAT_MODEL chat smollm2-135m-instruct 318>32 (duplicate)
  TOOL get_weather
  CHAT_MODEL OpenAILike.achat 90>18
    CHAT_MODEL chat smollm2-135m-instruct 90>18 (duplicate)
""",
    "agent_stream": """
OK 409>46
AGENT guide
  CHAT_MODEL OpenAILike.astream_chat 318>32
    CHAT_MODEL chat smollm2-135m-instruct 318>32 (duplicate)
  TOOL get_population
  CHAT_MODEL OpenAILike.astream_chat 91>14
    CHAT_MODEL chat smollm2-135m-instruct 91>14 (duplicate)
""",
    "query": """
OK 50>None
CHAIN VectorStoreIndex.from_documents
  PARSER SentenceSplitter.__call__
  EMBEDDING OpenAIEmbedding.get_text_embedding_batch 50>None
    EMBEDDING embeddings all-minilm-l6-v2 50>None (duplicate)

OK 173>23
CHAIN RetrieverQueryEngine.query
  RETRIEVER VectorIndexRetriever.retrieve
    EMBEDDING OpenAIEmbedding.get_query_embedding 8>None
      EMBEDDING embeddings all-minilm-l6-v2 8>None (duplicate)
  CHAIN CompactAndRefine.synthesize
    CHAT_MODEL OpenAILike.chat 165>23
      CHAT_MODEL chat smollm2-135m-instruct 165>23 (duplicate)
""",
    "query_stream": """
OK 50>None
CHAIN VectorStoreIndex.from_documents
  PARSER SentenceSplitter.__call__
  EMBEDDING OpenAIEmbedding.get_text_embedding_batch 50>None
    EMBEDDING embeddings all-minilm-l6-v2 50>None (duplicate)

OK 173>23
CHAIN RetrieverQueryEngine.query
  RETRIEVER VectorIndexRetriever.retrieve
    EMBEDDING OpenAIEmbedding.get_query_embedding 8>None
      EMBEDDING embeddings all-minilm-l6-v2 8>None (duplicate)
  CHAIN CompactAndRefine.synthesize
    CHAT_MODEL OpenAILike.stream_chat 165>23
      CHAT_MODEL chat smollm2-135m-instruct 165>23 (duplicate)
""",
    "query_async": """
OK 50>None
CHAIN VectorStoreIndex.from_documents
  PARSER SentenceSplitter.__call__
  EMBEDDING OpenAIEmbedding.get_text_embedding_batch 50>None
    EMBEDDING embeddings all-minilm-l6-v2 50>None (duplicate)

OK 173>23
CHAIN RetrieverQueryEngine.aquery
  RETRIEVER VectorIndexRetriever.aretrieve
    EMBEDDING OpenAIEmbedding.aget_query_embedding 8>None
      EMBEDDING embeddings all-minilm-l6-v2 8>None (duplicate)
  CHAIN CompactAndRefine.asynthesize
    CHAT_MODEL OpenAILike.achat 165>23
      CHAT_MODEL chat smollm2-135m-instruct 165>23 (duplicate)
""",
    "chat_engine": """
OK 50>None
CHAIN VectorStoreIndex.from_documents
  PARSER SentenceSplitter.__call__
  EMBEDDING OpenAIEmbedding.get_text_embedding_batch 50>None
    EMBEDDING embeddings all-minilm-l6-v2 50>None (duplicate)

OK 163>23
CHAIN CondensePlusContextChatEngine.chat
  RETRIEVER VectorIndexRetriever.retrieve
    EMBEDDING OpenAIEmbedding.get_query_embedding 8>None
      EMBEDDING embeddings all-minilm-l6-v2 8>None (duplicate)
  CHAIN CompactAndRefine.synthesize
    CHAT_MODEL OpenAILike.chat 155>23
      CHAT_MODEL chat smollm2-135m-instruct 155>23 (duplicate)

OK 332>45
CHAIN CondensePlusContextChatEngine.chat
  LLM OpenAILike.complete 109>32
    CHAT_MODEL chat smollm2-135m-instruct 109>32 (duplicate)
  RETRIEVER VectorIndexRetriever.retrieve
    EMBEDDING OpenAIEmbedding.get_query_embedding 28>None
      EMBEDDING embeddings all-minilm-l6-v2 28>None (duplicate)
  CHAIN CompactAndRefine.synthesize
    CHAT_MODEL OpenAILike.chat 195>13
      CHAT_MODEL chat smollm2-135m-instruct 195>13 (duplicate)
""",
    "chat_engine_stream": """
OK 50>None
CHAIN VectorStoreIndex.from_documents
  PARSER SentenceSplitter.__call__
  EMBEDDING OpenAIEmbedding.get_text_embedding_batch 50>None
    EMBEDDING embeddings all-minilm-l6-v2 50>None (duplicate)

OK 163>23
CHAIN CondensePlusContextChatEngine.stream_chat
  RETRIEVER VectorIndexRetriever.retrieve
    EMBEDDING OpenAIEmbedding.get_query_embedding 8>None
      EMBEDDING embeddings all-minilm-l6-v2 8>None (duplicate)
  CHAIN CompactAndRefine.synthesize
    CHAT_MODEL OpenAILike.stream_chat 155>23
      CHAT_MODEL chat smollm2-135m-instruct 155>23 (duplicate)
  MEMORY StreamingAgentChatResponse.write_response_to_history
""",
    "ingestion": """
OK 92>None
CHAIN IngestionPipeline.run
  PARSER TokenTextSplitter.__call__
  EMBEDDING OpenAIEmbedding.get_text_embedding_batch 92>None
    EMBEDDING embeddings all-minilm-l6-v2 92>None (duplicate)
""",
    "rag_qdrant": """
OK 728>None
CHAIN VectorStoreIndex.from_documents
  PARSER SentenceSplitter.__call__
  EMBEDDING OpenAIEmbedding.get_text_embedding_batch 728>None
    EMBEDDING embeddings all-minilm-l6-v2 728>None (duplicate)

OK 273>34
CHAIN RetrieverQueryEngine.query
  RETRIEVER VectorIndexRetriever.retrieve
    EMBEDDING OpenAIEmbedding.get_query_embedding 8>None
      EMBEDDING embeddings all-minilm-l6-v2 8>None (duplicate)
  CHAIN CompactAndRefine.synthesize
    CHAT_MODEL OpenAILike.stream_chat 265>34
      CHAT_MODEL chat smollm2-135m-instruct 265>34 (duplicate)
""",
}


def test_every_scenario_has_its_tree():
    assert {f"llama_index/{name}" for name in TREES} == set(SCENARIOS)


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_scenario_gives_its_whole_tree(traced, name):
    play(name)

    assert forest(traced) == TREES[name.partition("/")[2]].strip()


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_scenario_gets_the_same_traced_or_not(client, name):
    untraced = play(name)
    autolog.autolog()
    result = play(name)

    assert type(result) is type(untraced)
    if isinstance(untraced, (str, Exception)):
        assert str(result) == str(untraced)


@pytest.mark.parametrize("name", NAMES)
def test_the_tokens_of_a_recorded_scenario_are_those_that_the_server_counted(traced, name):
    play(name)

    told = [each.usage for each in interactions(name) if each.usage]
    expected = sorted(usage["prompt_tokens"] for usage in told)
    for of_sdk in (True, False):
        kept = [
            span.usage.input_tokens
            for span in spans(traced)
            if span.usage and (span.get_attribute("autolog.duplicate_of") is not None) is of_sdk
        ]
        assert sorted(kept) == expected
    assert sum(trace.usage.total_tokens for trace in traces(traced) if trace.usage) == sum(
        usage["total_tokens"] for usage in told
    )
