"""Datasets hold what goes in and what is expected, each once, and give it back as it was."""

from __future__ import annotations

import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autolog as al
from autolog import InvalidDataset, NotFound
from autolog.testing import fresh_client, traces


def answer(question, reply="so", **options):
    """Record a trace; return its id."""
    with al.start_span("answer", "AGENT", inputs={"question": question}) as span, al.context(**options):
        span.set_outputs({"answer": reply})
    return span.trace_id


def shown(dataset):
    """Return the records as what they are about."""
    return [(record.inputs, record.outputs, dict(record.expectations)) for record in dataset.records]


# --- from traces ----------------------------------------------------------------------------------------------


def test_traces_become_records_with_what_was_expected_of_them(client):
    trace_id = answer("why?")
    al.log_expectation(trace_id=trace_id, name="answer", value="because")
    al.log_feedback(trace_id=trace_id, name="helpful", value=True)

    dataset = al.create_dataset("regressions").merge_records(al.get_trace(trace_id))

    [record] = dataset.records
    assert (record.inputs, record.outputs) == ({"question": "why?"}, {"answer": "so"})
    assert record.expectations == {"answer": "because"}
    assert (record.trace_id, record.span_id) == (trace_id, None)


def test_merging_again_changes_nothing(client):
    ids = [answer("why?"), answer("how?"), answer("why?")]
    found = [al.get_trace(trace_id) for trace_id in ids]
    dataset = al.create_dataset("d")

    first, before = dataset.merge(found), dataset.records
    again = dataset.merge(found)

    assert (first.added, first.changed, first.same) == (2, 0, 0)
    assert (again.added, again.changed, again.same) == (0, 0, 2)
    assert dataset.records == before


def test_a_record_of_equal_inputs_gets_what_the_new_one_says(client):
    dataset = al.create_dataset("d")
    dataset.merge_records({"inputs": {"b": 1, "a": [2]}, "expectations": {"x": 1, "y": 1}, "tags": {"k": "v"}})
    dataset.merge_records(
        [{"inputs": {"a": [2], "b": 1}, "outputs": "out", "expectations": {"y": 2}, "tags": {"l": "w"}}]
    )

    [record] = dataset.records
    assert record.expectations == {"x": 1, "y": 2}
    assert (record.outputs, record.tags) == ("out", {"k": "v", "l": "w"})


def test_an_expectation_that_was_overridden_is_none(client):
    trace_id = answer("why?")
    first = al.log_expectation(trace_id=trace_id, name="answer", value="wrong")
    client.override_assessment(trace_id, first.assessment_id, al.Expectation(name="answer", value="right"))

    [record] = al.create_dataset("d").merge_records(al.get_trace(trace_id)).records

    assert record.expectations == {"answer": "right"}


def test_a_span_becomes_a_record_of_its_own_inputs(client):
    with al.start_span("answer", inputs="all"):
        with al.start_span("look up", "RETRIEVER", inputs={"q": "refund"}) as step:
            step.set_outputs(["policy"])
    al.log_expectation(trace_id=step.trace_id, span_id=step.span_id, name="docs", value=1)
    al.log_expectation(trace_id=step.trace_id, name="answer", value="of the whole")

    [record] = al.create_dataset("d").merge_records(client.get_span(step.trace_id, step.span_id)).records

    assert (record.inputs, record.outputs) == ({"q": "refund"}, ["policy"])
    assert (record.expectations, record.span_id) == ({"docs": 1}, step.span_id)


def test_found_traces_are_taken_in_every_form_that_they_have(client):
    pytest.importorskip("pandas")
    for question in ("why?", "how?"):
        answer(question)
    table = al.search_traces()
    infos = al.search_traces(include_spans=False, return_type="list")
    expected = [({"question": "how?"}, {"answer": "so"}, {}), ({"question": "why?"}, {"answer": "so"}, {})]

    for number, found in enumerate((table, infos, traces(client)[::-1], iter(traces(client)[::-1]))):
        assert shown(al.create_dataset(f"d{number}").merge_records(found)) == expected


# --- as a table -----------------------------------------------------------------------------------------------


def test_a_dataframe_goes_in_and_comes_out(client):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(
        {"inputs": [{"q": 1}, {"q": 2}], "expectations": [{"a": 1}, None], "outputs": [float("nan"), "x"]}
    )

    dataset = al.create_dataset("d").merge_records(table)

    assert shown(dataset) == [({"q": 1}, None, {"a": 1}), ({"q": 2}, "x", {})]
    out = dataset.to_df()
    assert list(out["inputs"]) == [{"q": 1}, {"q": 2}]
    assert shown(al.create_dataset("e").merge_records(out)) == shown(dataset)


def test_json_lines_are_taken_again(client, tmp_path):
    trace_id = answer("warum? 東京")
    dataset = al.create_dataset("d").merge_records([al.get_trace(trace_id), {"inputs": None}, {"inputs": [1]}])

    path = dataset.save_jsonl(tmp_path / "d.jsonl")

    lines = path.read_text(encoding="utf-8").splitlines()
    assert "warum? 東京" in lines[0]
    again = al.create_dataset("again").merge_records(map(json.loads, lines))
    assert shown(again) == shown(dataset)
    assert [record.trace_id for record in again.records] == [trace_id, None, None]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(values, st.dictionaries(st.sampled_from("xyz"), st.integers(-9, 9)), st.booleans()), max_size=8)
)
def test_a_dataset_is_a_dict_from_inputs_to_what_is_expected(given_records):
    with fresh_client():
        dataset = al.create_dataset("d")
        expected: dict = {}
        for inputs, expectations, is_alone in given_records:
            record = {"inputs": inputs, "expectations": expectations}
            dataset.merge_records(record if is_alone else [record, record])
            expected.setdefault(json.dumps(inputs, sort_keys=True), {}).update(expectations)

        assert [dict(record.expectations) for record in dataset.records] == list(expected.values())
        assert len(dataset) == len(expected) == len({record.record_id for record in dataset})


def test_records_come_in_pages_in_the_order_in_which_they_came(client):
    dataset = al.create_dataset("d").merge_records([{"inputs": number} for number in range(1_203)])

    assert [record.inputs for record in dataset] == list(range(1_203))
    page = dataset.page(max_results=2)
    assert [record.inputs for record in page] == [0, 1]
    assert [record.inputs for record in dataset.page(page.token, 2)] == [2, 3]
    with pytest.raises(al.InvalidQuery, match="page_token"):
        dataset.page("nonsense")


# --- there and gone -------------------------------------------------------------------------------------------


def test_datasets_are_listed_made_and_deleted(client):
    al.create_dataset("b", tags={"team": "search"})
    al.create_dataset("a")
    al.get_dataset("b").merge_records({"inputs": 1})

    assert [(one.name, one.info.records, dict(one.tags)) for one in al.list_datasets()] == [
        ("b", 1, {"team": "search"}), ("a", 0, {}),
    ]  # fmt: skip
    gone = al.get_dataset("b")
    al.delete_dataset("b")
    assert [one.name for one in al.list_datasets()] == ["a"]
    for ask in (lambda: al.get_dataset("b"), lambda: al.delete_dataset("b"), lambda: gone.merge_records({"inputs": 1})):
        with pytest.raises(NotFound, match="no dataset 'b'"):
            ask()
    assert shown(al.create_dataset("b")) == []


def test_a_dataset_is_true_without_records(client):
    assert al.create_dataset("empty")


def test_records_are_deleted_by_their_ids(client):
    dataset = al.create_dataset("d").merge_records([{"inputs": number} for number in range(3)])
    first, second, _ = dataset.records

    assert dataset.delete_records([first.record_id, first.record_id, "none"]) == 1
    assert dataset.delete_records(second.record_id) == 1
    assert [record.inputs for record in dataset.records] == [2]


def test_a_name_is_taken_once(client):
    al.create_dataset("d")

    with pytest.raises(InvalidDataset, match="get_dataset"):
        al.create_dataset("d")


@pytest.mark.parametrize("name", ["", "  ", "a/b", "..", ".", "x\0y", "a\nb", "n" * 251, None, 3])
def test_a_name_can_stand_in_an_address(client, name):
    with pytest.raises(InvalidDataset, match="name of a dataset"):
        al.create_dataset(name)


@pytest.mark.parametrize(
    "records", ["text", 3, None, [3], {"question": "why?"}, [{"inputs": 1}, "x"], {"inputs": 1, "expectations": [1]}]
)
def test_what_is_no_record_is_refused_and_nothing_is_added(client, records):
    dataset = al.create_dataset("d")

    with pytest.raises(InvalidDataset):
        dataset.merge_records(records)
    assert dataset.records == []


def test_a_trace_that_is_deleted_leaves_its_record(client):
    trace_id = answer("why?")
    dataset = al.create_dataset("d").merge_records(al.get_trace(trace_id))

    client.delete_traces(trace_id)

    assert shown(dataset) == [({"question": "why?"}, {"answer": "so"}, {})]


def test_the_record_is_a_copy_of_what_was_given(client):
    given_inputs = {"messages": [{"content": "hi"}]}
    dataset = al.create_dataset("d").merge_records({"inputs": given_inputs})
    given_inputs["messages"].append("more")

    assert dataset.records[0].inputs == {"messages": [{"content": "hi"}]}


def test_personal_data_does_not_reach_a_dataset():
    with fresh_client(redact=("email",)):
        dataset = al.create_dataset("of ada@example.com", tags={"by": "ada@example.com"})
        dataset.merge_records({"inputs": "mail ada@example.com", "expectations": {"to": ["ada@example.com"]}})

        kept = json.dumps([dataset.info.to_dict(), *[record.to_dict() for record in dataset]])
        assert "ada@" not in kept
        assert len(dataset) == 1


def test_threads_add_to_one_dataset(client):
    dataset = al.create_dataset("d")
    threads = [
        threading.Thread(target=dataset.merge_records, args=([{"inputs": n % 50} for n in range(start, start + 100)],))
        for start in range(0, 400, 50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(record.inputs for record in dataset) == list(range(50))


def test_datasets_stay_in_the_file(tmp_path):
    path = str(tmp_path / "traces.db")
    with fresh_client(path):
        al.create_dataset("d").merge_records({"inputs": {"q": "x" * 5_000}})
    with fresh_client(path):
        assert shown(al.get_dataset("d")) == [({"q": "x" * 5_000}, None, {})]
