"""Run the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn

from autolog.server.app import create_app

if TYPE_CHECKING:
    from autolog.client import Client


def serve(client: Client, *, host: str = "127.0.0.1", port: int = 4321) -> None:
    """Serve the client's store until the process is told to end."""
    uvicorn.run(create_app(client), host=host, port=port, log_level="warning", access_log=False)
