"""A span: one timed step of a program, with what went in and what came out."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import Token
from dataclasses import dataclass, field, replace
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from opentelemetry import trace as otel

from autolog import capture, semconv
from autolog.context import attach, leave, suppress
from autolog.fork import ForkLock
from autolog.guard import attempt, guarded
from autolog.ids import format_span_id, format_trace_id, moment, now_ns, parse_id
from autolog.model.usage import Cost, TokenUsage
from autolog.redact import redact_keys
from autolog.texts import Leaf, rewritten, text

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from typing_extensions import Self

    from autolog.model.trace import TraceContext

logger = logging.getLogger("autolog")


class SpanType(str, Enum):
    """What kind of step a span is."""

    AGENT = "AGENT"
    CHAIN = "CHAIN"
    WORKFLOW = "WORKFLOW"
    TASK = "TASK"
    CHAT_MODEL = "CHAT_MODEL"
    LLM = "LLM"
    EMBEDDING = "EMBEDDING"
    RETRIEVER = "RETRIEVER"
    RERANKER = "RERANKER"
    TOOL = "TOOL"
    PROMPT = "PROMPT"
    PARSER = "PARSER"
    GUARDRAIL = "GUARDRAIL"
    EVALUATOR = "EVALUATOR"
    MEMORY = "MEMORY"
    UNKNOWN = "UNKNOWN"

    __str__ = str.__str__

    @classmethod
    def _missing_(cls, value: object) -> SpanType:
        name = text(value).upper()
        if name in cls.__members__:
            return cls[name]
        logger.warning("%r is not a span type, UNKNOWN is recorded; there are: %s", value, ", ".join(cls.__members__))
        return cls.UNKNOWN


class StatusCode(str, Enum):
    """How a span ended."""

    UNSET = "UNSET"
    OK = "OK"
    ERROR = "ERROR"
    CANCELLED = "CANCELLED"
    """Broken off by whoever asked for it: a cancelled task, a stream that was left."""

    __str__ = str.__str__


@dataclass(frozen=True, slots=True)
class Status:
    """How a span ended, and why where it failed."""

    UNSET: ClassVar[Status]
    OK: ClassVar[Status]
    CANCELLED: ClassVar[Status]

    code: StatusCode
    description: str | None = None

    @property
    def is_error(self) -> bool:
        """Whether the span failed."""
        return self.code is StatusCode.ERROR


Status.UNSET = Status(StatusCode.UNSET)
Status.OK = Status(StatusCode.OK)
Status.CANCELLED = Status(StatusCode.CANCELLED)
_FAILED = Status(StatusCode.ERROR)


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened at one moment of a span: an exception, the first token, a retry."""

    name: str
    timestamp_ns: int = field(default_factory=now_ns)
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """Another span, of this trace or of another, that this one belongs with."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


# Exceptions that end what somebody else called off: of asyncio, concurrent.futures, trio, and generators.
_CANCELLING = frozenset({"CancelledError", "Cancelled", "GeneratorExit"})

# Deferred work is rare to collide on, so one lock serves all spans.
_resolving = ForkLock(rank=2)


class Span(otel.Span):
    """One step of a trace; started by a tracer, or read from a store.

    It is an OpenTelemetry span too: what OpenTelemetry instruments nests under it, and the reverse.
    As a context manager it is the current span inside the block, and ends with it.
    """

    # Defaults live on the class: a span sets only what it has, which makes starting one cheap.
    end_time_ns: int | None = None
    abandon: Callable[[], None] | None = None
    """Who ends this span when the program exits before it did."""
    covered: tuple[TokenUsage, Cost] | None = None
    """Usage and cost below this span that its trace counted already."""
    counted: tuple[TokenUsage, Cost] | None = None
    """What this span adds to the totals of its trace, so that nested model calls count once."""
    previews: tuple[str | None, str | None] | None = None
    """What a list shows of its inputs and outputs, where these were cut since."""
    is_framework_call: bool = False
    """Whether this is a model call as a framework sees it, below which an SDK may report the same call again."""
    duplicate_of: Span | None = None
    """The framework's span of the same model call."""
    is_foreign: bool = False
    """Whether it mirrors another OpenTelemetry library's span, whose attributes have any name and any content."""
    merges: bool = False
    """Whether it is to be moved into the span that it is a duplicate of."""
    is_handed_over: bool = False
    """Whether it is on its way to the store, so that nothing more can be written into it."""
    _parent: Span | None = None
    _context: TraceContext | None = None
    _inputs: Any = None
    _outputs: Any = None
    _events: list[SpanEvent] | None = None
    _links: list[Link] | None = None
    _status: Status = Status.UNSET
    _usage: TokenUsage | None = None
    _cost: Cost | None = None
    _deferred: list[Callable[[Span], None]] | None = None
    _failed_below: tuple[int, type] | None = None
    _on_end: Callable[[Span], None] | None = None
    _token: Token[Context] | None = None
    _outer_tokens: list[Token[Context]] | None = None
    _dropped: bool = False

    def __init__(
        self,
        name: str,
        span_type: SpanType,
        trace_id: int,
        span_id: int,
        parent_id: int | None = None,
        start_time_ns: int = 0,
    ) -> None:
        self.name = name
        self.span_type = span_type
        self.start_time_ns = start_time_ns
        self._trace_id = trace_id
        self._span_id = span_id
        self._parent_id = parent_id
        self._attributes: dict[str, Any] = {}

    # --- reading ---------------------------------------------------------------------------------

    @property
    def trace_id(self) -> str:
        """The trace's id, 32 hex digits."""
        return format_trace_id(self._trace_id)

    @property
    def span_id(self) -> str:
        """This span's id, 16 hex digits."""
        return format_span_id(self._span_id)

    @property
    def parent_id(self) -> str | None:
        """The parent's id, or `None` for a root."""
        return None if self._parent_id is None else format_span_id(self._parent_id)

    @property
    def parent(self) -> Span | None:
        """The parent where it was started in this process, else `None`."""
        return self._parent

    @property
    def trace_context(self) -> TraceContext | None:
        """What the spans of a running trace share."""
        return self._context

    @property
    def inputs(self) -> Any:
        """What went in, as plain values."""
        self.resolve()
        return self._inputs

    @property
    def outputs(self) -> Any:
        """What came out, as plain values."""
        self.resolve()
        return self._outputs

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Attributes by their OpenTelemetry GenAI names."""
        self.resolve()
        return self._attributes

    @property
    def events(self) -> Sequence[SpanEvent]:
        """Exceptions, first token, retries, in order."""
        self.resolve()
        return tuple(self._events or ())

    @property
    def links(self) -> Sequence[Link]:
        """Other spans that this one belongs with."""
        return tuple(self._links or ())

    @property
    def status(self) -> Status:
        """How it ended; `UNSET` while it runs."""
        self.resolve()
        return self._status

    @property
    def usage(self) -> TokenUsage | None:
        """The tokens that this step itself used, or `None` where nobody said."""
        self.resolve()
        return self._usage

    token_usage = usage

    @property
    def cost(self) -> Cost | None:
        """What this step itself cost in US dollars, or `None` where it is not known. Set when it is stored."""
        self.resolve()
        return self._cost

    @property
    def model(self) -> str | None:
        """The model that answered, or else the one that was asked."""
        attributes = self.attributes
        return attributes.get(semconv.RESPONSE_MODEL) or attributes.get(semconv.REQUEST_MODEL)

    @property
    def provider(self) -> str | None:
        """Who serves the model, such as `openai` or `azure.ai.openai`."""
        return self.attributes.get(semconv.PROVIDER)

    @property
    def duration_ns(self) -> int | None:
        """Nanoseconds from start to end, or `None` while it runs."""
        return None if self.end_time_ns is None else self.end_time_ns - self.start_time_ns

    def get_attribute(self, key: str) -> Any:
        """Return the attribute, or `None`."""
        return self.attributes.get(key)

    # --- writing ---------------------------------------------------------------------------------

    def set_inputs(self, inputs: Any) -> None:
        """Record what goes in, as it is now."""
        self._inputs = capture.snapshot(inputs)

    def set_outputs(self, outputs: Any) -> None:
        """Record what came out, as it is now."""
        self._outputs = capture.snapshot(outputs)

    def set_attribute(self, key: str, value: Any) -> None:
        """Record one attribute; `None` is left out."""
        if value is not None:
            key = key if type(key) is str else text(key)
            self._attributes[key] = value if isinstance(value, (str, int, float)) else capture.snapshot(value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Record several attributes."""
        if not isinstance(attributes, Mapping):
            logger.warning("%r is no mapping of attributes and is ignored", attributes)
            return
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def remove_attribute(self, key: str) -> None:
        """Take one attribute away, if it is there."""
        self._attributes.pop(key, None)

    def set_usage(self, usage: TokenUsage | None) -> None:
        """Record the tokens that this step itself used."""
        self._usage = usage or None

    def set_cost(self, cost: Cost | None) -> None:
        """Record what this step itself cost in US dollars; else it is computed from usage and model."""
        self._cost = cost

    def mark_duplicate_of(self, span: Span, *, merges: bool = False) -> None:
        """Note that this is the same model call as `span`, seen by another library; it counts once."""
        self.duplicate_of, self.merges = span, merges
        self._attributes[semconv.DUPLICATE_OF] = span.span_id

    def absorb(self, duplicate: Span) -> None:
        """Take over what `duplicate`, a span of the same model call, knows and this one does not."""
        known = {name: value for name, value in duplicate.attributes.items() if name != semconv.DUPLICATE_OF}
        self._attributes = {**known, **self._attributes}
        self._usage = self._usage or duplicate._usage
        if self._inputs is None:
            self._inputs = duplicate._inputs
        if self._outputs is None:
            self._outputs = duplicate._outputs
        names = {event.name for event in self._events or ()}
        self._events = [*(self._events or ()), *(e for e in duplicate._events or () if e.name not in names)] or None

    def set_span_type(self, span_type: SpanType | str) -> None:
        """Change the type."""
        self.span_type = SpanType(span_type)

    def set_status(self, status: Any, description: str | None = None) -> None:
        """Record how it ended: a `Status`, a `StatusCode`, their names, or OpenTelemetry's own."""
        if isinstance(status, Status):
            self._status = status if description is None else Status(status.code, description)
            return
        if isinstance(status, otel.Status):
            status, description = status.status_code, status.description or description
        name = status if isinstance(status, str) else getattr(status, "name", None)
        code = StatusCode.__members__.get(text(name).upper())
        if code is None:
            logger.warning("%r is not a status and is ignored; there are: OK, ERROR, CANCELLED, UNSET", status)
            return
        self._status = (
            Status(code, description) if description else (Status.OK if code is StatusCode.OK else Status(code))
        )

    def add_event(
        self, name: str | SpanEvent, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        """Record that something happened now, or at `timestamp` in nanoseconds; or an event, as MLflow's users give it."""
        given = name if isinstance(name, SpanEvent) else None
        if given is not None:
            name, attributes, timestamp = given.name, given.attributes, given.timestamp_ns
        self._add(SpanEvent(text(name), moment(timestamp), _pictured(attributes)))

    def _add(self, event: SpanEvent) -> None:
        if self._events is None:
            with _resolving:
                if self._events is None:
                    self._events = []
        self._events.append(event)

    def set_events(self, events: Iterable[SpanEvent]) -> None:
        """Put these events in place of those that there are."""
        self._events = [SpanEvent(e.name, e.timestamp_ns, capture.snapshot(dict(e.attributes))) for e in events] or None

    def add_link(self, context: otel.SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        """Link another span, of this trace or of another."""
        link = Link(format_trace_id(context.trace_id), format_span_id(context.span_id), dict(attributes or {}))
        self._links = [*(self._links or ()), link]

    def set_links(self, links: Iterable[Link]) -> None:
        """Link other spans, beside those that are linked."""
        for link in links if isinstance(links, Iterable) else [links]:
            if isinstance(link, Link):
                self._links = [*(self._links or ()), link]
            elif isinstance(link, otel.Link):
                self.add_link(link.context, link.attributes)
            else:
                logger.warning("%r is not a link and is ignored; one is made by Link(trace_id, span_id)", link)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: ARG002 - OpenTelemetry's signature
    ) -> None:
        """Record an exception as an event and as the reason of failure."""
        with guarded:
            self.fail_with(exception_event(exception, attributes, timestamp))
            self._tell_parent(exception)

    def record_failure(self, exception: BaseException) -> None:
        """Record that `exception` passed through here; its stack is left to the span that it came from."""
        with guarded:
            if self._failed_below == (id(exception), type(exception)):
                self._fail(exception_type(exception), exception_message(exception))
                self._tell_parent(exception)
            else:
                self.record_exception(exception)

    def left_by(self, exception: BaseException) -> None:
        """Record that `exception` ended its code: that it failed, was called off, or had done what it should."""
        with guarded:
            if isinstance(exception, GeneratorExit):
                if self._status is Status.UNSET:
                    self._status = Status.CANCELLED
            elif not (isinstance(exception, SystemExit) and _is_success(exception)):
                if self._status is Status.UNSET:
                    self._status = _FAILED  # it did, even where the stack has no room to say more
                self.record_exception(exception)

    def _tell_parent(self, exception: BaseException) -> None:
        # Not the exception itself: it holds the frames that it passed, and all that they hold.
        if self._parent is not None:
            self._parent._failed_below = id(exception), type(exception)

    def fail_with(self, event: SpanEvent) -> None:
        """Record an exception that `exception_event` described."""
        self._add(event)
        self._fail(event.attributes[semconv.EXCEPTION_TYPE], event.attributes[semconv.EXCEPTION_MESSAGE])

    def _fail(self, kind: str, message: str) -> None:
        self._attributes[semconv.ERROR_TYPE] = kind
        name = kind.rpartition(".")[2]
        code = StatusCode.CANCELLED if is_cancelling(kind) else StatusCode.ERROR
        self._status = Status(code, f"{name}: {message}" if message else kind)

    @property
    def framework_call(self) -> Span | None:
        """The framework's span of the model call that this span is in, itself perhaps, or `None`."""
        span: Span | None = self
        while span is not None and not span.is_framework_call:
            span = span._parent
        return span

    def defer(self, work: Callable[[Span], None]) -> None:
        """Do `work(span)` before the span is first read: on the worker, or by whoever reads it sooner.

        This keeps reading a response off the path of the traced call.
        """
        if self._deferred is None:
            self._deferred = []
        self._deferred.append(work)

    def resolve(self) -> None:
        """Do what was deferred."""
        if not self._deferred:
            return
        with _resolving:
            deferred, self._deferred = self._deferred, None
            for work in deferred or ():
                with guarded:
                    work(self)

    def end(
        self,
        end_time: int | None = None,
        *,
        outputs: Any = None,
        attributes: Mapping[str, Any] | None = None,
        status: Any = None,
        end_time_ns: int | None = None,
    ) -> None:
        """End it now, or at `end_time`, which MLflow's users call `end_time_ns`. A second call changes nothing."""
        if self.end_time_ns is not None:
            return
        if outputs is not None:
            self.set_outputs(outputs)
        if attributes is not None:
            self.set_attributes(attributes)
        if status is not None:
            self.set_status(status)
        if self._status is Status.UNSET:
            self._status = Status.OK
        if end_time is None:
            end_time = end_time_ns
        ended_ns = now_ns() if end_time is None else moment(end_time)
        self.end_time_ns = ended_ns if ended_ns > self.start_time_ns else self.start_time_ns  # noqa: FURB136 - faster
        if self._on_end is not None:
            self._on_end(self)

    def update_name(self, name: str) -> None:
        """Rename it."""
        self.name = text(name)

    def drop(self) -> None:
        """Do not store this span; for span processors.

        What is below it is stored all the same. Of a root with such spans its times and status are left.
        """
        self._dropped = True

    def replace_texts(self, new: Callable[[str], str]) -> None:
        """Put `new(text)` in place of every text of this span and of its trace's fields.

        These are the name, inputs, outputs, attributes, events, links and the status, with the names of what is in
        them; of the trace, session, user, run, tags, metadata and previews.
        """
        self.rewrite(lambda value, _name: new(value) if isinstance(value, str) else value)

    def rewrite(self, leaf: Leaf) -> None:
        """Replace every text and integer of this span and of its trace's fields, as `texts.rewritten` does."""
        self.resolve()
        self.name = str(leaf(self.name, ""))
        self._inputs = rewritten(self._inputs, leaf)
        self._outputs = rewritten(self._outputs, leaf)
        ours = {name: self._attributes[name] for name in (semconv.DUPLICATE_OF,) if name in self._attributes}
        self._attributes = {**rewritten(self._attributes, leaf), **ours}
        self._events = [
            SpanEvent(str(leaf(e.name, "")), e.timestamp_ns, rewritten(dict(e.attributes), leaf))
            for e in self._events or ()
        ] or None
        self._links = [
            Link(link.trace_id, link.span_id, rewritten(dict(link.attributes), leaf)) for link in self._links or ()
        ] or None
        if self._status.description is not None:
            self._status = Status(self._status.code, str(leaf(self._status.description, "")))
        if self._usage is not None and self._usage.raw is not None:
            self._usage = replace(self._usage, raw=rewritten(dict(self._usage.raw), leaf))
        if self._context is not None:
            self._context.rewrite(leaf)

    def copy(self) -> Span:
        """Return a span of the same ids and content, whose changes reach neither this one nor its trace."""
        found = Span.__new__(Span)
        found.__dict__.update(self.__dict__)
        found._attributes = dict(self._attributes)
        found._events, found._links = list(self._events or ()) or None, list(self._links or ()) or None
        found._on_end = found._token = found._outer_tokens = found._deferred = None
        if self._context is not None:
            found._context = self._context.copy()
        return found

    def is_recording(self) -> bool:
        """Whether it runs still."""
        return self.end_time_ns is None

    def get_span_context(self) -> otel.SpanContext:
        """Return its ids as OpenTelemetry knows them."""
        is_sampled = self._context is None or self._context.sampled is not False
        return otel.SpanContext(self._trace_id, self._span_id, is_remote=False, trace_flags=otel.TraceFlags(is_sampled))

    def __enter__(self) -> Self:
        token = attach(self)
        if self._token is not None:
            self._outer_tokens = [*(self._outer_tokens or ()), self._token]
        self._token = token
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        outer = self._outer_tokens
        token, self._token = self._token, outer.pop() if outer else None
        if token is not None:
            leave(self, token)
        if error is not None:
            self.left_by(error)
        self.end()

    # --- as data ---------------------------------------------------------------------------------

    def payload(self) -> dict[str, Any]:
        """Return what is kept of it beside its row, as stores and the wire write it: the same objects, not copies."""
        self.resolve()
        usage, cost = self._usage, self._cost
        return {
            "description": self._status.description,
            "inputs": self._inputs,
            "outputs": self._outputs,
            "attributes": self._attributes,
            "events": [[e.name, e.timestamp_ns, e.attributes] for e in self._events or ()],
            "links": [[link.trace_id, link.span_id, link.attributes] for link in self._links or ()],
            "usage": None if usage is None else usage.to_dict(),
            "cost": None if cost is None else cost.to_dict(),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it; `from_dict` gives an equal span back."""
        self.resolve()
        data: dict[str, Any] = capture.plain(
            {
                "trace_id": self.trace_id,
                "span_id": self.span_id,
                "parent_id": self.parent_id,
                "name": self.name,
                "span_type": str(self.span_type),
                "start_time_ns": self.start_time_ns,
                "end_time_ns": self.end_time_ns,
                "status": {"code": str(self._status.code), "description": self._status.description},
                "inputs": self._inputs,
                "outputs": self._outputs,
                "attributes": self._attributes,
                "events": [
                    {"name": e.name, "timestamp_ns": e.timestamp_ns, "attributes": dict(e.attributes)}
                    for e in self._events or ()
                ],
                "links": [
                    {"trace_id": link.trace_id, "span_id": link.span_id, "attributes": dict(link.attributes)}
                    for link in self._links or ()
                ],
                "usage": self._usage.to_dict() if self._usage else None,
                "cost": self._cost.to_dict() if self._cost else None,
            }
        )
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Span:
        """Read what `to_dict` wrote."""
        parent = data["parent_id"]
        span = cls(
            data["name"],
            SpanType(data["span_type"]),
            parse_id(data["trace_id"], 32),
            parse_id(data["span_id"], 16),
            parse_id(parent, 16) if parent else None,
            data["start_time_ns"],
        )
        span.end_time_ns = data["end_time_ns"]
        span._status = Status(StatusCode(data["status"]["code"]), data["status"]["description"])
        span._inputs, span._outputs = data["inputs"], data["outputs"]
        span._attributes = dict(data["attributes"])
        span._events = [SpanEvent(e["name"], e["timestamp_ns"], e["attributes"]) for e in data["events"]] or None
        span._links = [Link(link["trace_id"], link["span_id"], link["attributes"]) for link in data["links"]] or None
        span._usage = TokenUsage.from_dict(data["usage"]) if data["usage"] else None
        span._cost = Cost.from_dict(data["cost"]) if data["cost"] else None
        return span

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Span):
            return NotImplemented
        return self is other or self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self._trace_id, self._span_id))

    def __repr__(self) -> str:
        return f"Span(name={self.name!r}, span_type={self.span_type!s}, status={self.status.code}, id={self.span_id})"


def is_cancelling(kind: str) -> bool:
    """Whether an exception of this type ends what somebody called off."""
    return kind.rpartition(".")[2] in _CANCELLING


def exception_event(
    exception: BaseException, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
) -> SpanEvent:
    """Describe an exception, without keeping it: it holds the frames that it passed, and all that they hold."""
    details = {
        semconv.EXCEPTION_TYPE: exception_type(exception),
        semconv.EXCEPTION_MESSAGE: exception_message(exception, "<its __str__ failed>"),
        semconv.EXCEPTION_STACKTRACE: _said(_stack, exception, ""),
        **_pictured(attributes),
    }
    return SpanEvent(semconv.EXCEPTION_EVENT, moment(timestamp), details)


def exception_message(exception: BaseException, otherwise: str = "") -> str:
    """Return what an exception says, without keys; `otherwise` where its `__str__` fails."""
    return _said(str, exception, otherwise)


def _said(say: Callable[[BaseException], str], exception: BaseException, otherwise: str) -> str:
    with suppress():  # its `__str__` may be traced, and fail
        message = attempt(say, exception, default=otherwise)
    return redact_keys(message)


def _pictured(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    if attributes is None:
        return {}
    if not isinstance(attributes, Mapping):
        logger.warning("%r is no mapping of attributes and is ignored", attributes)
        return {}
    picture: dict[str, Any] = capture.snapshot(dict(attributes))
    return picture


def _is_success(error: SystemExit) -> bool:
    """Whether it is a program's way to end well: `sys.exit()`."""
    return error.code is None or (isinstance(error.code, int) and error.code == 0)


def exception_type(error: BaseException) -> str:
    """Return the exception's type as users import it (`openai.RateLimitError`, not its private module)."""
    kind = type(error)
    module = kind.__module__
    if module == "builtins":
        return kind.__qualname__
    public = ".".join(part for part in module.split(".") if not part.startswith("_"))
    return f"{public or module}.{kind.__qualname__}"


def _stack(error: BaseException, frames: int = 50) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__, limit=-frames))
