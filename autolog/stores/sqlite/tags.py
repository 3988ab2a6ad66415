"""Tags of traces that are stored already."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from autolog.stores.sqlite.rows import text
from autolog.stores.sqlite.write import remove_labels, tag_labels


def set_tags(trace_id: bytes, changes: Mapping[str, str | None], connection: sqlite3.Connection) -> bool:
    """Set tags of a trace, and take away those that are `None`; return whether there is such a trace."""
    row = connection.execute("SELECT rid, start_ns, tags FROM traces WHERE trace_id = ?", (trace_id,)).fetchone()
    if row is None:
        return False
    rid, start_ns, stored = row
    cleaned = {text(key): text(value) for key, value in changes.items()}
    tags = {key: value for key, value in {**json.loads(stored or "{}"), **cleaned}.items() if value is not None}
    connection.execute(
        "UPDATE traces SET tags = ? WHERE rid = ?", (json.dumps(tags, sort_keys=True) if tags else None, rid)
    )
    remove_labels(connection, rid, start_ns, tag_labels(stored))
    labels = [(word, start_ns, rid) for word in tag_labels(json.dumps(tags))]
    connection.executemany("INSERT OR IGNORE INTO labels(word, start_ns, rid) VALUES (?,?,?)", labels)
    return True
