"""Write down what was measured: medians over the rounds, as tables."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from peers import PEERS

Rounds = Sequence[dict[str, Any]]
"""By measurement and peer, what each round found."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of peers."""

    label: str
    measurement: str
    read: Callable[[dict[str, Any]], float | None]
    form: str = "{:.2f}"
    is_extra: bool = True
    """Whether what "no tracing" has of it is noise that is taken off each round."""


def _at(*keys: str) -> Callable[[dict[str, Any]], float | None]:
    def read(found: dict[str, Any]) -> float | None:
        value: Any = found
        for key in keys:
            value = value.get(key) if value is not None else None
        return value

    return read


ROWS = (
    Row("caller's extra time, 10 KB, ms", "call", _at("10 KB", "extra"), "{:.3f}"),
    Row("caller's extra time, 1 MB, ms", "call", _at("1 MB", "extra")),
    Row("caller's extra time, 10 MB, ms", "call", _at("10 MB", "extra"), "{:.1f}"),
    Row("extra CPU with the background's, 10 KB, ms", "call", _at("10 KB", "extra_cpu"), "{:.3f}"),
    Row("extra CPU with the background's, 1 MB, ms", "call", _at("1 MB", "extra_cpu"), "{:.1f}"),
    Row("extra CPU with the background's, 10 MB, ms", "call", _at("10 MB", "extra_cpu"), "{:.0f}"),
    Row("extra time for a chunk of a stream, µs", "stream", _at("extra"), "{:.1f}"),
    Row("own span in a `with` block, µs", "span", _at("block"), is_extra=False),
    Row("own span without a block, µs", "span", _at("plain"), is_extra=False),
    Row("import, ms", "import", _at("import"), "{:.0f}"),
    Row("set-up after `import openai`, with its import, ms", "call", _at("set_up"), "{:.0f}"),
    Row("installed beside openai, MB", "import", _at("megabytes"), "{:.1f}"),
    Row("packages beside openai's", "import", _at("packages"), "{:.0f}"),
)


def _value(row: Row, rounds: Rounds, peer: str) -> str:
    values = []
    for found in rounds:
        own, none = found.get(row.measurement, {}).get(peer), found.get(row.measurement, {}).get("none")
        value = row.read(own) if own else None
        if value is not None:
            values.append(value - ((row.read(none) or 0) if none and row.is_extra else 0))
    return row.form.format(statistics.median(values) + 0.0) if values else ""


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


def peers_table(rounds: Rounds) -> str:
    """Return the table with a column a peer."""
    names = [
        name for name in PEERS if name != "none" and any(name in kind for found in rounds for kind in found.values())
    ]
    return _table(
        ["", *[PEERS[name].title for name in names]],
        [
            ["spans are kept in", *[PEERS[name].keeps for name in names]],
            *[[row.label, *[_value(row, rounds, name) for name in names]] for row in ROWS],
        ],
    )


def _median(rounds: Rounds, measurement: str, *keys: str) -> float:
    values = [_at(*keys)(found[measurement]["autolog"]) for found in rounds if found.get(measurement)]
    return statistics.median(value for value in values if value is not None)


def ingest_table(rounds: Rounds) -> str:
    """Return the table of the store's throughput."""

    def thousands(*keys: str) -> str:
        return f"{_median(rounds, 'ingest', *keys) / 1e3:.1f} k"

    lost = sum(found["ingest"]["autolog"][part]["lost"] for found in rounds for part in ("pipeline", "together"))
    return _table(
        ["", ""],
        [
            ["spans a second, a program that only makes spans, to disk", thousands("pipeline", "per_second")],
            ["the same, a second of CPU", thousands("pipeline", "per_cpu_second")],
            ["spans a second that the worker writes, with the program idle", thousands("store", "per_second")],
            ["the same, a second of CPU", thousands("store", "per_cpu_second")],
            ["spans a second, four processes into one file", thousands("together", "per_second")],
            ["spans lost in any of these", str(lost)],
            ["bytes on disk a span", f"{_median(rounds, 'ingest', 'bytes'):.0f}"],
        ],
    )


def queries_table(rounds: Rounds) -> str:
    """Return the table of searches."""
    searches = rounds[0]["queries"]["autolog"]["searches"]
    lines = [[name, f"{_median(rounds, 'queries', 'searches', name, 'median'):.2f}"] for name in searches]
    return _table(["search, at most 50 results", "ms"], lines)


def page(rounds: Rounds) -> str:
    """Return the whole page."""
    imports = rounds[0]["import"]
    versions = ", ".join(f"{PEERS[name].distribution} {found['version']}" for name, found in imports.items())
    bare = [found["call"]["none"] for found in rounds]
    calls = ", ".join(
        f"{statistics.median(one[size]['bare'] for one in bare):.1f} ms" for size in ("10 KB", "1 MB", "10 MB")
    )
    stored = rounds[0]["queries"]["autolog"]
    traced = ", ".join(imports["autolog"]["imports"]) or "none"
    return f"""\
# Benchmarks

What tracing costs, by `make bench`: autolog and others side by side, {len(rounds)} rounds, each in new processes. Lower
is better. Every figure is the median of the rounds; \"extra\" is against the same calls without tracing right beside
them in the same process, less what \"no tracing\" shows in the same round.

{peers_table(rounds)}

Without tracing such a call takes {calls} at 10 KB, 1 MB and 10 MB, and a chunk {statistics.median(found["stream"]["none"]["bare"] for found in rounds):.0f} µs.
Of the libraries that it traces, `import autolog` imports: {traced}.

## The store

{ingest_table(rounds)}

In a store of {stored["traces"]:,} traces, {stored["spans"]:,} spans:

{queries_table(rounds)}

## How it is measured

- **Calls** go through the OpenAI client to a transport in the same process that answers at once, with messages of 2 KB
  each. The caller's time is the median of the calls of a block, while the background works; CPU is the process's, until
  everything is flushed. Blocks with the tracer's patches and without alternate.
- **Who keeps what**: autolog and MLflow store in SQLite. The others make spans and batches, which are then thrown away:
  what they cost to send and store is not in their figures.
- **Set-up** is import, configuration and patching, after `import openai`; MLflow's includes making its database.
- **Own spans** are opened inside a trace, in bursts of a hundred with a flush after each, outside of the time.
- **The store** gets traces of eight spans with 1.6 KB of payload a span, one in a hundred with 50 KB: words drawn as
  often as in real text, so it packs about as well. Size is after a checkpoint.
- **Noise**: what \"switched off\" shows beside no tracing at all is the machine's, not autolog's.
- **Not measured**: networks and servers, memory, asynchronous clients, other Pythons and machines, other stores.

To repeat it: `make bench`, or `python benchmarks/run.py --quick` for two rounds, `--large` for a store of a million
traces. It makes an environment a library below `.benchmarks`, about a gigabyte.

## Where

{datetime.now(timezone.utc):%Y-%m-%d}, {os.cpu_count()} CPUs ({platform.machine()}), load average {os.getloadavg()[0]:.1f} at the end, Python
{platform.python_version()}, SQLite {sqlite3.sqlite_version}.
{versions}.
"""
