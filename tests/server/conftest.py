"""What tests of the server have: one that runs, and requests to it as any program sends them."""

from __future__ import annotations

import json

import pytest

from autolog import sample
from tests.serving import serving


class Http:
    """Sends requests to one server; answers have `status`, `headers`, `data` and `json()`."""

    def __init__(self, address, **headers):
        urllib3 = pytest.importorskip("urllib3")
        self.address = address
        self.headers = headers
        self.pool = urllib3.PoolManager(retries=False)

    def __call__(self, method, path, body=None, headers=None, **options):
        told = {**self.headers, **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            told = {"Content-Type": "application/json", **told}
        options = {"redirect": False, "timeout": 30, **options}
        return self.pool.request(method, f"{self.address}{path}", body=body, headers=told, **options)

    def get(self, path, **headers):
        return self("GET", path, headers=headers)

    def post(self, path, body=None, **headers):
        return self("POST", path, body, headers)


@pytest.fixture
def http(client):
    """Requests to a server of the test's client."""
    with serving(client) as address:
        yield Http(address)


@pytest.fixture
def ids(client):
    """Twelve sample traces, oldest first: the sixth has an error."""
    return sample.record(client, 12)


@pytest.fixture
def open_server(client):
    """Start servers of the test's client with other options: `open_server(tokens=…)`."""
    opened = []

    def start(**options):
        context = serving(client, **options)
        opened.append(context)
        return Http(context.__enter__())

    yield start
    for context in opened:
        context.__exit__(None, None, None)
