"""The runs that are going on, by LangChain's ids, and which of them the code here belongs to."""

from __future__ import annotations

import sys
from contextvars import ContextVar, Token
from functools import partial
from typing import Any
from uuid import UUID
from weakref import ref

from autolog import Span, Status, semconv
from autolog.guard import guarded


class Run:
    """One run while it goes on."""

    # Defaults live on the class, which makes beginning one cheap.
    was_streamed: bool = False
    """Whether a part of the answer has come: from then on a model calls nothing more."""
    first_token_ns: int | None = None
    batch: list[UUID] | None = None
    """The runs of one call with several prompts, this one's among them."""
    scores: dict[int, float] | None = None
    """Of a retriever: what its vector store says of documents, by their identity."""
    interrupts: list[Any] | None = None
    """What a graph asked of a person before it stopped."""

    def __init__(self, span: Span, parent: Run | None) -> None:
        self.span = span
        self.parent = parent

    def abandon(self) -> None:
        """End the span of a run of whose end nobody can tell any more."""
        with guarded:
            if self.span.end_time_ns is None:
                self.span.set_attribute(semconv.ABANDONED, True)
                self.span.set_status(Status.CANCELLED)
                self.span.end()


class Runs:
    """All runs of the process, for as long as somebody holds their ids.

    Until then one that goes on may end, and one that ended may be the parent of work that it left behind.
    """

    def __init__(self) -> None:
        # By the number in an id: hashing the id itself takes a call of a Python function.
        self._open: dict[Any, tuple[ref[UUID] | None, Run]] = {}
        self._ended: dict[Any, tuple[ref[UUID] | None, Run]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, run_id: UUID, run: Run) -> None:
        """Note a run that started."""
        number = getattr(run_id, "int", run_id)  # which a program may give, as text too
        try:
            self._open[number] = ref(run_id, partial(self._forget, number)), run
        except TypeError:
            self._open[number] = None, run

    def get(self, run_id: UUID | None) -> Run | None:
        """Return a run that is going on."""
        found = self._open.get(getattr(run_id, "int", run_id))
        return None if found is None else found[1]

    def known(self, run_id: UUID | None) -> Run | None:
        """Return a run that is going on, or was and may have left work behind."""
        if run_id is None:
            return None
        number = getattr(run_id, "int", run_id)
        found = self._open.get(number) or self._ended.get(number)
        return None if found is None else found[1]

    def end(self, run_id: UUID) -> Run | None:
        """Return a run that ends now; `None` for one that is not known, or ended already."""
        number = getattr(run_id, "int", run_id)
        found = self._open.pop(number, None)
        if found is None:
            return None
        if found[0] is not None:
            self._ended[number] = found
        run = found[1]
        if run.batch is not None:
            run.batch = None  # which holds ids, its own among them
        return run

    def _forget(self, number: Any, reference: ref[UUID]) -> None:
        # Another run may have an equal id.
        if self._ended.get(number, _NOBODY)[0] is reference:
            del self._ended[number]
        left = self._open.get(number, _NOBODY)
        if left[0] is reference:
            del self._open[number]
            left[1].abandon()  # LangChain tells of no end where an event loop stops in the middle of a stream


_NOBODY: Any = (None, None)
runs = Runs()

# Set when a model or a retriever starts, where its own code will run, and never reset: whoever reads them asks whether
# the run is still going on.
_model: ContextVar[Run | None] = ContextVar("autolog-langchain-model", default=None)
_retriever: ContextVar[Run | None] = ContextVar("autolog-langchain-retriever", default=None)
enter_model = _model.set
enter_retriever = _retriever.set
# Of a graph's node: before Python 3.11 its own code has a context that LangGraph can't write into.
_node: ContextVar[Run | None] = ContextVar("autolog-langchain-node", default=None)
enter_node = _node.set
_config_here: Any = None


def leave_model(token: Token[Run | None]) -> None:
    """Take back what `enter_model` did."""
    try:
        _model.reset(token)
    except ValueError:  # a coroutine that was closed from another context
        return


def config_here() -> Any:
    """Return the configuration that LangChain puts into the context of all that it calls, or `None`."""
    global _config_here
    if _config_here is None:
        # Looked up late: LangChain's callbacks may be there before this module is.
        module = sys.modules.get("langchain_core.runnables.config")
        variable = getattr(module, "var_child_runnable_config", None)
        if variable is None:
            return None
        _config_here = variable.get
    return _config_here()


def enclosing_run() -> Span | None:
    """Return the span of the run whose code runs here, as LangChain's context names it."""
    config = config_here()
    if not config:
        return None
    run = runs.known(getattr(config.get("callbacks"), "parent_run_id", None))
    return None if run is None else run.span


def running_model() -> Span | None:
    """Return the span of the model whose own code runs here: LangChain's context still names the run around it."""
    run = _model.get()
    return None if run is None or run.was_streamed or run.span.end_time_ns is not None else run.span


def running_retriever() -> Span | None:
    """Return the span of the retriever whose own code runs here, for the same reason."""
    run = open_retriever()
    return None if run is None else run.span


def running_node() -> Span | None:
    """Return the span of the graph's node whose own code runs here."""
    run = _node.get()
    return None if run is None or run.span.end_time_ns is not None else run.span


def open_retriever() -> Run | None:
    """Return the retriever that runs here."""
    run = _retriever.get()
    return None if run is None or run.span.end_time_ns is not None else run
