"""Feedback and expectations: logged, corrected, deleted, found again, on traces that run and on stored ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import autolog as al
from autolog import AssessmentSource, Expectation, Feedback, InvalidAssessment, NotFound
from autolog.model.assessment import Assessment
from autolog.testing import fresh_client

HUMAN = AssessmentSource("HUMAN", "ada")
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def trace_id(client):
    with al.start_span("job") as span:
        pass
    return span.trace_id


def test_feedback_and_expectations_stay_with_their_trace(client, trace_id):
    al.log_feedback(trace_id=trace_id, name="helpful", value=True, source=HUMAN, rationale="it was", metadata={"n": 1})
    al.log_feedback(trace_id=trace_id, value=0.5)
    al.log_expectation(trace_id=trace_id, name="answer", value={"facts": ["a", "b"]})
    trace = al.get_trace(trace_id)
    [helpful, plain, answer] = trace.assessments
    assert isinstance(helpful, Feedback)
    assert isinstance(answer, Expectation)
    assert (helpful.name, helpful.value, helpful.source, helpful.rationale) == ("helpful", True, HUMAN, "it was")
    assert (helpful.metadata, helpful.trace_id, helpful.valid) == ({"n": "1"}, trace_id, True)
    assert (plain.name, plain.value, str(plain.source.source_type)) == ("feedback", 0.5, "CODE")
    assert (answer.value, str(answer.source.source_type)) == ({"facts": ["a", "b"]}, "HUMAN")
    [info] = al.search_traces(include_spans=False, return_type="list")
    assert info.assessments == trace.assessments


def test_a_trace_with_assessments_survives_json(client, trace_id):
    al.log_feedback(trace_id=trace_id, name="a", value=["x", 1])
    trace = al.get_trace(trace_id)
    assert al.Trace.from_json(trace.to_json()) == trace


def test_the_running_trace_is_meant_where_none_is_named(client):
    with al.start_span("job") as span:
        al.log_feedback(name="early", value=1)
        al.log_expectation(name="answer", value="x")
    assert [one.name for one in al.get_trace(span.trace_id).assessments] == ["early", "answer"]
    with pytest.raises(InvalidAssessment, match="trace_id="):
        al.log_feedback(value=1)


def test_one_span_can_be_meant(client):
    with al.start_span("job") as span, al.start_span("step") as step:
        pass
    al.log_feedback(trace_id=span.trace_id, name="step", value=3, span_id=step.span_id)
    al.log_feedback(trace_id=span.trace_id, name="all", value=3)
    trace = al.get_trace(span.trace_id)
    assert [one.name for one in trace.search_assessments(span_id=step.span_id)] == ["step"]


def test_feedback_is_corrected_beside_what_it_was(client, trace_id):
    first = al.log_feedback(trace_id=trace_id, name="score", value=1)
    second = al.override_feedback(
        trace_id=trace_id, assessment_id=first.assessment_id, value=5, source=HUMAN, rationale="looked again"
    )
    trace = al.get_trace(trace_id)
    assert [(one.value, one.valid) for one in trace.assessments] == [(1, False), (5, True)]
    assert second.overrides == first.assessment_id
    assert [one.value for one in trace.search_assessments("score")] == [5]
    assert [one.value for one in trace.search_assessments("score", all=True, type="feedback")] == [1, 5]

    al.delete_assessment(trace_id, second.assessment_id)
    assert [(one.value, one.valid) for one in al.get_trace(trace_id).assessments] == [(1, True)]


def test_an_assessment_is_changed_in_its_place(client, trace_id):
    first = al.log_feedback(trace_id=trace_id, name="score", value=1)
    changed = al.update_assessment(trace_id, first.assessment_id, Feedback(name="score", value=2, source=HUMAN))
    assert al.get_assessment(trace_id, first.assessment_id) == changed
    assert (changed.value, changed.create_time_ns) == (2, first.create_time_ns)
    assert changed.last_update_time_ns >= first.last_update_time_ns
    assert len(al.get_trace(trace_id).assessments) == 1


def test_why_there_is_no_value_is_kept(client, trace_id):
    al.log_feedback(trace_id=trace_id, name="judge", error=RuntimeError("no key sk-abcdefgh12345678"))
    [one] = al.get_trace(trace_id).assessments
    assert (one.value, one.error) == (None, "RuntimeError: no key [redacted]")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: al.log_feedback(name="a"), "needs a value, or an error"),
        (lambda: al.log_feedback(name=" ", value=1), "needs a name"),
        (lambda: al.log_feedback(name=7, value=1), "needs a name"),
        (lambda: al.log_expectation(name="a", value=None), "needs a value"),
        (lambda: al.log_feedback(name="a", value=1, span_id=""), "span_id names a span"),
        (lambda: AssessmentSource("ROBOT"), "HUMAN, LLM_JUDGE, CODE"),
    ],
)
def test_what_says_nothing_is_refused(client, make, message):
    with pytest.raises(InvalidAssessment, match=message):
        make()


def test_what_is_not_there_is_said(client, trace_id):
    with pytest.raises(NotFound, match="no trace"):
        al.log_feedback(trace_id="ab" * 16, value=1)
    with pytest.raises(NotFound, match="no assessment"):
        al.get_assessment(trace_id, "x")
    with pytest.raises(NotFound, match="no assessment"):
        al.delete_assessment(trace_id, "x")
    with pytest.raises(NotFound, match="no assessment"):
        al.override_feedback(trace_id=trace_id, assessment_id="x", value=1)
    assert al.get_trace(trace_id).assessments == ()


def test_an_assessment_of_another_trace_is_not_touched(client, trace_id):
    with al.start_span("other") as other:
        pass
    one = al.log_feedback(trace_id=trace_id, value=1)
    with pytest.raises(NotFound):
        al.delete_assessment(other.trace_id, one.assessment_id)
    with pytest.raises(InvalidAssessment, match="of another trace; give it another id"):
        client.log_assessment(other.trace_id, one)
    assert al.get_trace(trace_id).assessments == (one,)
    assert al.get_trace(other.trace_id).assessments == ()


def test_assessments_go_with_their_trace(client, trace_id):
    al.log_feedback(trace_id=trace_id, value=1)
    saved = al.get_trace(trace_id)
    al.delete_traces(trace_id)
    with al.start_span("new one, in the old one's place"):
        pass
    assert [t.assessments for t in al.search_traces(return_type="list")] == [()]
    al.add_trace(saved)
    assert len(al.get_trace(trace_id).assessments) == 1


@given(
    name=st.text(min_size=1).filter(str.strip),
    value=JSON.filter(lambda v: v is not None),
    rationale=st.none() | st.text(),
)
def test_every_value_comes_back_as_json_has_it(name, value, rationale):
    with fresh_client():
        with al.start_span("job") as span:
            pass
        logged = al.log_feedback(trace_id=span.trace_id, name=name, value=value, rationale=rationale)
        [one] = al.get_trace(span.trace_id).assessments
        assert one.value == logged.value == value
        assert one == logged
        assert Assessment.from_dict(one.to_dict()) == one


def test_values_of_other_kinds_are_pictured(client, trace_id):
    al.log_feedback(trace_id=trace_id, name="odd", value={"set": {1}, "object": object()})
    [one] = al.get_trace(trace_id).assessments
    assert one.value == {"set": [1], "object": "<builtins.object object>"}
