"""A document has all of a trace, its texts once, and says where the rest of a cut one is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autolog as al
from autolog import capture
from autolog.errors import NotFound
from autolog.model.outline import outline
from autolog.testing import spans, traces
from autolog.viewer.document import COLUMNS, MARK, Texts, at, detail, document, encoded, rows, span_document


def decoded(value, texts):
    """What `texts.js` makes of an encoded value; a shortened text is its beginning."""
    if isinstance(value, str) and value.startswith(MARK):
        text = texts[int(value[len(MARK) :])]
        if isinstance(text, str):
            return text
        return int(text["integer"]) if "integer" in text else text["text"]
    if isinstance(value, dict):
        return {key: decoded(one, texts) for key, one in value.items()}
    return [decoded(one, texts) for one in value] if isinstance(value, list) else value


texts = st.text(max_size=20) | st.text(min_size=60, max_size=90) | st.just(f"{MARK}0") | st.just(MARK)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(values)
def test_an_encoded_value_is_read_back_as_it_was(value):
    found = Texts()

    assert decoded(encoded(value, found), found.found) == value


@settings(deadline=None)
@given(values)
def test_an_encoded_value_has_no_number_that_javascript_would_round(value):
    found = Texts()

    assert not any(isinstance(one, int) and abs(one) > 2**53 for one in leaves(encoded(value, found)))


def leaves(value):
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for one in value for leaf in leaves(one)] if isinstance(value, list) else [value]


@settings(deadline=None)
@given(values)
def test_the_place_of_a_cut_text_leads_to_all_of_it(value):
    found = Texts(longest=3)
    encoded(value, found)

    for text in found.found:
        if isinstance(text, dict) and "pointer" in text:
            whole = at(value, text["pointer"])
            assert len(whole) == text["length"]
            assert whole.startswith(text["text"])


def test_nothing_is_found_where_there_is_nothing():
    for pointer in ("/a/2", "/b", "/a/x", "/a/0/1", "/a/-1"):
        with pytest.raises(NotFound):
            at({"a": ["text"]}, pointer)


def test_a_text_is_in_the_document_once_however_often_it_occurs(client):
    system = "You are told this again and again. " * 20
    with al.start_span("agent") as root:
        for _ in range(5):
            with al.start_span("step", inputs={"messages": [{"role": "system", "content": system}]}):
                pass
    trace = al.get_trace(root.trace_id)

    assert json.dumps(document(outline(trace), trace.spans)).count(system) == 1


def test_as_many_texts_are_kept_as_there_is_room_for():
    found = Texts(longest=1_000, room=1_500)
    encoded([f"{number}" * 1_200 for number in range(4)], found)

    kept = [len(one if isinstance(one, str) else one["text"]) for one in found.found]
    assert kept == [1_000, 500, 200, 200]
    assert found.cut == 4 * 1_200 - sum(kept)


def test_what_is_nested_without_end_is_a_text():
    value = inner = []
    for _ in range(500):
        inner.append([])
        inner = inner[0]
    found = Texts()

    capture.json_bytes(encoded(value, found))

    [text] = found.found
    assert json.loads(text) is not None


def test_a_row_says_what_the_tree_shows(client):
    with al.start_span("agent", "AGENT") as root:
        with al.start_span(
            "chat", "CHAT_MODEL", {"gen_ai.request.model": "m", "gen_ai.response.time_to_first_chunk": 0.5}
        ) as chat:
            chat.set_usage(al.TokenUsage(3, 4, 7))
            chat.set_cost(al.Cost(0.1, 0.2, 0.3))
        with pytest.raises(KeyError), al.start_span("tool", "TOOL"):
            raise KeyError("k")

    found = [dict(zip(COLUMNS, row, strict=True)) for row in rows(outline(al.get_trace(root.trace_id)))]

    assert [row["name"] for row in found] == ["agent", "chat", "tool"]
    assert found[0]["parent_id"] is None
    assert found[1]["parent_id"] == found[2]["parent_id"] == root.span_id
    assert found[0]["start_ns"] == 0
    assert found[1] | {"start_ns": 0, "duration_ns": 0} == {
        "span_id": chat.span_id, "parent_id": root.span_id, "name": "chat", "type": "CHAT_MODEL", "status": "OK",
        "start_ns": 0, "duration_ns": 0, "first_token_ns": 500_000_000, "model": "m", "input_tokens": 3, "output_tokens": 4,
        "cost": 0.3, "error_type": None, "duplicate": 0,
    }  # fmt: skip
    assert found[2]["error_type"] == "KeyError"


def one(client, *args, outputs=None, **kwargs):
    with al.start_span(*args, **kwargs) as span:
        if outputs is not None:
            span.set_outputs(outputs)
    [found] = spans(client)
    return detail(found)


def test_a_conversation_has_one_form(client):
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
    messages = [
        {"role": "user", "content": "why?"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "because"},
    ]
    answer = {"choices": [{"message": {"role": "assistant", "content": "so"}, "finish_reason": "stop"}]}
    found = one(client, "chat", "CHAT_MODEL", inputs={"messages": messages}, outputs=answer)

    assert [message["role"] for message in found["chat"]["messages"]] == ["user", "assistant", "tool"]
    assert found["chat"]["messages"][1]["parts"] == [
        {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"a": 1}}
    ]
    assert found["chat"]["messages"][2]["parts"] == [{"type": "tool_call_response", "id": "c1", "response": "because"}]
    assert found["chat"]["answers"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": "so"}], "finish_reason": "stop"}
    ]


@pytest.mark.parametrize(
    ("inputs", "outputs", "expected"),
    [
        (
            {"input": ["a", "b"]},
            {"embeddings": {"count": 2, "dimension": 1536}},
            {"texts": ["a", "b"], "count": 2, "dimension": 1536},
        ),
        (
            {"text": "a"},
            [0.5] * 8,
            {"texts": ["a"], "count": 1, "dimension": 8, "first": [0.5] * 6},
        ),
        (
            ["a", "b"],
            {"embeddings": [[1, 2, 3], [4, 5, 6]]},
            {"texts": ["a", "b"], "count": 2, "dimension": 3, "first": [1, 2, 3]},
        ),
        (
            {"model": "m", "input": "a"},
            {"data": [{"embedding": [1.0, 2.0]}]},
            {"texts": ["m"], "count": 1, "dimension": 2, "first": [1.0, 2.0]},
        ),
    ],
)
def test_vectors_are_summed_up(client, inputs, outputs, expected):
    assert one(client, "embed", "EMBEDDING", inputs=inputs, outputs=outputs)["embeddings"] == expected


def test_a_retriever_that_found_nothing_says_so(client):
    assert one(client, "search", "RETRIEVER", outputs={"documents": []})["documents"] == []


def test_what_a_retriever_returned_that_is_no_list_of_documents_is_shown_as_it_is(client):
    found = one(client, "search", "RETRIEVER", outputs="nothing at all")

    assert "documents" not in found
    assert found["outputs"] == "nothing at all"


def test_an_exception_is_told_with_its_stack(client):
    with pytest.raises(ValueError, match="broken"), al.start_span("step"):
        raise ValueError("broken")
    [span] = spans(client)

    found = detail(span)["error"]

    assert (found["type"], found["message"]) == ("ValueError", "broken")
    assert 'raise ValueError("broken")' in found["stack"]


@settings(deadline=None)
@given(inputs=values, outputs=values)
def test_whatever_a_span_has_makes_a_document(inputs, outputs):
    from autolog.testing import fresh_client

    with fresh_client() as client:
        for kind in ("CHAT_MODEL", "EMBEDDING", "RETRIEVER", "TOOL", "UNKNOWN"):
            with al.start_span("step", kind, inputs={"messages": inputs}) as span:
                span.set_outputs(outputs)
        for trace in traces(client):
            capture.json_bytes(document(outline(trace), trace.spans))
            capture.json_bytes(span_document(trace.spans[0], 10))
