"""Datasets: what goes in and what is expected to come out, taken from traces or given, to try a program on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autolog import capture
from autolog.client import Client, default_client
from autolog.errors import InvalidDataset, NotFound
from autolog.model.assessment import Assessment
from autolog.model.dataset import DatasetInfo, DatasetRecord, Merged
from autolog.model.span import Span
from autolog.model.trace import Trace, TraceInfo
from autolog.texts import strings

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Self

    from autolog.search.page import PagedList

_LONGEST_NAME = 250
_AT_ONCE = 500
_GIVEN = ("inputs", "outputs", "expectations", "tags")


class Dataset:
    """A dataset of the store: `merge_records()` adds to it, `records` and `to_df()` read it."""

    def __init__(self, info: DatasetInfo, client: Client) -> None:
        self.info = info
        self._client = client

    @property
    def name(self) -> str:
        """Its name, of which the store has but one."""
        return self.info.name

    @property
    def tags(self) -> Mapping[str, str]:
        """What it was given when it was made."""
        return self.info.tags

    def merge_records(self, records: Any) -> Self:
        """Add records: traces, spans, dicts such as `{"inputs": …, "expectations": …}`, a DataFrame, or a list of these.

        Of a trace, the root's inputs and outputs are taken, and as expectations what was logged as such. A record of
        inputs that are there already adds its expectations and tags to it, so merging again changes nothing. Raises
        `InvalidDataset` for what is no record, and `NotFound` where the dataset was deleted.
        """
        self.merge(records)
        return self

    def merge(self, records: Any) -> Merged:
        """Add records as `merge_records` does; return how many are new, and how many changed others."""
        leaf = self._client._pipeline.processing.plan.leaf
        found = list(_records(records, self._client))
        merged = Merged()
        for start in range(0, len(found), _AT_ONCE):
            part = found[start : start + _AT_ONCE]
            shown = part if leaf is None else [record.rewritten(leaf) for record in part]
            one = self._client._store.merge_records(self.name, shown)
            if one is None:
                raise _not_found(self.name, self._client)
            merged = Merged(merged.added + one.added, merged.changed + one.changed, merged.same + one.same)
        return merged

    def delete_records(self, record_ids: str | Iterable[str]) -> int:
        """Delete records by their ids; return how many there were."""
        ids = [record_ids] if isinstance(record_ids, str) else list(record_ids)
        return self._client._store.delete_records(self.name, ids)

    @property
    def records(self) -> list[DatasetRecord]:
        """All its records, in the order in which they came."""
        return list(self)

    def __iter__(self) -> Iterator[DatasetRecord]:
        token = None
        while True:
            page = self.page(token, _AT_ONCE)
            yield from page
            token = page.token
            if token is None:
                return

    def __len__(self) -> int:
        return get_dataset(self.name, client=self._client).info.records

    def __bool__(self) -> bool:
        return True  # also without records

    def page(self, page_token: str | None = None, max_results: int = 100) -> PagedList[DatasetRecord]:
        """Return a page of its records; its `token` gets the next one."""
        return self._client._store.list_records(self.name, page_token, max_results)

    def to_df(self) -> pd.DataFrame:
        """Return a DataFrame with a row a record."""
        import pandas as pd

        return pd.DataFrame([record.to_dict() for record in self], columns=list(DatasetRecord.__slots__))

    def save_jsonl(self, path: str | os.PathLike[str]) -> Path:
        """Write its records as JSON Lines, one a line; return the path."""
        written = Path(path).expanduser()
        with written.open("wb") as file:
            file.writelines(jsonl(self))
        return written

    def __repr__(self) -> str:
        return f"Dataset({self.name!r})"


def create_dataset(name: str, *, tags: Mapping[str, str] | None = None, client: Client | None = None) -> Dataset:
    """Make a dataset; raise `InvalidDataset` where there is one of this name, or the name can be none."""
    used = client or default_client()
    info = DatasetInfo(name=_checked(name), experiment=used.tracer.experiment, tags=strings(tags))
    leaf = used._pipeline.processing.plan.leaf
    if leaf is not None:
        info = info.rewritten(leaf)
    if not used._store.put_dataset(info):
        raise InvalidDataset(f"there is a dataset {name!r} already; get_dataset() returns it")
    return get_dataset(info.name, client=used)


def get_dataset(name: str, *, client: Client | None = None) -> Dataset:
    """Return the dataset of this name; raise `NotFound` where there is none."""
    used = client or default_client()
    info = used._store.get_dataset(name)
    if info is None:
        raise _not_found(name, used)
    return Dataset(info, used)


def list_datasets(*, client: Client | None = None) -> list[Dataset]:
    """Return all datasets, those first that changed last."""
    used = client or default_client()
    return [Dataset(info, used) for info in used._store.list_datasets()]


def delete_dataset(name: str, *, client: Client | None = None) -> None:
    """Delete a dataset with its records; raise `NotFound` where there is none of this name."""
    used = client or default_client()
    if not used._store.delete_dataset(name):
        raise _not_found(name, used)


def _not_found(name: str, client: Client) -> NotFound:
    return NotFound(f"no dataset {name!r} in {client.location}; list_datasets() lists what there is")


def _checked(name: object) -> str:
    is_text = isinstance(name, str) and bool(name.strip()) and len(name) <= _LONGEST_NAME and name.isprintable()
    # It stands in addresses, where these have a meaning of their own.
    if not isinstance(name, str) or not is_text or "/" in name or name in (".", ".."):
        raise InvalidDataset(
            f"the name of a dataset is a text of 1 to {_LONGEST_NAME} characters without a slash, not {str(name)[:80]!r}"
        )
    return name


# --- records -------------------------------------------------------------------------------------------


def _records(given: Any, client: Client) -> Iterator[DatasetRecord]:
    if isinstance(given, (Trace, TraceInfo, Span, Mapping, DatasetRecord)):
        yield _record(given, client)
    elif callable(getattr(given, "to_dict", None)) and hasattr(given, "columns"):
        yield from (_row(row) for row in given.to_dict("records"))
    elif isinstance(given, Iterable) and not isinstance(given, (str, bytes)):
        yield from (_record(one, client) for one in given)
    else:
        raise InvalidDataset(f"records are traces, spans, dicts with 'inputs' or a DataFrame, not {str(given)[:80]!r}")


def _record(given: Any, client: Client) -> DatasetRecord:
    if isinstance(given, TraceInfo):
        given = client.get_trace(given.trace_id)
    if isinstance(given, Trace):
        return _of_trace(given)
    if isinstance(given, Span):
        said = client.get_trace(given.trace_id).assessments
        expected = _expectations(one for one in said if one.span_id == given.span_id)
        return _made(given.inputs, given.outputs, expected, {}, given.trace_id, given.span_id)
    if isinstance(given, DatasetRecord):
        return _made(given.inputs, given.outputs, given.expectations, given.tags, given.trace_id, given.span_id)
    if isinstance(given, Mapping):
        return _of_mapping(given)
    raise InvalidDataset(f"a record is a trace, a span, or a dict such as {{'inputs': …}}, not {str(given)[:80]!r}")


def _of_trace(trace: Trace) -> DatasetRecord:
    root = trace.root
    if root is None:
        raise InvalidDataset(f"trace {trace.trace_id} has no root yet, whose inputs could be taken")
    return _made(root.inputs, root.outputs, _expectations(trace.assessments), {}, trace.trace_id, None)


def _expectations(said: Iterable[Assessment]) -> dict[str, Any]:
    return {one.name: one.value for one in said if one.kind == "expectation" and one.valid}


def _of_mapping(given: Mapping[str, Any]) -> DatasetRecord:
    if "inputs" not in given:
        raise InvalidDataset(f"a record has 'inputs'; this one has {', '.join(map(str, given)) or 'nothing'}"[:300])
    source = given.get("source")
    named = source if isinstance(source, Mapping) else given
    expectations, tags = given.get("expectations"), given.get("tags")
    for name, value in (("expectations", expectations), ("tags", tags)):
        if not isinstance(value, Mapping | None):
            raise InvalidDataset(f"{name} of a record are given by their names, not as {str(value)[:80]!r}")
    return _made(
        given["inputs"],
        given.get("outputs"),
        expectations or {},
        tags or {},
        named.get("trace_id"),
        named.get("span_id"),
    )


def _made(
    inputs: Any,
    outputs: Any,
    expectations: Mapping[str, Any],
    tags: Mapping[str, Any],
    trace_id: object,
    span_id: object,
) -> DatasetRecord:
    plain = capture.plain(capture.snapshot([inputs, outputs, dict(expectations)]))
    return DatasetRecord(
        inputs=plain[0],
        outputs=plain[1],
        expectations=plain[2],
        tags=strings(tags),
        trace_id=str(trace_id) if trace_id else None,
        span_id=str(span_id) if span_id else None,
    )


def _row(row: Mapping[str, Any]) -> DatasetRecord:
    """Return the record of a row: one of `search_traces()`, or one with a column for each part of a record."""
    if isinstance(row.get("trace"), Trace):
        return _of_trace(row["trace"])
    # An empty cell is NaN, which is not equal to itself.
    return _of_mapping({name: value for name, value in row.items() if _is_there(value)})


def _is_there(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and value != value)  # noqa: PLR0124


# --- to take away --------------------------------------------------------------------------------------


def jsonl(records: Iterable[DatasetRecord]) -> Iterator[bytes]:
    """Yield a line of JSON a record, which `merge_records` takes again."""
    for record in records:
        yield capture.json_bytes(record.to_dict()) + b"\n"


_COLUMNS = ("record_id", "inputs", "outputs", "expectations", "tags", "trace_id", "span_id")
_AS_JSON = frozenset({"inputs", "outputs", "expectations", "tags"})


def csv_lines(records: Iterable[DatasetRecord]) -> Iterator[bytes]:
    """Yield the rows of a table, a record each; what may be anything stands in them as JSON."""
    yield _csv_line(_COLUMNS)
    for record in records:
        row = record.to_dict()
        yield _csv_line([_json(row[name]) if name in _AS_JSON else row[name] or "" for name in _COLUMNS])


def _json(value: Any) -> str:
    return "" if value is None else capture.json_bytes(value).decode()


def _csv_line(cells: Iterable[str]) -> bytes:
    import csv
    import io

    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode("utf-8", "replace")
