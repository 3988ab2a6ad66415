"""`autolog traces`: lists, searches, trees, conversations; into pipes and on screens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest
from rich.cells import cell_len

from autolog import Client, Trace
from autolog.sample import record as record_samples

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnol\u2066 [red]markup[/red] [link=http://x]x[/link] :smile: \r\n\ttab"


@pytest.fixture
def samples(record):
    """Twelve traces of a support desk, the sixth of which failed; their ids, oldest first."""
    ids = record_samples(record, 12)
    record.flush()
    return ids


def a_trace(record, name="question", **fields):
    span = record.start_trace(name, inputs={"question": "why?"}, **fields)
    record.end_trace(span, outputs={"answer": "because"})
    record.flush()
    return span.trace_id


# --- lists -------------------------------------------------------------------------------------------------


def test_a_list_into_a_pipe_is_a_line_a_trace_with_tabs_and_nothing_shortened(shell, samples):
    found = shell("traces", "list")

    assert found.code == 0
    assert found.stderr == ""
    assert [row[0] for row in found.rows] == samples[::-1]
    assert {len(row) for row in found.rows} == {11}
    newest = found.rows[0]
    assert newest[2:4] == ["OK", "support_agent"]
    assert newest[1].endswith("Z")
    assert float(newest[4]) > 100
    assert int(newest[5]) > 100
    assert "\x1b" not in found.stdout
    assert "…" not in found.stdout


def test_a_list_in_a_terminal_fits_it(shell, samples):
    for width in (60, 80, 120, 200):
        screen = shell.on_screen("traces", "list", width=width)
        assert screen.code == 0
        assert max(cell_len(line) for line in screen.lines) <= width
        assert sum(trace_id[:8] in screen.text for trace_id in samples) == 12
        assert "✗ error" in screen.text


def test_wide_letters_keep_the_columns_straight(shell, record):
    for name in ("plain", "請求書はどこ", "e\u0301te\u0301", "👩‍🔬"):
        a_trace(record, name)

    lines = shell.on_screen("traces", "list", "--columns", "name,duration,experiment").lines

    ends = {cell_len(line.rpartition("default")[0]) for line in lines[1:]}
    assert len(lines) == 5
    assert len(ends) == 1


def test_lists_are_filtered_ordered_and_cut(shell, samples):
    failed = shell("traces", "list", "status = 'ERROR'", "--columns", "id,status,errors,error")
    [row] = failed.rows
    assert row[:3] == [samples[5], "ERROR", "2"]
    assert row[3].startswith("ConnectionError: accounts.internal:5432")

    slowest = shell("traces", "list", "--order-by", "duration DESC", "-n", "3", "--columns", "duration")
    durations = [float(duration) for (duration,) in slowest.rows]
    assert len(durations) == 3
    assert durations == sorted(durations, reverse=True)

    of_session = shell("traces", "list", "--session", "chat-1", "--columns", "session,tags.channel")
    assert {row[0] for row in of_session.rows} == {"chat-1"}
    assert {row[1] for row in of_session.rows} <= {"web", "mail"}


def test_lists_know_since_when_and_until_when(shell, record):
    from autolog.ids import now_ns

    hour = 3_600_000_000_000
    for name, age in (("old", 50 * hour), ("today", 2 * hour), ("new", 0)):
        span = record.start_trace(name, start_time_ns=now_ns() - age)
        record.end_trace(span, end_time_ns=now_ns() - age + 1_000)
    record.flush()

    def named(*options):
        return [row[0] for row in shell("traces", "list", "--columns", "name", *options).rows]

    assert named("--since", "1h") == ["new"]
    assert named("--since", "2d") == ["new", "today"]
    assert named("--until", "1.5h") == ["today", "old"]
    assert named("--since", "2020-01-31", "--until", "1d") == ["old"]
    wrong = shell("traces", "list", "--since", "yesterdayish")
    assert wrong.code == 2
    assert "--since 'yesterdayish' is no time; write how long ago" in wrong.stderr


def test_json_is_one_object_a_line_as_the_trace_has_it(shell, record, samples):
    found = shell("traces", "list", "--json", "--limit", "2")

    first, second = map(json.loads, found.lines)
    assert [first["trace_id"], second["trace_id"]] == samples[:-3:-1]
    assert first == record.get_trace(samples[-1]).info.to_dict()


def test_a_wrong_filter_is_shown_with_its_place_and_no_traceback(shell, samples):
    for command in (("list",), ("tail",), ("export", "-o", "-"), ("delete", "--yes")):
        found = shell("traces", command[0], "durration > 2s", *command[1:])
        assert found.code == 2, command
        first, line, caret = found.stderr.splitlines()
        assert first.startswith("autolog: there is no field durration; did you mean duration?")
        assert line == "  durration > 2s"
        assert caret == "  ^^^^^^^^^"
        assert found.stdout == ""


def test_where_nothing_is_found_the_exit_code_says_so(shell, samples):
    found = shell("traces", "list", "name = 'nobody'")
    assert (found.code, found.stdout, found.stderr) == (1, "", "autolog: no trace meets that\n")
    assert shell("traces", "list", "name = 'nobody'", "--json").code == 1


def test_without_a_store_one_hears_what_to_do(shell, store):
    for command in (("list",), ("show", "last"), ("search", "word")):
        found = shell("traces", *command)
        assert found.code == 1
        assert found.stderr.startswith(f"autolog: no traces in {store} yet; `autolog run script.py` records some")
    assert not store.exists()


def test_an_unknown_column_an_unknown_store_and_an_unknown_option_are_wrong_usage(shell, samples):
    column = shell("traces", "list", "--columns", "name,colour")
    assert column.code == 2
    assert "there is no column 'colour'; there are: trace_id, timestamp," in column.stderr
    address = shell("traces", "list", "--store", "ftp://somewhere")
    assert address.code == 2
    assert "no store at 'ftp://somewhere'" in address.stderr
    assert shell("traces", "list", "--colour").code == 2
    assert "Traceback" not in column.stderr + address.stderr


def test_a_store_that_is_damaged_is_told_in_a_sentence(shell, store):
    store.write_bytes(b"this is no database" * 1_000)

    found = shell("traces", "list")

    assert found.code == 1
    assert found.stderr.startswith(f"autolog: {store} is damaged or not a database")
    assert "Traceback" not in found.stderr


# --- search ------------------------------------------------------------------------------------------------


def test_words_are_searched_in_whatever_went_in_and_out(shell, samples):
    def names(*words):
        return {row[0] for row in shell("traces", "search", *words, "--columns", "request").rows}

    assert names("five-working days") == {row[0] for row in shell("traces", "list", "--columns", "request").rows}
    assert names("SCHULE", "x") == set()
    assert names("schools", "discount") == {"Is there a discount for schools?"}
    assert names("Schools pay half. Send us") == {"Is there a discount for schools?"}
    assert names("rechnungs*") == {"Wie ändere ich meine Rechnungsadresse?"}
    assert names("it's") == set()
    assert names("api", "--filter", "tags.channel = 'none'") == set()


# --- one trace ---------------------------------------------------------------------------------------------


def test_a_trace_is_shown_as_a_tree_by_its_id_its_beginning_or_as_the_last(shell, record, samples):
    newest = samples[-1]
    whole = shell("traces", "show", newest)

    assert whole.code == 0
    assert whole.stdout.startswith(str(record.get_trace(newest)))
    assert "session    chat-3" in whole.lines
    assert shell("traces", "show", newest[:8]) == whole
    assert shell("traces", "show", newest.upper()) == whole
    assert shell("traces", "show", "last") == whole


def test_an_id_that_is_none_or_names_no_trace_or_several_is_told(shell, record):
    first = a_trace(record)
    data = record.get_trace(first).to_dict()
    data["info"]["trace_id"] = twin = first[:10] + "0" * 22
    for span in data["spans"]:
        span["trace_id"] = twin
    record.add_trace(data)
    record.flush()

    several = shell("traces", "show", first[:8])
    assert several.code == 2
    assert first in several.stderr
    assert twin in several.stderr
    assert shell("traces", "show", first[:12]).code == 0
    none = shell("traces", "show", "abcdef01")
    assert none.code == 1
    assert "no trace abcdef01… in" in none.stderr
    assert shell("traces", "show", "0" * 31 + "1").code == 1
    for wrong in ("abc", "hello!", "' OR 1"):
        assert shell("traces", "show", wrong).code == 2


def test_a_span_is_shown_as_the_conversation_that_it_was(shell, samples):
    trace = samples[-1]
    spans = json.loads(shell("traces", "show", trace, "--json").stdout)["spans"]
    answer = [span for span in spans if span["span_type"] == "CHAT_MODEL"][-1]

    found = shell("traces", "show", trace, "--span", answer["span_id"][:8])

    headings = [line for line in found.lines if line and not line.startswith(" ")]
    assert headings[0].startswith(f"CHAT_MODEL {answer['name']}  OK  ")
    assert headings[1].startswith(f"span {answer['span_id']}, below support_agent, began after ")
    assert headings[3:] == [
        "system",
        "user",
        "assistant",
        "tool",
        "answer of assistant (stop)",
        "tools offered: lookup_account",
    ]
    assert '  → lookup_account({"customer": "c-11"})' in found.lines
    by_name = shell("traces", "show", trace, "--span", "search_documents")
    assert "document 1, 0.920, kb/plans.md" in by_name.lines
    assert (
        json.loads(shell("traces", "show", trace, "--span", "lookup_account", "--json").stdout)["name"]
        == "lookup_account"
    )


def test_a_name_of_several_spans_and_one_of_none_list_those_that_there_are(shell, samples):
    several = shell("traces", "show", samples[-1], "--span", "chat gpt-4.1")
    assert several.code == 2
    assert several.stderr.count("CHAT_MODEL chat gpt-4.1") == 2
    none = shell("traces", "show", samples[-1], "--span", "nothing")
    assert none.code == 1
    assert none.stderr.count("\n  ") == 6


def test_a_failed_span_shows_what_was_raised_and_where(shell, record):
    with pytest.raises(ValueError):
        with Recorded(record, "work") as span:
            raise ValueError("the cause\nin two lines")
    record.flush()

    found = shell("traces", "show", "last", "--span", "work")

    assert "failed" in found.lines
    assert "  ValueError: the cause" in found.lines
    assert "  in two lines" in found.lines
    assert any("raise ValueError" in line for line in found.lines)
    assert span.trace_id in shell("traces", "list", "status = 'ERROR'").stdout


class Recorded:
    """A block that is a trace of a client."""

    def __init__(self, client, name):
        self.span = client.start_trace(name)

    def __enter__(self):
        return self.span

    def __exit__(self, kind, error, traceback):
        if error is not None:
            self.span.record_exception(error)
            self.span.set_status("ERROR", f"{kind.__name__}: {error}")
        self.span.end()


def test_long_texts_are_shortened_until_all_of_it_is_asked_for(shell, record):
    span = record.start_trace("long", inputs="\n".join(f"line {number}" for number in range(1_000)))
    record.end_trace(span, outputs="o" * 50_000)
    record.flush()

    short = shell("traces", "show", "last", "--span", "long").stdout
    whole = shell("traces", "show", "last", "--full").stdout

    assert "line 999" not in short
    assert "lines more" in short
    assert len(short) < 10_000
    assert "line 999" in whole
    assert "o" * 50_000 in whole


def test_a_trace_is_read_back_from_its_json_and_written_as_one_html_file(shell, record, samples, tmp_path):
    written = shell("traces", "show", samples[0], "--json")
    assert Trace.from_json(written.stdout) == record.get_trace(samples[0])

    path = tmp_path / "trace.html"
    found = shell("traces", "show", samples[0], "--html", path)
    assert (found.code, found.stdout, found.stderr) == (0, "", f"{path}\n")
    assert path.read_text().startswith("<!doctype html>")
    assert shell("traces", "show", samples[0], "--html", tmp_path / "no" / "folder.html").code == 2


def test_a_wide_terminal_shows_when_each_step_ran(shell, record, samples):
    wide = shell.on_screen("traces", "show", samples[5], width=120)
    root = next(line for line in wide.lines if line.startswith("AGENT support_agent"))
    tool = next(line for line in wide.lines if "TOOL lookup_account" in line)
    assert "━" * 20 in root
    assert tool.index("━") > root.index("━")
    assert any(
        line.strip() == "✗ ConnectionError: accounts.internal:5432 refused the connection" for line in wide.lines
    )

    narrow = shell.on_screen("traces", "show", samples[5], width=70)
    assert "━" not in narrow.text


# --- what was recorded does not drive the terminal -----------------------------------------------------------


@pytest.fixture
def hostile(record):
    span = record.start_trace(
        HOSTILE, "CHAT_MODEL", session=HOSTILE, user=HOSTILE, tags={HOSTILE: HOSTILE}, metadata={"m": HOSTILE},
        inputs={"messages": [{"role": HOSTILE, "content": HOSTILE}], "tools": [{"name": HOSTILE}]},
        attributes={"gen_ai.request.model": HOSTILE, "gen_ai.request.stop": HOSTILE},
    )  # fmt: skip
    found = record.start_span("find", span, "RETRIEVER", inputs=HOSTILE)
    record.end_span(found, outputs={"documents": [{"id": HOSTILE, "content": HOSTILE, "metadata": {HOSTILE: HOSTILE}}]})
    span.add_event(HOSTILE, {HOSTILE: HOSTILE})
    span.set_status("ERROR", HOSTILE)
    record.end_trace(span, outputs={"role": "assistant", "content": HOSTILE})
    record.flush()
    return span.trace_id


@pytest.mark.parametrize(
    "command",
    [
        ("list", "--columns", "name,status,session,user,tags,metadata,request,response,error,duration"),
        ("list", "--json"),
        ("search", "markup"),
        ("show", "last"),
        ("show", "last", "--json"),
        ("show", "last", "--full"),
        ("show", "last", "--span", "nothing"),
        ("compare", "last", "last"),
    ],
    ids=" ".join,
)
def test_recorded_text_never_drives_the_terminal(shell, hostile, command):
    piped = shell("traces", *command)
    screen = shell.on_screen("traces", *command, width=200)

    for text in (piped.stdout + piped.stderr, screen.text):
        assert {letter for letter in text if letter < " " or "\x7f" <= letter <= "\x9f"} <= {"\n", "\t"}
        assert not {"\u202e", "\u2066"} & set(text)
        assert "[red]markup[/red]" in text or command[0] == "search" or "nothing" in command
    assert "\x1b]" not in screen.raw


def test_tabs_and_line_breaks_in_a_value_make_no_column_and_no_line(shell, hostile):
    [row] = shell("traces", "list", "--columns", "session,name").rows
    assert len(row) == 2


# --- pipes that close, Ctrl-C --------------------------------------------------------------------------------


def test_a_reader_that_goes_ends_a_list_in_silence(shell, record):
    for number in range(400):
        record.end_trace(record.start_trace(f"trace {number}", inputs="x" * 2_000))
    record.flush()
    for command in (("list", "-n", "400", "--json"), ("list", "-n", "400"), ("export", "-o", "-")):
        process = shell.start("traces", *command).process
        assert process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait(60) == 1


# --- following -----------------------------------------------------------------------------------------------

RECORDER = textwrap.dedent(
    """
    import sys
    import autolog as al
    for name in sys.argv[1:]:
        with al.start_span(name) as span:
            span.set_outputs("done")
    """
)


def record_elsewhere(shell, *names):
    subprocess.run(
        [sys.executable, "-c", RECORDER, *names], env=shell.environment(), cwd=shell.folder, check=True, timeout=120
    )


def test_traces_of_other_processes_are_told_as_they_end_each_once(shell, record):
    a_trace(record, "before")
    running = record.start_trace("long one")
    record.flush()
    tail = shell.start("traces", "tail", "-n", "1", "--columns", "name,status")
    try:
        assert tail.line() == "before\tOK"
        record_elsewhere(shell, "first", "second")
        assert [tail.line(), tail.line()] == ["first\tOK", "second\tOK"]
        record.end_trace(running)
        record.flush()
        assert tail.line() == "long one\tOK"
        record_elsewhere(shell, "third")
        assert tail.line() == "third\tOK"
    finally:
        ended = tail.stop()
    assert (ended.stdout, ended.stderr, ended.code) == ("", "", 130)


def test_only_traces_that_meet_the_filter_are_told(shell, record):
    a_trace(record, "wanted before")
    a_trace(record)
    tail = shell.start("traces", "tail", "name LIKE 'w%'", "-n", "5", "--json")
    try:
        assert json.loads(tail.line())["name"] == "wanted before"
        record_elsewhere(shell, "not", "wanted")
        assert json.loads(tail.line())["name"] == "wanted"
    finally:
        tail.stop()


# --- tags, deleting ------------------------------------------------------------------------------------------


def test_tags_are_set_and_taken_away(shell, record):
    trace_id = a_trace(record, tags={"draft": "yes"})

    assert shell("traces", "tag", trace_id[:9], "reviewed=yes", "note=a=b", "--remove", "draft").code == 0

    assert record.get_trace(trace_id).info.tags == {"reviewed": "yes", "note": "a=b"}
    assert shell("traces", "tag", "last", "novalue").code == 2
    assert shell("traces", "tag", "last").code == 2


def ids_of(record):
    return {info.trace_id for info in record.search_traces(include_spans=False, return_type="list")}


def test_nothing_is_deleted_without_a_condition_or_a_yes(shell, record, samples):
    for options in ([], ["--yes"], ["  ", "--yes"]):
        refused = shell("traces", "delete", *options)
        assert refused.code == 2
        assert "say which traces to delete" in refused.stderr
    unasked = shell("traces", "delete", "status = 'OK'")
    assert unasked.code == 2
    assert "say --yes" in unasked.stderr
    dry = shell("traces", "delete", "status = 'OK'", "--dry-run")
    assert (dry.code, dry.stdout) == (0, f"would delete 11 traces of {shell.store}\n")
    assert len(ids_of(record)) == 12


def test_deleting_asks_with_a_count(shell, record, samples):
    no = shell.on_screen("traces", "delete", "status = 'OK'", answer="n")
    assert f"Delete 11 traces of {shell.store}?" in no.text.replace("\n", "")
    assert no.code == 1
    assert len(ids_of(record)) == 12

    yes = shell.on_screen("traces", "delete", "status = 'OK'", answer="y")
    assert yes.code == 0
    assert "deleted 11" in yes.text
    assert ids_of(record) == {samples[5]}


def test_what_is_deleted_meets_every_condition(shell, record, samples):
    assert shell("traces", "delete", "--id", samples[0][:8], "--id", samples[1], "--yes").stdout == "deleted 2\n"
    assert ids_of(record) == set(samples[2:])
    assert shell("traces", "delete", "status = 'ERROR'", "--id", samples[4], "--yes").code == 1
    assert shell("traces", "delete", "--older-than", "12h", "--session", "chat-1", "--yes").stdout == "deleted 3\n"
    assert shell("traces", "delete", "--older-than", "30d", "--yes").code == 1
    assert len(ids_of(record)) == 7


# --- two traces ----------------------------------------------------------------------------------------------


def test_two_traces_are_shown_as_one_tree(shell, samples):
    found = shell("traces", "compare", samples[5][:8], samples[4])

    assert found.code == 0
    assert found.lines[0] == f"- {samples[5]} support_agent ERROR"
    assert found.lines[1] == f"+ {samples[4]} support_agent OK"
    assert any(line.startswith("~   TOOL lookup_account") and "status" in line for line in found.lines)
    assert any(line.startswith("+   CHAT_MODEL chat gpt-4o") for line in found.lines)
    told = json.loads(shell("traces", "compare", samples[5], samples[4], "--json").stdout)
    assert told["left"]["trace_id"] == samples[5]
    assert [row["change"] for row in told["rows"]].count("added") == 1
    assert {
        row["change"] for row in json.loads(shell("traces", "compare", "last", "last", "--json").stdout)["rows"]
    } == {"same"}
    assert shell("traces", "compare", samples[5], "abcdef012").code == 1


# --- out and in again ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["traces.jsonl", "traces.jsonl.gz"])
def test_what_is_exported_is_imported_once_however_often(shell, record, samples, tmp_path, name):
    out = shell("traces", "export", "-o", tmp_path / name)
    assert (out.code, out.stdout, out.stderr) == (0, "", f"12 traces → {tmp_path / name}\n")

    elsewhere = tmp_path / "elsewhere.db"
    spans = sum(len(trace.spans) for trace in record.search_traces(return_type="list"))
    first = shell("traces", "import", tmp_path / name, "--store", elsewhere)
    assert (first.code, first.stdout) == (0, f"{tmp_path / name}: 12 traces, {spans} new spans\n")
    again = shell("traces", "import", tmp_path / name, "--store", elsewhere)
    assert again.stdout == f"{tmp_path / name}: 12 traces, 0 new spans\n"

    other = Client(elsewhere)
    for trace_id in samples:
        assert other.get_trace(trace_id).to_dict() == record.get_trace(trace_id).to_dict()
    other.close()
    assert os.listdir(tmp_path) and not [left for left in os.listdir(tmp_path) if left.startswith(".")]


def test_an_export_goes_through_a_pipe_into_an_import(shell, record, samples, tmp_path):
    out = shell("traces", "export", "status = 'ERROR'", "-o", "-")
    [line] = out.lines
    assert Trace.from_json(line) == record.get_trace(samples[5])

    taken = shell("traces", "import", "-", "--store", tmp_path / "elsewhere.db", typed=out.stdout)

    assert taken.stdout == "-: 1 trace, 5 new spans\n"


def test_the_file_s_name_says_the_format_unless_it_is_given(shell, samples, tmp_path):
    assert shell("traces", "export", "-o", tmp_path / "t.csv", "--since", "1d").code == 0
    assert len((tmp_path / "t.csv").read_text().splitlines()) >= 13
    assert shell("traces", "export", "-o", "-", "--format", "csv").stdout == (tmp_path / "t.csv").read_bytes().decode()
    parquet = pytest.importorskip("pyarrow.parquet")
    assert shell("traces", "export", "-o", tmp_path / "t.parquet").code == 0
    assert parquet.read_table(tmp_path / "t.parquet").num_rows == 12


def test_an_export_of_nothing_or_to_nowhere_is_told_and_leaves_no_file(shell, samples, tmp_path):
    nothing = shell("traces", "export", "name = 'x'", "-o", "-")
    assert (nothing.code, nothing.stdout, nothing.stderr) == (1, "", "0 traces → standard output\n")
    nowhere = shell("traces", "export", "-o", tmp_path / "no" / "t.jsonl")
    assert nowhere.code == 2
    assert "can't be written: No such file or directory" in nowhere.stderr
    wrong = shell("traces", "export", "nonsense =", "-o", tmp_path / "t.jsonl")
    assert wrong.code == 2
    assert not (tmp_path / "t.jsonl").exists()


def test_a_line_that_is_no_trace_is_named_and_those_before_it_are_taken(shell, samples, tmp_path):
    first, second, *_ = shell("traces", "export", "-o", "-").lines
    (tmp_path / "t.jsonl").write_text(f"{first}\n\n{{}}\n{second}\n")

    found = shell("traces", "import", tmp_path / "t.jsonl", "--store", tmp_path / "elsewhere.db")

    assert found.code == 1
    assert found.stderr.startswith(f"autolog: {tmp_path / 't.jsonl'}: line 3 is no trace")
    assert len(shell("traces", "list", "--store", tmp_path / "elsewhere.db").lines) == 1
    missing = shell("traces", "import", tmp_path / "none.jsonl")
    assert (missing.code, "none.jsonl can't be read: No such file" in missing.stderr) == (1, True)


# --- in general ------------------------------------------------------------------------------------------------


def test_what_a_locale_can_not_write_ends_no_list(shell, record):
    a_trace(record, "請求書")

    found = shell("traces", "list", "--columns", "name", PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert (found.code, found.stdout) == (0, "\\u8acb\\u6c42\\u66f8\n")


def test_the_version_is_told(shell):
    import autolog

    assert shell("--version").stdout == f"autolog {autolog.__version__}\n"


def test_a_store_is_named_by_option_before_the_environment(shell, record, tmp_path):
    a_trace(record, "in the environment's")
    other = Client(tmp_path / "other.db")
    a_trace(other, "in the other")
    other.close()

    assert shell("traces", "list", "--columns", "name").stdout == "in the environment's\n"
    assert shell("traces", "list", "--columns", "name", "--store", tmp_path / "other.db").stdout == "in the other\n"
    assert os.listdir(shell.folder) == []
