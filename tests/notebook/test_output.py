"""What a notebook is given of traces: how large it is, what it holds, and that it is harmless."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autolog as al
from autolog import sample
from autolog.search.page import PagedList
from autolog.testing import fresh_client, traces
from autolog.viewer import table
from autolog.viewer.fallback import fallback
from autolog.viewer.notebook import HTML, PLAIN, Room, carried, mimebundle

HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">\u202e\x1b[31m"\'&lt;</iframe></details>'


def a_trace(client, spans=3, text="hello", fails=()):
    """Record a root with that many spans below it, those in `fails` with an error."""
    with al.start_span("root", "AGENT", inputs={"question": text}) as root:
        for number in range(spans):
            child = al.start_span(f"step {number}", "TOOL", inputs={"text": f"{number} {text}"})
            if number in fails:
                child.set_status("ERROR", f"step {number} failed")
            child.end()
    return client.get_trace(root.trace_id)


def packed_document(output):
    """Return the document that the frame of an output carries, as it is written there."""
    page = html.unescape(re.search(r'srcdoc="([^"]*)"', output)[1])
    return re.search(r'id="document">([^<]*)<', page)[1]


def document_of(output):
    """Return what the frame of an output carries."""
    packed = packed_document(output)
    return json.loads(gzip.decompress(base64.b85decode(packed.translate(str.maketrans(",./:", "&<>`")))))


def behind(output):
    """Return the part of an output that needs no frame."""
    return output.partition("</iframe>")[2]


def test_a_trace_is_a_line_and_a_page(client):
    sample.record(client, 1)
    [trace] = traces(client)
    bundle = trace._repr_mimebundle_()

    assert bundle[PLAIN].startswith("Trace support_agent · 6 spans · 1.04 s · OK · 437 tokens")
    assert bundle[HTML].count("<iframe") == 1
    [entry] = document_of(bundle[HTML])["traces"]
    assert entry["document"]["info"]["trace_id"] == trace.trace_id
    assert len(entry["document"]["spans"]) == len(entry["document"]["details"]) == 6
    assert entry["left_out"] == {"spans": 0, "details": 0, "characters": 0}
    assert "How do I rotate my API key?" in behind(bundle[HTML])
    assert "document 0.92" in behind(bundle[HTML])
    assert mimebundle([trace], include={PLAIN}).keys() == {PLAIN}


def test_the_frame_may_do_nothing_but_run_its_scripts(client):
    output = a_trace(client)._repr_mimebundle_()[HTML]
    page = html.unescape(re.search(r'srcdoc="([^"]*)"', output)[1])

    assert re.search(r'sandbox="([^"]*)"', output)[1] == "allow-scripts allow-popups allow-downloads"
    assert "default-src 'none'" in page
    assert "unsafe" not in page
    assert not re.search(r'\b(src|href)="', page)


@pytest.mark.parametrize("spans", [300, 5_000])
def test_an_output_stays_small(client, spans):
    trace = a_trace(client, spans, text="word " * 200)
    output = mimebundle([trace])[HTML]
    document = document_of(output)
    packed = len(packed_document(output))
    previews = behind(output).count("word ") * len("word ")

    assert len(output) - packed - previews < 60_000
    assert len(json.dumps(document["traces"][0]["document"]["details"])) < 300_000
    assert len(output) < 350_000


def test_what_people_look_for_first_is_kept_where_there_is_no_room_for_all(client):
    with al.start_span("root", "AGENT", inputs={"text": "r" * 3_000}) as root:
        for number in range(60):
            kind = "CHAT_MODEL" if number == 40 else "TOOL"
            with al.start_span(f"step {number}", kind, inputs={"text": f"{number} " + "x" * 3_000}) as span:
                if number == 50:
                    span.set_status("ERROR", "why")
    trace = client.get_trace(root.trace_id)
    [entry] = carried([trace], room=Room(characters=20_000))["traces"]
    names = {span.span_id: span.name for span in trace.spans}
    kept = [names[span_id] for span_id in entry["document"]["details"]]

    assert kept[:4] == ["root", "step 50", "step 40", "step 0"]
    assert len(kept) < 10
    assert entry["left_out"]["details"] == 61 - len(kept)
    assert len(entry["document"]["spans"]) == 61


def test_the_first_spans_are_kept_of_very_many_and_those_that_failed(client):
    trace = a_trace(client, 60, fails={50, 51, 52})
    [entry] = carried([trace], room=Room(spans=10))["traces"]
    kept = [row[2] for row in entry["document"]["spans"]]

    assert kept == ["root", *(f"step {number}" for number in range(9)), "step 50", "step 51", "step 52"]
    assert entry["left_out"]["spans"] == 61 - 13
    assert entry["document"]["info"]["span_count"] == 61
    assert len(entry["document"]["details"]) == 13


def test_long_texts_and_vectors_are_cut_and_counted(client):
    with al.start_span("s", inputs={"text": "x" * 100_000}, attributes={"odd": ["y" * 30] * 3_000}) as span:
        span.set_outputs({"vector": [0.5] * 100_000})
    entry = carried([client.get_trace(span.trace_id)])["traces"][0]

    assert entry["left_out"]["characters"] > 500_000
    [detail] = entry["document"]["details"].values()
    assert "attributes" not in detail
    assert isinstance(detail["outputs"], str)
    cut = [text for text in entry["document"]["texts"] if isinstance(text, dict)]
    assert {(text["pointer"], len(text["text"])) for text in cut} == {("/inputs/text", 20_000), ("/outputs", 20_000)}
    assert len(json.dumps(entry)) < 60_000


def test_several_traces_share_one_frame_and_its_room(client):
    found = [a_trace(client, 2, text=f"{number} " + "z" * 50_000) for number in range(10)]
    bundle = mimebundle(found, 12)

    assert bundle[PLAIN].split("\n")[-1] == "and 12 more"
    assert bundle[HTML].count("<iframe") == 1
    document = document_of(bundle[HTML])
    assert document["more"] == 12
    assert [len(entry["document"]["details"]) for entry in document["traces"]] == [3] * 10
    assert len(json.dumps(document)) < 400_000
    assert behind(bundle[HTML]).count("Trace root") == 10


# --- without scripts ---------------------------------------------------------------------------------------


class Parsed(HTMLParser):
    """The elements, attributes and text of a piece of HTML."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = set(), set(), "", []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_what_fails_shows_even_far_down(client):
    trace = a_trace(client, 200, fails={120, 199})
    shown = Parsed(fallback([trace])).text

    assert "step 48" in shown
    assert "step 49" not in shown
    assert "… 71 spans more" in shown
    assert "step 120 failed" in shown
    assert "step 199 failed" in shown


def test_a_conversation_is_readable(client):
    sample.record(client, 1)
    shown = Parsed(fallback(traces(client))).text

    assert "system You are the support desk of Mossgate." in shown
    assert "assistant → lookup_account(" in shown
    assert 'tool {"plan": "Team", "since": 2023}' in shown
    assert "assistant Keys are rotated under" in shown


def test_deep_trees_and_none_show(client):
    with al.start_span("root") as root:
        blocks = [al.start_span(f"level {number}").__enter__() for number in range(1_500)]
        for block in reversed(blocks):
            block.__exit__(None, None, None)
    output = mimebundle([client.get_trace(root.trace_id)])[HTML]

    assert "level 40" in behind(output)
    assert mimebundle([])[PLAIN] == ""


@settings(deadline=None)
@given(text=st.text(max_size=400), name=st.text(min_size=1, max_size=30))
def test_whatever_is_recorded_is_text_and_no_markup(text, name):
    with fresh_client() as client:
        with pytest.raises(ValueError), al.start_span(name + HOSTILE, inputs={"q": text + HOSTILE}):
            raise ValueError(text + HOSTILE)
        [trace] = traces(client)
    parsed = Parsed(fallback([trace]))
    listed = Parsed(table.table([trace]))
    framed = Parsed(mimebundle([trace])[HTML])

    assert parsed.tags <= {"div", "details", "summary", "b", "small", "span"}
    assert parsed.attributes <= {"style", "open"}
    assert listed.tags <= {"div", "table", "thead", "tbody", "tr", "th", "td"}
    assert listed.attributes <= {"style", "title"}
    assert framed.tags <= parsed.tags | {"style", "iframe"}
    assert "<script>alert(1)</script>" in parsed.text
    assert not re.search("[\u202e\x1b\ud800-\udfff]", parsed.text + listed.text)
    for value in mimebundle([trace]).values():
        value.encode()


# --- lists -------------------------------------------------------------------------------------------------


def test_a_long_list_shows_its_beginning(client):
    for _ in range(60):
        al.start_span("s").end()
    found = PagedList(traces(client), "next")

    assert found._repr_mimebundle_()["text/plain"].split("\n")[-1] == (
        "60 traces; the first 50 are shown; page_token=….token gets the next ones"
    )
    assert found._repr_mimebundle_()["text/html"].count("<tr>") == 51


def test_a_list_of_other_things_shows_as_it_is():
    assert PagedList(["run"])._repr_mimebundle_() == {}


def test_columns_that_say_nothing_are_left_out(client):
    al.start_span("s").end()
    assert table.plain(traces(client)).split("\n")[0].split() == ["time", "state", "name", "duration"]
    assert table.plain([]) == "no traces"
