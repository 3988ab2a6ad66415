"""Add up what traces, calls of models, steps and feedback come to, over time and by what they have in common."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from autolog.model.span import SpanType
from autolog.model.statistics import (
    Details,
    ErrorCount,
    FeedbackFigures,
    Figures,
    Group,
    Statistics,
    Step,
    buckets_of,
    percentile,
)
from autolog.model.trace import TraceState
from autolog.search.fields import Field, Scope
from autolog.search.grouping import is_of_calls
from autolog.search.query import TraceQuery
from autolog.stores.sqlite.conditions import Sql, expression
from autolog.stores.sqlite.functions import Functions
from autolog.stores.sqlite.readers import limited, of_one_moment
from autolog.stores.sqlite.rows import STATES, STATUSES, whole
from autolog.stores.sqlite.selection import MOST, MOST_WITH_SPANS, Select, Selection, bounds_of

MOST_GROUPS = 12
_FAILED = STATES.index(TraceState.ERROR)
_SPAN_FAILED = [str(status) for status in STATUSES].index("ERROR")
_MODELS = ", ".join(f"'{kind}'" for kind in (SpanType.CHAT_MODEL, SpanType.LLM, SpanType.EMBEDDING, SpanType.RERANKER))
_CALLS = (
    f"CROSS JOIN spans s ON s.rid = t.rid AND s.type IN ({_MODELS}) AND s.model IS NOT NULL AND s.duplicate IS NULL"
)

# Sums of integers could be too large for one; what nobody knows is no 0.
_SUMS = "count(*), total({failed}), json_group_array({took}) FILTER (WHERE {took} IS NOT NULL), {sums}"
_OF_TRACES = _SUMS.format(
    failed=f"t.state = {_FAILED}",
    took="(t.end_ns - t.start_ns)",
    sums=(
        "sum(1.0 * json_extract(t.usage, '$.input_tokens')), sum(1.0 * json_extract(t.usage, '$.output_tokens')), "
        "sum(1.0 * t.cost_total)"
    ),
)
_OF_CALLS = _SUMS.format(
    failed=f"s.status = {_SPAN_FAILED}",
    took="(s.end_ns - s.start_ns)",
    sums="sum(1.0 * s.input_tokens), sum(1.0 * s.output_tokens), sum(1.0 * s.cost)",
)


@dataclass(slots=True)
class Sums:
    """Figures while they are added up."""

    requests: int = 0
    errors: int = 0
    took: list[str] = field(default_factory=list)
    """Durations, many as the JSON of a list: read at once, which is faster."""
    input_tokens: float | None = None
    output_tokens: float | None = None
    cost: float | None = None

    def add(self, requests: int, errors: float, took: str, *sums: float | None) -> None:
        """Add a row of `_SUMS`."""
        self._add(requests, errors, [took] if len(took) > len("[]") else [], *sums)

    def _add(self, requests: int, errors: float, took: list[str], *sums: float | None) -> None:
        self.requests += requests
        self.errors += int(errors)
        self.took += took
        self.input_tokens = _plus(self.input_tokens, sums[0])
        self.output_tokens = _plus(self.output_tokens, sums[1])
        self.cost = _plus(self.cost, sums[2])

    def join(self, other: Sums) -> None:
        """Add what another one has."""
        self._add(other.requests, other.errors, other.took, other.input_tokens, other.output_tokens, other.cost)

    def figures(self, share: int = 1) -> Figures:
        """Return the figures, of which one in `share` was added."""
        took = sorted(_numbers(f"[{','.join(numbers[1:-1] for numbers in self.took)}]"))
        return Figures(
            self.requests * share,
            self.errors * share,
            percentile(took, 0.5),
            percentile(took, 0.95),
            percentile(took, 0.99),
            None if self.input_tokens is None else whole(int(self.input_tokens) * share),
            None if self.output_tokens is None else whole(int(self.output_tokens) * share),
            None if self.cost is None else self.cost * share,
        )


def _numbers(took: str) -> list[int]:
    import orjson

    found: list[int] = orjson.loads(took)
    return found


def _plus(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other


def statistics(
    query: TraceQuery, group_by: Field | None, buckets: int, connection: sqlite3.Connection, functions: Functions
) -> Statistics:
    """Return the figures of the traces that `query` asks for, in about `buckets` buckets, grouped by a field or not."""
    with of_one_moment(connection), limited(connection):
        return _statistics(query, group_by, buckets, connection, functions)


def none(query: TraceQuery, buckets: int) -> Statistics:
    """Return the figures of a store that has no traces."""
    since, until = bounds_of(query.filter)
    since = since or 0
    until = max(until or 0, since + 1)
    step, begins = buckets_of(since, until, buckets)
    return Statistics(since, until, step, begins, [_group(None, {}, len(begins), 1)])


def _statistics(
    query: TraceQuery, group_by: Field | None, buckets: int, connection: sqlite3.Connection, functions: Functions
) -> Statistics:
    of_calls = is_of_calls(group_by)
    chosen = Select(query, connection, functions).among(MOST_WITH_SPANS if of_calls else MOST)
    step, begins = buckets_of(chosen.since_ns, chosen.until_ns, buckets)
    key = _key(group_by)
    columns = Sql(
        f"(t.start_ns - {begins[0]}) / {step} AS bucket, {key.text} AS key, {_OF_CALLS if of_calls else _OF_TRACES}",
        key.values,
    )
    sql, values = chosen.select(columns, "GROUP BY bucket, key", _CALLS if of_calls else "")
    rows = connection.execute(sql, values).fetchall()
    groups: dict[Any, dict[int, Sums]] = {key: {} for key in _largest(rows, group_by)}
    rest: dict[int, Sums] = {}
    for bucket, value, *sums in rows:
        groups.get(value, rest).setdefault(bucket, Sums()).add(*sums)
    found = [_group(_shown(group_by, value), series, len(begins), chosen.share) for value, series in groups.items()]
    if rest:
        found.append(_group(None, rest, len(begins), chosen.share, is_other=True))
    if group_by is None and not found:
        found = [_group(None, {}, len(begins), 1)]
    return Statistics(chosen.since_ns, chosen.until_ns, step, begins, found, chosen.share)


def _key(group_by: Field | None) -> Sql:
    if group_by is None:
        return Sql("NULL")
    if group_by == Field(Scope.TRACE, "model"):
        return Sql("s.model")
    return expression(group_by)


def _shown(group_by: Field | None, value: Any) -> str | None:
    if group_by == Field(Scope.TRACE, "status"):
        return str(STATES[value])
    return value  # type: ignore[no-any-return]


def _largest(rows: Sequence[tuple[Any, ...]], group_by: Field | None) -> list[Any]:
    """Return the keys of the groups with most requests, the largest first."""
    requests: dict[Any, int] = {}
    for _, value, count, *_ in rows:
        requests[value] = requests.get(value, 0) + count

    def place(value: Any) -> tuple[int, bool, str]:
        return -requests[value], value is None, str(_shown(group_by, value))

    return heapq.nsmallest(MOST_GROUPS, requests, key=place)


def _group(key: str | None, series: dict[int, Sums], buckets: int, share: int, *, is_other: bool = False) -> Group:
    totals = Sums()
    for sums in series.values():
        totals.join(sums)
    empty = Figures()
    figures = [series[number].figures(share) if number in series else empty for number in range(buckets)]
    return Group(key, figures, totals.figures(share), is_other)


def totals(selection: Selection, key: str, connection: sqlite3.Connection) -> dict[Any, Figures]:
    """Return the figures of the traces selected, by a column of theirs."""
    sql, values = selection.select(f"{key} AS key, {_OF_TRACES}", "GROUP BY key")
    found: dict[Any, Figures] = {}
    for value, *sums in connection.execute(sql, values):
        added = Sums()
        added.add(*sums)
        found[value] = added.figures(selection.share)
    return found


# --- where errors and time come from -------------------------------------------------------------------

_MOST_ROWS = 10
_MOST_VALUES = 5


def details(query: TraceQuery, buckets: int, connection: sqlite3.Connection, functions: Functions) -> Details:
    """Return the most frequent errors, the steps that take most time, and what feedback comes to."""
    with of_one_moment(connection), limited(connection):
        select = Select(query, connection, functions)
        chosen, with_spans = select.among(MOST), select.among(MOST_WITH_SPANS)
        step, begins = buckets_of(chosen.since_ns, chosen.until_ns, buckets)
        return Details(
            _errors(chosen, connection),
            _steps(with_spans, connection),
            _feedback(chosen, begins, step, connection),
            step,
            begins,
            max(chosen.share, with_spans.share),
        )


def no_details(query: TraceQuery, buckets: int) -> Details:
    """Return the details of a store that has no traces."""
    nothing = none(query, buckets)
    return Details((), (), (), nothing.step_ns, nothing.buckets)


def _errors(chosen: Selection, connection: sqlite3.Connection) -> list[ErrorCount]:
    sql, values = chosen.select(
        # With max(), SQLite takes the other columns from the row that has it.
        "s.error_type, count(DISTINCT t.rid), max(t.start_ns), lower(hex(t.trace_id))",
        f"AND t.errors > 0 GROUP BY s.error_type ORDER BY 2 DESC, 3 DESC LIMIT {_MOST_ROWS}",
        f"CROSS JOIN spans s ON s.rid = t.rid AND s.status = {_SPAN_FAILED} AND s.error_type IS NOT NULL AND s.end_ns IS NOT NULL",
    )
    rows = connection.execute(sql, values)
    return [ErrorCount(kind, count * chosen.share, last, trace_id) for kind, count, last, trace_id in rows]


def _steps(chosen: Selection, connection: sqlite3.Connection) -> list[Step]:
    sql, values = chosen.select(
        f"s.name, s.type, count(*), total(s.status = {_SPAN_FAILED}), total(s.end_ns - s.start_ns), "
        "json_group_array(s.end_ns - s.start_ns) FILTER (WHERE s.end_ns IS NOT NULL)",
        f"GROUP BY s.name, s.type ORDER BY 5 DESC, 1, 2 LIMIT {_MOST_ROWS}",
        "CROSS JOIN spans s ON s.rid = t.rid",
    )
    found = []
    for name, kind, count, errors, total, took in connection.execute(sql, values):
        ordered, share = sorted(_numbers(took)), chosen.share
        p50, p95 = percentile(ordered, 0.5), percentile(ordered, 0.95)
        found.append(Step(name, kind, count * share, int(errors) * share, p50, p95, int(total) * share))
    return found


def _feedback(chosen: Selection, begins: list[int], step: int, connection: sqlite3.Connection) -> list[FeedbackFigures]:
    joined = "CROSS JOIN assessments a ON a.rid = t.rid AND a.kind = 0 AND a.valid AND a.value IS NOT NULL"
    sql, values = chosen.select(
        f"a.name, (t.start_ns - {begins[0]}) / {step} AS bucket, a.text, count(*), count(a.number), total(a.number)",
        "GROUP BY a.name, bucket, a.text",
        joined,
    )
    found: dict[str, _Feedback] = {}
    for name, bucket, text, *counts in connection.execute(sql, values):
        found.setdefault(name, _Feedback()).add(bucket, text, *counts)
    ranked = sorted(found.items(), key=lambda one: (-one[1].count, one[0]))
    return [feedback.figures(name, len(begins), chosen.share) for name, feedback in ranked[:_MOST_ROWS]]


@dataclass(slots=True)
class _Feedback:
    count: int = 0
    numbers: dict[int, tuple[int, float]] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)

    def add(self, bucket: int, text: str | None, count: int, numbers: int, total: float) -> None:
        self.count += count
        if numbers:
            known = self.numbers.get(bucket, (0, 0.0))
            self.numbers[bucket] = known[0] + numbers, known[1] + total
        if text is not None:
            self.texts[text] = self.texts.get(text, 0) + count

    def figures(self, name: str, buckets: int, share: int) -> FeedbackFigures:
        number = sum(count for count, _ in self.numbers.values())
        total = sum(total for _, total in self.numbers.values())
        means = {bucket: total / count for bucket, (count, total) in self.numbers.items()}
        texts = sorted(self.texts.items(), key=lambda one: (-one[1], one[0]))[:_MOST_VALUES]
        return FeedbackFigures(
            name,
            self.count * share,
            total / number if number else None,
            [means.get(bucket) for bucket in range(buckets)],
            {text: count * share for text, count in texts},
        )
