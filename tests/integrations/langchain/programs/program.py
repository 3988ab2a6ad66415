"""A program that uses LangChain, with the traces that it must give; run traced or not, it must do the same."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from textwrap import dedent
from typing import Any

from packaging.requirements import Requirement

from tests.trees import forest, sorted_by_text

with suppress(ImportError):  # without openai there is no server, and programs that need it are left out
    from tests.fakes.openai_server import FakeOpenAI

HELLO = [{"role": "user", "content": "Hello"}]
# Made up anew in each run: ids of runs, messages, checkpoints and interrupts; addresses.
_MADE_UP = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b|0x[0-9a-f]+")


@dataclass(frozen=True)
class Outcome:
    """What the program got, and what the server was asked, as text."""

    result: str
    requests: list[str]


@dataclass(frozen=True)
class Program:
    """A function of the fake server, and the forest that it gives."""

    run: Callable[[FakeOpenAI], Any]
    forest: str
    is_parallel: bool
    """Whether steps of it run side by side, in no order that is known beforehand."""

    def gave(self, client: Any) -> str:
        """Return what was traced, comparable with the `forest`."""
        text = without_edges(forest(client))
        return sorted_by_text(text) if self.is_parallel else text

    def play(self) -> Outcome:
        """Run it to its end, by itself."""
        server = FakeOpenAI() if is_installed("openai") else None
        try:
            result = self.run(server)
            if inspect.iscoroutine(result):
                result = asyncio.run(result)
        except Exception as error:
            result = _described(error)
        received = server.requests if server else []
        requests = [f"{one.method} {one.path} {one.query} {one.headers} {one.content!r}" for one in received]
        return Outcome(numbered(repr(result)), sorted(requests) if self.is_parallel else requests)


def _described(error: BaseException | None) -> Any:
    if error is None:
        return None
    return type(error), str(error), _described(error.__cause__), _described(error.__context__)


def numbered(text: str) -> str:
    """Replace what is made up anew in each run by its number, in the order of appearance."""
    known: dict[str, str] = {}
    return _MADE_UP.sub(lambda found: known.setdefault(found.group(), f"#{len(known)}"), text)


PROGRAMS: dict[str, Program] = {}


def gives(traces: str, *, is_parallel: bool = False, needs: tuple[str, ...] = ()) -> Callable[[Any], Any]:
    """Say which traces the program below gives; it is left out where what it `needs` is not installed."""

    def note(run: Any) -> Any:
        if all(map(is_installed, needs)):
            text = as_installed(traces)
            PROGRAMS[run.__name__] = Program(run, sorted_by_text(text) if is_parallel else text, is_parallel)
        return run

    return note


def as_installed(forest: str) -> str:
    """Return a forest as the installed langchain-openai gives it.

    Older ones raise the SDK's own errors, and have no step that looks for a refusal.
    """
    lines = dedent(forest).strip().split("\n")
    if not _HAS_OWN_ERRORS:
        lines = [re.sub(r"ERROR OpenAI(\w+)", lambda found: f"ERROR {_OF_THE_SDK[found[1]]}", line) for line in lines]
    if not _CHECKS_REFUSALS:
        lines = [line for line in lines if "_check_refusal" not in line]
    return "\n".join(lines)


_OF_THE_SDK = {
    "AuthenticationError": "AuthenticationError",
    "InvalidRequestError": "BadRequestError",
    "RateLimitError": "RateLimitError",
    "TimeoutError": "APITimeoutError",
}


def without_edges(forest: str) -> str:
    """Return a forest without the steps between the nodes of LangChain's agents, which its first version shows."""
    return forest if _HIDES_EDGES else _EDGE.sub("", forest)


def _hides_edges() -> bool:
    try:
        source = inspect.getsource(import_module("langchain.agents.factory"))
    except ImportError:
        return True
    return re.search(r"RunnableCallable\(\s*_make_model_to_tools_edge", source) is not None


_EDGE = re.compile(r"\n +CHAIN \w+_to_\w+")
_HIDES_EDGES = _hides_edges()


def _of_langchain_openai(name: str) -> bool:
    try:
        return hasattr(import_module("langchain_openai.chat_models.base"), name)
    except ImportError:
        return False


_HAS_OWN_ERRORS = _of_langchain_openai("OpenAIRateLimitError")
_CHECKS_REFUSALS = _of_langchain_openai("_check_refusal")


def is_installed(needed: str) -> bool:
    """Tell whether a distribution is installed, in one of the versions asked for: `langchain>=1.1`."""
    requirement = Requirement(needed)
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False


def ask(server: FakeOpenAI) -> str:
    """Call the SDK directly, as a program may do anywhere."""
    return server.client().chat.completions.create(model="gpt-4o", messages=HELLO).choices[0].message.content


async def ask_async(server: FakeOpenAI) -> str:
    answer = await server.async_client().chat.completions.create(model="gpt-4o", messages=HELLO)
    return answer.choices[0].message.content
