"""The real command, in a process of its own, over real stores; in a pipe, or in a terminal of a certain width."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass

import pytest

from autolog import Client
from autolog.settings import Settings

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SECONDS = 120


@dataclass(frozen=True)
class Finished:
    stdout: str
    stderr: str
    code: int

    @property
    def lines(self):
        return self.stdout.splitlines()

    @property
    def rows(self):
        """The lines, split at tabs."""
        return [line.split("\t") for line in self.lines]


@dataclass(frozen=True)
class Screen:
    """What a terminal was sent."""

    raw: str
    code: int

    @property
    def text(self):
        return _ESCAPE.sub("", self.raw.replace("\r\n", "\n"))

    @property
    def lines(self):
        return [line.rstrip() for line in self.text.splitlines()]


class Running:
    """A command that goes on."""

    def __init__(self, process):
        self.process = process
        self._read = b""

    def line(self):
        """Return the next line that it writes; fail where it writes none."""
        while b"\n" not in self._read:
            assert select.select([self.process.stdout], [], [], SECONDS)[0], "it writes nothing"
            part = os.read(self.process.stdout.fileno(), 65_536)
            assert part, self.process.stderr.read().decode()
            self._read += part
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    def end(self):
        """Let go of it, whatever became of it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def stop(self, by=signal.SIGINT):
        """End it, as Ctrl-C does; return what else it wrote, and its exit code."""
        self.process.send_signal(by)
        left, errors = self.process.communicate(timeout=SECONDS)
        return Finished((self._read + left).decode(), errors.decode(), self.process.returncode)


class Shell:
    """Runs `python -m autolog` in a folder, over a store."""

    def __init__(self, folder, store):
        self.folder, self.store = folder, store
        self.running = []

    def environment(self, **changes):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOLOG_", "OTEL_"))}
        found = {**kept, "AUTOLOG_STORE": str(self.store), "COLUMNS": "", "TERM": "xterm-256color", **changes}
        return {name: value for name, value in found.items() if value not in (None, "")}

    def command(self, *args):
        return [sys.executable, "-m", "autolog", *map(str, args)]

    def __call__(self, *args, typed="", **environment):
        done = subprocess.run(
            self.command(*args), input=typed.encode(), capture_output=True, cwd=self.folder, timeout=SECONDS,
            env=self.environment(**environment),
        )  # fmt: skip
        return Finished(done.stdout.decode(), done.stderr.decode(), done.returncode)

    def start(self, *args, **environment):
        """Start it, and leave it running; what it writes comes through pipes."""
        running = Running(
            subprocess.Popen(
                self.command(*args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                cwd=self.folder, env=self.environment(**environment), bufsize=0,
            )
        )  # fmt: skip
        self.running.append(running)
        return running

    def on_screen(self, *args, width=120, answer=None, **environment):
        """Run it in a terminal of `width` cells, and type an answer where it asks for one."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
        process = subprocess.Popen(
            self.command(*args), stdin=theirs, stdout=theirs, stderr=theirs, cwd=self.folder, close_fds=True,
            env=self.environment(**environment), start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        if answer is not None:
            os.write(ours, f"{answer}\n".encode())
        raw = _read_all(ours)
        os.close(ours)
        return Screen(raw, process.wait(SECONDS))


def _read_all(descriptor):
    raw = b""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if select.select([descriptor], [], [], 1)[0]:
            try:
                part = os.read(descriptor, 65_536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not part:
                break
            raw += part
    return raw.decode()


@pytest.fixture
def store(tmp_path):
    """The path of a store, which is not there yet."""
    return tmp_path / "traces.db"


@pytest.fixture
def shell(tmp_path, store):
    folder = tmp_path / "folder"
    folder.mkdir()
    shell = Shell(folder, store)
    yield shell
    for running in shell.running:
        running.end()


@pytest.fixture
def record(store):
    """A client that records into the store; what it recorded is stored when a command is run."""
    client = Client(store, Settings(flush_interval=0.01))
    yield client
    client.close()
