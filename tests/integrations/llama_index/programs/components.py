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
from tests.fakes.llama_index_models import HELLO, openai
from tests.integrations.llama_index.programs.models import PROMPT
from tests.integrations.llama_index.programs.program import OPENAI, gives

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


# --- beside LangChain --------------------------------------------------------------------------------

LANGCHAIN = ("langchain-core>=1", "langchain-openai", *OPENAI)


def langchain_model(server):
    from langchain_openai import ChatOpenAI

    http_client = server.client()._client
    return ChatOpenAI(model="gpt-4o", api_key="sk-fake-0123456789", http_client=http_client, max_retries=0)


@gives(
    """
    OK 11>7
    CHAIN ask
      UNKNOWN inside
        CHAT_MODEL OpenAI.chat 11>7
          CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=LANGCHAIN,
)
def langchain_around_llama_index(server):
    from langchain_core.runnables import RunnableLambda

    def ask(text):
        with start_span("inside"):
            return str(openai(server).chat(HELLO)) + text

    return RunnableLambda(ask, name="ask").invoke("!")


@gives(
    """
    OK 11>7
    CHAIN ask
      CHAT_MODEL OpenAI.achat 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=LANGCHAIN,
)
async def langchain_around_llama_index_async(server):
    from langchain_core.runnables import RunnableLambda

    async def ask(text):
        return str(await openai(server).achat(HELLO)) + text

    return await RunnableLambda(ask, name="ask").ainvoke("!")


@gives(
    """
    OK
    CHAIN ask
      CHAT_MODEL OpenAI.stream_chat
        CHAT_MODEL chat gpt-4o (duplicate)
    """,
    needs=LANGCHAIN,
)
def langchain_around_a_stream_of_llama_index(server):
    from langchain_core.runnables import RunnableLambda

    def ask(text):
        return [piece.delta for piece in openai(server).stream_chat(HELLO)]

    return RunnableLambda(ask, name="ask").invoke("!")


@gives(
    """
    OK 11>7
    TOOL ask
      CHAT_MODEL ChatOpenAI 11>7
        CHAT_MODEL chat gpt-4o 11>7 (duplicate)
    """,
    needs=LANGCHAIN,
)
def llama_index_around_langchain(server):
    from llama_index.core.tools import FunctionTool

    def ask(text: str) -> str:
        """Ask LangChain's model."""
        return langchain_model(server).invoke(text).content

    return str(FunctionTool.from_defaults(ask).call(text="Hello"))


@gives(
    """
    OK
    RETRIEVER Chained.retrieve
      CHAIN RunnableSequence
        CHAIN upper
        CHAIN split
    """,
    needs=LANGCHAIN,
)
def a_chain_inside_of_a_retriever(server):
    from langchain_core.runnables import RunnableLambda

    class Chained(BaseRetriever):
        def _retrieve(self, query_bundle):
            words = (RunnableLambda(str.upper, name="upper") | RunnableLambda(str.split, name="split")).invoke("a b")
            return [NodeWithScore(node=TextNode(id_=word, text=word), score=1.0) for word in words]

    return [found.node.text for found in Chained().retrieve("x")]
