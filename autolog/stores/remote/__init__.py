"""The store of another process or machine: an autolog server, asked by HTTP."""

from autolog.stores.remote.store import RemoteStore

__all__ = ["RemoteStore"]
