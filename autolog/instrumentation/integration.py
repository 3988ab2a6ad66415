"""What an integration is: a library, the versions of it that are known, and what to observe in it."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from autolog.errors import InvalidSetting
from autolog.instrumentation.call import Call, Observer, Patch
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
    """The distribution and the versions that are tested, as in a requirements file."""
    module: ClassVar[str] = ""
    """The module whose import means that the library is used; by default the name."""
    targets: ClassVar[Mapping[str, Callable[[Call], Observer]]] = {}
    """What to observe: `module:Class.method` and its observer. What a version lacks is skipped."""
    defaults: ClassVar[Mapping[str, Any]] = {}
    """The options that `autolog.<name>.autolog(...)` takes, and their default values."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = dict(self.defaults)
        self._patches: list[Patch] = []
        self._silenced: list[Patch] = []

    def configure(self, options: Mapping[str, Any]) -> None:
        """Set options; raise `InvalidSetting` for one that there is not."""
        for name in options:
            if name not in self.defaults:
                known = ", ".join(sorted(self.defaults)) or "none"
                raise InvalidSetting(f"{self.name} has no option {name!r}; there are: {known}")
        # A new dict: calls that run keep the options that they began with.
        self.options = {**self.options, **options}

    @property
    def is_installed(self) -> bool:
        """Whether the library is observed now."""
        return bool(self._patches)

    def install(self, tracer: Tracer) -> None:
        """Observe every target. Doing it twice is as doing it once."""
        if self._patches:
            return
        # A patch that lies below another library's is woken rather than laid a second time.
        buried = [patch for patch in self._silenced if not patch.restore()]
        self._silenced = []
        for patch in buried:
            patch.tracer, patch.active = tracer, True
            self._patches.append(patch)
        if buried:
            return
        for path, observer in self.targets.items():
            module, _, name = path.partition(":")
            try:
                parent, attribute, original = _resolve(module, name)
            except (ImportError, AttributeError, KeyError):
                logger.debug("%s: no %s in this version", self.name, path)
                continue
            self._patches.append(Patch(parent, attribute, original, observer, tracer, self))

    def uninstall(self) -> None:
        """Put every original back."""
        for patch in reversed(self._patches):
            patch.remove()
            if not patch.restore():
                self._silenced.append(patch)
        self._patches = []


def _resolve(module: str, path: str) -> tuple[Any, str, Any]:
    """Return the class or module that holds the last name of `path`, that name, and what it holds now."""
    parent: Any = importlib.import_module(module)
    *names, attribute = path.split(".")
    for name in names:
        parent = getattr(parent, name)
    return parent, attribute, vars(parent)[attribute]


def installed_version(requirement: str) -> str | None:
    """Return the installed version of the distribution that `requirement` names, or `None`."""
    from importlib.metadata import PackageNotFoundError, version

    from packaging.requirements import Requirement

    try:
        return version(Requirement(requirement).name)
    except PackageNotFoundError:
        return None


def is_supported(requirement: str, found: str) -> bool:
    """Whether version `found` is among those that `requirement` allows."""
    from packaging.requirements import Requirement

    return Requirement(requirement).specifier.contains(found, prereleases=True)
