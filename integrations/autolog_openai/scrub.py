"""Take out of requests and answers what must not be stored: credentials, and the end user where that is not wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autolog.redact import REDACTED, is_secret_name, remember_secret

Body = dict[str, Any]

# Where a request, and the answer that repeats it, may carry credentials of servers that the model calls.
_WITH_CREDENTIALS = ("tools", "data_sources", "dataSources", "tool_resources")
_CREDENTIALS = frozenset({"authorization", "authentication", "headers", "domain_secrets", "connection_string"})
# What a tool takes is described by the names that it has there: "headers" in it is a parameter.
_SCHEMAS = frozenset({"schema", "json_schema", "input_schema"})
_USER = ("safety_identifier", "user")


def without_credentials(body: Body) -> Body:
    """Return `body` with the credentials in it replaced."""
    found = [name for name in _WITH_CREDENTIALS if isinstance(body.get(name), (list, dict))]
    return {**body, **{name: _hide(body[name]) for name in found}} if found else body


def _hide(value: Any) -> Any:
    if isinstance(value, list):
        return [_hide(item) for item in value]
    if not isinstance(value, dict):
        return value
    is_function = value.get("type") == "function" or "function" in value or {"name", "parameters"} <= value.keys()
    return {
        key: REDACTED
        if _is_credential(key, item)
        else item
        if key in _SCHEMAS or (is_function and key in ("parameters", "function"))
        else _hide(item)
        for key, item in value.items()
    }


def _is_credential(key: str, value: Any) -> bool:
    return value is not None and (key in _CREDENTIALS or (isinstance(value, str) and is_secret_name(key)))


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
