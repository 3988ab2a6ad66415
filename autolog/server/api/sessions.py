"""Sessions: the conversations that traces belong to."""

from __future__ import annotations

from fastapi import APIRouter

from autolog.server.api.common import Asked, Json, Limit, PageToken, TheClient

router = APIRouter(tags=["sessions"])


@router.get("/sessions")
def list_sessions(
    client: TheClient,
    asked: Asked,
    page_token: PageToken = None,
    limit: Limit = 50,
) -> Json:
    """Return a page of the sessions with a trace that meets the filter, those first that were active last.

    The traces of one are those that `GET /traces?session=…` lists.
    """
    found = client.search_sessions(asked.filter, max_results=limit, page_token=page_token, **asked.conditions)
    return Json({"sessions": [session.to_dict() for session in found], "next_page_token": found.token})
