"""The index of the words in inputs and outputs: which payloads may have them.

It is brought up to date a little later than the payloads are written, in small transactions, for it costs a third of what
writing them does. What it does not know yet, a search reads. It says too much at times, never too little: what it finds is
looked at before it counts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import cache

from autolog.search.fields import Kind
from autolog.search.filter import AnyOf, Comparison, Node, Operator, SomeSpan, conjuncts
from autolog.search.words import Phrase, spaced, texts
from autolog.stores.sqlite import rows
from autolog.stores.sqlite.functions import records_of, unpacked

# The index takes all that is not ASCII for letters: `spaced` left only those of words.
_CREATE = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text, content='', detail=none, columnsize=0, tokenize='ascii')"
)
_MOST_ROWS = 256
_MOST_CHARACTERS = 2_000_000


@cache
def is_available() -> bool:
    """Whether this SQLite has the index."""
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute(_CREATE)
        except sqlite3.OperationalError:
            return False
    return True


def indexed(connection: sqlite3.Connection) -> int:
    """Return the last row of payloads that is in the index."""
    return int(connection.execute("SELECT last FROM indexed").fetchone()[0])


class Step:
    """Rows to be indexed in one transaction, read and prepared outside of it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.after = indexed(connection)
        self.rows: list[tuple[int, str]] = []
        self._size = 0
        with closing(connection.cursor()) as cursor:
            cursor.execute(
                "SELECT id, codec, body FROM payloads WHERE id > ? ORDER BY id LIMIT ?", (self.after, _MOST_ROWS)
            )
            for row, codec, body in cursor:
                self.rows.append((row, _words(codec, body)))
                self._size += len(self.rows[-1][1])
                if self._size > _MOST_CHARACTERS:
                    break

    @property
    def is_worth_it(self) -> bool:
        """Whether indexing these rows is less work than reading them in the searches to come."""
        return len(self.rows) >= rows.ROWS_WORTH_INDEXING or self._size > _MOST_CHARACTERS

    def __call__(self, connection: sqlite3.Connection) -> int:
        """Index the rows, unless another process did; return how many there were."""
        if self.rows and indexed(connection) == self.after:
            connection.execute(_CREATE)
            connection.executemany("INSERT INTO words(rowid, text) VALUES (?, ?)", self.rows)
            connection.execute("UPDATE indexed SET last = ?", (self.rows[-1][0],))
        return len(self.rows)


def _words(codec: int, body: bytes) -> str:
    try:
        records = records_of(unpacked(codec, body))
    except Exception:  # noqa: BLE001 - the decompressor's own error, of a damaged store
        records = []
    payloads = [record.get(name) for record in records for name in ("inputs", "outputs")]
    return spaced("\n".join(texts(payloads)))


def forget(rids: Sequence[int], connection: sqlite3.Connection) -> None:
    """Take what is about to be deleted out of the index, word by word; merging takes the words out of the file then."""
    if not _has_index(connection):
        return
    last = indexed(connection)
    for rid in rids:
        sql = "SELECT id, codec, body FROM payloads WHERE rid = ? AND id <= ?"
        rows = [(row, _words(codec, body)) for row, codec, body in connection.execute(sql, (rid, last))]
        connection.executemany("INSERT INTO words(words, rowid, text) VALUES ('delete', ?, ?)", rows)


def forgotten(connection: sqlite3.Connection) -> None:
    """After rows were deleted: SQLite may give their numbers again, to rows that are not in the index."""
    connection.execute("UPDATE indexed SET last = min(last, ifnull((SELECT max(id) FROM payloads), 0))")


def _has_index(connection: sqlite3.Connection) -> bool:
    made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'words'").fetchone()
    return made is not None and is_available()


# --- searching ---------------------------------------------------------------------------------------


def expression(node: Node) -> str | None:
    """Return what finds in the index every row of payloads that may meet the condition; `None` where it can't help."""
    if isinstance(node, SomeSpan):
        return next((found for found in map(expression, conjuncts(node.condition)) if found), None)
    if isinstance(node, AnyOf):
        found = [expression(part) for part in node.parts]
        return " OR ".join(f"({one})" for one in found) if all(found) else None
    if not isinstance(node, Comparison) or node.negated or node.operator is not Operator.CONTAINS:
        return None
    phrase = node.value
    if node.field.kind is not Kind.PAYLOAD or not isinstance(phrase, Phrase):
        return None
    quoted = [f'"{spaced(word)}"' for word in phrase.words]
    return " AND ".join(quoted) + (" *" if phrase.is_open else "")


def are_asked_for(node: Node | None) -> bool:
    """Whether a search with this filter can use the index."""
    return any(expression(part) for part in conjuncts(node))


def is_usable(connection: sqlite3.Connection) -> bool:
    """Whether the store has an index that this SQLite can read."""
    return _has_index(connection)
