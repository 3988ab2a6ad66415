"""Components of the program's own: retrievers, rerankers, engines, functions that LlamaIndex's dispatcher is put on."""

from __future__ import annotations

import asyncio

from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import MockLLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import CustomQueryEngine, RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode

from autolog import start_span
from tests.integrations.llama_index.programs.models import PROMPT
from tests.integrations.llama_index.programs.program import gives

dispatcher = get_dispatcher(__name__)


class Shelf(BaseRetriever):
    def _retrieve(self, query_bundle):
        with start_span("look"):
            return [NodeWithScore(node=TextNode(id_="1", text="one"), score=0.5)]


class Turned(BaseNodePostprocessor):
    def _postprocess_nodes(self, nodes, query_bundle=None):
        return nodes[::-1]


class Librarian(CustomQueryEngine):
    shelf: Shelf
    llm: MockLLM

    def custom_query(self, query_str):
        self.shelf.retrieve(query_str)
        return self.llm.predict(PROMPT, who=query_str)


@gives(
    """
    OK
    RETRIEVER Shelf.retrieve
      UNKNOWN look
    """,
)
def own_retriever(server):
    return [found.node.text for found in Shelf().retrieve("anything")]


@gives(
    """
    OK
    RETRIEVER Shelf.aretrieve
      UNKNOWN look
    """,
)
async def own_retriever_async(server):
    return [found.node.text for found in await Shelf().aretrieve("anything")]


@gives(
    """
    OK
    CHAIN RetrieverQueryEngine.query
      RETRIEVER Shelf.retrieve
        UNKNOWN look
      RERANKER Turned.postprocess_nodes
      CHAIN CompactAndRefine.synthesize
        LLM MockLLM.complete
    """,
)
def own_reranker(server):
    engine = RetrieverQueryEngine.from_args(Shelf(), llm=MockLLM(), node_postprocessors=[Turned()])
    return str(engine.query("anything"))


@gives(
    """
    OK
    CHAIN Librarian.query
      RETRIEVER Shelf.retrieve
        UNKNOWN look
      LLM MockLLM.complete
    """,
)
def own_query_engine(server):
    return str(Librarian(shelf=Shelf(), llm=MockLLM()).query("Ada"))


@dispatcher.span
def helper(number):
    with start_span("inside"):
        return number + 1


@dispatcher.span
async def helper_async(number):
    await asyncio.sleep(0)
    return helper(number)


class Desk:
    @dispatcher.span
    def work(self, number):
        return helper(number)


@gives(
    """
    OK
    TASK helper
      UNKNOWN inside

    OK
    TASK Desk.work
      TASK helper
        UNKNOWN inside
    """,
)
def own_functions(server):
    return helper(1), Desk().work(2)


@gives(
    """
    OK
    UNKNOWN request
      TASK helper_async
        TASK helper
          UNKNOWN inside
      TASK helper_async
        TASK helper
          UNKNOWN inside
    """,
    is_parallel=True,
)
async def own_functions_side_by_side(server):
    with start_span("request"):
        return await asyncio.gather(helper_async(1), helper_async(2))


@gives(
    """
    OK
    TASK start
      TASK helper
        UNKNOWN inside
    """,
)
async def task_that_outlives_the_step_that_started_it(server):
    @dispatcher.span
    async def start():
        async def later():
            await asyncio.sleep(0.01)
            return helper(1)

        return asyncio.create_task(later())

    return await (await start())


@gives(
    """
    ERROR
    TASK around ERROR ValueError
      TASK fail ERROR ValueError
    """,
)
def own_function_that_fails(server):
    @dispatcher.span
    def fail():
        raise ValueError("bad")

    @dispatcher.span
    def around():
        fail()

    try:
        around()
    except ValueError as error:
        return str(error)
