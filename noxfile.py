"""The environments that the tests run in: newest and oldest of each library, and none of them at all."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.sessions = [
    "newest",
    "openai2",
    "openai1",
    "langchain",
    "langchain_oldest",
    "langchain_0_3",
    "llama_index_oldest",
    "llama_index_releases",
    "otel_peers",
    "oldest",
    "bare",
    "wheel",
]
nox.options.reuse_existing_virtualenvs = True

# nltk, which LlamaIndex splits texts with, refuses files that have more than one name.
os.environ["UV_LINK_MODE"] = "copy"

COMPILE = (
    "uv",
    "pip",
    "compile",
    "--quiet",
    "--universal",
    "--generate-hashes",
    "--no-emit-index-url",
    "--python-version=3.10",
)
# A file's tests stay together: they share a browser, or a server.
IN_PARALLEL = ("-n", "2", "--dist", "loadfile")
# The last six releases of llama-index-core: they change the order and the types of what it tells.
TREES = "gives_these_traces"
LLAMA_INDEX_RELEASES = ("0.14.20", "0.14.21", "0.14.22", "0.14.23", "0.14.24", "0.14.25")


def install(session: nox.Session, environment: str) -> None:
    """Install a pinned environment, and the project itself without asking for its dependencies anew."""
    session.install("--require-hashes", "-r", f"requirements/{environment}.txt")
    session.install("--no-deps", "--no-build-isolation", "-e", ".")


def test(session: nox.Session, environment: str, *places: str) -> None:
    """Run the tests that lie in `places`, or all, in a pinned environment."""
    install(session, environment)
    session.run("python", "-m", "pytest", *IN_PARALLEL, *places, *session.posargs)


@nox.session
def newest(session: nox.Session) -> None:
    """All tests, with the newest versions."""
    test(session, "dev")


@nox.session
def openai2(session: nox.Session) -> None:
    """All integrations with the last version of 2 of openai, which is on httpx: LlamaIndex needs it."""
    # What was recorded of calls is made again through LangChain in the main environment.
    test(session, "openai2", "tests/integrations", "--ignore=tests/integrations/langchain/test_replay.py")


@nox.session
def openai1(session: nox.Session) -> None:
    """The OpenAI tests with the last version of 1."""
    test(session, "openai1", "tests/integrations")


@nox.session
def langchain(session: nox.Session) -> None:
    """LangChain's own standard tests."""
    test(session, "langchain", "tests/integrations/langchain/test_standard.py")


@nox.session
def langchain_oldest(session: nox.Session) -> None:
    """The oldest LangChain and LangGraph that are supported."""
    test(session, "langchain_oldest", "tests/integrations/langchain")


@nox.session
def langchain_0_3(session: nox.Session) -> None:
    """LangChain before 1.0, which is traced as well as may be."""
    test(session, "langchain_0_3", "tests/integrations/langchain")


@nox.session
def llama_index_oldest(session: nox.Session) -> None:
    """The oldest LlamaIndex that is supported."""
    test(session, "llama_index_oldest", "tests/integrations/llama_index")


@nox.session
def llama_index_releases(session: nox.Session) -> None:
    """Each of the last releases of LlamaIndex's core, but for the newest, which `openai2` has."""
    install(session, "openai2")
    for release in LLAMA_INDEX_RELEASES[:-1]:
        session.install("--no-deps", f"llama-index-core=={release}")
        session.run(
            "python", "-m", "pytest", *IN_PARALLEL, "tests/integrations/llama_index", "-k", TREES, *session.posargs
        )


@nox.session
def otel_peers(session: nox.Session) -> None:
    """What is taken from OpenInference, OpenLLMetry, Pydantic AI and OpenTelemetry's own instrumentations."""
    test(session, "otel_peers", "tests/otel")


@nox.session
def oldest(session: nox.Session) -> None:
    """All tests with the oldest version of every dependency that is supported."""
    test(session, "oldest")


@nox.session
def bare(session: nox.Session) -> None:
    """The core's tests with no optional library installed."""
    test(session, "bare")


@nox.session
def wheel(session: nox.Session) -> None:
    """The built wheel alone, away from the sources."""
    session.install("--require-hashes", "-r", "requirements/bare.txt")
    folder = session.create_tmp()
    session.run("python", "-m", "hatchling", "build", "-t", "wheel", "-d", folder, silent=True)
    session.install("--no-deps", "--force-reinstall", "--no-index", f"--find-links={folder}", "autolog-tracing")
    program = Path("tests/packaging/use_installed_wheel.py").resolve()
    session.chdir(folder)
    session.run("python", "-P" if sys.version_info >= (3, 11) else "-s", str(program))


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Pin anew every environment that requirements/*.in asks for, or those that are named."""
    session.install("uv")
    extras = {
        "dev": ["--extra=all"],
        "bare": [],
        "openai2": [],
        "openai1": [],
        "langchain": [],
        "langchain_oldest": [],
        "langchain_0_3": [],
        "llama_index_oldest": [],
        "otel_peers": ["--extra=otel"],
        "oldest": [
            "--resolution=lowest-direct",
            "--extra=openai",
            "--extra=otel",
            "--extra=ui",
            "--extra=remote",
            "--extra=parquet",
        ],
    }
    for name in session.posargs or extras:
        session.run(
            *COMPILE, *extras[name], "pyproject.toml", f"requirements/{name}.in", "-o", f"requirements/{name}.txt"
        )


@nox.session(default=False)
def lock_benchmarks(session: nox.Session) -> None:
    """Pin anew what the benchmarks compare, or those of them that are named."""
    session.install("uv")
    folder = Path("benchmarks/requirements")
    asked = {path.stem for path in folder.glob("*.in")} - {"frameworks"}
    for name in session.posargs or sorted(asked):
        frameworks = name.endswith("-frameworks")
        session.run(
            "uv", "pip", "compile", "--quiet", "--universal", "--no-annotate", "--no-header", "--no-emit-index-url",
            f"--python-version={'3.11' if frameworks else '3.10'}",
            *(["pyproject.toml"] if name.startswith("autolog") else []),
            str(folder / f"{name}.in"), "-o", str(folder / f"{name}.txt"),
        )  # fmt: skip
