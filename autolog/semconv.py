"""Attribute names: OpenTelemetry's GenAI conventions, and our own where they have none.

Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/ (status "development": names still change,
so they are written here and nowhere else).
"""

from __future__ import annotations

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
CONVERSATION_ID = "gen_ai.conversation.id"
OUTPUT_TYPE = "gen_ai.output.type"
PROMPT_NAME = "gen_ai.prompt.name"
PROMPT_VERSION = "gen_ai.prompt.version"
TOOL_NAME = "gen_ai.tool.name"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_DESCRIPTION = "gen_ai.tool.description"
AGENT_ID = "gen_ai.agent.id"
AGENT_NAME = "gen_ai.agent.name"
DATA_SOURCE_ID = "gen_ai.data_source.id"
RETRIEVAL_TOP_K = "gen_ai.retrieval.top_k"
RETRIEVAL_QUERY = "gen_ai.retrieval.query.text"
RETRIEVAL_DOCUMENTS = "gen_ai.retrieval.documents"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_CALL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT = "gen_ai.tool.call.result"
TOOL_DEFINITIONS = "gen_ai.tool.definitions"
WORKFLOW_NAME = "gen_ai.workflow.name"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
EMBEDDING_DIMENSION = "gen_ai.embeddings.dimension.count"

REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
REQUEST_CHOICE_COUNT = "gen_ai.request.choice.count"
REQUEST_SEED = "gen_ai.request.seed"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_TOP_P = "gen_ai.request.top_p"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
REQUEST_STOP = "gen_ai.request.stop_sequences"
REQUEST_REASONING_LEVEL = "gen_ai.request.reasoning.level"
REQUEST_PREVIOUS_RESPONSE = "gen_ai.request.previous_response.id"
REQUEST_ENCODING_FORMATS = "gen_ai.request.encoding_formats"
REQUEST_PARAMETERS = {
    "temperature": REQUEST_TEMPERATURE,
    "top_p": REQUEST_TOP_P,
    "max_tokens": REQUEST_MAX_TOKENS,
    "max_completion_tokens": REQUEST_MAX_TOKENS,
    "max_output_tokens": REQUEST_MAX_TOKENS,
    "seed": REQUEST_SEED,
    "frequency_penalty": REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": REQUEST_PRESENCE_PENALTY,
    "reasoning_effort": REQUEST_REASONING_LEVEL,
}
"""What the APIs of models call the parameters of a request, and the attribute of each."""

RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_STATUS = "gen_ai.response.status"
RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"

USAGE_INPUT = "gen_ai.usage.input_tokens"
USAGE_OUTPUT = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE = "gen_ai.usage.cache_write.input_tokens"  # cache_creation until 1.41
USAGE_REASONING = "gen_ai.usage.reasoning.output_tokens"
USAGE_INPUT_TEXT = "gen_ai.usage.text.input_tokens"
USAGE_INPUT_AUDIO = "gen_ai.usage.audio.input_tokens"
USAGE_INPUT_IMAGE = "gen_ai.usage.image.input_tokens"
USAGE_OUTPUT_TEXT = "gen_ai.usage.text.output_tokens"
USAGE_OUTPUT_AUDIO = "gen_ai.usage.audio.output_tokens"
USAGE_OUTPUT_IMAGE = "gen_ai.usage.image.output_tokens"

OPENAI_API = "openai.api.type"
OPENAI_REQUEST_TIER = "openai.request.service_tier"
OPENAI_RESPONSE_TIER = "openai.response.service_tier"
OPENAI_FINGERPRINT = "openai.response.system_fingerprint"

ERROR_TYPE = "error.type"
HTTP_STATUS = "http.response.status_code"
HTTP_RESEND_COUNT = "http.request.resend_count"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
SESSION_ID = "session.id"
USER_ID = "user.id"

EXCEPTION_EVENT = "exception"
EXCEPTION_TYPE = "exception.type"
EXCEPTION_MESSAGE = "exception.message"
EXCEPTION_STACKTRACE = "exception.stacktrace"
FIRST_TOKEN_EVENT = "gen_ai.first_token"
RETRY_EVENT = "retry"
RETRY_ATTEMPT = "retry.attempt"
RETRY_DELAY = "retry.delay"
INTERRUPT_EVENT = "interrupt"
HANDOFF_EVENT = "handoff"

# What holds words of the program's, to be withheld where content is.
WITH_CONTENT = frozenset(
    {
        REQUEST_STOP, "autolog.request.query", "autolog.prompt.template", "autolog.prompt.variables", "autolog.metadata",
        "autolog.inputs", "autolog.outputs", "autolog.output.schema", "autolog.trace.metadata", TOOL_DESCRIPTION,
        TOOL_CALL_ARGUMENTS, TOOL_CALL_RESULT, TOOL_DEFINITIONS, INPUT_MESSAGES, OUTPUT_MESSAGES, SYSTEM_INSTRUCTIONS,
        RETRIEVAL_QUERY, RETRIEVAL_DOCUMENTS, "gen_ai.prompt", "gen_ai.completion",
    }
)  # fmt: skip

SCOPE_NAME = "otel.scope.name"
SCOPE_VERSION = "otel.scope.version"
SPAN_KIND = "otel.span.kind"
SPAN_TYPE = "autolog.span.type"
STATUS = "autolog.status"
INPUTS = "autolog.inputs"
OUTPUTS = "autolog.outputs"
COST = "autolog.cost"
EXPERIMENT = "autolog.experiment"
RUN = "autolog.run"
VERSION = "autolog.version"
TRACE_TAGS = "autolog.trace.tags"
TRACE_METADATA = "autolog.trace.metadata"
# What of the attributes that others named is known to hold no words of the program's.
_WITHOUT_CONTENT = (
    "gen_ai.", "openai.", "autolog.", "http.request.method", "http.response.status_code", "http.route", "http.method",
    "http.status_code", "server.", "network.", "error.type", "exception.type", "otel.", "service.", "rpc.", "db.system",
    "session.id", "user.id", "traceloop.workflow.name", "traceloop.entity.name", "traceloop.entity.path", "langgraph.", "llamaindex.run_id",
)  # fmt: skip
_WITH_CONTENT_AFTER_ALL = ("gen_ai.evaluation.", "gen_ai.request.structured_output_schema", "gen_ai.prompt.variable.")


def has_no_content(name: str, value: object) -> bool:
    """Whether an attribute of another library's span may be kept where content is withheld."""
    if isinstance(value, (bool, int, float)):
        return True
    return name.startswith(_WITHOUT_CONTENT) and not name.startswith(_WITH_CONTENT_AFTER_ALL)


REQUEST_ID = "autolog.request.id"
SDK_METHOD = "autolog.sdk.method"
ERROR_CODE = "autolog.error.code"
QUERY_PARAMETERS = "autolog.request.query"
STREAM_COMPLETED = "autolog.stream.completed"
STREAM_CONSUMER_ERROR = "autolog.stream.consumer_error"
STREAM_DROPPED_BYTES = "autolog.stream.dropped_bytes"
TOKENS_PER_SECOND = "autolog.output_tokens_per_second"
ABANDONED = "autolog.abandoned"
DUPLICATE_OF = "autolog.duplicate_of"
CACHE_HIT = "autolog.cache_hit"
INTERRUPTED = "autolog.interrupted"
OUTPUT_SCHEMA = "autolog.output.schema"
PROMPT_TEMPLATE = "autolog.prompt.template"
PROMPT_VARIABLES = "autolog.prompt.variables"
TAGS = "autolog.tags"
METADATA = "autolog.metadata"
TRUNCATED = "autolog.truncated"
WITHHELD = "autolog.withheld"
