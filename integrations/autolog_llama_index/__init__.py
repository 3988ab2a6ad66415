"""Trace LlamaIndex: every step of a query, a chat, an agent, a workflow, in one tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from autolog.context import add_source
from autolog.errors import InvalidSetting
from autolog.instrumentation import Integration
from autolog.settings import from_environment
from autolog.tracer import Tracer
from autolog_llama_index.indexing import observe_indexing
from autolog_llama_index.pictures import DESCRIPTIONS
from autolog_llama_index.waits import observe_wait

_DETAILS = ("normal", "full")


class LlamaIndex(Integration):
    """Observe LlamaIndex by its own instrumentation, which tells of every step.

    Two handlers are added to its root dispatcher, beside those of others. Nothing of LlamaIndex is imported that the
    program does not import.
    """

    name = "llama_index"
    requires = "llama-index-core>=0.13,<0.15"
    module = "llama_index_instrumentation"
    targets: ClassVar = {
        "llama_index.core.indices.base:BaseIndex.from_documents": observe_indexing,
        "workflows.context.context:Context.wait_for_event": observe_wait,
    }
    defaults: ClassVar = {"detail": "normal", "capture_embeddings": False, "capture_user": True}

    def __init__(self) -> None:
        super().__init__()
        settings = from_environment()
        known = ("capture_embeddings", "capture_user")
        self.options = {**self.defaults, **{name: getattr(settings, name) for name in known}}

    def configure(self, options: Mapping[str, Any]) -> None:
        """Set options; `detail` is `normal`, or `full` for spans of what is otherwise a part of the step around it."""
        if options.get("detail", "normal") not in _DETAILS:
            raise InvalidSetting(f"detail must be one of {', '.join(_DETAILS)}, not {options['detail']!r}")
        super().configure(options)
        if self.is_installed:
            self._share_options()

    def install(self, tracer: Tracer) -> None:
        """Take part in all that LlamaIndex does from now on."""
        from autolog_llama_index.handlers import add_handlers
        from autolog_llama_index.recorder import recorder

        super().install(tracer)
        for module, describe in DESCRIPTIONS.items():
            self.when_imported(module, describe)
        recorder.tracer = tracer
        self._share_options()
        add_handlers()
        add_source(recorder.running)

    def uninstall(self) -> None:
        """Take part in nothing new. What is going on still ends, and what waits to be read ends now."""
        was_installed = self.is_installed
        super().uninstall()
        if was_installed:
            from autolog_llama_index.recorder import recorder

            recorder.stop()

    def _share_options(self) -> None:
        from autolog_llama_index.recorder import recorder

        recorder.options, recorder.is_full = self.options, self.options["detail"] == "full"
