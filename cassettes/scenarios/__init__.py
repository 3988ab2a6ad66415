"""The calls that the cassettes hold: recorder and tests run the same functions, so neither can drift from the other.

OpenAI's scenarios go by a plain name, such as `chat`; those of a framework by `langchain/invoke`. A framework is
imported when one of its scenarios is asked for, and not before.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cassettes.cassette import RECORDER, path_of
from cassettes.scenarios.openai import SCENARIOS
from cassettes.scenarios.scenario import EMBEDDING_MODEL, MODEL, Scenario, Servers, is_installed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "EMBEDDING_MODEL",
    "MODEL",
    "SCENARIOS",
    "Scenario",
    "Servers",
    "installed",
    "play",
    "replay",
    "scenarios_of",
]

NEEDED = {
    "openai": ("openai",),
    "langchain": ("langchain", "langchain-openai"),
    "llama_index": ("llama-index-llms-openai-like", "llama-index-embeddings-openai"),
}
"""The libraries that have scenarios, and what must be installed for theirs to be imported."""


def installed() -> list[str]:
    """Return the libraries whose scenarios can be played here."""
    return [library for library, needed in NEEDED.items() if all(map(is_installed, needed))]


def scenarios_of(library: str) -> dict[str, Scenario]:
    """Return the scenarios of a library, which must be installed."""
    scenarios: dict[str, Scenario] = import_module(f"cassettes.scenarios.{library}").SCENARIOS
    return scenarios


def find(name: str) -> Scenario:
    """Return the scenario of a name, whichever library it belongs to."""
    library, _, _ = name.rpartition("/")
    return scenarios_of(library or "openai")[name]


@contextmanager
def replay(name: str, **options: Any) -> Iterator[Any]:
    """Give what the scenario's `run` takes, answered from its cassette; any other request fails.

    That is an OpenAI client, made with the options, or the `Servers` for a framework to call. A request fails with
    vcrpy's `CannotOverwriteExistingCassetteException`, from which openai 1 and 2 make an `APIConnectionError`.
    """
    scenario = find(name)
    with RECORDER.use_cassette(path_of(name)):
        yield scenario.subject(Servers(), **options)


def play(name: str) -> Any:
    """Replay a scenario to its end; return its result, or the error that it is meant to raise.

    It runs a loop of its own for an async scenario: inside a running one, `await` its `run` in a `replay`.
    """
    scenario = find(name)
    with RECORDER.use_cassette(path_of(name)) as cassette:
        result = scenario.play(Servers())
    if not cassette.all_played:
        raise AssertionError(f"{name}: only {cassette.play_count} of {len(cassette)} recorded requests were made")
    return result
