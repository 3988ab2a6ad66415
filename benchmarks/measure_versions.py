"""The versions of what is compared, as they are installed."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from peers import PEERS


def main() -> None:
    """Ask for each distribution of the peer that this environment has."""
    found = {}
    for name in PEERS[sys.argv[1]].distributions:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
