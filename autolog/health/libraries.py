"""What is installed: Python, autolog, what it needs, and what it traces, tried out in a process of its own."""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from packaging.requirements import Requirement

import autolog
from autolog.health.finding import Finding, State
from autolog.instrumentation.registry import IntegrationStatus, registry

_DISTRIBUTION = "autolog-tracing"
_SECONDS = 120.0


def versions() -> Iterator[Finding]:
    """Tell the versions of Python, of autolog, and of each library that it uses where it is there."""
    yield Finding("versions", "python", f"{platform.python_version()} ({sys.executable})")
    yield Finding("versions", "autolog", autolog.__version__)
    extras: dict[str, list[str]] = {}
    needed: dict[str, Requirement] = {}
    for requirement in _requirements():
        needed.setdefault(requirement.name, requirement)
        extra = _extra(requirement)
        if extra != "all":
            extras.setdefault(requirement.name, []).append(extra)
    for name, requirement in needed.items():
        yield _library(requirement, [extra for extra in extras.get(name, ()) if extra])


def _requirements() -> Iterator[Requirement]:
    try:
        written = requires(_DISTRIBUTION) or []
    except PackageNotFoundError:  # run from its sources
        return
    for one in written:
        requirement = Requirement(one)
        if requirement.marker is None or requirement.marker.evaluate({"extra": _extra(requirement)}):
            yield requirement


def _extra(requirement: Requirement) -> str:
    """Return the extra that asks for it, or nothing where it is always needed."""
    written = str(requirement.marker or "").replace('"', "'")
    return written.partition("extra == '")[2].partition("'")[0]


def _library(requirement: Requirement, extras: list[str]) -> Finding:
    name = requirement.name + (f" [{', '.join(extras)}]" if extras else "")
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        if not extras:
            return Finding("versions", name, "not installed", State.PROBLEM, f"pip install '{requirement.name}'")
        return Finding("versions", name, "not installed", State.NOTE, f"pip install '{_DISTRIBUTION}[{extras[0]}]'")
    if not requirement.specifier.contains(found, prereleases=True):
        advice = f"pip install --upgrade '{requirement.name}{requirement.specifier}'"
        return Finding("versions", name, f"{found}, too old", State.PROBLEM, advice)
    return Finding("versions", name, found)


# --- what is traced --------------------------------------------------------------------------------------------


def integrations() -> Iterator[Finding]:
    """Tell of each library that can be traced whether it is there, in a version that is known, and lets itself be traced."""
    statuses = registry.status()
    running = {one.name: _start(one.name) for one in statuses if one.installed is not None}
    for one in statuses:
        yield _integration(one, running.get(one.name))


def _start(name: str) -> subprocess.Popen[str]:
    code = f"from autolog.health.libraries import try_out; try_out({name!r})"
    environment = {**os.environ, "AUTOLOG_TRACING": "", "AUTOLOG_STORE": "none:", "OTEL_SDK_DISABLED": "true"}
    return subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _integration(one: IntegrationStatus, trial: subprocess.Popen[str] | None) -> Finding:
    section = "integrations"
    if trial is None:
        return Finding(section, one.name, "not installed", State.NOTE, f"pip install '{one.requires}'")
    try:
        output, errors = trial.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        trial.kill()
        trial.communicate()
        return Finding(section, one.name, f"{one.installed}, took over {_SECONDS:.0f} s to import", State.PROBLEM)
    if trial.returncode != 0:
        last = (errors.strip().splitlines() or ["it ended without a word"])[-1]
        advice = f"it can't be imported or traced: {last}"
        return Finding(section, one.name, one.installed, State.PROBLEM, advice)
    told: dict[str, Any] = json.loads(output.splitlines()[-1])
    if not told["is_on"] or told["left"]:
        left = f"; {', '.join(told['left'])} was not put back" if told["left"] else ""
        advice = f"tracing it does not work with this version{left}; tested are {one.requires}"
        return Finding(section, one.name, one.installed, State.PROBLEM, advice)
    if not one.supported:
        return Finding(
            section, one.name, one.installed, State.NOTE, f"traced as well as may be; tested are {one.requires}"
        )
    places = f", {told['patched']} functions observed and put back" if told["patched"] else ""
    return Finding(section, one.name, f"{one.installed}, can be traced{places}")


def try_out(name: str) -> None:
    """Import the library, trace it and stop that; print as JSON what came of it. To be run in a process of its own."""
    from autolog.client import Client
    from autolog.guard import guarded

    guarded.reraise = True
    integration = registry._load(name)
    importlib.import_module(integration.module or integration.name)
    for path in integration.targets:
        _imported(path.partition(":")[0])
    before = {path: _target(path) for path in integration.targets}
    registry.turn_on(name, Client("none:").tracer, {}, asked=True)
    is_on = integration.is_installed
    patched = [path for path, original in before.items() if original is not None and _target(path) is not original]
    registry.turn_off(name)
    left = [path for path in patched if _target(path) is not before[path]]
    there = [path for path, original in before.items() if original is not None]
    told = {"is_on": is_on and len(patched) == len(there) and (bool(there) or not integration.targets)}
    sys.stdout.write("\n" + json.dumps({**told, "patched": len(patched), "left": left}) + "\n")


def _imported(module: str) -> None:
    try:
        importlib.import_module(module)
    except ImportError:
        return  # another version's


def _target(path: str) -> Any:
    """Return the function that `module:Class.name` names, as it stands in its class, or `None` where there is none."""
    module, _, names = path.partition(":")
    found: Any = sys.modules.get(module)
    for name in names.split("."):
        found = None if found is None else vars(found).get(name)
    return found
