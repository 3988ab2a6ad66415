"""Measure autolog beside the others, and write docs/benchmarks.md.

Makes virtual environments below .benchmarks, one for each peer with OpenAI's SDK and one with the frameworks, then runs
each measurement in processes of their own, all peers in turn, several rounds of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

import report
from peers import LIBRARIES, PEERS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ENVIRONMENTS = ROOT / ".benchmarks"
FOREIGN = ("AUTOLOG_", "OTEL_", "MLFLOW_", "LANGFUSE_", "LANGSMITH_", "LANGCHAIN_", "TRACELOOP_")
"""Variables that would change what is measured."""
# A measurement is measure_NAME.py; with a library, it is made of every peer that traces that library.
OF_PEERS = (
    ("import", "openai"),
    ("call", "openai"),
    ("stream", "openai"),
    ("span", "openai"),
    ("burst", "openai"),
    ("runs", "langchain"),
    ("loop", "langchain"),
    ("runs", "llama_index"),
)
OF_PEERS_ONCE = (
    *[("versions", library) for library in LIBRARIES],
    ("memory", "langchain"),
    ("memory", "llama_index"),
)
OF_AUTOLOG = ("ingest", "queries")
NAMES = tuple(dict.fromkeys([*[name for name, _ in (*OF_PEERS, *OF_PEERS_ONCE)], *OF_AUTOLOG]))


def _environment(peer: str, library: str) -> str:
    """Return the name of its environment, which is that of its requirements too."""
    name = PEERS[peer].environment or peer
    return name if library == "openai" else f"{name}-frameworks"


def _python(environment: str) -> Path:
    folder = ENVIRONMENTS / environment
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _pip(environment: str, *arguments: str) -> None:
    command = [_python(environment), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, *arguments], check=True)


def prepare(environment: str) -> None:
    """Make the environment as its requirements say, unless it is so already."""
    requirements = HERE / "requirements" / f"{environment}.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    mark = ENVIRONMENTS / environment / "made-of"
    if not mark.exists() or mark.read_text() != wanted:
        print(f"installing {environment} …", flush=True)
        venv.create(ENVIRONMENTS / environment, clear=True, with_pip=True)
        _pip(environment, "-r", str(requirements))
        mark.write_text(wanted)
    if environment.startswith("autolog"):
        _install_checkout(environment)


def _install_checkout(environment: str) -> None:
    """Install this checkout as its users get it."""
    with tempfile.TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
        subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
        _pip(environment, "--force-reinstall", "--no-index", *map(str, Path(folder).glob("*.whl")))


def measure(measurement: str, peer: str, library: str, *arguments: str) -> dict[str, Any]:
    """Run one measurement in a new process and an empty folder; return what it found."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    began = time.monotonic()
    # On a disk: what is temporary is often kept in memory.
    with tempfile.TemporaryDirectory(dir=ENVIRONMENTS) as folder:
        done = subprocess.run(
            [_python(_environment(peer, library)), HERE / f"measure_{measurement}.py", *arguments],
            cwd=folder,
            env={**own, **PEERS[peer].variables, "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{measurement} of {peer} failed:\n{done.stderr}")
    print(f"  {measurement} {library}: {PEERS[peer].title}, {time.monotonic() - began:.0f} s", flush=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run_round(peers: list[str], only: list[str], traces: dict[str, int], *, is_first: bool) -> report.Round:
    """Measure once, all peers in turn."""
    found: report.Round = {}
    for measurement, library in (*(OF_PEERS_ONCE if is_first else ()), *OF_PEERS):
        if measurement not in only:
            continue
        of = found[report.key(measurement, library)] = {}
        for peer in _tracing(peers, library):
            if measurement in ("import", "versions") and PEERS[peer].environment:
                continue
            if measurement == "burst" and not PEERS[peer].keeps:
                continue
            of[peer] = measure(measurement, peer, library, peer, library)
    for measurement in OF_AUTOLOG:
        if measurement in only:
            found[measurement] = {"autolog": measure(measurement, "autolog", "openai", str(traces[measurement]))}
    return found


def _tracing(peers: list[str], library: str) -> list[str]:
    return [peer for peer in peers if library in PEERS[peer].traces]


def main() -> None:
    """Do all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two rounds, and nothing is written to docs")
    parser.add_argument("--large", action="store_true", help="search in a million traces, which takes 6 GB")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS), help="only these")
    parser.add_argument("--only", nargs="*", default=list(NAMES), choices=NAMES, help="only what these measure")
    options = parser.parse_args()

    peers = [name for name in PEERS if name in {"none", "autolog", *options.peers}]
    libraries = {library for name, library in (*OF_PEERS, *OF_PEERS_ONCE) if name in options.only} or {"openai"}
    ENVIRONMENTS.mkdir(exist_ok=True)
    for environment in dict.fromkeys(_environment(peer, one) for one in libraries for peer in _tracing(peers, one)):
        prepare(environment)
    traces = {"ingest": 5_000, "queries": 1_000_000 if options.large else 100_000}
    rounds: list[report.Round] = []
    for number in range(2 if options.quick else options.rounds):
        print(f"round {number + 1}", flush=True)
        rounds.append(run_round(peers, options.only, traces, is_first=number == 0))
        (ENVIRONMENTS / "rounds.json").write_text(json.dumps(rounds))
    is_whole = set(options.only) == set(NAMES)
    text = report.page(rounds) if is_whole else report.tables(rounds)
    print(text)
    if is_whole and not options.quick:
        (ROOT / "docs" / "benchmarks.md").write_text(text)


if __name__ == "__main__":
    main()
