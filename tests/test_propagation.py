"""`inject` and `extract`: the place in the trace, as W3C's headers, in whichever form they come."""

from __future__ import annotations

import asyncio
import re
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry import trace as otel

import autolog as al
from autolog.context import add_source, remove_source
from autolog.testing import fresh_client, spans, traces
from tests.trees import forest, the

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = f"00-{TRACE}-{PARENT}-01"


def where():
    """Return the trace and the parent of a span that starts here."""
    span = al.start_span("here")
    span.end()
    return span.trace_id, span.parent_id


# --- out -------------------------------------------------------------------------------------------------


def test_the_innermost_span_is_written(client):
    with al.start_span("outer"), al.start_span("inner") as span:
        assert al.inject() == {"traceparent": f"00-{span.trace_id}-{span.span_id}-01"}


def test_headers_that_are_given_are_filled_and_returned(client):
    headers = {"Authorization": "x"}
    with al.start_span("span"):
        assert al.inject(headers) is headers
    assert set(headers) == {"Authorization", "traceparent"}
    again = {"TraceParent": "old"}
    with al.start_span("span") as span:
        al.inject(again)
    assert again == {"TraceParent": f"00-{span.trace_id}-{span.span_id}-01"}


@pytest.mark.parametrize("how", ["nowhere", "disabled", "suppressed"])
def test_outside_of_a_trace_nothing_is_written(client, how):
    client.tracer.enabled = how != "disabled"
    with al.context(enabled=how != "suppressed"):
        if how == "nowhere":
            assert al.inject({"a": "b"}) == {"a": "b"}
        else:
            with al.start_span("span"):
                assert al.inject() == {}


def test_a_step_that_a_framework_tells_of_is_written(client):
    step = client.tracer.start_step("node", al.SpanType.TASK)
    source = lambda: step
    add_source(source)
    try:
        assert step.span_id in al.inject()["traceparent"]
    finally:
        remove_source(source)
        step.end()


def test_baggage_goes_along(client):
    token = otel_context.attach(baggage.set_baggage("tenant", "a b"))
    try:
        with al.start_span("span"):
            headers = al.inject()
    finally:
        otel_context.detach(token)
    assert headers["baggage"] == "tenant=a+b"
    with al.extract(headers):
        assert baggage.get_baggage("tenant") == "a b"
    assert baggage.get_baggage("tenant") is None


# --- in --------------------------------------------------------------------------------------------------


def message(**headers):
    made = Message()
    for name, value in headers.items():
        made[name] = value
    return made


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": HEADER},
        {"TraceParent": HEADER, "Accept": "*/*"},
        {"HTTP_TRACEPARENT": HEADER, "wsgi.input": object(), "wsgi.version": (1, 0)},
        {"TRACEPARENT": HEADER},
        [("traceparent", HEADER)],
        [(b"accept", b"*/*"), (b"traceparent", HEADER.encode())],
        ((name, value) for name, value in [("Traceparent", HEADER)]),
        message(Traceparent=HEADER),
        {"traceparent": f"  {HEADER} "},
        {"traceparent": HEADER, 3: 4, None: None},
        [("traceparent", HEADER), ("traceparent", HEADER)],
    ],
    ids=lambda headers: type(headers).__name__,
)
def test_spans_nest_below_the_parent_that_was_sent_in_whichever_form(client, headers):
    with al.extract(headers):
        assert where() == (TRACE, PARENT)
        with al.start_span("below") as span:
            assert al.get_current_active_span() is span
    assert where()[1] is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        [],
        None,
        3,
        "traceparent",
        pytest.param(object(), id="an object"),
        {"traceparent": None},
        {"traceparent": ""},
        {"traceparent": HEADER[:-1]},
        {"traceparent": f"ff{HEADER[2:]}"},
        {"traceparent": f"00-{'0' * 32}-{PARENT}-01"},
        {"traceparent": f"00-{TRACE}-{'0' * 16}-01"},
        {"traceparent": HEADER.upper()},
        {"traceparent": HEADER * 100},
        [("traceparent", HEADER), ("traceparent", HEADER.replace("b7", "b8"))],
        [("traceparent",)],
        {"tracestate": "a=b"},
    ],
    ids=repr,
)
def test_without_a_valid_parent_nothing_changes(client, headers):
    with al.start_span("root") as root, al.extract(headers):
        assert where() == (root.trace_id, root.span_id)


@given(st.dictionaries(st.text(), st.text()), st.text(), st.binary())
def test_garbage_never_raises_and_changes_nothing(headers, text, raw):
    with fresh_client():
        for garbage in ({**headers, "traceparent": text}, [(b"traceparent", raw), (raw, raw)], [(text, raw)]):
            with al.start_span("root") as root, al.extract(garbage):
                assert where() == (root.trace_id, root.span_id)


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1))
def test_what_is_sent_arrives(trace_id, span_id):
    ids = otel.SpanContext(trace_id, span_id, is_remote=False, trace_flags=otel.TraceFlags(1))
    with fresh_client(), otel.use_span(otel.NonRecordingSpan(ids)):
        headers = al.inject()
    with fresh_client(), al.extract(headers):
        assert where() == (f"{trace_id:032x}", f"{span_id:016x}")


def test_the_users_exception_passes(client):
    error = ValueError()
    with pytest.raises(ValueError) as raised, al.extract({"traceparent": HEADER}):
        raise error
    assert raised.value is error
    assert where()[1] is None


def test_what_others_wrote_into_the_state_of_the_trace_is_handed_on(client):
    with al.extract({"traceparent": HEADER, "tracestate": "vendor=1,other=2"}):
        with al.start_span("service"), al.start_span("client") as span:
            headers = al.inject()
        assert headers == {"traceparent": f"00-{TRACE}-{span.span_id}-01", "tracestate": "vendor=1,other=2"}
        assert al.inject() == {"traceparent": HEADER, "tracestate": "vendor=1,other=2"}
        token = otel_context.attach(otel_context.Context())
        with al.start_span("apart"):
            assert "tracestate" not in al.inject()
        otel_context.detach(token)


def test_what_the_sender_does_not_record_is_told_to_who_comes_next(client):
    with al.extract({"traceparent": f"{HEADER[:-2]}00"}), al.start_span("service"):
        sent = al.inject()["traceparent"]
    assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-0[01]", sent)
    assert (sent[-1] == "1") is bool(traces(client))


def test_tasks_in_the_block_are_below_the_parent_and_others_are_not(client):
    async def serve(headers):
        with al.extract(headers):
            await asyncio.sleep(0)
            return where()

    async def main():
        return await asyncio.gather(*(serve({"traceparent": HEADER.replace("b7ad", f"{n:04x}")}) for n in range(1, 20)))

    assert [parent[:4] for _, parent in asyncio.run(main())] == [f"{n:04x}" for n in range(1, 20)]


def test_a_hop_gives_one_tree(client):
    def service(headers):
        with al.extract(headers), al.start_span("service"):
            al.start_span("work").end()

    with al.start_span("caller"):
        headers = al.inject()
    token = otel_context.attach(otel_context.Context())
    service(headers)
    otel_context.detach(token)
    assert forest(client) == "OK\nUNKNOWN caller\n  UNKNOWN service\n    UNKNOWN work"
    assert the(client, "service").parent is None
    assert len(spans(client)) == 3


def test_headers_that_can_not_be_written_are_left_alone_and_said_so(client, caplog):
    pairs = [("a", "b")]
    with al.start_span("caller"):
        assert al.inject(pairs) is pairs
    assert pairs == [("a", "b")]
    assert "a mapping of headers" in caplog.text
