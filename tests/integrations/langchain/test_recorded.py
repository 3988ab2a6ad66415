"""The project's own cassettes: what a real model answered LangChain's programs, told by whole trees."""

from __future__ import annotations

import pytest

pytest.importorskip("vcr", reason="cassettes are replayed by vcrpy")
pytest.importorskip("langchain", reason="needs langchain")
pytest.importorskip("langchain_openai", reason="needs langchain-openai")

import autolog
from autolog.testing import spans, traces
from cassettes.cassette import interactions
from cassettes.scenarios import play, scenarios_of
from tests.integrations.langchain.programs.program import as_installed, numbered, without_edges
from tests.trees import forest, sorted_by_text

SCENARIOS = scenarios_of("langchain")
NAMES = [name for name, scenario in SCENARIOS.items() if scenario.is_supported]
TREES = {
    ("invoke", "ainvoke", "stream", "astream"): """
        OK 26>8
        CHAIN RunnableSequence
          PROMPT ChatPromptTemplate
          CHAT_MODEL ChatOpenAI 26>8
            CHAT_MODEL chat smollm2-135m-instruct 26>8 (duplicate)
          PARSER StrOutputParser
    """,
    ("batch", "abatch"): """
        OK 26>8
        CHAIN RunnableSequence
          PROMPT ChatPromptTemplate
          CHAT_MODEL ChatOpenAI 26>8
            CHAT_MODEL chat smollm2-135m-instruct 26>8 (duplicate)
          PARSER StrOutputParser

        OK 26>8
        CHAIN RunnableSequence
          PROMPT ChatPromptTemplate
          CHAT_MODEL ChatOpenAI 26>8
            CHAT_MODEL chat smollm2-135m-instruct 26>8 (duplicate)
          PARSER StrOutputParser
    """,
    ("fallback",): """
        OK 28>8
        CHAIN RunnableWithFallbacks
          CHAT_MODEL ChatOpenAI ERROR OpenAIAuthenticationError
            CHAT_MODEL chat smollm2-135m-instruct ERROR AuthenticationError (duplicate)
          CHAT_MODEL ChatOpenAI 28>8
            CHAT_MODEL chat smollm2-135m-instruct 28>8 (duplicate)
    """,
    ("responses",): """
        OK 28>8
        CHAT_MODEL ChatOpenAI 28>8
          CHAT_MODEL chat smollm2-135m-instruct 28>8 (duplicate)
    """,
    ("error_401",): """
        ERROR
        CHAIN RunnableSequence ERROR OpenAIAuthenticationError
          PROMPT ChatPromptTemplate
          CHAT_MODEL ChatOpenAI ERROR OpenAIAuthenticationError
            CHAT_MODEL chat smollm2-135m-instruct ERROR AuthenticationError (duplicate)
    """,
    ("structured_json_schema",): """
        OK 35>29
        CHAIN RunnableSequence
          CHAT_MODEL ChatOpenAI 35>29
            CHAT_MODEL chat smollm2-135m-instruct 35>29 (duplicate)
          CHAIN _check_refusal
          CHAIN RunnableLambda
    """,
    ("structured_function_calling",): """
        OK 223>38
        CHAIN RunnableSequence
          CHAT_MODEL ChatOpenAI 223>38
            CHAT_MODEL chat smollm2-135m-instruct 223>38 (duplicate)
          CHAIN _check_refusal
          PARSER PydanticToolsParser
    """,
    ("bind_tools",): """
        OK 208>32
        CHAT_MODEL ChatOpenAI 208>32
          CHAT_MODEL chat smollm2-135m-instruct 208>32 (duplicate)
    """,
    ("agent", "agent_stream", "agent_astream"): """
        OK 358>50
        AGENT guide
          TASK model
            CHAT_MODEL ChatOpenAI 268>32
              CHAT_MODEL chat smollm2-135m-instruct 268>32 (duplicate)
          TASK tools
            TOOL get_weather
          TASK model
            CHAT_MODEL ChatOpenAI 90>18
              CHAT_MODEL chat smollm2-135m-instruct 90>18 (duplicate)
    """,
    ("agent_async",): """
        OK 359>46
        AGENT guide
          TASK model
            CHAT_MODEL ChatOpenAI 268>32
              CHAT_MODEL chat smollm2-135m-instruct 268>32 (duplicate)
          TASK tools
            TOOL get_population
          TASK model
            CHAT_MODEL ChatOpenAI 91>14
              CHAT_MODEL chat smollm2-135m-instruct 91>14 (duplicate)
    """,
    ("agent_tool_fails",): """
        ERROR 206>32
        AGENT guide ERROR LookupError
          TASK model
            CHAT_MODEL ChatOpenAI 206>32
              CHAT_MODEL chat smollm2-135m-instruct 206>32 (duplicate)
          TASK tools ERROR LookupError
            TOOL get_weather ERROR LookupError
    """,
    ("graph",): """
        OK 356>50
        AGENT guide
          TASK model
            CHAT_MODEL ChatOpenAI 268>32
              CHAT_MODEL chat smollm2-135m-instruct 268>32 (duplicate)
            CHAIN tools_condition
          TASK tools
            TOOL get_weather
          TASK model
            CHAT_MODEL ChatOpenAI 88>18
              CHAT_MODEL chat smollm2-135m-instruct 88>18 (duplicate)
            CHAIN tools_condition

        OK 542>41
        AGENT guide
          TASK model
            CHAT_MODEL ChatOpenAI 363>31
              CHAT_MODEL chat smollm2-135m-instruct 363>31 (duplicate)
            CHAIN tools_condition
          TASK tools
            TOOL get_population
          TASK model
            CHAT_MODEL ChatOpenAI 179>10
              CHAT_MODEL chat smollm2-135m-instruct 179>10 (duplicate)
            CHAIN tools_condition
    """,
    ("rag", "rag_stream"): """
        OK 50>None
        TASK InMemoryVectorStore.add_documents
          EMBEDDING OpenAIEmbeddings.embed_documents 50>None
            EMBEDDING embeddings all-minilm-l6-v2 50>None (duplicate)

        OK 74>17
        CHAIN RunnableSequence
          CHAIN RunnableParallel<notes,question>
            CHAIN RunnableSequence
              RETRIEVER VectorStoreRetriever
                EMBEDDING OpenAIEmbeddings.embed_query 9>None
                  EMBEDDING embeddings all-minilm-l6-v2 9>None (duplicate)
              CHAIN joined
            CHAIN RunnablePassthrough
          PROMPT ChatPromptTemplate
          CHAT_MODEL ChatOpenAI 65>17
            CHAT_MODEL chat smollm2-135m-instruct 65>17 (duplicate)
          PARSER StrOutputParser
    """,
    ("rag_async",): """
        OK 50>None
        TASK InMemoryVectorStore.add_documents
          EMBEDDING OpenAIEmbeddings.embed_documents 50>None
            EMBEDDING embeddings all-minilm-l6-v2 50>None (duplicate)

        OK 74>17
        CHAIN RunnableSequence
          CHAIN RunnableParallel<notes,question>
            CHAIN RunnableSequence
              RETRIEVER VectorStoreRetriever
                EMBEDDING OpenAIEmbeddings.aembed_query 9>None
                  EMBEDDING embeddings all-minilm-l6-v2 9>None (duplicate)
              CHAIN joined
            CHAIN RunnablePassthrough
          PROMPT ChatPromptTemplate
          CHAT_MODEL ChatOpenAI 65>17
            CHAT_MODEL chat smollm2-135m-instruct 65>17 (duplicate)
          PARSER StrOutputParser
    """,
    ("rag_qdrant",): """
        OK 5>None
        EMBEDDING OpenAIEmbeddings.embed_documents 5>None
          EMBEDDING embeddings all-minilm-l6-v2 5>None (duplicate)

        OK 682>None
        TASK QdrantVectorStore.add_texts
          EMBEDDING OpenAIEmbeddings.embed_documents 682>None
            EMBEDDING embeddings all-minilm-l6-v2 682>None (duplicate)

        OK 248>29
        CHAIN RunnableSequence
          CHAIN RunnableParallel<notes,question>
            CHAIN RunnableSequence
              RETRIEVER VectorStoreRetriever
                EMBEDDING OpenAIEmbeddings.embed_query 8>None
                  EMBEDDING embeddings all-minilm-l6-v2 8>None (duplicate)
              CHAIN join
            CHAIN RunnablePassthrough
          PROMPT ChatPromptTemplate
          CHAT_MODEL ChatOpenAI 240>29
            CHAT_MODEL chat smollm2-135m-instruct 240>29 (duplicate)
          PARSER StrOutputParser
    """,
}


def tree_of(name):
    """Return the forest that a scenario gives."""
    [found] = [text for names, text in TREES.items() if name.partition("/")[2] in names]
    return sorted_by_text(as_installed(found))


def test_every_scenario_has_its_trees():
    told = {f"langchain/{name}" for names in TREES for name in names}
    assert told == set(SCENARIOS)


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_gives_these_traces(traced, name):
    play(name)

    assert sorted_by_text(without_edges(forest(traced))) == tree_of(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_gets_the_same_traced_or_not(client, name):
    untraced = play(name)
    autolog.autolog()
    result = play(name)

    if isinstance(untraced, Exception):
        assert (type(result), str(result)) == (type(untraced), str(untraced))
    else:
        assert numbered(repr(result)) == numbered(repr(untraced))


@pytest.mark.parametrize("name", NAMES)
def test_the_tokens_of_a_scenario_are_those_that_the_server_counted(traced, name):
    play(name)

    told = [each.usage for each in interactions(name) if each.usage]
    expected = sorted(usage.get("prompt_tokens", usage.get("input_tokens")) for usage in told)
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


@pytest.mark.parametrize("name", NAMES)
def test_a_model_says_on_its_span_what_the_server_answered(traced, name):
    """The text is told alike by LangChain's span and by that of the SDK below it."""
    play(name)

    by_id = {span.span_id: span for span in spans(traced)}
    for span in by_id.values():
        same = by_id.get(span.get_attribute("autolog.duplicate_of"))
        if same is None or str(span.span_type) != "CHAT_MODEL" or span.status.is_error:
            continue
        said = text_of(same.outputs)
        assert said is not None
        assert said == text_of(span.outputs)
        # LangChain loses the id of an answer that it streams.
        assert same.get_attribute("gen_ai.response.id") in (None, span.get_attribute("gen_ai.response.id"))


def text_of(outputs):
    """Return what an answer says, of LangChain, of a chat completion or of a response."""
    if "choices" in outputs:
        outputs = outputs["choices"][0]["message"]
    if "output" in outputs:
        outputs = {"content": [part for item in outputs["output"] for part in item["content"]]}
    content = outputs["content"] or ""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
