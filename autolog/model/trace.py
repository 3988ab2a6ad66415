"""A trace: the tree of spans of one run, and what is known of it as a whole."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autolog.display import terminal
from autolog.fork import ForkLock
from autolog.guard import guarded
from autolog.model.assessment import Assessment
from autolog.model.span import Span, SpanType
from autolog.model.usage import Cost, TokenUsage
from autolog.texts import Leaf, rewritten

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult


class TraceState(str, Enum):
    """Where a trace stands; a finished one has its root's status."""

    IN_PROGRESS = "IN_PROGRESS"
    OK = "OK"
    ERROR = "ERROR"
    CANCELLED = "CANCELLED"

    __str__ = str.__str__


_changing = ForkLock(rank=2)
_NO_LABELS: Mapping[str, str | None] = {}


def _changed(labels: Mapping[str, str] | None, changes: Mapping[str, str | None]) -> dict[str, str] | None:
    changed = {**(labels or {}), **changes}
    return {name: value for name, value in changed.items() if value is not None} or None


class TraceContext:
    """What all spans of a running trace share and may change until it is stored."""

    # Defaults live on the class: a trace that starts sets only what it has.
    run: str | None = None
    session: str | None = None
    user: str | None = None
    tags: dict[str, str] | None = None
    metadata: dict[str, str] | None = None
    client_request_id: str | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    state: TraceState | None = None
    sampled: bool | None = True
    """Whether the trace is stored; `None` while its end is waited for to decide that."""
    is_stored: bool = False
    """Whether any of its spans went to the store."""

    def __init__(self, experiment: str, version: str | None = None) -> None:
        self.experiment = experiment
        self.version = version

    def change(self, *, tags: Mapping[str, str | None], metadata: Mapping[str, str | None] = _NO_LABELS) -> None:
        """Add tags and metadata to those that there are, in any thread; `None` takes one away."""
        with _changing:
            self.tags = _changed(self.tags, tags)
            self.metadata = _changed(self.metadata, metadata)

    def copy(self) -> TraceContext:
        """Return one with the same fields, whose changes do not reach this one."""
        found = TraceContext.__new__(TraceContext)
        for name, value in list(self.__dict__.items()):
            setattr(found, name, dict(value) if isinstance(value, dict) else value)
        return found

    def rewrite(self, leaf: Leaf) -> None:
        """Replace the texts that the program gave, as `texts.rewritten` does."""
        for name in ("run", "session", "user", "client_request_id", "tags", "metadata", *PREVIEWS):
            setattr(self, name, rewritten(getattr(self, name), leaf, name))


PREVIEWS = ("request_preview", "response_preview")


def first_named(fields: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """Return the first of `names` that `fields` has a text or a number for: a session or a user, as programs name them."""
    for name in names:
        found = fields.get(name)
        if found is not None and isinstance(found, (str, int)):
            return str(found)
    return None


@dataclass(frozen=True, slots=True)
class TraceInfo:
    """A trace without its spans: what a list of traces shows."""

    trace_id: str
    name: str
    state: TraceState
    start_time_ns: int
    end_time_ns: int | None = None
    experiment: str = "default"
    run: str | None = None
    session: str | None = None
    user: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    request_preview: str | None = None
    response_preview: str | None = None
    usage: TokenUsage | None = None
    """Tokens of the outermost model calls: a model call inside another one counts once."""
    cost: Cost | None = None
    """US dollars, counted as the tokens are."""
    span_count: int = 0
    error_count: int = 0
    error: str | None = None
    """What the span that failed first says of it."""
    version: str | None = None
    """The program's version."""
    client_request_id: str | None = None
    """The id that whoever asked gave to the request."""
    assessments: Sequence[Assessment] = ()
    """Feedback and expectations, oldest first."""

    @property
    def status(self) -> TraceState:
        """The state, by the name that MLflow's users know."""
        return self.state

    @property
    def token_usage(self) -> TokenUsage | None:
        """The usage, by the name that MLflow's users know."""
        return self.usage

    @property
    def duration_ns(self) -> int | None:
        """Nanoseconds from the root's start to its end, or `None` while it runs."""
        return None if self.end_time_ns is None else self.end_time_ns - self.start_time_ns

    @property
    def request_time(self) -> int:
        """Milliseconds since the epoch at its start, by the name that MLflow's users know."""
        return self.start_time_ns // 1_000_000

    @property
    def execution_duration(self) -> int | None:
        """Whole milliseconds that it took, by the name that MLflow's users know."""
        return None if self.duration_ns is None else self.duration_ns // 1_000_000

    @property
    def trace_metadata(self) -> Mapping[str, str]:
        """The metadata, by the name that MLflow's users know."""
        return self.metadata

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it; `from_dict` gives an equal one back."""
        return {
            "trace_id": self.trace_id,
            "name": self.name,
            "state": str(self.state),
            "start_time_ns": self.start_time_ns,
            "end_time_ns": self.end_time_ns,
            "experiment": self.experiment,
            "run": self.run,
            "session": self.session,
            "user": self.user,
            "tags": dict(self.tags),
            "metadata": dict(self.metadata),
            "request_preview": self.request_preview,
            "response_preview": self.response_preview,
            "usage": self.usage.to_dict() if self.usage else None,
            "cost": self.cost.to_dict() if self.cost else None,
            "span_count": self.span_count,
            "error_count": self.error_count,
            "error": self.error,
            "version": self.version,
            "client_request_id": self.client_request_id,
            "assessments": [assessment.to_dict() for assessment in self.assessments],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TraceInfo:
        """Read what `to_dict` wrote."""
        return cls(
            **{
                **data,
                "state": TraceState(data["state"]),
                "usage": TokenUsage.from_dict(data["usage"]) if data["usage"] else None,
                "cost": Cost.from_dict(data["cost"]) if data["cost"] else None,
                "assessments": tuple(Assessment.from_dict(one) for one in data.get("assessments", ())),
            }
        )


@dataclass(frozen=True, slots=True)
class TraceData:
    """The spans, where MLflow's users look for them."""

    spans: Sequence[Span]


@dataclass(frozen=True, slots=True)
class Trace:
    """The spans of one run, parents before children and else by start, with what is known of it as a whole.

    Printing it shows the tree; rich prints it in colour.
    """

    info: TraceInfo
    spans: Sequence[Span]

    @property
    def trace_id(self) -> str:
        """The id, 32 hex digits."""
        return self.info.trace_id

    @property
    def name(self) -> str:
        """The root's name."""
        return self.info.name

    @property
    def state(self) -> TraceState:
        """Where it stands."""
        return self.info.state

    @property
    def usage(self) -> TokenUsage | None:
        """Tokens of the outermost model calls, each counted once."""
        return self.info.usage

    @property
    def token_usage(self) -> TokenUsage | None:
        """The usage, by the name that MLflow's users know."""
        return self.info.usage

    @property
    def cost(self) -> Cost | None:
        """US dollars, counted as the tokens are."""
        return self.info.cost

    @property
    def duration_ns(self) -> int | None:
        """Nanoseconds from the root's start to its end, or `None` while it runs."""
        return self.info.duration_ns

    @property
    def assessments(self) -> Sequence[Assessment]:
        """Feedback and expectations, oldest first."""
        return self.info.assessments

    @property
    def data(self) -> TraceData:
        """The spans, where MLflow's users look for them."""
        return TraceData(self.spans)

    @property
    def root(self) -> Span | None:
        """The first span without a parent in this trace, or `None` while no such span is stored."""
        known = {span.span_id for span in self.spans}
        return next((span for span in self.spans if span.parent_id not in known), None)

    def children(self, parent: Span | None) -> list[Span]:
        """Return the spans right below `parent`, or, for `None`, those with no parent in this trace."""
        if parent is not None:
            return [span for span in self.spans if span.parent_id == parent.span_id]
        known = {span.span_id for span in self.spans}
        return [span for span in self.spans if span.parent_id not in known]

    def search_spans(
        self,
        span_type: SpanType | str | None = None,
        name: str | re.Pattern[str] | None = None,
        span_id: str | None = None,
    ) -> list[Span]:
        """Return the spans that have this type, this name (or match this pattern) and this id."""
        wanted = SpanType(span_type) if span_type is not None else None
        return [
            span
            for span in self.spans
            if (wanted is None or span.span_type is wanted)
            and (name is None or (name.search(span.name) if isinstance(name, re.Pattern) else name == span.name))
            and (span_id is None or span.span_id == span_id)
        ]

    def search_assessments(
        self,
        name: str | None = None,
        *,
        span_id: str | None = None,
        all: bool = False,  # noqa: A002 - MLflow's name
        type: Literal["feedback", "expectation"] | None = None,  # noqa: A002 - MLflow's name
    ) -> list[Assessment]:
        """Return the assessments that have this name, span and type; with `all`, those too that were overridden."""
        return [
            one
            for one in self.assessments
            if (name is None or one.name == name)
            and (span_id is None or one.span_id == span_id)
            and (all or one.valid)
            and (type is None or one.kind == type)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it; `from_dict` gives an equal trace back."""
        return {"info": self.info.to_dict(), "spans": [span.to_dict() for span in self.spans]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trace:
        """Read what `to_dict` wrote."""
        return cls(TraceInfo.from_dict(data["info"]), tuple(Span.from_dict(span) for span in data["spans"]))

    def to_json(self, pretty: bool = False) -> str:
        """Return `to_dict` as JSON text."""
        import json

        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2 if pretty else None)

    @classmethod
    def from_json(cls, text: str) -> Trace:
        """Read what `to_json` wrote."""
        import json

        return cls.from_dict(json.loads(text))

    def save_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the trace as one HTML file that needs no other, to open in a browser or to send; return its path."""
        from autolog.model.outline import outline
        from autolog.viewer.document import document
        from autolog.viewer.page import page

        written = Path(path).expanduser()
        written.write_text(page(document(outline(self), self.spans), title=self.name), encoding="utf-8")
        return written

    def show(self) -> None:
        """Print the tree, in colour where rich is installed."""
        terminal.show(self)

    def __str__(self) -> str:
        return terminal.text(self)

    def __repr__(self) -> str:
        return f"Trace({self.trace_id}, {self.name!r}, {self.state}, {len(self.spans)} spans)"

    def _repr_mimebundle_(self, include: Container[str] | None = None, **_: Any) -> dict[str, str]:
        """Return what a notebook shows: the viewer, and one line of plain text."""
        from autolog.viewer.notebook import PLAIN, mimebundle

        with guarded:
            return mimebundle([self], include=include)
        return {PLAIN: repr(self)}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield terminal.tree(self, options.max_width)


def in_tree_order(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Sort spans by start time, each parent before its children even where clocks disagree."""
    ordered = sorted(spans, key=lambda span: (span.start_time_ns, span.end_time_ns or 0))
    known = {span._span_id for span in ordered}
    waiting: dict[int, list[Span]] = {}
    placed: dict[int, Span] = {}
    for first in ordered:
        ready = [first]
        while ready:
            span = ready.pop(0)
            parent = span._parent_id
            if parent is not None and parent in known and parent not in placed and parent != span._span_id:
                waiting.setdefault(parent, []).append(span)
                continue
            placed[span._span_id] = span
            ready.extend(waiting.pop(span._span_id, ()))
    # Parents that form a ring, which only broken data has, are never placed above.
    left = [span for span in ordered if span._span_id not in placed]
    return (*placed.values(), *left)


def count_once(span: Span) -> None:
    """Work out what an ended span adds to its trace's totals, so that nested model calls count once.

    The outermost span that knows its usage counts, and so for cost. Children mostly come first, so a parent's share is
    its own less what its descendants added already. To be called once a span, in any order.
    """
    if span.usage is None:
        return
    if span.parent is None and span.covered is None:  # a call on its own, as most are
        span.counted = span.usage, span.cost or Cost()
        return
    above = list(_ancestors(span))
    usage, cost, covered_cost = span.usage, Cost(), Cost()
    if span.covered is not None:
        usage, covered_cost = usage - span.covered[0], span.covered[1]
    if any(ancestor.counted is not None for ancestor in above):
        usage = TokenUsage()
    # A cost that is known below is not lost where it is unknown above.
    if span.cost is not None and not any(a.counted is not None and a.cost is not None for a in above):
        cost = span.cost - covered_cost
    span.counted = usage, cost
    for ancestor in above:
        below = ancestor.covered
        ancestor.covered = (usage, cost) if below is None else (below[0] + usage, below[1] + cost)


def _ancestors(span: Span) -> Iterator[Span]:
    parent = span.parent
    while parent is not None:
        yield parent
        parent = parent.parent


def totals(spans: Sequence[Span]) -> tuple[TokenUsage | None, Cost | None]:
    """Sum usage and cost over the outermost spans that know them."""
    by_id = {span.span_id: span for span in spans}
    usage, cost = TokenUsage(), None
    for span in spans:
        if span.usage is not None and not _has_ancestor(span, by_id, "usage"):
            usage += span.usage
        if span.cost is not None and not _has_ancestor(span, by_id, "cost"):
            cost = span.cost if cost is None else cost + span.cost
    return usage or None, cost


def _has_ancestor(span: Span, by_id: Mapping[str, Span], known: str) -> bool:
    seen = {span.span_id}
    parent = by_id.get(span.parent_id or "")
    while parent is not None and parent.span_id not in seen:
        if getattr(parent, known) is not None:
            return True
        seen.add(parent.span_id)
        parent = by_id.get(parent.parent_id or "")
    return False
