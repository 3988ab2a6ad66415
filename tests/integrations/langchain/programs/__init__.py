"""The programs of all topics; each module names in `gives` what its programs need."""

from __future__ import annotations

from tests.integrations.langchain.programs import chains, models, retrieval
from tests.integrations.langchain.programs.program import PROGRAMS, Outcome, Program, is_installed

__all__ = ["PROGRAMS", "Outcome", "Program", "chains", "is_installed", "models", "retrieval"]

if is_installed("langgraph>=1"):
    from tests.integrations.langchain.programs import graphs

    __all__ += ["graphs"]
if is_installed("langchain>=1"):
    from tests.integrations.langchain.programs import agents

    __all__ += ["agents"]
