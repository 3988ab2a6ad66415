"""Programs that use a library, with the traces that they must give; run traced or not, they must do the same."""

from __future__ import annotations

import asyncio
import gc
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from textwrap import dedent
from typing import Any

from packaging.requirements import Requirement

from tests.fakes.openai_server import FakeOpenAI
from tests.trees import forest, sorted_by_text

HELLO = [{"role": "user", "content": "Hello"}]
# Made up anew in each run: ids of all kinds, addresses, times.
_MADE_UP = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b|0x[0-9a-f]+|(?<=run_id=')\w+"
)


@dataclass(frozen=True)
class Outcome:
    """What the program got, and what the server was asked, as text."""

    result: str
    requests: list[str]


@dataclass(frozen=True)
class Program:
    """A function of the fake server, and the forest that it gives."""

    run: Callable[[FakeOpenAI], Any]
    forest: str | None
    """`None` where an older version of the library goes another way."""
    is_parallel: bool
    """Whether steps of it run side by side, in no order that is known beforehand."""

    def gave(self, client: Any) -> str:
        """Return what was traced, comparable with the `forest`."""
        return sorted_by_text(forest(client)) if self.is_parallel else forest(client)

    def play(self) -> Outcome:
        """Run it to its end, by itself."""
        server = FakeOpenAI()
        try:
            result = self.run(server)
            if inspect.iscoroutine(result):
                result = asyncio.run(result)
        except Warning:
            raise  # which the test run makes an error
        except Exception as error:
            result = _described(error)
        gc.collect()  # what the program let go of is gone
        requests = [f"{one.method} {one.path} {one.query} {one.headers} {one.content!r}" for one in server.requests]
        requests = [_numbered(one) for one in requests]
        return Outcome(_numbered(repr(result)), sorted(requests) if self.is_parallel else requests)


class Programs(dict[str, Program]):
    """Programs by their names."""

    def gives(
        self, traces: str, *, is_parallel: bool = False, needs: tuple[str, ...] = (), since: tuple[str, ...] = ()
    ) -> Callable[[Any], Any]:
        """Say which traces the program below gives, with these versions or later ones.

        It is left out where what it `needs` is not installed.
        """

        def note(run: Any) -> Any:
            if all(map(is_installed, needs)):
                text = dedent(traces).strip()
                text = sorted_by_text(text) if is_parallel else text
                self[run.__name__] = Program(run, text if all(map(is_installed, since)) else None, is_parallel)
            return run

        return note


def _described(error: BaseException | None) -> Any:
    if error is None:
        return None
    return type(error), str(error), _described(error.__cause__), _described(error.__context__)


def _numbered(text: str) -> str:
    """Replace what is made up anew in each run by its number, in the order of appearance."""
    known: dict[str, str] = {}
    return _MADE_UP.sub(lambda found: known.setdefault(found.group(), f"#{len(known)}"), text)


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
