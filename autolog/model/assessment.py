"""What people, programs and models say of a trace: feedback on how good it is, and what was expected of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from autolog import capture
from autolog.errors import InvalidAssessment
from autolog.ids import new_trace_id, now_ns, parse_id
from autolog.model.span import exception_message
from autolog.texts import Leaf, rewritten, strings, text, text_or_none

if TYPE_CHECKING:
    from typing_extensions import Self


class SourceType(str, Enum):
    """Who assesses."""

    HUMAN = "HUMAN"
    LLM_JUDGE = "LLM_JUDGE"
    CODE = "CODE"

    __str__ = str.__str__

    @classmethod
    def _missing_(cls, value: object) -> SourceType | None:
        return cls.__members__.get(str(value).upper())


@dataclass(frozen=True, slots=True)
class AssessmentSource:
    """Who assessed: a kind, and a name within it, such as a person's or a judge model's."""

    source_type: SourceType
    source_id: str = "default"

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "source_type", SourceType(self.source_type))
        except ValueError:
            known = ", ".join(SourceType.__members__)
            raise InvalidAssessment(f"{self.source_type!r} is not a type of source; there are: {known}") from None
        object.__setattr__(self, "source_id", text(self.source_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """One thing that somebody says of a trace, or of one of its spans."""

    kind: ClassVar[str]

    name: str
    value: Any = None
    """Anything that JSON has: a score, a label, a text, a list."""
    source: AssessmentSource = AssessmentSource(SourceType.CODE)
    span_id: str | None = None
    """The span that it is about, 16 hex digits, or `None` for the whole trace."""
    rationale: str | None = None
    error: BaseException | str | None = None
    """Why there is no value, where whoever was to give it failed."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    trace_id: str | None = None
    """The trace that it is about, once it is stored."""
    assessment_id: str = field(default_factory=lambda: f"{new_trace_id():032x}")
    create_time_ns: int = field(default_factory=now_ns)
    last_update_time_ns: int = field(default_factory=now_ns)
    overrides: str | None = None
    """The id of the assessment that this one takes the place of."""
    valid: bool = True
    """Whether it holds still: one that was overridden does not, and searches pass it over."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise InvalidAssessment(f"an assessment needs a name, not {self.name!r}")
        if not isinstance(self.source, AssessmentSource):
            raise InvalidAssessment(f"a source is given as AssessmentSource('HUMAN', 'ada'), not as {self.source!r}")
        try:
            if self.span_id is not None:
                parse_id(self.span_id, 16)
        except ValueError as wrong:
            raise InvalidAssessment(f"span_id names a span of the trace: {wrong}") from None
        object.__setattr__(self, "rationale", text_or_none(self.rationale))
        if isinstance(self.error, BaseException):
            said = f"{type(self.error).__name__}: {exception_message(self.error)}"
            object.__setattr__(self, "error", said)
        object.__setattr__(self, "value", capture.plain(capture.snapshot(self.value)))
        object.__setattr__(self, "metadata", strings(self.metadata))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it; `from_dict` gives an equal one back."""
        return {
            "kind": self.kind,
            "name": self.name,
            "value": self.value,
            "source": {"source_type": str(self.source.source_type), "source_id": self.source.source_id},
            "span_id": self.span_id,
            "rationale": self.rationale,
            "error": self.error,
            "metadata": dict(self.metadata),
            "trace_id": self.trace_id,
            "assessment_id": self.assessment_id,
            "create_time_ns": self.create_time_ns,
            "last_update_time_ns": self.last_update_time_ns,
            "overrides": self.overrides,
            "valid": self.valid,
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Assessment:
        """Read what `to_dict` wrote."""
        fields = {name: value for name, value in data.items() if name != "kind"}
        return KINDS[data["kind"]](**{**fields, "source": AssessmentSource(**data["source"])})

    def replace(self, **changes: Any) -> Self:
        """Return it with `changes`."""
        return replace(self, **changes)

    def rewritten(self, leaf: Leaf) -> Self:
        """Return it with every text that somebody gave replaced, as `texts.rewritten` does."""
        names = ("name", "value", "rationale", "error", "metadata")
        return self.replace(**{name: rewritten(getattr(self, name), leaf, name) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback(Assessment):
    """How good something was, as somebody judged it afterwards."""

    kind: ClassVar[str] = "feedback"

    def __post_init__(self) -> None:
        # super() without arguments does not work in a dataclass with slots, which is a new class.
        Assessment.__post_init__(self)
        if self.value is None and self.error is None:
            raise InvalidAssessment("feedback needs a value, or an error that says why there is none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation(Assessment):
    """What ought to have come out."""

    kind: ClassVar[str] = "expectation"

    def __post_init__(self) -> None:
        Assessment.__post_init__(self)
        if self.value is None:
            raise InvalidAssessment("an expectation needs a value")


KINDS: Mapping[str, type[Assessment]] = {kind.kind: kind for kind in (Feedback, Expectation)}
