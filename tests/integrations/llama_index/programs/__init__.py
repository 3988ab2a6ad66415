"""The programs of all topics, each with the traces that it gives."""

from __future__ import annotations

from tests.integrations.llama_index.programs import chats, components, models, queries, workflows
from tests.integrations.llama_index.programs.program import PROGRAMS
from tests.programs import is_installed

__all__ = ["PROGRAMS", "chats", "components", "models", "queries", "workflows"]

if is_installed("llama-index-llms-openai"):
    from tests.integrations.llama_index.programs import agents

    __all__ += ["agents"]
