"""Where OpenTelemetry's exporters send traces by HTTP, in protobuf or JSON: `/v1/traces`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated

import orjson
from fastapi import APIRouter, Header
from starlette.requests import Request
from starlette.responses import Response

from autolog.errors import AutologError, InvalidTrace, NotAllowed, StoreError, Unavailable
from autolog.otel.received import Received, Sent, of_json, of_protobuf, received
from autolog.server.api.common import TheClient
from autolog.server.bodies import BodyError, TheBody
from autolog.server.ingest import TheIngest

router = APIRouter(tags=["otlp"])

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_READERS: Mapping[str, Callable[[bytes], Iterable[Sent]]] = {PROTOBUF: of_protobuf, JSON: of_json}
_LONGEST = 1_000
_RETRY_AFTER = {"Retry-After": "2"}
# Of google.rpc.Code.
_STATUSES: Mapping[type[AutologError], tuple[int, int]] = {
    InvalidTrace: (400, 3),
    NotAllowed: (403, 7),
    Unavailable: (501, 12),
    StoreError: (503, 14),
}


@router.post(
    "/v1/traces",
    summary="Take spans by OTLP",
    response_class=Response,
    responses={200: {"description": "`ExportTraceServiceResponse`, in the form of the request"}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "`ExportTraceServiceRequest`, plain or with `Content-Encoding: gzip`",
            "content": {
                PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
                JSON: {"schema": {"type": "object"}},
            },
        }
    },
)
def export(
    request: Request,
    client: TheClient,
    ingest: TheIngest,
    body: TheBody,
    experiment: Annotated[str | None, Header(alias="x-autolog-experiment")] = None,
) -> Response:
    """Store spans; answer once they are stored, and say which could not be."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _READERS:
        return _failure(415, 3, f"OTLP comes as {PROTOBUF} or {JSON}, not as {media_type[:60]!r}", JSON)
    try:
        sent = _READERS[media_type](body.expanded())
        found = received(sent, experiment=experiment, capture_user=client.settings.capture_user)
        ingest.take(found.spans)
    except BodyError as error:
        return _failure(error.status, 3, str(error), media_type)
    except (InvalidTrace, NotAllowed, Unavailable, StoreError) as error:
        status, code = _STATUSES[type(error)]
        return _failure(status, code, str(error), media_type)
    return Response(_ANSWERS[media_type](found), media_type=media_type)


def _failure(status: int, code: int, message: str, media_type: str) -> Response:
    """Answer with a `google.rpc.Status`, as OTLP has it."""
    message = message[:_LONGEST]
    if media_type == PROTOBUF:
        content = _number(1, code) + _text(2, message)
    else:
        content = orjson.dumps({"code": code, "message": message})
    return Response(content, status, _RETRY_AFTER if status == 503 else None, media_type)


# These messages have two fields each, which protobuf spells in a few bytes.


def _answer(found: Received) -> bytes:
    if not found.complaint:
        return b""
    said = _number(1, found.rejected) + _text(2, found.complaint[:_LONGEST])
    return b"\x0a" + _varint(len(said)) + said


def _json_answer(found: Received) -> bytes:
    if not found.complaint:
        return b"{}"
    # As in all of protobuf's JSON, an integer of 64 bits is a text.
    told = {"rejectedSpans": str(found.rejected), "errorMessage": found.complaint[:_LONGEST]}
    return orjson.dumps({"partialSuccess": told})


_ANSWERS: Mapping[str, Callable[[Received], bytes]] = {PROTOBUF: _answer, JSON: _json_answer}


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _varint(value)


def _text(field: int, value: str) -> bytes:
    encoded = value.encode("utf-8", "replace")
    return bytes([field << 3 | 2]) + _varint(len(encoded)) + encoded


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
