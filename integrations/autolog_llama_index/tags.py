"""Take what the program says of a run by `instrument_tags`: whose it is, and anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autolog import semconv
from autolog.model.trace import first_named
from autolog_llama_index.step import Step

_SESSION = ("session_id", "thread_id", "conversation_id")
_USER = ("user_id",)
# Of LlamaIndex's own: which run this is. The others repeat what goes in and out.
_OWN = "llamaindex."
_RUN = "llamaindex.run_id"


def take(step: Step, told: Mapping[str, Any]) -> None:
    """Write the tags into a step's span, and the session and the user into its trace."""
    if not told:
        return
    span = step.span
    tags = {name: value for name, value in told.items() if not name.startswith(_OWN)}
    if tags:
        span.set_attribute(semconv.METADATA, tags)
    if step.kind.is_run:
        span.set_attribute(_RUN, told.get(_RUN))
    trace = span.trace_context
    if trace is None:
        return
    if trace.session is None:
        trace.session = first_named(tags, _SESSION)
    if trace.user is None and step.options["capture_user"]:
        trace.user = first_named(tags, _USER)
