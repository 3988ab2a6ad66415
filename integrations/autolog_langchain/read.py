"""Read what a model was asked and what it answered into its span. Runs on the worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from autolog import Span, TokenUsage, capture, semconv
from autolog.guard import attempt
from autolog.model.provider_usage import usage_of
from autolog.redact import redact_keys, without_credentials

Fields = Mapping[str, Any]

# Of LangSmith's description of a model, which LangChain gives with every run of one.
_DESCRIBED: Mapping[str, str] = {
    "ls_provider": semconv.PROVIDER,
    "ls_model_name": semconv.REQUEST_MODEL,
    "ls_temperature": semconv.REQUEST_TEMPERATURE,
    "ls_max_tokens": semconv.REQUEST_MAX_TOKENS,
}
_MODEL_NAMES = ("model", "model_name", "model_id")
# What is told elsewhere, or is of no interest to anybody.
_LEFT_OUT = frozenset({*_MODEL_NAMES, "_type", "tools", "functions", "response_format", "stop", "stream", "n"})


@dataclass(slots=True)  # and not frozen, which would make making one three times as slow
class Request:
    """What is kept of a call of a model until the worker reads it."""

    asked: Any
    """Its messages, or its prompt, pictured."""
    parameters: Fields
    options: Fields
    metadata: Fields
    operation: str

    def describe(self, span: Span) -> None:
        """Write it into the span."""
        parameters = self.parameters
        span.set_attribute(semconv.OPERATION, self.operation)
        model = next((name for key in _MODEL_NAMES if isinstance(name := parameters.get(key), str)), None)
        span.set_attribute(semconv.REQUEST_MODEL, model)
        for source, names in ((self.metadata, _DESCRIBED), (parameters, semconv.REQUEST_PARAMETERS)):
            for key, attribute in names.items():
                if isinstance(source.get(key), (str, int, float)):
                    span.set_attribute(attribute, source[key])
        stop = parameters.get("stop") or self.options.get("stop")
        if stop:
            span.set_attribute(semconv.REQUEST_STOP, [stop] if isinstance(stop, str) else stop)
        if isinstance(parameters.get("n"), int) and parameters["n"] > 1:
            span.set_attribute(semconv.REQUEST_CHOICE_COUNT, parameters["n"])
        span.set_attribute(semconv.OUTPUT_SCHEMA, self._schema())
        span.set_inputs({**self.asked, **self._tools(), **self._others()})

    def _schema(self) -> Any:
        """Return the JSON schema that the answer must have: what the user gave is a class as often as not."""
        wanted = self.options.get("ls_structured_output_format") or {}
        schema = wanted.get("schema") if isinstance(wanted, Mapping) else None
        if schema is None:
            schema = self.parameters.get("response_format")
        return None if schema is None else _json_schema(schema)

    def _tools(self) -> dict[str, Any]:
        tools = self.parameters.get("tools") or self.parameters.get("functions")
        if not isinstance(tools, Sequence) or not tools:
            return {}
        return {"tools": without_credentials([_tool(tool) for tool in tools])}

    def _others(self) -> dict[str, Any]:
        others = {key: value for key, value in self.parameters.items() if key not in _LEFT_OUT and value is not None}
        plain: dict[str, Any] = without_credentials(capture.snapshot(others))
        return plain


def _json_schema(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        return capture.snapshot(schema)
    for method in ("model_json_schema", "schema"):
        if isinstance(schema, type) and hasattr(schema, method):
            return attempt(getattr(schema, method), default=None)
    return capture.snapshot(schema)


def _tool(tool: Any) -> Any:
    if isinstance(tool, Mapping):
        return capture.snapshot(tool)
    name = getattr(tool, "name", None)
    if name is None:
        return capture.snapshot(tool)
    schema = attempt(lambda: tool.tool_call_schema.model_json_schema(), default=None)  # noqa: PLW0108 - either step may raise
    return {"name": name, "description": getattr(tool, "description", None), "parameters": schema}


@dataclass(slots=True)
class Answer:
    """What is kept of the answer of a model until the worker reads it."""

    outputs: Sequence[Any]
    """Its messages, or its texts, pictured."""
    generations: Sequence[tuple[Any, Any]]
    """Each with its message, if it has one: a cache puts another one in its place later."""
    llm_output: Fields
    first_token_ns: int | None

    @classmethod
    def of(cls, response: Any, first_token_ns: int | None) -> Answer | None:
        """Take what there is of an `LLMResult`; `None` where there is nothing."""
        several = response.generations
        generations = several[0] if len(several) == 1 else [one for each in several for one in each]
        if not generations:
            return None
        outputs = capture.snapshot([getattr(one, "message", None) or {"text": one.text} for one in generations])
        # The rest is read later: nobody changes it.
        messages = [getattr(one, "message", None) for one in generations]
        return cls(outputs, list(zip(generations, messages, strict=True)), response.llm_output or {}, first_token_ns)

    def describe(self, span: Span) -> None:
        """Write it into the span."""
        told = [
            {**(one.generation_info or {}), **(getattr(found, "response_metadata", None) or {})}
            for one, found in self.generations
        ]
        first = told[0]
        span.set_attribute(
            semconv.RESPONSE_MODEL, _first(str, first, self.llm_output, "model_name", "model", "model_id")
        )
        span.set_attribute(semconv.RESPONSE_ID, _first(str, first, self.llm_output, "id"))
        span.set_attribute(semconv.OPENAI_FINGERPRINT, _first(str, first, self.llm_output, "system_fingerprint"))
        span.set_attribute(semconv.OPENAI_RESPONSE_TIER, _first(str, first, self.llm_output, "service_tier"))
        if semconv.PROVIDER not in span.attributes:
            span.set_attribute(semconv.PROVIDER, _first(str, first, {}, "model_provider"))
        reasons = [_first(str, one, {}, "finish_reason", "stop_reason", "done_reason") for one in told]
        if any(reasons):
            span.set_attribute(semconv.RESPONSE_FINISH_REASONS, [reason or "error" for reason in reasons])
        self._read_usage(span)
        self._read_times(span)
        outputs = [output for output in self.outputs if any(output.get(key) for key in _SAYING)] or self.outputs
        body = first.get("body")
        if isinstance(body, Mapping) and not any(output.get(key) for output in outputs for key in _SAYING):
            if not body.get("error"):  # which the status tells
                span.set_outputs(body)  # what came could not be parsed; this is what it was
        else:
            span.set_outputs(outputs[0] if len(outputs) == 1 else {"choices": outputs})

    def _read_usage(self, span: Span) -> None:
        messages = [found for _, found in self.generations]
        known = [usage for found in messages if (usage := getattr(found, "usage_metadata", None))]
        if any("total_cost" in usage for usage in known):
            span.set_attribute(semconv.CACHE_HIT, True)  # LangChain's own cache answered: nothing was used
            return
        if known:
            span.set_usage(_usage(known[0]))  # of several choices, each carries the usage of the whole answer
            return
        for found in messages:
            metadata = getattr(found, "response_metadata", None) or {}
            body = metadata.get("body")
            raw = metadata.get("token_usage") or (body.get("usage") if isinstance(body, Mapping) else None)
            if usage := usage_of(raw):
                span.set_usage(usage)
                return
        if usage := usage_of(self.llm_output.get("token_usage") or self.llm_output.get("usage")):
            span.set_usage(usage)  # and else leaves what the SDK told

    def _read_times(self, span: Span) -> None:
        arrived = self.first_token_ns
        if arrived is None:
            return
        span.set_attribute(semconv.RESPONSE_TIME_TO_FIRST_CHUNK, (arrived - span.start_time_ns) / 1e9)
        span.add_event(semconv.FIRST_TOKEN_EVENT, timestamp=arrived)
        tokens, ended = span.usage.output_tokens if span.usage else None, span.end_time_ns
        if tokens and ended and ended > arrived:
            span.set_attribute(semconv.TOKENS_PER_SECOND, round(tokens / ((ended - arrived) / 1e9), 3))


_SAYING = ("content", "text", "tool_calls", "invalid_tool_calls", "additional_kwargs")


def _first(kind: type, fields: Fields, others: Fields, *names: str) -> Any:
    return next((v for of in (fields, others) for n in names if isinstance(v := of.get(n), kind) and v), None)


def _usage(found: Fields) -> TokenUsage:
    """Read LangChain's `UsageMetadata`, whose details are parts of the counts."""
    into, out = found.get("input_token_details") or {}, found.get("output_token_details") or {}
    read, written = _detail(into, "cache_read"), _detail(into, "cache_creation")
    # Anthropic's by how long they are kept, beside which the sum is 0.
    written = sum(n for name, n in into.items() if name.startswith("ephemeral_") and n) or written
    usage = TokenUsage(
        input_tokens=found.get("input_tokens"),
        output_tokens=found.get("output_tokens"),
        total_tokens=found.get("total_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=_detail(out, "reasoning"),
        input_audio_tokens=into.get("audio"),
        output_audio_tokens=out.get("audio"),
        raw=dict(found),
    )
    cached = (read or 0) + (written or 0)
    inputs, outputs, total = usage.input_tokens or 0, usage.output_tokens or 0, usage.total_tokens
    # Bedrock counts cached tokens beside the input ones, everybody else as a part of them.
    if cached and (cached > inputs or total == inputs + outputs + cached):
        return replace(usage, input_tokens=inputs + cached, total_tokens=inputs + outputs + cached)
    return usage


def _detail(details: Fields, name: str) -> int | None:
    """Return a count by its name, before which langchain-openai writes the service tier: `flex_cache_read`."""
    found: int | None = details.get(name)
    if found is None and details:
        found = next((n for tiered, n in details.items() if tiered.endswith(f"_{name}")), None)
    return found


def prompt_template(serialized: Any) -> Any:
    """Return the template of a prompt, out of how LangChain serialises it, or `None`."""
    fields = serialized.get("kwargs") if isinstance(serialized, Mapping) else None
    if not isinstance(fields, Mapping):
        return None
    if isinstance(fields.get("template"), str):
        return fields["template"]
    parts = fields.get("messages")
    if not isinstance(parts, Sequence):
        return None
    return [_message_template(part) for part in parts]


def _message_template(part: Any) -> Any:
    fields = part.get("kwargs") if isinstance(part, Mapping) else None
    if not isinstance(fields, Mapping):
        return capture.snapshot(part)
    kind = str((part.get("id") or ["?"])[-1]).removesuffix("MessagePromptTemplate").removesuffix("Message").lower()
    role = {"human": "user", "ai": "assistant", "messagesplaceholder": "placeholder"}.get(kind, kind)
    prompt = fields.get("prompt")
    if isinstance(prompt, Sequence) and not isinstance(prompt, str):
        template: Any = [prompt_template(one) for one in prompt]
    else:
        template = prompt_template(prompt) if prompt is not None else fields.get("content")
    variable = fields.get("variable_name")
    return {"role": role, "template": template if variable is None else f"{{{variable}}}"}


def failed_answer(response: Any, first_token_ns: int | None) -> Answer | None:
    """Take what a model had answered when it failed."""
    return attempt(Answer.of, response, first_token_ns, default=None)


def error_text(content: Any) -> str:
    """Return why a tool failed, as it told the model."""
    return redact_keys(content if isinstance(content, str) else str(capture.snapshot(content)))
