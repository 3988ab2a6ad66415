"""What tests with OpenTelemetry's SDK share."""

from __future__ import annotations

import pytest

import autolog as al


@pytest.fixture
def provider(client):
    """A provider of OpenTelemetry's SDK whose spans are taken in."""
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    stop = al.collect_otel(provider)
    yield provider
    stop()
