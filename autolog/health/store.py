"""Where traces are kept: how much there is of them, whether it is sound, and whether there is room for more."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from autolog.capture import Limits
from autolog.errors import InvalidSetting
from autolog.health.environment import server
from autolog.health.finding import Finding, State, size
from autolog.ids import now_ns
from autolog.stores.base import open_store
from autolog.stores.sqlite import SqliteStore, migrations, texts

_CHECK_SECONDS = 60.0
_LEAST_FREE = 500_000_000
_LARGE_WAL = 512_000_000
_DAY_NS = 86_400_000_000_000


def store(address: str | None) -> Iterator[Finding]:
    """Tell of the store at `address`; `None` is the default one."""
    if address is not None and address.startswith(("http://", "https://")):
        yield from server(address)
        return
    try:
        found = open_store(address, Limits())
    except InvalidSetting as error:
        yield Finding("store", "address", address, State.PROBLEM, str(error))
        return
    if isinstance(found, SqliteStore) and found.path is not None:
        yield from _file(found.path)
    else:
        yield Finding("store", "place", found.location, State.NOTE, "nothing is there after the program has ended")


def contents(location: str) -> Mapping[str, int]:
    """Return how many `traces`, `spans` and `bytes` the file there has; nothing where it is no file of ours."""
    path = Path(location)
    if not path.is_file():
        return {}
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2)) as opened:
        traces, spans = opened.execute(_COUNTED).fetchone()
    return {"traces": traces, "spans": spans, "bytes": path.stat().st_size + _wal(path)}


_COUNTED = "SELECT count(*), ifnull(sum(spans), 0) FROM traces"


def _wal(path: Path) -> int:
    wal = path.with_name(path.name + "-wal")
    return wal.stat().st_size if wal.exists() else 0


def _file(path: Path) -> Iterator[Finding]:
    if not path.exists():
        yield Finding("store", "place", str(path), State.NOTE, "it is made when the first span is stored")
        yield from _room(path)
        return
    yield Finding("store", "place", str(path))
    yield from _room(path)
    yield from _privacy(path)
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=2, isolation_level=None)
        ) as opened:
            yield from _database(path, opened)
    except sqlite3.Error as error:
        advice = "it can't be opened; move it away: a new one is made by itself. sqlite3 OLD .recover | sqlite3 NEW"
        yield Finding("store", "database", str(error), State.PROBLEM, advice)


def _room(path: Path) -> Iterator[Finding]:
    folder = next(one for one in (path.parent, *path.parent.parents) if one.exists())
    if not os.access(path if path.exists() else folder, os.W_OK) or not os.access(folder, os.W_OK):
        advice = f"make {folder} writable by this user, or set AUTOLOG_STORE to a file elsewhere"
        yield Finding("store", "writable", "no", State.PROBLEM, advice)
    else:
        yield Finding("store", "writable", "yes")
    free = shutil.disk_usage(folder).free
    if free >= _LEAST_FREE:
        yield Finding("store", "free space", size(free))
    else:
        advice = "free some: what can't be written waits in memory, and is lost when that is full"
        yield Finding("store", "free space", size(free), State.PROBLEM, advice)


def _privacy(path: Path) -> Iterator[Finding]:
    if os.name == "posix" and path.stat().st_mode & 0o077:
        advice = f"prompts are in it: chmod 600 {path}"
        yield Finding("store", "readable", "by others too", State.NOTE, advice)


def _database(path: Path, opened: sqlite3.Connection) -> Iterator[Finding]:
    version = _one(opened, "PRAGMA user_version")
    if (
        _one(opened, "SELECT count(*) FROM sqlite_master")
        and _one(opened, "PRAGMA application_id") != migrations.APPLICATION_ID
    ):
        advice = "it is left alone; set AUTOLOG_STORE to another file"
        yield Finding("store", "database", "another program's", State.PROBLEM, advice)
        return
    if version > migrations.VERSION:
        advice = (
            f"it was written by a newer autolog, this one knows {migrations.VERSION}: pip install -U autolog-tracing"
        )
        yield Finding("store", "schema", version, State.PROBLEM, advice)
        return
    older = None if version == migrations.VERSION else "it is brought up to date when it is next used"
    yield Finding("store", "schema", version, State.NOTE if older else State.OK, older)
    yield from _sizes(path)
    if version == migrations.VERSION:
        yield from _contents(opened)
        yield from _words(opened)
    yield from _soundness(opened)


def _sizes(path: Path) -> Iterator[Finding]:
    waiting = _wal(path)
    advice = "a process has been reading for long; it shrinks when that ends" if waiting > _LARGE_WAL else None
    yield Finding("store", "size", size(path.stat().st_size))
    yield Finding("store", "write-ahead log", size(waiting), State.NOTE if advice else State.OK, advice)


def _contents(opened: sqlite3.Connection) -> Iterator[Finding]:
    traces, spans, first, last = opened.execute(
        "SELECT count(*), sum(spans), min(start_ns), max(start_ns) FROM traces"
    ).fetchone()
    since = f", from {_day(first)} to {_day(last)}" if traces else ""
    yield Finding("store", "traces", f"{traces:,} with {spans or 0:,} spans{since}")
    left = _one(opened, f"SELECT count(*) FROM traces WHERE state = 0 AND start_ns < {now_ns() - _DAY_NS}")
    if left:
        advice = "their programs ended without ending them: autolog.Client().close_forgotten(older_than=86_400)"
        yield Finding("store", "running for a day", f"{left:,}", State.NOTE, advice)


def _words(opened: sqlite3.Connection) -> Iterator[Finding]:
    if not texts.is_available():
        advice = "this Python's SQLite has no FTS5: searches for words read every trace"
        yield Finding("store", "index of words", "none", State.NOTE, advice)
        return
    waiting = _one(opened, "SELECT count(*) FROM payloads WHERE id > (SELECT last FROM indexed)")
    yield Finding("store", "index of words", f"{waiting:,} writes are to be indexed" if waiting else "up to date")


def _soundness(opened: sqlite3.Connection) -> Iterator[Finding]:
    deadline = time.monotonic() + _CHECK_SECONDS
    opened.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
    try:
        told = str(_one(opened, "PRAGMA quick_check(1)"))
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        advice = (
            f"the check was broken off after {_CHECK_SECONDS:.0f} s; sqlite3 FILE 'PRAGMA quick_check' does all of it"
        )
        yield Finding("store", "soundness", "not checked to the end", State.NOTE, advice)
        return
    finally:
        opened.set_progress_handler(None, 0)
    if told == "ok":
        yield Finding("store", "soundness", "sound")
    else:
        advice = "move it away: a new one is made by itself. What can be saved: sqlite3 OLD .recover | sqlite3 NEW"
        yield Finding("store", "soundness", f"damaged: {told}", State.PROBLEM, advice)


def _one(opened: sqlite3.Connection, sql: str) -> Any:
    return opened.execute(sql).fetchone()[0]


def _day(nanoseconds: int) -> str:
    return f"{datetime.fromtimestamp(nanoseconds / 1e9, timezone.utc):%Y-%m-%d}"
