"""Observe what callbacks don't tell of chat models: which prompt of several is asked, and calls that are cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autolog import Status
from autolog.instrumentation import Call, Observer, only_if
from autolog_langchain.runs import Run, enter_model, leave_model, runs


def _run_of(call: Call) -> Run | None:
    return runs.get(getattr(call.kwargs.get("run_manager"), "run_id", None))


def _is_of_several(_args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    run = runs.get(getattr(kwargs.get("run_manager"), "run_id", None))
    return run is not None and run.batch is not None


@only_if(_is_of_several)
def observe_prompt(call: Call) -> Observer:
    """Observe `BaseChatModel._generate_with_cache`, which asks for one prompt of those that `generate` was given.

    LangChain starts a run for each, and if one fails, it ends that run only.
    """
    run = _run_of(call)
    if run is None or not run.batch:
        return
    token = enter_model(run)
    batch = run.batch
    try:
        yield
    except BaseException:
        own = call.kwargs["run_manager"].run_id
        for run_id in batch:
            if run_id != own:
                _cancel(run_id)
        raise
    finally:
        leave_model(token)


def observe_prompt_async(call: Call) -> Observer:
    """Observe its twin. A task that is cancelled here ends no run at all."""
    run = _run_of(call)
    if run is None:
        return
    token = enter_model(run)
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        run.span.record_failure(error)
        _cancel(call.kwargs["run_manager"].run_id)
        raise
    finally:
        leave_model(token)


def observe_prompts(call: Call) -> Observer:
    """Observe `BaseLLM._generate_helper` and its twin, which ask for all prompts at once.

    Of the runs that LangChain starts for them, the first one tells what was used. An async model's runs start in tasks
    of their own, and so does what they note of where they are.
    """
    managers = call.args[2] if len(call.args) > 2 else call.kwargs.get("run_managers")
    run = runs.get(managers[0].run_id) if managers else None
    if run is None:
        return
    token = enter_model(run)
    try:
        yield
    finally:
        leave_model(token)


def _cancel(run_id: object) -> None:
    run = runs.end(run_id)  # type: ignore[arg-type]
    if run is not None:
        if not run.span.status.is_error:
            run.span.set_status(Status.CANCELLED)
        run.span.end()
