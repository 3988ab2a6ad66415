"""Traces to look at: one viewer in notebooks, in files and in the web page."""
