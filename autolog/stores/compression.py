"""Zstandard, from the standard library where it has it."""

from __future__ import annotations

import sys

ZSTD = 1
_LEVEL = 3

if sys.version_info >= (3, 14):
    from compression import zstd

    def compress(data: bytes) -> bytes:
        """Return `data` compressed."""
        return zstd.compress(data, level=_LEVEL)

    def decompress(data: bytes) -> bytes:
        """Return what `compress` was given."""
        return zstd.decompress(data)

    def decompress_within(data: bytes, most: int) -> bytes:
        """Return what `compress` was given, or of more than `most` bytes just more than that; raise `ValueError`."""
        reader = zstd.ZstdDecompressor()
        try:
            expanded: bytes = reader.decompress(data, most + 1)
        except zstd.ZstdError as error:
            raise ValueError(str(error)) from error
        if len(expanded) <= most and not reader.eof:
            raise ValueError("it ends too early")
        return expanded

else:
    import io
    import threading

    import zstandard

    # Its contexts must not be shared by threads.
    _local = threading.local()

    def compress(data: bytes) -> bytes:
        """Return `data` compressed."""
        if not hasattr(_local, "compressor"):
            _local.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        return bytes(_local.compressor.compress(data))

    def decompress(data: bytes) -> bytes:
        """Return what `compress` was given."""
        return zstandard.ZstdDecompressor().decompress(data)

    def decompress_within(data: bytes, most: int) -> bytes:
        """Return what `compress` was given, or of more than `most` bytes just more than that; raise `ValueError`."""
        try:
            with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)) as reader:
                return bytes(reader.read(most + 1))
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error
