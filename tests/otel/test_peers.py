"""Real instrumentations of others, beside ours or instead of them: whole trees, and tokens counted once."""

from __future__ import annotations

import sys
import threading
import urllib.request
from contextlib import contextmanager

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind

import autolog as al
from autolog import SpanType, autolog
from autolog.model.chat import answered, asked
from autolog.testing import spans, traces
from tests.programs import HELLO
from tests.trees import forest, the

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


@pytest.fixture
def server():
    pytest.importorskip("openai")
    from tests.fakes.openai_server import FakeOpenAI

    return FakeOpenAI()


@pytest.fixture
def instrument(provider):
    """Turn on an instrumentation by the name of its module and of its class, for the test."""
    turned_on = []

    def instrument(name, kind):
        instrumentor = getattr(pytest.importorskip(name), kind)()
        before = methods_of_openai()
        instrumentor.instrument(tracer_provider=provider)
        turned_on.append((instrumentor, before))

    yield instrument
    for instrumentor, before in reversed(turned_on):
        instrumentor.uninstrument()
        # OpenLLMetry leaves what it has patched.
        for owner, methods in before.items():
            for name, method in vars(owner).copy().items():
                if name in methods and methods[name] is not method and callable(method):
                    setattr(owner, name, methods[name])


def methods_of_openai():
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("openai.resources.")]
    owners = {kind for module in modules for kind in vars(module).values() if isinstance(kind, type)}
    return {owner: dict(vars(owner)) for owner in owners if owner.__module__.startswith("openai.resources.")}


# What others warn of is no concern of ours.
pytestmark = pytest.mark.filterwarnings("ignore")


OPENINFERENCE = "openinference.instrumentation.openai", "OpenAIInstrumentor"
OPENLLMETRY = "opentelemetry.instrumentation.openai", "OpenAIInstrumentor"
OPENINFERENCE_LANGCHAIN = "openinference.instrumentation.langchain", "LangChainInstrumentor"
OPENLLMETRY_LANGCHAIN = "opentelemetry.instrumentation.langchain", "LangchainInstrumentor"
OPENINFERENCE_LLAMA_INDEX = "openinference.instrumentation.llama_index", "LlamaIndexInstrumentor"


def ask(server, **options):
    return server.client().chat.completions.create(model="gpt-4o", messages=HELLO, **options)


# --- the OpenAI SDK ------------------------------------------------------------------------------------------


def test_openinference_alone(client, server, instrument):
    instrument(*OPENINFERENCE)
    with al.start_span("own"):
        ask(server, tools=TOOLS, temperature=0.5)
        server.client().responses.create(model="gpt-4o", input="Hi", instructions="Be brief")
        server.client().embeddings.create(model="text-embedding-3-small", input=["a", "b"])

    assert forest(client) == (
        "OK 27>14\nUNKNOWN own\n  CHAT_MODEL ChatCompletion 11>7\n  CHAT_MODEL Response 11>7\n  EMBEDDING CreateEmbeddings 5>None"
    )
    chat = the(client, "ChatCompletion")
    assert asked(chat.inputs).messages[0].text == "Hello"
    assert asked(chat.inputs).tools[0]["name"] == "weather"
    assert answered(chat.outputs)[0].tool_calls[0].name == "weather"
    assert (chat.provider, chat.get_attribute("gen_ai.request.temperature")) == ("openai", 0.5)
    assert (chat.usage.cache_read_tokens, chat.usage.reasoning_tokens) == (3, 4)
    assert answered(the(client, "Response").outputs)[0].text == "Hello there, world"
    assert the(client, "CreateEmbeddings").outputs == {"embeddings": {"count": 2, "dimension": 3}}
    assert not [name for name in chat.attributes if name.startswith("llm.")]


PEERS = pytest.mark.parametrize(
    ("peer", "name"),
    [(OPENINFERENCE, "ChatCompletion"), (OPENLLMETRY, "openai.chat")],
    ids=["openinference", "openllmetry"],
)


@PEERS
def test_anothers_and_ours_are_one_call_whichever_is_outside(client, server, instrument, peer, name):
    instrument(*peer)
    autolog("openai")
    ask(server)
    autolog("openai", log_traces=False)
    autolog("openai")
    ask(server)

    outside = f"OK 11>7\nCHAT_MODEL {name} 11>7\n  CHAT_MODEL chat gpt-4o 11>7 (duplicate)"
    inside = f"OK 11>7\nCHAT_MODEL chat gpt-4o 11>7\n  CHAT_MODEL {name} 11>7 (duplicate)"
    assert set(forest(client).split("\n\n")) <= {outside, inside}


@PEERS
def test_ours_first_and_then_anothers_are_one_call_too(client, server, instrument, peer, name):
    autolog("openai")
    instrument(*peer)
    ask(server)
    assert forest(client) == f"OK 11>7\nCHAT_MODEL {name} 11>7\n  CHAT_MODEL chat gpt-4o 11>7 (duplicate)"


@PEERS
@pytest.mark.parametrize("duplicates", ["merge", "drop"])
@pytest.mark.parametrize("is_first", [True, False])
def test_anothers_and_ours_can_be_one_span(client, server, instrument, peer, name, duplicates, is_first):
    if is_first:
        instrument(*peer)
    autolog("openai", duplicates=duplicates)
    if not is_first:
        instrument(*peer)
    ask(server)
    assert forest(client) in (f"OK 11>7\nCHAT_MODEL {name} 11>7", "OK 11>7\nCHAT_MODEL chat gpt-4o 11>7")
    if duplicates == "merge":
        [span] = spans(client)
        assert span.get_attribute("gen_ai.response.id") == "chatcmpl-1"
        assert span.get_attribute("otel.scope.name") is not None


def test_openinference_streams(client, server, instrument):
    instrument(*OPENINFERENCE)
    list(ask(server, stream=True, stream_options={"include_usage": True}))
    assert forest(client) == "OK 11>7\nCHAT_MODEL ChatCompletion 11>7"
    assert answered(spans(client)[0].outputs)[0].text == "Hello there, world"


def test_openinference_fails(client, server, instrument):
    instrument(*OPENINFERENCE)
    server.script(400)
    with pytest.raises(Exception, match="400"):
        ask(server)
    assert forest(client) == "ERROR\nCHAT_MODEL ChatCompletion ERROR BadRequestError"


def test_openllmetry_alone(client, server, instrument):
    instrument(*OPENLLMETRY)
    with al.start_span("own"):
        ask(server, tools=TOOLS)
        server.client().embeddings.create(model="text-embedding-3-small", input=["a", "b"])
        server.client().completions.create(model="gpt-3.5-turbo-instruct", prompt="Say")

    assert forest(client) == (
        "OK 18>10\nUNKNOWN own\n  CHAT_MODEL openai.chat 11>7\n  EMBEDDING openai.embeddings 5>None\n  LLM openai.completion 2>3"
    )
    chat = the(client, "openai.chat")
    assert asked(chat.inputs).messages[0].text == "Hello"
    assert asked(chat.inputs).tools[0]["name"] == "weather"
    assert answered(chat.outputs)[0].tool_calls[0].arguments == {"city": "Paris"}
    assert (chat.usage.reasoning_tokens, chat.usage.total_tokens) == (4, 18)
    assert the(client, "openai.embeddings").inputs == {"input": ["a", "b"]}


# --- LangChain -----------------------------------------------------------------------------------------------


def chain(server):
    prompts = pytest.importorskip("langchain_core.prompts")
    from langchain_core.output_parsers import StrOutputParser
    from langchain_openai import ChatOpenAI

    client = server.client()
    model = ChatOpenAI(model="gpt-4o", api_key="x", client=client.chat.completions, root_client=client)
    return prompts.ChatPromptTemplate.from_template("Say {word}") | model | StrOutputParser()


def test_openinferences_chain_and_our_openai(client, server, instrument):
    instrument(*OPENINFERENCE_LANGCHAIN)
    autolog("openai")
    with al.start_span("own"):
        chain(server).invoke({"word": "hi"})

    assert forest(client) == (
        "OK 11>7\nUNKNOWN own\n  CHAIN RunnableSequence\n    PROMPT ChatPromptTemplate\n    CHAT_MODEL ChatOpenAI 11>7\n"
        "      CHAT_MODEL chat gpt-4o 11>7\n    CHAIN StrOutputParser"
    )
    model = the(client, "ChatOpenAI")
    assert (asked(model.inputs).messages[0].text, answered(model.outputs)[0].text) == ("Say hi", "Hello there, world")


def test_openinferences_agent_and_our_openai(client, server, instrument):
    agents = pytest.importorskip("langchain.agents")
    from langchain_openai import ChatOpenAI

    instrument(*OPENINFERENCE_LANGCHAIN)
    autolog("openai")

    def weather(city: str) -> str:
        """Tell the weather."""
        with al.start_span("look"):
            return "sunny"

    def answer(received):
        is_asked = received.body["messages"][-1]["role"] == "tool"
        body = answers.chat({} if is_asked else received.body)
        return json_answer(body)

    from tests.fakes import openai_answers as answers
    from tests.fakes.openai_server import json_answer

    openai = server.client()
    server.script(answer, answer)
    model = ChatOpenAI(model="gpt-4o", api_key="x", client=openai.chat.completions, root_client=openai)
    agents.create_agent(model, [weather]).invoke({"messages": HELLO})

    [trace] = traces(client)
    assert (trace.usage.input_tokens, trace.usage.output_tokens) == (22, 14)
    parents = {span.span_id: span for span in trace.spans}
    for span in trace.spans:
        if span.name == "chat gpt-4o":
            assert parents[span.parent_id].name == "ChatOpenAI"
        if span.name == "look":
            assert parents[span.parent_id].span_type is SpanType.TOOL


def test_ours_goes_before_anothers_of_the_same_framework(client, server, instrument):
    instrument(*OPENINFERENCE_LANGCHAIN)
    autolog("langchain", "openai")
    with al.start_span("own"):
        chain(server).invoke({"word": "hi"})

    assert forest(client) == (
        "OK 11>7\nUNKNOWN own\n  CHAIN RunnableSequence\n    PROMPT ChatPromptTemplate\n    CHAT_MODEL ChatOpenAI 11>7\n"
        "      CHAT_MODEL chat gpt-4o 11>7 (duplicate)\n    PARSER StrOutputParser"
    )


def test_our_chain_and_openinferences_openai(client, server, instrument):
    instrument(*OPENINFERENCE)
    autolog("langchain")
    with al.start_span("own"):
        chain(server).invoke({"word": "hi"})

    assert forest(client) == (
        "OK 11>7\nUNKNOWN own\n  CHAIN RunnableSequence\n    PROMPT ChatPromptTemplate\n    CHAT_MODEL ChatOpenAI 11>7\n"
        "      CHAT_MODEL ChatCompletion 11>7 (duplicate)\n    PARSER StrOutputParser"
    )


def test_openllmetrys_chain_and_our_openai(client, server, instrument):
    instrument(*OPENLLMETRY_LANGCHAIN)
    autolog("openai")
    with al.start_span("own"):
        chain(server).invoke({"word": "hi"})

    assert forest(client) == (
        "OK 11>7\nUNKNOWN own\n  WORKFLOW RunnableSequence.workflow\n    TASK execute_task ChatPromptTemplate\n"
        "    CHAT_MODEL ChatOpenAI.chat 11>7\n      CHAT_MODEL chat gpt-4o 11>7 (duplicate)\n"
        "    TASK execute_task StrOutputParser"
    )


def test_spans_inside_of_a_langchain_step_nest_under_it_in_one_trace(client, provider):
    runnables = pytest.importorskip("langchain_core.runnables")
    autolog("langchain")
    tracer = provider.get_tracer("http")

    def fetch(url):
        with tracer.start_as_current_span(f"GET {url}"), al.start_span("parse"):
            return url

    async def fetch_async(url):
        with tracer.start_as_current_span(f"GET {url}"):
            return url

    steps = runnables.RunnableLambda(fetch, name="first") | runnables.RunnableLambda(fetch, name="second")
    steps.invoke("/")

    assert forest(client) == (
        "OK\nCHAIN RunnableSequence\n  CHAIN first\n    UNKNOWN GET /\n      UNKNOWN parse\n  CHAIN second\n"
        "    UNKNOWN GET /\n      UNKNOWN parse"
    )


# --- others --------------------------------------------------------------------------------------------------


def test_pydantic_ai(client, provider):
    pydantic_ai = pytest.importorskip("pydantic_ai")
    from pydantic_ai.models.instrumented import InstrumentationSettings
    from pydantic_ai.models.test import TestModel

    pydantic_ai.Agent.instrument_all(InstrumentationSettings(tracer_provider=provider))
    try:
        agent = pydantic_ai.Agent(TestModel(), instructions="Be brief", name="helper")

        @agent.tool_plain
        def weather(city: str) -> str:
            with al.start_span("own", inputs=city):
                return "sunny"

        with al.start_span("program"):
            agent.run_sync("Hello")
    finally:
        pydantic_ai.Agent.instrument_all(False)

    assert forest(client) == (
        "OK 103>14\nUNKNOWN program\n  AGENT invoke_agent helper\n    CHAT_MODEL chat test 51>5\n"
        "    TOOL execute_tool weather\n      UNKNOWN own\n    CHAT_MODEL chat test 52>9"
    )
    run = the(client, "invoke_agent helper")
    assert run.inputs["messages"][0] == {"role": "user", "content": "Hello"}
    assert run.outputs == {"weather": "sunny"}
    tool = the(client, "execute_tool weather")
    assert (tool.inputs, tool.outputs) == ({"city": "a"}, "sunny")


# --- OpenTelemetry's own, and other processes ----------------------------------------------------------------


@contextmanager
def served(app):
    """Serve an ASGI application on a port of its own."""
    uvicorn = pytest.importorskip("uvicorn")
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            threading.Event().wait(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


def get(url, headers=None):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=30) as answer:
        return answer.read().decode()


def web_application(handle):
    starlette = pytest.importorskip("starlette.applications")
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def endpoint(request):
        return PlainTextResponse(handle(request))

    return starlette.Starlette(routes=[Route("/answer", endpoint)])


def test_what_a_web_server_does_is_below_its_request(client, server, provider):
    asgi = pytest.importorskip("opentelemetry.instrumentation.asgi")
    autolog("openai")

    def handle(request):
        with al.start_span("answer"):
            ask(server)
        return "done"

    app = asgi.OpenTelemetryMiddleware(
        web_application(handle), tracer_provider=provider, exclude_spans=["send", "receive"]
    )
    with served(app) as url:
        assert get(f"{url}/answer") == "done"

    assert forest(client) == "OK 11>7\nUNKNOWN GET /answer\n  UNKNOWN answer\n    CHAT_MODEL chat gpt-4o 11>7"
    request = the(client, "GET /answer")
    assert request.get_attribute("otel.span.kind") == "SERVER"


def test_a_trace_of_a_plain_opentelemetry_client_goes_on_here(client, provider):
    asgi = pytest.importorskip("opentelemetry.instrumentation.asgi")
    plain = TracerProvider(shutdown_on_exit=False)  # another process's, as far as we know

    def handle(request):
        al.start_span("ours").end()
        return "done"

    app = asgi.OpenTelemetryMiddleware(
        web_application(handle), tracer_provider=provider, exclude_spans=["send", "receive"]
    )
    with served(app) as url, plain.get_tracer("client").start_as_current_span("GET", kind=SpanKind.CLIENT) as span:
        headers = {}
        inject(headers)
        get(f"{url}/answer", headers)

    [trace] = traces(client)
    assert trace.trace_id == f"{span.get_span_context().trace_id:032x}"
    assert the(client, "GET /answer").parent_id == f"{span.get_span_context().span_id:016x}"
    assert forest(client) == "OK\nUNKNOWN GET /answer\n  UNKNOWN ours"


def test_a_trace_of_ours_goes_on_in_a_plain_opentelemetry_server(client, provider):
    seen = []
    plain = TracerProvider(shutdown_on_exit=False)

    def handle(request):
        with plain.get_tracer("server").start_as_current_span("GET /", context=extract(request.headers)) as span:
            seen.append((span.parent.trace_id, span.parent.span_id, span.parent.is_remote))
        return "done"

    with served(web_application(handle)) as url, al.start_span("ours"):
        with provider.get_tracer("http").start_as_current_span("POST") as request:
            headers = {}
            inject(headers)
            get(f"{url}/answer", headers)

    ids = request.get_span_context()
    assert seen == [(ids.trace_id, ids.span_id, True)]
    [trace] = traces(client)
    assert trace.trace_id == f"{ids.trace_id:032x}"
    assert forest(client) == "OK\nUNKNOWN ours\n  UNKNOWN POST"


# --- LlamaIndex ----------------------------------------------------------------------------------------------


def test_openinferences_llama_index_and_our_spans(client, instrument):
    core = pytest.importorskip("llama_index.core")
    from llama_index.core.llms import MockLLM

    instrument(*OPENINFERENCE_LLAMA_INDEX)
    documents = [core.Document(text="Rome is sunny", id_="d1")]
    index = core.SummaryIndex.from_documents(documents)
    with al.start_span("own"):
        index.as_query_engine(llm=MockLLM()).query("How is Rome?")

    own = the(client, "own")
    [trace] = [trace for trace in traces(client) if trace.trace_id == own.trace_id]
    kinds = {str(span.span_type) for span in trace.spans}
    assert {"UNKNOWN", "CHAIN", "RETRIEVER", "CHAT_MODEL"} <= kinds
    retriever = next(span for span in trace.spans if span.span_type is SpanType.RETRIEVER)
    assert retriever.inputs == {"query": "How is Rome?"}
    assert retriever.outputs["documents"][0]["content"] == "Rome is sunny"
