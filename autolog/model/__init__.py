"""Spans and traces as plain data; no input or output happens here."""
