"""Sessions are listed by their last activity, page by page, with what all of their traces come to."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import autolog as al
from autolog import InvalidQuery, TokenUsage
from autolog.stores.sqlite import sessions
from tests.search import asked
from tests.search.test_filters import filled  # noqa: F401 - a fixture

SLOW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
NOW = 1_760_000_000_000_000_000
SECOND = 10**9


def turn(client, session, at, question="why?", answer="so", *, took=SECOND, error=False, tokens=None, **options):
    """Record a turn of a conversation."""
    root = client.start_trace("turn", session=session, start_time_ns=NOW + at * SECOND, inputs=question, **options)
    if tokens is not None:
        root.set_usage(TokenUsage(tokens, 0))
    if error:
        root.set_status("ERROR")
    client.end_trace(root, outputs=answer, end_time_ns=NOW + at * SECOND + took)
    return root.trace_id


def every_page(client, text=None, size=2, **conditions):
    """Return all sessions, page by page."""
    found, token = [], None
    while True:
        page = client.search_sessions(text, max_results=size, page_token=token, **conditions)
        assert len(page) == size or page.token is None
        found += page
        token = page.token
        if token is None:
            return found


# --- beside looking at every trace --------------------------------------------------------------------------


def total(values):
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def summed(session, everything):
    """Return what the traces of a session come to; `everything` has all traces, newest first."""
    infos = [trace.info for trace in everything if trace.info.session == session]
    ends = [info.end_time_ns for info in infos if info.end_time_ns is not None]
    return {
        "session": session,
        "user": next((info.user for info in infos if info.user is not None), None),
        "first_ns": infos[-1].start_time_ns,
        "last_ns": infos[0].start_time_ns,
        "traces": len(infos),
        "errors": sum(str(info.state) == "ERROR" for info in infos),
        "tokens": total([asked.trace_tokens(info) for info in infos]),
        "cost": total([info.cost.total if info.cost else None for info in infos]),
        "duration_ns": max(ends) - infos[-1].start_time_ns if ends else None,
        "busy_ns": total([info.duration_ns for info in infos]),
        "first_request": next((i.request_preview for i in reversed(infos) if i.request_preview is not None), None),
        "last_response": next((i.response_preview for i in infos if i.response_preview is not None), None),
    }


@SLOW
@given(asked.filters | st.none(), st.integers(1, 5), st.sampled_from([1, 3, 500]))
def test_sessions_are_those_of_every_trace_that_is_asked_for(filled, node, size, at_once):  # noqa: F811
    text = None if node is None else asked.written(node)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "_AT_ONCE", at_once)
        found = every_page(filled.client, text, size)

    meant = [trace for trace in filled.everything if node is None or asked.holds(node, trace)]
    expected = dict.fromkeys(trace.info.session for trace in meant if trace.info.session is not None)
    assert [one.session for one in found] == list(expected), text
    for one in found:
        assert one.to_dict() == pytest.approx(summed(one.session, filled.everything))


# --- one by one -----------------------------------------------------------------------------------------------


def test_a_session_has_its_first_question_and_its_last_answer(client):
    turn(client, "a", 0, "Where is my parcel?", "In Ulm.", user="ada", tokens=10)
    turn(client, "b", 1)
    turn(client, "a", 2, "Still?", "It moves.", took=3 * SECOND, error=True, tokens=5)

    [first, second] = client.search_sessions()

    assert [first.session, second.session] == ["a", "b"]
    assert (first.first_request, first.last_response) == ("Where is my parcel?", "It moves.")
    assert (first.traces, first.errors, first.tokens, first.user) == (2, 1, 15, "ada")
    assert (first.first_ns, first.last_ns) == (NOW, NOW + 2 * SECOND)
    assert (first.duration_ns, first.busy_ns) == (5 * SECOND, 4 * SECOND)


def test_a_filter_chooses_sessions_and_their_figures_are_of_all_their_traces(client):
    turn(client, "a", 0, error=True)
    turn(client, "a", 1)
    turn(client, "b", 2)

    [found] = client.search_sessions("status = 'ERROR'")

    assert (found.session, found.traces, found.errors) == ("a", 2, 1)


def test_sessions_of_an_experiment_have_its_figures_only(client):
    turn(client, "a", 0, experiment="mine")
    turn(client, "a", 1, experiment="theirs", question="secret")
    turn(client, "b", 2, experiment="theirs")

    [found] = client.search_sessions(experiment="mine")

    assert (found.session, found.traces, found.last_ns) == ("a", 1, NOW)


def test_pages_stay_stable_while_turns_arrive(client):
    for number in range(6):
        turn(client, f"s{number}", number)
    first = client.search_sessions(max_results=2)
    turn(client, "s5", 10)
    turn(client, "s9", 11)
    second = client.search_sessions(max_results=2, page_token=first.token)
    turn(client, "s1", 12)  # moves to the top, and is behind no more
    third = client.search_sessions(max_results=2, page_token=second.token)

    assert [one.session for one in (*first, *second, *third)] == ["s5", "s4", "s3", "s2", "s0"]
    assert third.token is None


def test_a_token_is_of_its_own_list(client):
    for number in range(4):
        turn(client, f"s{number}", number)
    token = client.search_sessions(max_results=2).token

    with pytest.raises(InvalidQuery, match="page_token is of another search"):
        client.search_sessions("status = 'OK'", page_token=token)


def test_a_long_session_does_not_hide_those_before_it(client, monkeypatch):
    monkeypatch.setattr(sessions, "_AT_ONCE", 4)
    turn(client, "old", 0)
    for number in range(1, 40):
        turn(client, "long", number)

    assert [one.session for one in every_page(client, size=1)] == ["long", "old"]


def test_a_session_is_a_conversation(client):
    ids = [turn(client, 'it\'s a "chat"', number) for number in range(3)]
    turn(client, "another", 3)

    found = al.search_traces(session='it\'s a "chat"', order_by="timestamp", include_spans=False, return_type="list")

    assert [info.trace_id for info in found] == ids


def test_traces_without_a_session_are_of_none(client):
    client.end_trace(client.start_trace("alone"))

    assert client.search_sessions() == []
    assert client.search_sessions(max_results=0) == []
