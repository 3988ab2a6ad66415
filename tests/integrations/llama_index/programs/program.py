"""The table of programs."""

from __future__ import annotations

from tests.programs import Programs

PROGRAMS = Programs()
gives = PROGRAMS.gives

OPENAI = ("llama-index-llms-openai",)
EMBEDDINGS = ("llama-index-embeddings-openai",)
