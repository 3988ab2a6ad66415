"""Spans that programs send whose store is this server, in autolog's own form."""

from __future__ import annotations

from fastapi import APIRouter

from autolog import wire
from autolog.server.api.common import Json
from autolog.server.bodies import TheBody
from autolog.server.ingest import TheIngest

router = APIRouter(tags=["spans"])


@router.post(
    "/spans",
    response_class=Json,
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "Spans as `autolog.wire` has them, plain or with `Content-Encoding: zstd` or `gzip`",
            "content": {wire.MEDIA_TYPE: {"schema": {"type": "object"}}},
        }
    },
)
def take_spans(ingest: TheIngest, body: TheBody) -> Json:
    """Store spans; answer once they are stored. Sending the same ones again changes nothing."""
    spans = wire.decode(body.expanded())
    ingest.keep(spans)
    return Json({"stored": len(spans)})
