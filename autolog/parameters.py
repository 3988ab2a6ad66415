"""The parameters of a function, laid out so that the arguments of a call get their names fast."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from autolog.guard import attempt


class Parameters:
    """The parameters of one function."""

    __slots__ = (
        "_defaults", "_fewest", "_filling", "_keyword_only", "_most", "_names", "_positional_only", "_skipped", "_star",
        "_stars",
    )  # fmt: skip

    def __init__(self, func: Any) -> None:
        signature = attempt(_signature, func, default=None)
        # A function that tells of no parameters, as some of those in C, takes whatever comes.
        unknown = inspect.Signature([_ANY_ARGS, _ANY_KWARGS])
        parameters = list((signature or unknown).parameters.values())
        first = parameters[0] if parameters else None
        self._skipped = first is not None and first.name in ("self", "cls") and first.kind in _POSITIONAL
        if self._skipped:
            del parameters[0]
        self._names = tuple(p.name for p in parameters if p.kind in _POSITIONAL)
        self._positional_only = frozenset(p.name for p in parameters if p.kind is p.POSITIONAL_ONLY)
        self._keyword_only = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        self._star = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
        self._stars = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None)
        self._defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        # Most calls give arguments by their places alone; what they leave out is at the end of the filling.
        self._filling = tuple(self._defaults.get(name) for name in self._names)
        is_plain = not (self._keyword_only or self._star or self._stars)
        self._most = len(self._names) if is_plain else -1
        self._fewest = sum(name not in self._defaults for name in self._names)

    def bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call by name, defaults included, without `self` or `cls`.

        What does not fit the parameters is returned as it came: the function itself says what is wrong with it.
        """
        if self._skipped:
            args = args[1:]
        if not kwargs and self._fewest <= len(args) <= self._most:
            if len(args) != self._most:
                args += self._filling[len(args) :]
            return dict(zip(self._names, args))  # noqa: B905 - as long as each other, on the path of every call
        fitting = self._fitted(args, kwargs)
        return {"args": list(args), "kwargs": kwargs} if fitting is None else fitting

    def _fitted(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
        names = self._names
        bound = dict(zip(names, args, strict=False))
        left = dict(kwargs)
        for name in names[len(args) :]:
            if not self._take(name, left, bound):
                return None
        if self._star is not None:
            bound[self._star] = list(args[len(names) :])
        elif len(args) > len(names):
            return None
        for name in self._keyword_only:
            if not self._take(name, left, bound):
                return None
        if left and (self._stars is None or not self._positional_only.issuperset(left.keys() & bound.keys())):
            return None
        if self._stars is not None:
            bound[self._stars] = left
        return bound

    def _take(self, name: str, given: dict[str, Any], bound: dict[str, Any]) -> bool:
        if name in given and name not in self._positional_only:
            bound[name] = given.pop(name)
        elif name in self._defaults:
            bound[name] = self._defaults[name]
        else:
            return False
        return True


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_ANY_ARGS = inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)
_ANY_KWARGS = inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)


def _signature(func: Any) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        # Annotations are evaluated when they are read, and may name what is imported for type checkers only.
        return inspect.signature(func, annotation_format=Format.FORWARDREF)
    return inspect.signature(func)
