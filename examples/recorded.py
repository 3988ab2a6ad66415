"""What the examples share: where their recorded traffic is, and a command line that chooses it or a live model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

CASSETTES = Path(__file__).parents[1] / "cassettes"
CHAT_URL = "http://127.0.0.1:8102/v1"
EMBEDDING_URL = "http://127.0.0.1:8103/v1"


def recorded_traffic(name: str) -> Any:
    """Answer requests from a recording for as long as a block lasts; one that is not in it fails."""
    import vcr  # a live run does without it

    matched = ("method", "scheme", "host", "port", "path", "query", "body")
    return vcr.use_cassette(CASSETTES / f"{name}.yaml", record_mode="none", match_on=matched)


def parse_arguments(program: str, asked: str | list[str], **models: str) -> argparse.Namespace:
    """Read the command line: whether to run live, and what to ask of which models then; else it is as recorded."""
    parser = argparse.ArgumentParser(description=program.splitlines()[0])
    parser.add_argument("asked", nargs="?" if isinstance(asked, str) else "*", metavar="question", default=asked)
    parser.add_argument("--live", action="store_true", help="ask a real endpoint instead of the recording")
    for option, name in models.items():
        parser.add_argument(f"--{option.replace('_', '-')}", default=name, help="default: %(default)s")
    arguments = parser.parse_args()
    if not arguments.live and vars(arguments) != {"asked": asked, "live": False, **models}:
        parser.error("the recording has its own question and models; add --live to choose yours")
    return arguments
