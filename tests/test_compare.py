"""Two traces are compared span by span and word by word, whatever is in them and however large they are."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autolog as al
from autolog import NotFound, Trace, TraceInfo, TraceState
from autolog.compare import aligned, compare, compare_outlines, compare_traces
from autolog.model import difference
from autolog.model.difference import compare_spans, diff_of_texts
from autolog.model.outline import Outline, SpanOutline
from tests.trees import the


def trace_of(client, *children, name="job", inputs=None):
    """Record a trace with these children below its root, each a name, or a name, a type and outputs."""
    root = client.start_trace(name, "AGENT", inputs=inputs)
    for child in children:
        title, kind, outputs = child if isinstance(child, tuple) else (child, "TOOL", None)
        client.end_span(client.start_span(title, root, kind), outputs=outputs)
    client.end_trace(root)
    return client.get_trace(root.trace_id)


def drawn(comparison):
    """Return the rows as text, without figures."""
    signs = {"same": "=", "changed": "~", "added": "+", "removed": "-"}
    lines = []
    for row in comparison.rows:
        names = [span.name for span in (row.left, row.right) if span is not None]
        told = f" ({', '.join(row.differs)})" if row.differs else ""
        lines.append(f"{signs[row.change]} {'  ' * row.depth}{' / '.join(dict.fromkeys(names))}{told}")
    return "\n".join(lines)


# --- alignment ------------------------------------------------------------------------------------------------


def test_a_step_more_and_a_step_less_leave_the_others_in_place(client):
    left = trace_of(client, "plan", "search", "read", "answer")
    right = trace_of(client, "plan", "read", "check", "answer")

    assert drawn(compare(left, right)) == (
        "= job\n"
        "=   plan\n"
        "-   search\n"
        "=   read\n"
        "+   check\n"
        "=   answer"
    )  # fmt: skip


def test_rounds_of_an_agent_pair_up_from_the_first(client):
    left = trace_of(client, "plan", "tool", "plan", "tool", "answer")
    right = trace_of(client, "plan", "tool", "plan", "answer")

    assert drawn(compare(left, right)) == (
        "= job\n"
        "=   plan\n"
        "=   tool\n"
        "=   plan\n"
        "-   tool\n"
        "=   answer"
    )  # fmt: skip


def test_a_step_of_another_name_is_the_same_step_changed(client):
    left = trace_of(client, ("chat gpt-4o", "CHAT_MODEL", "a"), "tool")
    right = trace_of(client, ("chat gpt-5", "CHAT_MODEL", "b"), "tool")

    assert drawn(compare(left, right)) == (
        "= job\n"
        "~   chat gpt-4o / chat gpt-5 (name, outputs)\n"
        "=   tool"
    )  # fmt: skip


def test_steps_that_ran_side_by_side_pair_up_in_any_order(client):
    left = trace_of(client, "a", "b", "c")
    right = trace_of(client, "c", "a", "b")

    assert compare(left, right).counts() == {"same": 4, "changed": 0, "added": 0, "removed": 0}


def test_roots_are_one_another_whatever_they_are_called(client):
    found = compare(trace_of(client, name="version 1"), trace_of(client, name="version 2"))

    assert drawn(found) == "~ version 1 / version 2 (name)"


def test_what_went_in_came_out_and_failed_is_told(client):
    left = trace_of(client, ("look up", "TOOL", ["a"]), inputs={"q": "why?"})
    with al.start_span("job", "AGENT", inputs={"q": "how?"}) as root:
        with al.start_span("look up", "TOOL") as step:
            step.set_attributes({"error.type": "KeyError", "gen_ai.request.temperature": 0.5})
            step.set_status("ERROR")
    right = client.get_trace(root.trace_id)

    assert drawn(compare(left, right)) == (
        "~ job (inputs)\n"
        "~   look up (status, error, outputs, parameters)"
    )  # fmt: skip


def test_traces_are_compared_by_their_ids_and_shown_as_one_tree(client):
    left, right = trace_of(client, "a", "b"), trace_of(client, "a", "c")

    found = compare_traces(left.trace_id, right)

    lines = str(found).split("\n")
    assert lines[:2] == [f"- {left.trace_id} job OK", f"+ {right.trace_id} job OK"]
    assert lines[2].startswith("  took ")
    assert [line.split("  (")[0] for line in lines[3:]] == ["  AGENT job", "    TOOL a", "~   TOOL c"]
    assert repr(found).endswith("2 same, 1 changed, 0 added, 0 removed)")
    with pytest.raises(NotFound):
        compare_traces(left, "0" * 31 + "1")


# Spans as a list of (place of the parent, name, type), of which a parent may come later, be missing or be the span itself.
_spans = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from("abc"), st.sampled_from(["TOOL", "CHAIN"])), min_size=1, max_size=12
)


def outline_of(side, spans):
    """Return an outline: span number 0 is a root, and a parent that is no span's number is missing."""
    made = tuple(
        SpanOutline(f"{side}{number}", f"{side}{parent}" if number else None, name, kind, "OK", number, number + 1,
                    None, None, None, None, None, None)
        for number, (parent, name, kind) in enumerate(spans)
    )  # fmt: skip
    return Outline(TraceInfo(side * 32, "t", TraceState.OK, 0), made)


def key(span):
    return span.span_type, span.name


@settings(max_examples=400, deadline=None)
@given(_spans, _spans, st.sampled_from([0, 2, 100]))
def test_every_span_is_in_one_row_below_its_parents_row(left, right, ordered):
    from autolog import compare as engine

    one, other = outline_of("a", left), outline_of("b", right)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_MOST_ORDERED", ordered)
        rows = list(aligned(one, other))

    assert sorted(row.left.span_id for row in rows if row.left) == sorted(span.span_id for span in one.spans)
    assert sorted(row.right.span_id for row in rows if row.right) == sorted(span.span_id for span in other.spans)
    path: list = []
    below: dict = {}
    for row in rows:
        assert row.depth <= len(path)
        path[row.depth :] = [row]
        above = path[row.depth - 1] if row.depth else None
        for span, parent in ((row.left, above and above.left), (row.right, above and above.right)):
            if span is not None and row.depth:
                assert parent is not None
                assert span.parent_id == parent.span_id
        below.setdefault(id(above), []).append(row)
    # Below each row, as many pair up as have a type and a name in common.
    for siblings in below.values():
        lefts = Counter(key(row.left) for row in siblings if row.left)
        rights = Counter(key(row.right) for row in siblings if row.right)
        pairs = [row for row in siblings if row.left and row.right]
        is_top = siblings[0].depth == 0 and len(siblings) == 1
        assert is_top or sum(key(row.left) == key(row.right) for row in pairs) == sum((lefts & rights).values())
    for row in rows:
        same = row.left and row.right and key(row.left) == key(row.right)
        assert (row.change == "same") == bool(same)


@given(_spans)
def test_a_trace_is_the_same_as_itself(spans):
    outline = outline_of("a", spans)

    assert compare_outlines(outline, outline).counts()["same"] == len(spans)


@pytest.mark.parametrize("shape", ["wide", "deep"])
def test_large_traces_are_compared_at_once(shape):
    """Neither a loop over all pairs nor recursion would end here."""
    kinds = ["plan", "tool", "chat"]
    spans = [(max(number - 1, 0) if shape == "deep" else 0, kinds[number % 3], "TOOL") for number in range(20_000)]
    shifted = [spans[0], *spans[2:]]
    if shape == "deep":
        shifted = [(max(number - 1, 0), name, kind) for number, (_, name, kind) in enumerate(shifted)]

    counts = compare_outlines(outline_of("a", spans), outline_of("b", shifted)).counts()

    assert counts["same"] + counts["changed"] + counts["removed"] == 20_000
    assert counts["added"] + counts["same"] + counts["changed"] == 19_999


# --- fields ---------------------------------------------------------------------------------------------------


def fields(left, right):
    return {field.path: field for field in compare_spans(left, right)}


def test_fields_are_told_by_their_places(client):
    with al.start_span("ask", "LLM", inputs={"messages": [{"content": "Say hello now"}], "a/b": 1}) as left:
        left.set_outputs("hello there world")
    with al.start_span("ask", "LLM", inputs={"messages": [{"content": "Say hello"}], "a/b": 2}) as right:
        right.set_outputs("hello brave world")

    found = fields(left, right)

    assert found["/name"].is_same
    assert found["/inputs/messages/0/content"].diff == (("=", "Say hello"), ("-", " now"))
    assert (found["/inputs/a~1b"].left, found["/inputs/a~1b"].right) == (1, 2)
    assert found["/inputs/a~1b"].diff == (("-", "1"), ("+", "2"))
    assert found["/outputs"].diff == (("=", "hello "), ("-", "there"), ("+", "brave"), ("=", " world"))


def test_what_is_put_into_a_list_does_not_change_the_rest_of_it(client):
    with al.start_span("a", inputs=["first", "second", "third"]) as left:
        pass
    with al.start_span("a", inputs=["first", "new", "second", "third"]) as right:
        pass

    found = fields(left, right)

    assert {path for path, field in found.items() if not field.is_same} == {"/inputs/→1"}
    assert found["/inputs/1→2"].left == found["/inputs/1→2"].right == "second"


def test_a_span_that_has_no_other_is_different_in_all_of_it(client):
    with al.start_span("a", inputs={"q": "why?", "nothing": None}) as span:
        pass

    found = fields(None, span)

    assert found["/inputs/q"].diff == (("+", "why?"),)
    assert not any(field.is_same for field in found.values())
    assert {field.diff[0][0] for field in compare_spans(span, None)} == {"-"}


def test_values_of_other_kinds_are_different(client):
    pairs = {
        "a": (1, "1"),
        "b": (True, 1),
        "c": ({}, []),
        "d": ({"x": 1}, [1]),
        "e": (None, "null"),
        "f": ({"x": 1}, "x"),
    }
    with al.start_span("s", inputs={name: left for name, (left, _) in pairs.items()}) as left:
        pass
    with al.start_span("s", inputs={name: right for name, (_, right) in pairs.items()}) as right:
        pass

    found = fields(left, right)

    for name in pairs:
        of_name = [field for path, field in found.items() if path.startswith(f"/inputs/{name}")]
        assert of_name
        assert not any(field.is_same for field in of_name), name


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("a/~b", max_size=2), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(json_values, json_values)
def test_fields_are_the_same_where_the_values_are(left, right):
    found = list(difference._fields(left, right, ""))
    shown = [difference._difference(path, one, other, [1_000]) for path, one, other in found]

    assert all(field.is_same for field in shown) is (_typed(left) == _typed(right))
    assert len({field.path for field in shown}) == len(shown)


def _typed(value):
    """Return a value that is equal to another one only where JSON has the same."""
    if isinstance(value, dict):
        return {name: _typed(one) for name, one in value.items()}
    return [_typed(one) for one in value] if isinstance(value, list) else (type(value), value)


# --- texts ----------------------------------------------------------------------------------------------------

words = st.lists(
    st.sampled_from(["the", "cat", "sat", " ", "  ", "\n", ".", "é", "東京", "x\0y", "<b>", ""]), max_size=40
).map("".join)


@settings(max_examples=400, deadline=None)
@given(words | st.text(), words | st.text())
def test_the_pieces_are_both_texts(left, right):
    pieces, note = diff_of_texts(left, right)

    assert note is None
    assert "".join(text for sign, text in pieces if sign in "=-") == left
    assert "".join(text for sign, text in pieces if sign in "=+") == right
    assert all(text for _, text in pieces)
    assert (left == right) is all(sign == "=" for sign, _ in pieces)


def test_words_are_not_torn_apart():
    assert diff_of_texts("unfriendly words", "friendly words") == (
        [("-", "unfriendly"), ("+", "friendly"), ("=", " words")], None,
    )  # fmt: skip


def test_of_a_long_text_what_is_near_a_difference_is_shown():
    same = "so it goes. " * 50_000
    pieces, note = diff_of_texts(f"{same}end {same}", f"{same}END {same}")

    assert note is None
    assert ("-", "end") in pieces
    assert sum(len(text) for sign, text in pieces if sign == "=") < 1_000
    assert pieces[0] == ("…", f"{len(same) - 400:,} characters")


def test_texts_that_are_long_and_share_nothing_are_not_compared_in_detail():
    pieces, note = diff_of_texts("a b c " * 200_000, "d e f " * 200_000)

    assert note == "too long to be compared: 2,399,998 characters differ"
    assert [sign for sign, _ in pieces] == ["-", "+", "="]
    assert sum(len(text) for _, text in pieces) < 5_000


def test_long_texts_are_compared_line_by_line():
    lines = [f"line {number} of a long text, which goes on for a while" for number in range(1_500)]
    changed = [*lines[:700], "something else", *lines[701:]]
    changed[20] = "another beginning"

    pieces, note = diff_of_texts("\n".join(lines), "\n".join(changed))

    assert note is None
    assert ("+", "something else") in pieces
    assert [sign for sign, _ in pieces if sign in "+-"] == ["-", "+", "-", "+"]


def test_a_field_says_why_it_is_not_compared(client):
    with al.start_span("a", inputs="a b c " * 150_000) as left:
        pass
    with al.start_span("a", inputs="d e f " * 150_000) as right:
        pass

    [told] = [field.to_dict() for field in compare_spans(left, right) if field.path == "/inputs"]

    assert told["note"].startswith("too long")
    assert not told["same"]
    assert len(str(told)) < 20_000


def test_traces_that_share_ids_of_spans_are_compared(client):
    one = trace_of(client, ("a", "TOOL", 1))
    told = one.to_dict()
    told["info"]["trace_id"] = "f" * 32
    for span in told["spans"]:
        span["trace_id"] = "f" * 32
        span["outputs"] = 2
    other = Trace.from_dict(told)

    assert drawn(compare(one, other)) == "~ job (outputs)\n~   a (outputs)"


def test_a_span_of_a_store_is_compared(client):
    with al.start_span("ask", inputs={"q": "why?"}):
        pass
    with al.start_span("ask again", inputs={"q": "why not?"}):
        pass

    found = fields(the(client, "ask"), the(client, "ask again"))

    assert found["/inputs/q"].diff == (("=", "why"), ("+", " not"), ("=", "?"))
