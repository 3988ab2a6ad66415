"""Find out whether an installation is well: what is installed, what can be traced, what is set, and the store."""

from __future__ import annotations

from autolog.health import environment, libraries
from autolog.health import store as stores
from autolog.health.finding import Finding, State
from autolog.settings import from_environment

__all__ = ["Finding", "State", "examine"]


def examine(store: str | None = None) -> list[Finding]:
    """Return what there is to know of this installation and of the store, which is the environment's by default.

    Libraries are tried out in processes of their own: nothing is patched in this one.
    """
    address = store or from_environment().store
    return [
        *libraries.versions(),
        *libraries.integrations(),
        *environment.settings(),
        *stores.store(address),
        *environment.otlp(),
    ]
