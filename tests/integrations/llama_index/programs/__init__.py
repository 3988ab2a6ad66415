"""The programs of all topics, each with the traces that it gives."""

from __future__ import annotations

from tests.integrations.llama_index.programs import agents, chats, components, models, queries, workflows
from tests.integrations.llama_index.programs.program import PROGRAMS

__all__ = ["PROGRAMS", "agents", "chats", "components", "models", "queries", "workflows"]
