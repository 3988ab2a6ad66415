"""Read what a model was asked and what it answered into its span."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import lru_cache, partial
from inspect import BoundArguments
from typing import Any

from autolog import Span, capture, semconv
from autolog.guard import attempt
from autolog.ids import now_ns
from autolog.redact import remember_secret, without_credentials
from autolog_llama_index.pictures import field, message, prompt_template
from autolog_llama_index.step import Step
from autolog_llama_index.usage import usage_in

_MODEL_NAMES = ("model", "model_name", "model_id")

# By the package of the integration, where its name is not the provider's.
_PROVIDERS: Mapping[str, str] = {
    "azure_openai": "azure.ai.openai",
    "azure_inference": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google_genai": "gcp.gemini",
    "vertex": "gcp.vertex_ai",
    "mistralai": "mistral_ai",
    "openai_like": "openai",
    "ibm": "ibm.watsonx.ai",
}
_LAST = 4


@lru_cache(maxsize=512)
def provider_of(kind: type) -> str | None:
    """Return who serves a model, by the package that its class comes from."""
    for base in kind.__mro__:
        parts = base.__module__.split(".")
        if parts[0] == "llama_index" and len(parts) > 2 and parts[1] in ("llms", "embeddings"):
            return _PROVIDERS.get(parts[2], parts[2])
    return None


class Asked:
    """A model call: what was asked and, while the answer streams, what came of it so far."""

    __slots__ = ("deltas", "first_chunk_ns", "first_content_ns", "last", "last_ns")

    def __init__(self) -> None:
        self.first_chunk_ns: int | None = None
        self.first_content_ns: int | None = None
        self.last_ns: int | None = None
        self.deltas: list[str] = []
        # Why it finished is in one of the last chunks, what it used in another.
        self.last: deque[Any] = deque(maxlen=_LAST)

    def saw(self, response: Any) -> None:
        """Note a piece of the answer that arrived now; each has all that came before it too."""
        self.last_ns = now_ns()
        if self.first_chunk_ns is None:
            self.first_chunk_ns = self.last_ns
        fields = response.__dict__
        delta = fields.get("delta")
        if delta:
            self.deltas.append(delta)
        if self.first_content_ns is None and (delta or _calls_tool(fields)):
            self.first_content_ns = self.last_ns
        self.last.append(response)


def _calls_tool(fields: Mapping[str, Any]) -> bool:
    said = fields.get("message")
    return said is not None and bool(said.additional_kwargs.get("tool_calls"))


# --- asking ------------------------------------------------------------------------------------------


def begin_chat(step: Step, bound: BoundArguments) -> None:
    """Take a picture of the messages, the tools and the parameters."""
    arguments = bound.arguments
    asked = {"messages": [message(one) for one in arguments.get("messages") or ()]}
    _begin(step, "chat", asked, arguments.get("kwargs") or {})


def begin_completion(step: Step, bound: BoundArguments) -> None:
    """Take the prompt and the parameters."""
    arguments = bound.arguments
    args, more = arguments.get("args"), arguments.get("kwargs") or {}
    prompt = args[0] if args else arguments.get("prompt", more.get("prompt"))
    _begin(step, "text_completion", {"prompt": prompt}, {k: v for k, v in more.items() if k != "prompt"})


def begin_structured(step: Step, bound: BoundArguments) -> None:
    """Take what is asked of a model that another one is behind."""
    messages = bound.arguments.get("messages")
    asked = {"messages": [message(one) for one in messages]} if messages is not None else dict(bound.arguments)
    step.asked = Asked()
    step.span.set_inputs(asked)


def _begin(step: Step, operation: str, asked: dict[str, Any], more: Mapping[str, Any]) -> None:
    span, model = step.span, step.instance
    step.asked = Asked()
    fields = model.__dict__
    parameters = {name: fields[name] for name in semconv.REQUEST_PARAMETERS if name in fields}
    own = fields.get("additional_kwargs")
    if own:
        parameters.update(own)
    span.set_inputs(asked)
    request = partial(_describe, operation, model, parameters, dict(more) if more else more, "stream" in step.name)
    span.defer(request)
    prompt = _prompt_around(step)
    if prompt is not None:
        span.defer(partial(read_prompt, prompt, model))


def _prompt_around(step: Step) -> tuple[Any, Mapping[str, Any]] | None:
    """Return the prompt that the step around a model call, or one that it is a part of, was given."""
    around = step.parent
    while around is not None and around.prompt is None and around.is_part:
        around = around.parent
    return None if around is None else around.prompt


def _describe(
    operation: str, model: Any, parameters: Mapping[str, Any], more: Mapping[str, Any], is_streamed: bool, span: Span
) -> None:
    """Write down how the model was asked. Runs on the worker."""
    span.set_attribute(semconv.OPERATION, operation)
    span.set_attribute(semconv.PROVIDER, provider_of(model.__class__))
    span.set_attribute(semconv.REQUEST_MODEL, _model_name(model, more))
    parameters = {**parameters, **more}
    for name, attribute in semconv.REQUEST_PARAMETERS.items():
        if isinstance(parameters.get(name), (str, int, float)):
            span.set_attribute(attribute, parameters[name])
    if is_streamed:
        span.set_attribute(semconv.REQUEST_STREAM, True)
    stop = parameters.get("stop")
    if stop:
        span.set_attribute(semconv.REQUEST_STOP, [stop] if isinstance(stop, str) else stop)
    others = {
        name: value for name, value in more.items() if value is not None and name not in semconv.REQUEST_PARAMETERS
    }
    if others:
        span._inputs = {**span._inputs, **without_credentials(capture.snapshot(others))}


def _model_name(model: Any, more: Mapping[str, Any]) -> str | None:
    fields = model.__dict__
    told = (source.get(name) for source in (more, fields) for name in _MODEL_NAMES)
    found = next((name for name in told if isinstance(name, str)), None)
    name = found or attempt(lambda: model.metadata.model_name, default=None)
    return name if name != "unknown" else None


def read_prompt(prompt: tuple[Any, Mapping[str, Any]], model: Any, span: Span) -> None:
    """Write a prompt's template and its variables into a span, apart from the text that they make."""
    template, variables = prompt
    bound = getattr(template, "kwargs", None)
    span.set_attribute(semconv.PROMPT_TEMPLATE, prompt_template(template, model))
    span.set_attribute(semconv.PROMPT_VARIABLES, {**(bound if isinstance(bound, dict) else {}), **variables})


def remember_key(model: Any) -> None:
    """Keep a model's key out of what its provider says when it refuses it."""
    remember_secret(getattr(model, "__dict__", {}).get("api_key"))


# --- answering ---------------------------------------------------------------------------------------


def finish(step: Step, response: Any) -> Any:
    """Take an answer, whole or the last piece of one; return its picture."""
    asked = step.asked
    if asked is None or (response is None and not asked.last):
        return None
    if response is None:
        response = asked.last[-1]  # what there is of an answer that broke off
    fields = response.__dict__
    raws = [one.raw for one in asked.last] or [fields.get("raw")]
    more = fields.get("additional_kwargs")
    step.span.defer(partial(_read_answer, asked, raws, dict(more) if more else {}, step.kind.is_model_call))
    said = fields.get("message")
    if said is None:
        return {"text": _longest(fields.get("text"), asked)}
    answer = message(said)
    if isinstance(answer["content"], str):
        answer["content"] = _longest(answer["content"], asked)
    return answer


def text_of(answer: Any) -> str | None:
    """Return the words of an answer's picture."""
    said = field(answer, "content", "text")
    return said if isinstance(said, str) else None


def _longest(text: str | None, asked: Asked) -> str | None:
    if not asked.deltas:
        return text
    # Some integrations give each piece by itself.
    streamed = "".join(asked.deltas)
    return streamed if len(streamed) > len(text or "") else text


def _read_answer(asked: Asked, raws: list[Any], more: Mapping[str, Any], is_model_call: bool, span: Span) -> None:
    """Read what the provider's own answer tells. Runs on the worker."""
    if is_model_call:
        last = next((raw for raw in reversed(raws) if raw is not None), None)
        span.set_attribute(semconv.RESPONSE_ID, _text(last, "id", "response_id"))
        span.set_attribute(semconv.RESPONSE_MODEL, _text(last, "model", "model_version"))
        span.set_attribute(semconv.OPENAI_FINGERPRINT, _text(last, "system_fingerprint"))
        span.set_attribute(semconv.OPENAI_RESPONSE_TIER, _text(last, "service_tier"))
        reasons = next((found for raw in reversed(raws) if (found := _finish_reasons(raw))), None)
        span.set_attribute(semconv.RESPONSE_FINISH_REASONS, reasons)
        span.set_usage(next((told for raw in reversed(raws) if (told := usage_in(raw))), None) or usage_in(more))
    _read_times(asked, span)


def _text(raw: Any, *names: str) -> str | None:
    found = field(raw, *names)
    return found if isinstance(found, str) else None


def _finish_reasons(raw: Any) -> list[str]:
    choices = field(raw, "choices", "candidates")
    if not isinstance(choices, (list, tuple)):
        choices = [raw]
    reasons = [field(choice, "finish_reason", "stop_reason", "done_reason", "stopReason") for choice in choices]
    return [str(getattr(reason, "value", reason)) for reason in reasons if reason is not None]


def _read_times(asked: Asked, span: Span) -> None:
    if asked.first_chunk_ns is None:
        return
    span.set_attribute(semconv.RESPONSE_TIME_TO_FIRST_CHUNK, (asked.first_chunk_ns - span.start_time_ns) / 1e9)
    arrived = asked.first_content_ns
    if arrived is None:
        return
    span.add_event(semconv.FIRST_TOKEN_EVENT, timestamp=arrived)
    tokens, ended = span.usage.output_tokens if span.usage else None, span.end_time_ns
    if tokens and ended and ended > arrived:
        span.set_attribute(semconv.TOKENS_PER_SECOND, round(tokens / ((ended - arrived) / 1e9), 3))
