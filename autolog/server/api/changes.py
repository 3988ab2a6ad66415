"""News of the store."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header
from starlette.requests import Request
from starlette.responses import StreamingResponse

router = APIRouter(tags=["changes"])


@router.get("/changes", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
def changes(request: Request, last_event_id: Annotated[str | None, Header()] = None) -> StreamingResponse:
    """Send an event `change`, whose data is `{"version": n}`, whenever anything in the store changed, by any process."""
    events = request.app.state.changes.events(last_event_id)
    # X-Accel-Buffering: nginx would wait for more.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, headers=headers, media_type="text/event-stream")
