"""Which traces are recorded: a share of them, those that a rule names, and those that failed or were slow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from opentelemetry.trace import SpanContext

from autolog.context import suppress
from autolog.errors import InvalidSetting
from autolog.ids import now_ns
from autolog.model.span import Span
from autolog.settings import Settings

if TYPE_CHECKING:
    from autolog.model.trace import TraceContext

logger = logging.getLogger("autolog")

Rule = Callable[[Span], "float | bool | None"]
"""Asked for the root of a new trace: `True` keeps the trace, `False` does not, a number is the share of its like to
keep, and `None` leaves it to the ratio."""

# OpenTelemetry looks at these bits too (TraceIdRatioBased), so a trace is kept there and here, or nowhere.
_BITS = 64
_LOW = (1 << _BITS) - 1


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


BY_SETTING: Mapping[str, str] = {
    "sample_ratio": "ratio",
    "sample_keep_errors": "keep_errors",
    "sample_keep_slower": "keep_slower_than",
    "sample_follow_parent": "follow_parent",
}
"""The fields that settings say, by the settings' names."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which traces are recorded. Raises `InvalidSetting` for values that can't be used."""

    ratio: float = 1.0
    """The share of traces to record, from 0 to 1, chosen by their ids: other processes choose the same ones."""
    keep_errors: bool = False
    """Whether a trace that the ratio leaves out is kept where one of its spans failed."""
    keep_slower_than: float | None = None
    """Seconds: a trace that the ratio leaves out is kept where it took longer."""
    rule: Rule | None = None
    """Asked before the ratio; see `Rule`."""
    follow_parent: bool = True
    """Whether a trace that another process, or another library's span around it, does not record is not recorded here."""
    hold: float = 300.0
    """Seconds that spans wait for their trace to end, before it is kept without knowing how it ends."""

    def __post_init__(self) -> None:
        if not _is_number(self.ratio) or not 0 <= self.ratio <= 1:
            raise InvalidSetting(f"the ratio of sampling must be from 0 to 1, not {self.ratio!r}")
        if self.keep_slower_than is not None and not (_is_number(self.keep_slower_than) and self.keep_slower_than >= 0):
            raise InvalidSetting(f"keep_slower_than must be seconds, not {self.keep_slower_than!r}")
        if not _is_number(self.hold) or self.hold < 0:
            raise InvalidSetting(f"hold must be seconds, not {self.hold!r}")
        if self.rule is not None and not callable(self.rule):
            raise InvalidSetting(f"the rule of sampling must be a function of a span, not {self.rule!r}")

    def with_settings(self, settings: Settings, names: Iterable[str] = tuple(BY_SETTING)) -> Sampling:
        """Return it with what the settings of these names say."""
        return replace(self, **{BY_SETTING[name]: getattr(settings, name) for name in names if name in BY_SETTING})

    @property
    def is_everything(self) -> bool:
        """Whether every trace is recorded that is not left out elsewhere."""
        return self.ratio == 1 and self.rule is None and self.follow_parent

    @property
    def looks_at_the_end(self) -> bool:
        """Whether a trace that the ratio leaves out may be kept for how it ends."""
        return self.keep_errors or self.keep_slower_than is not None

    def before(self, trace_id: int, around: SpanContext | None, ratio: float | None, *, asks: bool) -> bool | None:
        """Return whether to record a new trace, before its rule is asked if that `asks`; `None` where its end decides.

        `around` is the span of another process or library that it is in, `ratio` what its place in the code asks for.
        """
        if around is not None and self.follow_parent and not around.trace_flags.sampled:
            return False
        return True if asks else self._by_ratio(trace_id, self.ratio if ratio is None else ratio)

    def ask(self, span: Span) -> bool | None:
        """Return what the rule says of a new trace's root, as `before` does."""
        said: float | bool | None = None
        try:
            with suppress():  # what the rule calls is no part of the program
                said = self.rule(span) if self.rule is not None else None
        except Exception as error:  # noqa: BLE001 - code of the program's, which must not break it
            _complain("failed with", type(error).__name__, self.rule)
            return True
        if isinstance(said, bool):
            return said
        if said is not None and not (_is_number(said) and 0 <= said <= 1):
            _complain("returned", type(said).__name__, self.rule)
            return True
        return self._by_ratio(span._trace_id, self.ratio if said is None else said)

    def _by_ratio(self, trace_id: int, ratio: float) -> bool | None:
        if trace_id & _LOW < round(ratio * (_LOW + 1)):
            return True
        return None if self.looks_at_the_end else False

    def is_kept_for(self, span: Span) -> bool:
        """Whether a span keeps its trace: it failed, or it is the root, open or ended, and is slow."""
        if self.keep_errors and span._status.is_error:
            return True
        if self.keep_slower_than is None or span._parent is not None:
            return False
        return (span.end_time_ns or now_ns()) - span.start_time_ns > self.keep_slower_than * 1e9


EVERYTHING = Sampling()


_complained: set[int] = set()


def _complain(did: str, what: str, rule: object) -> None:
    if id(rule) not in _complained:
        _complained.add(id(rule))
        logger.warning(
            "the rule of sampling %s %s; it must return True, False, None or a number from 0 to 1. "
            "Traces that it can't decide on are kept.", did, what,
        )  # fmt: skip


@dataclass(slots=True)
class _Waiting:
    since_ns: int
    spans: list[Span] = field(default_factory=list)
    size: int = 0


class Undecided:
    """Ended spans of traces whose end decides whether they are kept. Used by one thread at a time.

    Holds at most so many spans and bytes: beyond them, the trace that waits longest is kept.
    """

    def __init__(self, sampling: Sampling, most_spans: int, most_bytes: int) -> None:
        self.sampling = sampling
        self.most_spans = most_spans
        self.most_bytes = most_bytes
        self.count = 0
        self.sampled_out_spans = 0
        self.sampled_out_traces = 0
        self._size = 0
        self._traces: dict[TraceContext, _Waiting] = {}

    def take(self, span: Span, context: TraceContext, size: int) -> Iterable[Span]:
        """Take an ended span; return what is to be stored now: nothing, or all of its trace that there is."""
        if context.sampled is False:
            self.sampled_out_spans += 1
            return ()
        waiting = self._traces.setdefault(context, _Waiting(now_ns()))
        waiting.spans.append(span)
        waiting.size += size
        self.count += 1
        self._size += size
        if self.sampling.is_kept_for(span) or not self.sampling.looks_at_the_end:
            return self.keep(context)
        if span._parent is None:
            return self._leave_out(context)
        return self._make_room()

    def keep(self, context: TraceContext) -> Iterable[Span]:
        """Decide to keep a trace; return its spans that ended."""
        context.sampled = True
        return self._forget(context)

    def keep_all(self) -> Iterator[Span]:
        """Decide to keep all traces; yield their spans that ended."""
        for context in list(self._traces):
            yield from self.keep(context)

    def keep_overdue(self) -> Iterator[Span]:
        """Decide to keep what has waited too long; yield its spans."""
        before = now_ns() - int(self.sampling.hold * 1e9)
        for context, waiting in list(self._traces.items()):
            if waiting.since_ns > before:
                return  # the others came later
            yield from self.keep(context)

    def _leave_out(self, context: TraceContext) -> Iterable[Span]:
        context.sampled = False
        self.sampled_out_traces += 1
        self.sampled_out_spans += len(self._forget(context))
        return ()

    def _make_room(self) -> Iterator[Span]:
        while self.count > self.most_spans or self._size > self.most_bytes:
            yield from self.keep(next(iter(self._traces)))

    def _forget(self, context: TraceContext) -> list[Span]:
        waiting = self._traces.pop(context, None)
        if waiting is None:
            return []
        self.count -= len(waiting.spans)
        self._size -= waiting.size
        return waiting.spans
