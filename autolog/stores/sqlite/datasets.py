"""Datasets in the SQLite store."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autolog import capture
from autolog.errors import InvalidQuery
from autolog.ids import now_ns
from autolog.model.dataset import DatasetInfo, DatasetRecord, Merged
from autolog.stores import compression
from autolog.stores.sqlite.rows import text

if TYPE_CHECKING:
    from autolog.search.page import PagedList

_RAW = 0
_WORTH_PACKING = 200
_READ = (
    "SELECT d.name, d.experiment, d.tags, d.created_ns, d.updated_ns, (SELECT count(*) FROM records WHERE dataset = d.id) "
    "FROM datasets d"
)
_KEPT = ("inputs", "outputs", "expectations", "tags", "trace_id", "span_id")


def put_dataset(dataset: DatasetInfo, connection: sqlite3.Connection) -> bool:
    """Make a dataset; return whether there was none of its name."""
    sql = "INSERT OR IGNORE INTO datasets(name, experiment, tags, created_ns, updated_ns) VALUES (?,?,?,?,?)"
    tags = json.dumps(dict(dataset.tags)) if dataset.tags else None
    values = (text(dataset.name), text(dataset.experiment), tags, dataset.create_time_ns, dataset.last_update_time_ns)
    return connection.execute(sql, values).rowcount > 0


def read_dataset(name: str, connection: sqlite3.Connection) -> DatasetInfo | None:
    """Return the dataset, or `None`."""
    row = connection.execute(f"{_READ} WHERE d.name = ?", (text(name),)).fetchone()
    return None if row is None else _dataset(row)


def read_datasets(connection: sqlite3.Connection) -> list[DatasetInfo]:
    """Return all datasets, those first that changed last."""
    return list(map(_dataset, connection.execute(f"{_READ} ORDER BY d.updated_ns DESC, d.id DESC")))


def _dataset(row: Sequence[Any]) -> DatasetInfo:
    name, experiment, tags, created, updated, records = row
    return DatasetInfo(
        name=name,
        experiment=experiment,
        tags=json.loads(tags or "{}"),
        create_time_ns=created,
        last_update_time_ns=updated,
        records=records,
    )


def delete_dataset(name: str, connection: sqlite3.Connection) -> bool:
    """Delete a dataset with its records; return whether there was one."""
    dataset = _id(name, connection)
    connection.execute("DELETE FROM records WHERE dataset = ?", (dataset,))
    return connection.execute("DELETE FROM datasets WHERE id = ?", (dataset,)).rowcount > 0


def _id(name: str, connection: sqlite3.Connection) -> int | None:
    row = connection.execute("SELECT id FROM datasets WHERE name = ?", (text(name),)).fetchone()
    return None if row is None else int(row[0])


# --- records -------------------------------------------------------------------------------------------


def merge_records(name: str, records: Sequence[DatasetRecord], connection: sqlite3.Connection) -> Merged | None:
    """Add records to a dataset, or to its records of equal inputs what they say; `None` where there is no such dataset."""
    dataset = _id(name, connection)
    if dataset is None:
        return None
    by_id: dict[str, DatasetRecord] = {}
    for record in records:
        record_id = _digest(record.inputs)
        by_id[record_id] = by_id[record_id].merged(record) if record_id in by_id else record
    counts = {"added": 0, "changed": 0, "same": 0}
    for record_id, record in by_id.items():
        counts[_merge(dataset, record_id, record, connection)] += 1
    if counts["added"] or counts["changed"]:
        connection.execute("UPDATE datasets SET updated_ns = ? WHERE id = ?", (now_ns(), dataset))
    return Merged(**counts)


_RECORD = "SELECT id, codec, body, created_ns, updated_ns FROM records"


def _merge(dataset: int, record_id: str, record: DatasetRecord, connection: sqlite3.Connection) -> str:
    row = connection.execute(f"{_RECORD} WHERE dataset = ? AND id = ?", (dataset, record_id)).fetchone()
    if row is None:
        sql = "INSERT INTO records(dataset, id, codec, body, created_ns, updated_ns) VALUES (?,?,?,?,?,?)"
        values = (dataset, record_id, *_packed(record), record.create_time_ns, record.last_update_time_ns)
        connection.execute(sql, values)
        return "added"
    known = _record(row)
    merged = known.merged(record)
    if _body(merged) == _body(known):
        return "same"
    sql = "UPDATE records SET codec = ?, body = ?, updated_ns = ? WHERE dataset = ? AND id = ?"
    connection.execute(sql, (*_packed(merged), record.last_update_time_ns, dataset, record_id))
    return "changed"


def _digest(inputs: Any) -> str:
    """Return what equal inputs have in common, in whatever order their fields are."""
    import orjson

    plain = capture.plain(inputs)
    return hashlib.blake2b(orjson.dumps(plain, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def _body(record: DatasetRecord) -> bytes:
    kept = {name: getattr(record, name) for name in _KEPT}
    return capture.json_bytes({name: value for name, value in kept.items() if value is not None})


def _packed(record: DatasetRecord) -> tuple[int, bytes]:
    body = _body(record)
    return (compression.ZSTD, compression.compress(body)) if len(body) > _WORTH_PACKING else (_RAW, body)


def _record(row: Sequence[Any]) -> DatasetRecord:
    record_id, codec, body, created, updated = row
    told = json.loads(compression.decompress(body) if codec == compression.ZSTD else body)
    return DatasetRecord(
        **{"inputs": None, **told}, record_id=record_id, create_time_ns=created, last_update_time_ns=updated
    )


def read_records(
    name: str, page_token: str | None, most: int, connection: sqlite3.Connection
) -> PagedList[DatasetRecord]:
    """Return a page of a dataset's records, in the order in which they came."""
    from autolog.search.page import PagedList

    after = 0 if page_token is None else _place(page_token)
    sql = f"{_RECORD.replace('SELECT', 'SELECT number,')} WHERE dataset = ? AND number > ? ORDER BY number LIMIT ?"
    rows = connection.execute(sql, (_id(name, connection), after, most + 1)).fetchall()
    page = rows[:most]
    return PagedList((_record(row[1:]) for row in page), str(page[-1][0]) if len(rows) > most and page else None)


def _place(page_token: str) -> int:
    if not (page_token.isascii() and page_token.isdigit() and len(page_token) < 19):
        raise InvalidQuery("page_token is not what the page before had; leave it out for the first page")
    return int(page_token)


def delete_records(name: str, record_ids: Sequence[str], connection: sqlite3.Connection) -> int:
    """Delete records of a dataset; return how many there were."""
    dataset = _id(name, connection)
    sql = "DELETE FROM records WHERE dataset = ? AND id = ?"
    deleted = sum(connection.execute(sql, (dataset, text(record_id))).rowcount for record_id in record_ids)
    if deleted:
        connection.execute("UPDATE datasets SET updated_ns = ? WHERE id = ?", (now_ns(), dataset))
    return deleted
