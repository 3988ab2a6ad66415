"""What a person sees of a trace in the terminal."""

from __future__ import annotations

import autolog as al
from autolog.testing import traces


def lines_of(client):
    [trace] = traces(client)
    return str(trace).splitlines()


def test_retrieved_documents_are_shown_below_their_span_with_their_scores(client):
    found = [{"id": "a", "score": 0.62, "content": "Opening hours\nWednesday to Sunday"}, {"id": "b", "content": ""}]
    with al.start_span("answer"), al.start_span("search", "RETRIEVER") as span:
        span.set_outputs({"documents": found})

    assert [line.lstrip() for line in lines_of(client)[3:]] == ["· 0.62  Opening hours Wednesday to Sunday", "· b"]


def test_of_many_documents_the_first_are_shown(client):
    with al.start_span("search", "RETRIEVER") as span:
        span.set_outputs({"documents": [{"content": f"text {number}"} for number in range(12)]})

    assert [line.strip() for line in lines_of(client)[-2:]] == ["· text 4", "· and 7 more"]


def test_a_document_cannot_drive_the_terminal(client):
    with al.start_span("search", "RETRIEVER") as span:
        span.set_outputs({"documents": [{"content": "\x1b[2J\u202e" + "x" * 10_000}, "no document", None]})

    [line] = lines_of(client)[2:]
    assert "\x1b" not in line
    assert "\u202e" not in line
    assert len(line) < 120


def test_a_span_that_was_cancelled_says_so(client):
    with al.start_span("work") as span:
        span.set_status(al.Status.CANCELLED)

    assert lines_of(client)[1].endswith("cancelled")


def test_a_call_that_two_libraries_report_is_marked_where_it_repeats(client):
    with al.start_span("ChatOpenAI", "CHAT_MODEL") as call, al.start_span("chat gpt-4o", "CHAT_MODEL") as same:
        same.mark_duplicate_of(call)

    assert [line.endswith("same call") for line in lines_of(client)[1:]] == [False, True]
