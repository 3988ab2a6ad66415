"""What other processes send, on its way into the store: processed as the server's settings say, and written at once.

Nothing is queued: whoever sent it is told that it is stored once it is.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends
from starlette.requests import Request

from autolog.ids import format_span_id, parse_id
from autolog.model.span import Span
from autolog.model.usage import Cost, TokenUsage
from autolog.pricing import Pricing
from autolog.processing import NOTHING, Processing
from autolog.server.api.common import TheClient

if TYPE_CHECKING:
    from autolog.client import Client
    from autolog.model.outline import Outline
    from autolog.stores.base import Store


class Ingest:
    """Takes spans of other processes into a client's store. Safe to use from any thread."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._processing = Processing()
        self._processes = threading.Lock()
        self._counting = threading.Lock()
        self._pricing = Pricing()

    def into(self, client: Client) -> Ingest:
        """Return the same for a client that sees less of the store: all of them take turns."""
        found = copy.copy(self)
        found._client = client
        return found

    @property
    def _store(self) -> Store:
        return self._client._store  # whichever is set at the time

    def keep(self, spans: Sequence[Span]) -> None:
        """Store spans that a client of autolog's has priced and counted."""
        shown = self._processed(spans)
        if shown:
            self._store.write(shown)

    def take(self, spans: Sequence[Span]) -> None:
        """Store spans of other instrumentations, which nobody has priced, and of which nobody knows what counts twice."""
        if self._client.settings.cost:
            for span in spans:
                self._pricing.price(span)
        shown = self._processed(spans)
        # One at a time: what a span adds to its trace's totals depends on what is stored of that.
        with self._counting:
            for trace_id, of_trace in _by_trace(shown).items():
                stored = self._store.get_outline(trace_id)
                self._name_experiment(of_trace, stored)
                count(of_trace, stored, self._store)
            if shown:
                self._store.write(shown)

    def _name_experiment(self, spans: Sequence[Span], stored: Outline | None) -> None:
        """Give a trace whose experiment nobody named here the one that it has, or else the server's."""
        otherwise = self._client.settings.experiment if stored is None else stored.info.experiment
        for span in spans:
            if span._context is not None:
                span._context.experiment = span._context.experiment or otherwise

    def _processed(self, spans: Sequence[Span]) -> list[Span]:
        """Return what the server's own settings and processors leave to be stored."""
        plan = self._client._pipeline.processing.plan
        if plan is NOTHING:
            return list(spans)
        with self._processes:  # processors are called by one thread at a time
            processing, before = self._processing, self._processing.failures
            processing.plan = plan
            shown = [found for span in spans if (found := self._one_processed(span)) is not None]
            self._client._pipeline.processing.failures += processing.failures - before
        return shown

    def _one_processed(self, span: Span) -> Span | None:
        shown = self._processing(span)
        context = span._context
        if shown is not None or span._parent is not None or context is None or context.is_stored:
            return shown
        # Of a root that is dropped, figures are left if anything else of its trace is stored.
        context.is_stored = self._store.get_outline(span.trace_id) is not None
        return self._processing(span) if context.is_stored else None


def _by_trace(spans: Iterable[Span]) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = {}
    for span in spans:
        found.setdefault(span.trace_id, []).append(span)
    return found


def _ingest(request: Request, client: TheClient) -> Ingest:
    """Return what takes spans into the store of this server, as those of the experiment that the token is for."""
    ingest: Ingest = request.app.state.ingest
    return ingest.into(client)


TheIngest = Annotated[Ingest, Depends(_ingest)]


# --- what counts -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Known:
    """What of an ended span decides which of a trace's spans count."""

    parent: int | None
    has_usage: bool
    has_cost: bool


def count(new: Sequence[Span], stored: Outline | None, store: Store) -> None:
    """Have the first of a trace's new spans add to the totals what all of them change in these.

    The outermost spans that know their usage count, and so for cost. Spans come in any order, and a parent may make one
    that was outermost an inner one: then what that had added is taken away again.
    """
    before = {} if stored is None else _ended(stored)
    arrived = {span._span_id: span for span in new if span.end_time_ns is not None and span._span_id not in before}
    if not arrived:
        return
    after = {**before, **{span_id: _known(span) for span_id, span in arrived.items()}}
    usage, cost = TokenUsage(), Cost()
    for span_id, sign in _changes(before, after, "has_usage"):
        found = _span_of(span_id, arrived, new[0].trace_id, store)
        if found is not None and found._usage is not None:
            usage = usage + found._usage if sign > 0 else usage - found._usage
    for span_id, sign in _changes(before, after, "has_cost"):
        found = _span_of(span_id, arrived, new[0].trace_id, store)
        if found is not None and found._cost is not None:
            cost = cost + found._cost if sign > 0 else cost - found._cost
    next(iter(arrived.values())).counted = usage, cost


def _known(span: Span) -> _Known:
    return _Known(span._parent_id, span._usage is not None, span._cost is not None)


def _ended(outline: Outline) -> dict[int, _Known]:
    return {
        parse_id(span.span_id, 16): _Known(
            None if span.parent_id is None else parse_id(span.parent_id, 16),
            span.input_tokens is not None or span.output_tokens is not None,
            span.cost is not None,
        )
        for span in outline.spans
        if span.end_time_ns is not None
    }


def _span_of(span_id: int, arrived: Mapping[int, Span], trace_id: str, store: Store) -> Span | None:
    return arrived.get(span_id) or store.get_span(trace_id, format_span_id(span_id))


def _changes(before: Mapping[int, _Known], after: Mapping[int, _Known], what: str) -> list[tuple[int, int]]:
    """Return the spans that count now and did not, with 1, and those that did and do no more, with -1."""
    was, now = _outermost(before, what), _outermost(after, what)
    return [*((span_id, 1) for span_id in now - was), *((span_id, -1) for span_id in was - now)]


def _outermost(known: Mapping[int, _Known], what: str) -> set[int]:
    return {span_id for span_id, span in known.items() if getattr(span, what) and not _is_inside(span, known, what)}


def _is_inside(span: _Known, known: Mapping[int, _Known], what: str) -> bool:
    seen = set()
    parent = span.parent
    while parent is not None and parent in known and parent not in seen:
        if getattr(known[parent], what):
            return True
        seen.add(parent)
        parent = known[parent].parent
    return False
