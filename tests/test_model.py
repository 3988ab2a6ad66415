"""Spans and traces as data: they round-trip, count tokens once, and print as a tree."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import autolog as al
from autolog import Cost, SpanEvent, SpanType, Status, StatusCode, TokenUsage, Trace
from autolog.model.message import preview
from autolog.model.trace import count_once, in_tree_order, totals
from autolog.testing import spans, traces
from autolog.tracer import Tracer


def nothing(span):
    pass


@pytest.fixture
def trace(client):
    """A trace that has a bit of everything."""
    with al.context(tags={"version": "v2"}, session_id="s1", user="u1", metadata={"git": "abc"}):
        with al.start_span("agent", SpanType.AGENT, inputs={"question": "why \ud800?"}) as root:
            with al.start_span("chat m", SpanType.CHAT_MODEL, {"gen_ai.request.model": "m"}) as chat:
                chat.set_usage(TokenUsage(10, 5, 15, cache_read_tokens=3, raw={"prompt_tokens": 10}))
                chat.set_cost(Cost(0.1, 0.2, 0.3))
                chat.add_event("gen_ai.first_token", {"n": 1})
                chat.add_link(root.get_span_context(), {"why": "test"})
            with pytest.raises(ValueError, match="broken"), al.start_span("tool", SpanType.TOOL):
                raise ValueError("broken")
            root.set_outputs(["because", 1.5, None])
    [trace] = traces(client)
    return trace


def test_a_trace_tells_what_was_recorded(trace):
    root, chat, tool = trace.spans

    assert [span.name for span in trace.spans] == ["agent", "chat m", "tool"]
    assert chat.parent_id == tool.parent_id == root.span_id
    assert root.parent_id is None
    assert root.inputs == {"question": "why \ufffd?"}
    assert root.outputs == ["because", 1.5, None]
    assert chat.model == "m"
    assert tool.status == Status(StatusCode.ERROR, "ValueError: broken")
    assert tool.events[0].attributes["exception.type"] == "ValueError"
    assert root.status is not None
    assert root.status.code is StatusCode.OK
    assert trace.state == "OK"
    assert (trace.info.session, trace.info.user, trace.info.tags) == ("s1", "u1", {"version": "v2"})
    assert trace.usage == TokenUsage(10, 5, 15, cache_read_tokens=3)
    assert trace.cost == Cost(0.1, 0.2, 0.3)
    assert trace.info.error_count == 1
    assert trace.root == root


def test_dict_and_json_round_trip_exactly(trace):
    assert Trace.from_dict(trace.to_dict()) == trace
    assert Trace.from_dict(trace.to_dict()).to_dict() == trace.to_dict()
    assert Trace.from_json(trace.to_json()) == trace
    assert Trace.from_json(trace.to_json(pretty=True)).info == trace.info
    assert trace.spans[1].usage.raw == {"prompt_tokens": 10}


def test_a_running_span_round_trips_too(client):
    with al.start_span("open", inputs={"a": {1, 2}}) as span:
        assert al.Span.from_dict(span.to_dict()).to_dict() == span.to_dict()


def test_spans_are_found_by_type_name_and_id(trace):
    assert [s.name for s in trace.search_spans("TOOL")] == ["tool"]
    assert [s.name for s in trace.search_spans(SpanType.CHAT_MODEL)] == ["chat m"]
    assert [s.name for s in trace.search_spans(name=re.compile("^chat"))] == ["chat m"]
    assert trace.search_spans(name="cha") == []
    assert trace.search_spans(span_id=trace.spans[2].span_id) == [trace.spans[2]]


def test_printing_a_trace_shows_the_tree(trace):
    heading, agent, chat, tool = str(trace).splitlines()

    assert re.fullmatch(rf"trace {trace.trace_id}  OK  .+  3 spans  10 → 5 tokens  \$0.3000", heading)
    assert agent.startswith("AGENT agent  ")
    assert re.fullmatch(r"├─ CHAT_MODEL chat m  .+  10 → 5 tokens  \$0.3000", chat)
    assert re.fullmatch(r"└─ TOOL tool  .+  ✗ ValueError: broken", tool)


def test_rich_prints_the_same_tree(trace):
    console = pytest.importorskip("rich.console").Console(width=89, record=True, file=open("/dev/null", "w"))
    with console.file:
        console.print(trace)

    assert console.export_text().strip() == str(trace)


def test_a_hostile_name_can_not_drive_the_terminal(client):
    with al.start_span("\x1b[2J\x1b]0;owned\x07[bold]evil[/bold]\r\n\u202etxt") as span:
        span.set_status("ERROR", "\x1b[31mred")
    [trace] = traces(client)

    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", str(trace))
    assert len(str(trace).splitlines()) == 2
    assert "[bold]evil[/bold]" in str(trace)


def test_an_unknown_type_is_recorded_as_unknown(client, caplog):
    with al.start_span("x", "FOO"):
        pass

    assert traces(client)[0].spans[0].span_type is SpanType.UNKNOWN
    assert "'FOO' is not a span type" in caplog.text
    assert SpanType("tool") is SpanType.TOOL


def test_a_model_call_inside_a_model_call_counts_once(client):
    with al.start_span("langchain", SpanType.CHAT_MODEL) as outer:
        with al.start_span("openai", SpanType.CHAT_MODEL) as inner:
            inner.set_usage(TokenUsage(9, 12, 21))
            inner.set_cost(Cost(1, 2, 3))
        outer.set_usage(TokenUsage(9, 12, 21))
        outer.set_cost(Cost(1, 2, 3))
    [trace] = traces(client)

    assert trace.usage == TokenUsage(9, 12, 21)
    assert trace.cost == Cost(1, 2, 3)


TREES = st.recursive(
    st.tuples(st.none() | st.integers(0, 9), st.just([])),
    lambda children: st.tuples(st.none() | st.integers(0, 9), st.lists(children, max_size=4)),
    max_leaves=15,
)


@given(TREES, st.booleans())
def test_counting_as_spans_end_agrees_with_counting_the_whole_tree(tree, children_last):
    """`count_once` sees spans one by one, in any order of ends; `totals` sees them all."""
    tracer = Tracer(nothing, nothing)
    spans, counted = [], []

    def end(span):
        span.end()
        count_once(span)
        counted.append(span.counted)

    def build(node, parent):
        tokens, children = node
        span = tracer.start_span("s", parent=parent)
        if tokens is not None:
            span.set_usage(TokenUsage(tokens, 1, tokens + 1))
            span.set_cost(Cost(tokens, 0, tokens))
        spans.append(span)
        if children_last:
            end(span)
        for child in children:
            build(child, span)
        if not children_last:
            end(span)

    build(tree, None)
    usage, cost = totals(spans)
    added = sum((count[0] for count in counted if count), TokenUsage())

    assert (added.input_tokens or 0) == ((usage.input_tokens if usage else 0) or 0)
    assert sum(count[1].total for count in counted if count) == (cost.total if cost else 0)


@given(st.permutations(range(6)))
def test_tree_order_puts_parents_first_whatever_their_clocks_say(order):
    tracer = Tracer(nothing, nothing)
    chain = [tracer.start_span("0", start_time_ns=1_000)]
    for number in range(1, 6):
        chain.append(tracer.start_span(str(number), parent=chain[-1], start_time_ns=1_000 - number))

    assert [span.name for span in in_tree_order(chain[i] for i in order)] == list("012345")


def test_broken_parents_lose_no_span():
    tracer = Tracer(nothing, nothing)
    a = tracer.start_span("a")
    b = tracer.start_span("b", parent=a)
    a._parent_id = b._span_id

    assert {span.name for span in in_tree_order([a, b])} == {"a", "b"}


@pytest.mark.parametrize("usage", [TokenUsage(), TokenUsage(raw={})])
def test_absent_counts_stay_absent(usage):
    assert not usage
    assert (usage + TokenUsage()).to_dict() == {}
    assert (TokenUsage(1) + TokenUsage(output_tokens=2)).to_dict() == {"input_tokens": 1, "output_tokens": 2}


def test_a_preview_of_what_is_nested_without_end_is_short():
    for wrap in (lambda inner: [inner], lambda inner: {"content": inner}, lambda inner: {"messages": [inner]}):
        value = "deep"
        for _ in range(10_000):
            value = wrap(value)
        assert preview(value) is None


def test_a_span_takes_events_and_its_end_as_mlflow_users_give_them(client):
    span = client.start_trace("t", start_time_ns=1_000)
    span.add_event(SpanEvent("retry", attributes={"attempt": 2}))
    span.add_event(SpanEvent("late", 5_000))
    span.end(end_time_ns=9_000)

    [stored] = spans(client)
    assert [(event.name, dict(event.attributes)) for event in stored.events] == [
        ("retry", {"attempt": 2}),
        ("late", {}),
    ]
    assert stored.events[0].timestamp_ns > stored.events[1].timestamp_ns == 5_000
    assert stored.end_time_ns == 9_000
