"""Steps of a workflow that wait for somebody: they stop by an exception that is no error, and are run again."""

from __future__ import annotations

from inspect import BoundArguments
from typing import Any

from autolog import semconv
from autolog.instrumentation import Call, Observer
from autolog_llama_index.pictures import events_in
from autolog_llama_index.step import Step


def observe_wait(call: Call) -> Observer:  # noqa: ARG001
    """Observe `Context.wait_for_event`, whose exception LlamaIndex catches before it tells of the step."""
    from autolog_llama_index.recorder import recorder

    try:
        yield
    except BaseException as error:
        step = recorder.step()
        if is_wait(error) and step is not None:
            _note(step.shown, error)
        raise


def is_wait(error: BaseException | None) -> bool:
    """Whether this is how a step says that it waits."""
    return type(error).__name__ == "WaitingForEvent"


def _note(step: Step, error: Any) -> None:
    span, add = step.span, error.add
    span.set_attribute(semconv.INTERRUPTED, True)
    details = {"event": add.event_type.__name__, "waiter_id": add.waiter_id, "value": add.waiter_event}
    span.add_event(semconv.INTERRUPT_EVENT, {name: value for name, value in details.items() if value is not None})
    run = step.parent
    if run is not None and run.kind.is_run:
        run.waiting = [*(run.waiting or ()), (step.event, span)]


def resume(step: Step, run: Step, bound: BoundArguments) -> None:
    """Link a step that is run again, for the event that it was run for, to the span that waited."""
    step.event = next(iter(events_in(bound.arguments).values()), None)
    for waited in run.waiting or ():
        event, span = waited
        if event is step.event and span.name == step.span.name:
            step.span.add_link(span.get_span_context(), {"autolog.link": "resumes"})
            run.waiting = [one for one in run.waiting or () if one is not waited]
            return
