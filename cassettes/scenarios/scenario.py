"""What a scenario is, and what those of several libraries speak of."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from pydantic import BaseModel

from cassettes.cassette import RECORDED_EMBEDDING_URL, RECORDED_URL

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

MODEL = "smollm2-135m-instruct"
EMBEDDING_MODEL = "all-minilm-l6-v2"

QUESTION = "What is the capital of France?"
ALICE = "Alice is 30 years old. Give her name and age."
NOTES = (
    "The observatory is open from Wednesday to Sunday, from 2 in the afternoon until 10 at night.",
    "A ticket costs 12 euros for adults and 5 euros for children.",
    "Bus number 7 leaves from the railway station every half hour.",
)
"""What the retrieving scenarios retrieve from."""


class Person(BaseModel):
    """A person of whom a text speaks."""

    name: str
    age: int


def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    return f"sunny, 18 degrees Celsius in {city}"


def get_population(city: str) -> str:
    """Look up how many people live in a city."""
    return f"14 million people live in {city}."


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the models answer: in the cassettes, unless something is being recorded."""

    chat_url: str = RECORDED_URL
    embedding_url: str = RECORDED_EMBEDDING_URL
    api_key: str = "sk-local"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A few calls, made through a library that is told where the servers are."""

    run: Callable[[Any], Any]
    """Takes the servers; returns what the caller got. It may be a coroutine function."""

    library: str
    """Its module here, and the folder of its cassettes."""

    needs: tuple[str, ...] = ()
    """What must be installed besides its library, or how new that must be to make the same calls."""

    python: tuple[int, int] = (3, 10)
    """The oldest Python under which the library makes the same calls."""

    error: tuple[type[Exception], ...] = ()
    """What the calls raise, if they are meant to fail."""

    @property
    def name(self) -> str:
        """What it is called by, and its cassette too: `langchain/invoke`."""
        return f"{self.library}/{self.run.__name__}"

    @property
    def is_async(self) -> bool:
        """Whether what `run` returns must be awaited."""
        return inspect.iscoroutinefunction(self.run)

    @property
    def is_supported(self) -> bool:
        """Whether what is installed can make the calls."""
        return sys.version_info >= self.python and all(map(is_installed, self.needs))

    def subject(self, servers: Servers) -> Any:
        """Return what `run` takes."""
        return servers

    def play(self, servers: Servers, run: Callable[[Any], Any] = asyncio.run) -> Any:
        """Run the scenario to its end; return its result, or the error that it is meant to raise.

        A coroutine is awaited by `run`. The recorder gives a loop that goes on: LangChain keeps its connections from
        one model object to the next.
        """
        try:
            result = self.run(self.subject(servers))
            return run(result) if self.is_async else result
        except self.error as error:
            return error


def is_installed(needed: str) -> bool:
    """Tell whether a distribution is installed, in one of the versions asked for: `langchain>=1.1`."""
    requirement = Requirement(needed)
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False


def load_example(name: str) -> ModuleType:
    """Import one of the examples, which finds what lies beside it as if it had been started by itself."""
    path = Path(__file__).parents[2] / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module
