"""Every program does the same traced or not, and gives the whole trees that stand beside it."""

from __future__ import annotations

import gc

import pytest

from autolog import autolog
from autolog_langchain.runs import runs
from tests.integrations.langchain.programs import PROGRAMS

each = pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)


@each
def test_a_program_gets_and_sends_the_same_traced_or_not(client, program):
    untraced = program.play()
    autolog()

    assert program.play() == untraced


@each
def test_a_program_gives_these_traces(traced, program):
    program.play()
    if len(runs):
        gc.collect()  # what LangChain leaves open at the end of an event loop ends when it is let go of

    assert program.gave(traced) == program.forest


def test_no_run_is_kept_once_the_program_has_let_go_of_it(traced):
    for program in PROGRAMS.values():
        program.play()
    gc.collect()

    kept = [run.span.name for _, run in (*runs._open.values(), *runs._ended.values())]
    assert kept == []
