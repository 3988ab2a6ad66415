"""A store tells that it changed, whoever changed it; what meets a filter is deleted, however much it is."""

from __future__ import annotations

import os

import pytest

from autolog import Client
from autolog.errors import InvalidQuery
from autolog.testing import fresh_client


@pytest.fixture
def path(tmp_path):
    return tmp_path / "traces.db"


def record(client, name="a"):
    span = client.start_trace(name)
    client.end_trace(span)
    client.flush()
    return span.trace_id


def test_a_store_in_memory_tells_that_it_changed(client):
    seen = [client.version()]
    trace_id = record(client)
    seen.append(client.version())
    client.set_trace_tag(trace_id, "a", "b")
    seen.append(client.version())
    assert len(set(seen)) == 3
    client.get_trace(trace_id)
    assert client.version() == seen[-1]


def test_a_store_in_a_file_tells_what_others_changed(path):
    with fresh_client(str(path)) as one, fresh_client(str(path)) as other:
        assert one.version() == other.version()  # there is none yet
        trace_id = record(one)
        seen = [one.version(), other.version()]
        assert (one.version(), other.version()) == tuple(seen)
        other.delete_traces(trace_id)
        assert one.version() != seen[0]
        assert other.version() != seen[1]


def test_a_store_that_another_one_took_the_place_of_changed(path, tmp_path):
    with fresh_client(str(path)) as client:
        record(client)
        before = client.version()
    other = tmp_path / "other.db"
    with fresh_client(str(other)) as writer:
        record(writer, "b")
    with fresh_client(str(path)) as client:
        client.version()
        before = client.version()
        client._store._watch  # noqa: B018 - it has the file open
        os.replace(other, path)
        assert client.version() != before


def test_the_child_of_a_fork_asks_anew(path):
    with fresh_client(str(path)) as client:
        record(client)
        client.version()
        child = os.fork()
        if not child:
            first = client.version()
            other = Client(str(path))
            record(other)
            os._exit(0 if client.version() != first else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(client.search_traces(return_type="list")) == 2


def test_more_is_deleted_than_a_page_has(client, monkeypatch):
    monkeypatch.setattr("autolog.stored._DELETED_AT_ONCE", 7)
    for number in range(30):
        record(client, "even" if number % 2 == 0 else "odd")
    assert client.delete_traces(filter_string="name = 'even'", max_traces=9) == 9
    assert client.delete_traces(filter_string="name = 'even'") == 6
    left = client.search_traces(return_type="list")
    assert [one.name for one in left] == ["odd"] * 15
    assert client.delete_traces([left[0].trace_id, left[9].trace_id], filter_string="name = 'odd'") == 2
    assert client.delete_traces([left[1].trace_id], filter_string="name = 'even'") == 0
    with pytest.raises(InvalidQuery):
        client.delete_traces(filter_string=" ")
