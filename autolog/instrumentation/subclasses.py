"""Learn of the subclasses of a class as the program defines them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autolog.guard import guarded

_HOOK = "__init_subclass__"


class SubclassHook:
    """Tells of each subclass of `base`, right after its definition, while it is laid."""

    def __init__(self, base: type) -> None:
        self._base = base
        self._tell: Callable[[type], None] | None = None
        self._before = vars(base).get(_HOOK)

        def init_subclass(subclass: type, /, **details: Any) -> None:
            self._defined(subclass, details)

        self._ours: Any = classmethod(init_subclass)

    def lay(self, tell: Callable[[type], None]) -> None:
        """Tell of subclasses from now on."""
        self._tell = tell
        setattr(self._base, _HOOK, self._ours)

    def remove(self) -> None:
        """Tell no more, and leave the class as it was."""
        self._tell = None
        if vars(self._base).get(_HOOK) is not self._ours:
            return
        if self._before is None:
            delattr(self._base, _HOOK)
        else:
            setattr(self._base, _HOOK, self._before)

    def _defined(self, subclass: type, details: dict[str, Any]) -> None:
        if self._before is None:
            above: Any = super(self._base, subclass)
            above.__init_subclass__(**details)
        else:
            self._before.__get__(None, subclass)(**details)
        with guarded:
            if self._tell is not None:
                self._tell(subclass)
