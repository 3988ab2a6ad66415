"""Errors: told where they happened and above, with their stack once; and calls that the program cancels."""

from __future__ import annotations

import asyncio

import pytest

from autolog import StatusCode, start_span
from autolog.testing import spans, traces
from autolog_langchain.runs import runs
from tests.fakes.langchain_models import Parrot, chat
from tests.integrations.langchain.programs import chains, models, retrieval
from tests.trees import every, the

pytest.importorskip("langchain_openai", reason="needs langchain-openai")


def events(span):
    return [event.name for event in span.events]


def test_a_refused_model_fails_all_above_and_has_its_stack_once(traced, server):
    with pytest.raises(Exception):
        chains.sequence_whose_model_is_refused(server)

    root, sdk, model = traces(traced)[0].root, the(traced, "chat gpt-4o"), the(traced, "ChatOpenAI")
    assert "429" in root.status.description
    assert "429" in model.status.description
    assert sdk.get_attribute("http.response.status_code") == 429
    assert events(root) == []
    assert events(sdk) == ["exception"]


def test_tries_of_the_sdk_are_told_by_its_span(traced, server):
    models.model_that_is_tried_again(server)

    sdk = the(traced, "chat gpt-4o")
    assert sdk.get_attribute("http.request.resend_count") == 2
    assert events(sdk) == ["retry", "retry"]
    assert the(traced, "ChatOpenAI").status.code is StatusCode.OK


def test_an_error_keeps_its_type_and_text(traced):
    with pytest.raises(KeyError):
        chains.sequence_that_lacks_a_variable(None)

    span = the(traced, "ChatPromptTemplate")
    assert span.get_attribute("error.type") == "KeyError"
    assert "question" in span.status.description


def test_attempts_are_told_one_by_one(traced):
    chains.retried(None)

    attempts = [span.get_attribute("autolog.tags") for span in every(traced, "shaky")][1:]
    assert attempts == [None, ["retry:attempt:2"], ["retry:attempt:3"]]


def test_a_model_whose_second_prompt_fails_ends_the_spans_of_all(traced, server):
    models.generate_whose_second_prompt_fails(server)

    codes = [span.status.code for span in every(traced, "ChatOpenAI")]
    assert codes == [StatusCode.CANCELLED, StatusCode.ERROR, StatusCode.CANCELLED, StatusCode.OK]
    assert len(runs) == 0


def test_a_retriever_that_fails_says_why(traced):
    with pytest.raises(OSError):
        retrieval.retriever_that_fails(None)

    span = the(traced, "Notes")
    assert (span.get_attribute("error.type"), span.status.description) == ("OSError", "OSError: disk")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_passes(traced, kind):
    with pytest.raises(kind):
        Parrot(says=[kind()]).invoke("Hello")

    assert the(traced, "Parrot").end_time_ns is not None
    assert len(runs) == 0


def test_an_exception_has_the_same_stack_traced_or_not(client):
    from autolog import autolog

    def frames():
        with pytest.raises(ValueError) as caught:
            (chains.PROMPT | Parrot(says=[ValueError("no")])).invoke(chains.ASKED)
        found = []
        traceback = caught.value.__traceback__
        while traceback is not None:
            found.append(traceback.tb_frame.f_code.co_name)
            traceback = traceback.tb_next
        return [name for name in found if name != "run"]

    untraced = frames()
    autolog()

    assert frames() == untraced


def test_a_call_whose_task_times_out_is_cancelled(traced, server):
    from tests.fakes.openai_server import Gate

    async def run():
        server.gate = Gate()
        with start_span("request"):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(chains.sequence(server).ainvoke(chains.ASKED), 0.05)
            with start_span("afterwards"):
                pass

    asyncio.run(run())
    assert len(runs) == 0
    assert the(traced, "ChatOpenAI").status.code is StatusCode.CANCELLED
    assert the(traced, "RunnableSequence").status.code is StatusCode.CANCELLED
    assert the(traced, "afterwards").parent_id == the(traced, "request").span_id


def test_a_call_that_is_closed_from_another_context_ends(traced, server):
    """As a generator of a web framework may be, whose client has gone."""
    import contextvars

    async def run():
        from tests.fakes.openai_server import Gate

        server.gate = Gate()
        coroutine = chat(server)._agenerate_with_cache([], run_manager=None)
        coroutine.close()

        async def ask():
            await chat(server).ainvoke("Hello")

        asking = ask()
        task = asyncio.get_running_loop().create_task(asking, context=contextvars.copy_context())
        await server.gate.reached.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert [span.end_time_ns is not None for span in spans(traced)] == [True, True]
