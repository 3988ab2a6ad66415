"""The table of programs."""

from __future__ import annotations

from tests.programs import Programs

PROGRAMS = Programs()
gives = PROGRAMS.gives

OPENAI = ("llama-index-llms-openai",)
LATER = "llama-index-core>=0.14"
"""Before, LlamaIndex itself works otherwise: chats that are streamed from a context, structured answers."""
LAZY = "llama-index-core>=0.14.25"
"""Before, LlamaIndex asks the model before anybody reads, and in some releases reads the whole answer then."""
EMBEDDINGS = ("llama-index-embeddings-openai",)
