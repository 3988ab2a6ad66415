"""`python -m autolog` is the command `autolog`."""

from __future__ import annotations

from autolog.cli import main

main()
