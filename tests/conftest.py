"""What every test has: a client of its own, and autolog's own errors raised instead of swallowed."""

from __future__ import annotations

import pytest

from autolog import autolog
from autolog.guard import guarded
from autolog.testing import fresh_client


@pytest.fixture(autouse=True)
def _raise_own_errors(monkeypatch):
    """A bug of autolog fails the test that meets it; tests of the guard itself turn this off."""
    monkeypatch.setattr(guarded, "reraise", True)


@pytest.fixture
def client():
    """A client on a store in memory, which the functions of the package share for the test."""
    with fresh_client() as client:
        yield client


@pytest.fixture
def traced(client):
    """A client as above, with autologging on for every library that is installed."""
    autolog()
    return client
