"""A real server of a client's store: in a thread of the test's process, or in a process of its own that can be killed."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from textwrap import dedent


@contextmanager
def serving(client, **options):
    """Serve a client's store on a free port; yield the address."""
    import uvicorn

    from autolog.server.app import create_app

    server = uvicorn.Server(uvicorn.Config(create_app(client, **options), port=0, log_level="warning"))
    is_up = threading.Event()
    startup = server.startup

    async def started(*args, **kwargs):
        await startup(*args, **kwargs)
        is_up.set()

    server.startup = started
    thread = threading.Thread(target=server.run)
    thread.start()
    assert is_up.wait(30)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


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
