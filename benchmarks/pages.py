"""Measure the web page beside those of MLflow and Phoenix: start, memory, scripts, lists, searches and large traces.

Each is started as its documentation says, on an empty store and a port of this machine, is sent the same spans by OTLP,
and is looked at with the same browser. What counts as shown is text that a person can see. Prints a table, and with
`--write` puts it into docs/benchmarks-pages.md. MLflow and Phoenix take a gigabyte of packages.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from playwright.sync_api import Page, sync_playwright
from run import ENVIRONMENTS, ROOT, prepare

TRACES = 10_000
LARGE = (300, 5_000, 50_000)
_TOO_LARGE = 5_000
"""Spans of the largest trace that the peers are asked to show."""
WORD = "zephyrine"
_PATIENCE_MS = 180_000


@dataclass(frozen=True, slots=True)
class Server:
    """One column of the results."""

    title: str
    environment: str
    command: Callable[[Path, int], Sequence[str]]
    """What starts it, with its data in a folder, on a port."""
    variables: Callable[[Path, int], Mapping[str, str]]
    list_page: Callable[[str], str]
    """Return the address of the list of traces."""
    trace_page: Callable[[str, str], str]
    """Return the address of a trace."""
    search: Callable[[str, str], object] | None
    """Find the traces that have a word, through the interface that the page uses."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What OTLP's requests must carry."""
    most_spans: int = _TOO_LARGE


def _ask(address: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.load(answer)


def _search_autolog(address: str, word: str) -> object:
    return _ask(f"{address}/api/traces?limit=50&filter=trace.text%20CONTAINS%20'{word}'")["traces"]


def _search_mlflow(address: str, word: str) -> object:
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
    asked = {"locations": [place], "filter": f"trace.text LIKE '%{word}%'", "max_results": 50}
    return _ask(f"{address}/api/3.0/mlflow/traces/search", asked).get("traces")


def _phoenix_project(address: str) -> str:
    [project] = [one for one in _ask(f"{address}/v1/projects")["data"] if one["name"] == "default"]
    return f"{address}/projects/{project['id']}"


SERVERS: Mapping[str, Server] = {
    "autolog": Server(
        "autolog",
        "autolog-pages",
        lambda folder, port: ["autolog", "ui", "--no-browser", "--port", str(port), "--store", str(folder / "t.db")],
        lambda folder, port: {},  # noqa: ARG005
        lambda address: f"{address}/#/traces",
        lambda address, trace_id: f"{address}/#/traces/{trace_id}",
        _search_autolog,
        most_spans=LARGE[-1],
    ),
    "mlflow": Server(
        "MLflow",
        "mlflow",
        lambda folder, port: [
            "mlflow",
            "server",
            "--port",
            str(port),
            "--backend-store-uri",
            f"sqlite:///{folder / 'm.db'}",
            "--default-artifact-root",
            str(folder / "artifacts"),
        ],
        lambda folder, port: {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},  # noqa: ARG005
        lambda address: f"{address}/#/experiments/0/traces",
        lambda address, trace_id: f"{address}/#/experiments/0/traces?selectedEvaluationId=tr-{trace_id}",
        _search_mlflow,
        {"x-mlflow-experiment-id": "0"},
    ),
    "phoenix": Server(
        "Phoenix",
        "phoenix",
        lambda folder, port: ["phoenix", "serve"],  # noqa: ARG005
        lambda folder, port: {
            "PHOENIX_PORT": str(port),
            "PHOENIX_GRPC_PORT": str(_free_port()),
            "PHOENIX_WORKING_DIR": str(folder),
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
            "PHOENIX_TELEMETRY_ENABLED": "false",
        },
        lambda address: f"{_phoenix_project(address)}/traces",
        lambda address, trace_id: f"{_phoenix_project(address)}/traces/{trace_id}",
        None,
    ),
}


# --- spans -----------------------------------------------------------------------------------------------


def _attributes(**given: Any) -> list[KeyValue]:
    def value(one: Any) -> AnyValue:
        return AnyValue(int_value=one) if isinstance(one, int) else AnyValue(string_value=one)

    return [KeyValue(key=name.replace("__", "."), value=value(one)) for name, one in given.items()]


def _span(
    trace: bytes, number: int, parent: int | None, name: str, kind: str, begin: int, end: int, **more: Any
) -> Span:
    return Span(
        trace_id=trace,
        span_id=_span_id(trace, number),
        parent_span_id=_span_id(trace, parent) if parent else b"",
        name=name,
        start_time_unix_nano=begin,
        end_time_unix_nano=end,
        attributes=_attributes(openinference__span__kind=kind, **more),
    )


def _span_id(trace: bytes, number: int) -> bytes:
    # Phoenix takes the id of a span once in all traces.
    return (int.from_bytes(trace[8:], "big") * 100_000 + number).to_bytes(8, "big")


_MS = 1_000_000


def small_trace(number: int, at_ns: int) -> list[Span]:
    """Return a question to documents: an agent, a retriever, two model calls and a tool."""
    trace = (number + 1).to_bytes(16, "big")
    word = WORD if number % 1_000 == 7 else "planet"
    question, answer = (
        f"Question {number}: which {word} is the nearest?",
        f"Answer {number}: the {word} of the morning.",
    )
    model = {
        "llm__model_name": "gpt-4o-mini", "llm__token_count__prompt": 320, "llm__token_count__completion": 45,
        "llm__token_count__total": 365, "input__value": question * 4, "output__value": answer * 2,
    }  # fmt: skip
    return [
        _span(trace, 1, None, "answer", "AGENT", at_ns, at_ns + 900 * _MS, input__value=question, output__value=answer),
        _span(trace, 2, 1, "search", "RETRIEVER", at_ns + _MS, at_ns + 60 * _MS, input__value=question),
        _span(trace, 3, 1, "chat", "LLM", at_ns + 61 * _MS, at_ns + 400 * _MS, **model),
        _span(trace, 4, 1, "look_up", "TOOL", at_ns + 401 * _MS, at_ns + 430 * _MS, input__value='{"id": 7}'),
        _span(trace, 5, 1, "chat", "LLM", at_ns + 431 * _MS, at_ns + 890 * _MS, **model),
    ]


def large_trace(count: int, at_ns: int) -> list[Span]:
    """Return a long run of an agent: steps of a model call and four tools."""
    trace = (10**9 + count).to_bytes(16, "big")
    spans = [_span(trace, 1, None, f"run_of_{count}", "AGENT", at_ns, at_ns + count * 10 * _MS, input__value="go")]
    while len(spans) < count:
        step, begin = len(spans) + 1, at_ns + len(spans) * 10 * _MS
        kinds = ("CHAIN", "LLM", "TOOL", "TOOL", "TOOL", "LLM")
        for place, kind in enumerate(kinds[: count - len(spans)]):
            name = f"step_{step}" if place == 0 else f"{kind.lower()}_{step + place}"
            spans.append(
                _span(
                    trace, step + place, 1 if place == 0 else step, name, kind, begin + place * 9 * _MS,
                    begin + (place + 1) * 9 * _MS if place else begin + 58 * _MS,
                    input__value=f"plan of step {step}. " * 8, output__value="call the tool, then answer. " * 6,
                )
            )  # fmt: skip
    return spans


def send(address: str, spans: Sequence[Span], headers: Mapping[str, str]) -> None:
    """Send spans by OTLP, again and again where the server says that it is busy."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.extend(_attributes(service__name="benchmark"))
    resource.scope_spans.add().spans.extend(spans)
    body = gzip.compress(request.SerializeToString(), 1)
    told = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip", **headers}
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{address}/v1/traces", body, told), timeout=600):
                return
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503):
                raise
            time.sleep(0.5)


# --- a server --------------------------------------------------------------------------------------------


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running(server: Server, folder: Path) -> Iterator[tuple[str, psutil.Process, float]]:
    """Start a server; yield its address, its process and the seconds to its first answer."""
    port = _free_port()
    [program, *arguments] = server.command(folder, port)
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(("AUTOLOG_", "MLFLOW_", "PHOENIX_"))
    }
    # Bytecode is kept, as it is for users.
    own.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [ENVIRONMENTS / server.environment / "bin" / program, *arguments],
            cwd=folder, env={**own, **server.variables(folder, port)}, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        while not _answers(address):
            if process.poll() is not None or time.perf_counter() - began > 300:
                raise SystemExit(f"{server.title} did not start:\n{(folder / 'log').read_text()[-3000:]}")
            time.sleep(0.01)
        yield address, psutil.Process(process.pid), time.perf_counter() - began
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _weight(process: psutil.Process) -> dict[str, float]:
    family = [process, *process.children(recursive=True)]
    return {"processes": len(family), "rss_mb": sum(one.memory_info().rss for one in family) / 1e6}


# --- what a person sees ----------------------------------------------------------------------------------


@contextmanager
def _opened(browser: Any) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(_PATIENCE_MS)
    page = context.new_page()
    try:
        yield page
    finally:
        context.close()


def _seconds(page: Page, address: str, shown: str | re.Pattern[str]) -> float:
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.get_by_text(shown).first.wait_for()
    return time.perf_counter() - began


def _scripts(page: Page) -> Callable[[], float]:
    sizes: list[int] = []

    def add(response: Any) -> None:
        if response.request.resource_type == "script":
            sizes.append(len(response.body()))

    page.on("response", add)
    return lambda: sum(sizes) / 1_000


def look(server: Server, address: str, browser: Any, newest: int) -> dict[str, float]:
    """Measure the list, and a search."""
    found: dict[str, float] = {}
    with _opened(browser) as page:
        scripts = _scripts(page)
        found["list_cold_s"] = _seconds(page, server.list_page(address), f"Question {newest}:")
        found["list_script_kb"] = scripts()
        found["list_nodes"] = page.evaluate("document.querySelectorAll('*').length")
    if server.search is not None:
        times = []
        for _ in range(3):
            began = time.perf_counter()
            if not server.search(address, WORD):
                raise SystemExit(f"{server.title} did not find {WORD}")
            times.append(time.perf_counter() - began)
        found["word_s"] = statistics.median(times)
    return found


# Timed in the page: from the event of the click until the frame after the text is there.
_TIMED_CLICK = """(text) => {
    window.timedClick = new Promise((resolve) => addEventListener("click", () => {
        const began = performance.now();
        new MutationObserver((changes, observer) => {
            const nodes = changes.flatMap((change) => [...change.addedNodes, change.target]);
            if (!nodes.some((node) => node.textContent.includes(text))) return;
            observer.disconnect();
            requestAnimationFrame(() => resolve(performance.now() - began));
        }).observe(document.body, { subtree: true, childList: true, characterData: true });
    }, { capture: true, once: true }));
}"""


def open_large(server: Server, address: str, browser: Any, count: int) -> dict[str, float]:
    """Measure a trace of `count` spans: its first rows, its weight, and a click on one of them."""
    trace_id = (10**9 + count).to_bytes(16, "big").hex()
    with _opened(browser) as page:
        found = {"first_rows_s": _seconds(page, server.trace_page(address, trace_id), re.compile(r"^step_\d+$"))}
        found["nodes"] = page.evaluate("document.querySelectorAll('*').length")
        found["heap_mb"] = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
        page.evaluate(_TIMED_CLICK, "plan of step")
        page.get_by_text(re.compile(r"^llm_\d+$")).first.click()
        found["click_s"] = page.evaluate("window.timedClick") / 1_000
    return {f"{name} of {count}": value for name, value in found.items()}


def measure(server: Server, browser: Any, traces: int) -> dict[str, float]:
    """Do all of it with one server."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=ENVIRONMENTS) as folder:
        with running(server, Path(folder)):
            pass  # once, so that bytecode is there
        now = time.time_ns()
        with running(server, Path(folder)) as (address, process, seconds):
            time.sleep(3)
            found |= {"start_s": seconds, **_weight(process)}
            began = time.perf_counter()
            for first in range(0, traces, 100):
                part = range(first, min(first + 100, traces))
                spans = [one for number in part for one in small_trace(number, now - (traces - number) * 60 * _MS)]
                send(address, spans, server.headers)
            found["ingest_s"] = time.perf_counter() - began
            time.sleep(10)
            found |= look(server, address, browser, traces - 1)
            for count in LARGE:
                if count <= server.most_spans:
                    spans = large_trace(count, now)
                    for first in range(0, count, 1_000):
                        send(address, spans[first : first + 1_000], server.headers)
                    time.sleep(10)
                    try:
                        found |= open_large(server, address, browser, count)
                    except Exception as error:  # a peer's page may never show it
                        print(f"  {server.title}, {count} spans: {str(error).splitlines()[0]}", flush=True)
            found["rss_used_mb"] = _weight(process)["rss_mb"]
    return found


ROWS: Mapping[str, str] = {
    "start_s": "start to first answer, warm (s)",
    "processes": "processes",
    "rss_mb": "memory, idle (MB)",
    "rss_used_mb": "memory after this use (MB)",
    "list_script_kb": "scripts of the list, raw (KB)",
    "ingest_s": "{traces} traces by OTLP (s)",
    "list_cold_s": "list of {traces} traces, cold (s)",
    "list_nodes": "list, DOM nodes",
    "word_s": "a word in {traces} traces (s)",
    **{
        f"{name} of {count}": f"{count} spans: {title}"
        for count in LARGE
        for name, title in (
            ("first_rows_s", "first rows (s)"),
            ("click_s", "a click (s)"),
            ("nodes", "DOM nodes"),
            ("heap_mb", "script heap (MB)"),
        )
    },
}


def table(results: Mapping[str, Mapping[str, float]], traces: int) -> str:
    """Return the results as Markdown."""
    lines = [f"| | {' | '.join(SERVERS[name].title for name in results)} |", f"|---|{'---|' * len(results)}"]
    for name, title in ROWS.items():
        cells = [_number(found.get(name)) for found in results.values()]
        lines.append(f"| {title.format(traces=f'{traces:,}')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2g}"


def main() -> None:
    """Measure those that are named, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", nargs="*", default=list(SERVERS), choices=list(SERVERS))
    parser.add_argument("--traces", type=int, default=TRACES)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks-pages.md")
    options = parser.parse_args()
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        raise SystemExit("no Chromium is installed; make chromium does that")
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in options.servers}
    for name in options.servers:
        prepare(SERVERS[name].environment)
    with sync_playwright() as playwright:
        for _ in range(options.rounds):
            for name, found in rounds.items():
                flags = ["--no-sandbox", "--enable-precise-memory-info"]
                browser = playwright.chromium.launch(executable_path=executable, args=flags)
                found.append(measure(SERVERS[name], browser, options.traces))
                browser.close()
                print(name, json.dumps(found[-1]), flush=True)
    medians = {
        name: {key: statistics.median([one[key] for one in found if key in one]) for key in found[0]}
        for name, found in rounds.items()
    }
    drawn = table(medians, options.traces)
    print(drawn)
    if options.write:
        versions = f"Python {platform.python_version()}, {os.cpu_count()} cores, {options.rounds} rounds"
        page = ROOT / "docs" / "benchmarks-pages.md"
        head, _, _ = page.read_text().partition("<!-- table -->")
        page.write_text(f"{head}<!-- table -->\n\n{versions}\n\n{drawn}\n")


if __name__ == "__main__":
    sys.exit(main())
