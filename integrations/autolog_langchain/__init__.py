"""Trace LangChain and LangGraph: every run of a chain, a graph, an agent, in one tree."""

from __future__ import annotations

from autolog.instrumentation import Integration


class LangChain(Integration):
    """Observe LangChain."""

    name = "langchain"
    requires = "langchain-core>=1,<2"
    module = "langchain_core"
