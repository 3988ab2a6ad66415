"""Take out of requests and answers what must not be stored: credentials, and the end user where that is not wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autolog import redact
from autolog.redact import is_secret_name, remember_secret

Body = dict[str, Any]

# Where a request, and the answer that repeats it, may carry credentials of servers that the model calls.
_WITH_CREDENTIALS = ("tools", "data_sources", "dataSources", "tool_resources")
_USER = ("safety_identifier", "user")


def without_credentials(body: Body) -> Body:
    """Return `body` with the credentials in it replaced."""
    found = [name for name in _WITH_CREDENTIALS if isinstance(body.get(name), (list, dict))]
    return {**body, **{name: redact.without_credentials(body[name]) for name in found}} if found else body


def take_user(body: Body) -> str | None:
    """Remove the end user from `body`; return who it is."""
    named = [body.pop(name, None) for name in _USER]
    return next((name for name in named if isinstance(name, str) and name), None)


def remember_secrets(headers: Any) -> None:
    """Note the credentials that a request was sent with: servers repeat them in their refusals."""
    for name, value in headers.items() if isinstance(headers, Mapping) else ():
        if is_secret_name(name):
            remember_secret(value)
            remember_secret(value.rpartition(" ")[2])
