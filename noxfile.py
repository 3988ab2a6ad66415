"""The environments that the tests run in: newest and oldest of each library, and none of them at all."""

from __future__ import annotations

import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["newest", "openai2", "openai1", "oldest", "bare", "wheel"]
nox.options.reuse_existing_virtualenvs = True

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


def install(session: nox.Session, environment: str) -> None:
    """Install a pinned environment, and the project itself without asking for its dependencies anew."""
    session.install("--require-hashes", "-r", f"requirements/{environment}.txt")
    session.install("--no-deps", "--no-build-isolation", "-e", ".")


@nox.session
def newest(session: nox.Session) -> None:
    """All tests, with the newest versions."""
    install(session, "dev")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def openai2(session: nox.Session) -> None:
    """The OpenAI tests with the last version of 2, which is on httpx."""
    install(session, "openai2")
    session.run("python", "-m", "pytest", "tests/integrations", *session.posargs)


@nox.session
def openai1(session: nox.Session) -> None:
    """The OpenAI tests with the last version of 1."""
    install(session, "openai1")
    session.run("python", "-m", "pytest", "tests/integrations", *session.posargs)


@nox.session
def oldest(session: nox.Session) -> None:
    """All tests with the oldest version of every dependency that is supported."""
    install(session, "oldest")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def bare(session: nox.Session) -> None:
    """The core's tests with no optional library installed."""
    install(session, "bare")
    session.run("python", "-m", "pytest", *session.posargs)


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
    """Pin anew every environment that requirements/*.in asks for."""
    session.install("uv")
    extras = {"dev": ["--extra=all"], "bare": []}
    for name, extra in extras.items():
        session.run(*COMPILE, *extra, "pyproject.toml", f"requirements/{name}.in", "-o", f"requirements/{name}.txt")
    for name in ("openai2", "openai1"):
        session.run(*COMPILE, "pyproject.toml", f"requirements/{name}.in", "-o", f"requirements/{name}.txt")
    session.run(
        *COMPILE, "--resolution=lowest-direct", "--extra=openai", "pyproject.toml", "requirements/oldest.in",
        "-o", "requirements/oldest.txt",
    )  # fmt: skip
