"""What is done to each span before anyone else sees it: withhold, redact, and what the program asks for."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from autolog import semconv
from autolog.errors import InvalidSetting
from autolog.guard import guarded
from autolog.model.span import Link, Span, SpanEvent, Status
from autolog.model.trace import PREVIEWS
from autolog.personal import Redactor
from autolog.settings import Settings
from autolog.texts import Leaf, strings, text, text_or_none

logger = logging.getLogger("autolog")

Processor = Callable[[Span], object]
"""Changes a span before it is stored, or drops it. What it returns is of no account."""

WITHHELD_NAME = "[withheld]"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in this order."""

    withhold: str | None = None
    """Why nothing but figures may be stored of any span."""
    capture_content: bool = True
    redactor: Redactor | None = None
    processors: tuple[Processor, ...] = ()

    @property
    def leaf(self) -> Leaf | None:
        """What to do with texts that do not come by a span, or `None` for nothing."""
        if self.withhold is not None:
            return lambda value, _name: WITHHELD_NAME if isinstance(value, str) else value
        return None if self.redactor is None else self.redactor.leaf


NOTHING = Plan()


def plan_of(settings: Settings, processors: tuple[Processor, ...], *, is_typo_fatal: bool) -> Plan:
    """Return what settings and processors ask for; `NOTHING` itself where that is nothing.

    Raises `InvalidSetting` for what can't be found and redacted, or, where that is not to be fatal, withholds it all.
    """
    redactor = None
    try:
        redactor = Redactor(settings.redact, settings.redact_region) if settings.redact else None
    except InvalidSetting as error:
        if is_typo_fatal:
            raise
        logger.error("%s Until that is mended nothing but figures is stored of any span.", error)  # noqa: TRY400
        return Plan(withhold="what AUTOLOG_REDACT asks for can't be done")
    plan = Plan(None, settings.capture_content, redactor, processors)
    return NOTHING if plan == NOTHING else plan


class Processing:
    """Makes of a span that is to be stored what may be stored of it. Used by one thread at a time."""

    def __init__(self) -> None:
        self.plan = NOTHING
        self.failures = 0
        """Spans of which only figures were stored, because a processor failed."""
        self._complained: set[tuple[int, type]] = set()
        self._interrupted = False

    def __call__(self, span: Span) -> Span | None:
        """Return what may be stored of `span`, or `None` where it was dropped; the program's own span stays as it is.

        Of a root that was dropped alone, the figures are left.
        """
        plan = self.plan
        shown = span if plan is NOTHING else self._processed(span.copy(), plan)
        context = span._context
        if not shown._dropped:
            if context is not None:
                context.is_stored = True
            return shown
        if span._parent is not None or context is None or not context.is_stored:
            return None
        shown = span.copy()
        bare(shown, "dropped by a span processor")  # for what is stored of its trace needs an end
        return shown

    def _processed(self, shown: Span, plan: Plan) -> Span:
        if plan.withhold is not None:
            bare(shown, plan.withhold)
        elif not self._is_prepared(shown, plan):
            self.failures += 1
            bare(shown, "redaction failed")
        else:
            times = shown.start_time_ns, shown.end_time_ns
            for processor in plan.processors:
                if shown._dropped:
                    break
                if not self._is_processed(shown, processor):
                    shown.start_time_ns, shown.end_time_ns = times
                    break
        return shown

    @staticmethod
    def _is_prepared(span: Span, plan: Plan) -> bool:
        with guarded:
            if not plan.capture_content:
                without_content(span)
            if plan.redactor is not None:
                span.rewrite(plan.redactor.leaf)
            return True
        return False

    def _is_processed(self, span: Span, processor: Processor) -> bool:
        try:
            result = processor(span)
            if inspect.isawaitable(result):
                raise TypeError("it returns what is to be awaited")  # noqa: TRY301
            _mend(span)
        except BaseException as error:  # noqa: BLE001 - the program's code; sys.exit() in it must not end the worker
            # Only the type is told: the message may hold what should have been redacted.
            kind = type(error).__name__
            self.failures += 1
            bare(span, f"a span processor failed: {kind}")
            self._interrupted |= isinstance(error, KeyboardInterrupt)
            if (id(processor), type(error)) not in self._complained:
                self._complained.add((id(processor), type(error)))
                logger.warning(
                    "the span processor %s failed with %s at %s. Nothing but figures is stored of such spans; "
                    "autolog.stats().processor_errors counts them.", _title(processor), kind, _place(error),
                )  # fmt: skip
            return False
        return True

    def raise_interruption(self) -> None:
        """Raise the `KeyboardInterrupt` that came while a processor ran, now that nothing is lost by it."""
        interrupted, self._interrupted = self._interrupted, False
        if interrupted and threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt


def check_processors(processors: Iterable[Processor] | None) -> tuple[Processor, ...]:
    """Return span processors as a tuple; raise `InvalidSetting` for what is none."""
    if not isinstance(processors, Iterable | None):
        raise InvalidSetting(f"span_processors is a list of functions of a span, not {processors!r}")
    found = tuple(processors or ())
    for processor in found:
        if not callable(processor):
            raise InvalidSetting(f"a span processor is a function of a span, not {processor!r}")
        if inspect.iscoroutinefunction(processor) or inspect.iscoroutinefunction(getattr(processor, "__call__", None)):  # noqa: B004
            raise InvalidSetting(f"a span processor can't be async, as {_title(processor)} is: nobody would await it")
    return found


def _mend(span: Span) -> None:
    """Make texts of what a processor put in place of texts; raise `TypeError` or `ValueError` for what can't be stored."""
    span.name = text(span.name)
    if not isinstance(span.start_time_ns, int) or not isinstance(span.end_time_ns, int | None):
        raise TypeError("it gives the span a time that is none")
    context = span._context
    if context is not None:
        for name in ("session", "user", "client_request_id", "version", *PREVIEWS):
            setattr(context, name, text_or_none(getattr(context, name)))
        context.tags, context.metadata = strings(context.tags) or None, strings(context.metadata) or None


def _title(processor: Processor) -> str:
    return getattr(processor, "__qualname__", type(processor).__qualname__)


def _place(error: BaseException) -> str:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return "?" if traceback is None else f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"


def bare(span: Span, why: str) -> None:
    """Leave of a span its ids, times, type, status code, tokens and cost, and say why."""
    ours = {name: value for name, value in span._attributes.items() if name == semconv.DUPLICATE_OF}
    span.name = WITHHELD_NAME
    span._inputs = span._outputs = span._deferred = span._events = None
    span._attributes = {**ours, semconv.WITHHELD: why}
    span._links = [Link(link.trace_id, link.span_id) for link in span._links or ()] or None
    span._status = Status(span._status.code)
    if span._usage is not None:
        span._usage = replace(span._usage, raw=None)
    if span._context is not None:
        for name in ("session", "user", "client_request_id", "tags", "metadata", *PREVIEWS):
            setattr(span._context, name, None)


def without_content(span: Span) -> None:
    """Leave of a span its names, figures and labels, and the types of errors."""
    kind = span._attributes.get(semconv.ERROR_TYPE)
    span._inputs = span._outputs = span._deferred = None
    span._attributes = _labels(span._attributes)
    span._events = [SpanEvent(e.name, e.timestamp_ns, _labels(e.attributes)) for e in span._events or ()] or None
    span._links = [Link(link.trace_id, link.span_id, _labels(link.attributes)) for link in span._links or ()] or None
    if span._status.description is not None:
        span._status = Status(span._status.code, kind)
    if span._usage is not None and span._usage.raw is not None:
        span._usage = replace(span._usage, raw=_figures(span._usage.raw))
    if span._context is not None:
        for name in PREVIEWS:
            setattr(span._context, name, None)


def _labels(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in attributes.items()
        if name not in semconv.WITH_CONTENT and semconv.has_no_content(name, value)
    }


def _figures(raw: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: _figures(value) if isinstance(value, dict) else value for name, value in raw.items()}
    return {name: value for name, value in found.items() if isinstance(value, (int, float, dict))}
