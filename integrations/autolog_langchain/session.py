"""Which session and user a run belongs to."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from autolog.model.trace import first_named
from autolog_langchain.runs import config_here

_SESSION = ("thread_id", "session_id", "conversation_id", "langfuse_session_id")
_USER = ("user_id", "langfuse_user_id")
_FRAMES = 10


def session_of(metadata: Mapping[str, Any]) -> str | None:
    """Return the session of a run that no other run encloses, which is LangGraph's thread as well.

    Since langchain-core 1.3 what is `configurable` is no part of a run's metadata.
    """
    found = first_named(metadata, _SESSION) if metadata else None
    if found is not None:
        return found
    config: Any = config_here()
    if config is None:
        config = _config_of_caller()
    configurable = None if config is None else config.get("configurable")
    return first_named(configurable, _SESSION) if configurable else None


def user_of(metadata: Mapping[str, Any]) -> str | None:
    """Return the end user of a run."""
    return first_named(metadata, _USER) if metadata else None


def _config_of_caller() -> Any:
    """Return the configuration of a run that has none around it: an argument of the function that starts it."""
    frame: Any = sys._getframe(5)
    for _ in range(_FRAMES):
        if frame is None:
            return None
        code = frame.f_code
        if "config" in code.co_varnames and "langchain_core" in code.co_filename:
            config = frame.f_locals.get("config")
            if isinstance(config, Mapping):
                return config
        frame = frame.f_back
    return None
