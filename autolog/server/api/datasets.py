"""Datasets, their records, and what is added to them from traces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi import Path as Place
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from autolog import datasets
from autolog.client import Client
from autolog.datasets import Dataset
from autolog.errors import InvalidDataset, NotFound
from autolog.model.dataset import DatasetRecord
from autolog.model.span import Span
from autolog.model.trace import Trace
from autolog.server.api.common import Json, Limit, PageToken, TheClient, attachment, span_of

router = APIRouter(tags=["datasets"])

Name = Annotated[str, Place(description="A text without a slash")]


class NewDataset(BaseModel):
    """A dataset to be made."""

    model_config = ConfigDict(extra="forbid")

    name: str
    tags: dict[str, str] = Field(default_factory=dict)


class NewRecord(BaseModel):
    """A record that is no trace's."""

    model_config = ConfigDict(extra="forbid")

    inputs: Any
    outputs: Any = None
    expectations: dict[str, Any] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict)
    trace_id: str | None = None
    span_id: str | None = None


class Records(BaseModel):
    """What to add: traces, spans, each as the trace's id, a colon and its own, and records."""

    model_config = ConfigDict(extra="forbid")

    trace_ids: list[str] = Field(default_factory=list, max_length=10_000)
    spans: list[str] = Field(default_factory=list, max_length=10_000)
    records: list[NewRecord] = Field(default_factory=list, max_length=10_000)


@router.get("/datasets")
def list_datasets(client: TheClient) -> Json:
    """Return all datasets, those first that changed last."""
    return Json({"datasets": [dataset.info.to_dict() for dataset in datasets.list_datasets(client=client)]})


@router.post("/datasets", status_code=201)
def create_dataset(client: TheClient, new: NewDataset) -> Json:
    """Make a dataset."""
    return Json(datasets.create_dataset(new.name, tags=new.tags, client=client).info.to_dict(), 201)


@router.get("/datasets/{name}")
def get_dataset(
    client: TheClient,
    name: Name,
    page_token: PageToken = None,
    limit: Limit = 50,
) -> Json:
    """Return a dataset with a page of its records, in the order in which they came."""
    dataset = datasets.get_dataset(name, client=client)
    page = dataset.page(page_token, limit)
    told = {"dataset": dataset.info.to_dict(), "records": [record.to_dict() for record in page]}
    return Json({**told, "next_page_token": page.token})


@router.delete("/datasets/{name}")
def delete_dataset(client: TheClient, name: Name) -> Json:
    """Delete a dataset with its records."""
    datasets.delete_dataset(name, client=client)
    return Json({"deleted": 1})


@router.post("/datasets/{name}/records")
def add_records(client: TheClient, name: Name, new: Records) -> Json:
    """Add records to a dataset, which is made where there is none; those of equal inputs become one.

    Of a trace or a span, its inputs and outputs are taken, and as expectations what was logged as such.
    """
    merged = _made(client, name).merge(_given(client, new))
    return Json(merged.to_dict())


def _made(client: Client, name: str) -> Dataset:
    try:
        return datasets.get_dataset(name, client=client)
    except NotFound:
        pass
    try:
        return datasets.create_dataset(name, client=client)
    except InvalidDataset:
        if client._store.get_dataset(name) is None:
            raise
        return datasets.get_dataset(name, client=client)  # somebody else made it meanwhile


def _given(client: Client, new: Records) -> Iterator[Trace | Span | dict[str, Any]]:
    for trace_id in new.trace_ids:
        yield client.get_trace(trace_id)
    for place in new.spans:
        yield span_of(client, place)
    yield from (record.model_dump() for record in new.records)


@router.delete("/datasets/{name}/records/{record_id}")
def delete_record(client: TheClient, name: Name, record_id: str) -> Json:
    """Delete a record of a dataset."""
    return Json({"deleted": datasets.get_dataset(name, client=client).delete_records(record_id)})


_LINES: Mapping[str, tuple[Callable[[Iterable[DatasetRecord]], Iterator[bytes]], str]] = {
    "jsonl": (datasets.jsonl, "application/x-ndjson"),
    "csv": (datasets.csv_lines, "text/csv; charset=utf-8"),
}


@router.get(
    "/datasets/{name}/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {}, "text/csv": {}}}},
)
def export_dataset(
    client: TheClient, name: Name, form: Annotated[Literal["jsonl", "csv"], Query(alias="format")] = "jsonl"
) -> StreamingResponse:
    """Return the records of a dataset as a file."""
    lines, media_type = _LINES[form]
    found = lines(datasets.get_dataset(name, client=client))
    return StreamingResponse(found, headers=attachment(f"{name}.{form}"), media_type=media_type)
