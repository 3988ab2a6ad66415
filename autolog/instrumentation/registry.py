"""Which integrations there are, and which are on. Holds names only, so that nothing is imported before it is used."""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from autolog.errors import Unavailable, UnknownIntegration
from autolog.guard import guarded
from autolog.instrumentation.integration import Integration, installed_version, is_supported
from autolog.tracer import Tracer

logger = logging.getLogger("autolog")

# The integrations in this distribution: name, where it lives, the module it waits for, the versions it knows.
# Others register the same class under the entry point group below.
BUNDLED: Mapping[str, str] = {
    "langchain": "autolog_langchain:LangChain",
    "llama_index": "autolog_llama_index:LlamaIndex",
    "openai": "autolog_openai:OpenAI",
    "threads": "autolog_threads:Threads",
}
GROUP = "autolog.integrations"


@dataclass(frozen=True, slots=True)
class IntegrationStatus:
    """What `autolog.integrations()` tells of one library."""

    name: str
    requires: str
    """The distribution and the versions that are tested; empty for the standard library."""
    installed: str | None
    """The installed version, Python's own for the standard library, or `None`."""
    supported: bool
    """Whether that version is one that is tested; others are traced as well as may be."""
    on: bool
    """Whether `autolog()` is on for it; it is observed from its import on."""


class Registry:
    """Turns integrations on and off; safe to call from any thread, any number of times."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._loaded: dict[str, Integration] = {}
        self._on: dict[str, Tracer] = {}
        self._hooked: set[str] = set()
        self._warned: set[str] = set()

    def names(self) -> tuple[str, ...]:
        """Return the names of all integrations, bundled and third-party."""
        return tuple(sorted(_places()))

    def check(self, names: Collection[str]) -> None:
        """Raise `UnknownIntegration` for a name that there is not."""
        known = self.names()
        for name in names:
            if name not in known:
                raise UnknownIntegration(f"no integration {name!r}; there are: {', '.join(known)}")

    def turn_on(self, name: str, tracer: Tracer, options: Mapping[str, Any], *, asked: bool) -> None:
        """Observe the library from now on, or from its import on.

        Raises `Unavailable` where it is not installed and the user `asked` for it by name.
        """
        with self._lock:
            integration = self._load(name)
            integration.configure(options)
            if asked and installed_version(integration.requires) is None and _module(integration) not in sys.modules:
                raise Unavailable(
                    f"{name} can't be traced: it is not installed. Run: pip install '{integration.requires}'"
                )
            self._on[name] = tracer
            is_hooked = name in self._hooked
            self._hooked.add(name)
        if not is_hooked:
            import wrapt

            # Runs the hook at once where the library is imported already.
            wrapt.register_post_import_hook(lambda _: self._imported(name), _module(integration))
        elif _module(integration) in sys.modules:
            self._imported(name)

    def turn_off(self, name: str) -> None:
        """Observe the library no more, and put its own functions back."""
        with self._lock:
            self._on.pop(name, None)
            if name in self._loaded:
                self._loaded[name].uninstall()

    def is_on(self, name: str) -> bool:
        """Whether the library is observed, or will be from its import on."""
        return name in self._on

    def status(self) -> list[IntegrationStatus]:
        """Tell what is installed, supported and on."""
        with self._lock:
            found = []
            for name in self.names():
                integration = self._load(name)
                version = installed_version(integration.requires)
                supported = version is not None and is_supported(integration.requires, version)
                found.append(IntegrationStatus(name, integration.requires, version, supported, name in self._on))
            return found

    def _imported(self, name: str) -> None:
        # An exception in here would make the user's import fail.
        with guarded, self._lock:
            tracer = self._on.get(name)
            if tracer is not None:
                integration = self._load(name)
                self._warn_of_version(integration)
                integration.install(tracer)

    def _warn_of_version(self, integration: Integration) -> None:
        found = installed_version(integration.requires)
        if found is None or integration.name in self._warned or is_supported(integration.requires, found):
            return
        self._warned.add(integration.name)
        logger.warning(
            "%s %s is not a version that autolog was tested with (%s); it is traced as well as may be",
            integration.name,
            found,
            integration.requires,
        )

    def _load(self, name: str) -> Integration:
        if name not in self._loaded:
            module, _, kind = _places()[name].partition(":")
            self._loaded[name] = getattr(importlib.import_module(module), kind)()
        return self._loaded[name]


def _module(integration: Integration) -> str:
    return integration.module or integration.name


_found: dict[str, str] | None = None


def _places() -> dict[str, str]:
    global _found
    if _found is None:
        from importlib.metadata import entry_points

        _found = {point.name: point.value for point in entry_points(group=GROUP)} | dict(BUNDLED)
    return _found


registry = Registry()
