"""Every program does the same traced or not, and gives the whole trees that stand beside it."""

from __future__ import annotations

import gc

import pytest

from autolog import autolog
from autolog.instrumentation import generators
from autolog_llama_index.recorder import recorder
from tests.integrations.llama_index.programs import PROGRAMS

each = pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)


@each
def test_a_program_gets_and_sends_the_same_traced_or_not(client, program):
    untraced = program.play()
    autolog()

    assert program.play() == untraced


@each
def test_a_program_gives_these_traces(traced, program):
    if program.forest is None:
        pytest.skip("this version of LlamaIndex goes another way")
    program.play()

    assert program.gave(traced) == program.forest


@each
def test_a_program_leaves_nothing_behind(traced, program):
    program.play()
    gc.collect()

    assert (len(recorder), generators._adopted) == (0, {})
