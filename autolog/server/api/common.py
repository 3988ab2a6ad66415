"""What all routes share: the client, what is asked of a store, and answers as JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Query
from fastapi import Path as Place
from starlette.requests import Request
from starlette.responses import Response

from autolog import capture
from autolog.client import Client
from autolog.errors import InvalidQuery
from autolog.model.span import Span
from autolog.model.trace import TraceInfo
from autolog.search.page import PagedList
from autolog.server.access import Access


class Json(Response):
    """An answer as JSON, encoded by what encodes traces everywhere else."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return capture.json_bytes(content)


def access_of(request: Request) -> Access:
    """Return what whoever asks may do."""
    found: Access = request.state.access
    return found


def client_of(request: Request) -> Client:
    """Return the client of the server's store, which sees no more of it than whoever asks may see."""
    found: Client = request.app.state.client
    experiment = access_of(request).experiment
    return found if experiment is None else found.of_experiment(experiment)


TheClient = Annotated[Client, Depends(client_of)]
TraceId = Annotated[str, Place(description="32 hex digits")]
PageToken = Annotated[str | None, Query(description="`next_page_token` of the page before")]
Limit = Annotated[int, Query(ge=1, le=1_000)]


def span_of(client: Client, place: str) -> Span:
    """Return the span that is named as its trace's id, a colon and its own."""
    trace_id, separator, span_id = place.partition(":")
    if not separator:
        raise InvalidQuery(f"{place[:80]!r}: a trace's id and a span's, with a colon between them")
    return client.get_span(trace_id, span_id)


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which traces are asked for: a filter, and what the page has controls of its own for."""

    filter: str | None
    conditions: dict[str, Any]
    """Those of `search_traces` that were given."""

    def infos(self, client: Client, **how: Any) -> PagedList[TraceInfo]:
        """Return a page of these traces."""
        how = {**self.conditions, **how, "include_spans": False, "return_type": "list"}
        found: Any = client.search_traces(self.filter, **how)
        infos: PagedList[TraceInfo] = found
        return infos


_Moment = Annotated[int | None, Query(description="Nanoseconds since the epoch")]


def _conditions(
    filter: Annotated[str | None, Query(description="Such as `status = 'ERROR' AND duration > 2s`")] = None,  # noqa: A002
    since: _Moment = None,
    until: _Moment = None,
    experiment: str | None = None,
    session: str | None = None,
    run: str | None = None,
) -> Conditions:
    given = {"since": since, "until": until, "experiment": experiment, "session": session, "run": run}
    # A form's empty field says nothing.
    return Conditions(filter or None, {name: value for name, value in given.items() if value not in (None, "")})


Asked = Annotated[Conditions, Depends(_conditions)]


def attachment(name: str) -> dict[str, str]:
    """Return the headers that make a browser save an answer as a file, whose name may have any letters."""
    plain = re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII)
    return {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"}
