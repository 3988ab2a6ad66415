"""A real server of a client's store: in a thread of the test's process, or in a process of its own that can be killed."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from textwrap import dedent


@contextmanager
def serving(client, **options):
    """Serve a client's store on a free port; yield the address."""
    from autolog.server.app import create_app

    with running(create_app(client, **options)) as address:
        yield address


@contextmanager
def running(app):
    """Serve an application of ours on a free port, in a thread; yield the address."""
    from autolog.server.serve import Server, listening

    is_up = threading.Event()
    server = Server(app, is_up.set)
    with listening("127.0.0.1", 0) as bound:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        assert is_up.wait(30)
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def http_server(answer):
    """Serve what `answer(request)` returns, a status, headers and a body, where `request.body` is what was sent; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers, body = answer(self)
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class ServerProcess:
    """A server of a file, at one port through all its lives."""

    def __init__(self, path) -> None:
        self._path = path
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = taken.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._process = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program = f"""
            import sys
            import uvicorn
            from autolog import Client
            from autolog.server.app import create_app
            uvicorn.run(create_app(Client({str(self._path)!r})), port={self.port}, log_level="error")
        """
        self._process = subprocess.Popen([sys.executable, "-c", dedent(program)])
        while not self.answers():
            assert self._process.poll() is None, "the server has ended"
            threading.Event().wait(0.05)

    def answers(self) -> bool:
        """Whether it is there."""
        try:
            urllib.request.urlopen(f"{self.address}/api/openapi.json", timeout=10).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """End it as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
