"""Workflows: steps sync and async, failures, cancellation, timeouts, and people to ask."""

from __future__ import annotations

import asyncio

import pytest
from llama_index.core.workflow import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from workflows.errors import WorkflowCancelledByUser

from autolog import start_span
from tests.fakes.llama_index_models import HELLO, openai
from tests.integrations.llama_index.programs.program import OPENAI, gives
from tests.programs import ask, ask_async

NEW = ("llama-index-workflows>=2",)


class Counted(Event):
    count: int


class Counting(Workflow):
    @step
    async def count(self, event: StartEvent) -> Counted:
        return Counted(count=len(event.words))

    @step
    async def report(self, event: Counted) -> StopEvent:
        return StopEvent(result=f"{event.count} words")


@gives(
    """
    OK
    WORKFLOW Counting.run
      TASK Counting.count
      TASK Counting.report
    """,
)
async def workflow(server):
    return await Counting().run(words=["one", "two"])


@gives(
    """
    OK
    UNKNOWN request
      WORKFLOW Counting.run
        TASK Counting.count
        TASK Counting.report
      UNKNOWN afterwards
    """,
)
async def workflow_inside_of_a_span(server):
    with start_span("request"):
        result = await Counting().run(words=["one"])
        with start_span("afterwards"):
            return result


@gives(
    """
    OK
    WORKFLOW Counting.run
      TASK Counting.count
      TASK Counting.report

    OK
    WORKFLOW Counting.run
      TASK Counting.count
      TASK Counting.report
    """,
)
async def two_workflows_after_each_other(server):
    return await Counting().run(words=["one"]), await Counting().run(words=[])


@gives(
    """
    OK
    WORKFLOW Counting.run
      TASK Counting.count
      TASK Counting.report

    OK
    WORKFLOW Counting.run
      TASK Counting.count
      TASK Counting.report
    """,
    is_parallel=True,
)
async def two_workflows_at_once(server):
    return await asyncio.gather(Counting().run(words=["one"]), Counting().run(words=[]))


@gives(
    """
    OK
    WORKFLOW Counting.run
      TASK Counting.count
      TASK Counting.report
    """,
)
async def workflow_whose_events_are_read(server):
    handler = Counting().run(words=["one"])
    seen = [type(event).__name__ async for event in handler.stream_events()]
    return seen, await handler


class Calling(Workflow):
    server = None

    @step
    async def call(self, event: StartEvent) -> StopEvent:
        with start_span("inside"):
            first = await openai(self.server).achat(HELLO)
        return StopEvent(result=(str(first), await ask_async(self.server)))


@gives(
    """
    OK 22>14
    WORKFLOW Calling.run
      TASK Calling.call
        UNKNOWN inside
          CHAT_MODEL OpenAI.achat 11>7
            CHAT_MODEL chat gpt-4o 11>7 (duplicate)
        CHAT_MODEL chat gpt-4o 11>7
    """,
    needs=OPENAI,
)
async def workflow_whose_step_calls_models(server):
    workflow = Calling()
    workflow.server = server
    return await workflow.run()


class Threaded(Workflow):
    server = None

    @step
    def call(self, event: StartEvent) -> StopEvent:
        with start_span("inside"):
            return StopEvent(result=ask(self.server))


@gives(
    """
    OK 11>7
    WORKFLOW Threaded.run
      TASK Threaded.call
        UNKNOWN inside
          CHAT_MODEL chat gpt-4o 11>7
    """,
    needs=NEW,
)
async def workflow_whose_step_runs_in_a_thread(server):
    workflow = Threaded()
    workflow.server = server
    return await workflow.run()


class Failing(Workflow):
    @step
    async def fail(self, event: StartEvent) -> StopEvent:
        raise ValueError("bad")


@gives(
    """
    ERROR
    WORKFLOW Failing.run ERROR ValueError
      TASK Failing.fail ERROR ValueError
    """,
    needs=NEW,
)
async def workflow_whose_step_fails(server):
    with pytest.raises(ValueError, match="bad"):
        await Failing().run()


class Waiting(Workflow):
    @step
    async def wait(self, event: StartEvent) -> StopEvent:
        await asyncio.sleep(60)
        return StopEvent()


@gives(
    """
    CANCELLED
    WORKFLOW Waiting.run CANCELLED
      TASK Waiting.wait CANCELLED
    """,
)
async def workflow_cancelled(server):
    handler = Waiting().run()
    await asyncio.sleep(0.05)
    await handler.cancel_run()
    with pytest.raises(WorkflowCancelledByUser):
        await handler


@gives(
    """
    ERROR
    WORKFLOW Waiting.run ERROR WorkflowTimeoutError
      TASK Waiting.wait CANCELLED
    """,
    needs=NEW,
)
async def workflow_timed_out(server):
    with pytest.raises(Exception, match="timed out"):
        await Waiting(timeout=0.05).run()


class Asking(Workflow):
    @step
    async def ask(self, ctx: Context, event: StartEvent) -> StopEvent:
        question = InputRequiredEvent(prefix="Sure?")
        answer = await ctx.wait_for_event(HumanResponseEvent, waiter_event=question, waiter_id="sure")
        return StopEvent(result=answer.response)


@gives(
    """
    OK
    WORKFLOW Asking.run
      TASK Asking.ask
      TASK Asking.ask
    """,
    needs=NEW,
)
async def workflow_that_asks_somebody(server):
    handler = Asking().run()
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            handler.ctx.send_event(HumanResponseEvent(response="yes"))
    return await handler


class Outer(Workflow):
    @step
    async def nest(self, event: StartEvent) -> StopEvent:
        return StopEvent(result=await Counting().run(words=["one"]))


@gives(
    """
    OK
    WORKFLOW Outer.run
      TASK Outer.nest
        WORKFLOW Counting.run
          TASK Counting.count
          TASK Counting.report
    """,
)
async def workflow_inside_of_a_workflow(server):
    return await Outer().run()
