"""The embedded store: one SQLite file, written and read by any number of processes at once.

A trace has a summary row, kept in the transaction of its spans, so that a list never joins them; a narrow row
a span; and a compressed blob of payloads for each trace and flush.
"""

from autolog.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
