"""What programs ask whose store is this server: each method of a store, as `autolog.stores.remote.calls` has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from fastapi import APIRouter

from autolog.errors import InvalidQuery, NotAllowed, NotFound
from autolog.server.api.common import Json, TheClient
from autolog.server.bodies import TheBody
from autolog.stores.remote.calls import call_of, names
from autolog.texts import Leaf, rewritten

router = APIRouter(tags=["store"])


def _rewritten_assessments(values: list[Any], leaf: Leaf) -> list[Any]:
    return [values[0], [assessment.rewritten(leaf) for assessment in values[1]]]


def _rewritten_dataset(values: list[Any], leaf: Leaf) -> list[Any]:
    return [values[0].rewritten(leaf)]


def _rewritten_records(values: list[Any], leaf: Leaf) -> list[Any]:
    return [values[0], [record.rewritten(leaf) for record in values[1]]]


# What brings texts that do not come by a span: the server's settings hold for them too.
_REWRITTEN: Mapping[str, Callable[[list[Any], Leaf], list[Any]]] = {
    "set_tags": lambda values, leaf: [values[0], rewritten(values[1], leaf)],
    "put_assessments": _rewritten_assessments,
    "put_dataset": _rewritten_dataset,
    "merge_records": _rewritten_records,
}


@router.post(
    "/store/{method}",
    response_class=Json,
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The method's arguments by name, plain or with `Content-Encoding: zstd` or `gzip`",
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    },
)
def ask_store(client: TheClient, method: str, body: TheBody) -> Json:
    """Call a method of the store; answer `{"result": …}`. For autolog's own clients: others find the other paths plainer."""
    if method not in names():
        raise NotFound(f"a store can't be asked for {method[:60]!r}; there are: {', '.join(names())}")
    call = call_of(method)
    try:
        arguments = orjson.loads(body.expanded())
    except orjson.JSONDecodeError as error:
        raise InvalidQuery(f"the arguments are no JSON: {error}") from error
    values = call.values_of(arguments)
    leaf = client._pipeline.processing.plan.leaf
    if leaf is not None and method in _REWRITTEN:
        values = _REWRITTEN[method](values, leaf)
    asked = getattr(client._store, method, None)
    if asked is None:  # of a store of which only a part is seen
        raise NotAllowed(f"{method} is of all experiments, and this token is not")
    return Json({"result": call.result.written(asked(*values))})
