"""Write down what was measured: medians over the rounds, as tables."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from peers import LIBRARIES, PEERS

Found = dict[str, Any]
Round = dict[str, dict[str, Found]]
"""By measurement and peer, what was found."""
Rounds = Sequence[Round]
Read = Callable[[Found], float | None]


def key(measurement: str, library: str) -> str:
    """Return what a measurement of peers is called in a round."""
    return f"{measurement} {library}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table of peers."""

    label: str
    measurement: str
    read: Read
    form: str = "{:.2f}"
    bare: Read | None = None
    """What to read of "no tracing" for its own column."""
    is_extra: bool = True
    """Whether what "no tracing" has of it is noise that is taken off each round."""


def _at(*keys: str, times: float = 1.0) -> Read:
    def read(found: Found) -> float | None:
        value: Any = found
        for name in keys:
            value = value.get(name) if value is not None else None
        return None if value is None else float(value) * times

    return read


def _added(label: str, measurement: str, *keys: str, form: str, times: float = 1.0) -> Row:
    """Return the row of a figure of blocks: what is added, beside what there is without tracing."""
    *path, figure = keys
    read, bare = (_at(*path, part, figure, times=times) for part in ("extra", "bare"))
    return Row(label, measurement, read, form, bare)


def _plain(label: str, measurement: str, *keys: str, form: str) -> Row:
    """Return the row of a figure that is as it is, with tracing and without."""
    return Row(label, measurement, _at(*keys), form, _at(*keys), is_extra=False)


def _runs(framework: str, programs: Mapping[str, str]) -> tuple[Row, ...]:
    measurement = key("runs", framework)

    def added(kind: str, figure: str) -> list[Row]:
        return [
            _added(f"{kind}, {label}, µs", measurement, name, figure, form="{:.0f}", times=1e3)
            for name, label in programs.items()
        ]

    first, label = next(iter(programs.items()))
    return (
        *added("caller's extra time", "time"),
        *added("extra CPU with the background's", "cpu"),
        Row(f"spans, {label}", measurement, _at(first, "spans"), "{:.0f}", is_extra=False),
    )


def _memory(framework: str, what: str) -> tuple[Row, ...]:
    return tuple(
        _plain(f"memory after {number} {what}, MB", key("memory", framework), number, form="{:.0f}")
        for number in ("1,000", "5,000", "10,000")
    )


OPENAI = (
    _added("caller's extra time, 10 KB, ms", "call openai", "10 KB", "time", form="{:.3f}"),
    _added("caller's extra time, 1 MB, ms", "call openai", "1 MB", "time", form="{:.2f}"),
    _added("caller's extra time, 10 MB, ms", "call openai", "10 MB", "time", form="{:.1f}"),
    _added("extra CPU with the background's, 10 KB, ms", "call openai", "10 KB", "cpu", form="{:.3f}"),
    _added("extra CPU with the background's, 1 MB, ms", "call openai", "1 MB", "cpu", form="{:.1f}"),
    _added("extra CPU with the background's, 10 MB, ms", "call openai", "10 MB", "cpu", form="{:.0f}"),
    _added("extra time for a chunk of a stream, µs", "stream openai", "time", form="{:.1f}"),
    Row("spans of a call", "call openai", _at("10 KB", "spans"), "{:.0f}", is_extra=False),
    Row("own span in a `with` block, µs", "span openai", _at("block"), is_extra=False),
    Row("own span without a block, µs", "span openai", _at("plain"), is_extra=False),
    Row("own span with 1 KB in and 1 KB out, µs", "span openai", _at("filled"), is_extra=False),
    Row("decorated function, µs a call", "span openai", _at("decorated"), is_extra=False),
    Row("kept of 3,000 traces in a burst", "burst openai", _at("kept"), "{:.0f}", is_extra=False),
    Row("kept of 10,000 traces open at once", "burst openai", _at("open_kept"), "{:.0f}", is_extra=False),
    Row("import, ms", "import openai", _at("import"), "{:.0f}"),
    Row("set-up after `import openai`, with its import, ms", "call openai", _at("set_up"), "{:.0f}"),
    Row("installed beside openai, MB", "import openai", _at("megabytes"), "{:.1f}"),
    Row("packages beside openai's", "import openai", _at("packages"), "{:.0f}"),
)
LANGCHAIN = (
    *_runs(
        "langchain",
        {
            "invoke": "`invoke` of a chain",
            "ainvoke": "`ainvoke` of it",
            "stream": "`stream` of it, 21 chunks",
            "graph": "LangGraph run of two nodes",
            "agent": "agent with a tool call",
        },
    ),
    _plain("event loop held by a run with a large state, ms", "loop langchain", "median", form="{:.2f}"),
    _plain("the same, the worst of 40 runs, ms", "loop langchain", "max", form="{:.2f}"),
    *_memory("langchain", "`invoke`s"),
)
LLAMA_INDEX = (
    *_runs(
        "llama_index",
        {
            "query": "`query` of a vector index",
            "aquery": "`aquery` of it",
            "streaming query": "streaming `query`, 20 chunks",
            "chat": "`chat` of a model",
        },
    ),
    *_memory("llama_index", "queries"),
)


def _values(row: Row, rounds: Rounds, peer: str) -> list[float]:
    values = []
    for found in rounds:
        peers = found.get(row.measurement, {})
        read = row.bare if peer == "none" else row.read
        value = read(peers[peer]) if read and peer in peers else None
        if value is not None:
            noise = row.read(peers["none"]) if row.is_extra and peer != "none" and "none" in peers else None
            values.append(value - (noise or 0))
    return values


def _value(row: Row, rounds: Rounds, peer: str) -> str:
    values = _values(row, rounds, peer)
    return row.form.format(statistics.median(values) + 0.0) if values else ""


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


def peers_table(rounds: Rounds, rows: Sequence[Row]) -> str:
    """Return a table with a column a peer, and first what there is without any."""
    measured = {peer for found in rounds for row in rows for peer in found.get(row.measurement, {})}
    names = [name for name in PEERS if name in measured]
    lines = [[row.label, *[_value(row, rounds, name) for name in names]] for row in rows]
    return _table(
        ["", *[PEERS[name].title for name in names]],
        [["spans are kept in", *[PEERS[name].keeps for name in names]], *[line for line in lines if any(line[1:])]],
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


def tables(rounds: Rounds) -> str:
    """Return the tables of what was measured, and nothing else."""
    of_peers = [
        peers_table(rounds, rows)
        for rows in (OPENAI, LANGCHAIN, LLAMA_INDEX)
        if any(row.measurement in found for row in rows for found in rounds)
    ]
    of_autolog = [
        table(rounds) for name, table in (("ingest", ingest_table), ("queries", queries_table)) if name in rounds[0]
    ]
    return "\n\n".join([*of_peers, *of_autolog])


def _versions(rounds: Rounds) -> str:
    found = {}
    for library in LIBRARIES:
        for versions in rounds[0][key("versions", library)].values():
            found.update(versions)
    return ", ".join(f"{name} {version}" for name, version in found.items())


def page(rounds: Rounds) -> str:
    """Return the whole page."""
    stored = rounds[0]["queries"]["autolog"]
    traced = ", ".join(rounds[0]["import openai"]["autolog"]["imports"]) or "none"
    return f"""\
# Benchmarks

What tracing costs, by `make bench`: autolog and others side by side, {len(rounds)} rounds, each in new processes. Lower
is better. Every figure is the median of the rounds; \"extra\" is against the same calls without tracing right beside
them in the same process, less what \"no tracing\" shows in the same round. The column \"no tracing\" is what the calls
take by themselves.

## OpenAI

{peers_table(rounds, OPENAI)}

Of the libraries that it traces, `import autolog` imports: {traced}.

## LangChain and LangGraph

{peers_table(rounds, LANGCHAIN)}

## LlamaIndex

{peers_table(rounds, LLAMA_INDEX)}

## The store

{ingest_table(rounds)}

In a store of {stored["traces"]:,} traces, {stored["spans"]:,} spans, whose index of words is up to date:

{queries_table(rounds)}

## How it is measured

- **Calls** go through the OpenAI client to a transport in the same process that answers at once, with messages of 2 KB
  each. The caller's time is the median of the calls of a block, while the background works; CPU is the process's, until
  everything is flushed. Blocks with the tracer's patches and without alternate.
- **Runs** of frameworks are those of `programs_langchain.py` and `programs_llama_index.py`, with models that answer at
  once and in the same process. They are measured as calls are; what alternates are the tracer's patches and its places
  in the lists that the framework keeps of tracers. Langfuse's handler is passed to the runs, as it documents. It
  documents OpenInference's instrumentor for LlamaIndex, so there it has no column of its own. No tracer of model SDKs
  is on beside. \"Spans\" are what is kept of one run, counted where it is kept; switched off, it must be none.
- **The event loop**: a task that asks for its turn all the time, beside a run of two LangGraph nodes and a model with a
  state of 200 messages of 2 KB. The figure is the longest that it waited in a run, which includes what the framework
  does itself, and threads of the background that hold the interpreter.
- **Memory** is the resident memory of the process, after a flush and a collection; once, not every round. Every 250
  runs there is a flush. LangChain's and LlamaIndex' own is in the first column.
- **Who keeps what**: autolog and MLflow store in SQLite. The others make spans and batches, which are then thrown away:
  what they cost to send and store is not in their figures.
- **Set-up** is import, configuration and patching, after `import openai`; MLflow's includes making its database.
- **Own spans** are opened inside a trace, in bursts of a hundred with a flush after each, outside of the time. Filled ones
  get a request of four messages and an answer, a kilobyte each; the decorated function has three arguments.
- **Bursts** are made by one thread without a pause, traces open at once in a context each; what is kept is counted where
  it is kept, after a flush and for as long as the count grows. They run with the default limits of each.
- **The store** gets traces of eight spans with 1.6 KB of payload a span, one in a hundred with 50 KB: words drawn as
  often as in real text, so it packs about as well. Size is after a checkpoint.
- **Noise**: what \"switched off\" shows beside no tracing at all is the machine's, not autolog's.
- **Not measured**: networks and servers, OpenAI's asynchronous client, other Pythons and machines, other stores.

To repeat it: `make bench`, or `python benchmarks/run.py --quick` for two rounds, `--large` for a store of a million
traces, `--only` and `--peers` for a part of it. It makes the environments below `.benchmarks`, some gigabytes. What a
peer is, `peers.py` says; what is measured, `run.py` and `measure_*.py`; what the tables show, `report.py`.

## Where

{datetime.now(timezone.utc):%Y-%m-%d}, {os.cpu_count()} CPUs ({platform.machine()}), load average {os.getloadavg()[0]:.1f} at the end, Python
{platform.python_version()}, SQLite {sqlite3.sqlite_version}.
{_versions(rounds)}.
"""
