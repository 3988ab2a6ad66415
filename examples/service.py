"""A program and a service of its own in another process: one trace of both, feedback on it, and a search for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import autolog as al

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse

CATALOGUE = {
    "telescope": ["The 12-inch reflector is open to the public on clear Fridays.", "Bring a warm coat."],
    "ticket": ["Tickets cost 12 at the door, and 9 for those who book."],
}


# --- the service -----------------------------------------------------------------------------------------


@al.trace(span_type="RETRIEVER")
def look_up(word: str) -> list[dict[str, Any]]:
    """Find what is known of a word."""
    return [{"content": text, "score": 1.0} for text in CATALOGUE.get(word, [])]


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Answer a request."""
    body = json.dumps(look_up(environ["PATH_INFO"].strip("/")))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body.encode()]


class Quiet(WSGIRequestHandler):
    """Says nothing of each request."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def serve() -> None:
    """Serve until whoever started this process is gone."""
    with make_server("127.0.0.1", 0, al.WsgiMiddleware(application, spans=True), handler_class=Quiet) as server:
        print(server.server_port, flush=True)
        threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
        server.serve_forever()


# --- the program -----------------------------------------------------------------------------------------


@al.trace(span_type="TOOL")
def ask_service(port: int, word: str) -> list[dict[str, Any]]:
    """Ask the service, and tell it where in the trace it is asked."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{word}", headers=al.inject())
    with urllib.request.urlopen(request) as response:
        return json.load(response)


@al.trace(span_type="AGENT")
def answer(question: str, port: int) -> str:
    """Put together what the service knows of the words in a question."""
    words = [word for word in CATALOGUE if word in question]
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda word: ask_service(port, word), words))
    return " ".join(document["content"] for documents in found for document in documents)


def main() -> None:
    """Start the service, ask, say that it helped, and find the trace again."""
    folder = tempfile.mkdtemp()
    store = str(Path(folder) / "traces.db")
    al.autolog(store=store, experiment="observatory")
    service = subprocess.Popen(
        [sys.executable, __file__, "--serve"], env={**os.environ, "AUTOLOG_STORE": store}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with service:
        port = int(service.stdout.readline())
        with al.context(session_id="s-17", user="ada", tags={"team": "visitors"}):
            print(answer("What does a ticket cost, and when is the telescope open?", port))
        service.stdin.close()

    trace_id = al.get_last_active_trace_id()
    al.log_feedback(trace_id=trace_id, name="helpful", value=True, source=al.AssessmentSource("HUMAN", "ada"))
    found = al.search_traces(
        "span.type = 'RETRIEVER' AND feedback.helpful = true AND tags.team = 'visitors' AND timestamp > now() - 1h",
        return_type="list",
    )
    assert [trace.trace_id for trace in found] == [trace_id]
    print(found[0])


if __name__ == "__main__":
    serve() if "--serve" in sys.argv else main()
