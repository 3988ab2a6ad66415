"""Span processors: they see what would be stored and change it, and where they fail nothing is stored that they should have."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading

import pytest

import autolog as al
from autolog import Client, InvalidSetting, SpanEvent
from autolog.guard import guarded
from autolog.pipeline import Pipeline
from autolog.processing import WITHHELD_NAME
from autolog.settings import Settings
from autolog.testing import fresh_client, spans, traces
from autolog.tracer import Tracer
from tests.trees import forest

SECRET = "xyzzy-hunter2"


def content_of(folder) -> bytes:
    """Return every byte of the files in a folder, and of the payloads in a database, unpacked."""
    files = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for path in folder.rglob("*.db"):
        with fresh_client(str(path)) as reader:
            files += "".join(trace.to_json() for trace in traces(reader)).encode()
        connection = sqlite3.connect(path)
        files += "\n".join(connection.iterdump()).encode(errors="replace")
        connection.close()
    return files


def record_secrets(client: Client, secret: str = SECRET) -> None:
    """Put `secret` everywhere a program can put content."""
    other = client.start_trace(f"other {secret}").get_span_context()
    with al.context(tags={f"tag {secret}": secret}, metadata={"m": secret}, session_id=secret, user=secret):
        root = client.tracer.start_span(
            f"root {secret}", inputs={"q": [secret, {secret: 1}], "j": f'{{"a": "{secret}"}}'}
        )
    with pytest.raises(ValueError), root:
        al.update_current_trace(request_preview=secret, response_preview=secret, client_request_id=secret)
        root.set_outputs({"content": secret})
        root.set_attributes({f"my.{secret}": secret, "autolog.metadata": {"a": secret}, "gen_ai.prompt": secret})
        root.set_attribute("gen_ai.request.stop_sequences", [secret])
        root.set_attribute("gen_ai.tool.description", secret)
        root.add_event(f"event {secret}", {f"e {secret}": secret})
        root.add_link(other, {"l": secret})
        root.set_usage(al.TokenUsage(1, 2, 3, raw={"note": secret, "details": {"a": secret, "n": 4}}))
        with al.start_span("late") as late:
            late.defer(lambda span: span.set_outputs(secret))
        step = client.tracer.start_step(f"step {secret}")
        step.is_framework_call = True
        call = client.tracer.start_span("call", al.SpanType.CHAT_MODEL, parent=step, inputs=secret)
        call.mark_duplicate_of(step, merges=True)
        call.set_attribute("of.sdk", secret)
        call.end()
        step.end()
        raise ValueError(f"it was {secret}")


# --- what they can do ------------------------------------------------------------------------------------


def test_a_processor_sees_and_changes_everything(client):
    seen = {}

    def change(span):
        seen.update(name=span.name, inputs=span.inputs, usage=span.usage, tags=span.trace_context.tags)
        span.set_inputs("new in")
        span.set_outputs("new out")
        span.set_attribute("added", 1)
        span.remove_attribute("a")
        span.remove_attribute("not there")
        span.update_name("new name")
        span.set_span_type("TOOL")
        span.set_status("ERROR", "new reason")
        span.set_events([SpanEvent("new event", e.timestamp_ns, {"n": 1}) for e in span.events])
        span.trace_context.user = "new user"

    al.configure(span_processors=[change])
    with al.context(tags={"t": "1"}, user="old user"), al.start_span("old", inputs="in", attributes={"a": 1}) as span:
        span.set_outputs("out")
        span.add_event("old event")
        span.set_usage(al.TokenUsage(1))
    [trace] = traces(client)
    [stored] = trace.spans

    assert seen == {"name": "old", "inputs": "in", "usage": al.TokenUsage(1), "tags": {"t": "1"}}
    assert (stored.name, stored.span_type, stored.inputs, stored.outputs) == ("new name", "TOOL", "new in", "new out")
    assert (stored.attributes, stored.status.description) == ({"added": 1}, "new reason")
    assert [(event.name, event.attributes) for event in stored.events] == [("new event", {"n": 1})]
    assert (trace.info.user, trace.info.request_preview, trace.name) == ("new user", "new in", "new name")
    # The program's own span stays as it was.
    assert (span.name, span.inputs, span.outputs, span.trace_context.user) == ("old", "in", "out", "old user")


def test_processors_run_in_order_once_for_each_span(client):
    order = []
    first = lambda span: order.append(("first", span.name, span.end_time_ns is not None))
    second = lambda span: order.append(("second", span.name, span.end_time_ns is not None))
    al.configure(span_processors=[first, second])
    with al.start_span("a"):
        al.start_span("b").end()
    client.flush()
    client.flush()

    assert order == [("first", "b", True), ("second", "b", True), ("first", "a", True), ("second", "a", True)]


def test_a_store_that_failed_meanwhile_makes_no_processor_run_twice():
    written, seen, failing = [], [], [True]

    def write(batch):
        if failing[0]:
            raise al.StoreError("no.")
        written.extend(batch)

    client = Client("memory:", span_processors=[lambda span: seen.append(span.name)])
    pipeline = Pipeline(write, Settings(flush_interval=1000.0))
    pipeline.processing.plan = client._pipeline.processing.plan
    tracer = Tracer(pipeline.started, pipeline.ended)
    for n in range(3):
        tracer.start_span(f"{n}").end()
    assert not pipeline.flush()
    failing[0] = False
    assert pipeline.flush()

    assert (seen, [span.name for span in written]) == (["0", "1", "2"], ["0", "1", "2"])
    pipeline.stop()
    client.close()


def test_payloads_that_spans_share_are_changed_for_one_of_them_only(client):
    shared = {"text": "old"}

    def change(span):
        if span.name == "one":
            span.replace_texts(str.upper)

    al.configure(span_processors=[change])
    picture = al.start_span("x", inputs=shared).inputs
    for name in ("one", "two"):
        span = al.start_span(name)
        span._inputs = picture
        span.end()
    assert [span.inputs for span in spans(client)[1:]] == [{"TEXT": "OLD"}, {"text": "old"}]


def test_every_text_of_a_span_can_be_replaced_at_once(tmp_path):
    with fresh_client(str(tmp_path / "t.db")) as client:
        client.configure(span_processors=[lambda span: span.replace_texts(lambda text: text.replace(SECRET, "***"))])
        record_secrets(client)
        client.flush()
        [trace] = [trace for trace in traces(client) if "root" in trace.name]
    assert trace.name == "root ***"
    assert trace.info.user == trace.info.session == "***"
    assert trace.info.tags == {"tag ***": "***"}
    assert SECRET.encode() not in content_of(tmp_path)


# --- dropping --------------------------------------------------------------------------------------------


def test_a_dropped_span_is_counted_and_what_is_below_it_stays(client):
    al.configure(span_processors=[lambda span: span.drop() if span.name == "noise" else None])
    with al.start_span("root"), al.start_span("noise"):
        al.start_span("kept").end()
    [trace] = traces(client)

    assert [span.name for span in trace.children(None)] == ["root", "kept"]
    assert trace.state == "OK"
    stats = al.stats()
    assert (stats.dropped, stats.stored, stats.started) == ({"by_processor": 1}, 2, 3)


def test_a_trace_whose_spans_are_all_dropped_is_not_there(client):
    al.configure(span_processors=[al.Span.drop])
    with al.start_span("root"):
        al.start_span("child").end()
    assert traces(client) == []
    assert al.stats().dropped == {"by_processor": 2}


def test_a_trace_whose_root_alone_is_dropped_has_ended_all_the_same(client):
    al.configure(span_processors=[lambda span: span.drop() if span.parent_id is None else None])
    with al.start_span("root"):
        al.start_span("child", inputs="in").end()
    [trace] = traces(client)

    assert trace.state == "OK"
    assert [span.name for span in trace.spans if span.name != WITHHELD_NAME] == ["child"]


# --- failing ---------------------------------------------------------------------------------------------


class Hidden(BaseException):
    pass


@pytest.mark.parametrize("error", [ValueError(SECRET), RecursionError(), SystemExit(SECRET), Hidden(SECRET)])
def test_a_processor_that_fails_leaves_nothing_but_figures(tmp_path, caplog, error):
    def fail(span):
        span.set_attribute("half", "done")
        raise error

    def after(span):
        raise AssertionError("the span is withheld already")

    with fresh_client(str(tmp_path / "t.db")) as client:
        client.configure(span_processors=[fail, after])
        record_secrets(client)
        client.flush()
        [trace] = [trace for trace in traces(client) if len(trace.spans) > 1]
        stats = client.stats()

    assert {span.name for span in trace.spans} == {WITHHELD_NAME}
    root = trace.root
    assert root.attributes == {"autolog.withheld": f"a span processor failed: {type(error).__name__}"}
    assert (root.status, root.usage, root.events) == (al.Status(al.StatusCode.ERROR), al.TokenUsage(1, 2, 3), ())
    assert root.end_time_ns >= root.start_time_ns
    assert (trace.info.session, trace.info.user, trace.info.tags, trace.info.metadata) == (None, None, {}, {})
    assert stats.processor_errors >= 3
    assert stats.internal_errors == 0
    assert caplog.text.count("failed with") == 1
    assert SECRET.encode() not in content_of(tmp_path)
    assert SECRET not in caplog.text


def test_a_span_that_one_processor_fails_on_costs_no_other(client):
    def fail(span):
        if span.name == "bad":
            raise ValueError

    al.configure(span_processors=[fail])
    for name in ("good", "bad", "fine"):
        al.start_span(name, inputs=name).end()
    assert [span.inputs for span in spans(client)] == ["good", None, "fine"]
    assert al.stats().processor_errors == 1


def test_ctrl_c_in_a_processor_reaches_the_program_and_loses_nothing(client):
    client._pipeline._settings = Settings(flush_interval=1000.0)

    def interrupted(span):
        if span.name == "b":
            raise KeyboardInterrupt

    al.configure(span_processors=[interrupted], flush_interval=1000.0)
    for name in "abc":
        al.start_span(name, inputs=name).end()
    with pytest.raises(KeyboardInterrupt):
        client.flush()
    assert [span.inputs for span in spans(client)] == ["a", None, "c"]


def test_an_error_of_our_own_while_redacting_withholds_too(client, monkeypatch, caplog):
    monkeypatch.setattr(guarded, "reraise", False)
    monkeypatch.setattr(al.Span, "rewrite", lambda self, leaf: 1 / 0)
    al.configure(redact="email")
    al.start_span("x", inputs=SECRET).end()

    [span] = spans(client)
    assert (span.name, span.attributes) == (WITHHELD_NAME, {"autolog.withheld": "redaction failed"})
    assert "autolog failed inside itself" in caplog.text


@pytest.mark.parametrize("wrong", ["x", 1, [1], [None]])
def test_what_is_no_processor_is_refused(client, wrong):
    with pytest.raises((InvalidSetting, TypeError)):
        al.configure(span_processors=wrong)
    assert client._processors == ()


def test_an_async_processor_is_refused(client):
    async def scrub(span):
        span.set_inputs(None)

    class Scrubber:
        async def __call__(self, span):
            span.set_inputs(None)

    for processor in (scrub, Scrubber()):
        with pytest.raises(InvalidSetting, match="can't be async"):
            al.configure(span_processors=[processor])
    al.configure(span_processors=[lambda span: _awaitable()])
    al.start_span("x", inputs=SECRET).end()
    assert spans(client)[0].inputs is None


class _Awaitable:
    def __await__(self):
        yield


def _awaitable():
    return _Awaitable()


# --- every way to the store ------------------------------------------------------------------------------


def hide(span):
    span.replace_texts(lambda text: text.replace(SECRET, "***"))


def test_a_span_that_is_shown_while_it_runs_was_processed(client):
    al.configure(span_processors=[hide])
    span = al.start_span(f"agent {SECRET}", inputs=SECRET)
    assert forest(client) == "IN_PROGRESS\nUNKNOWN agent *** OPEN"
    assert spans(client)[0].inputs == "***"
    assert span.inputs == SECRET
    span.end()
    assert [(span.name, span.inputs) for span in spans(client)] == [("agent ***", "***")]


def test_a_running_span_that_would_be_dropped_is_not_shown(client):
    al.configure(span_processors=[al.Span.drop])
    span = al.start_span("x")
    assert traces(client) == []
    span.end()
    assert traces(client) == []
    assert al.stats().dropped == {"by_processor": 1}


def test_a_processor_that_ends_a_running_span_ends_its_copy_only(client):
    al.configure(span_processors=[lambda span: span.end()])
    span = al.start_span("x")
    client.flush()
    assert span.end_time_ns is None
    span.end()
    assert len(spans(client)) == 1
    assert al.stats().started == 1


def test_spans_that_the_end_of_the_program_cuts_off_were_processed(tmp_path):
    program = f"""
import autolog as al
def hide(span): span.replace_texts(lambda text: text.replace({SECRET!r}, "***"))
client = al.Client({str(tmp_path / "t.db")!r}, span_processors=[hide])
root = client.start_trace("open", inputs={SECRET!r})
client.start_span("ended", root, inputs={SECRET!r}).end()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    with fresh_client(str(tmp_path / "t.db")) as reader:
        assert [(span.name, span.inputs) for span in spans(reader)] == [("open", "***"), ("ended", "***")]
    assert SECRET.encode() not in content_of(tmp_path)


def test_what_an_sdk_told_a_framework_is_processed_with_it(client):
    names = []
    al.configure(span_processors=[hide, lambda span: names.append(span.name)], duplicates="merge")
    with al.start_span("step") as step:
        step.is_framework_call = True
        step.span_type = al.SpanType.CHAT_MODEL
        client.tracer.start_sdk_call("call", al.SpanType.CHAT_MODEL, inputs=SECRET, attributes={"a": SECRET}).end()
    [span] = spans(client)

    assert (span.name, span.inputs, span.attributes) == ("step", "***", {"a": "***"})
    assert names == ["step"]


def test_added_traces_are_processed(client):
    with fresh_client() as elsewhere:
        with al.start_span("theirs", inputs=SECRET):
            pass
        [trace] = traces(elsewhere)
    client.configure(span_processors=[hide])
    client.add_trace(trace)
    assert spans(client)[0].inputs == "***"


def test_tags_that_change_while_a_batch_is_written_are_not_stored_unprocessed(client):
    """The store writes what the processors saw, not what the program made of it since."""
    write = client._store.write

    def late(batch):
        span.trace_context.tags = {"t": SECRET}
        write(batch)

    client._store.write = late
    al.configure(span_processors=[hide])
    span = al.start_span("x")
    span.trace_context.tags = {"t": "early"}
    span.end()
    assert traces(client)[0].info.tags == {"t": "early"}


# --- where they run --------------------------------------------------------------------------------------


def test_a_processor_may_use_what_is_traced_and_waits_for_nothing(client):
    inside = []

    def use(span):
        inside.append((al.start_span("inside").is_recording(), threading.current_thread().name))
        al.flush()

    al.configure(span_processors=[use])
    al.start_span("x").end()
    client.flush()

    assert [recorded for recorded, _ in inside] == [False]
    assert [span.name for span in spans(client)] == ["x"]


def test_a_processor_that_hangs_holds_up_the_store_and_not_the_program(tmp_path):
    program = f"""
import autolog as al, threading
client = al.Client({str(tmp_path / "t.db")!r}, al.client.Settings(exit_timeout=0.3),
                   span_processors=[lambda span: threading.Event().wait()])
for n in range(3): client.start_trace(f"{{n}}").end()
print(client.stats().started)
"""
    done = subprocess.run(
        [sys.executable, "-c", program.replace("al.client.Settings", "__import__('autolog.settings').settings.Settings")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
    assert re.search(r"3 spans are lost at exit", done.stderr)


def test_a_block_may_have_its_own_processors(client):
    with al.configure(span_processors=[lambda span: span.update_name("inside")]):
        al.start_span("x").end()
        client.flush()
    al.start_span("y").end()
    assert [span.name for span in spans(client)] == ["inside", "y"]


# --- without content -------------------------------------------------------------------------------------


def test_without_content_no_words_of_the_program_reach_the_disk_or_the_log(tmp_path, caplog):
    """But for what is a name or a label: the names of spans, events and attributes, tags, metadata, session, user."""
    with fresh_client(str(tmp_path / "t.db"), capture_content=False) as client:
        with pytest.raises(ValueError), al.start_span("root", inputs={"q": SECRET}) as root:
            other = client.start_trace("other").get_span_context()
            al.update_current_trace(request_preview=SECRET, response_preview=SECRET)
            root.set_outputs([SECRET])
            root.set_attributes({"mine": SECRET, "list": [SECRET], "number": 7, "autolog.metadata": {"a": SECRET}})
            for name in (
                "gen_ai.prompt",
                "gen_ai.input.messages",
                "gen_ai.tool.description",
                "autolog.prompt.template",
            ):
                root.set_attribute(name, SECRET)
            root.set_attribute("gen_ai.request.stop_sequences", [SECRET])
            root.set_attribute("gen_ai.request.model", "gpt-4o")
            root.add_event("event", {"e": SECRET, "n": 1})
            root.add_link(other, {"l": SECRET})
            root.set_usage(al.TokenUsage(1, 2, 3, raw={"note": SECRET, "details": {"a": SECRET, "n": 4}}))
            root.defer(lambda span: span.set_outputs(SECRET))
            with al.start_span("inner") as inner:
                inner.record_exception(ValueError(SECRET))
            client.flush()  # shows what runs
            assert SECRET not in "".join(trace.to_json() for trace in traces(client))
            raise ValueError(SECRET)
        [trace] = [trace for trace in traces(client) if trace.name == "root"]

    root = trace.root
    assert (root.inputs, root.outputs) == (None, None)
    assert root.attributes == {"number": 7, "gen_ai.request.model": "gpt-4o", "error.type": "ValueError"}
    assert [(e.name, dict(e.attributes)) for e in root.events] == [
        ("event", {"n": 1}), ("exception", {"exception.type": "ValueError"}),
    ]  # fmt: skip
    assert (root.status.description, root.usage.raw) == ("ValueError", {"details": {"n": 4}})
    assert SECRET.encode() not in content_of(tmp_path)
    assert SECRET not in caplog.text


def test_a_processor_does_not_see_withheld_content_and_may_label(client):
    seen = []

    def label(span):
        seen.append(span.inputs)
        span.set_attribute("team", "search")

    al.configure(capture_content=False, span_processors=[label])
    al.start_span("x", inputs=SECRET).end()
    assert [span.attributes for span in spans(client)] == [{"team": "search"}]
    assert set(seen) == {None}


# --- what the libraries tell -----------------------------------------------------------------------------


def use_openai(secret):
    BadRequestError = pytest.importorskip("openai").BadRequestError
    from tests.fakes.openai_server import FakeOpenAI

    server = FakeOpenAI()
    openai = server.client()
    tool = {"type": "function", "function": {"name": "f", "description": secret, "parameters": {"type": "object"}}}
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": secret}], "tools": [tool], "stop": [secret],
             "extra_body": {"metadata": {"m": secret}}, "extra_query": {"q": secret}}  # fmt: skip
    openai.chat.completions.create(**asked)
    list(openai.chat.completions.create(**asked, stream=True))
    if hasattr(openai, "responses"):
        openai.responses.create(model="gpt-4o", input=secret, instructions=secret, metadata={"m": secret})
    openai.embeddings.create(model="m", input=secret)
    server.script(400)
    with pytest.raises(BadRequestError):
        openai.with_options(max_retries=0).chat.completions.create(**asked)


def use_langchain(secret):
    pytest.importorskip("langchain_core")
    from langchain_core.documents import Document
    from langchain_core.messages import AIMessage
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnableLambda
    from langchain_core.tools import tool

    from tests.fakes.langchain_models import Parrot

    class Shelf(BaseRetriever):
        def _get_relevant_documents(self, query, *, run_manager):
            return [Document(secret, metadata={"source": secret})]

    @tool
    def look_up(word: str) -> str:
        """Look a word up."""
        return secret

    prompt = ChatPromptTemplate.from_messages([("system", secret), ("user", "{q}")])
    chain = prompt | Parrot(says=[AIMessage(secret)]) | StrOutputParser()
    config = {"metadata": {"m": secret}}
    chain.invoke({"q": secret}, config)
    list(chain.stream({"q": secret}, config))
    Shelf().invoke(secret)
    look_up.invoke({"word": secret})

    def fail(_):
        raise ValueError(secret)

    with pytest.raises(ValueError):
        RunnableLambda(fail).invoke(secret)


def use_llama_index(secret):
    pytest.importorskip("llama_index.core")
    from llama_index.core import MockEmbedding, SummaryIndex, VectorStoreIndex
    from llama_index.core.llms import ChatMessage, MockLLM
    from llama_index.core.schema import TextNode
    from llama_index.core.tools import FunctionTool

    nodes = [TextNode(text=secret, metadata={"source": secret})]
    VectorStoreIndex(nodes, embed_model=MockEmbedding(embed_dim=3)).as_query_engine(llm=MockLLM()).query(secret)
    SummaryIndex(nodes).as_retriever().retrieve(secret)
    MockLLM().chat([ChatMessage(role="user", content=secret)])
    for _ in MockLLM().stream_complete(secret):
        pass
    FunctionTool.from_defaults(lambda word: secret, name="look_up", description="d").call(word=secret)


LIBRARIES = {"openai": use_openai, "langchain": use_langchain, "llama_index": use_llama_index}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pydantic's, of LlamaIndex
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("by", ["capture_content", "redact", "span_processors", "a processor that fails"])
def test_nothing_that_a_library_tells_gets_past(tmp_path, caplog, library, by):
    pytest.importorskip({"langchain": "langchain_core", "llama_index": "llama_index.core"}.get(library, library))
    secret = "xyzzy.hunter2@example.com"

    def fail(span):
        raise ValueError(secret)

    changes = {
        "capture_content": {"capture_content": False},
        "redact": {"redact": ["email"]},
        "span_processors": {
            "span_processors": [lambda span: span.replace_texts(lambda text: text.replace(secret, "…"))]
        },
        "a processor that fails": {"span_processors": [fail]},
    }
    with fresh_client() as client:  # where it would be seen
        al.autolog(library)
        LIBRARIES[library](secret)
        assert all(secret in trace.to_json() for trace in traces(client))
    with fresh_client(str(tmp_path / "t.db"), cost=False) as client:
        client.configure(**changes[by])
        al.autolog(library)
        LIBRARIES[library](secret)
        client.flush()
        assert len(spans(client)) >= 4
    assert secret.encode() not in content_of(tmp_path)
    assert secret not in caplog.text


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [("user", 7, "7"), ("session", None, None), ("tags", {"a": 1}, {"a": "1"}), ("metadata", None, {})],
)
def test_what_a_processor_puts_in_place_of_texts_is_stored_as_texts(client, field, value, kept):
    def replace(span):
        span.name = None
        setattr(span.trace_context, field, value)

    with al.configure(span_processors=[replace]), al.context(user="u", session_id="s", tags={"b": "2"}):
        al.start_span("job").end()
        [trace] = traces(client)
    assert trace.name == "None"
    assert getattr(trace.info, field) == kept


@pytest.mark.parametrize(("field", "value"), [("end_time_ns", "now"), ("start_time_ns", None)])
def test_a_processor_that_makes_a_span_impossible_to_store_leaves_its_figures(client, caplog, field, value):
    with al.configure(span_processors=[lambda span: setattr(span, field, value)]):
        al.start_span("job").end()
        [trace] = traces(client)
    assert trace.name == "[withheld]"
    assert client.stats().processor_errors == 1


@pytest.mark.parametrize("given", [5, len, "x", [None]])
def test_what_is_no_list_of_processors_is_refused(client, given):
    with pytest.raises(InvalidSetting, match="function"):
        al.configure(span_processors=given)
