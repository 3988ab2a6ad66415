"""Credentials are in no field of any span, and content is in none where it is withheld."""

from __future__ import annotations

import json

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from pydantic import BaseModel, SecretStr

from autolog import autolog
from autolog.testing import fresh_client, spans, traces
from tests.fakes.langchain_models import Parrot, chat, embeddings, says
from tests.fakes.openai_server import API_KEY
from tests.integrations.langchain.programs.program import is_installed

SECRET = "s3cr3t-value-of-the-program"
needs_openai = pytest.mark.skipif(not is_installed("langchain-openai"), reason="needs langchain-openai")


def recorded(client):
    """Return all that the store has, as text."""
    return json.dumps([trace.to_dict() for trace in traces(client)])


@needs_openai
def test_the_key_of_a_model_is_nowhere(traced, server):
    model = chat(server, default_headers={"Authorization": SECRET, "X-Api-Key": SECRET})
    (ChatPromptTemplate.from_template("{q}") | model).invoke({"q": "Hello"})
    list(model.stream("Hello"))
    embeddings(server).embed_query("Hello")

    assert len(spans(traced)) > 5
    assert API_KEY not in recorded(traced)
    assert SECRET not in recorded(traced)


@needs_openai
def test_the_key_of_a_model_that_is_refused_is_nowhere(traced, server):
    from tests.fakes.openai_server import json_answer

    error = {"message": f"Incorrect API key provided: {API_KEY}.", "type": "invalid_request_error"}
    server.script(json_answer({"error": error}, 401))
    with pytest.raises(Exception):
        (ChatPromptTemplate.from_template("{q}") | chat(server)).invoke({"q": "Hello"})

    assert "Incorrect API key provided" in recorded(traced)
    assert API_KEY not in recorded(traced)


@needs_openai
def test_headers_that_one_call_is_given_are_nowhere(traced, server):
    chat(server).invoke("Hello", extra_headers={"Authorization": SECRET, "x-tenant-key": SECRET})

    assert server.requests[0].headers["x-tenant-key"] == SECRET
    assert SECRET not in recorded(traced)


@needs_openai
def test_credentials_of_a_hosted_tool_are_nowhere(traced, server):
    hosted = {"type": "mcp", "server_label": "x", "server_url": "https://x", "headers": {"Authorization": SECRET}}
    chat(server, use_responses_api=True).bind_tools([hosted]).invoke("Hello")

    assert "server_label" in recorded(traced)
    assert SECRET not in recorded(traced)


def test_a_secret_of_pydantic_is_nowhere(traced):
    class Login(BaseModel):
        name: str
        password: SecretStr

    RunnableLambda(lambda login: {"login": login, "secret": login.password}).invoke(
        Login(name="ann", password=SecretStr(SECRET))
    )

    assert "ann" in recorded(traced)
    assert SECRET not in recorded(traced)


@pytest.mark.parametrize("where", ["metadata", "configurable"])
def test_credentials_in_a_configuration_are_nowhere(traced, where):
    config = {where: {"api_key": SECRET, "authorization": SECRET, "ticket": "T7"}}
    RunnableLambda(lambda x: x, name="step").invoke(1, config)

    assert SECRET not in recorded(traced)


def test_a_key_in_the_error_of_a_tool_is_nowhere(traced):
    @tool
    def fails(city: str) -> str:
        """Fail."""
        raise ValueError(f"refused: Bearer {API_KEY}")

    fails.handle_tool_error = True
    with pytest.raises(ValueError):
        fails.invoke({"city": "Rome"})

    assert API_KEY not in recorded(traced)


@needs_openai
@pytest.mark.skipif(not is_installed("langchain>=1"), reason="needs langchain")
def test_content_is_nowhere_where_it_is_withheld(server):
    from tests.integrations.langchain.programs import agents, chains, models

    with fresh_client(capture_content=False) as client:
        autolog()
        chains.sequence_invoked(server)
        list(chat(server).stream("Hello"))
        models.tools_bound(server)
        agents.agent_whose_tool_handles_its_own_error(server)
        with pytest.raises(LookupError):
            agents.agent_whose_tool_raises(server)
        RunnableLambda(lambda x: x).invoke("Hello", {"metadata": {"ticket": "Weather?"}})
        Parrot(says=[AIMessage("Hello there")]).invoke([HumanMessage("Weather?")])

        text = recorded(client)
        assert "11" in text
        for said in ("Hello", "Weather", "Rome", "Atlantis", "briefly", "All is well"):
            assert said not in text, said


@needs_openai
@pytest.mark.skipif(not is_installed("langchain>=1.4"), reason="needs langchain 1.4")
def test_what_middleware_keeps_out_of_traces_is_kept_out(traced, server):
    middleware = pytest.importorskip("langchain.agents.middleware")
    types = pytest.importorskip("langgraph.types")
    if not hasattr(types, "TracePolicy"):
        pytest.skip("no TracePolicy")
    from langchain.agents import create_agent

    from tests.trees import the

    class Quiet(middleware.AgentMiddleware):
        trace_policy = types.TracePolicy(process_inputs=types.omit_payload)

        def before_model(self, state, runtime):
            return None

    server.script(says("All is well"))
    create_agent(chat(server), [], middleware=[Quiet()]).invoke({"messages": [HumanMessage("Weather?")]})

    assert "Weather?" not in str(the(traced, "Quiet.before_model").inputs)
