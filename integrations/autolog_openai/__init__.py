"""Trace the OpenAI SDK, versions 1 to 3: every call that runs a model, uses tokens or retrieves."""

from __future__ import annotations

from typing import ClassVar

from autolog.instrumentation import Integration
from autolog.settings import from_environment
from autolog_openai.observe import observe_request, observe_response, observe_retry


class OpenAI(Integration):
    """Observe the two functions that all requests of the SDK go through, one sync and one async.

    They cover every endpoint, raw and streaming responses, Azure, subclasses, copied clients and resources that
    were cached before. `_process_response` shows the HTTP response before it is parsed, so that what was billed is
    known even where parsing fails; `_sleep_for_retry` shows retries.
    """

    name = "openai"
    requires = "openai>=1.3,<4"
    targets: ClassVar = {
        "openai._base_client:SyncAPIClient.request": observe_request,
        "openai._base_client:AsyncAPIClient.request": observe_request,
        "openai._base_client:SyncAPIClient._process_response": observe_response,
        "openai._base_client:AsyncAPIClient._process_response": observe_response,
        "openai._base_client:BaseClient._process_response": observe_response,  # of both, in the first versions
        "openai._base_client:SyncAPIClient._sleep_for_retry": observe_retry,
        "openai._base_client:AsyncAPIClient._sleep_for_retry": observe_retry,
    }
    defaults: ClassVar = {
        "capture_embeddings": False,
        "capture_user": True,
        "inject_stream_usage": False,
        "max_stream": 0,
        "propagate": False,
    }

    def __init__(self) -> None:
        super().__init__()
        settings = from_environment()
        self.options = {name: getattr(settings, name, default) for name, default in self.defaults.items()}
