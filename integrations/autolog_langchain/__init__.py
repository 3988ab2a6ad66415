"""Trace LangChain and LangGraph: every run of a chain, a graph, an agent, in one tree."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

from autolog.context import add_source, remove_source
from autolog.instrumentation import Integration
from autolog.settings import from_environment
from autolog.tracer import Tracer
from autolog_langchain import models, retrieval
from autolog_langchain.messages import DESCRIPTIONS
from autolog_langchain.runs import enclosing_run, running_model, running_node, running_retriever

# From Python 3.11 on, the code of a graph's node has a context that names its run.
_STEPS = (enclosing_run, running_retriever, *((running_node,) if sys.version_info < (3, 11) else ()))


class LangChain(Integration):
    """Observe LangChain by its own callbacks, and by patches where it has none.

    A hook that LangChain asks for handlers brings ours into every run, in whichever thread, and leaves everything that
    the program configures as it is. Nothing of LangChain is imported that the program does not import.
    """

    name = "langchain"
    requires = "langchain-core>=1,<2"
    module = "langchain_core"
    targets: ClassVar = {
        "langchain_core.language_models.chat_models:BaseChatModel._generate_with_cache": models.observe_prompt,
        "langchain_core.language_models.chat_models:BaseChatModel._agenerate_with_cache": models.observe_prompt_async,
        "langchain_core.language_models.llms:BaseLLM._generate_helper": models.observe_prompts,
        "langchain_core.language_models.llms:BaseLLM._agenerate_helper": models.observe_prompts,
    }
    overrides: ClassVar = {
        "langchain_core.embeddings.embeddings:Embeddings": retrieval.EMBEDDINGS,
        "langchain_core.vectorstores.base:VectorStore": retrieval.VECTOR_STORES,
    }
    defaults: ClassVar = {"capture_embeddings": False, "capture_user": True}

    def __init__(self) -> None:
        super().__init__()
        settings = from_environment()
        self.options = {name: getattr(settings, name) for name in self.defaults}
        self._handler: Any = None

    def install(self, tracer: Tracer) -> None:
        """Take part in every run from now on."""
        super().install(tracer)
        for module, describe in DESCRIPTIONS.items():
            self.when_imported(module, describe)
        self.when_imported("langchain_core.tracers.context", lambda: self._hook(tracer))
        for source in _STEPS:
            add_source(source)
        add_source(running_model, of_leaves=True)

    def uninstall(self) -> None:
        """Take part in no new run; those that are going on still end."""
        super().uninstall()
        if self._handler is not None:
            self._handler.unhook()
        for source in (*_STEPS, running_model):
            remove_source(source)

    def _hook(self, tracer: Tracer) -> None:
        from autolog_langchain.handler import Handler

        if self._handler is None:
            self._handler = Handler(self._current_options)
        self._handler.hook(tracer)
        self.when_imported("langgraph._internal._runnable", self._handler.pass_for_tracer)
