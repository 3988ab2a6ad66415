"""What is set, and by whom; and whether what it names can be reached."""

from __future__ import annotations

import difflib
import json
import os
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from autolog.errors import InvalidSetting
from autolog.health.finding import Finding, State
from autolog.otel.target import MISSING, is_installed, target_of_environment
from autolog.redact import redact_keys
from autolog.settings import PREFIX, Settings, from_environment

_SECONDS = 3.0
_SECRET = ("TOKEN", "KEY", "PASSWORD", "SECRET", "HEADERS")
# Variables that are no settings of a program.
_OTHERS = ("AUTOLOG_RUN_LABELS", "AUTOLOG_RUN_TELLS", "AUTOLOG_SCREENSHOTS")


def settings(environment: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Tell every setting that is not as by default, and what in the environment can't be used."""
    environment = os.environ if environment is None else environment
    used, default = from_environment(environment), Settings()
    known = {PREFIX + field.name.upper(): field.name for field in fields(Settings)}
    for variable, name in known.items():
        written = environment.get(variable)
        if not written:
            continue
        value = getattr(used, name)
        if value == getattr(default, name) and not _can_be(name, written):
            advice = f"{variable}={_hidden(variable, written)} can't be used and is ignored; see docs/settings.md"
            yield Finding("settings", name, f"{value} by default", State.PROBLEM, advice)
        else:
            yield Finding("settings", name, f"{_hidden(variable, str(value))} by {variable}")
    for variable in sorted(environment):
        if variable.startswith(PREFIX) and variable not in known and variable not in _OTHERS:
            close = difflib.get_close_matches(variable, known, 1)
            meant = f"; did you mean {close[0]}?" if close else ""
            advice = f"there is no setting of this name{meant}"
            yield Finding("settings", variable, _hidden(variable, environment[variable]), State.NOTE, advice)
    same = sum(1 for variable in known if not environment.get(variable))
    yield Finding("settings", "all others", f"{same} by default")


def _can_be(name: str, written: str) -> bool:
    from autolog.settings import _parse

    try:
        _parse(name, written)
    except (InvalidSetting, ValueError):
        return False
    return True


def _hidden(variable: str, value: str) -> str:
    return "set, not shown" if any(word in variable for word in _SECRET) else redact_keys(value)


# --- elsewhere -----------------------------------------------------------------------------------------------


def otlp() -> Iterator[Finding]:
    """Tell where spans are sent too, and whether somebody listens there."""
    used = from_environment()
    chosen = target_of_environment(used.otlp_endpoint, used.otlp_protocol, used.otlp_conventions)
    if chosen is None:
        yield Finding("elsewhere", "otlp", "nowhere")
    elif not is_installed():
        yield Finding("elsewhere", "otlp", chosen.place, State.PROBLEM, MISSING)
    else:
        error = _unreachable(chosen.place)
        if error is None:
            yield Finding("elsewhere", "otlp", f"{chosen.place} by {chosen.protocol}, reachable")
        else:
            advice = f"nobody listens there ({error}); spans wait for it in memory, and are dropped when that is full"
            yield Finding("elsewhere", "otlp", f"{chosen.place} by {chosen.protocol}", State.PROBLEM, advice)


def _unreachable(place: str) -> str | None:
    url = urllib.parse.urlsplit(place if "//" in place else f"//{place}")
    try:
        port = url.port or {"https": 443, "http": 80}.get(url.scheme, 4317)
        with socket.create_connection((url.hostname or "localhost", port), _SECONDS):
            return None
    except (OSError, ValueError) as error:
        return str(error)


def server(address: str) -> Iterator[Finding]:
    """Tell whether the server answers that traces are sent to."""
    shown = redact_keys(address)
    token = from_environment().token
    request = urllib.request.Request(  # noqa: S310 - the address is the user's
        address.rstrip("/") + "/api/health", headers={"Authorization": f"Bearer {token}"} if token else {}
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            told: Any = json.loads(answer.read(100_000))
        if "version" in told:
            yield Finding("store", "server", f"{shown}, autolog {told['version']} over {told.get('store')}")
        else:
            advice = "it answers, and lets nobody look without a token: AUTOLOG_TOKEN"
            yield Finding("store", "server", shown, State.NOTE, advice)
    except urllib.error.HTTPError as error:
        with error:
            advice = f"it answers {error.code}; is this an autolog server, and is the token right?"
        yield Finding("store", "server", shown, State.PROBLEM, advice)
    except (OSError, ValueError, TypeError) as error:
        advice = f"it does not answer ({error}); start one there with: autolog ui --host 0.0.0.0"
        yield Finding("store", "server", shown, State.PROBLEM, advice)
