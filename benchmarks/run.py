"""Measure autolog beside the others, and write docs/benchmarks.md.

Makes one virtual environment a library below .benchmarks, then runs each measurement in processes of their own, all
libraries in turn, several rounds of it.
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
from peers import PEERS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ENVIRONMENTS = ROOT / ".benchmarks"
OF_ALL = ("import", "call", "stream", "span")
OF_AUTOLOG = ("ingest", "queries")


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
    if environment == "autolog":
        _install_checkout()


def _install_checkout() -> None:
    """Install this checkout as its users get it."""
    with tempfile.TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
        subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
        _pip("autolog", "--force-reinstall", "--no-index", *map(str, Path(folder).glob("*.whl")))


def measure(measurement: str, peer: str, *arguments: str) -> dict[str, Any]:
    """Run one measurement in a new process and an empty folder; return what it found."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOLOG_", "OTEL_", "MLFLOW_"))}
    began = time.monotonic()
    # On a disk: what is temporary is often kept in memory.
    with tempfile.TemporaryDirectory(dir=ENVIRONMENTS) as folder:
        done = subprocess.run(
            [_python(PEERS[peer].environment or peer), HERE / f"measure_{measurement}.py", *arguments],
            cwd=folder,
            env={**own, **PEERS[peer].variables, "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{measurement} of {peer} failed:\n{done.stderr}")
    print(f"  {measurement}: {PEERS[peer].title}, {time.monotonic() - began:.0f} s", flush=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run_round(names: list[str], ingested: int, stored: int) -> dict[str, Any]:
    """Measure everything once, all libraries in turn."""
    found: dict[str, Any] = {}
    for measurement in OF_ALL:
        found[measurement] = {}
        for name in names:
            if measurement == "import" and PEERS[name].environment:
                continue
            found[measurement][name] = measure(measurement, name, name)
    for measurement, traces in zip(OF_AUTOLOG, (ingested, stored), strict=True):
        found[measurement] = {"autolog": measure(measurement, "autolog", str(traces))}
    return found


def main() -> None:
    """Do all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two rounds, and nothing is written to docs")
    parser.add_argument("--large", action="store_true", help="search in a million traces, which takes 6 GB")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS), help="only these")
    options = parser.parse_args()

    names = [name for name in PEERS if name in {"none", "autolog", *options.peers}]
    ENVIRONMENTS.mkdir(exist_ok=True)
    for environment in dict.fromkeys(PEERS[name].environment or name for name in names):
        prepare(environment)
    rounds = []
    for number in range(2 if options.quick else options.rounds):
        print(f"round {number + 1}", flush=True)
        rounds.append(run_round(names, 5_000, 1_000_000 if options.large else 100_000))
        (ENVIRONMENTS / "rounds.json").write_text(json.dumps(rounds))
    text = report.page(rounds)
    print(text)
    if not options.quick:
        (ROOT / "docs" / "benchmarks.md").write_text(text)


if __name__ == "__main__":
    main()
