"""What each step of LlamaIndex is: the span it gets, or that it is a part of the span around it.

Found by the class that a method belongs to, by name, so that nothing of LlamaIndex is imported for it: subclasses of the
program's own are known by what they inherit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from autolog import SpanType
from autolog_llama_index import read
from autolog_llama_index.read import Reading


@dataclass(frozen=True, slots=True)
class Kind:
    """What a step is."""

    span_type: SpanType
    reading: Reading = read.ANYTHING
    is_inner: bool = False
    """Whether it is a part of the step around it where code of LlamaIndex calls it, not of the program's."""
    is_always_inner: bool = False
    """Whether it is so wherever it is called."""
    group: str = ""
    """A step inside of one of the same group and of the same object is the same step once more."""
    runs_program: bool = False
    """Whether code of the program's own runs right inside of it."""
    is_private: bool = False
    """Whether it is known by a method that users call without the underscore."""
    is_model_call: bool = False
    is_run: bool = False
    """Whether it is the run of a workflow, whose steps come right below it."""


_CHAT = Kind(SpanType.CHAT_MODEL, read.CHAT, group="model", is_model_call=True)
_COMPLETION = Kind(SpanType.LLM, read.COMPLETION, group="model", is_model_call=True)
_STRUCTURED_CHAT = Kind(SpanType.CHAIN, read.STRUCTURED_CHAT, group="model")
_PREDICTION = Kind(SpanType.CHAIN, read.PREDICTION, is_inner=True)
_STRUCTURED = Kind(SpanType.CHAIN, read.STRUCTURED, group="structured")
_PROGRAM = Kind(SpanType.CHAIN, read.PROGRAM, is_inner=True)
_EMBEDDING = Kind(SpanType.EMBEDDING, read.EMBEDDING, group="embedding", is_model_call=True)
_RETRIEVER = Kind(SpanType.RETRIEVER, read.RETRIEVER, group="retriever")
_RERANKER = Kind(SpanType.RERANKER, read.RERANKER, group="reranker", is_private=True)
_QUERY = Kind(SpanType.CHAIN, read.QUERY, group="query")
_CHAT_ENGINE = Kind(SpanType.CHAIN, read.CHAT_ENGINE, group="chat engine")
_SYNTHESIS = Kind(SpanType.CHAIN, read.SYNTHESIS, group="synthesis")
_TRANSFORMATION = Kind(SpanType.TASK, read.TRANSFORMATION, group="transformation")
_SPLITTER = Kind(SpanType.PARSER, read.TRANSFORMATION, group="transformation")
_PARSER = Kind(SpanType.PARSER, read.PARSER, group="parser")
_TASK = Kind(SpanType.TASK, group="task")
_PRIVATE_TASK = Kind(SpanType.TASK, group="task", is_private=True)
_PRIVATE = Kind(SpanType.TASK, is_inner=True, is_always_inner=True)
_PUBLIC = Kind(SpanType.TASK, is_inner=True)

TOOL = Kind(SpanType.TOOL, read.TOOL, group="tool", runs_program=True)
RUN = Kind(SpanType.WORKFLOW, read.RUN, is_run=True)
AGENT_RUN = Kind(SpanType.AGENT, read.AGENT_RUN, is_run=True)
STEP = Kind(SpanType.TASK, read.STEP, runs_program=True)
AGENT_TURN = Kind(SpanType.AGENT, read.AGENT_TURN)
TOOL_CALL = Kind(SpanType.TOOL, read.TOOL_CALL, runs_program=True)
WRITER = Kind(SpanType.MEMORY, read.WRITER)
FUNCTION = Kind(SpanType.TASK, runs_program=True)


def _each(names: str, kind: Kind) -> dict[str, Kind]:
    return dict.fromkeys(names.split(), kind)


# By the name of a base class, then of the method. A method that is not here, of a class that is, is how the others do
# their work.
_METHODS: Mapping[str, Mapping[str, Kind]] = {
    "StructuredLLM": {
        **_each("chat achat stream_chat astream_chat", _STRUCTURED_CHAT),
        **_each("complete acomplete stream_complete astream_complete", _STRUCTURED_CHAT),
    },
    "BaseLLM": {
        **_each("chat achat stream_chat astream_chat", _CHAT),
        **_each("complete acomplete stream_complete astream_complete", _COMPLETION),
        **_each("predict apredict stream astream", _PREDICTION),
        **_each("structured_predict astructured_predict", _STRUCTURED),
        **_each("stream_structured_predict astream_structured_predict", _STRUCTURED),
    },
    "MultiModalLLM": {
        **_each("chat achat stream_chat astream_chat", _CHAT),
        **_each("complete acomplete stream_complete astream_complete", _COMPLETION),
    },
    "BaseEmbedding": {
        **_each("get_query_embedding aget_query_embedding", _EMBEDDING),
        **_each("get_text_embedding aget_text_embedding", _EMBEDDING),
        **_each("get_text_embedding_batch aget_text_embedding_batch", _EMBEDDING),
        **_each("get_agg_embedding_from_queries aget_agg_embedding_from_queries", _EMBEDDING),
        **_each("__call__ acall", _PRIVATE),
    },
    "BaseSparseEmbedding": {
        **_each("get_query_embedding aget_query_embedding", _EMBEDDING),
        **_each("get_text_embedding aget_text_embedding", _EMBEDDING),
        **_each("get_text_embedding_batch aget_text_embedding_batch", _EMBEDDING),
    },
    "BaseRetriever": _each("retrieve aretrieve", _RETRIEVER),
    "BaseImageRetriever": _each(
        "_text_to_image_retrieve _image_to_image_retrieve _atext_to_image_retrieve _aimage_to_image_retrieve",
        Kind(SpanType.RETRIEVER, read.RETRIEVER, group="retriever", is_private=True),
    ),
    "BaseNodePostprocessor": _each("_postprocess_nodes _apostprocess_nodes", _RERANKER),
    "BaseQueryEngine": _each("query aquery", _QUERY),
    "BaseChatEngine": _each("chat achat stream_chat astream_chat", _CHAT_ENGINE),
    "BaseSynthesizer": _each("synthesize asynthesize", _SYNTHESIS),
    "StreamingAgentChatResponse": _each("write_response_to_history awrite_response_to_history", WRITER),
    "BaseTool": _each("__call__ call acall", TOOL),
    "NodeParser": _each("__call__ acall", _SPLITTER),
    "TransformComponent": _each("__call__ acall", _TRANSFORMATION),
    "IngestionPipeline": _each("run arun", Kind(SpanType.CHAIN, read.TRANSFORMATION)),
    "BaseOutputParser": _each("parse", _PARSER),
    "BasePydanticProgram": _each("__call__ acall", _PROGRAM),
    "BaseSQLParser": _each("parse_response_to_sql", _TASK),
    "BaseSelector": _each("_select _aselect", _PRIVATE_TASK),
    "BaseQuestionGenerator": _each("generate agenerate", _TASK),
    "BaseQueryTransform": _each("_run", _PRIVATE_TASK),
    "BaseWorkflowAgent": _each("run", AGENT_RUN),
    "Workflow": _each("run", RUN),
}
_PACKAGES = ("llama_index", "workflows", "llama_agents")

# How an agent's run goes round: what a model and a tool do in it is told by their own spans.
_AGENT_STEPS: Mapping[str, Kind] = {
    **_each("init_run setup_agent run_agent_step parse_agent_output aggregate_tool_results", _PRIVATE),
    "call_tool": TOOL_CALL,
}
# Among several agents, one's turn is a span of its own.
_AGENTS_STEPS: Mapping[str, Kind] = {**_AGENT_STEPS, "run_agent_step": AGENT_TURN}

# What LlamaIndex runs coroutines with; both are given `jobs` or a `job`.
_PLUMBING = {"run_jobs": "jobs", "run_jobs.<locals>.worker": "job"}


@lru_cache(maxsize=2_048)
def of_method(owner: type, name: str) -> Kind:
    """Return what the method of a class is, whose name is `Class.method`."""
    method = name.rpartition(".")[2]
    is_known = False
    for base in owner.__mro__:
        if base.__module__.partition(".")[0] in _PACKAGES:
            methods = _METHODS.get(base.__name__, {})
            if method in methods:
                return methods[method]
            is_known = is_known or method in vars(base)
    # What no class of LlamaIndex has is the program's own.
    return FUNCTION if not is_known else _PRIVATE if method.startswith("_") else _PUBLIC


def of_step(run: type, method: str) -> Kind:
    """Return what a step of a workflow is: agents are workflows too."""
    return _steps(run).get(method, _PRIVATE if method.startswith("_") else STEP)


@lru_cache(maxsize=512)
def _steps(run: type) -> Mapping[str, Kind]:
    names = {base.__name__ for base in run.__mro__ if base.__module__.startswith("llama_index.")}
    return _AGENTS_STEPS if "AgentWorkflow" in names else _AGENT_STEPS if "BaseWorkflowAgent" in names else {}


def of_function(name: str, arguments: Mapping[str, Any]) -> Kind:
    """Return what a function is that belongs to no object."""
    return _PRIVATE if _PLUMBING.get(name) in arguments else FUNCTION
