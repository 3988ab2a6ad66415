"""A dataset: records of what goes in and what is expected to come out, to try a program on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from autolog.ids import now_ns
from autolog.texts import Leaf, rewritten

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """A dataset without its records."""

    name: str
    experiment: str = "default"
    tags: Mapping[str, str] = field(default_factory=dict)
    create_time_ns: int = field(default_factory=now_ns)
    last_update_time_ns: int = field(default_factory=now_ns)
    """When its records changed last."""
    records: int = 0
    """How many it has."""

    def rewritten(self, leaf: Leaf) -> Self:
        """Return it with its name and tags replaced, as `texts.rewritten` does."""
        return replace(self, name=rewritten(self.name, leaf, "name"), tags=rewritten(self.tags, leaf, "tags"))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {name: dict(self.tags) if name == "tags" else getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRecord:
    """One thing to try: what goes in, what came out when it was tried, and what is expected."""

    inputs: Any
    """What tells it from the other records of its dataset: there is one record of equal inputs."""
    outputs: Any = None
    expectations: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    trace_id: str | None = None
    """The trace that it is from, where it is from one."""
    span_id: str | None = None
    """The span of it, where it is not from the root."""
    record_id: str = ""
    """Its id in the dataset, once it is stored."""
    create_time_ns: int = field(default_factory=now_ns)
    last_update_time_ns: int = field(default_factory=now_ns)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {name: getattr(self, name) for name in self.__slots__}

    def merged(self, newer: DatasetRecord) -> DatasetRecord:
        """Return it with what a record of equal inputs adds: expectations and tags by their names, and what came out."""
        return replace(
            self,
            outputs=self.outputs if newer.outputs is None else newer.outputs,
            expectations={**self.expectations, **newer.expectations},
            tags={**self.tags, **newer.tags},
            trace_id=newer.trace_id or self.trace_id,
            span_id=newer.span_id if newer.trace_id else self.span_id,
        )

    def rewritten(self, leaf: Leaf) -> Self:
        """Return it with every text in it replaced, as `texts.rewritten` does."""
        names = ("inputs", "outputs", "expectations", "tags")
        return replace(self, **{name: rewritten(getattr(self, name), leaf, name) for name in names})


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of records that were merged into a dataset."""

    added: int = 0
    changed: int = 0
    same: int = 0
    """Those that said nothing new."""

    def to_dict(self) -> dict[str, int]:
        """Return it as JSON has it."""
        return {"added": self.added, "changed": self.changed, "same": self.same}
