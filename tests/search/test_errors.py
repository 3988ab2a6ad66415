"""Whatever a search is given, it answers, or says where that is wrong and what was probably meant."""

from __future__ import annotations

import base64
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autolog as al
from autolog import InvalidQuery
from autolog.search.filter import parse
from autolog.search.order import parse_order
from autolog.search.query import TraceQuery
from autolog.testing import traces
from tests.search import asked

FIELDS = (
    "status, name, timestamp, end_time, duration, tokens, input_tokens, output_tokens, cost, session, user, experiment, "
    "run, model, version, client_request_id, trace_id, spans, errors, request, response, inputs, outputs, text, "
    "tags.<key>, metadata.<key>, span.<field>, span.attributes.<key>, feedback.<name>, expectation.<name>"
)
SPAN_FIELDS = (
    "span.type, span.name, span.status, span.duration, span.model, span.provider, span.error, span.tokens, "
    "span.input_tokens, span.output_tokens, span.cost, span.inputs, span.outputs, span.text, span.attributes.<key>"
)
COMPARISONS = "=, !=, <, <=, >, >=, IN, LIKE, ILIKE, RLIKE, CONTAINS, BETWEEN or IS NULL"
# The filter, what is said of it, the line that is shown, and the place that is pointed at.
WRONG = [
    (
        "durration > 2s",
        "there is no field durration; did you mean duration? There are: {FIELDS}",
        "  durration > 2s",
        "  ^^^^^^^^^",
    ),
    ("tokns > 3", "there is no field tokns; did you mean tokens? There are: {FIELDS}", "  tokns > 3", "  ^^^^^"),
    (
        "tagz.version = 'v2'",
        "there is no field tagz.version; did you mean tag.version? There are: {FIELDS}",
        "  tagz.version = 'v2'",
        "  ^^^^^^^^^^^^",
    ),
    (
        "tag:version = 'v2'",
        "write a dot before a key, as in tags.version, and = to compare",
        "  tag:version = 'v2'",
        "     ^",
    ),
    (
        "span.typ = 'TOOL'",
        "there is no field span.typ; did you mean span.type? There are: {SPAN_FIELDS}",
        "  span.typ = 'TOOL'",
        "  ^^^^^^^^",
    ),
    (
        "span.attributes = 'x'",
        "there is no field span.attributes. There are: {SPAN_FIELDS}",
        "  span.attributes = 'x'",
        "  ^^^^^^^^^^^^^^^",
    ),
    ("foo.bar = 'x'", "there is no field foo.bar. There are: {FIELDS}", "  foo.bar = 'x'", "  ^^^^^^^"),
    ("status == 'ERROR'", "write one = to compare", "  status == 'ERROR'", "          ^"),
    ("status = ERROR", "text is put in quotes: 'ERROR'", "  status = ERROR", "           ^^^^^"),
    ('status = "ERROR', "this quote is never closed", '  status = "ERROR', "           ^"),
    (
        "status = 'GOOD'",
        "'GOOD' is not a status; there are: IN_PROGRESS, OK, ERROR, CANCELLED",
        "  status = 'GOOD'",
        "           ^^^^^^",
    ),
    ("status > 'OK'", "status has no order; compare it with =, !=, IN or LIKE", "  status > 'OK'", "         ^"),
    (
        "span.type = 'BANANA'",
        "'BANANA' is not a span.type; there are: AGENT, CHAIN, WORKFLOW, TASK, CHAT_MODEL, LLM, EMBEDDING, RETRIEVER, RERANKER, TOOL, PROMPT, PARSER, GUARDRAIL, EVALUATOR, MEMORY, UNKNOWN",
        "  span.type = 'BANANA'",
        "              ^^^^^^^^",
    ),
    ("name = 'it's'", "a quote inside of a text is written twice: 'it''s'", "  name = 'it's'", "             ^"),
    ("name = it", "text is put in quotes: 'it'", "  name = it", "         ^^"),
    ("name = “x”", "write straight quotes: '…'", "  name = “x”", "         ^"),
    ("name > 3", "name is text, which is put in quotes: '3'", "  name > 3", "         ^"),
    ("name = null", "use IS NULL or IS NOT NULL", "  name = null", "         ^^^^"),
    ("name is x", "NULL or NOT NULL is expected after IS", "  name is x", "          ^"),
    ("name = 'a' && user = 'b'", "write AND", "  name = 'a' && user = 'b'", "             ^^"),
    ("name = 'a' || user = 'b'", "write OR", "  name = 'a' || user = 'b'", "             ^^"),
    ("! name = 'a'", "write NOT, or != to compare", "  ! name = 'a'", "  ^"),
    ("name ~ 'a'", "write LIKE, or RLIKE for a regular expression", "  name ~ 'a'", "       ^"),
    (
        "name = 'a' name = 'b'",
        "AND, OR or, in a list, a comma is expected here",
        "  name = 'a' name = 'b'",
        "             ^^^^",
    ),
    (
        "name = 'a' AND",
        "the filter ends too early: a condition is expected here, such as status = 'ERROR'",
        "  name = 'a' AND",
        "                ^",
    ),
    ("AND name = 'a'", "AND stands between two conditions", "  AND name = 'a'", "      ^^^^"),
    ("(name = 'a'", "a closing parenthesis is missing", "  (name = 'a'", "             ^"),
    ("name = 'a')", "this parenthesis was never opened", "  name = 'a')", "            ^"),
    ("()", "a condition is expected here, such as status = 'ERROR'", "  ()", "   ^"),
    ("name", "the filter ends too early: after name, a comparison is expected: {COMPARISONS}", "  name", "      ^"),
    (
        "name =",
        "the filter ends too early: a value is expected here: text in quotes, or a number",
        "  name =",
        "        ^",
    ),
    ("'a' = name", "a condition starts with a field, such as name = 'x'", "  'a' = name", "  ^"),
    ("name IN 'a'", "IN needs values in parentheses, such as IN ('a', 'b')", "  name IN 'a'", "          ^"),
    ("name IN ('a' 'b')", "AND, OR or, in a list, a comma is expected here", "  name IN ('a' 'b')", "               ^"),
    ("name IN ()", "a value is expected here: text in quotes, or a number", "  name IN ()", "           ^"),
    (
        "name NOT = 'a'",
        "NOT is followed by IN, LIKE, ILIKE, RLIKE, CONTAINS or BETWEEN here; else write it before the condition",
        "  name NOT = 'a'",
        "           ^",
    ),
    ("name LIKE 3", "LIKE takes a text in quotes", "  name LIKE 3", "            ^"),
    ("name LIKE %a%", "put the pattern in quotes: LIKE '%…%'", "  name LIKE %a%", "            ^^"),
    (
        "name CONTAINS '!?'",
        "CONTAINS looks for words, and there is none in this; LIKE finds signs too",
        "  name CONTAINS '!?'",
        "                ^^^^",
    ),
    (
        "duration = 'abc'",
        "duration is a duration: milliseconds, or a number with a unit, such as 2s or 150ms",
        "  duration = 'abc'",
        "             ^^^^^",
    ),
    (
        "duration > '100'",
        "duration is a duration: milliseconds, or a number with a unit, such as 2s or 150ms; leave out the quotes: 100",
        "  duration > '100'",
        "             ^^^^^",
    ),
    ("duration > 2 s", "a unit follows its number without a space: 2s", "  duration > 2 s", "               ^"),
    ("duration LIKE '2%'", "duration is a duration, and LIKE is for text", "  duration LIKE '2%'", "           ^^^^"),
    (
        "duration BETWEEN 1",
        "the filter ends too early: AND is expected here, and the second value",
        "  duration BETWEEN 1",
        "                    ^",
    ),
    ("tokens = true", "tokens is a number, which true is not", "  tokens = true", "           ^^^^"),
    ("tokens > 1e99", "this number is too large", "  tokens > 1e99", "           ^^^^"),
    (
        "timestamp > 'yesterday'",
        "timestamp is a time, such as '2026-01-31', '2026-01-31 12:00', '2026-01-31T12:00:00Z' or now() - 1h",
        "  timestamp > 'yesterday'",
        "              ^^^^^^^^^^^",
    ),
    (
        "timestamp > now() - 3",
        "a duration is expected here, such as 2s, 15m or 7d",
        "  timestamp > now() - 3",
        "                      ^",
    ),
    (
        "timestamp > yesterday",
        "text is put in quotes: 'yesterday'",
        "  timestamp > yesterday",
        "              ^^^^^^^^^",
    ),
    (
        "timestamp > now()- 1y",
        "a duration is expected here, such as 2s, 15m or 7d",
        "  timestamp > now()- 1y",
        "                     ^^",
    ),
    (
        "feedback.score = now()",
        "feedback.score is compared with a text in quotes, a number, true or false",
        "  feedback.score = now()",
        "                   ^^^^^",
    ),
    ("inputs > 'a'", "inputs has no order; compare it with =, !=, IN or LIKE", "  inputs > 'a'", "         ^"),
    ("inputs = 3", "inputs is searched for text, which is put in quotes: '3'", "  inputs = 3", "           ^"),
    ("name = 'a';", "a filter is one condition; leave out the ;", "  name = 'a';", "            ^"),
    ("name = 'a' -- all", "a filter has no comments", "  name = 'a' -- all", "             ^^"),
    (
        "SELECT * FROM traces",
        "a filter is the condition alone, without SELECT and WHERE",
        "  SELECT * FROM traces",
        "         ^",
    ),
    ("tags.`my key = 'x'", "the quote behind this dot is never closed", "  tags.`my key = 'x'", "      ^^"),
    (
        "user = 'a' AND\n  durration > 3",
        "there is no field durration; did you mean duration? There are: {FIELDS}",
        "    durration > 3",
        "    ^^^^^^^^^",
    ),
]


@pytest.mark.parametrize(("text", "said", "line", "caret"), WRONG, ids=[wrong[0] for wrong in WRONG])
def test_a_wrong_filter_says_where_and_what_was_meant(text, said, line, caret):
    with pytest.raises(InvalidQuery) as raised:
        parse(text)
    said = said.format(FIELDS=FIELDS, SPAN_FIELDS=SPAN_FIELDS, COMPARISONS=COMPARISONS)
    assert str(raised.value) == f"{said}\n{line}\n{caret}"


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("duration DESC, name", ["duration DESC", "name"]),
        ("tags.`a,b` DESC,name", ["tags.`a,b` DESC", "name"]),
        ('tags."a,b"', ['tags."a,b"']),
    ],
)
def test_an_order_may_be_one_text(text, listed):
    assert parse_order(text) == parse_order(listed)


@pytest.mark.parametrize(
    ("order_by", "said"),
    [
        ("durration", f"order_by 'durration': there is no field durration; did you mean duration? There are: {FIELDS}"),
        ("duration DOWN", "order_by 'duration DOWN': 'duration DOWN' is not how a field is written: name, tags.version, tags.`my key`"),
        ("span.duration", "order_by 'span.duration': a trace has many spans; it is sorted by fields of its own only"),
        ("model", "order_by 'model': a trace has many spans; it is sorted by fields of its own only"),
        ("inputs DESC", "order_by 'inputs DESC': a trace has many spans; it is sorted by fields of its own only"),
        (["name"] * 9, "order_by takes at most 8 fields"),
        ([3], "order_by is a list such as ['duration DESC', 'name'], not [3]"),
        (3, "order_by is a list such as ['duration DESC', 'name'], not 3"),
        ("", "order_by '': '' is not how a field is written: name, tags.version, tags.`my key`"),
        ("name; DROP TABLE traces", "order_by 'name; DROP TABLE traces': 'name; DROP TABLE traces' is not how a field is written: name, tags.version, tags.`my key`"),
    ],
)  # fmt: skip
def test_a_wrong_order_says_what_is_wrong(client, order_by, said):
    with pytest.raises(InvalidQuery) as raised:
        client.search_traces(order_by=order_by)
    assert str(raised.value) == said


# --- pages ---------------------------------------------------------------------------------------------------


@pytest.fixture
def pages(client):
    for name in "abc":
        client.tracer.start_span(name).end()
    return client, client.search_traces("name != 'x'", max_results=1, return_type="list").token


def changed(token):
    raw = bytearray(base64.urlsafe_b64decode(token))
    raw[-3] ^= 1
    return base64.urlsafe_b64encode(bytes(raw)).decode()


@pytest.mark.parametrize(
    "damage",
    [
        lambda t: t[:-4],
        lambda t: "",
        lambda t: "é",
        lambda t: t + "AAAA",
        changed,
        lambda t: 3,
        lambda t: "A" * 1_000_000,
    ],
)
def test_a_damaged_token_is_refused(pages, damage):
    client, token = pages
    with pytest.raises(InvalidQuery, match="page_token is not what `token` of the page before was"):
        client.search_traces("name != 'x'", page_token=damage(token))


@pytest.mark.parametrize(("text", "order"), [("name != 'y'", None), (None, None), ("name != 'x'", ["timestamp"])])
def test_a_token_of_another_search_is_refused(pages, text, order):
    client, token = pages
    with pytest.raises(InvalidQuery, match="page_token is of another search"):
        client.search_traces(text, order_by=order, page_token=token)


# --- anything at all -----------------------------------------------------------------------------------------

PIECES = [*"()'\"`.,=<>!+-*%;\\ \0\n", "AND", "or", "NOT", "IN", "is", "null", "like", "between", "contains", "now()", "true", "2s", "1e9", "99999999999999999999", "name", "tags.k", "span.type", "'x'", '"y"', "feedback.f", "\ud800", "é"]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.text() | st.lists(st.sampled_from(PIECES)).map(" ".join) | st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_is_a_filter_or_invalid(text):
    for query in ({"filter_string": text}, {"order_by": text}, {"order_by": [text, text]}, {"page_token": text}):
        try:
            TraceQuery.build(**query)
        except InvalidQuery as error:
            assert str(error)


@settings(max_examples=100, deadline=None)
@given(asked.filters.map(asked.written), st.data())
def test_a_filter_with_a_change_is_a_filter_or_invalid(text, data):
    place = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(place, len(text)))
    changed = text[:place] + data.draw(st.sampled_from(["", *PIECES])) + text[end:]
    try:
        parse(changed)
    except InvalidQuery as error:
        assert str(error)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(" * 10_000 + "name = 'a'" + ")" * 10_000, "parentheses are at most 50 deep"),
        (
            "".join(["name = 'a' OR (NOT ("] * 12) + "name = 'a'" + "))" * 12,
            "AND, OR and NOT are at most 16 deep inside of one another",
        ),
        ("NOT " * 10_000 + "name = 'a'", "a filter has at most 200 conditions"),
        (" AND ".join(["name = 'a'"] * 1_000), "a filter has at most 200 conditions"),
        ("name IN (" + ",".join(["'a'"] * 1_001) + ")", "IN takes at most 1,000 values"),
        ("name = '" + "a" * 1_000_000 + "'", "a filter has at most 100,000 characters, this one has 1,000,009"),
        ("name LIKE '" + "%a" * 5_000 + "'", "a pattern has at most 5,000 characters"),
    ],
    ids=["parentheses", "depth", "NOT", "AND", "IN", "text", "LIKE"],
)
def test_there_is_a_limit_to_everything(text, said):
    with pytest.raises(InvalidQuery) as raised:
        parse(text)
    assert str(raised.value).startswith(said)


SPANS = "span.inputs IS NULL AND span.attributes.x IS NULL AND (span.name ILIKE '%a%' OR span.error NOT LIKE '%a')"


def test_what_is_within_the_limits_is_searched(client):
    client.tracer.start_span("a").end()
    deep = "(" * 50 + "name = 'a'" + ")" * 50
    for text in (
        deep,
        "".join(f"name = '{n}' OR (NOT (" for n in range(7)) + "name = 'b'" + "))" * 7,
        "".join(f"name = '{n}' OR (tags.k IS NULL AND (" for n in range(6)) + SPANS + "))" * 6,
        "".join(f"tags.k = '{n}' OR (tags.k IS NULL AND (NOT (" for n in range(4)) + SPANS + ")))" * 4,
        " AND ".join(["name = 'a'"] * 200),
        " OR ".join(["span.name = 'a' AND span.inputs IS NULL"] * 100),
        "NOT " * 198 + "name = 'a'",
        "name IN (" + ",".join(["'a'"] * 1_000) + ")",
        "name LIKE '" + "%a" * 5 + "' OR name LIKE '" + "%" * 4_000 + "'",
    ):
        assert len(client.search_traces(text, return_type="list")) == 1, text[:80]


@pytest.mark.parametrize("text", [b"name = 'a'", 3, ["name = 'a'"]])
def test_a_filter_is_text(client, text):
    with pytest.raises(InvalidQuery, match="a filter is a text such as"):
        client.search_traces(text)


# --- injection -----------------------------------------------------------------------------------------------

HOSTILE = [
    "'; DROP TABLE traces; --",
    "' OR '1'='1",
    "' OR 1=1 --",
    '" OR ""="',
    "x' UNION SELECT sql FROM sqlite_master --",
    "x') OR EXISTS(SELECT 1 FROM spans) --",
    "'; ATTACH DATABASE '/tmp/x.db' AS x; --",
    "'; PRAGMA user_version = 9; --",
    "load_extension('x')",
    "1; DELETE FROM traces",
    '$.x") --',
    "*",
    'a" NEAR(b) AND text:c',
    "text : x OR y",
    "^x -y {z}",
    "%",
    "[a-z]*",
    "\\",
    "\0' --",
    "x`; DROP TABLE labels; --",
    "randomblob(1000000000)",
    "?1",
    ":a",
    "/* */ UNION /* */ ALL SELECT NULL",
]
PLACES = [
    "name = '{}'", 'name = "{}"', "name IN ('{}')", "name LIKE '{}'", "name ILIKE '{}é'", "name CONTAINS '{}'", "tags.`{}` = 'x'",
    "tags.`{}` LIKE '{}'", 'metadata."{}" IS NOT NULL', "span.name = '{}'", "span.attributes.`{}` = '{}'", "inputs CONTAINS '{}'",
    "feedback.`{}` > 3", "feedback.f = '{}'", "trace_id = '{}'", "client_request_id = '{}'", "{}", "name = {}", "{} = 'x'", "tags.{} = 'x'",
    "name {} 'x'", "name = 'a' {}",
]  # fmt: skip


def test_no_value_key_field_order_or_token_becomes_sql(tmp_path):
    from autolog.testing import fresh_client

    with fresh_client(str(tmp_path / "traces.db")) as client:
        with al.context(tags={"k": "v"}), al.start_span("root", inputs="secret words"):
            pass
        al.log_feedback(trace_id=client.get_last_active_trace_id(), name="f", value=1)
        before = traces(client)
        schema = client._store._read(lambda c: c.execute("SELECT * FROM sqlite_master").fetchall())
        for hostile in HOSTILE:
            for place in PLACES:
                _search(client, filter_string=place.replace("{}", hostile))
            for order in (hostile, f"tags.`{hostile}`", f"name {hostile}", f"feedback.`{hostile}` DESC"):
                _search(client, order_by=[order], may_find=True)
            _search(client, page_token=hostile)
            for name in ("name", "session", "user", "experiment", "run", "model"):
                assert client.search_traces(**{name: hostile}, return_type="list") == []
            assert client.search_traces(tags={hostile: hostile}, return_type="list") == []

        assert traces(client) == before
        assert client._store._read(lambda c: c.execute("SELECT * FROM sqlite_master").fetchall()) == schema


def _search(client, may_find=False, **query):
    try:
        found = client.search_traces(**query, return_type="list")
    except InvalidQuery:
        return
    # What stands for anything may find anything.
    assert found == [] or may_find or "%" in query["filter_string"], query


def test_a_search_can_only_read(tmp_path):
    from autolog.testing import fresh_client

    with fresh_client(str(tmp_path / "traces.db")) as client:
        client.tracer.start_span("x").end()
        client.search_traces(return_type="list")
        [reader] = client._store._readers._idle
        with pytest.raises(Exception, match="attempt to write a readonly database"):
            reader.connection.execute("DELETE FROM traces")


def test_regular_expressions_need_re2_and_say_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "re2", None)
    with pytest.raises(InvalidQuery, match=r"RLIKE needs RE2.*pip install 'autolog-tracing\[regex\]'"):
        parse("name RLIKE 'never compiled before'")


def test_a_wrong_regular_expression_is_shown():
    pytest.importorskip("re2")
    with pytest.raises(InvalidQuery) as raised:
        parse("name RLIKE '(a'")
    assert str(raised.value) == (
        "'(a' is not a regular expression of RE2: missing ): (a\n  name RLIKE '(a'\n             ^^^^"
    )


def test_patterns_take_linear_time(client):
    """What backtracks would take longer than the universe is old."""
    long = "a" * 20_000
    with client.tracer.start_span(long, inputs=long) as span:
        span.trace_context.tags = {"t": long}
    many = "%a" * 60 + "%b"
    texts = [f"name LIKE '{many}'", f"tags.t ILIKE '{many}'", f"inputs LIKE '{many}'", "tags.t LIKE '%a%a%a%ab'"]
    try:
        import re2  # noqa: F401

        texts += ["name RLIKE '(a*)*(a*)*(a*)*b'", "inputs RLIKE '(a|a)*(a|a)*(aa|a)*b'"]
    except ImportError:
        pass
    for text in texts:
        assert client.search_traces(text, return_type="list") == []


def test_a_search_that_takes_too_long_is_broken_off(tmp_path, monkeypatch):
    from autolog.stores.sqlite import readers
    from autolog.testing import fresh_client

    with fresh_client(str(tmp_path / "traces.db")) as client:
        for _ in range(50):
            client.tracer.start_span("x", inputs="y").end()
        client.flush()
        monkeypatch.setattr(readers, "_STEPS", 10)
        with monkeypatch.context() as patch:
            patch.setattr(readers, "LONGEST_SECONDS", -1.0)
            with pytest.raises(InvalidQuery, match="took longer than .* narrow it by time"):
                client.search_traces("name LIKE '%y%' OR inputs LIKE '%z%'")
        assert len(client.search_traces("name LIKE '%x%'", return_type="list")) == 50
