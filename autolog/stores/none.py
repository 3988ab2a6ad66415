"""The store that keeps nothing, for programs whose traces are only sent elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from autolog.counters import Sending
from autolog.errors import StoreError
from autolog.model.span import Span


class NoStore:
    """Takes spans and keeps none; whoever asks for one is told so."""

    location = "nowhere: the store is none:"
    cut = 0
    sending: Sending | None = None

    def write(self, spans: Sequence[Span]) -> None:
        """Keep nothing."""

    def flush(self, _seconds: float) -> bool:
        """Do nothing: nothing waits."""
        return True

    def tidy(self) -> bool:
        """Do nothing."""
        return False

    def close(self) -> None:
        """Do nothing."""

    def _nothing_is_kept(self, *_args: Any) -> NoReturn:
        raise StoreError(
            "no traces are kept, for the store is none:; set_store() or AUTOLOG_STORE choose one that keeps them"
        )

    def version(self) -> int:
        """Return a number: nothing ever changes."""
        return 0

    get_trace = get_outline = get_span = search = count = delete = set_tags = put_assessments = delete_assessment = (
        _nothing_is_kept
    )
    put_run = get_run = list_runs = set_run = list_experiments = _nothing_is_kept
    statistics = details = sessions = summarize_experiments = summarize_runs = values = _nothing_is_kept
    put_dataset = get_dataset = list_datasets = delete_dataset = _nothing_is_kept
    merge_records = list_records = delete_records = _nothing_is_kept
