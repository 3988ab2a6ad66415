"""Milliseconds that the import takes, which of the traced libraries it imports, and what is installed for it."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from importlib.metadata import distributions
from pathlib import Path

from peers import PEERS

_RUNS = 15
_TRACED = ("openai", "httpx", "httpx2", "langchain", "langchain_core", "llama_index", "pydantic")


def _milliseconds(statement: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, capture_output=True)
    return (time.perf_counter() - began) * 1e3


def _imported(statement: str) -> list[str]:
    shown = f"{statement}\nimport sys\nprint([name for name in {_TRACED} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", shown], check=True, capture_output=True, text=True)
    return [name for name in _TRACED if repr(name) in done.stdout.splitlines()[-1]]


def _installed_bytes() -> int:
    folder = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    pip = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence.pth")
    parts = [part for part in folder.iterdir() if not part.name.startswith(pip)]
    files = [file for part in parts for file in ([part] if part.is_file() else part.rglob("*"))]
    # Without what Python itself wrote, which depends on what ran.
    return sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc")


def main() -> None:
    """Import it many times in new processes, each beside one that imports nothing."""
    peer = PEERS[sys.argv[1]]
    _milliseconds(peer.statement)
    took = [_milliseconds(peer.statement) - _milliseconds("pass") for _ in range(_RUNS)]
    names = {found.name for found in distributions()} - {"pip", "setuptools"}
    found = {
        "import": statistics.median(took),
        "imports": _imported(peer.statement),
        "packages": len(names),
        "megabytes": _installed_bytes() / 1e6,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
