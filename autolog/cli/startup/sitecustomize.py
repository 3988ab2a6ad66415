"""Python runs this file as it starts, where `autolog run` put its folder on the path: tracing goes on, whatever runs."""  # noqa: INP001

from __future__ import annotations

import importlib
import os
import sys

_FOLDER = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - nothing is imported that is not needed


def _run_the_one_below() -> None:
    """Run the `sitecustomize` that would have run without us."""
    sys.path[:] = [place for place in sys.path if place != _FOLDER]
    ours = sys.modules.pop("sitecustomize", None)
    try:
        importlib.import_module("sitecustomize")
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        if ours is not None:
            sys.modules.setdefault("sitecustomize", ours)


def _trace() -> None:
    """Turn tracing on; another Python, which a traced program may start, has no autolog and needs none."""
    try:
        from autolog.cli.started import begin
    except ImportError:
        return
    begin()


try:
    _run_the_one_below()
finally:
    _trace()
