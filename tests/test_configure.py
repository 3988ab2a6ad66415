"""`configure()`: what can be changed while a program runs is, all of it or nothing, and what can't be says so."""

from __future__ import annotations

import os

import pytest

import autolog as al
from autolog import InvalidSetting, Sampling
from autolog.settings import Settings
from autolog.testing import fresh_client, spans, traces


def test_settings_change_while_the_program_runs(client, tmp_path):
    al.configure(
        experiment="e", version="v2", capture_content=False, duplicates="drop", cost=False, flush_interval=0.05,
        queue_spans=10_000, queue_bytes=10_000_000, exit_timeout=1.0, store=str(tmp_path / "t.db"),
    )  # fmt: skip
    al.start_span("x", inputs="secret").end()
    [trace] = traces(client)

    assert (trace.info.experiment, trace.info.version) == ("e", "v2")
    assert trace.root.inputs is None
    assert client.tracer.duplicates == "drop"
    assert al.store_location() == str(tmp_path / "t.db")
    assert client._pipeline._settings == client.settings


@pytest.mark.parametrize(
    "name",
    ["capture_user", "capture_embeddings", "inject_stream_usage", "max_string", "max_payload", "max_media", "max_stream",
     "otlp_endpoint", "otlp_protocol"],
)  # fmt: skip
def test_what_can_not_be_changed_any_more_says_where_it_is_set(client, name):
    now = getattr(client.settings, name)
    other = "http://x" if now is None else not now if isinstance(now, bool) else now + 1
    with pytest.raises(InvalidSetting, match=rf"{name} can't be changed while the program runs: "):
        al.configure(**{name: other})
    al.configure(**{name: now})


def test_each_setting_is_either_changed_or_refused(client):
    for name, value in ((name, getattr(Settings(), name)) for name in Settings.__slots__):
        al.configure(**{name: value})


@pytest.mark.parametrize(
    "change",
    [{"no_such": 1}, {"cost": "yes"}, {"flush_interval": -1.0}, {"duplicates": "x"}, {"redact": ["x"]}, {"store": "x://y"},
     {"span_processors": [1]}, {"sample_ratio": 3.0}],
)  # fmt: skip
def test_a_change_that_fails_changes_nothing(client, change):
    before = client.settings
    with pytest.raises(InvalidSetting):
        al.configure(**{"capture_content": False, "experiment": "e", "sampling": Sampling(ratio=0.0), **change})
    al.start_span("x", inputs="kept").end()

    assert client.settings == before
    assert [(span.inputs, span.name) for span in spans(client)] == [("kept", "x")]
    assert traces(client)[0].info.experiment == "default"


def test_a_block_changes_back_what_it_changed_and_no_more(client):
    al.set_experiment("before")
    with al.configure(experiment="inside", capture_content=False):
        al.start_span("inside", inputs=1).end()
        client.flush()
        al.configure(cost=False)
    al.start_span("after", inputs=1).end()

    assert [(trace.info.experiment, trace.root.inputs) for trace in traces(client)] == [("inside", None), ("before", 1)]
    assert client.settings.cost is False


def test_a_block_changes_back_where_it_raises(client):
    with pytest.raises(ZeroDivisionError), al.configure(tracing=False):
        1 / 0
    assert al.start_span("x").is_recording()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_child_of_a_fork_goes_by_the_same_settings(tmp_path):
    with fresh_client(str(tmp_path / "t.db")) as client:
        client.configure(
            span_processors=[lambda span: span.update_name("processed")], sampling=Sampling(ratio=0, keep_errors=True)
        )
        if os.fork() == 0:
            client.start_trace("well").end()
            failed = client.start_trace("badly")
            failed.set_status("ERROR")
            failed.end()
            client._pipeline.flush()
            os._exit(0)
        os.wait()
        assert [span.name for span in spans(client)] == ["processed"]
