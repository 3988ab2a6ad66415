"""What an integration is: a library, the versions of it that are known, and what to observe in it."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from autolog.errors import InvalidSetting
from autolog.guard import guarded
from autolog.instrumentation.call import Call, Observer, Patch, wrapped_by
from autolog.instrumentation.subclasses import SubclassHook
from autolog.tracer import Tracer

logger = logging.getLogger("autolog")


class Integration:
    """Observe one library.

    The smallest complete one:

        class Jinja2(Integration):
            name = "jinja2"
            requires = "jinja2>=3,<4"
            targets = {"jinja2:Template.render": trace_render}

    `trace_render` is an observer, see `autolog.instrumentation.call`. Libraries with hooks of their own leave
    `targets` empty and override `install` and `uninstall`.
    """

    name: ClassVar[str]
    requires: ClassVar[str]
    """The distribution and the versions that are tested, as in a requirements file; empty for the standard library."""
    module: ClassVar[str] = ""
    """The module whose import means that the library is used; by default the name."""
    targets: ClassVar[Mapping[str, Callable[[Call], Observer]]] = {}
    """What to observe: `module:Class.method` and its observer. What a version lacks is skipped."""
    overrides: ClassVar[Mapping[str, Mapping[str, Callable[[Call], Observer]]]] = {}
    """What to observe wherever a subclass defines it: `module:Class`, and its methods with their observers."""
    defaults: ClassVar[Mapping[str, Any]] = {}
    """The options that `autolog.<name>.autolog(...)` takes, and their default values."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = dict(self.defaults)
        self.is_installed = False
        """Whether the library is observed now."""
        self._patches: list[Patch] = []
        self._hooks: dict[str, SubclassHook] = {}
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    def configure(self, options: Mapping[str, Any]) -> None:
        """Set options; raise `InvalidSetting` for one that there is not."""
        for name in options:
            if name not in self.defaults:
                known = ", ".join(sorted(self.defaults)) or "none"
                raise InvalidSetting(f"{self.name} has no option {name!r}; there are: {known}")
        # A new dict: calls that run keep the options that they began with.
        self.options = {**self.options, **options}

    def install(self, tracer: Tracer) -> None:
        """Observe every target, each from the import of its module on.

        Doing it twice is as doing it once, but for what others put in our place since.
        """
        self.is_installed = True
        self._waiting.clear()
        for path, observer in self.targets.items():
            self.when_imported(path.partition(":")[0], partial(self._observe_target, path, observer, tracer))
        for path, observers in self.overrides.items():
            self.when_imported(path.partition(":")[0], partial(self._observe_overrides, path, observers, tracer))

    def when_imported(self, module: str, action: Callable[[], None]) -> None:
        """Do `action` now where `module` is imported, else after its import, should this be installed still."""
        if module in sys.modules:
            action()
            return
        is_new = module not in self._waiting
        self._waiting.setdefault(module, []).append(action)
        if is_new:
            import wrapt

            wrapt.register_post_import_hook(lambda _: self._imported(module), module)

    def _imported(self, module: str) -> None:
        # An exception in here would make the user's import fail.
        with guarded:
            for action in self._waiting.pop(module, ()):
                action()

    def _observe_target(self, path: str, observer: Callable[[Call], Observer], tracer: Tracer) -> None:
        try:
            parent, attribute = _resolve(path)
        except (ImportError, AttributeError):
            logger.debug("%s: no %s in this version", self.name, path)
            return
        for place in [parent, *_bypasses(parent, attribute)]:
            self._patch(place, attribute, observer, tracer)

    def _observe_overrides(
        self, path: str, observers: Mapping[str, Callable[[Call], Observer]], tracer: Tracer
    ) -> None:
        def observe(subclass: type) -> None:
            for attribute in observers.keys() & vars(subclass).keys():
                self._patch(subclass, attribute, observers[attribute], tracer)

        try:
            parent, attribute = _resolve(path)
        except (ImportError, AttributeError):
            logger.debug("%s: no %s in this version", self.name, path)
            return
        base = vars(parent)[attribute]
        for subclass in _subclasses(base):
            observe(subclass)
        self._hooks.setdefault(path, SubclassHook(base)).lay(observe)

    def _patch(self, place: Any, attribute: str, observer: Callable[[Call], Observer], tracer: Tracer) -> None:
        laid = [patch for patch in self._patches if patch.fits(place, attribute)]
        if not laid:
            self._patches.append(Patch(place, attribute, observer, tracer, self._current_options))
        for patch in laid:
            patch.lay(tracer)

    def uninstall(self) -> None:
        """Put every original back. A patch that lies below another library's falls silent, and is woken by `install`."""
        self._waiting.clear()
        for hook in self._hooks.values():
            hook.remove()
        # Latest first: where one of ours lies on another of ours, it must go first.
        for patch in reversed(self._patches):
            patch.remove()
        self.is_installed = False

    def _current_options(self) -> Mapping[str, Any]:
        return self.options


def _bypasses(parent: Any, attribute: str) -> Iterator[type]:
    """Yield the subclasses where another library has wrapped the inherited function, past whatever we do to it."""
    inherited = vars(parent)[attribute]
    originals = {id(function) for function in wrapped_by(inherited)}
    for subclass in _subclasses(parent):
        own = vars(subclass).get(attribute)
        if own is not None and any(id(function) in originals for function in wrapped_by(own)):
            yield subclass


def _subclasses(parent: Any) -> list[type]:
    below: list[type] = parent.__subclasses__() if isinstance(parent, type) else []
    return [found for subclass in below for found in (subclass, *_subclasses(subclass))]


def _resolve(path: str) -> tuple[Any, str]:
    """Return the class or module that holds the last name of `module:Class.name`, and that name."""
    module, _, path = path.partition(":")
    parent: Any = importlib.import_module(module)
    *names, attribute = path.split(".")
    for name in names:
        parent = getattr(parent, name)
    if attribute not in vars(parent):
        raise AttributeError(attribute)
    return parent, attribute


def installed_version(requirement: str) -> str | None:
    """Return the installed version of the distribution that `requirement` names, or `None`.

    No requirement is the standard library's, whose version is Python's.
    """
    if not requirement:
        return ".".join(map(str, sys.version_info[:3]))
    from importlib.metadata import PackageNotFoundError, version

    from packaging.requirements import Requirement

    try:
        return version(Requirement(requirement).name)
    except PackageNotFoundError:
        return None


def is_supported(requirement: str, found: str) -> bool:
    """Whether version `found` is among those that `requirement` allows."""
    from packaging.requirements import Requirement

    return not requirement or Requirement(requirement).specifier.contains(found, prereleases=True)
