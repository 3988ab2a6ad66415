"""A search finds what looking at every trace finds, whatever is asked, in whatever order, page by page."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import autolog as al
from autolog import InvalidQuery
from autolog.search.query import TraceQuery
from autolog.stores.sqlite import find, rows, texts
from autolog.testing import fresh_client, traces
from tests.search import asked, made

SLOW = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def fill(client, seed, count):
    choose = random.Random(seed)
    spans = [made.make(client, choose, number) for number in range(count)]
    client.flush()
    client._pipeline._open.clear()  # or each flush would write anew what runs still
    for trace in traces(client):
        made.assess(client, choose, trace.trace_id)
    return spans


# Each takes other ways to the same answer: along indexes, one by one, with and without the index of words.
WAYS = {
    "in memory": {},
    "in a file": {"file": True},
    "few at once": {"file": True, "few": 2, "few_with_words": 0.1},
    "words indexed": {"file": True, "index": 1.0},
    "words half indexed": {"file": True, "index": 0.5, "few": 3},
    "words looked up one by one": {"file": True, "index": 1.0, "few_with_words": 0.0},
}


class Filled:
    """A store and all that is in it, newest first."""

    def __init__(self, client):
        self.client = client
        self.everything = list(reversed(traces(client)))

    def search(self, filter_string=None, max_results=1_000, **options):
        return self.client._store.search(TraceQuery.build(filter_string, max_results=max_results, **options))

    def __repr__(self):
        return "Filled()"


@pytest.fixture(scope="module", params=list(WAYS))
def filled(request, tmp_path_factory):
    way = WAYS[request.param]
    path = str(tmp_path_factory.mktemp("search") / "traces.db") if "file" in way else "memory:"
    with pytest.MonkeyPatch.context() as patch, fresh_client(path) as client:
        patch.setattr(find, "_FEW", way.get("few", find._FEW))
        patch.setattr(find, "_FEW_WITH_WORDS", way.get("few_with_words", find._FEW_WITH_WORDS))
        fill(client, 1, 60)
        if "index" in way and texts.is_available():
            patch.setattr(rows, "ROWS_WORTH_INDEXING", 1)
            patch.setattr(texts, "_MOST_ROWS", int(client._store._unindexed * way["index"]) or 1)
            client._store._unindexed = 1
            client._store.tidy()
            patch.setattr(rows, "ROWS_WORTH_INDEXING", 10_000)
        yield Filled(client)


@SLOW
@given(asked.filters)
def test_a_search_agrees_with_looking_at_every_trace(filled, node):
    text = asked.written(node)
    found = filled.search(text)

    expected = [trace.info for trace in filled.everything if asked.holds(node, trace)]
    assert [info.trace_id for info in found] == [info.trace_id for info in expected], text
    assert found == expected


# --- order and pages -----------------------------------------------------------------------------------------

ORDERED = sorted(set(asked.OF_TRACE) | {"tags.k", "tags.`my key`", 'metadata.`odd "key`', "feedback.score"})
orders = st.lists(st.tuples(st.sampled_from(ORDERED), st.sampled_from(["", " ASC", " desc"])), min_size=1, max_size=3)


def value(trace, name):
    scope, _, key = name.partition(".")
    if scope in ("tags", "metadata"):
        return getattr(trace.info, scope).get(key.strip("`"))
    if scope == "feedback":
        valid = [a for a in trace.assessments if a.kind == scope and a.name == key and a.valid]
        newest = max(valid, key=lambda a: (a.create_time_ns, a.assessment_id), default=None)
        found = newest.value if newest is not None else None
        return found if isinstance(found, (str, int, float)) else None
    found = asked.OF_TRACE[name][1](trace.info)
    return asked.STATES.index(found) if name == "status" else found


def in_order(everything, keys):
    """Sort as asked, what is absent last; numbers before texts; newest first where all else is the same."""
    ordered = list(everything)
    for name, direction in reversed(keys):
        backwards = direction.strip() == "desc"
        there = [t for t in ordered if value(t, name) is not None]
        absent = [t for t in ordered if value(t, name) is None]
        there.sort(key=lambda t: (isinstance(value(t, name), str), value(t, name)), reverse=backwards)
        ordered = there + absent
    return [trace.info for trace in ordered]


@SLOW
@given(keys=orders, node=st.none() | asked.filters, size=st.integers(1, 40))
def test_pages_together_are_everything_in_order(filled, keys, node, size):
    text = None if node is None else asked.written(node)
    meeting = [trace for trace in filled.everything if node is None or asked.holds(node, trace)]
    options = {"order_by": [name + direction for name, direction in keys]}
    pages = [filled.search(text, size, **options)]
    while pages[-1].token is not None:
        assert len(pages[-1]) == size
        pages.append(filled.search(text, size, page_token=pages[-1].token, **options))

    assert [info for page in pages for info in page] == in_order(meeting, keys)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 50), st.sampled_from("ab"), st.integers(0, 3)), min_size=1, max_size=12),
    st.lists(
        st.lists(st.tuples(st.integers(1, 50), st.sampled_from("ab"), st.integers(0, 3)), max_size=3), max_size=12
    ),
    st.sampled_from(
        [["timestamp desc"], ["timestamp"], ["duration desc"], ["duration"], ["name", "duration desc"], ["tags.t desc"]]
    ),
    st.sampled_from([None, "name = 'a'", "name = 'a' OR name = 'b'", "duration < 3ms", "tags.t = 'x'"]),
    st.integers(1, 4),
)
def test_pages_are_stable_while_traces_arrive(first, arriving, order, text, size):
    with fresh_client() as client:

        def record(rows):
            made = []
            for start, name, duration in rows:
                span = client.tracer.start_span(name, start_time_ns=start)
                span.trace_context.tags = {"t": "xy"[duration % 2]}
                span.end(start + duration * 1_000_000)
                made.append(span.trace_id)
            client.flush()
            return made

        def page(token=None):
            return client.search_traces(
                text, order_by=order, max_results=size, page_token=token, include_spans=False, return_type="list"
            )

        record(first)
        expected = [
            info.trace_id
            for info in client.search_traces(text, order_by=order, include_spans=False, return_type="list")
        ]
        seen, arrived, token = [], set(), None
        for rows in [*arriving, *[[]] * 40]:
            found = page(token)
            seen += [info.trace_id for info in found]
            token = found.token
            if token is None:
                break
            arrived |= set(record(rows))

        assert len(seen) == len(set(seen))
        assert [trace_id for trace_id in seen if trace_id not in arrived] == expected


def test_now_is_the_same_moment_on_every_page(client, monkeypatch):
    for number in range(4):
        client.tracer.start_span("x", start_time_ns=number * made.SECOND + 1).end()
    client.flush()
    monkeypatch.setattr("autolog.search.query.now_ns", lambda: 3 * made.SECOND)
    first = client.search_traces("timestamp > now() - 2s", max_results=2, include_spans=False, return_type="list")
    monkeypatch.setattr("autolog.search.query.now_ns", lambda: 3_600 * made.SECOND)
    second = client.search_traces(
        "timestamp > now() - 2s", max_results=2, page_token=first.token, include_spans=False, return_type="list"
    )

    assert [info.start_time_ns // made.SECOND for info in (*first, *second)] == [3, 2, 1]


def test_a_data_frame_knows_where_the_next_page_begins(client):
    pytest.importorskip("pandas")
    for _ in range(3):
        client.tracer.start_span("x").end()
    first = client.search_traces(max_results=2)
    last = client.search_traces(max_results=2, page_token=first.attrs["next_page_token"])

    assert [len(first), len(last)] == [2, 1]
    assert last.attrs["next_page_token"] is None


def test_no_results_are_asked_for(client):
    client.tracer.start_span("x").end()
    found = client.search_traces(max_results=0, return_type="list")
    assert (found, found.token) == ([], None)


# --- random traces -------------------------------------------------------------------------------------------


@SLOW
@given(st.integers(0, 2**32), st.lists(asked.filters, min_size=1, max_size=5))
def test_searches_agree_whatever_the_traces_are(seed, nodes):
    with fresh_client() as client:
        fill(client, seed, 4)
        filled = Filled(client)
        for node in nodes:
            expected = [trace.info for trace in filled.everything if asked.holds(node, trace)]
            assert filled.search(asked.written(node)) == expected


# --- what is asked of one span, and what of several ----------------------------------------------------------


def test_conditions_on_spans_are_of_one_span_within_an_and(client):
    with client.tracer.start_span("both"):
        client.tracer.start_span("lookup", "TOOL").end()
        failing = client.tracer.start_span("plan", "LLM")
        failing.set_status("ERROR")
        failing.end()

    def names(text):
        return [info.name for info in client.search_traces(text, include_spans=False, return_type="list")]

    assert names("span.type = 'LLM' AND span.status = 'ERROR'") == ["both"]
    assert names("span.type = 'TOOL' AND span.status = 'ERROR'") == []
    assert names("span.type = 'TOOL' AND (span.status = 'ERROR' OR span.name = 'plan')") == []
    assert names("(span.type = 'TOOL' AND span.name = 'lookup') AND (span.type = 'LLM' AND span.status = 'ERROR')") == [
        "both"
    ]
    assert names("span.type = 'TOOL' AND NOT span.status = 'ERROR'") == []
    assert names("span.type = 'TOOL' AND span.status != 'ERROR'") == ["both"]
    assert names("NOT (span.type = 'TOOL' AND span.status = 'ERROR')") == ["both"]
    assert names("span.type = 'TOOL' AND name = 'both'") == ["both"]


def test_what_is_absent_compares_with_nothing_and_not_is_all_the_rest(client):
    client.tracer.start_span("none").end()
    for session in ("s", "t"):
        span = client.tracer.start_span(session)
        span.trace_context.session = session
        span.end()

    def names(text):
        return [
            info.name for info in client.search_traces(text, order_by="name", include_spans=False, return_type="list")
        ]

    assert names("session = 's'") == ["s"]
    assert names("session != 's'") == ["t"]
    assert names("NOT session = 's'") == ["none", "t"]
    assert names("session NOT IN ('s', 'x')") == ["t"]
    assert names("session IS NULL") == ["none"]
    assert names("NOT session IS NULL") == ["s", "t"]


@pytest.mark.parametrize(
    "text",
    [
        "attributes.status = 'OK' AND trace.status = 'ok' AND attribute.name LIKE 'an%' AND state != 'ERROR'",
        "timestamp_ms > 1600000000000 AND attributes.timestamp < now() + 1d AND request_time > '2020-01-01T00:00:00Z'",
        "execution_time_ms >= 0 AND attributes.execution_time < 100000 AND end_time > 1600000000",
        "tag.env = 'prod' AND tags.`env` IN ('prod', \"x\") AND tags.\"env\" IS NOT NULL AND request_metadata.m RLIKE 'v+'",
        "metadata.m = \"vv\" AND span.name ILIKE 'AN%' AND span.type = \"agent\" AND span.attributes.llm.kind LIKE '%chat%'",
        "feedback.correct = 'true' AND feedback.score > 3 AND feedback.score = '4' AND expectation.answer = 'yes'",
        "trace.text LIKE '%sunny%' AND span.content ILIKE '%SUNNY%' AND client_request_id = 'r1' AND run_id = 'run'",
    ],
)  # fmt: skip
def test_filters_of_mlflow_are_understood(client, text):
    if "RLIKE" in text:
        pytest.importorskip("re2")
    with client.tracer.start_span("answer", "AGENT", inputs="is it sunny?") as span:
        context = span.trace_context
        context.tags, context.metadata, context.run, context.client_request_id = (
            {"env": "prod"},
            {"m": "vv"},
            "run",
            "r1",
        )
        span.set_attribute("llm.kind", "a chat model")
    al.log_feedback(trace_id=span.trace_id, name="correct", value=True)
    al.log_feedback(trace_id=span.trace_id, name="score", value=4)
    al.log_expectation(trace_id=span.trace_id, name="answer", value="yes")

    assert len(client.search_traces(text, return_type="list")) == 1


def test_the_filter_and_the_arguments_are_met_both(client):
    for name, tag in (("a", "x"), ("a", "y"), ("b", "x")):
        span = client.tracer.start_span(name)
        span.trace_context.tags = {"t": tag}
        span.end()

    assert len(client.search_traces("name = 'a'", tags={"t": "x"}, return_type="list")) == 1
    assert len(client.search_traces(" ", tags={"t": "x"}, return_type="list")) == 2


def test_what_a_filter_finds_is_deleted(client):
    for name in ("a", "b", "a"):
        client.tracer.start_span(name).end()

    with pytest.raises(InvalidQuery, match="an empty filter would delete everything"):
        client.delete_traces(filter_string=" ")
    assert client.delete_traces(filter_string="name = 'a'", max_traces=1) == 1
    assert client.delete_traces(filter_string="name IN ('a', 'c')") == 1
    assert client.delete_traces(filter_string="name = 'nothing'") == 0
    assert [trace.name for trace in traces(client)] == ["b"]
