"""Read a request into a span: what was sent, to which model, with which parameters. Runs on the worker."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autolog import Span, semconv
from autolog.guard import attempt
from autolog.redact import REDACTED, is_secret_name
from autolog_openai.endpoints import Endpoint
from autolog_openai.scrub import take_user, without_credentials

Body = dict[str, Any]

_PARAMETERS: Mapping[str, str] = {
    "model": semconv.REQUEST_MODEL,
    **semconv.REQUEST_PARAMETERS,
    "previous_response_id": semconv.REQUEST_PREVIOUS_RESPONSE,
    "dimensions": semconv.EMBEDDING_DIMENSION,
    "max_num_results": semconv.RETRIEVAL_TOP_K,
    "assistant_id": semconv.AGENT_ID,
}

# By the end of the host's name; whoever else speaks this protocol is called "openai" by the conventions.
_PROVIDERS: Mapping[str, str] = {
    "openai.azure.com": "azure.ai.openai",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "amazonaws.com": "aws.bedrock",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "x_ai",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "api.moonshot.ai": "moonshot_ai",
    "openrouter.ai": "openrouter",
    "api.together.xyz": "together",
    "api.fireworks.ai": "fireworks",
}
_CLIENTS: Mapping[str, str] = {"BaseAzureClient": "azure.ai.openai", "BedrockOpenAI": "aws.bedrock"}


@dataclass(frozen=True, slots=True)
class Request:
    """What is kept of a request until the worker reads it. Nothing in it changes any more."""

    endpoint: Endpoint
    url: str
    body: Any
    extra: Any
    """`extra_body`, whose keys win over those of the body."""
    query: Any
    files: Any
    client: type
    base_url: Any
    helper: str | None
    encoding_format: Any
    """What the user asked for, where the endpoint is embeddings."""
    options: Mapping[str, Any]

    def describe(self, span: Span) -> None:
        """Write it into the span."""
        body = self._whole_body()
        self._take_user(span, body)
        self._take_place(span)
        endpoint = self.endpoint
        span.set_attribute(semconv.OPERATION, endpoint.operation)
        span.set_attribute(semconv.OPENAI_API, endpoint.api)
        span.set_attribute(semconv.OUTPUT_TYPE, _output_type(body) or endpoint.output)
        span.set_attribute(semconv.SDK_METHOD, self.helper)
        _take_parameters(span, body)
        if endpoint.operation == "embeddings":
            self._take_encoding(span, body)
        elif endpoint.operation == "retrieval":
            span.set_attribute(semconv.DATA_SOURCE_ID, self.url.strip("/").split("/")[1])
        if isinstance(self.query, Mapping) and self.query:
            query = {k: REDACTED if is_secret_name(k) else v for k, v in self.query.items()}
            span.set_attribute(semconv.QUERY_PARAMETERS, query)
        if self.files:
            body["files"] = self.files
        if not body and endpoint.operation.startswith(("fetch", "cancel")):
            body = {"id": self.url.partition("?")[0].strip("/").split("/")[-1 if "fetch" in endpoint.operation else -2]}
        span.set_inputs(without_credentials(body))

    def _whole_body(self) -> Body:
        body = dict(self.body) if isinstance(self.body, dict) else {} if self.body is None else {"body": self.body}
        if isinstance(self.extra, dict):
            body.update(self.extra)
        return body

    def _take_user(self, span: Span, body: Body) -> None:
        user = take_user(body)
        if user is None or not self.options["capture_user"]:
            return
        span.set_attribute(semconv.USER_ID, user)
        if span.trace_context is not None and span.trace_context.user is None:
            span.trace_context.user = user

    def _take_place(self, span: Span) -> None:
        host = str(getattr(self.base_url, "host", "") or "")
        span.set_attribute(semconv.SERVER_ADDRESS, host or None)
        port = getattr(self.base_url, "port", None)
        span.set_attribute(semconv.SERVER_PORT, port)
        by_client = next((p for kind in self.client.__mro__ if (p := _CLIENTS.get(kind.__name__))), None)
        by_host = next((name for end, name in _PROVIDERS.items() if host == end or host.endswith(f".{end}")), None)
        span.set_attribute(semconv.PROVIDER, by_client or by_host or "openai")

    def _take_encoding(self, span: Span, body: Body) -> None:
        # The SDK asks for base64 by itself where the user asked for nothing.
        if self.encoding_format is None:
            body.pop("encoding_format", None)
        else:
            span.set_attribute(semconv.REQUEST_ENCODING_FORMATS, [self.encoding_format])


def _take_parameters(span: Span, body: Body) -> None:
    for name, attribute in _PARAMETERS.items():
        value = body.get(name)
        if isinstance(value, (str, int, float)):
            span.set_attribute(attribute, value)
    if body.get("stream"):
        span.set_attribute(semconv.REQUEST_STREAM, True)
    if isinstance(body.get("n"), int) and body["n"] != 1:
        span.set_attribute(semconv.REQUEST_CHOICE_COUNT, body["n"])
    stop = body.get("stop")
    if stop:
        span.set_attribute(semconv.REQUEST_STOP, [stop] if isinstance(stop, str) else stop)
    if isinstance(body.get("reasoning"), dict):
        span.set_attribute(semconv.REQUEST_REASONING_LEVEL, body["reasoning"].get("effort"))
    if body.get("service_tier") not in (None, "auto"):
        span.set_attribute(semconv.OPENAI_REQUEST_TIER, body["service_tier"])
    if isinstance(body.get("prompt"), dict):
        span.set_attribute(semconv.PROMPT_NAME, body["prompt"].get("id"))
        span.set_attribute(semconv.PROMPT_VERSION, body["prompt"].get("version"))
    _take_conversation(span, body)


def _take_conversation(span: Span, body: Body) -> None:
    conversation = body.get("conversation")
    conversation = conversation.get("id") if isinstance(conversation, dict) else conversation
    if isinstance(conversation, str):
        span.set_attribute(semconv.CONVERSATION_ID, conversation)
        if span.trace_context is not None and span.trace_context.session is None:
            span.trace_context.session = conversation


def _output_type(body: Body) -> str | None:
    wanted = body.get("response_format") or (body.get("text") or {} if isinstance(body.get("text"), dict) else {}).get(
        "format"
    )
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind in ("json_schema", "json_object"):
        return "json"
    if "audio" in (body.get("modalities") or ()):
        return "speech"
    return "text" if "messages" in body or ("input" in body and "voice" not in body and "model" in body) else None


def describe_files(files: Any) -> list[dict[str, Any]] | None:
    """Return name and size of what is uploaded; nothing is read."""
    if not files:
        return None
    pairs = files.items() if isinstance(files, Mapping) else files
    return [{"field": field, **_describe_file(file)} for field, file in pairs]


def _describe_file(file: Any) -> dict[str, Any]:
    name, content = (file[0], file[1]) if isinstance(file, tuple) and len(file) > 1 else (None, file)
    size: int | None = None
    if isinstance(content, (bytes, bytearray)):
        size = len(content)
    elif hasattr(content, "getbuffer"):
        size = content.getbuffer().nbytes
    elif hasattr(content, "fileno"):
        size = attempt(lambda: os.fstat(content.fileno()).st_size, default=None)
    path = getattr(content, "name", None)
    name = name or (Path(path).name if isinstance(path, str) else None)
    return {key: value for key, value in (("name", name), ("bytes", size)) if value is not None}
