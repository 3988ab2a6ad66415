"""Figures over time are those that adding up every trace gives, whatever is asked, and of very many an honest sample."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import autolog as al
from autolog import Client, InvalidQuery, SpanType, TokenUsage
from autolog.model.statistics import buckets_of, percentile
from autolog.stores.sqlite import selection
from autolog.testing import traces
from tests.search import asked, made
from tests.search.test_filters import filled  # noqa: F401 - a fixture

SLOW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
NOW = 1_760_000_000_000_000_000
SECOND, MINUTE, HOUR = 10**9, 60 * 10**9, 3_600 * 10**9
MODELS = (SpanType.CHAT_MODEL, SpanType.LLM, SpanType.EMBEDDING, SpanType.RERANKER)


def record(client, name="job", *, at=NOW, took=1_000_000, error=None, usage=None, model=None, **options):
    """Record a trace of one span, or of two where a model is called."""
    root = client.start_trace(name, "AGENT", start_time_ns=at, **options)
    if model is not None:
        call = client.start_span(
            "chat", root, "CHAT_MODEL", start_time_ns=at, attributes={"gen_ai.request.model": model}
        )
        call.set_usage(TokenUsage(*(usage or (1, 1))))
        client.end_span(call, end_time_ns=at + took)
    if error is not None:
        root.record_exception(error)
        root.set_status("ERROR", str(error))
    client.end_trace(root, end_time_ns=at + took)
    return root.trace_id


# --- beside adding up in Python -----------------------------------------------------------------------------


def mean_of(values):
    return sum(values) / len(values) if values else None


def total(values):
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def nearest(values, share):
    """The nearest rank, as textbooks define it."""
    ordered = sorted(values)
    return next((one for one in ordered if sum(other <= one for other in ordered) >= share * len(ordered)), None)


def figures(items):
    """Add up (failed, took, input tokens, output tokens, cost), one a trace or a call."""
    took = [item[1] for item in items if item[1] is not None]
    return {
        "requests": len(items),
        "errors": sum(item[0] for item in items),
        "p50_ns": nearest(took, 0.5),
        "p95_ns": nearest(took, 0.95),
        "p99_ns": nearest(took, 0.99),
        "input_tokens": total([item[2] for item in items]),
        "output_tokens": total([item[3] for item in items]),
        "cost": total([item[4] for item in items]),
    }


def of_trace(trace):
    info = trace.info
    tokens = [asked.usage(info, name) for name in ("input_tokens", "output_tokens")]
    return (str(info.state) == "ERROR", info.duration_ns, *tokens, info.cost.total if info.cost else None)


def of_call(span):
    tokens = [asked.usage(span, name) for name in ("input_tokens", "output_tokens")]
    return (str(span.status.code) == "ERROR", span.duration_ns, *tokens, span.cost.total if span.cost else None)


def of_calls(trace, read):
    """Return the calls of models in a trace, with what they are grouped by."""
    spans = [span for span in trace.spans if span.span_type in MODELS and span.model is not None]
    return [(read(span), trace.info.start_time_ns, of_call(span)) for span in spans]


GROUPS = {
    "none": lambda trace: [(None, trace.info.start_time_ns, of_trace(trace))],
    "model": lambda trace: of_calls(trace, lambda span: span.model),
    "span.provider": lambda trace: of_calls(trace, lambda span: span.provider),
    **{
        name: lambda trace, read=read: [(read(trace.info), trace.info.start_time_ns, of_trace(trace))]
        for name, read in {
            "name": lambda info: info.name,
            "session": lambda info: info.session,
            "version": lambda info: info.version,
            "experiment": lambda info: info.experiment,
            "status": lambda info: str(info.state),
            "tags.k": lambda info: info.tags.get("k"),
            "tags.`x\0y`": lambda info: info.tags.get("x\0y"),
            "metadata.`my key`": lambda info: info.metadata.get("my key"),
        }.items()
    },
}


def same(found, expected):
    return all(
        found[name] == value or (isinstance(value, float) and math.isclose(found[name], value))
        for name, value in expected.items()
    )


@SLOW
@given(asked.filters | st.none(), st.sampled_from(sorted(GROUPS)), st.integers(1, 7))
def test_figures_are_those_of_every_trace_added_up(filled, node, group_by, buckets):  # noqa: F811
    text = None if node is None else asked.written(node)
    found = filled.client.statistics(text, group_by=group_by, buckets=buckets)

    meant = [trace for trace in filled.everything if node is None or asked.holds(node, trace)]
    items = [item for trace in meant for item in GROUPS[group_by](trace)]
    by_key: dict = {}
    for key, start, item in items:
        by_key.setdefault(key, []).append((start, item))
    assert not found.is_sampled
    assert all(found.since_ns <= start < found.until_ns for _, start, _ in items)
    ranked = sorted(by_key, key=lambda key: (-len(by_key[key]), key is None, str(key)))
    shown = [group for group in found.groups if not group.is_other]
    assert [group.key for group in shown] == (ranked[:12] or ([None] if group_by == "none" else []))
    rest = [pair for key in ranked[12:] for pair in by_key[key]]
    for group in found.groups:
        own = rest if group.is_other else by_key.get(group.key, [])
        assert same(group.totals.to_dict(), figures([item for _, item in own])), (text, group.key)
        for begin, one in zip(found.buckets, group.series, strict=True):
            inside = [item for start, item in own if begin <= start < begin + found.step_ns]
            assert same(one.to_dict(), figures(inside)), (text, group.key, begin)
    assert any(group.is_other for group in found.groups) is bool(rest)


@SLOW
@given(asked.filters | st.none())
def test_details_are_those_of_every_trace_added_up(filled, node):  # noqa: F811
    text = None if node is None else asked.written(node)
    found = filled.client.statistics_details(text, buckets=3)

    meant = [trace for trace in filled.everything if node is None or asked.holds(node, trace)]
    failed: dict = {}
    for trace in meant:
        ended = [span for span in trace.spans if span.end_time_ns is not None and str(span.status.code) == "ERROR"]
        for kind in {span.attributes.get("error.type") for span in ended} - {None}:
            failed.setdefault(kind, []).append(trace.info)
    assert {error.type: error.traces for error in found.errors} == {kind: len(infos) for kind, infos in failed.items()}
    for error in found.errors:
        newest = max(info.start_time_ns for info in failed[error.type])
        assert error.last_ns == newest
        assert error.trace_id in {info.trace_id for info in failed[error.type] if info.start_time_ns == newest}
    took: dict = {}
    for span in (span for trace in meant for span in trace.spans):
        took.setdefault((span.name, str(span.span_type)), []).append(span.duration_ns)
    totals = sorted((total(values) or 0 for values in took.values()), reverse=True)
    assert [step.total_ns for step in found.steps] == totals[:10]
    for step in found.steps:
        ended = [value for value in took[step.name, step.span_type] if value is not None]
        assert (step.spans, step.p50_ns) == (len(took[step.name, step.span_type]), nearest(ended, 0.5))
    said: dict = {}
    for trace in meant:
        for one in trace.assessments:
            if one.kind == "feedback" and one.valid and one.value is not None:
                said.setdefault(one.name, []).append(one.value)
    assert {feedback.name: feedback.count for feedback in found.feedback} == {n: len(vs) for n, vs in said.items()}
    for feedback in found.feedback:
        numbers = [float(value) for value in said[feedback.name] if isinstance(value, (bool, int, float))]
        assert feedback.mean == pytest.approx(mean_of(numbers))
        texts = [value for value in said[feedback.name] if isinstance(value, str)]
        assert all(texts.count(value) == count for value, count in feedback.values.items())


# --- time -----------------------------------------------------------------------------------------------------


@given(st.integers(-(2**62), 2**62), st.integers(0, 2**62), st.integers(1, 500))
def test_buckets_are_few_and_cover_the_time(since, span, most):
    step, begins = buckets_of(since, since + span, most)

    assert 1 <= len(begins) <= most + 1
    assert begins[0] <= since < begins[0] + step
    assert begins[-1] < max(since + span, since + 1) <= begins[-1] + step
    assert all(later - earlier == step for earlier, later in zip(begins, begins[1:], strict=False))


@given(st.lists(st.integers(0, 50), max_size=40), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values, share):
    assert percentile(sorted(values), share) == nearest(values, share)


def test_a_bucket_is_a_round_length_of_time(client):
    for number in range(10):
        record(client, at=NOW + number * HOUR)

    found = client.statistics(since=NOW, until=NOW + 24 * HOUR, buckets=50)

    assert found.step_ns == HOUR / 2
    assert all(begin % found.step_ns == 0 for begin in found.buckets)
    [group] = found.groups
    assert sum(figures.requests for figures in group.series) == group.totals.requests == 10


def test_what_lies_outside_of_the_time_does_not_count(client):
    for number in range(10):
        record(client, at=NOW + number * MINUTE)

    found = client.statistics(since=NOW + MINUTE, until=NOW + 4 * MINUTE)

    assert found.groups[0].totals.requests == 3
    assert (found.since_ns, found.until_ns) == (NOW + MINUTE, NOW + 4 * MINUTE)


def test_without_a_time_it_is_that_of_the_traces_asked_for(client):
    record(client, at=NOW, experiment="old")
    record(client, at=NOW + HOUR, experiment="new")
    record(client, at=NOW + HOUR + MINUTE, experiment="new")

    found = client.statistics(experiment="new")

    assert (found.since_ns, found.until_ns) == (NOW + HOUR, NOW + HOUR + MINUTE + 1)


def test_a_store_that_has_nothing_has_no_figures(tmp_path):
    client = Client(str(tmp_path / "nothing.db"))

    assert client.statistics(since=NOW, until=NOW + HOUR, buckets=4).groups[0].totals.requests == 0
    assert client.statistics_details().errors == ()
    assert client.search_sessions() == []
    assert client.summarize_experiments() == client.summarize_runs() == client.list_values("name") == []
    assert not (tmp_path / "nothing.db").exists()
    client.close()


# --- what counts ----------------------------------------------------------------------------------------------


def test_a_call_that_two_libraries_tell_of_counts_once_by_its_model(client):
    root = client.start_trace("job")
    outer = client.start_span("ChatOpenAI", root, "CHAT_MODEL", attributes={"gen_ai.request.model": "gpt-5"})
    inner = client.start_span("chat", outer, "CHAT_MODEL", attributes={"gen_ai.request.model": "gpt-5"})
    inner.set_attribute("autolog.duplicate_of", outer.span_id)
    for span in (inner, outer, root):
        client.end_span(span)

    [group] = client.statistics(group_by="model").groups

    assert (group.key, group.totals.requests) == ("gpt-5", 1)


def test_an_agent_that_names_its_model_is_no_call_of_it(client):
    client.end_trace(client.start_trace("agent", "AGENT", attributes={"gen_ai.request.model": "gpt-5"}))

    assert client.statistics(group_by="model").groups == []


def test_what_is_absent_is_no_zero(client):
    record(client)

    totals = client.statistics().groups[0].totals

    assert (totals.input_tokens, totals.output_tokens, totals.cost) == (None, None, None)


def test_a_trace_that_runs_counts_and_has_no_duration(client):
    client.start_trace("job")

    totals = client.statistics().groups[0].totals

    assert (totals.requests, totals.p50_ns) == (1, None)


def test_counts_past_64_bits_are_as_large_as_can_be(client):
    for _ in range(3):
        record(client, model="m", usage=(2**62, 2**62))

    for group_by in ("none", "model"):
        totals = client.statistics(group_by=group_by).groups[0].totals
        assert totals.input_tokens == 2**63 - 1


def test_the_rest_of_many_groups_is_one(client):
    for number in range(30):
        for _ in range(1 + (number < 2)):
            record(client, f"job {number:02}", took=number)

    found = client.statistics(group_by="name", buckets=1)

    assert [group.key for group in found.groups[:2]] == ["job 00", "job 01"]
    assert [group.is_other for group in found.groups] == [False] * 12 + [True]
    other = found.groups[-1]
    assert (other.key, other.totals.requests) == (None, 18)
    assert other.totals.p50_ns == 20
    assert sum(group.totals.requests for group in found.groups) == 32


@pytest.mark.parametrize(
    "group_by", ["nothing", "duration", "feedback.score", "inputs", "span.name", "tokens", "tags", "a b"]
)
def test_what_has_no_few_values_is_not_grouped_by(client, group_by):
    with pytest.raises(InvalidQuery, match="group_by"):
        client.statistics(group_by=group_by)


@pytest.mark.parametrize("buckets", [0, -1, 1_001, True, 2.5, "many"])
def test_buckets_are_a_number_of_them(client, buckets):
    with pytest.raises(InvalidQuery, match="buckets"):
        client.statistics(buckets=buckets)


# --- samples --------------------------------------------------------------------------------------------------


@pytest.fixture
def sampled(client, monkeypatch):
    """A store that has more traces than are looked at, in turns of two kinds."""
    monkeypatch.setattr(selection, "MOST", 400)
    for number in range(2_000):
        record(client, ("even", "odd")[number % 2], at=NOW + number * SECOND, took=1_000 + number % 2)
    return client


def test_of_very_many_traces_a_sample_is_taken_and_it_says_so(sampled, monkeypatch):
    from autolog.stores.sqlite import statistics

    monkeypatch.setattr(statistics, "MOST", 400)
    found = sampled.statistics(group_by="name", buckets=10)

    assert found.is_sampled
    assert found.share == 5
    counts = {group.key: group.totals.requests for group in found.groups}
    assert all(count % 5 == 0 and 700 <= count <= 1_300 for count in counts.values())
    assert {group.key: group.totals.p50_ns for group in found.groups} == {"even": 1_000, "odd": 1_001}
    assert found.to_dict()["is_sampled"]


def test_of_few_traces_that_are_asked_for_none_is_left_out(sampled, monkeypatch):
    from autolog.stores.sqlite import statistics

    monkeypatch.setattr(statistics, "MOST", 400)
    found = sampled.statistics(since=NOW, until=NOW + 300 * SECOND)

    assert not found.is_sampled
    assert found.groups[0].totals.requests == 300


# --- experiments and runs -------------------------------------------------------------------------------------


def test_experiments_come_with_what_their_traces_come_to(client):
    record(client, at=NOW, experiment="old", model="m", usage=(10, 5))
    record(client, at=NOW + HOUR, experiment="new", error=ValueError("no"))
    record(client, at=NOW + MINUTE, experiment="new", took=3)
    al.start_run("first", experiment="empty").end()

    found = [summary.to_dict() for summary in client.summarize_experiments()]

    assert [(one["name"], one["traces"], one["runs"], one["errors"], one["last_ns"]) for one in found] == [
        ("new", 2, 0, 1, NOW + HOUR), ("old", 1, 0, 0, NOW), ("empty", 0, 1, 0, None),
    ]  # fmt: skip
    assert (found[1]["tokens"], found[0]["tokens"], found[0]["p50_ns"]) == (15, None, 3)


def test_runs_come_with_what_their_traces_come_to_and_feedback(client):
    with al.start_run("one") as one:
        ids = [record_in_run(took) for took in (2_000_000, 4_000_000)]
    with al.start_run("two", experiment="other"):
        pass
    for trace_id, value in zip(ids, (True, False), strict=True):
        al.log_feedback(trace_id=trace_id, name="helpful", value=value)
        al.log_feedback(trace_id=trace_id, name="said", value="well")

    found = {summary.run.name: summary for summary in client.summarize_runs()}

    assert found["one"].figures.requests == 2
    assert found["one"].feedback == {"helpful": 0.5}
    assert found["one"].to_dict()["run_id"] == one.run_id
    assert (found["two"].figures.requests, found["two"].feedback) == (0, {})
    assert [summary.run.name for summary in client.summarize_runs("other")] == ["two"]


def record_in_run(took):
    with al.start_span("answer") as span:
        pass
    assert took
    return span.trace_id


# --- values ---------------------------------------------------------------------------------------------------


def test_values_complete_what_is_typed(client):
    for name, channel in (("triage", "web"), ("Travel", "mail"), ("answer", "web")):
        record(client, name, tags={"channel": channel, f"of {name}": "x"}, session=f"s-{name}", model="gpt-5")

    assert client.list_values("name") == ["Travel", "answer", "triage"]
    assert client.list_values("name", "tr") == ["triage", "Travel"]
    assert client.list_values("name", "AV") == ["Travel"]
    assert client.list_values("session", "s-t") == ["s-triage", "s-Travel"]
    assert client.list_values("tags.channel") == ["web", "mail"]
    assert client.list_values("tags", "chan") == ["channel"]
    assert client.list_values("tags.`of answer`") == ["x"]
    assert client.list_values("model") == client.list_values("span.model", "gpt") == ["gpt-5"]
    assert client.list_values("status") == list(al.TraceState.__members__)
    assert client.list_values("span.name", max_results=1) in (["chat"],)
    assert client.list_values("tokens") == client.list_values("inputs") == []


def test_values_of_feedback_are_names_and_texts(client):
    trace_id = record(client)
    al.log_feedback(trace_id=trace_id, name="tone", value="kind")
    al.log_feedback(trace_id=trace_id, name="score", value=3)

    assert client.list_values("feedback") == ["score", "tone"]
    assert client.list_values("feedback.tone", "k") == ["kind"]
    assert client.list_values("feedback.score") == []


def test_values_are_of_one_experiment_where_one_is_asked_for(client):
    record(client, "mine", experiment="mine", tags={"a": "1"})
    record(client, "theirs", experiment="theirs", tags={"b": "2"})

    assert client.list_values("name", experiment="mine") == ["mine"]
    assert client.list_values("tags", experiment="mine") == ["a"]
    assert client.list_values("experiment", experiment="mine") == ["mine"]


@SLOW
@given(
    st.sampled_from(["name", "session", "user", "version", "run", "tags.k", "tags"]),
    st.sampled_from(["", "a", "é", "x\0", "'", "%", "😀"]),
)
def test_values_are_those_that_traces_have(filled, field, prefix):  # noqa: F811
    found = filled.client.list_values(field, prefix, max_results=1_000)

    read = {"tags": lambda info: list(info.tags), "tags.k": lambda info: [info.tags.get("k")]}.get(
        field, lambda info: [getattr(info, field)]
    )
    expected = {value for trace in filled.everything for value in read(trace.info) if value}
    assert set(found) == {value for value in expected if prefix.casefold() in value.casefold()}
    assert len(set(found)) == len(found)
    begin = [value.casefold().startswith(prefix.casefold()) for value in found]
    assert begin == sorted(begin, reverse=True)


@pytest.mark.parametrize("field", ["nothing", "tags.`", "", "a = b"])
def test_values_of_a_field_that_there_is_not_are_refused(client, field):
    with pytest.raises(InvalidQuery, match="field"):
        client.list_values(field)


def test_made_traces_have_models_and_feedback(filled):  # noqa: F811
    """Or else the tests above would compare nothing with nothing."""
    assert filled.client.statistics(group_by="model").groups
    assert filled.client.statistics_details().feedback
    assert filled.client.statistics_details().errors
    assert len(traces(filled.client)) == 60
    assert made.SECOND == SECOND
