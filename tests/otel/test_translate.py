"""Each dialect of other instrumentations is read into the one model, and nothing in a span's attributes can hurt."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autolog as al
from autolog import SpanType
from autolog.model.chat import answered, asked
from autolog.model.span import Span, SpanEvent
from autolog.model.trace import TraceContext
from autolog.otel.translate import describe, span_type_of


def read(attributes, events=()):
    span = Span("read", SpanType.UNKNOWN, 1, 2)
    span._context = TraceContext("default")
    describe(span, attributes, events)
    return span


def facts(span):
    """What a reader looks for first."""
    usage = span.usage.to_dict() if span.usage else None
    return (str(span.span_type), span.provider, span.model, usage)


TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
USAGE = {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}

# --- OpenInference -------------------------------------------------------------------------------------------

OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.provider": "azure",
    "llm.system": "openai",
    "llm.model_name": "gpt-4o-2024",
    "llm.invocation_parameters": '{"model": "gpt-4o", "temperature": 0.5, "logit_bias": {"1": 2}}',
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Be nice",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.contents.0.message_content.type": "text",
    "llm.input_messages.1.message.contents.0.message_content.text": "Hello",
    "llm.input_messages.1.message.contents.1.message_content.type": "image",
    "llm.input_messages.1.message.contents.1.message_content.image.image.url": "https://x/y.png",
    "llm.input_messages.10.message.role": "tool",
    "llm.input_messages.10.message.tool_call_id": "c1",
    "llm.input_messages.10.message.content": "sunny",
    "llm.input_messages.2.message.role": "assistant",
    "llm.input_messages.2.message.tool_calls.0.tool_call.id": "c1",
    "llm.input_messages.2.message.tool_calls.0.tool_call.function.name": "weather",
    "llm.input_messages.2.message.tool_calls.0.tool_call.function.arguments": '{"city": "Rome"}',
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "It is sunny",
    "llm.tools.0.tool.json_schema": json.dumps(TOOL),
    "llm.finish_reason": "stop",
    "llm.token_count.prompt": 11,
    "llm.token_count.completion": 7,
    "llm.token_count.total": 18,
    "llm.token_count.prompt_details.cache_read": 3,
    "llm.token_count.completion_details.reasoning": 4,
    "llm.cost.prompt": 0.1,
    "llm.cost.completion": 0.2,
    "session.id": "s",
    "user.id": "u",
    "tag.tags": ["a", "b"],
    "metadata": '{"k": "v"}',
    "custom": 1,
}


def test_openinference_flattened():
    span = read(OPENINFERENCE)
    assert facts(span) == (
        "CHAT_MODEL", "azure.ai.openai", "gpt-4o-2024", {**USAGE, "cache_read_tokens": 3, "reasoning_tokens": 4}
    )  # fmt: skip
    assert span.inputs == {
        "messages": [
            {"role": "system", "content": "Be nice"},
            {"role": "user", "content": [
                {"type": "text", "content": "Hello"}, {"type": "uri", "modality": "image", "uri": "https://x/y.png"},
            ]},
            {"role": "assistant", "content": "", "tool_calls": [
                {"id": "c1", "name": "weather", "arguments": {"city": "Rome"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ],
        "tools": [TOOL],
        "logit_bias": {"1": 2},
    }  # fmt: skip
    assert span.outputs == {"role": "assistant", "content": "It is sunny"}
    assert (span.cost.input, span.cost.output, round(span.cost.total, 3)) == (0.1, 0.2, 0.3)
    # What is elsewhere now is not kept twice.
    assert dict(span.attributes) == {
        "custom": 1, "gen_ai.provider.name": "azure.ai.openai", "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024", "gen_ai.request.temperature": 0.5,
        "gen_ai.response.finish_reasons": ["stop"], "autolog.metadata": {"k": "v"}, "session.id": "s", "user.id": "u",
    }  # fmt: skip
    context = span.trace_context
    assert (context.session, context.user, context.tags) == ("s", "u", {"a": "true", "b": "true"})


def test_openinference_with_the_body_that_was_sent():
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "seed": 1}
    answer = {
        "id": "r1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Yo"}}],
    }
    span = read(
        {
            "openinference.span.kind": "LLM",
            "input.value": json.dumps(body), "input.mime_type": "application/json",
            "output.value": json.dumps(answer), "output.mime_type": "application/json",
            "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "Hi",
            "llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": "Yo",
        }
    )  # fmt: skip
    assert (span.inputs, span.outputs) == (body, answer)
    assert dict(span.attributes) == {"gen_ai.request.model": "m", "gen_ai.request.seed": 1}


def test_openinference_retriever_reranker_embedding_tool_and_chain():
    found = read(
        {
            "openinference.span.kind": "RETRIEVER", "input.value": "what", "output.value": "…",
            "retrieval.documents.0.document.id": "d0", "retrieval.documents.0.document.content": "text",
            "retrieval.documents.0.document.score": 0.5, "retrieval.documents.0.document.metadata": '{"page": 1}',
            "retrieval.documents.1.document.content": "more",
        }
    )  # fmt: skip
    assert (found.span_type, found.inputs) == (SpanType.RETRIEVER, {"query": "what"})
    first = {"id": "d0", "content": "text", "score": 0.5, "metadata": {"page": 1}}
    assert found.outputs == {"documents": [first, {"content": "more"}]}

    found = read(
        {
            "openinference.span.kind": "RERANKER", "reranker.query": "what", "reranker.top_k": 1, "reranker.model_name": "r",
            "reranker.input_documents.0.document.id": "a", "reranker.input_documents.1.document.id": "b",
            "reranker.output_documents.0.document.id": "b",
        }
    )  # fmt: skip
    assert found.inputs == {"query": "what", "documents": [{"id": "a"}, {"id": "b"}]}
    assert (found.outputs, found.model) == ({"documents": [{"id": "b"}]}, "r")

    found = read(
        {
            "openinference.span.kind": "EMBEDDING", "embedding.model_name": "e", "llm.token_count.prompt": 5,
            "embedding.embeddings.0.embedding.text": "a", "embedding.embeddings.0.embedding.vector": (0.5, 1.0),
            "embedding.embeddings.1.embedding.text": "b",
        }
    )  # fmt: skip
    assert (found.inputs, found.outputs) == ({"input": ["a", "b"]}, {"embeddings": {"count": 2, "dimension": 2}})
    assert (found.model, found.usage.input_tokens) == ("e", 5)

    found = read(
        {
            "openinference.span.kind": "TOOL", "tool.name": "weather", "tool.description": "d", "tool.parameters": "{}",
            "input.value": '{"city": "Rome"}', "output.value": "sunny",
        }
    )  # fmt: skip
    assert (found.inputs, found.outputs, found.get_attribute("gen_ai.tool.name")) == (
        {"city": "Rome"},
        "sunny",
        "weather",
    )

    found = read({"openinference.span.kind": "CHAIN", "input.value": "plain", "output.value": '["a"]'})
    assert (found.span_type, found.inputs, found.outputs) == (SpanType.CHAIN, "plain", ["a"])


# --- the GenAI conventions -----------------------------------------------------------------------------------

GENAI = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 11,
    "gen_ai.usage.output_tokens": 7,
    "gen_ai.usage.cache_creation.input_tokens": 2,
    "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]),
    "gen_ai.output.messages": json.dumps(
        [{"role": "assistant", "finish_reason": "tool_call", "parts": [
            {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Rome"}}]}]
    ),
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief"}]),
    "gen_ai.tool.definitions": json.dumps([{"type": "function", "name": "weather"}]),
    "gen_ai.conversation.id": "conv",
}  # fmt: skip


def test_genai_now():
    span = read(GENAI)
    assert facts(span) == ("CHAT_MODEL", "openai", "gpt-4o", {**USAGE, "cache_write_tokens": 2})
    assert span.inputs == {
        "messages": [{"role": "user", "content": "Hi"}],
        "instructions": "Be brief",
        "tools": [{"type": "function", "name": "weather"}],
    }
    assert [call.arguments for call in answered(span.outputs)[0].tool_calls] == [{"city": "Rome"}]
    assert span.trace_context.session == "conv"
    assert not [name for name in span.attributes if "messages" in name]


def test_genai_with_structured_values_as_logs_have_them():
    structured = {name: json.loads(v) if "messages" in name else v for name, v in GENAI.items()}
    assert read(structured).inputs["messages"] == [{"role": "user", "content": "Hi"}]
    details = SpanEvent("gen_ai.client.inference.operation.details", 1, structured)
    assert read({"gen_ai.operation.name": "chat"}, [details]).inputs["messages"] == [{"role": "user", "content": "Hi"}]


def test_genai_messages_as_events():
    events = [
        SpanEvent("gen_ai.system.message", 1, {"gen_ai.system": "openai", "content": "Be nice"}),
        SpanEvent("gen_ai.user.message", 2, {"content": "Hi"}),
        SpanEvent("gen_ai.tool.message", 3, {"id": "c1", "content": "sunny", "role": "tool"}),
        SpanEvent("gen_ai.choice", 4, {"index": 0, "finish_reason": "stop", "message": '{"content": "Yo"}'}),
        SpanEvent("other", 5, {"a": 1}),
    ]
    span = read({"gen_ai.system": "az.ai.openai", "gen_ai.operation.name": "chat"}, events)
    assert [(m.role, m.text) for m in asked(span.inputs).messages[:2]] == [("system", "Be nice"), ("user", "Hi")]
    assert asked(span.inputs).messages[2].tool_call_id == "c1"
    assert (answered(span.outputs)[0].text, span.provider) == ("Yo", "azure.ai.openai")
    assert [event.name for event in span.events] == ["other"]


def test_genai_prompt_and_completion_in_events_and_in_attributes():
    told = json.dumps([{"role": "user", "content": "Hi"}])
    said = json.dumps([{"role": "assistant", "content": "Yo"}])
    events = [
        SpanEvent("gen_ai.content.prompt", 1, {"gen_ai.prompt": told}),
        SpanEvent("gen_ai.content.completion", 2, {"gen_ai.completion": said}),
    ]
    for span in (
        read({"gen_ai.system": "openai"}, events),
        read({"gen_ai.system": "openai", "gen_ai.prompt": told, "gen_ai.completion": said}),
    ):
        assert asked(span.inputs).messages[0].text == "Hi"
        assert answered(span.outputs)[0].text == "Yo"


def test_genai_tool_retrieval_agent_and_workflow():
    tool = read(
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t", "gen_ai.tool.call.arguments": '{"a": 1}',
         "gen_ai.tool.call.result": "done"}
    )  # fmt: skip
    assert (tool.span_type, tool.inputs, tool.outputs) == (SpanType.TOOL, {"a": 1}, "done")
    found = read(
        {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.query.text": "q",
         "gen_ai.retrieval.documents": '[{"id": "d", "score": 0.5}]'}
    )  # fmt: skip
    assert (found.inputs, found.outputs) == ({"query": "q"}, {"documents": [{"id": "d", "score": 0.5}]})
    assert read({"gen_ai.operation.name": "invoke_agent"}).span_type is SpanType.AGENT
    assert read({"gen_ai.operation.name": "invoke_workflow"}).span_type is SpanType.WORKFLOW


# --- OpenLLMetry ---------------------------------------------------------------------------------------------


def test_openllmetry_of_old():
    span = read(
        {
            "llm.request.type": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o",
            "gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "Be nice",
            "gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": '[{"type": "text", "text": "Hi"}]',
            "gen_ai.prompt.2.role": "assistant", "gen_ai.prompt.2.tool_calls.0.id": "c1",
            "gen_ai.prompt.2.tool_calls.0.name": "weather", "gen_ai.prompt.2.tool_calls.0.arguments": '{"city": "Rome"}',
            "gen_ai.prompt.3.role": "tool", "gen_ai.prompt.3.tool_call_id": "c1", "gen_ai.prompt.3.content": "sunny",
            "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "It is sunny",
            "gen_ai.completion.0.finish_reason": "stop",
            "llm.request.functions.0.name": "weather", "llm.request.functions.0.parameters": '{"type": "object"}',
            "gen_ai.usage.prompt_tokens": 11, "gen_ai.usage.completion_tokens": 7, "llm.usage.total_tokens": 18,
            "gen_ai.usage.cache_read_input_tokens": 3, "llm.headers": "{'authorization': 'secret'}",
            "llm.is_streaming": False, "traceloop.association.properties.session_id": "s",
            "traceloop.association.properties.user_id": "u", "traceloop.association.properties.plan": "free",
        }
    )  # fmt: skip
    assert facts(span) == ("CHAT_MODEL", "openai", "gpt-4o", {**USAGE, "cache_read_tokens": 3})
    turns = asked(span.inputs).messages
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "tool"]
    assert (turns[1].text, turns[2].tool_calls[0].arguments) == ("Hi", {"city": "Rome"})
    assert asked(span.inputs).tools == ({"type": "function", "name": "weather", "parameters": {"type": "object"}},)
    assert answered(span.outputs)[0].text == "It is sunny"
    context = span.trace_context
    assert (context.session, context.user, context.metadata["plan"]) == ("s", "u", "free")
    assert "secret" not in str(span.to_dict())
    assert not [name for name in span.attributes if name.startswith(("gen_ai.prompt", "gen_ai.completion", "llm."))]


def test_openllmetry_entities():
    span = read(
        {
            "traceloop.span.kind": "tool", "traceloop.entity.name": "search",
            "traceloop.entity.input": '{"input_str": "{\\"query\\": \\"x\\"}"}', "traceloop.entity.output": '{"output": "y"}',
        }
    )  # fmt: skip
    assert (span.span_type, span.inputs, span.outputs) == (SpanType.TOOL, {"query": "x"}, {"output": "y"})
    span = read(
        {
            "traceloop.span.kind": "workflow",
            "traceloop.entity.input": '{"inputs": {"q": 1}, "tags": [], "metadata": {}, "kwargs": {"name": "x"}}',
            "traceloop.entity.output": '{"outputs": "done", "kwargs": {}}',
        }
    )
    assert (span.span_type, span.inputs, span.outputs) == (SpanType.WORKFLOW, {"q": 1}, "done")


def test_openllmetry_vector_databases():
    hit = {"db.query.result.id": "d", "db.query.result.score": 0.5, "db.query.result.document": "text"}
    span = read({"db.system": "chroma"}, [SpanEvent("db.query.result", 1, hit)])
    assert (span.span_type, span.outputs) == (
        SpanType.RETRIEVER, {"documents": [{"id": "d", "score": 0.5, "content": "text"}]}
    )  # fmt: skip


# --- the others ----------------------------------------------------------------------------------------------


def test_pydantic_ai():
    agent = read(
        {
            "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper", "agent_name": "helper", "model_name": "test",
            "final_result": '{"weather": "sunny"}', "logfire.msg": "helper run", "logfire.json_schema": "{}",
            "pydantic_ai.all_messages": json.dumps(
                [{"role": "user", "parts": [{"type": "text", "content": "Hello"}]},
                 {"role": "assistant", "parts": [{"type": "text", "content": "x"}]}]
            ),
        }
    )  # fmt: skip
    assert (agent.span_type, agent.outputs) == (SpanType.AGENT, {"weather": "sunny"})
    assert agent.inputs == {"messages": [{"role": "user", "content": "Hello"}]}
    assert agent.get_attribute("logfire.msg") == "helper run"
    tool = read({"tool_arguments": '{"city": "a"}', "tool_response": "sunny", "logfire.msg": "running tool"})
    assert (tool.span_type, tool.inputs, tool.outputs) == (SpanType.TOOL, {"city": "a"}, "sunny")
    events = [
        {"event.name": "gen_ai.user.message", "content": "Hi", "role": "user"},
        {"event.name": "gen_ai.choice", "index": 0, "message": {"role": "assistant", "content": "Yo"}},
    ]
    model = read({"gen_ai.operation.name": "chat", "events": json.dumps(events), "logfire.msg": "chat"})
    assert (asked(model.inputs).messages[0].text, answered(model.outputs)[0].text) == ("Hi", "Yo")


def test_mlflow():
    span = read(
        {
            "mlflow.spanType": '"CHAT_MODEL"', "mlflow.traceRequestId": '"tr-1"',
            "mlflow.spanInputs": '{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}',
            "mlflow.spanOutputs": '{"choices": [{"message": {"role": "assistant", "content": "Yo"}}]}',
            "mlflow.chat.tokenUsage": '{"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}',
            "mlflow.llm.model": '"m"', "mlflow.trace.session": '"s"', "mlflow.trace.user": '"u"',
        }
    )  # fmt: skip
    assert facts(span) == ("CHAT_MODEL", None, "m", USAGE)
    assert (asked(span.inputs).messages[0].text, answered(span.outputs)[0].text) == ("Hi", "Yo")
    assert (span.trace_context.session, span.trace_context.user) == ("s", "u")
    found = read(
        {"mlflow.spanType": '"RETRIEVER"', "mlflow.spanOutputs": '[{"page_content": "text", "metadata": {"a": 1}}]'}
    )
    assert found.outputs == {"documents": [{"content": "text", "metadata": {"a": 1}}]}


def test_vercel():
    span = read(
        {
            "operation.name": "ai.generateText.doGenerate fn", "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.id": "gpt-4o", "ai.model.provider": "openai.chat", "ai.response.text": "Yo",
            "ai.prompt.messages": '[{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]',
            "ai.prompt.tools": ['{"type": "function", "name": "weather"}'], "ai.response.finishReason": "tool-calls",
            "ai.response.toolCalls": '[{"toolCallId": "c1", "toolName": "weather", "input": "{\\"city\\": \\"Rome\\"}"}]',
            "ai.usage.promptTokens": 11, "ai.usage.completionTokens": 7, "ai.settings.temperature": 0.5,
            "ai.telemetry.metadata.sessionId": "s",
        }
    )  # fmt: skip
    assert facts(span) == ("CHAT_MODEL", "openai", "gpt-4o", USAGE)
    assert asked(span.inputs).messages[0].text == "Hi"
    [answer] = answered(span.outputs)
    assert (answer.text, answer.tool_calls[0].arguments) == ("Yo", {"city": "Rome"})
    assert (span.get_attribute("gen_ai.request.temperature"), span.trace_context.session) == (0.5, "s")
    tool = read(
        {
            "ai.operationId": "ai.toolCall",
            "ai.toolCall.name": "t",
            "ai.toolCall.args": '{"a": 1}',
            "ai.toolCall.result": "2",
        }
    )
    assert (tool.span_type, tool.inputs, tool.outputs) == (SpanType.TOOL, {"a": 1}, "2")


def test_langfuse():
    span = read(
        {
            "langfuse.observation.type": "generation", "langfuse.observation.model.name": "m",
            "langfuse.observation.input": '[{"role": "user", "content": "Hi"}]',
            "langfuse.observation.output": '{"role": "assistant", "content": "Yo"}',
            "langfuse.observation.usage_details": '{"input": 11, "output": 7, "total": 18, "input_cache_read": 3}',
            "langfuse.observation.cost_details": '{"input": 0.5, "output": 1.5}',
            "langfuse.observation.model.parameters": '{"temperature": 0.5}', "langfuse.trace.tags": ["a"],
            "langfuse.session.id": "s", "langfuse.trace.metadata.k": "v", "langfuse.observation.metadata.m": "n",
        }
    )  # fmt: skip
    assert facts(span) == ("CHAT_MODEL", None, "m", {**USAGE, "cache_read_tokens": 3})
    assert (asked(span.inputs).messages[0].text, answered(span.outputs)[0].text) == ("Hi", "Yo")
    assert (span.cost.total, span.trace_context.session, span.trace_context.tags) == (2.0, "s", {"a": "true"})


def test_langsmith():
    span = read(
        {
            "langsmith.span.kind": "llm", "langsmith.metadata.ls_model_name": "m", "langsmith.metadata.ls_provider": "openai",
            "langsmith.usage_metadata": '{"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}',
            "gen_ai.prompt": '{"messages": [{"role": "user", "content": "Hi"}]}',
            "gen_ai.completion": '{"messages": [{"role": "assistant", "content": "Yo"}]}',
            "langsmith.metadata.thread_id": "s", "langsmith.span.tags": "a, b",
        }
    )  # fmt: skip
    assert facts(span) == ("CHAT_MODEL", "openai", "m", USAGE)
    assert (asked(span.inputs).messages[0].text, answered(span.outputs)[0].text) == ("Hi", "Yo")
    assert (span.trace_context.session, span.trace_context.tags) == ("s", {"a": "true", "b": "true"})


def test_what_nobody_knows_stays_as_it_is():
    span = read({"http.route": "/", "my.list": ("a", "b"), "input.value": "not of a dialect", "events": "3"})
    assert (span.span_type, span.inputs) == (SpanType.UNKNOWN, None)
    assert dict(span.attributes) == {
        "http.route": "/", "my.list": ["a", "b"], "input.value": "not of a dialect", "events": "3"
    }  # fmt: skip


def test_the_type_is_known_from_what_a_span_starts_with():
    assert span_type_of({"openinference.span.kind": "EMBEDDING"}) is SpanType.EMBEDDING
    assert span_type_of({"gen_ai.operation.name": "chat"}) is SpanType.CHAT_MODEL
    assert span_type_of({"http.method": "GET"}) is None


# --- hostile values ------------------------------------------------------------------------------------------

NAMES = sorted(
    {
        *OPENINFERENCE, *GENAI, "input.value", "output.value", "llm.prompts.0.prompt.text", "llm.choices.0.completion.text",
        "gen_ai.prompt.0.content", "gen_ai.prompt.0.tool_calls.0.arguments", "gen_ai.completion.0.role", "gen_ai.prompt",
        "gen_ai.completion", "traceloop.entity.input", "traceloop.entity.output", "traceloop.span.kind", "llm.request.type",
        "llm.request.functions.0.parameters", "mlflow.spanType", "mlflow.spanInputs", "mlflow.spanOutputs",
        "mlflow.chat.tokenUsage", "mlflow.llm.cost", "mlflow.chat.tools", "ai.operationId", "ai.prompt", "ai.prompt.messages",
        "ai.prompt.tools", "ai.response.toolCalls", "ai.values", "ai.embeddings", "ai.usage.inputTokens", "events",
        "langfuse.observation.type", "langfuse.observation.input", "langfuse.observation.usage_details",
        "langfuse.observation.cost_details", "langfuse.trace.tags", "langsmith.span.kind", "langsmith.usage_metadata",
        "langsmith.span.tags", "pydantic_ai.all_messages", "all_messages_events", "model_request_parameters", "agent_name",
        "final_result", "tool_arguments", "retrieval.documents.0.document", "retrieval.documents.0.document.metadata",
        "reranker.input_documents.0", "embedding.embeddings.0.embedding.vector", "autolog.span.type", "autolog.inputs",
        "autolog.cost.total", "autolog.trace.tags", "autolog.trace.metadata", "gen_ai.tool.call.arguments", "tool.name",
        "gen_ai.retrieval.documents", "exception.message", "http.request.header.authorization",
    }
)  # fmt: skip
TEXTS = st.sampled_from(
    ["", "{", "[", "[]", "{}", "null", "[null]", '"x"', '[{"role": 1}]', '[{"parts": 3}]', '{"messages": {"a": [1]}}',
     '[{"role": "tool", "parts": [{"type": "tool_call_response"}]}]', '[[[["a"]]]]', '{"inputs": "{"}', "LLM", "RETRIEVER",
     "EMBEDDING", "RERANKER", "AGENT", "chat", "embeddings", "execute_tool", "retrieval", "generation", "ai.toolCall",
     "ai.embed.doEmbed", "ai.generateText", "\ud800", "[" * 5_000, '{"a":' * 5_000, '[{"content": [{"type": "image"}]}]',
     '[{"tool_calls": [{"function": null}]}]', '[{"function_call": {}}]', '[{"type": "function_call_output"}]']
)  # fmt: skip
SCALARS = TEXTS | st.text(max_size=5) | st.integers() | st.floats() | st.booleans() | st.none() | st.binary(max_size=3)
ANYTHING = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=3), SCALARS, max_size=3)
GIVEN = st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=12)


@settings(deadline=None, max_examples=300)
@given(GIVEN, st.lists(st.builds(SpanEvent, st.sampled_from(["gen_ai.choice", "db.query.result", "gen_ai.user.message",
       "gen_ai.content.prompt", "gen_ai.client.inference.operation.details", "exception"]), st.just(1), GIVEN), max_size=3))  # fmt: skip
def test_no_value_raises_and_what_comes_out_can_be_stored(attributes, events):
    span = read(attributes, events)
    assert Span.from_dict(span.to_dict()).to_dict() == span.to_dict()
    assert span.usage is None or all(count >= 0 for name, count in span.usage.to_dict().items() if name != "raw")


@pytest.mark.parametrize("index", ["4294967296", "9" * 300, "-1", "1e9", "０", "00"])
def test_an_index_of_any_size_costs_one_item(index):
    tracemalloc.start()
    span = read({"openinference.span.kind": "LLM", f"llm.input_messages.{index}.message.content": "Hi"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert span.span_type is SpanType.CHAT_MODEL


def test_names_of_any_depth_and_in_any_number_are_read():
    deep = {"openinference.span.kind": "LLM", "llm.input_messages.0." + "a." * 10_000: 1}
    wide = {"openinference.span.kind": "LLM", **{f"llm.input_messages.{n}.message.content": "x" for n in range(20_000)}}
    read(deep)
    assert len(read(wide).inputs["messages"]) == 20_000


def test_a_leaf_where_others_have_a_branch_is_no_trouble():
    span = read(
        {"openinference.span.kind": "LLM", "llm.input_messages.0": "x", "llm.input_messages.0.message": 3,
         "llm.input_messages.0.message.content": "Hi", "llm.input_messages.1.message.contents.0.message_content": "x"}
    )  # fmt: skip
    assert asked(span.inputs).messages[0].text == "Hi"


def test_secrets_in_what_was_sent_are_not_kept():
    body = {"messages": [{"role": "user", "content": "Hi"}], "extra_headers": {"authorization": "abcdefghijkl"}}
    span = read({"openinference.span.kind": "LLM", "input.value": json.dumps(body)})
    assert "abcdefghijkl" not in str(span.to_dict())
    assert al.SpanType.CHAT_MODEL is span.span_type
