"""Tracing never changes the program, forgets nothing, mixes nothing up, and leaves no trace of itself when it is off."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from llama_index.core.base.response.schema import StreamingResponse
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode

import autolog as al
from autolog import Span, autolog, start_span
from autolog.guard import guarded
from autolog.instrumentation import generators
from autolog.testing import spans, traces
from autolog_llama_index.recorder import recorder
from autolog_llama_index.step import Step
from tests.fakes.llama_index_models import EMBEDDING, HELLO, openai, streams
from tests.fakes.openai_server import FakeOpenAI
from tests.integrations.llama_index.programs import queries
from tests.integrations.llama_index.programs.components import helper
from tests.integrations.llama_index.programs.program import OPENAI
from tests.programs import is_installed
from tests.trees import forest

ROOT = Path(__file__).parents[3]
needs_openai = pytest.mark.skipif(not all(map(is_installed, OPENAI)), reason="llama-index-llms-openai is not installed")


class Written(CustomQueryEngine):
    """A query engine that streams what it is given, and keeps the generator."""

    made: list = []  # noqa: RUF012

    def custom_query(self, query_str):
        def tokens():
            received = []
            try:
                for word in query_str.split():
                    received.append((yield word))
            except KeyError as error:
                received.append(error)
                yield "caught"
            return received

        return StreamingResponse(tokens())


# --- the program is the same -------------------------------------------------------------------------


def test_the_generator_of_a_response_does_all_that_its_own_does(traced):
    generator = Written().query("one two three").response_gen
    assert inspect.isgenerator(generator)
    assert (next(generator), generator.send("sent")) == ("one", "two")
    error = KeyError("thrown")
    assert generator.throw(error) == "caught"
    with pytest.raises(StopIteration) as end:
        next(generator)

    assert end.value.value == ["sent", error]
    assert end.value.value[1] is error
    assert traces(traced)[0].root.outputs["text"] == "onetwocaught"


def test_an_exception_of_a_response_is_the_same_object(traced):
    class Broken(CustomQueryEngine):
        error: object

        def custom_query(self, query_str):
            def tokens():
                yield "one"
                raise self.error

            return StreamingResponse(tokens())

    error = ValueError("broken")
    generator = Broken(error=error).query("x").response_gen
    with pytest.raises(ValueError, match="broken") as raised:
        list(generator)

    assert raised.value is error
    assert forest(traced) == "ERROR\nCHAIN Broken.query ERROR ValueError"
    assert traces(traced)[0].root.outputs["text"] == "one"


def read_slowly():
    """Tell, after each thing that the program does, how often the server was asked and how much was read of it."""
    server, told = FakeOpenAI(), []

    def note():
        told.append([body.pulled for body in server.bodies])

    server.script(streams(*"abcdefgh"), streams(*"abcdefgh"))
    response = queries.engine(server, streaming=True).query("x")
    note()
    pieces = openai(server).stream_chat(HELLO)
    note()
    for _ in range(3):
        next(response.response_gen, None)
        note()
        next(pieces)
        note()
    return told


@needs_openai
def test_streams_are_as_lazy_as_without_tracing(client):
    untraced = read_slowly()
    autolog()

    assert read_slowly() == untraced


def test_results_are_the_objects_that_llama_index_returns(traced):
    node = NodeWithScore(node=TextNode(text="a"), score=1.0)

    class Shelf(BaseRetriever):
        def _retrieve(self, query_bundle):
            return [node]

    [found] = Shelf().retrieve("x")
    assert found is node


# --- on and off --------------------------------------------------------------------------------------


def test_turning_it_on_twice_gives_no_span_twice(client):
    autolog()
    autolog()
    al.llama_index.autolog()
    helper(1)

    assert forest(client) == "OK\nTASK helper\n  UNKNOWN inside"


def test_turned_off_it_records_nothing_and_leaves_the_dispatcher_as_it_was(client):
    root = get_dispatcher()
    before = list(root.span_handlers), list(root.event_handlers)
    autolog()
    assert (len(root.span_handlers), len(root.event_handlers)) == (len(before[0]) + 1, len(before[1]) + 1)
    al.llama_index.autolog(log_traces=False)
    helper(1)

    assert (list(root.span_handlers), list(root.event_handlers)) == before
    assert forest(client) == "OK\nUNKNOWN inside"


def test_handlers_of_others_are_kept_and_called(client):
    class Counting(BaseEventHandler):
        seen: int = 0

        def handle(self, event, **kwargs):
            self.seen += 1

    root, steps, events = get_dispatcher(), SimpleSpanHandler(), Counting()
    root.add_span_handler(steps)
    try:
        autolog()
        root.add_event_handler(events)
        MockLLM(max_tokens=1).complete("x")
        al.llama_index.autolog(log_traces=False)
        assert any(handler is steps for handler in root.span_handlers)
        assert any(handler is events for handler in root.event_handlers)
        MockLLM(max_tokens=1).complete("x")
    finally:
        root.span_handlers = [handler for handler in root.span_handlers if handler is not steps]
        root.event_handlers = [handler for handler in root.event_handlers if handler is not events]

    assert (len(steps.completed_spans), events.seen) == (2, 4)
    assert forest(client) == "OK\nLLM MockLLM.complete"


def test_what_is_going_on_when_it_is_turned_off_still_ends(client):
    dispatcher = get_dispatcher(__name__)

    @dispatcher.span
    def work():
        al.llama_index.autolog(log_traces=False)
        helper(1)

    autolog()
    work()

    assert forest(client) == "OK\nTASK work\n  UNKNOWN inside"
    assert len(recorder) == 0


@needs_openai
def test_streams_that_are_not_read_to_their_ends_end_when_it_is_turned_off(client, server):
    autolog()
    begun, unread = openai(server).stream_chat(HELLO), openai(server).stream_chat(HELLO)
    response = queries.engine(server, streaming=True).query("x")
    next(begun), next(begun)
    al.llama_index.autolog(log_traces=False)

    read = [span.outputs["content"] for span in spans(client) if span.name == "OpenAI.stream_chat" and span.outputs]
    assert "Hello" in read
    assert all(span.end_time_ns is not None for span in spans(client) if "OpenAI." in span.name)
    assert {trace.state for trace in traces(client) if "OpenAI." in trace.name} == {"CANCELLED"}
    assert "".join(piece.delta for piece in begun) == " there, world"
    assert len(list(unread)) == 6
    list(response.response_gen)
    assert generators._adopted == {}


def test_a_suppressed_program_gives_nothing(traced):
    with al.context(enabled=False):
        helper(1)

    assert forest(traced) == ""
    assert len(recorder) == 0


# --- nothing is mixed up -----------------------------------------------------------------------------

STREAMED = """OK 11>7
UNKNOWN request
  CHAIN RetrieverQueryEngine.aquery
    RETRIEVER VectorIndexRetriever.aretrieve
      EMBEDDING MockEmbedding.aget_query_embedding
    CHAIN CompactAndRefine.asynthesize
      CHAT_MODEL OpenAI.astream_chat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
  UNKNOWN afterwards"""


def each_by_itself(client, count):
    """Every trace has its own question, in its root and in what the model was asked."""
    assert forest(client) == "\n\n".join([STREAMED] * count)
    seen = set()
    for trace in traces(client):
        [question] = {span.inputs["query"] for span in trace.spans if "aquery" in span.name}
        asked = next(span for span in trace.spans if span.name == "OpenAI.astream_chat")
        assert question in asked.inputs["messages"][-1]["content"]
        seen.add(question)
    assert len(seen) == count


@needs_openai
def test_50_streamed_queries_at_once_give_50_traces(traced, server):
    engine = queries.engine(server, streaming=True)

    async def ask(number):
        with start_span("request"):
            response = await engine.aquery(f"question {number}?")
            async for _ in response.response_gen:
                await asyncio.sleep(0)
            with start_span("afterwards"):
                pass

    async def main():
        await asyncio.gather(*(ask(number) for number in range(50)))

    asyncio.run(main())
    each_by_itself(traced, 50)


@needs_openai
def test_threads_have_their_own_traces(traced, server):
    engine = queries.engine(server, streaming=True)
    barrier = threading.Barrier(10)

    def ask(number):
        barrier.wait()
        list(engine.query(f"question {number}?").response_gen)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    one = STREAMED.replace("UNKNOWN request\n  ", "").replace("\n  UNKNOWN afterwards", "").replace("\n  ", "\n")
    assert forest(traced) == "\n\n".join([one.replace(".aq", ".q").replace(".a", ".").replace("aget_", "get_")] * 10)


# --- nothing is kept ---------------------------------------------------------------------------------


def test_ten_thousand_queries_leave_nothing_behind(traced):
    class Small(CustomQueryEngine):
        llm: MockLLM

        def custom_query(self, query_str):
            return "".join(piece.delta for piece in self.llm.stream_chat([ChatMessage(query_str)]))

    engine = Small(llm=MockLLM(max_tokens=1))

    def left(count):
        for number in range(count):
            engine.query(f"question {number}")
        traced.flush()
        gc.collect()
        return sum(isinstance(one, (Span, Step)) for one in gc.get_objects())

    few, streams_before = left(100), len(recorder._streams)
    assert left(10_000) <= few + 5
    assert (len(recorder), len(recorder._streams), generators._adopted) == (0, streams_before, {})


# --- programs of their own ---------------------------------------------------------------------------


def run(program, tmp_path):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(program))
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'integrations'}", "AUTOLOG_STORE": str(tmp_path / "traces.db")}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "ignore", path],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def stored(tmp_path):
    client = al.Client(str(tmp_path / "traces.db"))
    try:
        return forest(client)
    finally:
        client.close()


def test_nothing_is_imported_that_the_program_does_not_import(tmp_path):
    out, err = run(
        """
        import sys
        from autolog import autolog
        autolog()
        print(sorted(name for name in sys.modules if name.startswith(("llama_index", "workflows", "pydantic"))))
        import llama_index_instrumentation
        print("llama_index.core" in sys.modules)
        from llama_index.core.llms import MockLLM
        MockLLM(max_tokens=1).complete("x")
        """,
        tmp_path,
    )

    assert (out, "autolog failed" in err) == ("[]\nFalse\n", False)
    assert stored(tmp_path) == "OK\nLLM MockLLM.complete"


def test_turned_on_after_the_import_it_records_too(tmp_path):
    run(
        """
        from llama_index.core.llms import MockLLM
        from autolog import autolog
        autolog()
        MockLLM(max_tokens=1).complete("x")
        """,
        tmp_path,
    )

    assert stored(tmp_path) == "OK\nLLM MockLLM.complete"


def test_a_stream_that_nobody_read_ends_with_the_program(tmp_path):
    run(
        """
        from autolog import autolog
        from llama_index.core.llms import ChatMessage, MockLLM
        autolog()
        unread = MockLLM(max_tokens=2).stream_chat([ChatMessage("x")])
        begun = MockLLM(max_tokens=2).stream_complete("x")
        next(begun)
        """,
        tmp_path,
    )

    assert stored(tmp_path) == (
        "CANCELLED\nCHAT_MODEL MockLLM.stream_chat CANCELLED\n\nCANCELLED\nLLM MockLLM.stream_complete CANCELLED"
    )


def test_an_error_of_ours_is_logged_counted_and_kept_from_the_program(traced, caplog, monkeypatch):
    monkeypatch.setitem(recorder.__dict__, "options", None)  # which a bug of ours may leave behind
    with caplog.at_level(logging.WARNING, "autolog"):
        assert EMBEDDING.get_query_embedding("x") == [0.5, 0.5, 0.5]

    assert "autolog failed inside itself" in caplog.text
    assert guarded.errors > 0
    monkeypatch.setattr(guarded, "errors", 0)
    assert forest(traced) == "OK\nEMBEDDING MockEmbedding.get_query_embedding"
